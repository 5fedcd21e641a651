"""WSGI environs for requests of other protocols."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from quaff.servers.environ import asgi_environ, below_root, has_body, header_key, put_headers, rsgi_environ


@pytest.mark.parametrize(
    "name, key",
    [
        ("accept", "HTTP_ACCEPT"),
        ("x-request-id", "HTTP_X_REQUEST_ID"),
        ("content-type", "CONTENT_TYPE"),
        ("content-length", "CONTENT_LENGTH"),
        # A library would take it for the address of a proxy.
        ("proxy", None),
        # It would pass for the header that a proxy checks.
        ("x_forwarded_for", None),
    ],
)
def test_keys_of_headers(name: str, key: str | None) -> None:
    """PEP 3333's names; none for headers that mean harm."""
    assert header_key(name) == key
    assert header_key(name) == key


def test_many_names_are_not_kept() -> None:
    """Clients choose the names, so what is remembered of them has a limit, and the rest is right all the same."""
    for number in range(3000):
        assert header_key(f"x-{number}") == f"HTTP_X_{number}"


def test_repeated_headers_are_joined() -> None:
    """Cookies by semicolons, everything else by commas."""
    environ: dict[str, Any] = {}
    put_headers(environ, [("accept", "a"), ("cookie", "x=1"), ("accept", "b"), ("cookie", "y=2"), ("proxy", "evil")])
    assert environ == {"HTTP_ACCEPT": "a,b", "HTTP_COOKIE": "x=1; y=2"}


@pytest.mark.parametrize(
    "method, version, length, coding, expected",
    [
        ("POST", "1.1", "5", None, True),
        ("POST", "1.1", None, "chunked", True),
        ("POST", "1.1", "0", None, False),
        ("POST", "1.1", None, None, False),
        ("GET", "1.1", "5", None, True),
        ("POST", "2", None, None, True),
        ("GET", "2", None, None, False),
    ],
)
def test_which_requests_have_a_body(
    method: str, version: str, length: str | None, coding: str | None, expected: bool
) -> None:
    """Over HTTP/1 a body is announced; over HTTP/2 any request but GET and HEAD may have one."""
    assert has_body(method, version, length, coding) is expected


@pytest.mark.parametrize(
    "path, root, below",
    [("/a", "", "/a"), ("/r/a", "/r", "/a"), ("/r/a", "/r/", "/a"), ("/ra", "/r", "/ra"), ("/a", "/r", "/a")],
)
def test_paths_below_a_root(path: str, root: str, below: str) -> None:
    """The root path is taken off where the server has put it on, and only whole."""
    assert below_root(path, root) == below


def test_an_asgi_scope() -> None:
    """The raw path keeps bytes that are no UTF-8; the root becomes SCRIPT_NAME."""
    scope = {
        "type": "http",
        "method": "PUT",
        "scheme": "https",
        "http_version": "1.1",
        "path": "/r/\ufffd",
        "raw_path": b"/r/%ff",
        "root_path": "/r",
        "query_string": b"q=%20",
        "headers": [(b"host", b"example.org"), (b"x-a", b"\xe9")],
        "server": ("127.0.0.1", 8000),
        "client": ("10.0.0.1", 5),
    }
    environ = asgi_environ(scope)
    expected = {
        "REQUEST_METHOD": "PUT",
        "SCRIPT_NAME": "/r",
        "PATH_INFO": "/\xff",
        "QUERY_STRING": "q=%20",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "10.0.0.1",
        "HTTP_HOST": "example.org",
        "HTTP_X_A": "\xe9",
        "wsgi.url_scheme": "https",
    }
    assert environ | expected == environ
    assert environ["wsgi.input"].read() == b""


def test_an_asgi_scope_with_what_must_be_there() -> None:
    """A server may leave out addresses, the raw path and the version."""
    environ = asgi_environ({"type": "http", "path": "/é", "headers": []})
    assert environ["PATH_INFO"] == "/\xc3\xa9"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"], environ["REMOTE_ADDR"]) == ("localhost", "80", "")


def rsgi_scope(**changes: Any) -> Any:
    """Give what Granian gives."""
    values = {
        "method": "GET",
        "path": "/é",
        "query_string": "a=1",
        "server": "127.0.0.1:8000",
        "client": "[::1]:5",
        "scheme": "http",
        "http_version": "1.1",
        "authority": None,
        "headers": {"host": "example.org"},
    }
    return SimpleNamespace(**{**values, **changes})


def test_an_rsgi_scope() -> None:
    """Addresses are taken apart; the path is the bytes that were sent."""
    environ = rsgi_environ(rsgi_scope())
    expected = {
        "PATH_INFO": "/\xc3\xa9",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "::1",
        "HTTP_HOST": "example.org",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    assert environ | expected == environ


def test_the_authority_stands_for_the_host() -> None:
    """Over HTTP/2 there is no Host header; and a unix socket has no address."""
    environ = rsgi_environ(rsgi_scope(headers={}, authority="example.org", client="", server=""))
    assert environ["HTTP_HOST"] == "example.org"
    assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"]) == ("", "localhost")
