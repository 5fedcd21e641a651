"""The apps by which Quaff's batteries are held against Flask's extensions.

A builder takes the framework as a module and whether the battery is on. The lines are the same for both frameworks; only
the modules that the classes come from differ (`PLACES`). What is asked of the apps is in `battery_scenarios.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from itertools import count
from typing import Any, cast

from benchmarks.flask_apps import ROWS, TEMPLATES, Framework, WSGIApp

Builder = Callable[[Framework, bool], WSGIApp]

PLACES: Mapping[str, tuple[str, str]] = {
    "CORS": ("flask_cors", "quaff.ext.cors"),
    "Cache": ("flask_caching", "quaff.ext.caching"),
    "Compress": ("flask_compress", "quaff.ext.compress"),
    "Limiter": ("flask_limiter", "quaff.ext.limiter"),
    "SSLify": ("flask_sslify", "quaff.ext.security.sslify"),
    "Talisman": ("flask_talisman", "quaff.ext.security.talisman"),
}
"""Class -> the module that has it for Flask, and the one that has it for Quaff."""

ORIGINS = ["https://app.example", "https://admin.example"]
LIMIT = "1000000/minute"
"""A limit that is counted and not reached: a measurement makes fewer requests in a minute."""

GREETING = "Hello, World!"
SMALL = "A page that is not worth compressing. " * 5
"""190 bytes; compression begins at 500."""

RECORDS = [
    {"id": number, "name": f"Ada {number}", "role": "mathematician", "since": 1815 + number} for number in range(33)
]
"""About 2 kB of JSON."""

HTML = (
    "<!doctype html>\n<title>People</title>\n<table>\n"
    + "".join(
        f'<tr id="row-{number}"><td>Ada {number * 7919 % 1000}</td><td>mathematician</td><td>{1815 + number}</td></tr>\n'
        for number in range(265)
    )
    + "</table>\n"
)
"""About 20 kB of HTML."""

CHUNKS = 8


def is_quaff(framework: Framework) -> bool:
    """Tell whether the module is `quaff`; otherwise it is `flask`."""
    return bool(cast(Any, framework).__name__ == "quaff")


def battery(framework: Framework, name: str) -> Any:
    """Return the class *name*: Flask's extension or Quaff's battery. Any: the classes have no common base."""
    places = PLACES[name]
    return getattr(import_module(places[is_quaff(framework)]), name)


def make_limiter(framework: Framework, app: Any) -> Any:
    """Return a limiter by address, in memory, that sends its headers."""
    place = PLACES["Limiter"][is_quaff(framework)]
    by_address = import_module(f"{place}.util").get_remote_address
    return battery(framework, "Limiter")(by_address, app=app, storage_uri="memory://", headers_enabled=True)


def trust_proxies(framework: Framework, app: Any) -> None:
    """Believe one proxy about the client's address and the scheme, as the framework's documentation says."""
    if is_quaff(framework):
        app.config["TRUSTED_PROXIES"] = 1
    else:
        fix = import_module("werkzeug.middleware.proxy_fix").ProxyFix
        app.wsgi_app = fix(app.wsgi_app, x_for=1, x_proto=1)


def cors(framework: Framework, on: bool) -> WSGIApp:
    """`/api/items` for two origins, `/` for none."""
    app: Any = framework.Flask(__name__)
    app.add_url_rule("/api/items", "items", lambda: GREETING)
    app.add_url_rule("/", "index", lambda: GREETING)
    if on:
        battery(framework, "CORS")(app, resources={r"/api/*": {"origins": ORIGINS}})
    return cast(WSGIApp, app)


def security_headers(framework: Framework, on: bool) -> WSGIApp:
    """Talisman with its default headers; no redirect to HTTPS."""
    app: Any = framework.Flask(__name__)
    app.add_url_rule("/", "index", lambda: GREETING)
    if on:
        battery(framework, "Talisman")(app, force_https=False)
    return cast(WSGIApp, app)


def force_https(framework: Framework, on: bool) -> WSGIApp:
    """Talisman as it is by default: headers, and a redirect to HTTPS."""
    app: Any = framework.Flask(__name__)
    app.add_url_rule("/", "index", lambda: GREETING)
    if on:
        battery(framework, "Talisman")(app)
    return cast(WSGIApp, app)


def sslify(framework: Framework, on: bool) -> WSGIApp:
    """A redirect to HTTPS for everything but `/health`."""
    app: Any = framework.Flask(__name__)
    app.add_url_rule("/", "index", lambda: GREETING)
    app.add_url_rule("/health", "health", lambda: GREETING)
    if on:
        battery(framework, "SSLify")(app, skips=["health"])
    return cast(WSGIApp, app)


def limiter(framework: Framework, on: bool) -> WSGIApp:
    """One limit in memory on `/`, with headers; none on `/free`."""
    app: Any = framework.Flask(__name__)

    def index() -> str:
        return GREETING

    if on:
        index = make_limiter(framework, app).limit(LIMIT)(index)
    app.add_url_rule("/", "index", index)
    app.add_url_rule("/free", "free", lambda: GREETING)
    return cast(WSGIApp, app)


def compress(framework: Framework, on: bool) -> WSGIApp:
    """Compression with its defaults, of JSON, of HTML, and of a page below the minimum; `/new` is new each time."""
    app: Any = framework.Flask(__name__)
    number = count()
    app.add_url_rule("/json", "json", lambda: RECORDS)
    app.add_url_rule("/html", "html", lambda: HTML)
    app.add_url_rule("/new/json", "new_json", lambda: {"number": next(number), "records": RECORDS})
    app.add_url_rule("/new/html", "new_html", lambda: f"<!-- {next(number)} -->{HTML}")
    app.add_url_rule("/small", "small", lambda: SMALL)
    if on:
        battery(framework, "Compress")(app)
    return cast(WSGIApp, app)


def stream(framework: Framework, produced: list[int]) -> WSGIApp:
    """A compressed stream of `CHUNKS` chunks; each is noted in *produced* when the view has been asked for it."""
    app: Any = framework.Flask(__name__)

    def generate() -> Iterator[str]:
        for number in range(CHUNKS):
            produced.append(number)
            yield f"chunk {number}: " + json.dumps(RECORDS) + "\n"

    app.add_url_rule("/", "lines", lambda: app.response_class(generate(), mimetype="text/plain"))
    battery(framework, "Compress")(app)
    return cast(WSGIApp, app)


def caching(framework: Framework, on: bool) -> WSGIApp:
    """A cached view, a view with a memoized function, a cached page from a template, and a view that is not cached."""
    app: Any = framework.Flask(__name__, template_folder=str(TEMPLATES))
    app.config["CACHE_TYPE"] = "SimpleCache"

    def cached() -> str:
        return GREETING

    def page() -> str:
        return framework.render_template("table.html", title="People", rows=ROWS)

    def greet(name: str, times: int) -> str:
        return f"Hello, {name}!" * times

    if on:
        cache = battery(framework, "Cache")(app)
        cached = cache.cached(timeout=3600)(cached)
        page = cache.cached(timeout=3600)(page)
        greet = cache.memoize(timeout=3600)(greet)
    app.add_url_rule("/cached", "cached", cached)
    app.add_url_rule("/page", "page", page)
    app.add_url_rule("/memo", "memo", lambda: greet("World", 1))
    app.add_url_rule("/", "index", lambda: GREETING)
    return cast(WSGIApp, app)


def proxy(framework: Framework, on: bool) -> WSGIApp:
    """A view that tells the client's address and the scheme."""
    app, request = framework.Flask(__name__), framework.request
    app.add_url_rule("/", "index", lambda: f"{request.remote_addr} {request.scheme}")
    if on:
        trust_proxies(framework, app)
    return cast(WSGIApp, app)


def together(framework: Framework, on: bool) -> WSGIApp:
    """All of them in one app: `/api/items` has a limit and is for two origins, `/` has neither."""
    app: Any = framework.Flask(__name__)

    def items() -> str:
        return GREETING

    if on:
        app.config["CACHE_TYPE"] = "SimpleCache"
        trust_proxies(framework, app)
        battery(framework, "CORS")(app, resources={r"/api/*": {"origins": ORIGINS}})
        battery(framework, "Talisman")(app)
        battery(framework, "Compress")(app)
        battery(framework, "Cache")(app)
        items = make_limiter(framework, app).limit(LIMIT)(items)
    app.add_url_rule("/api/items", "items", items)
    app.add_url_rule("/", "index", lambda: GREETING)
    return cast(WSGIApp, app)


def only_compress(body: bytes, on: bool) -> WSGIApp:
    """A bare WSGI function that compresses *body* with zstd at level 3, as both do by default, and sends it (or not)."""
    compress_ = zstd().compress
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Encoding", "zstd")][: 1 + on]

    def codec(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", headers)
        return [compress_(body, 3) if on else body]

    return codec


def decode(body: bytes, encoding: str) -> bytes:
    """Return *body* without its content encoding.

    :raises ValueError: for an encoding that is none of gzip, br, zstd and deflate.
    """
    return b"".join(decoder(encoding)([body]))


def decoder(encoding: str) -> Callable[[Iterable[bytes]], Iterator[bytes]]:
    """Return a function that decodes the chunks of a body one by one, as far as each of them allows."""
    take: Callable[[bytes], bytes]
    if encoding in {"gzip", "deflate"}:
        import zlib

        take = zlib.decompressobj(wbits=47 if encoding == "gzip" else zlib.MAX_WBITS).decompress
    elif encoding == "br":
        take = import_module("brotli").Decompressor().process
    elif encoding == "zstd":
        take = zstd().ZstdDecompressor().decompress
    elif not encoding:
        take = bytes
    else:
        raise ValueError(f"no decoder for the content encoding {encoding!r}")
    return lambda chunks: (take(chunk) for chunk in chunks)


def zstd() -> Any:
    """Return the module for zstd: the standard library's, or its backport. Any: neither is installed everywhere."""
    try:
        return import_module("compression.zstd")
    except ModuleNotFoundError:
        return import_module("backports.zstd")
