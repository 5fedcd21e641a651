"""`quaff serve`: options become settings, and mistakes are told before anything starts."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from quaff import Quaff
from quaff.cli import ScriptInfo, cli, serve_command
from quaff.cli.serve import find_callable, load_for_server
from quaff.servers import BindError, ServeSettings
from quaff.servers.settings import Address
from tests.cli.project import Project
from tests.servers.process import ServerProcess

Started = list[tuple[Callable[[], Any], ServeSettings]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Give the list of what the server was started with; it ends at once with code 0."""
    made: Started = []

    def run_production(load: Callable[[], Any], settings: ServeSettings) -> int:
        made.append((load, settings))
        return 0

    monkeypatch.setattr("quaff.cli.serve.run_production", run_production)
    return made


def serve(*arguments: str) -> Result:
    """Run the command as part of the program `quaff`."""
    return CliRunner().invoke(cli, ["serve", *arguments], obj=ScriptInfo())


def test_defaults(started: Started) -> None:
    """Without options the settings are the defaults of the server, whatever it says in the help."""
    assert serve("hello.py").exit_code == 0
    assert started[0][1] == ServeSettings()


def test_app_is_not_loaded_here(project: Project, started: Started) -> None:
    """The process that keeps the workers never imports the app: a broken one can be mended with a reload."""
    project.write("hello.py", "1 / 0\n")
    assert serve("hello.py").exit_code == 0
    with pytest.raises(SystemExit):
        started[0][0]()


@pytest.mark.parametrize(
    "arguments, name, value",
    [
        (["--bind", "0.0.0.0:80"], "bind", Address("0.0.0.0", 80)),
        (["-b", "unix:/run/app.sock"], "bind", Address(path="/run/app.sock")),
        (["-b", "[::1]:8001"], "bind", Address("::1", 8001)),
        (["--workers", "3"], "workers", 3),
        (["-w", "1"], "workers", 1),
        (["--threads", "5"], "threads", 5),
        (["-t", "5"], "threads", 5),
        (["--access-log", "log.txt"], "access_log", "log.txt"),
        (["--access-log"], "access_log", "-"),
        (["--pid-file", "server.pid"], "pid_file", Path("server.pid")),
        (["--tls-minimum", "1.3"], "tls_minimum", "1.3"),
        (["--http", "2"], "http", "2"),
        (["--interface", "rsgi"], "interface", "rsgi"),
        (["--interface", "wsgi"], "interface", "wsgi"),
        (["--interface", "http1"], "interface", "http1"),
        (["--unix-permissions", "600"], "unix_permissions", 0o600),
        (["--graceful-timeout", "2.5"], "graceful_timeout", 2.5),
        (["--header-timeout", "7"], "header_timeout", 7.0),
        (["--header-limit", "16384"], "header_limit", 16384),
        (["--backpressure", "64"], "backpressure", 64),
        (["--backlog", "256"], "backlog", 256),
        (["--boot-timeout", "9"], "boot_timeout", 9.0),
    ],
)
def test_options(started: Started, arguments: list[str], name: str, value: object) -> None:
    """Each option sets its setting, and no other."""
    result = serve("hello.py", *arguments)
    assert result.exit_code == 0, result.output
    assert started[0][1] == ServeSettings(**{name: value})


def test_certificate(project: Project, started: Started) -> None:
    """The three files of TLS are settings together, as absolute paths."""
    paths = {name: project.write(f"{name}.pem", "") for name in ("certificate", "key", "client_ca")}
    result = serve("hello.py", "--certificate", "certificate.pem", "--key", "key.pem", "--client-ca", "client_ca.pem")
    assert result.exit_code == 0, result.output
    assert started[0][1] == ServeSettings(**paths)


def test_every_setting_has_its_option() -> None:
    """No setting of the server can only be reached from Python."""
    options = {parameter.name for parameter in serve_command.params}
    assert set(ServeSettings.__dataclass_fields__) <= options


@pytest.mark.parametrize("name", ["QUAFF_SERVE_WORKERS", "FLASK_SERVE_WORKERS"])
def test_options_from_the_environment(started: Started, name: str) -> None:
    """Each option is an environment variable under either name; the command line wins."""
    os.environ[name] = "5"
    assert serve("hello.py").exit_code == 0
    assert serve("hello.py", "-w", "6").exit_code == 0
    assert [settings.workers for _, settings in started] == [5, 6]


def test_interface_from_the_environment(started: Started) -> None:
    """The interface can be decided where the server runs, without a change of its command."""
    os.environ["QUAFF_SERVE_INTERFACE"] = "rsgi"
    assert serve("hello.py").exit_code == 0
    assert serve("hello.py", "--interface", "wsgi").exit_code == 0
    assert [settings.interface for _, settings in started] == ["rsgi", "wsgi"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--workers", "0"], "workers=0 is outside its limits: 1 to 1024"),
        (["--workers", "two"], "'two' is not a valid integer"),
        (["--bind", "localhost:http"], "the port 'http' is not a number"),
        (["--bind", "unix:"], "there is no path after 'unix:'"),
        (["--http", "3"], "'3' is not one of '1', '2', 'auto'"),
        (["--interface", "asgi"], "'asgi' is not one of 'wsgi', 'rsgi', 'http1'"),
        (["--tls-minimum", "1.0"], "'1.0' is not one of '1.2', '1.3'"),
        (["--unix-permissions", "rw"], "is not octal permissions"),
        (["--graceful-timeout", "-1"], "graceful_timeout=-1.0 is outside its limits"),
        (["--key", __file__], "key is set without certificate"),
        (["--certificate", __file__], "certificate is set without key"),
        (["--client-ca", __file__], "client_ca is for TLS"),
        (["--certificate", "missing.pem"], "'missing.pem' does not exist"),
        (["--wrokers", "2"], "--workers"),
    ],
)
def test_wrong_options(started: Started, arguments: list[str], message: str) -> None:
    """A value outside its limits is a usage error that says what is allowed; nothing starts."""
    result = serve("hello.py", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert started == []


def test_server_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """What keeps the server from starting is one message, with exit code 1."""

    def run_production(load: object, settings: object) -> int:
        raise BindError("The port 80 is taken.")

    monkeypatch.setattr("quaff.cli.serve.run_production", run_production)
    result = serve("hello.py")
    assert result.exit_code == 1
    assert result.output == "Error: The port 80 is taken.\n"


def test_exit_code_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's exit code is the command's."""
    monkeypatch.setattr("quaff.cli.serve.run_production", lambda load, settings: 4)
    assert serve("hello.py").exit_code == 4


@pytest.mark.parametrize("how", ["--debug", "FLASK_DEBUG", "QUAFF_DEBUG"])
def test_debug_mode_is_off(project: Project, started: Started, how: str) -> None:
    """Debug mode stays off however it was asked for, and a line says so."""
    project.write("hello.py", "from quaff import Quaff\napp = Quaff('hello')\n")
    arguments = ["serve", "hello.py"]
    if how == "--debug":
        arguments.insert(0, how)
    else:
        os.environ[how] = "1"
    result = CliRunner().invoke(cli, arguments, obj=ScriptInfo())
    assert "Debug mode is off" in result.output
    assert started[0][0]().debug is False


def test_silent_about_debug_mode_otherwise(started: Started) -> None:
    """Who did not ask for debug mode hears nothing about it."""
    assert serve("hello.py").output == ""


def test_two_apps(started: Started) -> None:
    """Two different apps on one line are a mistake."""
    result = CliRunner().invoke(cli, ["--app", "one", "serve", "two"], obj=ScriptInfo())
    assert result.exit_code == 2
    assert "There are two apps" in result.output
    assert started == []


def test_loads_the_app(project: Project) -> None:
    """A worker gets the app that was named."""
    project.write("hello.py", "from quaff import Quaff\ndef create_app():\n    return Quaff('from factory')\n")
    app = load_for_server(ScriptInfo("hello:create_app"))
    assert isinstance(app, Quaff)
    assert app.name == "from factory"


WRAPPED = """\
from quaff import Quaff

class Middleware:
    def __init__(self, inner): self.inner = inner
    def __call__(self, environ, start_response): return self.inner(environ, start_response)

wrapped = Middleware(Quaff('hello'))
number = 3
def function(environ, start_response): return []
"""


def test_any_callable(project: Project) -> None:
    """An app inside middleware is served when its name is given; what cannot be called is refused."""
    project.write("hello.py", WRAPPED)
    wrapped = load_for_server(ScriptInfo("hello:wrapped"))
    assert type(wrapped).__name__ == "Middleware"
    with pytest.raises(SystemExit) as stopped:
        load_for_server(ScriptInfo("hello:number"))
    assert stopped.value.code == 2


def test_find_callable(project: Project) -> None:
    """Only an object that is named outright, in a module that was imported, counts; functions may be factories."""
    project.write("hello.py", WRAPPED)
    assert find_callable("hello:wrapped") is None, "it was not imported yet"
    with pytest.raises(SystemExit):
        load_for_server(ScriptInfo("hello:number"))
    assert callable(find_callable("hello:wrapped"))
    for path in (None, "", "hello", "hello:", "hello:number", "hello:missing", "hello:function"):
        assert find_callable(path) is None, path


@pytest.mark.parametrize(
    "code, exit_code, first",
    [
        ("x = 1\n", 2, "Error: Failed to find Quaff application or factory in module 'hello'."),
        ("import missing_package_of_a_test\n", 2, "Error: While importing 'hello', an ImportError was raised:"),
        ("\n1 / 0\n", 1, "Error: The app could not be loaded."),
    ],
)
def test_app_that_cannot_be_loaded(
    project: Project, capsys: pytest.CaptureFixture[str], code: str, exit_code: int, first: str
) -> None:
    """A worker whose app cannot be loaded ends with one message and a code that says which kind of mistake it is."""
    project.write("hello.py", code)
    with pytest.raises(SystemExit) as stopped:
        load_for_server(ScriptInfo("hello.py"))
    assert stopped.value.code == exit_code
    printed = capsys.readouterr().err
    assert printed.startswith(first)
    assert "Traceback" not in printed


def test_loader_can_be_called_again(project: Project, started: Started) -> None:
    """What the server gets to load the app is a plain partial, which a new worker calls in its own process."""
    project.write("hello.py", "from quaff import Quaff\napp = Quaff('hello')\n")
    serve("hello.py")
    load = started[0][0]
    assert isinstance(load, functools.partial)
    assert load() is load()


def test_help_names_the_defaults() -> None:
    """The help is enough to run it: signals, environment, defaults."""
    text = " ".join(serve_command.get_help(click.Context(serve_command, info_name="serve")).split())
    for words in ("SIGTERM", "SIGHUP", "QUAFF_SERVE_WORKERS", "127.0.0.1:8000", "75 on loopback", "else 10", "32768"):
        assert words in text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
def test_serves(tmp_path: Path) -> None:
    """The real command serves an app of Flask's in worker processes, and SIGTERM ends it with code 0."""
    (tmp_path / "hello.py").write_text(
        "import flask, os, quaff\napp = flask.Flask(__name__)\n\n@app.route('/')\ndef index():\n"
        "    return {'parent': os.getppid(), 'same': flask.Flask is quaff.Quaff, 'debug': app.debug}\n"
    )
    arguments = ["-m", "quaff", "serve", "hello.py", "--bind", "127.0.0.1:0", "--workers", "1", "--pid-file", "pid"]
    with ServerProcess.serving(arguments, tmp_path, {"QUAFF_DEBUG": "1"}) as server:
        answer = server.get("/")
        assert answer.status == 200
        assert answer.text.strip() == f'{{"debug":false,"parent":{server.pid},"same":true}}'
        assert (tmp_path / "pid").read_text().strip() == str(server.pid)
        assert server.stop(signal.SIGTERM, group=False) == 0
        assert "Traceback" not in server.output
    assert not (tmp_path / "pid").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
@pytest.mark.parametrize(
    "options, said, thread",
    [
        ([], "over RSGI: the view 'index' is async", "quaff-loop"),
        (["--interface", "rsgi"], "over RSGI: --interface rsgi", "quaff-loop"),
        (["--interface", "http1"], "over HTTP1: --interface http1", "quaff-loop"),
        (["--interface", "wsgi"], "over WSGI: --interface wsgi", "quaff-async"),
    ],
)
def test_serves_an_async_app(tmp_path: Path, options: list[str], said: str, thread: str) -> None:
    """The real command serves an async view on the loop of the worker, says why, and serves it over WSGI when asked."""
    (tmp_path / "hello.py").write_text(
        "import flask, threading\napp = flask.Flask(__name__)\n\n@app.route('/')\nasync def index():\n"
        "    return threading.current_thread().name\n"
    )
    arguments = [
        "-m",
        "quaff",
        "serve",
        "hello.py",
        "--bind",
        "127.0.0.1:0",
        "--workers",
        "1",
        "--access-log",
        *options,
    ]
    with ServerProcess.serving(arguments, tmp_path) as server:
        assert said in server.output
        assert server.get("/").text == thread
        server.wait_for(r'"GET / HTTP/1\.1" 200 - ')
        assert server.stop(signal.SIGTERM, group=False) == 0
        assert "Traceback" not in server.output


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
@pytest.mark.parametrize("interface", ["rsgi", "http1"])
def test_a_loop_for_an_app_inside_of_middleware(tmp_path: Path, interface: str) -> None:
    """Middleware around the app object speaks WSGI only: one message, and exit code 1."""
    (tmp_path / "hello.py").write_text(WRAPPED)
    arguments = ["-m", "quaff", "serve", "hello:wrapped", "--bind", "127.0.0.1:0", "--interface", interface]
    with ServerProcess(arguments, tmp_path) as server:
        assert server.wait() == 1
    words = f"Error: interface={interface!r}: the app is of the type 'Middleware', which speaks WSGI only."
    assert words in server.output
    assert "Traceback" not in server.output
