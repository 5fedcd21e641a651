"""The memo of bodies that are the same again and again, and the caches that users give to `Compress`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from quaff import Request, session
from quaff.ext.compress import Compress, DictCache
from quaff.ext.compress.encoders import decompress
from tests.ext.compress.apps import PAGE, both_pipelines, get, get_on_loop, make_app, plain_app, read


def works_of(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each body that is compressed with zstd."""
    from quaff.ext.compress.encoders import ZstdCoder

    works: list[int] = []
    compress = ZstdCoder.compress

    def counted(self: Any, data: bytes) -> bytes:
        works.append(len(data))
        return compress(self, data)

    monkeypatch.setattr(ZstdCoder, "compress", counted)
    return works


@both_pipelines
def test_equal_bodies_are_compressed_twice_at_most(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is sent again and again is remembered from its second time on, also for another route."""
    works = works_of(monkeypatch)
    app = plain_app(compiled)
    Compress(app)
    for _ in range(5):
        assert read(get(app)) == PAGE.encode()
    assert read(get(app, "/other")) == PAGE.encode()
    assert len(works) == 2


PERSONAL: dict[str, Callable[[], Any]] = {
    "session": lambda: session.get("a", PAGE),
    "cookie": lambda: (PAGE, {"Set-Cookie": "a=b"}),
    "private": lambda: (PAGE, {"Cache-Control": "private"}),
}


@both_pipelines
@pytest.mark.parametrize("what", PERSONAL)
def test_personal_bodies_are_not_remembered(what: str, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """SECURITY: what is for one user is neither kept nor looked up: no answer tells by its time that it was sent before."""
    works = works_of(monkeypatch)
    app, compress = make_app(compiled)
    app.add_url_rule("/", "page", PERSONAL[what])
    for _ in range(4):
        get(app)
    assert len(works) == 4
    assert compress._kept.memo.entries == {}
    assert compress._kept.memo._seen == {}


@both_pipelines
def test_authorised_requests_are_not_remembered(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """SECURITY: so it is with what somebody gets who authorises himself."""
    works = works_of(monkeypatch)
    app = plain_app(compiled)
    Compress(app)
    for _ in range(4):
        get(app, Authorization="Bearer abc")
    assert len(works) == 4


@both_pipelines
def test_the_memo_may_be_switched_off(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `COMPRESS_MEMO_SIZE` 0 nothing is remembered."""
    works = works_of(monkeypatch)
    app, _ = make_app(compiled, memo_size=0)
    app.add_url_rule("/", "page", lambda: PAGE)
    for _ in range(4):
        get(app)
    assert len(works) == 4


@both_pipelines
def test_a_cache(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache keeps each form of each body under the coding and the user's key; the key is asked for each time."""
    works = works_of(monkeypatch)
    app = plain_app(compiled)
    compress = Compress(app)
    asked: list[str] = []

    def key(request: Request) -> str:
        asked.append(request.path)
        return request.url

    compress.cache, compress.cache_key = cache, _ = DictCache(), key
    for _ in range(3):
        assert read(get(app)) == PAGE.encode()
    assert read(get(app, accept="gzip")) == PAGE.encode()
    assert (len(works), asked) == (1, ["/"] * 4)
    assert [name.rpartition(";")[0] for name in cache.data] == ["zstd;http://localhost/", "gzip;http://localhost/"]


@both_pipelines
def test_a_cache_without_a_key(compiled: bool) -> None:
    """Without `cache_key` the body alone is the key."""
    app = plain_app(compiled)
    compress = Compress(app)
    compress.cache = cache = DictCache()
    for path in ("/", "/other"):
        assert read(get(app, path)) == PAGE.encode()
    assert len(cache.data) == 1


@both_pipelines
@pytest.mark.parametrize("compat", [(), ("compress-cache-key",)])
def test_a_cache_mixes_no_users_up(compat: tuple[str, ...], compiled: bool) -> None:
    """SECURITY: two users' pages at one URL are two entries; in the extension's old way, one user gets the other's."""
    app, compress = make_app(compiled)
    app.config["COMPAT"] = compat
    app.add_url_rule("/", "page", lambda: session.get("user", "nobody") + PAGE)
    compress.cache, compress.cache_key = DictCache(), lambda request: str(request.url)
    pages = []
    for user in ("Ann", "Bob"):
        client = app.test_client()
        with client.session_transaction() as opened:
            opened["user"] = user
        response = client.get("/", headers={"Accept-Encoding": "gzip"})
        pages.append(decompress(response.data, "gzip")[:3])
    assert pages == ([b"Ann", b"Ann"] if compat else [b"Ann", b"Bob"])


@both_pipelines
def test_a_cache_by_configuration(compiled: bool) -> None:
    """`COMPRESS_CACHE_BACKEND` and `COMPRESS_CACHE_KEY` make the cache, before `init_app` or after it."""
    before, compress = make_app(compiled, cache_backend=DictCache, cache_key=lambda request: str(request.path))
    assert isinstance(compress.cache, DictCache)
    before.add_url_rule("/", "page", lambda: PAGE)
    get(before)
    assert next(iter(compress.cache.data)).startswith("zstd;/;")

    after, late = make_app(compiled)
    after.add_url_rule("/", "page", lambda: PAGE)
    after.config.update(COMPRESS_CACHE_BACKEND=DictCache, COMPRESS_CACHE_KEY=lambda request: "late")
    get(after)
    assert isinstance(late.cache, DictCache)
    assert next(iter(late.cache.data)).startswith("zstd;late;")


class Waiting:
    """A cache that may wait, and notes in which thread."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def get(self, key: str) -> bytes | None:
        self.threads.add(threading.current_thread().name)
        return None

    def set(self, key: str, value: bytes) -> None:
        self.threads.add(threading.current_thread().name)


def test_a_cache_does_not_hold_the_loop_up() -> None:
    """A cache that may ask a server is asked in a worker thread, and a dict where it is."""
    app, compress = make_app()
    compress.cache = cache = Waiting()

    @app.get("/")
    async def view() -> str:
        return PAGE

    response = get_on_loop(app)
    assert read(response) == PAGE.encode()
    assert "Content-Length" in response.headers
    assert len(cache.threads) == 1
    assert next(iter(cache.threads)).startswith("quaff-worker")


@both_pipelines
def test_a_cache_that_comes_late(compiled: bool) -> None:
    """A cache that is given, or taken away, between two requests has its effect, also on where it is asked."""
    app, compress = make_app(compiled)

    @app.get("/")
    async def view() -> str:
        return PAGE

    get_on_loop(app)
    compress.cache = cache = Waiting()
    get_on_loop(app)
    assert {name.rpartition("-")[0] for name in cache.threads} == {"quaff-worker"}
    compress.cache = None
    cache.threads.clear()
    get_on_loop(app)
    assert cache.threads == set()


@both_pipelines
def test_a_cache_does_not_get_what_must_not_be_stored(compiled: bool) -> None:
    """SECURITY: a response with `no-store` is compressed and stored nowhere."""
    app, compress = make_app(compiled)
    app.add_url_rule("/", "page", lambda: (PAGE, {"Cache-Control": "No-Store"}))
    compress.cache = cache = DictCache()
    assert get(app).content_encoding == "zstd"
    assert cache.data == {}


@both_pipelines
def test_a_cache_that_fails(compiled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """When the cache's server is gone, answers go on."""

    class Gone:
        def get(self, key: str) -> bytes | None:
            raise ConnectionError("gone")

        def set(self, key: str, value: bytes) -> None:
            raise ConnectionError("gone")

    app = plain_app(compiled)
    Compress(app).cache = Gone()
    with caplog.at_level(logging.ERROR, "quaff.compress"):
        assert read(get(app)) == PAGE.encode()
    assert "The cache of compressed bodies failed" in caplog.text
