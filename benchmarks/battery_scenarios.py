"""What is asked of the batteries: for each case one request to an app with the battery, and the same to one without it.

`batteries.py` times both on Flask, with the extension, and on Quaff, with the battery. What is added by the one is held
against what is added by the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks import battery_apps as apps
from benchmarks.scenario import PAGE, Scenario

CALLS = 3
"""The Python calls that a battery may add to a request that it does not act on."""

TENTH, FIFTH = 0.1, 0.2
"""What a battery may add where it acts, as a share of what the extension adds to Flask."""

ORIGIN = {"HTTP_ORIGIN": apps.ORIGINS[0]}
PREFLIGHT = {**ORIGIN, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}
ENCODINGS = {"HTTP_ACCEPT_ENCODING": "gzip, br, zstd"}
PROXIED = {"HTTP_X_FORWARDED_FOR": "203.0.113.9", "HTTP_X_FORWARDED_PROTO": "https"}

TALISMAN_HEADERS = ("x-frame-options", "x-content-type-options", "referrer-policy", "content-security-policy")
LIMIT_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining")
GREETING = apps.GREETING.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request, with and without a battery."""

    name: str
    battery: str
    """The name in the report."""

    title: str
    """What the request is."""

    build: apps.Builder
    acts: bool
    """Whether the battery has anything to do with the request."""

    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    """The status with the battery; without it is 200."""

    body: bytes | None = GREETING
    """The body with the battery; None when the frameworks word it."""

    bare_body: bytes | None = GREETING
    compared: tuple[str, ...] = ()
    """The response headers in which Flask with the extension and Quaff with the battery must agree."""

    own_page: bool = False
    """Whether each framework has a page of its own for this answer."""

    decoded: bool = False
    codec: bool = False
    """Whether compressing is what takes the time: then it is timed by itself as well, without any framework."""

    bar: float | None = TENTH
    """The share of the extension's time, where the battery acts; None for no bar."""

    def scenario(self, on: bool) -> Scenario:
        """Return the request to the app with the battery (*on*) or without it, under a name by which it is found."""
        return Scenario(
            name=self.name if on else f"{self.name}-bare",
            title=self.title,
            build=lambda framework: self.build(framework, on),
            path=self.path,
            method=self.method,
            headers=self.headers,
            status=self.status if on else 200,
            body=self.body if on else self.bare_body,
            compared=(*(() if on and self.own_page else ("content-type",)), *(self.compared if on else ())),
            same_body=not (on and self.own_page),
            decoded=on and self.decoded,
        )

    def codec_scenario(self, on: bool) -> Scenario:
        """Return a request whose body is compressed (*on*) or not by a bare function."""
        body = self.bare_body or b""
        return Scenario(
            name=f"{self.name}-codec" if on else f"{self.name}-codec-bare",
            title=f"{self.title}: the codec alone",
            build=lambda framework: apps.only_compress(body, on),
            path="/",
            body=body,
            decoded=on,
        )


def as_json(value: object) -> bytes:
    """Return *value* as both frameworks write it."""
    return (json.dumps(value, separators=(",", ":"), sort_keys=True) + "\n").encode()


JSON_BODY, NEW_JSON_BODY = as_json(apps.RECORDS), as_json({"number": 0, "records": apps.RECORDS})
HTML_BODY, NEW_HTML_BODY = apps.HTML.encode(), f"<!-- 0 -->{apps.HTML}".encode()
SMALL_BODY = apps.SMALL.encode()

CASES = {
    case.name: case
    for case in (
        Case(
            name="cors-elsewhere",
            battery="CORS",
            title="a path that it is not for",
            build=apps.cors,
            acts=False,
            headers=ORIGIN,
        ),
        Case(
            name="cors-without-origin",
            battery="CORS",
            title="no `Origin`",
            build=apps.cors,
            acts=False,
            path="/api/items",
        ),
        Case(
            name="cors-request",
            battery="CORS",
            title="an allowed `Origin`",
            build=apps.cors,
            acts=True,
            path="/api/items",
            headers=ORIGIN,
            compared=("access-control-allow-origin", "vary"),
        ),
        Case(
            name="cors-preflight",
            battery="CORS",
            title="preflight",
            build=apps.cors,
            acts=True,
            path="/api/items",
            method="OPTIONS",
            headers=PREFLIGHT,
            body=b"",
            bare_body=b"",
            compared=("access-control-allow-origin", "access-control-allow-methods"),
        ),
        Case(
            name="talisman-headers",
            battery="Talisman",
            title="its default headers",
            build=apps.security_headers,
            acts=True,
            compared=TALISMAN_HEADERS,
        ),
        Case(
            name="talisman-redirect",
            battery="Talisman",
            title="redirect to HTTPS",
            build=apps.force_https,
            acts=True,
            status=302,
            body=None,
            own_page=True,
            compared=("location", *TALISMAN_HEADERS),
        ),
        Case(
            name="sslify-skipped",
            battery="SSLify",
            title="a path that is skipped",
            build=apps.sslify,
            acts=False,
            path="/health",
        ),
        Case(
            name="sslify-redirect",
            battery="SSLify",
            title="redirect to HTTPS",
            build=apps.sslify,
            acts=True,
            status=302,
            body=None,
            own_page=True,
            compared=("location",),
        ),
        Case(
            name="limiter-free",
            battery="Limiter",
            title="a view without a limit",
            build=apps.limiter,
            acts=False,
            path="/free",
        ),
        Case(
            name="limiter-counted",
            battery="Limiter",
            title="one limit in memory, with headers",
            build=apps.limiter,
            acts=True,
            compared=LIMIT_HEADERS,
            bar=FIFTH,
        ),
        Case(
            name="compress-small",
            battery="Compress",
            title="190 bytes, below the minimum",
            build=apps.compress,
            acts=False,
            path="/small",
            headers=ENCODINGS,
            body=SMALL_BODY,
            bare_body=SMALL_BODY,
            compared=("content-encoding", "content-length"),
        ),
        Case(
            name="compress-refused",
            battery="Compress",
            title="20 kB of HTML, no `Accept-Encoding`: only `Vary`",
            build=apps.compress,
            acts=True,
            path="/html",
            body=HTML_BODY,
            bare_body=HTML_BODY,
            compared=("content-encoding", "content-length", "vary"),
        ),
        Case(
            name="compress-json",
            battery="Compress",
            title="2 kB of JSON, always the same",
            build=apps.compress,
            acts=True,
            path="/json",
            headers=ENCODINGS,
            body=JSON_BODY,
            bare_body=JSON_BODY,
            compared=("content-encoding",),
            decoded=True,
        ),
        Case(
            name="compress-new-json",
            battery="Compress",
            title="2 kB of JSON, new each time",
            build=apps.compress,
            acts=True,
            path="/new/json",
            headers=ENCODINGS,
            body=NEW_JSON_BODY,
            bare_body=NEW_JSON_BODY,
            compared=("content-encoding",),
            decoded=True,
            codec=True,
        ),
        Case(
            name="compress-html",
            battery="Compress",
            title="20 kB of HTML, always the same",
            build=apps.compress,
            acts=True,
            path="/html",
            headers=ENCODINGS,
            body=HTML_BODY,
            bare_body=HTML_BODY,
            compared=("content-encoding",),
            decoded=True,
        ),
        Case(
            name="compress-new-html",
            battery="Compress",
            title="20 kB of HTML, new each time",
            build=apps.compress,
            acts=True,
            path="/new/html",
            headers=ENCODINGS,
            body=NEW_HTML_BODY,
            bare_body=NEW_HTML_BODY,
            compared=("content-encoding",),
            decoded=True,
            codec=True,
        ),
        Case(
            name="cache-elsewhere",
            battery="Cache",
            title="a view that is not cached",
            build=apps.caching,
            acts=False,
        ),
        Case(
            name="cache-view",
            battery="Cache",
            title="a cached view",
            build=apps.caching,
            acts=True,
            path="/cached",
        ),
        Case(
            name="cache-memoize",
            battery="Cache",
            title="a memoized function",
            build=apps.caching,
            acts=True,
            path="/memo",
        ),
        Case(
            name="proxy-direct",
            battery="Proxy",
            title="nothing forwarded",
            build=apps.proxy,
            acts=False,
            body=b"127.0.0.1 http",
            bare_body=b"127.0.0.1 http",
        ),
        Case(
            name="proxy-forwarded",
            battery="Proxy",
            title="`X-Forwarded-For` and `-Proto`",
            build=apps.proxy,
            acts=True,
            headers=PROXIED,
            body=b"203.0.113.9 https",
            bare_body=b"127.0.0.1 http",
        ),
    )
}
"""Every case of the report by name, in its order."""

BATTERIES = tuple(dict.fromkeys(case.battery.lower() for case in CASES.values()))
"""The names by which batteries are chosen."""

TOGETHER = Case(
    name="all-together",
    battery="All of them",
    title="CORS, Talisman, Limiter and the proxy act, Compress and Cache look on",
    build=apps.together,
    acts=True,
    path="/api/items",
    headers={**ORIGIN, **ENCODINGS, **PROXIED},
    compared=("access-control-allow-origin", *TALISMAN_HEADERS, *LIMIT_HEADERS),
)
"""All batteries in one app. Its bar is not a share of the extensions, but of Flask without any."""

CACHED_PAGE = Scenario(
    name="cached-page",
    title="a cached page from a template",
    build=lambda framework: apps.caching(framework, True),
    path="/page",
    body=PAGE,
)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        *(case.scenario(on) for case in (*CASES.values(), TOGETHER) for on in (True, False)),
        *(case.codec_scenario(on) for case in CASES.values() if case.codec for on in (True, False)),
        CACHED_PAGE,
    )
}
"""All requests by name."""
