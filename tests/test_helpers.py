"""The functions that views call."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import werkzeug.exceptions
from werkzeug.wrappers import Response as BaseResponse

from quaff import (
    Quaff,
    Response,
    abort,
    flash,
    get_flashed_messages,
    get_template_attribute,
    make_response,
    message_flashed,
    redirect,
    request,
    send_file,
    send_from_directory,
    session,
    stream_with_context,
    url_for,
)
from quaff.helpers import (
    _split_blueprint_path,
    check_redirect_location,
    get_debug_flag,
    get_load_dotenv,
    get_root_path,
)
from quaff.testing import FlaskClient

# Environment -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, False),
        ("", False),
        ("0", False),
        ("False", False),
        ("no", False),
        ("1", True),
        ("True", True),
        ("x", True),
    ],
)
def test_debug_flag(monkeypatch: pytest.MonkeyPatch, value: str | None, expected: bool) -> None:
    """FLASK_DEBUG turns debug mode on unless it is a word for no."""
    monkeypatch.delenv("FLASK_DEBUG", raising=False)
    if value is not None:
        monkeypatch.setenv("FLASK_DEBUG", value)
    assert get_debug_flag() is expected


@pytest.mark.parametrize(
    "value, default, expected",
    [(None, True, True), (None, False, False), ("", False, False), ("1", True, False), ("no", False, True)],
)
def test_load_dotenv_flag(monkeypatch: pytest.MonkeyPatch, value: str | None, default: bool, expected: bool) -> None:
    """FLASK_SKIP_DOTENV decides; without it the default does."""
    monkeypatch.delenv("FLASK_SKIP_DOTENV", raising=False)
    if value is not None:
        monkeypatch.setenv("FLASK_SKIP_DOTENV", value)
    assert get_load_dotenv(default) is expected


# Streaming -------------------------------------------------------------------------------------------------------------


def test_a_stream_keeps_the_request(app: Quaff, client: FlaskClient) -> None:
    """A wrapped generator still knows request and session when the view has long returned."""

    @app.get("/")
    def index() -> Any:
        session["name"] = "session"

        def generate() -> Iterator[str]:
            yield request.args["name"]
            yield session["name"]

        return Response(stream_with_context(generate()))

    assert client.get("/?name=World").text == "Worldsession"


def test_a_function_can_be_decorated(app: Quaff, client: FlaskClient) -> None:
    """As a decorator it keeps the function's name and passes arguments on."""

    @app.get("/")
    def index() -> Any:
        @stream_with_context
        def generate(greeting: str, *, mark: str) -> Iterator[str]:
            yield greeting
            yield request.args["name"] + mark

        assert generate.__name__ == "generate"
        return Response(generate("Hello ", mark="!"))

    assert client.get("/?name=World").text == "Hello World!"


def test_a_stream_ends_the_generator(app: Quaff, client: FlaskClient) -> None:
    """Read to its end or closed early, the wrapped iterator is closed once, inside the context."""
    closed: list[str] = []

    class Pieces:
        def __init__(self) -> None:
            self.left = ["a", "b"]

        def __iter__(self) -> Pieces:
            return self

        def __next__(self) -> str:
            if not self.left:
                raise StopIteration
            return self.left.pop(0)

        def close(self) -> None:
            closed.append(request.path)

    @app.get("/all")
    @app.get("/some")
    def index() -> Any:
        return Response(stream_with_context(Pieces()))

    assert client.get("/all").text == "ab"
    response = client.get("/some", buffered=False)
    assert next(iter(response.iter_encoded())) == b"a"
    response.close()
    assert closed == ["/all", "/some"]


def test_a_stream_never_started(app: Quaff, client: FlaskClient) -> None:
    """A response that is closed unread leaves nothing behind; the context fixture would tell."""

    @app.get("/")
    def index() -> Any:
        return Response(stream_with_context(iter("ab")))

    client.get("/").close()
    client.get("/", buffered=True).close()


def test_teardown_waits_for_the_stream(app: Quaff, client: FlaskClient) -> None:
    """What teardown closes is usable until the last piece is sent."""
    events: list[str] = []

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        events.append("teardown")

    @app.get("/")
    def index() -> Any:
        def generate() -> Iterator[str]:
            events.append("piece")
            yield "x"

        return Response(stream_with_context(generate()))

    assert client.get("/", buffered=True).text == "x"
    assert events[-2:] == ["piece", "teardown"]


def test_streaming_needs_a_request() -> None:
    """Outside of a request there is no context to keep."""
    with pytest.raises(RuntimeError, match="'stream_with_context' can only be used when a request context is active"):
        stream_with_context(iter("x"))


# Responses and URLs ----------------------------------------------------------------------------------------------------


def test_make_response(app: Quaff) -> None:
    """No argument, one, or the parts of the tuple that a view may return."""
    with app.test_request_context():
        empty = make_response()
        assert (empty.status_code, empty.data, empty.mimetype) == (200, b"", "text/html")
        assert make_response("text").data == b"text"
        assert make_response({"a": 1}).json == {"a": 1}
        created = make_response("x", 201, {"X-A": "1"})
        assert (created.status_code, created.headers["X-A"]) == (201, "1")
        with pytest.raises(TypeError):
            make_response(None)


def test_url_for_is_the_apps(app: Quaff) -> None:
    """All parameters reach the app's method; without a request the URL is external."""
    app.add_url_rule("/u/<name>", "user", view_func=lambda name: name)
    app.add_url_rule("/<self>", "self", view_func=lambda self: self)
    with app.test_request_context():
        assert url_for("user", name="a b", page=2, _anchor="x y") == "/u/a%20b?page=2#x%20y"
        assert url_for("user", name="a", _scheme="https", _external=True) == "https://localhost/u/a"
        assert url_for("self", self="2") == "/2"
        with pytest.raises(LookupError):
            url_for("missing")
    with pytest.raises(RuntimeError, match=r"Working outside of application context\."):
        url_for("user", name="a")


def test_redirect_without_an_app() -> None:
    """Werkzeug's redirect is used, with the class that is given."""

    class Mine(BaseResponse):
        pass

    response = redirect("https://localhost", 307, Response=Mine)
    assert isinstance(response, Mine)
    assert response.location == "https://localhost"
    assert response.status_code == 307


def test_redirect_with_an_app(app: Quaff) -> None:
    """The app's method makes the response, also when it was replaced."""
    with app.app_context():
        response = redirect("/next")
        assert isinstance(response, app.response_class)
        assert (response.status_code, response.location) == (302, "/next")
        calls: list[Any] = []
        app.redirect = lambda location, code=302: calls.append((location, code))  # type: ignore[method-assign]
        redirect("other", 303)
        assert calls == [("other", 303)]


@pytest.mark.parametrize(
    "location",
    [
        "/\t/evil.test",
        "\x01//evil.test",
        "/\\evil.test",
        "javascript:alert(1)",
        "https:evil.test",
        "////evil.test",
        "https://a@b/",
    ],
)
def test_redirect_refuses_what_hides(app: Quaff, location: str) -> None:
    """Rows W13 and W14: what only a browser would read as another site is a 500, with or without an app."""
    with pytest.raises(ValueError, match="is refused: "):
        redirect(location)
    with app.app_context(), pytest.raises(ValueError, match="is refused: "):
        redirect(location)

    app.testing = False
    app.add_url_rule("/", "index", view_func=lambda: redirect(location))
    response = app.test_client().get("/")
    assert response.status_code == 500
    assert "Location" not in response.headers


def test_redirect_can_be_as_lenient_as_flask(app: Quaff) -> None:
    """`redirect-any` in COMPAT refuses nothing."""
    app.config["COMPAT"] = ("redirect-any",)
    with app.app_context():
        assert redirect("myapp://done").location == "myapp://done"


def test_the_refusal_says_what_to_do() -> None:
    """The message has the location, the reason and the way out; other locations pass without a word."""
    with pytest.raises(ValueError, match=r"redirect\('data:x'\) is refused: its scheme is 'data'.*\"redirect-any\""):
        check_redirect_location("data:x")
    check_redirect_location("data:x", ("redirect-any",))
    check_redirect_location("https://other.example/x?y=1")
    check_redirect_location("/next")


def test_abort_without_an_app() -> None:
    """Werkzeug's exceptions are raised; a code without one is a LookupError."""
    with pytest.raises(werkzeug.exceptions.Unauthorized):
        abort(401)
    with pytest.raises(LookupError):
        abort(900)


def test_abort_with_an_app(app: Quaff) -> None:
    """The app's aborter decides, and arguments reach the exception."""

    class Odd(werkzeug.exceptions.HTTPException):
        code = 900

    app.aborter.mapping[900] = Odd
    with app.app_context():
        with pytest.raises(Odd):
            abort(900)
        with pytest.raises(werkzeug.exceptions.NotFound) as info:
            abort(404, description="no such page")
        assert info.value.description == "no such page"
        response = Response("mine", 418)
        with pytest.raises(werkzeug.exceptions.HTTPException) as answered:
            abort(response)
        assert answered.value.get_response() is response


def test_template_attribute(app: Quaff, tmp_path: Path) -> None:
    """A macro of a template can be called from Python."""
    (tmp_path / "_greet.html").write_text("{% macro hello(name) %}Hello {{ name }}!{% endmacro %}{% set size = 3 %}")
    app.template_folder = os.fspath(tmp_path)
    with app.app_context():
        assert get_template_attribute("_greet.html", "hello")("<b>") == "Hello &lt;b&gt;!"
        assert get_template_attribute("_greet.html", "size") == 3
        with pytest.raises(AttributeError):
            get_template_attribute("_greet.html", "missing")


# Flashed messages ------------------------------------------------------------------------------------------------------


def test_flashed_messages_come_once(app: Quaff, client: FlaskClient) -> None:
    """Messages wait for the next page, stay readable during it, and are gone afterwards."""

    @app.get("/flash")
    def put() -> str:
        flash("one")
        flash("two", "error")
        return ""

    @app.get("/")
    def show() -> list[Any]:
        return [get_flashed_messages(), get_flashed_messages(with_categories=True)]

    client.get("/flash")
    assert client.get("/").json == [["one", "two"], [["message", "one"], ["error", "two"]]]
    assert client.get("/").json == [[], []]


def test_flashed_messages_can_be_filtered(app: Quaff) -> None:
    """Categories are chosen by the reader, and a filter takes nothing away from later calls."""
    with app.test_request_context():
        for category in ("message", "error", "warning"):
            flash(category[0], category)
        assert get_flashed_messages(category_filter=["error", "warning"]) == ["e", "w"]
        assert get_flashed_messages(True, category_filter=["error"]) == [("error", "e")]
        assert get_flashed_messages(category_filter=["other"]) == []
        assert get_flashed_messages() == ["m", "e", "w"]


def test_flashing_sets_the_session_anew(app: Quaff) -> None:
    """Each message is an assignment, which sessions kept on a server depend on."""
    with app.test_request_context():
        flash("one")
        assert session.modified
        session.modified = False
        flash("two")
        assert session.modified


def test_flashing_sends_a_signal(app: Quaff) -> None:
    """Receivers learn message and category."""
    seen: list[Any] = []

    def receive(sender: Any, **values: Any) -> None:
        seen.append((sender, values["message"], values["category"]))

    with app.test_request_context(), message_flashed.connected_to(receive, app):
        flash("hi", "info")
    assert seen == [(app, "hi", "info")]


def test_flashing_needs_a_request(app: Quaff) -> None:
    """An app context has no session."""
    with app.app_context():
        with pytest.raises(RuntimeError, match=r"Working outside of request context\."):
            flash("x")
        with pytest.raises(RuntimeError, match=r"Working outside of request context\."):
            get_flashed_messages()


def test_flashing_needs_a_secret_key(app: Quaff) -> None:
    """Without a secret key the error says so."""
    app.secret_key = None
    with app.test_request_context(), pytest.raises(RuntimeError, match="secret key"):
        flash("x")


# Files -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(app: Quaff, tmp_path: Path) -> Path:
    """The app's root path, with a file in `data` and one beside it."""
    app.root_path = os.fspath(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "hello.txt").write_bytes(b"0123456789")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return tmp_path


def _body(response: Any) -> bytes:
    response.direct_passthrough = False
    try:
        return bytes(response.data)
    finally:
        response.close()


def test_send_file_by_path(app: Quaff, files: Path) -> None:
    """A path is relative to the root path, and gives type, length, ETag and date."""
    with app.test_request_context():
        response = send_file("data/hello.txt")
        assert response.mimetype == "text/plain"
        assert response.content_length == 10
        assert response.get_etag()[0]
        assert response.last_modified is not None
        assert isinstance(response, app.response_class)
        assert _body(response) == b"0123456789"


def test_send_file_in_parts(app: Quaff, files: Path, client: FlaskClient) -> None:
    """Ranges and conditions are answered."""
    app.add_url_rule("/", "file", view_func=lambda: send_file("data/hello.txt"))
    whole = client.get("/", buffered=True)
    part = client.get("/", headers={"Range": "bytes=2-4"}, buffered=True)
    assert (part.status_code, part.data, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert client.get("/", headers={"Range": "bytes=20-"}, buffered=True).status_code == 416
    same = client.get("/", headers={"If-None-Match": whole.headers["ETag"]}, buffered=True)
    assert (same.status_code, same.data) == (304, b"")


def test_send_file_as_download(app: Quaff) -> None:
    """A file object needs a name or a type; as an attachment it is saved under the name."""
    with app.test_request_context():
        response = send_file(io.BytesIO(b"x"), as_attachment=True, download_name="a.csv")
        assert response.headers["Content-Disposition"] == "attachment; filename=a.csv"
        assert response.mimetype == "text/csv"
        assert _body(response) == b"x"
        with pytest.raises(TypeError):
            send_file(io.BytesIO(b"x"))
        with pytest.raises(ValueError, match="binary mode"):
            send_file(io.StringIO("x"), download_name="x.txt")  # type: ignore[arg-type]


def test_send_file_max_age(app: Quaff, files: Path) -> None:
    """How long to keep a file comes from the argument, else from the app."""
    with app.test_request_context():
        unset, given = send_file("data/hello.txt"), send_file("data/hello.txt", max_age=10)
        assert unset.cache_control.max_age is None
        assert given.cache_control.max_age == 10
        app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
        configured = send_file("data/hello.txt")
        assert configured.cache_control.max_age == 3600
        app.get_send_file_max_age = lambda name: 5  # type: ignore[method-assign]
        replaced = send_file("data/hello.txt")
        assert replaced.cache_control.max_age == 5
        for response in (unset, given, configured, replaced):
            response.close()


def test_send_file_through_the_server(app: Quaff, files: Path) -> None:
    """With USE_X_SENDFILE the front server is told the path."""
    app.config["USE_X_SENDFILE"] = True
    with app.test_request_context():
        response = send_file("data/hello.txt")
        assert response.headers["X-Sendfile"] == os.fspath(files / "data" / "hello.txt")
        assert _body(response) == b""


def test_send_file_needs_a_request(app: Quaff, files: Path) -> None:
    """Conditions are in the request, so there must be one."""
    with app.app_context(), pytest.raises(RuntimeError, match=r"Working outside of request context\."):
        send_file("data/hello.txt")


def test_send_from_directory(app: Quaff, files: Path) -> None:
    """A file below the directory is sent, with the options of send_file."""
    with app.test_request_context():
        response = send_from_directory("data", "hello.txt", as_attachment=True)
        assert response.headers["Content-Disposition"] == "attachment; filename=hello.txt"
        assert _body(response) == b"0123456789"


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "x/../../secret.txt", "/etc/passwd", "..", ".", "missing.txt", "hello.txt\0", "", "hello.txt/x"],
)
def test_send_from_directory_stays_inside(app: Quaff, files: Path, path: str) -> None:
    """Whatever does not lie below the directory does not exist."""
    with app.test_request_context(), pytest.raises(werkzeug.exceptions.NotFound):
        send_from_directory("data", path)


# Setting up ------------------------------------------------------------------------------------------------------------


def test_root_path_of_an_imported_module() -> None:
    """The folder of the module's file."""
    assert get_root_path("json") == os.path.dirname(os.__file__) + os.sep + "json"


def test_root_path_of_a_module_not_yet_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is found but not imported: importing it may be what fails."""
    (tmp_path / "failing_module.py").write_text("raise NotImplementedError")
    monkeypatch.syspath_prepend(tmp_path)
    assert get_root_path("failing_module") == os.fspath(tmp_path)
    assert "failing_module" not in sys.modules


def test_root_path_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that cannot be found, and an interactive session, mean the current folder."""
    monkeypatch.chdir(tmp_path)
    assert get_root_path("no_such_module") == os.fspath(tmp_path)
    assert get_root_path("no_such_package.module") == os.fspath(tmp_path)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    assert get_root_path("__main__") == os.fspath(tmp_path)


def test_root_path_of_a_namespace_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace package has no folder of its own."""
    (tmp_path / "spread_package").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "spread_package", importlib.import_module("spread_package"))
    with pytest.raises(RuntimeError, match="No root path can be found for 'spread_package'"):
        get_root_path("spread_package")


def test_blueprint_paths() -> None:
    """A nested blueprint's name is followed by those around it."""
    assert _split_blueprint_path("a.b.c") == ["a.b.c", "a.b", "a"]
    assert _split_blueprint_path("a") == ["a"]


def test_names_that_extensions_take_from_here() -> None:
    """What extensions import from flask.helpers is found here as well."""
    from quaff import globals as quaff_globals
    from quaff import helpers

    for name in ("current_app", "request", "session", "request_ctx", "_cv_app", "_cv_request"):
        assert getattr(helpers, name) is getattr(quaff_globals, name)
    assert helpers.werkzeug.utils.send_file
