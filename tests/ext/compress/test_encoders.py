"""The codings themselves."""

from __future__ import annotations

import gzip
import logging
import sys
import threading
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quaff.ext.compress import settings as settings_module
from quaff.ext.compress.encoders import brotli_module, decompress, make_coder, make_coders, zstd_module
from quaff.ext.compress.settings import CODINGS, CompressSettings, read_settings

TEXT = "".join(f"<li>Item {number} of many</li>\n" for number in range(200)).encode()

every_coding = pytest.mark.parametrize("name", CODINGS)


class Reader:
    """Reads a compressed stream piece by piece, as a client does."""

    def __init__(self, name: str) -> None:
        # Brotli's gives at most 32 kB at a time.
        self._gives_parts = name == "br"
        if name == "zstd":
            self._read = zstd_module().ZstdDecompressor().decompress
        elif name == "br":
            self._read = brotli_module().Decompressor().process
        else:
            self._read = zlib.decompressobj(zlib.MAX_WBITS + (16 if name == "gzip" else 0)).decompress

    def read(self, data: bytes) -> bytes:
        """Return what can be read once *data* has come."""
        read = piece = bytes(self._read(data))
        while piece and self._gives_parts:
            piece = bytes(self._read(b""))
            read += piece
        return read


@every_coding
def test_whole_bodies(name: str) -> None:
    """A body comes back as it was, and is smaller on the way."""
    coded = make_coder(name, read_settings({})).compress(TEXT)
    assert decompress(coded, name) == TEXT
    assert len(coded) < len(TEXT) / 4
    assert make_coder(name, read_settings({})).name == name


@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=5000), name=st.sampled_from(CODINGS))
def test_any_bytes_come_back(data: bytes, name: str) -> None:
    """Bytes of any kind, none included, come back as they were, whole and as a stream."""
    coder = make_coder(name, read_settings({}))
    assert decompress(coder.compress(data), name) == data
    encoder = coder.begin()
    stream = encoder.feed(data[:100]) + encoder.flush(data[100:]) + encoder.finish()
    assert decompress(stream, name) == data


@every_coding
def test_each_flush_can_be_read(name: str) -> None:
    """What was flushed can be read at once, before the stream goes on."""
    encoder, reader = make_coder(name, read_settings({})).begin(), Reader(name)
    for piece in (b"one", b"two" * 1000, b"3"):
        assert reader.read(encoder.flush(piece)) == piece
    assert reader.read(encoder.finish()) == b""


@every_coding
def test_feeding_keeps_back(name: str) -> None:
    """What is only fed may stay back for the sake of size, and is there at the end."""
    encoder, reader = make_coder(name, read_settings({})).begin(), Reader(name)
    fed = b"".join(encoder.feed(TEXT[start : start + 100]) for start in range(0, len(TEXT), 100))
    assert len(fed) < 100
    assert reader.read(fed + encoder.finish()) == TEXT


def test_gzip_is_gzip_and_deflate_is_zlib() -> None:
    """RFC 9110 section 8.4.1: `deflate` is the zlib format, and gzip bears no time: equal bodies stay equal."""
    assert gzip.decompress(make_coder("gzip", read_settings({})).compress(TEXT)) == TEXT
    assert zlib.decompress(make_coder("deflate", read_settings({})).compress(TEXT)) == TEXT
    assert make_coder("gzip", read_settings({})).compress(TEXT)[4:8] == bytes(4)


LEVELS = {
    "gzip": ("COMPRESS_LEVEL", 0, 9),
    "deflate": ("COMPRESS_DEFLATE_LEVEL", 0, 9),
    "br": ("COMPRESS_BR_LEVEL", 1, 11),
    "zstd": ("COMPRESS_ZSTD_LEVEL", -5, 19),
}


@every_coding
def test_levels(name: str) -> None:
    """A level has its effect, on whole bodies and on streams, and is part of the key."""
    key, low, high = LEVELS[name]
    fast, small = (make_coder(name, read_settings({key: level})) for level in (low, high))
    assert len(fast.compress(TEXT)) > len(small.compress(TEXT))
    assert fast.key != small.key

    def streamed(coder: Any) -> int:
        encoder = coder.begin()
        return len(encoder.feed(TEXT) + encoder.finish())

    assert streamed(fast) > streamed(small)


@pytest.mark.parametrize("key", ["COMPRESS_BR_MODE", "COMPRESS_BR_WINDOW", "COMPRESS_BR_BLOCK"])
def test_parameters_of_brotli(key: str) -> None:
    """Brotli's other parameters are passed on, and each is part of the key."""
    value = {"COMPRESS_BR_MODE": 1, "COMPRESS_BR_WINDOW": 10, "COMPRESS_BR_BLOCK": 16}[key]
    coder = make_coder("br", read_settings({key: value}))
    assert decompress(coder.compress(TEXT), "br") == TEXT
    assert coder.key != make_coder("br", read_settings({})).key


@pytest.mark.parametrize("level", [19, 20, 22])
def test_browsers_can_read_every_level_of_zstd(level: int) -> None:
    """RFC 9659: no window is larger than 8 MiB, which browsers would refuse."""
    module = zstd_module()
    encoder = make_coder("zstd", read_settings({"COMPRESS_ZSTD_LEVEL": level})).begin()
    stream = encoder.flush(TEXT) + encoder.finish()
    limited = module.ZstdDecompressor(options={module.DecompressionParameter.window_log_max: 23})
    assert limited.decompress(stream) == TEXT


MODULES = {"br": ("brotli", "brotlicffi"), "zstd": ("backports.zstd", "compression.zstd")}


@pytest.mark.parametrize("name", MODULES)
def test_without_a_library(name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A coding whose library is missing is not offered; the log says once what to install, and the others work."""
    monkeypatch.setattr(settings_module, "_said", set())
    for module in MODULES[name]:
        monkeypatch.setitem(sys.modules, module, None)
    with caplog.at_level(logging.WARNING, "quaff.compress"):
        for _ in range(3):
            coders = make_coders(CODINGS, read_settings({}))
    assert list(coders) == [coding for coding in CODINGS if coding != name]
    assert len(caplog.records) == 1
    assert f"The coding {name!r} is not offered" in caplog.text
    assert "pip install 'quaff[compress]'" in caplog.text
    with pytest.raises(ImportError):
        decompress(b"", name)


def test_brotli_has_a_second_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """On PyPy the library for Brotli has another name and the same functions."""
    found = brotli_module()
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, "brotlicffi", found)
    assert brotli_module() is found


@pytest.mark.parametrize("function", [lambda: decompress(b"", "lzma"), lambda: make_coder("lzma", read_settings({}))])
def test_unknown_codings(function: Any) -> None:
    """A coding that there is not is named, with those that there are."""
    with pytest.raises(ValueError, match=r"'lzma' is no coding\. Codings are: zstd, br, gzip, deflate\."):
        function()


def test_coders_keep_the_order() -> None:
    """Coders come in the order in which they are asked for."""
    chosen: CompressSettings = read_settings({})
    assert list(make_coders(("gzip", "zstd"), chosen)) == ["gzip", "zstd"]


def test_zstd_compressors_serve_again() -> None:
    """A body gets the same bytes from a compressor that has made others before as from a new one."""
    coder = make_coder("zstd", read_settings({"COMPRESS_ZSTD_LEVEL": 4}))
    bodies = [TEXT, b"", b"other " * 999, TEXT[::-1], TEXT]
    fresh = []
    for body in bodies:
        coder.idle.clear()  # type: ignore[attr-defined]
        fresh.append(coder.compress(body))
    assert [coder.compress(body) for body in bodies] == fresh
    assert len(coder.idle) == 1  # type: ignore[attr-defined]


def test_a_zstd_compressor_that_failed_is_dropped() -> None:
    """One whose frame was not ended would put its rest before the next body."""
    coder = make_coder("zstd", read_settings({"COMPRESS_ZSTD_LEVEL": 5}))
    with pytest.raises(TypeError):
        coder.compress("text")  # type: ignore[arg-type]
    assert coder.idle == []  # type: ignore[attr-defined]
    assert decompress(coder.compress(TEXT), "zstd") == TEXT


def test_few_zstd_compressors_are_kept() -> None:
    """Threads that compress at once need one each; of those, a few are kept for the next."""
    coder = make_coder("zstd", read_settings({"COMPRESS_ZSTD_LEVEL": 6}))
    barrier = threading.Barrier(8)
    results = []

    def work() -> None:
        barrier.wait(60)
        results.extend(coder.compress(TEXT * 20) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert 1 <= len(coder.idle) <= 4  # type: ignore[attr-defined]
