"""ASGI scopes for made-up requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote


def _headers(environ: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key[5:].replace("_", "-").lower().encode("latin1"), value.encode("latin1")
        elif key in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value:
            yield key.replace("_", "-").lower().encode("latin1"), value.encode("latin1")


def scope_of(environ: dict[str, Any], kind: str = "http") -> dict[str, Any]:
    """Return the ASGI scope for the request that a WSGI environ describes.

    :param kind: `http` or `websocket`.
    """
    root: str = environ.get("SCRIPT_NAME", "").rstrip("/")
    path = (root + environ.get("PATH_INFO", "/")).encode("latin1")
    scheme: str = environ.get("wsgi.url_scheme", "http")
    if kind == "websocket":
        scheme = "wss" if scheme == "https" else "ws"
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").rpartition("/")[2],
        "method": environ.get("REQUEST_METHOD", "GET"),
        "scheme": scheme,
        "path": path.decode(errors="replace"),
        "raw_path": quote(path, safe="/!$&'()*+,;=:@-._~").encode(),
        "root_path": root.encode("latin1").decode(errors="replace"),
        "query_string": environ.get("QUERY_STRING", "").encode("latin1"),
        "headers": list(_headers(environ)),
        "client": (environ.get("REMOTE_ADDR", "127.0.0.1"), 0),
        "server": (environ.get("SERVER_NAME", "localhost"), int(environ.get("SERVER_PORT", 80))),
        "extensions": {"websocket.http.response": {}} if kind == "websocket" else {},
    }
