"""WSGI environs for requests of other protocols, which are what `Request` reads."""

from __future__ import annotations

import sys
from collections.abc import Iterable, MutableMapping
from io import BytesIO
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from ..forwarded import HEADERS
from ..proxies import CORRECTED
from .wsgi import Environ

BASE_ENVIRON: Final[Environ] = {
    "SCRIPT_NAME": "",
    "wsgi.errors": sys.stderr,
    # COMPAT: not in PEP 3333. It tells Werkzeug that reading to the end is safe, also without a Content-Length.
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}
"""What is the same for every request on an event loop."""

_WITHOUT_BODY: Final = frozenset({"GET", "HEAD"})

_KNOWN_MAX: Final = 1_000

# COMPAT: PEP 3333 keeps these two without the prefix.
_known: dict[str, str | None] = {
    "content-length": "CONTENT_LENGTH",
    "content-type": "CONTENT_TYPE",
    # SECURITY: httpoxy: `HTTP_PROXY` is what libraries take for the address of a proxy.
    "proxy": None,
}
"""Header name in lower case -> environ key. SECURITY: bounded, for clients choose the names."""


def header_key(name: str) -> str | None:
    """Return the environ key of a header; None for one that must not become one.

    :param name: in lower case.
    """
    if name in _known:
        return _known[name]
    # SECURITY: `x_forwarded_for` would become the key of `x-forwarded-for`, which a proxy checks; nginx drops it too.
    key = None if "_" in name else f"HTTP_{name.upper().replace('-', '_')}"
    if len(_known) < _KNOWN_MAX:
        _known[name] = key
    return key


def put_headers(environ: Environ, headers: Iterable[tuple[str, str]]) -> None:
    """Add request headers to an environ.

    :param headers: names in lower case, and values.
    """
    for name, value in headers:
        key = header_key(name)
        if key is None:
            continue
        before = environ.get(key)
        # RFC: 6265 section 5.4: cookies are joined by semicolons; 9110 section 5.3: everything else by commas.
        separator = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = value if before is None else f"{before}{separator}{value}"


def has_body(method: str, http_version: str, length: str | None, transfer_encoding: str | None) -> bool:
    """Tell whether a request may have a body.

    RFC 9112 section 6.3: over HTTP/1 a body is announced. Over HTTP/2 and 3 any request may have one; GET and HEAD, to which
    a body means nothing (RFC 9110 section 9.3.1), are believed when they announce none.
    """
    if length is not None or transfer_encoding is not None:
        return length != "0"
    return http_version[:1] != "1" and method not in _WITHOUT_BODY


def below_root(path: str, root: str) -> str:
    """Return *path* without the path under which the app is mounted.

    ASGI says since HTTP 2.4 that the path includes the root path; older servers leave it out.
    """
    root = root.rstrip("/")
    return path.removeprefix(root) if root and (path == root or path.startswith(f"{root}/")) else path


def _as_wsgi(text: str) -> str:
    """Return text as WSGI has it: its UTF-8 bytes as latin-1 (PEP 3333)."""
    return text if text.isascii() else text.encode().decode("latin1")


def asgi_environ(scope: MutableMapping[str, Any]) -> Environ:
    """Return the environ for the scope of an HTTP request or a WebSocket over ASGI."""
    server = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    root = scope.get("root_path", "").rstrip("/")
    raw: bytes | None = scope.get("raw_path")
    path = _as_wsgi(scope["path"]) if raw is None else unquote_to_bytes(raw.partition(b"?")[0]).decode("latin1")
    environ: Environ = BASE_ENVIRON | {
        "REQUEST_METHOD": scope.get("method", "GET"),
        "SCRIPT_NAME": _as_wsgi(root),
        "PATH_INFO": below_root(path, _as_wsgi(root)),
        "QUERY_STRING": scope.get("query_string", b"").decode("latin1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": client[0],
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": BytesIO(),
    }
    put_headers(environ, [(str(name, "latin1").lower(), str(value, "latin1")) for name, value in scope["headers"]])
    if CORRECTED in scope:
        # The app around this one has heard who the client is.
        environ[CORRECTED] = scope[CORRECTED]
        if scope[CORRECTED].hides_client:
            del environ["REMOTE_ADDR"]
    return environ


_TELL_THE_CLIENT: Final = {name: HEADERS[name] for name in ("forwarded", "x-forwarded-for")}
"""Headers that may be in the way of the client's address.

SECURITY: Granian 2.8 leaves a value out that is not ASCII, and a request without one would seem to be the proxy's own.
"""


def rsgi_environ(scope: Any) -> Environ:  # Any: Granian has no types
    """Return the environ for the scope of an HTTP request or a WebSocket over RSGI."""
    server, _, port = scope.server.rpartition(":")
    client = scope.client
    environ: Environ = BASE_ENVIRON | {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": _as_wsgi(scope.path),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": server or "localhost",
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_SOFTWARE": "Granian",
        "REMOTE_ADDR": client.rpartition(":")[0].strip("[]") if ":" in client else client,
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": BytesIO(),
    }
    headers = scope.headers
    put_headers(environ, headers.items())
    for name, key in _TELL_THE_CLIENT.items():
        if name in headers:
            environ.setdefault(key, "")
    if scope.authority is not None:
        # RFC: 9113 section 8.3.1: over HTTP/2 it stands for the Host header.
        environ.setdefault("HTTP_HOST", scope.authority)
    return environ
