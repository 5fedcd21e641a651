"""The development server and apps that want an event loop, as real processes: async views, WebSockets, debug mode."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from quaff import Quaff
from quaff.servers import SettingsError
from quaff.servers.development import development_choice
from quaff.servers.interface import Choice, choose_interface
from tests.servers.developed import SCRIPT, serving, start
from tests.servers.process import PATIENCE, ServerProcess, in_background, write

ASYNC_SCRIPT = SCRIPT.replace("import json,", "import asyncio, json,").replace(
    '@app.route("/who")',
    """@app.route("/async")
async def where():
    return threading.current_thread().name


@app.route("/wait")
async def wait():
    print("wait began", flush=True)
    await asyncio.sleep(30)


@app.route("/who")""",
)


def test_an_async_app_gets_an_event_loop(tmp_path: Path) -> None:
    """The banner says so, with the reason; async views run on the loop, the others beside it, and all are logged."""
    with serving(tmp_path, ASYNC_SCRIPT) as server:
        assert re.search(r"^ \* Interface: RSGI: .*'where'", server.output, re.MULTILINE)
        assert server.get("/async").text == "quaff-loop"
        assert server.get("/").text == "Hello, World!"
        assert server.get("/meet-not").status == 404
        server.wait_for(r'^127\.0\.0\.1 - - \[.*\] "GET /async HTTP/1\.1" 200 -$')
        assert server.stop() == 0
        assert "after run" in server.output
        assert "Traceback" not in server.output


def test_the_banner_is_silent_about_wsgi(tmp_path: Path) -> None:
    """For an app without async code, or one that is to be served over WSGI, it is the banner of Flask."""
    with serving(tmp_path) as server:
        assert "Interface" not in server.output
    with serving(tmp_path, ASYNC_SCRIPT, interface="wsgi") as server:
        assert server.get("/async").text != "quaff-loop"
        assert "Interface" not in server.output


@pytest.mark.parametrize("path,began", [("/wait", "wait began"), ("/slow", "slow began")])
def test_async_requests_do_not_delay_the_stop(tmp_path: Path, path: str, began: str) -> None:
    """A request that would take half a minute is cut off, on the loop and beside it, and nothing is printed about it."""
    with serving(tmp_path, ASYNC_SCRIPT) as server:
        with in_background(lambda: server.get(path)):
            server.wait_for(began)
            assert server.stop(signal.SIGINT) == 0
        assert "after run" in server.output
        assert "panicked" not in server.output
        assert "Traceback" not in server.output


def test_the_debugger_shows_errors_of_async_apps(tmp_path: Path) -> None:
    """In debug mode an async app is served over WSGI, inside the debugger, and reloads."""
    broken = ASYNC_SCRIPT.replace("return threading.current_thread().name", "raise ValueError('an async detail')")
    with serving(tmp_path, broken, debug=True, reloader_type="stat") as server:
        page = server.get_when(lambda answer: answer.status == 500, "/async")
        assert "Werkzeug Debugger" in page.text
        assert "an async detail" in page.text
        assert "Interface" not in server.output
        write(tmp_path, "app.py", ASYNC_SCRIPT)
        assert server.get_when(lambda answer: answer.status == 200, "/async")


def test_an_async_app_reloads(tmp_path: Path) -> None:
    """Without the debugger the child of the reloader serves over RSGI; the banner is printed once."""
    with serving(tmp_path, ASYNC_SCRIPT, use_reloader=True, reloader_type="stat") as server:
        assert server.get_when(lambda answer: answer.text == "quaff-loop", "/async")
        write(tmp_path, "app.py", ASYNC_SCRIPT.replace("return threading.current_thread().name", "return 'again'"))
        assert server.get_when(lambda answer: answer.text == "again", "/async")
        assert server.output.count(" * Interface: RSGI") == 1
        assert server.stop(signal.SIGINT) == 0
        assert "panicked" not in server.output


SLOW_START = ASYNC_SCRIPT.replace(
    "barrier =",
    """@app.before_serving
async def connect():
    print("connecting", flush=True)
    await asyncio.sleep(30 if "slow" in sys.argv[2:] else 1)


barrier =""",
)


def test_ctrl_c_while_the_app_starts(tmp_path: Path) -> None:
    """An app that takes long to start does not have to be waited for, and nothing is printed about it."""
    write(tmp_path, "app.py", SLOW_START)
    with ServerProcess(["app.py", "{}", "slow"], tmp_path) as server:
        server.wait_for("connecting")
        assert server.stop(signal.SIGINT) == 0
        assert "after run" in server.output
        assert "Traceback" not in server.output


def test_a_change_while_the_app_starts(tmp_path: Path) -> None:
    """The reloader may end a process whose worker is about to begin: it does so without a crash."""
    code = "import atexit, time\natexit.register(time.sleep, 2)\n" + SLOW_START
    with serving(tmp_path, code, use_reloader=True, reloader_type="stat", reloader_interval=0.1) as server:
        server.wait_for("connecting")
        write(tmp_path, "app.py", code.replace("return threading.current_thread().name", "return 'again'"))
        assert server.get_when(lambda answer: answer.text == "again", "/async")
        assert server.output.count("connecting") == 2
        assert server.stop(signal.SIGINT) == 0
        assert "panicked" not in server.output
        assert "Traceback" not in server.output


# Interfaces and the debugger -------------------------------------------------------------------------------------------


def bare(environ: Any, start_response: Any) -> list[bytes]:
    """Be an app of another framework."""
    return []


async def view() -> str:
    """Be an async view."""
    return "async"


@pytest.mark.parametrize("asked", ["rsgi", "http1"])
def test_the_debugger_is_for_wsgi(asked: str) -> None:
    """Under the debugger the interface is WSGI; a loop that is asked for with it is refused, with the way out."""
    assert development_choice(bare, {"use_debugger": True}) == Choice("wsgi", "the debugger is on")
    assert development_choice(bare, {}) == Choice("wsgi", "a WSGI callable")
    assert development_choice(bare, {"interface": "wsgi"}) == Choice("wsgi", "--interface wsgi")
    with pytest.raises(SettingsError, match=r"--no-debugger, or app\.run\(use_debugger=False\)"):
        development_choice(bare, {"use_debugger": True, "interface": asked})


def test_a_websocket_comes_before_the_debugger(monkeypatch: pytest.MonkeyPatch) -> None:
    """WSGI has none, so such an app is served as it chooses, whatever is installed; unless WSGI is asked for."""
    app, host = Quaff("chat", static_folder=None), Quaff("host", static_folder=None)
    app.add_url_rule("/", "view", view)
    debug = {"use_debugger": True}
    assert development_choice(app, debug) == Choice("wsgi", "the debugger is on")
    app.websocket("/ws")(view)
    host.mount("/chat", app)
    assert development_choice(app, debug) == Choice("http1", "'/ws' is a WebSocket")
    assert development_choice(host, debug) == Choice("http1", "in the app mounted at '/chat', '/ws' is a WebSocket")
    assert development_choice(app, {**debug, "interface": "wsgi"}) == Choice("wsgi", "the debugger is on")
    monkeypatch.setitem(sys.modules, "httptools", None)
    choice = development_choice(app, debug)
    assert (choice.name, choice.reason.startswith("'/ws' is a WebSocket (")) == ("rsgi", True)


def test_other_reasons_for_a_loop_leave_the_debugger_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Async views, event streams and mounted ASGI apps work over WSGI as well, and errors are shown there."""

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        pass

    monkeypatch.setitem(sys.modules, "quaff.sse", sys)
    app = Quaff("streams", static_folder=None)
    app.add_url_rule("/", "view", view)
    app.mount("/api", asgi)
    assert choose_interface(app).name == "http1"
    assert development_choice(app, {"use_debugger": True}) == Choice("wsgi", "the debugger is on")


CHAT_SCRIPT = ASYNC_SCRIPT.replace("import Quaff, request", "import Quaff, request, websocket").replace(
    "barrier =",
    """@app.websocket("/ws")
async def talk():
    async for message in websocket:
        await websocket.send(f"one {message}")


@app.websocket("/ws/error")
async def fail():
    await websocket.accept()
    raise ValueError("a detail of the WebSocket")


barrier =""",
)

NO_DEBUGGER = (
    r"^ \* Debugger: off, because '/ws' is a WebSocket; tracebacks are in the log\. --interface wsgi brings it back\.$"
)


def join(server: ServerProcess, path: str = "/ws") -> ClientConnection:
    """Connect a WebSocket."""
    return connect(f"ws://127.0.0.1:{server.port}{path}", open_timeout=PATIENCE, proxy=None)


def say(client: ClientConnection, message: str) -> str | bytes:
    """Send a message, and return the answer to it."""
    client.send(message)
    return client.recv(PATIENCE)


def test_an_app_with_a_websocket_is_developed_in_debug_mode(tmp_path: Path) -> None:
    """It is served over Quaff's own server, reloads, and sends clients away then; one line says where the debugger is."""
    with serving(tmp_path, CHAT_SCRIPT, debug=True, reloader_type="stat", reloader_interval=0.1) as server:
        server.get_when(lambda answer: answer.text == "quaff-loop", "/async")
        server.wait_for(NO_DEBUGGER)
        server.wait_for(r"^ \* Interface: HTTP1: '/ws' is a WebSocket$")
        with join(server) as client:
            assert say(client, "a") == "one a"
            write(
                tmp_path, "app.py", CHAT_SCRIPT.replace('f"one', 'f"two').replace("current_thread().name", "__name__")
            )
            with pytest.raises(ConnectionClosed):
                client.recv(PATIENCE)
            assert client.close_code == 1001
        server.get_when(lambda answer: answer.text == "threading", "/async")
        with join(server) as client:
            assert say(client, "b") == "two b"
        assert len(re.findall(NO_DEBUGGER, server.output, re.MULTILINE)) == 1
        assert "Debugger PIN" not in server.output
        assert server.stop(signal.SIGINT) == 0
        assert "panicked" not in server.output
        assert "Traceback" not in server.output


def test_errors_are_in_the_log_then(tmp_path: Path) -> None:
    """Each once, with its traceback; the client gets a 500 or a closing code, and no details."""
    with serving(tmp_path, CHAT_SCRIPT, debug=True, use_reloader=False) as server:
        for path in ("/error", "/ws/error/missing"):
            answer = server.get(path)
            assert "a detail" not in answer.text
            assert "Werkzeug Debugger" not in answer.text
            assert answer.status == (500 if path == "/error" else 404)
        assert server.get("/console").status == 404
        with join(server, "/ws/error") as client, pytest.raises(ConnectionClosed):
            client.recv(PATIENCE)
        assert client.close_code == 1011
        assert server.stop(signal.SIGINT) == 0
        assert server.output.count("ValueError: a detail of the error") == 1
        assert server.output.count("ValueError: a detail of the WebSocket") == 1


def test_wsgi_brings_the_debugger_back(tmp_path: Path) -> None:
    """Asked for WSGI, an app with WebSockets has the debugger as any other, and no WebSockets."""
    with serving(tmp_path, CHAT_SCRIPT, debug=True, use_reloader=False, interface="wsgi") as server:
        page = server.get("/error")
        assert page.status == 500
        assert "Werkzeug Debugger" in page.text
        assert "Debugger: off" not in server.output
        assert "Interface" not in server.output
        with pytest.raises(InvalidStatus) as refused, join(server):
            pass
        assert refused.value.response.status_code == 400


def test_without_debug_mode_nothing_is_said_of_a_debugger(tmp_path: Path) -> None:
    """Who has not asked for one misses none."""
    with serving(tmp_path, CHAT_SCRIPT) as server:
        assert " * Interface: HTTP1: '/ws' is a WebSocket" in server.output
        assert "Debugger" not in server.output
        with join(server) as client:
            assert say(client, "a") == "one a"
            server.send(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                client.recv(PATIENCE)
            assert client.close_code == 1001
        assert server.wait() == 0


@pytest.mark.parametrize(
    "options,message",
    [
        ({"interface": "asgi"}, "Error: interface='asgi' is not one of 'wsgi', 'rsgi', 'http1'."),
        ({"interface": "rsgi", "use_debugger": True}, "Error: interface='rsgi' cannot be had with the debugger"),
        ({"interface": "rsgi", "threaded": False}, "Error: interface='rsgi' cannot be had with threaded=False"),
        ({"interface": "http1", "use_debugger": True}, "Error: interface='http1' cannot be had with the debugger"),
        ({"interface": "http1", "threaded": False}, "Error: interface='http1' cannot be had with threaded=False"),
    ],
)
def test_a_wrong_interface_is_one_clear_message(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """There is no traceback, nothing is served, and the exit code is 1."""
    with start(tmp_path, **options) as server:
        assert server.wait() == 1
    assert message in server.output
    assert "Traceback" not in server.output
    assert "Running on" not in server.output
