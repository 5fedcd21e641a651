"""The ASGI scopes that the clients make of described requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from quaff.servers.environ import asgi_environ
from quaff.testing.scope import scope_of

KEPT = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "HTTP_HOST",
    "HTTP_X_TOKEN",
    "HTTP_COOKIE",
    "wsgi.url_scheme",
)
"""What must come out of a scope as it went in."""


def environ_of(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the WSGI environ of a described request."""
    builder = EnvironBuilder(*args, **kwargs)
    try:
        return dict(builder.get_environ())
    finally:
        builder.close()


def kept(environ: dict[str, Any]) -> dict[str, Any]:
    """Return what must survive; an empty content type is none."""
    return {key: environ[key] for key in KEPT if environ.get(key) not in {None, ""}}


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"path": "/a b/\xe4\N{TEACUP WITHOUT HANDLE}", "query_string": {"q": "\xe4 &"}},
        {"path": "/%2F%25", "base_url": "https://a.example:8443/root/\xe4"},
        {"method": "POST", "json": {"a": 1}, "headers": {"X-Token": "t\xe4", "Cookie": "a=b; c=d"}},
        {"method": "PUT", "data": {"a": "b"}},
    ],
)
def test_there_and_back(described: dict[str, Any]) -> None:
    """A server's way from the scope gives the environ that the scope was made of."""
    environ = environ_of(**described)
    assert kept(asgi_environ(scope_of(environ))) == kept(environ)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.text(max_size=10).filter(str.isprintable))
def test_any_path_and_query(path: str, query: str) -> None:
    """Whatever the path is made of, it arrives; `path` is text and `raw_path` its bytes, percent-encoded."""
    environ = environ_of("/", query_string={"q": query} if query.isascii() else "")
    environ["PATH_INFO"] = f"/{path}".encode().decode("latin1")
    scope = scope_of(environ)
    assert scope["path"] == f"/{path}"
    assert scope["raw_path"].isascii()
    assert kept(asgi_environ(scope)) == kept(environ)


def test_names_of_headers() -> None:
    """ASGI wants them in lower case, as bytes; an empty content type or length is left out."""
    scope = scope_of(environ_of(headers={"X-Some-Name": "a"}))
    assert dict(scope["headers"]) == {b"host": b"localhost", b"x-some-name": b"a"}


def test_kinds() -> None:
    """The scope of a WebSocket has its scheme, and says that it can be refused with a response."""
    plain, secure = environ_of(), environ_of(base_url="https://localhost")
    assert [scope_of(environ)["scheme"] for environ in (plain, secure)] == ["http", "https"]
    assert [scope_of(environ, "websocket")["scheme"] for environ in (plain, secure)] == ["ws", "wss"]
    assert (scope_of(plain)["type"], scope_of(plain, "websocket")["type"]) == ("http", "websocket")
    assert scope_of(plain, "websocket")["extensions"] == {"websocket.http.response": {}}
    assert scope_of(plain)["extensions"] == {}


def test_addresses() -> None:
    """Client and server are pairs of address and port."""
    scope = scope_of({**environ_of(base_url="http://a.example:81"), "REMOTE_ADDR": "10.0.0.1"})
    assert (scope["client"], scope["server"]) == (("10.0.0.1", 0), ("a.example", 81))
