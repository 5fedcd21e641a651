"""The choice of the interface: the app's, unless somebody asks for another."""

from __future__ import annotations

import dataclasses
import http.client
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from quaff import Quaff, request, websocket
from quaff.errors import SetupError
from quaff.ext.proxy import ProxyFix
from quaff.servers import ServeSettings, SettingsError
from quaff.servers.interface import Choice, choose_interface, missing_packages, start_chosen
from quaff.servers.settings import Address
from quaff.servers.sockets import listen
from quaff.servers.wsgi import Environ
from tests.servers.process import PATIENCE, ask


@pytest.fixture(autouse=True)
def nobody_streams_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget that another test has imported what makes event streams: that alone would decide."""
    monkeypatch.delitem(sys.modules, "quaff.sse", raising=False)


class App:
    """What the choice looks at: whether it is an RSGI app, and whether it says that it needs a loop."""

    def __init__(self, reason: str | None) -> None:
        self._reason = reason

    def needs_loop(self) -> str | None:
        """Return why, or None."""
        return self._reason

    def __rsgi__(self, scope: object, protocol: object) -> None:
        """Be there."""


def wsgi(environ: object, start_response: object) -> list[bytes]:
    """Be an app of another framework."""
    return []


@pytest.mark.parametrize(
    "app,asked,choice",
    [
        (App("the view 'chat' is async"), None, Choice("rsgi", "the view 'chat' is async")),
        (App(None), None, Choice("wsgi", "every view and hook is sync")),
        (wsgi, None, Choice("wsgi", "a WSGI callable")),
        (App("the view 'chat' is async"), "wsgi", Choice("wsgi", "--interface wsgi")),
        (App(None), "rsgi", Choice("rsgi", "--interface rsgi")),
        (App("the view 'chat' is async"), "rsgi", Choice("rsgi", "--interface rsgi")),
        (wsgi, "wsgi", Choice("wsgi", "--interface wsgi")),
        (App(None), "http1", Choice("http1", "--interface http1")),
        (App("the view 'chat' is async"), "http1", Choice("http1", "--interface http1")),
    ],
)
def test_the_app_chooses_unless_somebody_asks(app: object, asked: str | None, choice: Choice) -> None:
    """An app with async code gets an event loop, every other one threads; what is asked for counts before that."""
    assert choose_interface(app, asked) == choice


@pytest.mark.parametrize("asked", ["rsgi", "http1"])
def test_a_loop_is_refused_for_what_speaks_wsgi_only(asked: str) -> None:
    """The message says what the app is, and what to do."""
    with pytest.raises(SettingsError) as caught:
        choose_interface(wsgi, asked)
    message = str(caught.value)
    assert message.startswith(f"interface={asked!r}: the app is of the type 'function', which speaks WSGI only.")
    assert "app.wsgi_app = middleware(app.wsgi_app)" in message
    assert "leave the option out" in message


def test_a_choice_reads_as_a_line() -> None:
    """Interface and reason in one, as servers say it; and what was chosen stays chosen."""
    choice = Choice("rsgi", "the view 'chat' is async")
    assert str(choice) == "RSGI: the view 'chat' is async"
    with pytest.raises(dataclasses.FrozenInstanceError):
        choice.name = "wsgi"  # type: ignore[misc]


# Apps whose clients stay connected --------------------------------------------------------------------------------------


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Be an ASGI application."""


async def view() -> str:
    """Be an async view."""
    return "async"


def app_with(what: str) -> Quaff:
    """Return an app with an async view and what clients stay connected to: by name, or nothing."""
    app = Quaff("tests.servers.interface", static_folder=None)
    app.add_url_rule("/", "index", view)
    below = Quaff("tests.servers.below", static_folder=None)
    if what == "a WebSocket":
        app.websocket("/ws")(view)
    elif what == "a mounted ASGI app":
        app.mount("/api", asgi)
    elif what == "a mounted Quaff app":
        below.websocket("/ws")(view)
        app.mount("/below", below)
    elif what == "a mounted Quaff app with async views":
        below.add_url_rule("/", "index", view)
        app.mount("/below", below)
    return app


@pytest.mark.parametrize(
    "what,choice",
    [
        ("a WebSocket", Choice("http1", "'/ws' is a WebSocket")),
        ("a mounted ASGI app", Choice("http1", "the view 'index' is async")),
        ("a mounted Quaff app", Choice("http1", "in the app mounted at '/below', '/ws' is a WebSocket")),
        ("a mounted Quaff app with async views", Choice("rsgi", "the view 'index' is async")),
        ("nothing", Choice("rsgi", "the view 'index' is async")),
    ],
)
def test_where_clients_stay_quaffs_own_server_is_chosen(what: str, choice: Choice) -> None:
    """For WebSockets and mounted ASGI apps, wherever they are; a WebSocket is the reason that is said."""
    assert choose_interface(app_with(what)) == choice


def test_event_streams_are_clients_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has imported what makes them is going to; an app that needs no loop gets none for it."""
    monkeypatch.setitem(sys.modules, "quaff.sse", sys)
    assert choose_interface(app_with("nothing")) == Choice("http1", "the view 'index' is async")
    assert choose_interface(Quaff("sync", static_folder=None)) == Choice("wsgi", "every view and hook is sync")


@pytest.mark.parametrize("http,name", [(None, "http1"), ("1", "http1"), ("auto", "http1"), ("2", "rsgi")])
def test_http_2_is_granians(http: str | None, name: str) -> None:
    """Quaff's own server speaks HTTP/1.1; where HTTP/2 is asked for, there is Granian on a loop."""
    assert choose_interface(app_with("a WebSocket"), http=http) == Choice(name, "'/ws' is a WebSocket")  # type: ignore[arg-type]


def test_http_2_contradicts_http1() -> None:
    """Asked for both, neither is guessed; the message says which interface has HTTP/2."""
    with pytest.raises(SettingsError, match=r"interface='http1' and http='2' contradict.*interface='rsgi'"):
        choose_interface(app_with("nothing"), "http1", http="2")
    assert choose_interface(app_with("nothing"), "rsgi", http="2").name == "rsgi"


@pytest.mark.parametrize("missing", [["httptools"], ["websockets"], ["httptools", "websockets"]])
def test_without_its_packages(monkeypatch: pytest.MonkeyPatch, missing: list[str]) -> None:
    """The app is served over RSGI then, with a hint; who asks for the server is told what to install."""
    assert missing_packages() == []
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    assert missing_packages() == missing
    app = app_with("a WebSocket")
    hint = "'/ws' is a WebSocket (better served with: pip install quaff[websocket])"
    assert choose_interface(app) == Choice("rsgi", hint)
    assert choose_interface(app_with("nothing")) == Choice("rsgi", "the view 'index' is async")
    assert choose_interface(app, "rsgi") == Choice("rsgi", "--interface rsgi")
    with pytest.raises(SettingsError) as caught:
        choose_interface(app, "http1")
    assert str(caught.value).startswith(f"interface='http1' needs {' and '.join(missing)}. ")
    assert str(caught.value).endswith("pip install quaff[websocket]")


# Apps behind proxies ----------------------------------------------------------------------------------------------------

UNDERSCORES = (
    "TRUSTED_PROXIES is set, and over WSGI a client's X_Forwarded_For passes for the proxy's X-Forwarded-For"
    " (where the proxy drops such names, as nginx does, --interface wsgi is faster)"
)


@pytest.mark.parametrize("proxies", [1, "2", ["10.0.0.0/8"], "loopback"])
def test_behind_proxies_wsgi_is_not_chosen(proxies: object) -> None:
    """A client could pretend to be a proxy there; who knows better may still ask for it."""
    app = Quaff("sync", static_folder=None)
    app.config["TRUSTED_PROXIES"] = proxies
    assert choose_interface(app) == Choice("rsgi", UNDERSCORES)
    assert choose_interface(app, "wsgi") == Choice("wsgi", "--interface wsgi")
    below = Quaff("around", static_folder=None)
    below.mount("/below", app)
    assert choose_interface(below) == Choice("rsgi", f"in the app mounted at '/below', {UNDERSCORES}")


@pytest.mark.parametrize("proxies", [None, 0, "0", "", []])
def test_without_proxies_wsgi_is_chosen(proxies: object) -> None:
    """Nobody is believed then."""
    app = Quaff("sync", static_folder=None)
    app.config["TRUSTED_PROXIES"] = proxies
    assert choose_interface(app) == Choice("wsgi", "every view and hook is sync")


def test_forwarded_is_safe_over_wsgi() -> None:
    """Its name has no hyphen for which an underscore could stand."""
    app = Quaff("sync", static_folder=None)
    app.config.update(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS=["Forwarded"])
    assert choose_interface(app) == Choice("wsgi", "every view and hook is sync")


def test_async_code_is_the_reason_that_is_said_first() -> None:
    """It would need a loop anyhow."""
    app = app_with("nothing")
    app.config["TRUSTED_PROXIES"] = 1
    assert choose_interface(app) == Choice("rsgi", "the view 'index' is async")


def test_a_bad_setting_is_said_before_anything_is_served() -> None:
    """Not only at the first request."""
    app = Quaff("sync", static_folder=None)
    app.config["TRUSTED_PROXIES"] = "loopbak"
    with pytest.raises(SetupError, match="Did you mean 'loopback'"):
        choose_interface(app)


# Serving ----------------------------------------------------------------------------------------------------------------


def make_app() -> Quaff:
    """Return a real app with an async view, which says in which thread it runs."""
    app = Quaff("tests.servers.interface")

    @app.get("/")
    async def where() -> str:
        return threading.current_thread().name

    return app


def test_the_view_decides() -> None:
    """A real app is served over RSGI from its first async view on."""
    app = Quaff("tests.servers.interface")
    app.add_url_rule("/sync", "sync", lambda: "sync")
    assert choose_interface(app) == Choice("wsgi", "every view and hook is sync")
    choice = choose_interface(make_app())
    assert choice.name == "rsgi"
    assert "'where'" in choice.reason


@pytest.mark.parametrize("asked,on_loop", [(None, True), ("rsgi", True), ("http1", True), ("wsgi", False)])
def test_the_app_is_served_over_what_was_chosen(asked: str | None, on_loop: bool) -> None:
    """On a loop an async view runs on that of the worker; each request is logged, over whatever interface."""
    app = make_app()
    logged: list[tuple[str, int]] = []

    def log(environ: Environ, status: int, seconds: float) -> None:
        assert 0 <= seconds < PATIENCE
        logged.append((environ["PATH_INFO"], status))

    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1)
    with listen(settings.bind) as listener:
        worker = start_chosen(choose_interface(app, asked), app, listener, settings, log=log)
        port = listener.getsockname()[1]
        answer = ask(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE))
        missing = ask(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE), "/missing")
        assert worker.stop(PATIENCE)
    assert (answer.text == "quaff-loop") is on_loop
    assert missing.status == 404
    assert sorted(logged) == [("/", 200), ("/missing", 404)]


@pytest.mark.parametrize("interface", ["wsgi", "rsgi", "http1"])
@pytest.mark.parametrize("path", ["/", "/sync", "/missing"])
@pytest.mark.parametrize("behind", ["the core", "ProxyFix"])
def test_the_log_names_the_client(interface: str, path: str, behind: str) -> None:
    """Behind a proxy the client that the app sees is the one in the log; one that is not known has no address."""
    app = make_app()
    app.add_url_rule("/sync", "sync", lambda: "sync")
    if behind == "ProxyFix":
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    else:
        app.config["TRUSTED_PROXIES"] = ["loopback"]
    logged: list[tuple[str, str | None, str]] = []

    def log(environ: Environ, status: int, seconds: float) -> None:
        logged.append((environ["PATH_INFO"], environ.get("REMOTE_ADDR"), environ["wsgi.url_scheme"]))

    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1)
    with listen(settings.bind) as listener:
        worker = start_chosen(choose_interface(app, interface), app, listener, settings, log=log)
        port = listener.getsockname()[1]
        for address in ("192.0.2.1", "unknown", "junk"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            connection.request("GET", path, headers={"X-Forwarded-For": address, "X-Forwarded-Proto": "https"})
            connection.getresponse().read()
            connection.close()
        assert worker.stop(PATIENCE)
    assert logged == [(path, "192.0.2.1", "https"), (path, None, "https"), (path, "127.0.0.1", "http")]


@pytest.mark.parametrize("interface", ["wsgi", "rsgi", "http1"])
def test_a_proxy_on_a_unix_socket(interface: str, tmp_path: Path) -> None:
    """It has no address: a number believes it, and the word `unix`; a list without that word does not."""
    seen = []
    for proxies in (1, ["unix"], ["loopback"]):
        app = Quaff("unix", static_folder=None)
        app.config["TRUSTED_PROXIES"] = proxies
        app.add_url_rule("/", "who", lambda: f"{request.remote_addr or '-'}")
        bind = Address.parse(f"unix:{tmp_path / 's'}")
        with listen(bind) as listener:
            worker = start_chosen(choose_interface(app, interface), app, listener, ServeSettings(bind=bind, workers=1))
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(tmp_path / "s"))
                connection.sendall(
                    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
                )
                seen.append(b"".join(iter(lambda: connection.recv(65536), b"")).rpartition(b"\n")[2])
            assert worker.stop(PATIENCE)
    assert seen == [b"192.0.2.1", b"192.0.2.1", b"-"]


@pytest.mark.parametrize("path", ["/ws", "/below/ws"])
def test_the_log_names_the_client_of_a_websocket(path: str) -> None:
    """Over Quaff's own server, which logs these as well; also when another app is mounted where it is."""
    app, below = make_app(), Quaff("tests.servers.below", static_folder=None)
    app.mount("/below", below)
    app.config["TRUSTED_PROXIES"] = 1
    for each in (app, below):

        @each.websocket("/ws")
        async def tell() -> None:
            await websocket.send(str(websocket.remote_addr))

    logged: list[str | None] = []
    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1)
    with listen(settings.bind) as listener:
        worker = start_chosen(
            choose_interface(app, "http1"), app, listener, settings,
            log=lambda environ, status, seconds: logged.append(environ.get("REMOTE_ADDR")),
        )  # fmt: skip
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}{path}"
        with connect(url, additional_headers={"X-Forwarded-For": "192.0.2.1"}, proxy=None) as connection:
            assert connection.recv() == "192.0.2.1"
        assert worker.stop(PATIENCE)
    assert logged == ["192.0.2.1"]
