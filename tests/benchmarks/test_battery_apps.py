"""The apps with batteries: the same lines for both frameworks, and bodies of the sizes that the report names."""

from __future__ import annotations

import gzip
import zlib
from importlib import import_module
from typing import Any, cast

import pytest

import quaff
from benchmarks import battery_apps as apps
from benchmarks import worker
from benchmarks.flask_apps import Framework

FRAMEWORK = cast(Framework, quaff)
TEXT = apps.HTML.encode()


@pytest.mark.parametrize("name", apps.PLACES)
def test_every_class_is_where_the_table_says(name: str) -> None:
    """Quaff's classes are found by the names that the extensions give them."""
    assert apps.battery(FRAMEWORK, name).__name__ == name


def test_the_bodies_have_the_sizes_of_the_report() -> None:
    """2 kB of JSON, 20 kB of HTML, and a page below the 500 bytes at which compression begins."""
    app: Any = apps.compress(FRAMEWORK, False)
    client = app.test_client()
    assert 1_900 < len(client.get("/json").data) < 2_200
    assert 19_000 < len(client.get("/html").data) < 21_000
    assert 100 < len(client.get("/small").data) < 500


@pytest.mark.parametrize("path", ["/new/json", "/new/html"])
def test_new_pages_are_new_each_time(path: str) -> None:
    """What was compressed before is of no use for them, and they are as large as the others."""
    app: Any = apps.compress(FRAMEWORK, False)
    pages = [app.test_client().get(path).data for _ in range(3)]
    assert len(set(pages)) == 3
    assert abs(len(pages[0]) - len(app.test_client().get(path.removeprefix("/new")).data)) < 50


def test_without_its_battery_an_app_is_bare() -> None:
    """The app that the others are held against has no battery at all."""
    for build in (apps.cors, apps.security_headers, apps.force_https, apps.sslify, apps.limiter, apps.caching):
        answer = cast(Any, build(FRAMEWORK, False)).test_client().get("/")
        assert answer.status_code == 200
        assert sorted(answer.headers.keys()) == ["Content-Length", "Content-Type"]


def test_both_frameworks_trust_one_proxy(real_flask: str) -> None:
    """Flask gets Werkzeug's middleware, Quaff its setting; the apps have the same view."""
    app: Any = apps.proxy(FRAMEWORK, True)
    assert app.config["TRUSTED_PROXIES"] == 1
    flask_app: Any = apps.proxy(cast(Framework, import_module("flask")), True)
    assert type(flask_app.wsgi_app).__module__ == "werkzeug.middleware.proxy_fix"


@pytest.mark.parametrize(
    "encoding, data",
    [
        ("", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("br", import_module("brotli").compress(TEXT)),
        ("zstd", apps.zstd().compress(TEXT)),
    ],
)
def test_every_encoding_is_decoded(encoding: str, data: bytes) -> None:
    """A body is read back in one piece or in many."""
    assert apps.decode(data, encoding) == TEXT
    pieces = (data[start : start + 100] for start in range(0, len(data), 100))
    assert b"".join(apps.decoder(encoding)(pieces)) == TEXT


def test_an_unknown_encoding_is_refused() -> None:
    """A body that cannot be read is no answer."""
    with pytest.raises(ValueError, match="no decoder for the content encoding 'snappy'"):
        apps.decode(b"", "snappy")


@pytest.mark.parametrize("on", [True, False])
def test_the_codec_alone_does_nothing_but_compress(on: bool) -> None:
    """The bare function sends the body, compressed or as it is."""
    reply = worker.call_once(apps.only_compress(TEXT, on), {})
    assert ("Content-Encoding", "zstd") in reply.headers or not on
    assert apps.decode(reply.body, "zstd" if on else "") == TEXT
