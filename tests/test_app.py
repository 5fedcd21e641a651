"""The app class: files, resources, templates, running, clients."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from quaff import Flask, Quaff, current_app, g, has_request_context, render_template_string, request, session, url_for
from quaff._internal import lazy
from quaff.cli import AppGroup
from quaff.lifespan import Lifespan
from quaff.testing import FlaskClient, FlaskCliRunner


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Quaff:
    """Give an app of each pipeline whose root is a folder of its own."""
    app = Quaff(__name__, root_path=str(tmp_path), instance_path=str(tmp_path / "instance"), compiled=request.param)
    app.testing = True
    return app


def test_flask_is_the_same_class() -> None:
    """There is one class with two names."""
    assert Flask is Quaff


@pytest.mark.parametrize(
    "argument, variable, expected",
    [
        (None, None, True),
        (None, "1", True),
        (None, "0", False),
        (None, "false", False),
        (None, "NO", False),
        (True, "0", True),
        (False, "1", False),
    ],
)
def test_which_pipeline(
    monkeypatch: pytest.MonkeyPatch, argument: bool | None, variable: str | None, expected: bool
) -> None:
    """The argument decides, then QUAFF_COMPILED, then routes are compiled."""
    monkeypatch.delenv("QUAFF_COMPILED", raising=False)
    if variable is not None:
        monkeypatch.setenv("QUAFF_COMPILED", variable)
    assert Quaff("shop", compiled=argument).compiled is expected


def test_the_pipeline_may_be_switched_while_serving(app: Quaff) -> None:
    """`app.compiled` is an attribute like any other."""
    app.add_url_rule("/", "index", lambda: "hello")
    client = app.test_client()
    for compiled in (True, False, True):
        app.compiled = compiled
        assert client.get("/").text == "hello"


# Files -----------------------------------------------------------------------------------------------------------------


def test_static_files(app: Quaff, tmp_path: Path) -> None:
    """Files of the static folder are served, HEAD and conditions included; others and what is outside are a 404."""
    (tmp_path / "static" / "css").mkdir(parents=True)
    (tmp_path / "static" / "css" / "a.css").write_text("body {}")
    (tmp_path / "secret.txt").write_text("secret")
    client = app.test_client()
    with client.get("/static/css/a.css") as response:
        assert (response.status_code, response.data, response.mimetype) == (200, b"body {}", "text/css")
        etag = response.headers["ETag"]
    with client.head("/static/css/a.css") as response:
        assert (response.data, response.content_length) == (b"", 7)
    with client.get("/static/css/a.css", headers={"If-None-Match": etag}) as response:
        assert (response.status_code, response.data) == (304, b"")
    for path in ("/static/none.css", "/static/../secret.txt", "/static/%2e%2e/secret.txt", "/static/css"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "arguments, url",
    [
        ({"static_folder": "static"}, "/static/a.txt"),
        ({"static_folder": "static", "static_url_path": "/files"}, "/files/a.txt"),
        ({"static_folder": "static/"}, "/static/a.txt"),
        ({"static_folder": "static", "static_url_path": ""}, "/a.txt"),
        ({"static_folder": "static", "static_url_path": "/"}, "/a.txt"),
    ],
)
def test_where_static_files_are(tmp_path: Path, arguments: dict[str, Any], url: str) -> None:
    """Folder and prefix are the arguments of the app."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.txt").write_text("content")
    app = Quaff(__name__, root_path=str(tmp_path), **arguments)
    with app.test_client().get(url) as response:
        assert response.data == b"content"
    with app.test_request_context():
        assert url_for("static", filename="a.txt") == url


def test_without_static_files() -> None:
    """With `static_folder=None` there is no route, and sending one says what is missing."""
    app = Quaff(__name__, static_folder=None)
    assert list(app.url_map.iter_rules()) == []
    with pytest.raises(RuntimeError, match="'static_folder' must be set to serve static_files"):
        app.send_static_file("a.txt")


@pytest.mark.parametrize("value, expected", [(None, None), (5, 5), (3600, 3600)])
def test_how_long_files_may_be_cached(app: Quaff, tmp_path: Path, value: Any, expected: int | None) -> None:
    """SEND_FILE_MAX_AGE_DEFAULT is the default; None lets browsers ask each time."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.txt").write_text("content")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = value
    with app.test_client().get("/static/a.txt") as response:
        assert response.cache_control.max_age == expected
        assert response.cache_control.no_cache is (None if value else True)


def test_max_age_needs_an_app() -> None:
    """Outside of a context the question cannot be answered, as in Flask."""
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        Quaff("shop").get_send_file_max_age("a.txt")


@pytest.mark.parametrize("mode, expected", [("rb", b"gr\xc3\xb6\xc3\x9fe"), ("r", "größe"), ("rt", "größe")])
def test_resources(app: Quaff, tmp_path: Path, mode: str, expected: Any) -> None:
    """Files below the root path are read, as bytes or as text."""
    (tmp_path / "data.txt").write_text("größe", encoding="utf-8")
    with app.open_resource("data.txt", mode, encoding="utf-8") as file:
        assert file.read() == expected


@pytest.mark.parametrize("mode", ["w", "x", "a", "r+"])
def test_resources_are_not_written(app: Quaff, mode: str) -> None:
    """The code's own files are for reading."""
    with pytest.raises(ValueError, match="Resources can only be opened for reading"):
        app.open_resource("data.txt", mode)


def test_instance_resources(app: Quaff) -> None:
    """Files of the instance folder may be written."""
    os.mkdir(app.instance_path)
    with app.open_instance_resource("data.txt", "w") as file:
        file.write("größe")
    with app.open_instance_resource("data.txt") as file:
        assert file.read() == "größe".encode()
    with app.open_instance_resource("data.txt", "r") as file:
        assert file.read() == "größe"


# Templates and the shell -----------------------------------------------------------------------------------------------


def test_the_jinja_environment(app: Quaff) -> None:
    """It has Flask's globals, the app's JSON and the options of the class; it is made once."""
    assert app.jinja_env is app.jinja_env
    assert app.jinja_env.globals["url_for"] == app.url_for
    assert app.jinja_env.globals["config"] is app.config
    assert app.jinja_env.globals["get_flashed_messages"] is not None
    for name, proxy in (("request", request), ("session", session), ("g", g)):
        assert app.jinja_env.globals[name] is proxy
    app.json.dumps = lambda value, **kwargs: '"mine"'  # type: ignore[method-assign]
    assert app.create_jinja_environment().policies["json.dumps_function"](1) == '"mine"'


def test_jinja_options() -> None:
    """`jinja_options` of a subclass are passed on, and are not changed by that."""

    class Own(Quaff):
        jinja_options = {"variable_start_string": "<<", "variable_end_string": ">>"}

    own = Own(__name__)
    with own.app_context():
        assert render_template_string("<< 1 + 1 >> {{ 1 }}") == "2 {{ 1 }}"
    assert set(Own.jinja_options) == {"variable_start_string", "variable_end_string"}


@pytest.mark.parametrize(
    "config, expected",
    [
        ({}, False),
        ({"DEBUG": True}, True),
        ({"TEMPLATES_AUTO_RELOAD": True}, True),
        ({"DEBUG": True, "TEMPLATES_AUTO_RELOAD": False}, False),
    ],
)
def test_whether_templates_are_reloaded(app: Quaff, config: dict[str, Any], expected: bool) -> None:
    """TEMPLATES_AUTO_RELOAD decides, and without it debug mode."""
    app.config.update(config)
    assert app.jinja_env.auto_reload is expected


def test_an_environment_of_ones_own() -> None:
    """`jinja_environment` and `create_jinja_environment` may be overridden."""

    class Own(Quaff):
        def create_jinja_environment(self) -> Any:
            environment = super().create_jinja_environment()
            environment.globals["own"] = "yes"
            return environment

    own = Own(__name__)
    with own.app_context():
        assert render_template_string("{{ own }}") == "yes"


def test_the_shell_context(app: Quaff) -> None:
    """The shell has the app, `g` and what processors add; later ones win."""
    app.shell_context_processor(lambda: {"a": 1, "b": 1})
    app.shell_context_processor(lambda: {"b": 2})
    assert app.make_shell_context() == {"app": app, "g": g, "a": 1, "b": 2}


# Clients ---------------------------------------------------------------------------------------------------------------


def test_the_test_client(app: Quaff) -> None:
    """`test_client` gives a client of the app's class for it, with the arguments passed on."""
    assert type(app.test_client()) is FlaskClient

    class Own(FlaskClient):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.extra = kwargs.pop("extra", None)
            super().__init__(*args, **kwargs)

    app.test_client_class = Own
    client = app.test_client(extra="x")
    assert (client.application, client.extra) == (app, "x")
    assert app.test_client(use_cookies=False)._cookies is None


def test_the_test_runner(app: Quaff) -> None:
    """`test_cli_runner` gives a runner of the app's class for it."""
    assert type(app.test_cli_runner()) is FlaskCliRunner

    class Own(FlaskCliRunner):
        """A runner of the user's own."""

    app.test_cli_runner_class = Own
    runner = app.test_cli_runner(env={"A": "1"})
    assert (type(runner), runner.app) == (Own, app)


def test_commands(app: Quaff) -> None:
    """`@app.cli.command` adds a command."""
    assert isinstance(app.cli, AppGroup)

    @app.cli.command("hello")
    def hello() -> None:
        print("hello from the app")

    assert "hello from the app" in app.test_cli_runner().invoke(args=["hello"]).output


# Around serving and after a response -----------------------------------------------------------------------------------


def test_an_app_has_one_lifespan(app: Quaff) -> None:
    """It is made when it is first asked for, once, also when threads ask at the same time."""
    barrier = threading.Barrier(8)

    def ask(_: int) -> Lifespan:
        barrier.wait(30)
        return app.lifespan

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {app.lifespan}
    assert Quaff("other").lifespan is not app.lifespan


def test_the_lifespan_does_not_concern_the_routes(app: Quaff) -> None:
    """Asking for it leaves the compiled routes as they are, and an app that does not ask imports nothing for it."""
    before = app._revision.value
    assert app.lifespan.empty
    assert app._revision.value == before
    code = "import sys, quaff; app = quaff.Quaff('app'); app.test_client; sys.exit('quaff.lifespan' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_functions_around_serving(app: Quaff) -> None:
    """The three decorators return the function, and hand it to the app's lifespan."""

    def around() -> Iterator[None]:
        yield

    def before() -> None:
        pass

    async def after() -> None:
        pass

    assert app.before_serving(before) is before
    assert app.while_serving(around) is around
    assert app.after_serving(after) is after
    lifespan = app.lifespan
    assert lifespan.before_serving_funcs == [before]
    assert lifespan.while_serving_gens == [around]
    assert lifespan.after_serving_funcs == [after]


def test_calls_after_the_response_are_noted(app: Quaff) -> None:
    """They stand on the context of the request, in their order, for the server; each is made when that calls it."""
    seen: list[Any] = []

    def call(*args: Any, **kwargs: Any) -> None:
        seen.append((current_app == app, has_request_context(), args, kwargs))

    with app.test_request_context() as context:
        assert context.after_response_calls is None
        app.after_response(call, 1, function=2)
        app.after_response(call)
    assert seen == []
    for noted in context.after_response_calls or []:
        noted()
    assert seen == [(True, False, (1,), {"function": 2}), (True, False, (), {})]


def test_calls_after_the_response_need_a_request(app: Quaff) -> None:
    """Outside of a request there is no response to come after; an app context is not enough."""
    with pytest.raises(RuntimeError, match="Working outside of request context"):
        app.after_response(print)
    with app.app_context(), pytest.raises(RuntimeError, match="Working outside of request context"):
        app.after_response(print)


def test_calls_after_the_response_are_functions(app: Quaff) -> None:
    """The result of a call in place of the function is noticed where it is written."""
    with app.test_request_context() as context:
        with pytest.raises(TypeError, match=r"not None. Write app.after_response\(function, argument\)"):
            app.after_response(print())  # type: ignore[arg-type,func-returns-value]
        assert not context.after_response_calls


# Running ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Give what the development server is started with; it is not started."""
    calls: list[dict[str, Any]] = []

    def run_development(app: Any, host: str, port: int, **options: Any) -> None:
        calls.append({"app": app, "host": host, "port": port, **options})

    resolve = lazy.resolve.__wrapped__  # type: ignore[attr-defined]
    replaced = {"run_development": run_development, "load_dotenv": lambda *args: calls.append({"dotenv": True})}
    monkeypatch.setattr("quaff.app.resolve", lambda key: replaced.get(key) or resolve(key))
    for name in ("FLASK_RUN_FROM_CLI", "FLASK_DEBUG", "FLASK_SKIP_DOTENV", "WERKZEUG_RUN_MAIN"):
        monkeypatch.delenv(name, raising=False)
    return calls


USUAL = {"host": "127.0.0.1", "port": 5000, "use_reloader": False, "use_debugger": False, "threaded": True}


@pytest.mark.parametrize(
    "config, arguments, expected",
    [
        ({}, {}, {}),
        ({}, {"port": 5001}, {"port": 5001}),
        ({}, {"host": "0.0.0.0", "port": "8080"}, {"host": "0.0.0.0", "port": 8080}),
        ({}, {"port": 0}, {"port": 0}),
        ({}, {"debug": True}, {"use_reloader": True, "use_debugger": True}),
        ({}, {"debug": True, "use_reloader": False}, {"use_debugger": True}),
        ({}, {"threaded": False, "processes": 2}, {"threaded": False, "processes": 2}),
        ({"SERVER_NAME": "shop.example:8000"}, {}, {"host": "shop.example", "port": 8000}),
        ({"SERVER_NAME": "shop.example"}, {}, {"host": "shop.example"}),
        ({"SERVER_NAME": "shop.example:8000"}, {"host": "localhost", "port": 80}, {"host": "localhost", "port": 80}),
        ({"SERVER_NAME": "shop.example:8000"}, {"port": 0}, {"host": "shop.example", "port": 0}),
    ],
)
def test_run(
    app: Quaff, started: list[Any], config: dict[str, Any], arguments: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Host and port come from the arguments, then from SERVER_NAME, then 127.0.0.1:5000; options are passed on."""
    app.config.update(config)
    app.run(load_dotenv=False, **arguments)
    assert started == [{"app": app, **USUAL, **expected}]
    assert app.debug is bool(arguments.get("debug"))


def test_run_reads_dotenv_files_first(app: Quaff, started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """They may turn debug mode on; FLASK_SKIP_DOTENV and `load_dotenv=False` leave them out."""
    monkeypatch.setenv("FLASK_DEBUG", "1")
    app.run()
    assert started[0] == {"dotenv": True}
    assert started[1]["use_debugger"] is True
    monkeypatch.setenv("FLASK_SKIP_DOTENV", "1")
    app.run()
    app.run(load_dotenv=False)
    assert [call for call in started if "dotenv" in call] == [{"dotenv": True}]


def test_the_debug_argument_wins(app: Quaff, started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """`debug=False` turns debug mode off whatever the environment says."""
    monkeypatch.setenv("FLASK_DEBUG", "1")
    app.debug = True
    app.run(debug=False)
    assert app.debug is False
    assert started[-1]["use_reloader"] is False


@pytest.mark.parametrize("reloaded, said", [(None, True), ("true", False)])
def test_run_is_ignored_under_the_command_line(
    app: Quaff,
    started: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reloaded: str | None,
    said: bool,
) -> None:
    """Under `quaff run` a forgotten `app.run()` does not block; it is mentioned once, not by each reloaded process."""
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    if reloaded:
        monkeypatch.setenv("WERKZEUG_RUN_MAIN", reloaded)
    app.run()
    assert started == []
    assert ("Ignoring a call to 'app.run()'" in capsys.readouterr().err) == said


def test_after_run_set_up_may_go_on(app: Quaff, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interactive session may register more when the server has ended, also when it ended by an error."""

    def serve(app: Quaff, *args: Any, **kwargs: Any) -> None:
        app.test_client().get("/")
        raise OSError("the port is taken")

    monkeypatch.setattr("quaff.app.resolve", lambda key: {"run_development": serve}.get(key) or lazy.resolve(key))
    monkeypatch.delenv("FLASK_RUN_FROM_CLI", raising=False)
    with pytest.raises(OSError, match="the port is taken"):
        app.run(load_dotenv=False)
    app.add_url_rule("/more", "more", lambda: "more")
    assert app.test_client().get("/more").text == "more"
