"""`Compress`: apps, blueprints, views, streams, loops, and what the extension has besides."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import quaff.ext.compress as package
from quaff import Blueprint, Quaff, Response, stream_with_context, websocket
from quaff.ext.compress import Compress, CompressOptionError, encoders, extension
from quaff.ext.compress.encoders import decompress
from quaff.ext.compress.extension import _choose_algorithm, _compress_chunks, _compress_data, _format, _uncompress_data
from quaff.ext.compress.settings import DEFAULTS
from quaff.views import MethodView
from tests.contracts.test_calls import environ
from tests.ext.compress.apps import ALL, PAGE, both_pipelines, get, get_on_loop, make_app, plain_app, read, varies
from tests.ext.compress.test_encoders import Reader

# Where it is switched on -----------------------------------------------------------------------------------------------


@both_pipelines
def test_on_an_app(compiled: bool) -> None:
    """`Compress(app)` compresses what the app sends."""
    app = plain_app(compiled)
    Compress(app)
    assert get(app).content_encoding == "zstd"


@both_pipelines
def test_by_a_factory(compiled: bool) -> None:
    """One object may serve several apps, which are given to it later, each with settings of its own."""
    compress = Compress()
    one, two = plain_app(compiled), plain_app(compiled)
    one.config["COMPRESS_ALGORITHM"] = "gzip"
    for app in (one, two):
        compress.init_app(app)
    assert [get(app).content_encoding for app in (one, two)] == ["gzip", "zstd"]
    assert get(plain_app(compiled)).content_encoding is None


@both_pipelines
def test_on_an_app_twice(compiled: bool) -> None:
    """An app that is given twice, or to two objects, is compressed once."""
    app = plain_app(compiled)
    compress = Compress(app)
    compress.init_app(app)
    Compress(app)
    response = get(app)
    assert response.headers.getlist("Content-Encoding") == ["zstd"]
    assert read(response) == PAGE.encode()


def test_defaults_are_in_the_configuration() -> None:
    """COMPAT: all keys are there after `init_app`; what was set before stays."""
    app = plain_app()
    app.config["COMPRESS_LEVEL"] = 9
    Compress(app)
    assert {key: app.config[key] for key in DEFAULTS} == DEFAULTS | {"COMPRESS_LEVEL": 9}


@both_pipelines
def test_settings_after_init_app(compiled: bool) -> None:
    """Settings that come after `init_app`, or between two requests, have their effect."""
    app, _ = make_app(compiled)
    app.add_url_rule("/", "page", lambda: PAGE)
    app.config["COMPRESS_ALGORITHM"] = ["br"]
    assert get(app).content_encoding == "br"
    app.config["COMPRESS_MIN_SIZE"] = 1_000_000
    assert get(app).content_encoding is None
    app.config["COMPRESS_MIN_SIZE"] = 0
    app.config["COMPRESS_REGISTER"] = False
    assert get(app).content_encoding is None


@both_pipelines
def test_a_wrong_setting_is_the_first_requests_error(compiled: bool) -> None:
    """A value that cannot be right does not pass unnoticed."""
    app, _ = make_app(compiled, algorithm=["brotli"])
    app.add_url_rule("/", "page", lambda: PAGE)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(CompressOptionError, match="did you mean 'br'"):
        get(app)


@both_pipelines
def test_on_a_blueprint(compiled: bool) -> None:
    """`Compress(blueprint)` compresses its views, and those of blueprints inside, under whatever name; no others."""
    app = plain_app(compiled)
    outer, inner = Blueprint("outer", "outer", url_prefix="/outer"), Blueprint("inner", "inner", url_prefix="/inner")
    outer.add_url_rule("/", "page", lambda: PAGE)
    inner.add_url_rule("/", "page", lambda: PAGE)
    outer.register_blueprint(inner)
    Compress(outer)
    app.register_blueprint(outer)
    app.register_blueprint(outer, name="again", url_prefix="/again")
    for path in ("/outer/", "/outer/inner/", "/again/"):
        assert get(app, path).content_encoding == "zstd"
    assert get(app).content_encoding is None
    assert get(app, "/unknown").content_encoding is None


@both_pipelines
def test_on_a_nested_blueprint(compiled: bool) -> None:
    """A blueprint inside of another may be compressed alone."""
    app = plain_app(compiled)
    outer, inner = Blueprint("outer", "outer", url_prefix="/outer"), Blueprint("inner", "inner", url_prefix="/inner")
    outer.add_url_rule("/", "page", lambda: PAGE)
    inner.add_url_rule("/", "page", lambda: PAGE)
    Compress(inner)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert get(app, "/outer/inner/").content_encoding == "zstd"
    assert get(app, "/outer/").content_encoding is None


# What views say --------------------------------------------------------------------------------------------------------


@both_pipelines
def test_compressed(compiled: bool) -> None:
    """Without `COMPRESS_REGISTER`, the views that are marked are compressed and no others."""
    app, compress = make_app(compiled, register=False)
    app.add_url_rule("/", "page", lambda: PAGE)
    app.add_url_rule("/marked", "marked", compress.compressed()(lambda: PAGE))
    assert get(app).content_encoding is None
    assert get(app, "/marked").content_encoding == "zstd"


@both_pipelines
def test_compressed_with_options(compiled: bool) -> None:
    """A view may have settings of its own; the innermost decorator's are overridden by those outside."""
    app, compress = make_app(compiled)

    @app.get("/")
    @compress.compressed(algorithm="gzip", min_size=1)
    @compress.compressed(algorithm="br", mimetypes=["text/*"])
    def view() -> Response:
        return Response("short", mimetype="text/markdown")

    response = get(app)
    assert (response.content_encoding, read(response)) == ("gzip", b"short")
    with pytest.raises(CompressOptionError, match="did you mean 'min_size'"):
        compress.compressed(min_sise=1)


@both_pipelines
def test_compressed_without_an_app(compiled: bool) -> None:
    """A marked view is compressed also when the object was given no app."""
    app = plain_app(compiled)
    app.add_url_rule("/marked", "marked", Compress().compressed()(lambda: PAGE))
    assert get(app, "/marked").content_encoding == "zstd"
    assert get(app).content_encoding is None


@both_pipelines
def test_exempt(compiled: bool) -> None:
    """Views, classes' methods and blueprints that are exempt stay as they are, whatever else is said of them."""
    app, compress = make_app(compiled)

    @app.get("/")
    @compress.exempt
    @compress.compressed()
    def view() -> str:
        return PAGE

    class Account(MethodView):
        @compress.exempt
        def get(self) -> str:
            return PAGE

        def post(self) -> str:
            return PAGE

    app.add_url_rule("/account", view_func=Account.as_view("account"))
    secret = compress.exempt(Blueprint("secret", "secret", url_prefix="/secret"))
    secret.add_url_rule("/", "page", lambda: PAGE)
    app.register_blueprint(secret)
    app.add_url_rule("/page", "page", lambda: PAGE)
    for path in ("/", "/account", "/secret/"):
        response = get(app, path)
        assert (response.content_encoding, varies(response)) == (None, [])
    assert get(app, "/account", method="POST").content_encoding == "zstd"
    assert get(app, "/page").content_encoding == "zstd"


@both_pipelines
def test_exempt_by_configuration(compiled: bool) -> None:
    """`COMPRESS_EXEMPT_ENDPOINTS` names endpoints and blueprints."""
    app, _ = make_app(compiled, exempt_endpoints=["page", "admin"])
    admin = Blueprint("admin", "admin", url_prefix="/admin")
    admin.add_url_rule("/", "start", lambda: PAGE)
    app.register_blueprint(admin)
    app.add_url_rule("/", "page", lambda: PAGE)
    app.add_url_rule("/other", "other", lambda: PAGE)
    assert [get(app, path).content_encoding for path in ("/", "/admin/", "/other")] == [None, None, "zstd"]


# Streams ---------------------------------------------------------------------------------------------------------------


@both_pipelines
@pytest.mark.parametrize("coding", ["zstd", "br", "deflate"])
def test_the_first_piece_arrives_first(coding: str, compiled: bool) -> None:
    """A client reads what a view has given before the view goes on."""
    app, _ = make_app(compiled)
    given: list[str] = []

    @app.get("/")
    def view() -> Any:
        def pieces() -> Iterator[str]:
            for word in ("one", "two", "three"):
                given.append(word)
                yield word

        return stream_with_context(pieces())

    response = app.test_client().get("/", headers={"Accept-Encoding": coding})
    assert response.content_encoding == coding
    reader, pieces = Reader(coding), response.iter_encoded()
    assert (reader.read(next(iter(pieces))), given) == (b"one", ["one"])
    assert (reader.read(next(iter(pieces))), given) == (b"two", ["one", "two"])
    assert reader.read(b"".join(pieces)) == b"three"
    response.close()


@both_pipelines
@pytest.mark.parametrize("asynchronous", [True, False])
def test_async_streams(asynchronous: bool, compiled: bool) -> None:
    """Async generators are compressed, on a loop and under a synchronous server, and closed where they began."""
    app, _ = make_app(compiled)
    ended: list[str] = []

    async def pieces() -> AsyncIterator[str]:
        try:
            for line in PAGE.splitlines():
                yield line + "\n"
                await asyncio.sleep(0)
        finally:
            ended.append(threading.current_thread().name)

    async def view() -> Response:
        return Response(pieces())

    app.add_url_rule("/", "view", view if asynchronous else lambda: Response(pieces()))
    for ask in (get, get_on_loop):
        response = ask(app)
        assert (response.content_encoding, read(response)) == ("zstd", PAGE.encode())
        assert varies(response) == ["accept-encoding"]
        assert ask(app, method="HEAD").data == b""
    assert len(ended) >= 2


# An event loop ---------------------------------------------------------------------------------------------------------

LARGE = PAGE * 50
"""A body of more bytes than are compressed on a loop."""


@pytest.fixture
def where(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give a list that gets the name of the thread whenever something is compressed with zstd."""
    threads: list[str] = []

    def noting(function: Callable[..., bytes]) -> Callable[..., bytes]:
        def call(self: Any, data: bytes) -> bytes:
            threads.append(threading.current_thread().name)
            return function(self, data)

        return call

    monkeypatch.setattr(encoders.ZstdCoder, "compress", noting(encoders.ZstdCoder.compress))
    monkeypatch.setattr(encoders._ZstdEncoder, "feed", noting(encoders._ZstdEncoder.feed))
    return threads


def loop_app(body: str, **config: Any) -> Quaff:
    """Return an app with an async view."""
    app, _ = make_app(**config)

    @app.get("/")
    async def view() -> str:
        return body

    return app


@pytest.mark.parametrize("memo_size", [0, 4_000_000])
def test_large_bodies_do_not_hold_the_loop_up(where: list[str], memo_size: int) -> None:
    """On a loop, a large body of an async view is compressed in a worker thread, whether or not it is remembered."""
    app = loop_app(LARGE, memo_size=memo_size)
    response = get_on_loop(app)
    assert (response.content_encoding, read(response)) == ("zstd", LARGE.encode())
    assert "Content-Length" not in response.headers
    assert where
    assert all(name.startswith("quaff-worker") for name in where)
    # Under a synchronous server it is one piece, with its length.
    assert "Content-Length" in get(app).headers


def test_small_bodies_are_compressed_on_the_loop(where: list[str]) -> None:
    """A small body costs no way to a thread and back, and has its length."""
    response = get_on_loop(loop_app(PAGE))
    assert "Content-Length" in response.headers
    assert where == [threading.current_thread().name]


def test_slow_codings_leave_the_loop_sooner(where: list[str]) -> None:
    """A level that takes its time is left to a thread for smaller bodies."""
    get_on_loop(loop_app(PAGE * 2, zstd_level=19))
    assert all(name.startswith("quaff-worker") for name in where)


def test_large_bodies_from_memory_on_a_loop(where: list[str]) -> None:
    """A large body that was sent twice needs no thread any more, and has its length."""
    app = loop_app(LARGE)
    for _ in range(2):
        assert "Content-Length" not in get_on_loop(app).headers
    where.clear()
    response = get_on_loop(app)
    assert (response.headers["Content-Length"], read(response)) == (str(len(response.data)), LARGE.encode())
    assert where == []


def test_websockets_are_left_alone() -> None:
    """A WebSocket's handler is not touched, and neither is what refuses the handshake."""
    app, _ = make_app()

    @app.websocket("/ws")
    async def talk() -> None:
        await websocket.send(PAGE)

    with app.test_websocket("/ws", headers={"Accept-Encoding": ALL}) as connection:
        assert connection.receive() == PAGE


# COMPAT: what Flask-Compress has besides --------------------------------------------------------------------------------


@both_pipelines
def test_after_request(compiled: bool) -> None:
    """`after_request` compresses a response for the current request, without the pipeline."""
    app = plain_app(compiled)
    compress = Compress()
    app.after_request(compress.after_request)
    response = get(app, accept="gzip")
    assert (response.content_encoding, read(response)) == ("gzip", PAGE.encode())


def test_after_request_without_a_response() -> None:
    """Without a response there is a 204, in an app or for the app that the object has."""
    app = plain_app()
    compress = Compress(app)
    assert compress.after_request(None).status_code == 204
    with app.app_context():
        response = Compress().after_request(None)
        assert (response.status_code, response.get_data()) == (204, b"")


@pytest.mark.parametrize("response", [None, Response(PAGE)])
def test_after_request_outside(response: Any) -> None:
    """Outside of a request, or of an app, the message says what is missing."""
    with pytest.raises(RuntimeError, match=r"Compress\.after_request needs an? (app|request)"):
        Compress().after_request(response)


def test_attributes() -> None:
    """What the extension has as attributes tells what is configured, now; changing it there is an error, not a loss."""
    app = plain_app()
    app.config["COMPRESS_ALGORITHM"] = "gzip, br"
    compress = Compress(app)
    assert compress.enabled_algorithms == ("gzip", "br")
    assert compress.streaming_algorithms == ("zstd", "br", "deflate")
    assert "text/html" in compress.compress_mimetypes_set
    assert compress.streaming_endpoint_with_conditional == {"static"}
    app.config["COMPRESS_ALGORITHM"] = ["deflate"]
    assert compress.enabled_algorithms == ("deflate",)
    with pytest.raises(AttributeError):
        compress.enabled_algorithms = ("br",)  # type: ignore[misc]
    later = Compress()
    assert later.enabled_algorithms == tuple(DEFAULTS["COMPRESS_ALGORITHM"])
    later.init_app(app)
    assert later.enabled_algorithms == ("deflate",)


def test_functions_of_the_module() -> None:
    """The functions that tests of programs import from the extension's module are there."""
    app = plain_app()
    assert _choose_algorithm(("gzip", "br"), "br;q=0.5, gzip") == "gzip"
    assert _format("gzip, br") == _format(["gzip", "br"]) == ("gzip", "br")
    for coding in ("zstd", "br", "gzip", "deflate"):
        assert _uncompress_data(_compress_data(app, b"data", coding), coding) == b"data"
        chunks = list(_compress_chunks(app, iter([b"one", b"two"]), coding))
        assert _uncompress_data(b"".join(chunks), coding) == b"onetwo"
    with pytest.raises(ValueError, match="'lzma' is no coding"):
        _compress_data(app, b"", "lzma")
    assert package.__version__ == "1.25"
    assert extension.DictCache is package.DictCache


def test_middleware_gets_what_a_server_gets() -> None:
    """The compressed response is a WSGI response like any other."""
    app = plain_app()
    Compress(app)
    sent: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
        sent[:] = [status, dict(headers)]
        return io.BytesIO().write

    body = list(app(environ("/") | {"HTTP_ACCEPT_ENCODING": "br"}, start))
    assert sent[0] == "200 OK"
    assert sent[1]["Content-Encoding"] == "br"
    assert len(body) == 1
    assert decompress(body[0], "br") == PAGE.encode()
