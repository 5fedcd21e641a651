"""What a scenario is: one request, the app that answers it, the answer that it must give, and the bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.flask_apps import Framework, WSGIApp

COMPARED_HEADERS = ("content-type", "content-length", "location", "vary", "x-frame-options", "x-version")
"""The response headers in which the frameworks must agree, unless a scenario names others."""

PAGE = (
    '<!doctype html>\n<html lang="en">\n<head><title>People</title></head>\n<body>\n<h1>People</h1>\n<table>\n'
    "<tr><th>Name</th><th>Role</th><th>Since</th></tr>\n"
    + "".join(
        f"<tr><td>Ada &lt;{number}&gt;</td><td>mathematician &amp; more</td><td>{1830 + number}</td></tr>\n"
        for number in range(12)
    )
    + "</table>\n</body>\n</html>"
).encode()
"""The page that `flask_apps.page` renders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One request, the app that answers it, and the answer."""

    name: str
    title: str
    build: Callable[[Framework], WSGIApp]
    path: str
    status: int = 200
    body: bytes | None
    """What the app must answer; None when the framework words it (the two frameworks must still agree)."""

    method: str = "GET"
    query: str = ""
    content: bytes = b""
    content_type: str = ""
    bar: float | None = None
    falcon: Callable[[], WSGIApp] | None = None
    falcon_body: str = "same"
    """How Falcon's body is held against ours: "same" bytes, the same "json", or "any" (its own error page)."""

    cookie_from: str = ""
    """A path asked once beforehand; the cookie that it sets is sent along with every timed request."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """More request headers, under their names in the environ: `HTTP_ORIGIN`."""

    compared: tuple[str, ...] = COMPARED_HEADERS
    """The response headers, in lower case, in which the frameworks must agree."""

    same_body: bool = True
    """Whether the frameworks must agree in the body; not where each has a page of its own for people to read."""

    decoded: bool = False
    """The body is compared without its content encoding, and its length is not: compressors may differ in a byte."""

    inner: bool = False
    """Time a call inside one request (see `flask_apps.LOOP_KEY`), not the request."""
