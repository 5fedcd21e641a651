"""`quaff run`: which app is served, with which options, and what is said when it cannot be."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from quaff import Quaff
from quaff.cli import NoAppException, ScriptInfo, cli, run_command, show_server_banner
from quaff.cli.run import load_or_show, take_target
from tests.cli.project import Project
from tests.servers.process import PATIENCE, ServerProcess, write

Call = dict[str, Any]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Give the list of calls of `flask.cli.run_simple`, replaced as tests of Flask programs do."""
    made: list[Call] = []

    def run_simple(host: str, port: int, app: Any, **options: Any) -> None:
        made.append({"host": host, "port": port, "app": app, **options})

    monkeypatch.setattr("quaff.cli.run_simple", run_simple)
    return made


def run(*arguments: str) -> Result:
    """Run the command for an app made on the spot."""
    app = Quaff("made")
    result = CliRunner().invoke(run_command, list(arguments), obj=ScriptInfo(create_app=lambda: app))
    assert result.exit_code == 0, result.output
    return result


def test_defaults(calls: list[Call]) -> None:
    """Without options: port 5000 of this machine only, threads, no reloader, no debugger."""
    result = run()
    (call,) = calls
    assert call.pop("app").name == "made"
    assert call == {
        "host": "127.0.0.1",
        "port": 5000,
        "use_reloader": False,
        "use_debugger": False,
        "threaded": True,
        "ssl_context": None,
        "extra_files": None,
        "exclude_patterns": None,
    }
    assert " * Serving Quaff app 'made'\n * Debug mode: off\n" in result.output


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--host", "0.0.0.0", "--port", "80"], {"host": "0.0.0.0", "port": 80}),
        (["-h", "::1", "-p", "0"], {"host": "::1", "port": 0}),
        (["--reload"], {"use_reloader": True, "use_debugger": False}),
        (["--debugger"], {"use_reloader": False, "use_debugger": True}),
        (["--debug"], {"use_reloader": True, "use_debugger": True}),
        (["--debug", "--no-reload"], {"use_reloader": False, "use_debugger": True}),
        (["--debug", "--no-debugger"], {"use_reloader": True, "use_debugger": False}),
        (["--without-threads"], {"threaded": False}),
        (["--cert", "adhoc"], {"ssl_context": "adhoc"}),
        (["--extra-files", os.pathsep.join("ab")], {"extra_files": ["a", "b"]}),
        (["--exclude-patterns", "*/x.py"], {"exclude_patterns": ["*/x.py"]}),
    ],
)
def test_options(calls: list[Call], arguments: list[str], expected: Call) -> None:
    """Each option reaches the server; reloader and debugger follow debug mode unless they are given."""
    run(*arguments)
    assert {name: calls[0][name] for name in expected} == expected


@pytest.mark.parametrize("arguments", [["--port", "65536"], ["--port", "-1"], ["--port", "http"], ["--prot", "80"]])
def test_wrong_options(calls: list[Call], arguments: list[str]) -> None:
    """A port that is none and an option that there is not are usage errors; nothing is served."""
    result = CliRunner().invoke(run_command, arguments, obj=ScriptInfo(create_app=lambda: Quaff("made")))
    assert result.exit_code == 2
    assert "--port" in result.output
    assert calls == []


@pytest.mark.parametrize("name", ["FLASK_RUN_PORT", "QUAFF_RUN_PORT"])
def test_port_from_the_environment(project: Project, calls: list[Call], name: str) -> None:
    """Options come from the environment too, under either name; the command line wins."""
    project.write("app.py")
    os.environ[name] = "5055"
    assert CliRunner().invoke(cli, ["run"], obj=ScriptInfo(create_app=lambda: Quaff("a"))).exit_code == 0
    assert CliRunner().invoke(cli, ["run", "-p", "5056"], obj=ScriptInfo(create_app=lambda: Quaff("a"))).exit_code == 0
    assert [call["port"] for call in calls] == [5055, 5056]


@pytest.mark.parametrize("arguments, shown", [([], True), (["--access-log"], True), (["--no-access-log"], False)])
def test_access_log(monkeypatch: pytest.MonkeyPatch, arguments: list[str], shown: bool) -> None:
    """A line for each request is printed unless it is turned off; the banner is not printed a second time."""
    made: list[Call] = []
    monkeypatch.setattr("quaff.cli.run.run_development", lambda app, host, port, **options: made.append(options))
    run(*arguments)
    assert made[0]["access_log"] is shown
    assert made[0]["banner"] is False


@pytest.mark.parametrize(
    "arguments, interface, debugger",
    [
        ([], None, False),
        (["--interface", "rsgi"], "rsgi", False),
        (["--interface", "wsgi", "--debug"], "wsgi", True),
        (["--interface", "rsgi", "--debug"], "rsgi", False),
        (["--interface", "http1", "--debug"], "http1", False),
        (["--interface", "rsgi", "--debugger"], "rsgi", True),
        (["--interface", "http1", "--debugger"], "http1", True),
    ],
)
def test_interface(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], interface: str | None, debugger: bool
) -> None:
    """It reaches the server. The debugger that debug mode brings along gives way to a loop; one that was asked for stays."""
    made: list[Call] = []
    monkeypatch.setattr("quaff.cli.run.run_development", lambda app, host, port, **options: made.append(options))
    run(*arguments)
    assert (made[0]["interface"], made[0]["use_debugger"]) == (interface, debugger)


def test_interface_of_an_app_that_fails(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a reloader a mistake in the code is shown over WSGI, whatever was asked for, and the reloader goes on."""
    made: list[Call] = []
    monkeypatch.setattr("quaff.cli.run.run_development", lambda app, host, port, **options: made.append(options))
    monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
    project.write("hello.py", "1 / 0\n")
    result = CliRunner().invoke(cli, ["run", "hello.py", "--interface", "rsgi"])
    assert result.exit_code == 0, result.output
    assert made[0]["interface"] is None


@pytest.mark.parametrize("target", ["hello.py", "hello", "hello:app", "hello.py:app"])
def test_app_behind_the_command(project: Project, calls: list[Call], target: str) -> None:
    """`quaff run FILE` names the app as `--app` does, and the banner repeats it."""
    project.write("hello.py", "from quaff import Quaff\napp = Quaff('by target')\n")
    result = CliRunner().invoke(cli, ["run", target])
    assert result.exit_code == 0, result.output
    assert calls[0]["app"].name == "by target"
    assert f" * Serving Quaff app {target!r}" in result.output


def test_two_apps(project: Project, calls: list[Call]) -> None:
    """Two different apps on one line are a mistake; the same one twice is none."""
    project.write("hello.py", "from quaff import Quaff\napp = Quaff('hello')\n")
    result = CliRunner().invoke(cli, ["--app", "other", "run", "hello"])
    assert result.exit_code == 2
    assert "There are two apps: --app other and hello" in result.output
    assert CliRunner().invoke(cli, ["--app", "hello", "run", "hello"]).exit_code == 0
    assert len(calls) == 1


def test_target_wins_over_the_environment(project: Project, calls: list[Call]) -> None:
    """An app in the environment gives way to the one behind the command."""
    project.write("hello.py", "from quaff import Quaff\napp = Quaff('hello')\n")
    os.environ["FLASK_APP"] = "missing"
    assert CliRunner().invoke(cli, ["run", "hello"]).exit_code == 0
    assert calls[0]["app"].name == "hello"


def test_take_target_outside_a_command() -> None:
    """Without a Click context the target simply counts; None changes nothing."""
    info = ScriptInfo("before")
    take_target(info, None)
    assert info.app_import_path == "before"
    take_target(info, "after")
    assert info.app_import_path == "after"


def test_app_that_fails_ends_the_command(project: Project) -> None:
    """At the first start an app that fails ends the command with its error."""
    project.write("hello.py", "1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load_or_show(ScriptInfo("hello.py"))
    with pytest.raises(NoAppException):
        load_or_show(ScriptInfo("missing.py"))


def test_app_that_fails_under_the_reloader(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under a reloader the failure is printed, and each request raises it, which the debugger shows."""
    project.write("hello.py", "1 / 0\n")
    monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
    broken = load_or_show(ScriptInfo("hello.py"))
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            broken({}, lambda *args: None)


def test_banner(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The banner names app and debug mode, once: the child of a reloader says nothing."""
    show_server_banner(True, "hello.py")
    assert capsys.readouterr().out == " * Serving Quaff app 'hello.py'\n * Debug mode: on\n"
    show_server_banner(False, None)
    assert capsys.readouterr().out == " * Debug mode: off\n"
    monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
    show_server_banner(True, "hello.py")
    assert capsys.readouterr().out == ""


def test_debug_option_is_the_programs() -> None:
    """The help of the command lists `--debug`, which may stand behind it as well as in front."""
    text = run_command.get_help(click.Context(run_command, info_name="run"))
    assert "--debug / --no-debug" in text
    assert "quaff serve" in text


@pytest.mark.parametrize(
    "arguments, environment",
    [
        (["hello.py", "--port", "0"], {}),
        (["--port", "0"], {"QUAFF_APP": "hello:make('Hello')"}),
    ],
)
def test_serves(tmp_path: Path, arguments: list[str], environment: dict[str, str]) -> None:
    """The real command serves the app until Ctrl-C, which is no error."""
    (tmp_path / "hello.py").write_text(
        "from flask import Flask\n\ndef make(word):\n    app = Flask(__name__)\n"
        "    app.add_url_rule('/', 'index', lambda: word)\n    return app\n\napp = make('Hello')\n"
    )
    with ServerProcess.serving(["-m", "quaff", "run", *arguments], tmp_path, environment) as server:
        assert server.get("/").text == "Hello"
        assert server.stop() == 0
        assert "Traceback" not in server.output
        assert " * Debug mode: off" in server.output


def test_port_in_use(project: Project) -> None:
    """A port that is taken is one message with the port to try next, and exit code 1."""
    project.write("app.py")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        done = project.quaff("run", "--port", str(port), check=False)
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert f"quaff run --port {port + 1}" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Running on" not in done.stderr


def test_missing_file(project: Project) -> None:
    """A file that is not there is told with the nearest one that is."""
    project.write("hello.py")
    done = project.quaff("run", "helo.py", check=False)
    assert done.returncode == 2
    assert "Could not import 'helo'. Did you mean 'hello.py'?" in done.stderr


@pytest.mark.parametrize(
    "options, said, thread",
    [
        ([], " * Interface: RSGI: the view 'index' is async\n", "quaff-loop"),
        (["--interface", "wsgi"], "", "quaff-async"),
        (["--debug", "--interface", "rsgi"], " * Interface: RSGI: --interface rsgi\n", "quaff-loop"),
        (["--debug", "--interface", "http1"], " * Interface: HTTP1: --interface http1\n", "quaff-loop"),
    ],
)
def test_serves_an_async_app(tmp_path: Path, options: list[str], said: str, thread: str) -> None:
    """The real command serves an async view on an event loop, and the banner says why; over WSGI when asked."""
    (tmp_path / "hello.py").write_text(
        "import flask, threading\napp = flask.Flask(__name__)\n\n@app.route('/')\nasync def index():\n"
        "    return threading.current_thread().name\n"
    )
    arguments = ["-m", "quaff", "run", "hello.py", "--port", "0", *options]
    with ServerProcess.serving(arguments, tmp_path) as server:
        assert server.get_when(lambda answer: answer.status == 200).text == thread
        assert server.output.count(" * Interface") == bool(said)
        assert said in server.output
        assert server.stop() == 0
        assert "Traceback" not in server.output


CHAT = """\
import flask
from quaff import websocket

app = flask.Flask(__name__)


@app.route("/")
def index():
    return "one"


@app.websocket("/ws")
async def chat():
    await websocket.send("one " + await websocket.receive())
"""


def chat(server: ServerProcess) -> str | bytes:
    """Talk over the WebSocket of `CHAT`."""
    with connect(f"ws://127.0.0.1:{server.port}/ws", open_timeout=PATIENCE, proxy=None) as client:
        client.send("hi")
        return client.recv(PATIENCE)


def test_debug_mode_with_a_websocket(tmp_path: Path) -> None:
    """`quaff run --debug` serves and reloads it, also after a mistake in the code; the debugger is off, and that is said."""
    write(tmp_path, "hello.py", CHAT)
    arguments = ["-m", "quaff", "run", "hello.py", "--debug", "--port", "0"]
    with ServerProcess.serving(arguments, tmp_path) as server:
        server.get_when(lambda answer: answer.text == "one")
        assert chat(server) == "one hi"
        server.wait_for(r"^ \* Debug mode: on$")
        server.wait_for(r"^ \* Interface: HTTP1: '/ws' is a WebSocket$")
        server.wait_for(r"^ \* Debugger: off, because '/ws' is a WebSocket; tracebacks are in the log\. ")
        write(tmp_path, "hello.py", CHAT + "\n1 / 0\n")
        assert "Werkzeug Debugger" in server.get_when(lambda answer: answer.status == 500).text
        write(tmp_path, "hello.py", CHAT.replace('"one', '"two'))
        server.get_when(lambda answer: answer.text == "two")
        assert chat(server) == "two hi"
        assert server.output.count(" * Debugger: off") == server.output.count(" * Interface") == 1
        assert server.stop() == 0
        assert "panicked" not in server.output


def test_debug_mode_with_a_websocket_and_the_debugger(tmp_path: Path) -> None:
    """`--interface wsgi` keeps the debugger, and the WebSocket is refused."""
    write(tmp_path, "hello.py", CHAT.replace('return "one"', "return 1 / 0"))
    arguments = ["-m", "quaff", "run", "hello.py", "--debug", "--no-reload", "--port", "0", "--interface", "wsgi"]
    with ServerProcess.serving(arguments, tmp_path) as server:
        assert "Werkzeug Debugger" in server.get().text
        assert server.get("/ws").status == 400
        with pytest.raises(InvalidStatus, match="400"):
            chat(server)
        assert "Debugger: off" not in server.output
        assert server.stop() == 0


def test_the_help_names_the_interfaces() -> None:
    """What can be asked for is listed by both commands, and where it comes from by default."""
    for command in ("run", "serve"):
        text = " ".join(CliRunner().invoke(cli, [command, "--help"]).output.split())
        assert "--interface [wsgi|rsgi|http1]" in text
        assert "Threads or event loop." in text
        assert "the app's choice" in text.lower()
