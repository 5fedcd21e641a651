"""Responses: for everything that can be constructed, what is sent is what Werkzeug's `Response` would send."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
import werkzeug.wrappers
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers as WerkzeugHeaders
from werkzeug.exceptions import Conflict, MethodNotAllowed, NotFound, Unauthorized
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.urls import iri_to_uri

from quaff import Quaff, Request, Response, json
from quaff.errors import HeaderError
from quaff.headers import Headers
from quaff.wrappers import _PLAIN_URL, STATUS_LINES


class Html(werkzeug.wrappers.Response):
    """Werkzeug's response with the one default that Flask changes."""

    default_mimetype = "text/html"
    autocorrect_location_header = False


def sent(response: Any, method: str = "GET") -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status line, headers and body that a response hands to a server."""
    body, status, headers = run_wsgi_app(response, EnvironBuilder("/path", method=method).get_environ())
    content = b"".join(body)
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return status, list(headers), content


def assert_like_werkzeug(construct: Callable[[type[Any]], Any], method: str = "GET") -> None:
    """Check that both classes send the same for the same construction."""
    assert sent(construct(Response), method) == sent(construct(Html), method)


METHODS = ["GET", "HEAD", "POST"]

CONSTRUCTIONS: dict[str, Callable[[type[Any]], Any]] = {
    "nothing": lambda cls: cls(),
    "text": lambda cls: cls("hello"),
    "unicode": lambda cls: cls("héllo ☃"),
    "empty text": lambda cls: cls(""),
    "bytes": lambda cls: cls(b"\x00\xff"),
    "bytearray": lambda cls: cls(bytearray(b"abc")),
    "list of text": lambda cls: cls(["a", "b"]),
    "list of one text": lambda cls: cls(["a"]),
    "list of one bytes": lambda cls: cls([b"a"]),
    "tuple": lambda cls: cls(("a", b"b")),
    "generator": lambda cls: cls(part for part in ("a", "b")),
    "file": lambda cls: cls(io.BytesIO(b"content")),
    "file, passed through": lambda cls: cls(io.BytesIO(b"content"), direct_passthrough=True),
    "status number": lambda cls: cls("x", status=201),
    "status text": lambda cls: cls("x", status="418 I'M SHORT"),
    "status enum": lambda cls: cls("x", status=HTTPStatus.ACCEPTED),
    "status unknown": lambda cls: cls("x", status=799),
    "status digits": lambda cls: cls("x", status="404"),
    "status word": lambda cls: cls("x", status="fine"),
    "no content": lambda cls: cls("x", status=204),
    "not modified": lambda cls: cls("x", status=304),
    "early hints": lambda cls: cls("x", status=103),
    "headers dict": lambda cls: cls("x", headers={"X-A": "1", "X-B": ["2", "3"]}),
    "headers list": lambda cls: cls("x", headers=[("X-A", "1"), ("X-A", "2")]),
    "headers object": lambda cls: cls("x", headers=WerkzeugHeaders([("X-A", "ü")])),
    "content type in headers": lambda cls: cls("x", headers={"content-type": "text/plain"}),
    "mimetype": lambda cls: cls("x", mimetype="text/css"),
    "mimetype without charset": lambda cls: cls("x", mimetype="image/png"),
    "content type": lambda cls: cls("x", content_type="text/plain; charset=latin1"),
    "content type over headers": lambda cls: cls("x", headers={"Content-Type": "a/b"}, content_type="c/d"),
    "own content length": lambda cls: cls([b"abc"], headers={"Content-Length": "3"}),
    "location": lambda cls: cls("x", status=302, headers={"Location": "/ü ☃?q=a b"}),
    "content location": lambda cls: cls("x", headers={"Content-Location": "http://ü.example/"}),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("construct", CONSTRUCTIONS.values(), ids=list(CONSTRUCTIONS))
def test_what_is_sent_is_what_werkzeug_sends(construct: Callable[[type[Any]], Any], method: str) -> None:
    """Status line, headers in their order and body are Werkzeug's."""
    assert_like_werkzeug(construct, method)


@given(
    body=st.none()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.lists(st.text(max_size=4) | st.binary(max_size=4), max_size=3),
    status=st.none() | st.integers(100, 599) | st.sampled_from(list(HTTPStatus)),
    headers=st.lists(
        st.tuples(st.sampled_from(["X-A", "Content-Type", "ETag", "Vary"]), st.text("abc=;", max_size=6)), max_size=3
    ),
    mimetype=st.none() | st.sampled_from(["text/plain", "application/json", "application/xml", "image/png"]),
    method=st.sampled_from(METHODS),
)
@settings(max_examples=300, deadline=None)
def test_any_combination(body: Any, status: Any, headers: Any, mimetype: Any, method: str) -> None:
    """Arguments in any combination make the response that Werkzeug makes."""
    assert_like_werkzeug(lambda cls: cls(body, status, list(headers), mimetype), method)


@given(st.from_regex(_PLAIN_URL, fullmatch=True))
@settings(deadline=None)
def test_plain_urls_are_those_that_werkzeug_leaves_alone(url: str) -> None:
    """What is sent as it is would have been sent as it is."""
    assert iri_to_uri(url) == url


@given(
    st.text("/:?#@.%[]\\-aA1é ", max_size=12)
    | st.tuples(st.sampled_from(["/", "//", "http://a.b/", "https://A.b:80", "HTTP://a/"]), st.text(max_size=6)).map(
        "".join
    )
)
@settings(max_examples=300, deadline=None)
def test_any_location(url: str) -> None:
    """A redirect to whatever URL is sent as Werkzeug sends it, or fails as it does there."""

    def construct(cls: type[Any]) -> Any:
        response = cls("x", status=302)
        response.autocorrect_location_header = False
        response.headers._list.append(("Location", url))
        return response

    try:
        iri_to_uri(url)
    except ValueError:
        return
    if not any(ord(character) < 32 or ord(character) == 127 for character in url):
        assert_like_werkzeug(construct, "GET")


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.set_data("new"),
        lambda r: setattr(r, "data", b"newer"),
        lambda r: setattr(r, "status_code", 404),
        lambda r: setattr(r, "status", "500 Broken"),
        lambda r: setattr(r, "mimetype", "application/xml"),
        lambda r: setattr(r, "response", ["a", "b"]),
        lambda r: r.headers.add("X-A", "1"),
        lambda r: r.headers.pop("Content-Length", None),
        lambda r: r.headers.clear(),
        lambda r: r.vary.add("Cookie"),
        lambda r: setattr(r.cache_control, "max_age", 5),
        lambda r: setattr(r, "last_modified", datetime(2024, 1, 2, tzinfo=UTC)),
        lambda r: r.add_etag(),
        lambda r: r.set_etag("x", weak=True),
        lambda r: r.freeze(),
        lambda r: r.make_sequence(),
        lambda r: r.delete_cookie("a"),
        lambda r: setattr(r, "automatically_set_content_length", False),
        lambda r: r.stream.write("more"),
        lambda r: setattr(r, "location", "/there"),
        lambda r: setattr(r, "age", timedelta(seconds=5)),
    ],
)
@pytest.mark.parametrize("body", ["hello", ["a", "b"], b""])
def test_changing_a_response_afterwards(change: Callable[[Any], Any], body: Any) -> None:
    """A response that is changed through Werkzeug's API sends what Werkzeug's would send."""

    def construct(cls: type[Any]) -> Any:
        response = cls(list(body) if isinstance(body, list) else body)
        change(response)
        return response

    assert_like_werkzeug(construct)


@pytest.mark.parametrize(
    "headers",
    [{}, {"If-None-Match": '"x"'}, {"Range": "bytes=0-1"}, {"If-Modified-Since": "Tue, 02 Jan 2029 00:00:00 GMT"}],
)
def test_conditional_responses(headers: dict[str, str]) -> None:
    """`make_conditional` answers 304 and 206 as Werkzeug does."""
    environ = EnvironBuilder("/", headers=headers).get_environ()

    def construct(cls: type[Any]) -> Any:
        response = cls("hello")
        response.set_etag("x")
        response.last_modified = datetime(2028, 1, 2, tzinfo=UTC)
        response.date = datetime(2028, 1, 3, tzinfo=UTC)
        return response.make_conditional(environ, accept_ranges=True, complete_length=5)

    assert_like_werkzeug(construct)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"value": "x y;z"},
        {"value": "ü"},
        {"max_age": 5},
        {"max_age": timedelta(minutes=1)},
        {"expires": datetime(2030, 1, 1, tzinfo=UTC)},
        {"expires": 0},
        {"path": None},
        {"domain": "shop.example"},
        {"domain": ".shop.example"},
        {"secure": True, "httponly": True, "samesite": "Lax"},
        {"partitioned": True},
    ],
)
def test_cookies(arguments: dict[str, Any]) -> None:
    """`set_cookie` writes the header that Werkzeug writes."""

    def construct(cls: type[Any]) -> Any:
        response = cls("x")
        response.set_cookie("name", **arguments)
        response.set_cookie("other", "2")
        return response

    assert_like_werkzeug(construct)


def test_a_large_cookie_warns() -> None:
    """Beyond MAX_COOKIE_SIZE a cookie warns, and the config decides where that is; 0 is never."""
    with pytest.warns(UserWarning, match="too large"):
        Response().set_cookie("a", "x" * 4093)
    app = Quaff("shop")
    app.config["MAX_COOKIE_SIZE"] = 20
    with app.app_context():
        assert Response().max_cookie_size == 20
        with pytest.warns(UserWarning, match="too large"):
            Response().set_cookie("a", "x" * 20)
    app.config["MAX_COOKIE_SIZE"] = 0
    with app.app_context():
        Response().set_cookie("a", "x" * 5000)


# How it is sent --------------------------------------------------------------------------------------------------------


def test_one_chunk_goes_out_as_a_list() -> None:
    """PERF: a plain body reaches the server as a list of one bytes object, which servers send without iterating."""
    body = Response("hello")(EnvironBuilder().get_environ(), lambda status, headers: None)  # type: ignore[arg-type, return-value]
    assert body == [b"hello"]
    assert type(body) is list
    head = Response("hello")(EnvironBuilder(method="HEAD").get_environ(), lambda status, headers: None)  # type: ignore[arg-type, return-value]
    assert head == []


def test_sending_twice() -> None:
    """A response can be sent twice, and sending does not change its headers."""
    response = Response(["a"])
    assert sent(response) == sent(response)
    assert "Content-Length" not in response.headers


@pytest.mark.parametrize("body", ["hello", ["a", "b"]])
def test_functions_on_close_are_called(body: Any) -> None:
    """`call_on_close` is called when the server closes the body, once, in order."""
    calls: list[str] = []
    response = Response(body)
    response.call_on_close(lambda: calls.append("one"))
    response.call_on_close(lambda: calls.append("two"))
    iterable = response(EnvironBuilder().get_environ(), lambda status, headers: None)  # type: ignore[arg-type, return-value]
    b"".join(iterable)
    assert calls == []
    iterable.close()  # type: ignore[attr-defined]
    assert calls == ["one", "two"]


def test_a_stream_is_closed() -> None:
    """The iterable that was given is closed with the response, read or not."""

    class Body:
        closed = False

        def __iter__(self) -> Iterator[bytes]:
            yield b"a"

        def close(self) -> None:
            self.closed = True

    for read in (True, False):
        body = Body()
        iterable = Response(body)(EnvironBuilder().get_environ(), lambda status, headers: None)  # type: ignore[arg-type, return-value]
        if read:
            assert list(iterable) == [b"a"]
        iterable.close()  # type: ignore[attr-defined]
        assert body.closed


def test_a_stream_is_not_read_ahead() -> None:
    """A generator is asked for a part only when the server wants it."""
    asked: list[int] = []

    def parts() -> Iterator[str]:
        for number in range(3):
            asked.append(number)
            yield str(number)

    iterable = iter(Response(parts())(EnvironBuilder().get_environ(), lambda status, headers: None))  # type: ignore[arg-type, return-value]
    assert asked == []
    assert next(iterable) == b"0"
    assert asked == [0]
    iterable.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "hook", ["get_wsgi_headers", "get_app_iter", "get_wsgi_response", "iter_encoded", "close", "__call__"]
)
def test_a_subclass_may_override_each_step(hook: str) -> None:
    """A class that overrides how a response is sent is asked, in its subclasses too."""
    calls: list[str] = []
    original = getattr(Response, hook)

    def override(self: Any, *args: Any) -> Any:
        calls.append(hook)
        return original(self, *args)

    cls = type("Mine", (Response,), {hook: override})
    deeper = type("Deeper", (cls,), {})
    for each in (cls, deeper):
        calls.clear()
        status, headers, body = sent(each("hello"))
        assert (status, dict(headers)["Content-Length"], body) == ("200 OK", "5", b"hello")
        assert calls


def test_a_changed_header_of_a_subclass_is_sent() -> None:
    """The usual override, adding a header when the response is sent, works in an app of either pipeline."""

    class Mine(Response):
        def get_wsgi_headers(self, environ: Any) -> Any:
            headers = super().get_wsgi_headers(environ)
            headers["X-Path"] = environ["PATH_INFO"]
            return headers

    for compiled in (True, False):
        app = Quaff("shop", compiled=compiled)
        app.response_class = Mine
        app.add_url_rule("/here", "here", lambda: "hello")
        assert app.test_client().get("/here").headers["X-Path"] == "/here"
        assert app.test_client().get("/none").headers["X-Path"] == "/none"


# Other things that answer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [NotFound(), MethodNotAllowed(["GET", "PUT"]), NotFound("<why>"), Conflict(response=Html("own", 409))]
)
def test_an_http_error_becomes_a_response(error: Any) -> None:
    """`force_type` turns an HTTP error into the response that it is as a WSGI app."""
    environ = EnvironBuilder().get_environ()
    response = Response.force_type(error, environ)
    assert type(response) is Response
    assert isinstance(response.headers, Headers)
    assert sent(response) == sent(error)


def test_a_wsgi_app_becomes_a_response() -> None:
    """`force_type` calls a WSGI app with the environ; without one it cannot."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("201 Made", [("X-Path", environ["PATH_INFO"])])
        return [b"from ", b"wsgi"]

    response = Response.force_type(application, EnvironBuilder("/here").get_environ())
    assert (response.status, response.headers["X-Path"], response.get_data()) == ("201 Made", "/here", b"from wsgi")
    with pytest.raises(TypeError):
        Response.force_type(application)


def test_a_werkzeug_response_becomes_ours_in_place() -> None:
    """A response of another class keeps its identity and gets our class and our headers."""
    other: Any = werkzeug.wrappers.Response("x", headers={"X-A": "1"})
    forced = Response.force_type(other)
    assert forced is other
    assert type(forced) is Response
    assert isinstance(forced.headers, Headers)
    assert forced.headers["X-A"] == "1"
    assert Response.force_type(forced) is forced


def test_an_error_with_a_response_of_a_subclass() -> None:
    """An error class that overrides how it answers is asked."""

    class Teapot(Unauthorized):
        def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
            start_response("418 Teapot", [])
            return [b"short"]

    response = Response.force_type(Teapot(), EnvironBuilder().get_environ())
    assert (response.status_code, response.get_data()) == (418, b"short")


# Refusals and defaults -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "construct",
    [
        lambda: Response(headers={"X-A": "a\r\nX-B: b"}),
        lambda: Response(headers={"X A": "a"}),
        lambda: Response(headers=WerkzeugHeaders([("X-A", "\0")])),
        lambda: Response(status="200 OK\r\nX-A: b"),
        lambda: Response(content_type="text/html\n"),
        lambda: Response().headers.add("X-A", "\x00"),
        lambda: setattr(Response(), "status", "200 O\nK"),
        lambda: Response().set_cookie("a;b"),
        lambda: Response().set_cookie("a", path="/\n"),
        lambda: Response().set_cookie("a", domain="x y"),
    ],
)
def test_what_cannot_be_sent_is_refused_where_it_is_set(construct: Callable[[], Any]) -> None:
    """Control characters in headers, status and cookies raise at once, as a ValueError."""
    with pytest.raises(HeaderError):
        construct()


def test_an_empty_status_is_refused() -> None:
    """Werkzeug's message for a missing status is kept."""
    with pytest.raises(ValueError, match="Empty status argument"):
        Response(status="")


def test_class_attributes() -> None:
    """Flask's defaults, and the JSON module that `response.json` reads with."""
    assert issubclass(Response, werkzeug.wrappers.Response)
    assert Response.default_mimetype == "text/html"
    assert Response.json_module is json is Request.json_module
    assert Response.autocorrect_location_header is False
    assert Response('{"a": 1}', mimetype="application/json").json == {"a": 1}


def test_status_lines_are_those_of_werkzeug() -> None:
    """The table of status lines holds what Werkzeug would make of each code."""
    for code, line in STATUS_LINES.items():
        assert Html(status=code).status == line == Response(status=code).status
        assert Response(status=code).status_code == code


def test_a_response_of_a_body() -> None:
    """`of_body` makes what the constructor makes, in fewer steps."""
    quick, full = Response.of_body(b"hello", "text/html; charset=utf-8"), Response(b"hello")
    assert vars(quick).keys() == vars(full).keys()
    assert sent(quick) == sent(full)
    quick.headers["X-A"] = "1"
    quick.call_on_close(lambda: None)
    assert (quick.status_code, quick.get_data(), quick.headers["X-A"]) == (200, b"hello", "1")
