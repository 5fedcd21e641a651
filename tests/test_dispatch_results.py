"""What views may return, and what becomes of it: `make_response`, called by the app or by a view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from werkzeug.exceptions import NotFound

from quaff import Quaff, Response, jsonify, make_response


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline."""
    return Quaff(__name__, compiled=request.param)


def serving(app: Quaff, result: Any, **options: Any) -> Any:
    """Return the answer of a view that returns *result*."""
    app.testing = True
    app.add_url_rule("/", "index", lambda: result, **options)
    return app.test_client().get("/")


def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Be a WSGI app."""
    start_response("202 From WSGI", [("Content-Type", "text/x"), ("X-Path", environ["PATH_INFO"])])
    return [b"wsgi"]


@pytest.mark.parametrize(
    "make, status, body, content_type",
    [
        (lambda: "text", "200 OK", b"text", "text/html; charset=utf-8"),
        (lambda: "tëxt", "200 OK", "tëxt".encode(), "text/html; charset=utf-8"),
        (lambda: "", "200 OK", b"", "text/html; charset=utf-8"),
        (lambda: b"bytes", "200 OK", b"bytes", "text/html; charset=utf-8"),
        (lambda: bytearray(b"ba"), "200 OK", b"ba", "text/html; charset=utf-8"),
        (lambda: {"a": 1}, "200 OK", b'{"a":1}\n', "application/json"),
        (lambda: [1, 2], "200 OK", b"[1,2]\n", "application/json"),
        (dict, "200 OK", b"{}\n", "application/json"),
        (lambda: iter(["a", "b"]), "200 OK", b"ab", "text/html; charset=utf-8"),
        (lambda: (part for part in (b"a", b"b")), "200 OK", b"ab", "text/html; charset=utf-8"),
        (lambda: Response("r", 201), "201 CREATED", b"r", "text/html; charset=utf-8"),
        (lambda: ("t", 404), "404 NOT FOUND", b"t", "text/html; charset=utf-8"),
        (lambda: ("t", "418 Teapot"), "418 Teapot", b"t", "text/html; charset=utf-8"),
        (lambda: ("t", {"Content-Type": "text/plain"}), "200 OK", b"t", "text/plain"),
        (lambda: ("t", [("Content-Type", "text/plain")]), "200 OK", b"t", "text/plain"),
        (lambda: ("t", 201, {"Content-Type": "text/plain"}), "201 CREATED", b"t", "text/plain"),
        (lambda: ({"a": 1}, 201), "201 CREATED", b'{"a":1}\n', "application/json"),
        (lambda: (b"t", None, None), "200 OK", b"t", "text/html; charset=utf-8"),
        (lambda: (Response("r", 201), 202, {"X-A": "1"}), "202 ACCEPTED", b"r", "text/html; charset=utf-8"),
        (lambda: wsgi, "202 From WSGI", b"wsgi", "text/x"),
        (lambda: (wsgi, 203), "203 NON AUTHORITATIVE INFORMATION", b"wsgi", "text/x"),
        (lambda: NotFound(), "404 NOT FOUND", None, "text/html; charset=utf-8"),
    ],
)
def test_what_a_view_may_return(app: Quaff, make: Any, status: str, body: bytes | None, content_type: str) -> None:
    """Each kind of result is the response that Flask makes of it, from a view and by `make_response`."""
    app.testing = True
    app.add_url_rule("/", "index", make)
    app.add_url_rule("/made", "made", lambda: make_response(make()))
    for path in ("/", "/made"):
        response = app.test_client().get(path)
        assert (response.status, response.headers["Content-Type"]) == (status, content_type)
        assert body is None or response.data == body


@pytest.mark.parametrize("result", ["text", b"bytes", {"a": 1}, [1], ("t", 201), iter(["a"])])
def test_head(app: Quaff, result: Any) -> None:
    """HEAD is answered by the view of GET, with its headers and without its content."""
    app.testing = True
    app.add_url_rule("/", "index", lambda: result)
    client = app.test_client()
    head = client.head("/")
    assert head.data == b""
    if not isinstance(result, Iterator):
        assert list(head.headers) == list(client.get("/").headers)


def test_a_subclass_of_a_plain_type(app: Quaff) -> None:
    """Subclasses of str, bytes, dict and list are treated as what they are."""

    class Text(str):
        __slots__ = ()

    class Table(dict[str, int]):
        """A dict of the user's own."""

    assert serving(app, Text("t")).data == b"t"
    app.view_functions["index"] = lambda: Table(a=1)
    assert app.test_client().get("/").json == {"a": 1}


NOTHING = (
    "The view function for 'index' did not return a valid response. The function either returned None or ended without a"
    " return statement."
)
WRONG_TUPLE = (
    "The view function did not return a valid response tuple. The tuple must have the form (body, status, headers),"
    " (body, status), or (body, headers)."
)
WRONG_TYPE = (
    "The view function did not return a valid response. The return type must be a string, dict, list, tuple with headers"
    " or status, Response instance, or WSGI callable, but it was a {}."
)
BAD_RESULTS: list[tuple[Any, str]] = [
    (None, NOTHING),
    ((None, 200), NOTHING),
    *((wrong, WRONG_TUPLE) for wrong in ((), ("a",), (1, 2, 3, 4))),
    *((wrong, WRONG_TYPE.format(type(wrong).__name__)) for wrong in (5, 1.5, True, {1}, object())),
]


@pytest.mark.parametrize("result, message", BAD_RESULTS)
def test_what_a_view_may_not_return(app: Quaff, result: Any, message: str) -> None:
    """Anything else is a TypeError with Flask's explanation."""
    with pytest.raises(TypeError) as caught:
        serving(app, result)
    assert str(caught.value) == message


def test_a_callable_that_is_no_wsgi_app(app: Quaff) -> None:
    """The error of calling it is kept in front of the explanation."""
    message = (
        r"takes 1 positional argument but 2 were given\nThe view function did not return a valid response\. The return type"
        r" must be a string, .* but it was a function\.$"
    )
    with pytest.raises(TypeError, match=message):
        serving(app, lambda only: only)


def test_make_response_of_a_subclass(app: Quaff) -> None:
    """An overridden `make_response` sees every result, those of error handlers too."""

    class Loud(Quaff):
        def make_response(self, rv: Any) -> Response:
            return super().make_response(rv.upper() if isinstance(rv, str) else rv)

    loud = Loud(__name__, compiled=app.compiled)
    loud.add_url_rule("/", "index", lambda: "hello")
    loud.register_error_handler(404, lambda error: "gone")
    client = loud.test_client()
    assert (client.get("/").text, client.get("/none").text) == ("HELLO", "GONE")


def test_a_response_class_of_ones_own(app: Quaff) -> None:
    """All results become the app's response class, whose defaults count."""

    class Plain(Response):
        default_mimetype = "text/plain"
        default_status = 202

    app.response_class = Plain
    response = serving(app, "x")
    assert (response.status_code, response.mimetype) == (202, "text/plain")
    with app.app_context():
        assert type(make_response()) is Plain
        assert type(jsonify(1)) is Plain
