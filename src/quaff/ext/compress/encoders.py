"""The content codings: whole bodies in one go, and streams that can be flushed after each piece.

gzip and deflate come from the standard library, zstd too from Python 3.14 on. Without a library its coding is not offered.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, Protocol

from .settings import CompressSettings, warn_once

# RFC: 9659: browsers refuse a zstd window above 8 MiB, and libzstd takes more from level 20 on.
_ZSTD_WINDOW_LOG: Final = 23
_ZSTD_LEVEL_WITH_LARGER_WINDOW: Final = 20

_THREAD_SIZE: Final = 64 * 1024
_SLOW_THREAD_SIZE: Final = 4 * 1024
_SLOW_FROM: Final = {"br": 7, "zstd": 10}

_IDLE: Final = 4
"""Compressors that are kept for each level: as many as threads may need at once. One has about a megabyte."""

_GZIP_WBITS: Final = zlib.MAX_WBITS + 16


class Encoder(Protocol):
    """The compression of one stream."""

    def feed(self, data: bytes) -> bytes:
        """Take *data* and return what is ready: often nothing."""
        ...

    def flush(self, data: bytes) -> bytes:
        """Take *data* and return all that the client needs to read it at once."""
        ...

    def finish(self) -> bytes:
        """Return the end of the stream."""
        ...


class Coder(Protocol):
    """A coding with its parameters."""

    @property
    def name(self) -> str:
        """The name of the coding in HTTP."""
        ...

    @property
    def key(self) -> str:
        """The name with the parameters: what compressed bytes depend on besides the body."""
        ...

    @property
    def thread_size(self) -> int:
        """Bytes from which on it takes so long (about a millisecond) that an event loop leaves it to a thread."""
        ...

    def compress(self, data: bytes) -> bytes:
        """Return a whole body in its compressed form."""
        ...

    def begin(self) -> Encoder:
        """Begin a stream."""
        ...


class _ZlibEncoder:
    def __init__(self, level: int, wbits: int) -> None:
        self._compressor = zlib.compressobj(level, zlib.DEFLATED, wbits)

    def feed(self, data: bytes) -> bytes:
        return self._compressor.compress(data)

    def flush(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._compressor.flush()


@dataclass(frozen=True, slots=True)
class ZlibCoder:
    """gzip, or deflate, which in HTTP is the format of zlib (RFC 9110 section 8.4.1.2)."""

    name: str
    key: str
    level: int
    wbits: int
    thread_size: int = _THREAD_SIZE

    def compress(self, data: bytes) -> bytes:
        """Return a whole body in its compressed form; for gzip without a time in it, so that equal bodies stay equal."""
        return zlib.compress(data, self.level, self.wbits)

    def begin(self) -> Encoder:
        """Begin a stream."""
        return _ZlibEncoder(self.level, self.wbits)


class _ZstdEncoder:
    # Any: the module is chosen at run time, and only one of the two has types on each Python.
    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor

    def feed(self, data: bytes) -> bytes:
        coded: bytes = self._compressor.compress(data)
        return coded

    def flush(self, data: bytes) -> bytes:
        coded: bytes = self._compressor.compress(data, self._compressor.FLUSH_BLOCK)
        return coded

    def finish(self) -> bytes:
        coded: bytes = self._compressor.flush()
        return coded


@dataclass(frozen=True, slots=True)
class ZstdCoder:
    """zstd (RFC 8878)."""

    name: str
    key: str
    make: Callable[[], Any]
    thread_size: int
    idle: list[Any]
    """Compressors that are between two frames. PERF: making one takes as long as compressing some kilobytes."""

    def compress(self, data: bytes) -> bytes:
        """Return a whole body in its compressed form."""
        try:
            compressor = self.idle.pop()
        except IndexError:
            compressor = self.make()
        coded: bytes = compressor.compress(data, compressor.FLUSH_FRAME)
        # One that failed is not put back: its frame is not ended.
        if len(self.idle) < _IDLE:
            self.idle.append(compressor)
        return coded

    def begin(self) -> Encoder:
        """Begin a stream."""
        return _ZstdEncoder(self.make())


class _BrotliEncoder:
    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor

    def feed(self, data: bytes) -> bytes:
        coded: bytes = self._compressor.process(data)
        return coded

    def flush(self, data: bytes) -> bytes:
        coded: bytes = self._compressor.process(data) + self._compressor.flush()
        return coded

    def finish(self) -> bytes:
        coded: bytes = self._compressor.finish()
        return coded


@dataclass(frozen=True, slots=True)
class BrotliCoder:
    """Brotli (RFC 7932)."""

    name: str
    key: str
    make: Callable[[], Any]
    thread_size: int

    def compress(self, data: bytes) -> bytes:
        """Return a whole body in its compressed form."""
        compressor = self.make()
        coded: bytes = compressor.process(data) + compressor.finish()
        return coded

    def begin(self) -> Encoder:
        """Begin a stream."""
        return _BrotliEncoder(self.make())


def zstd_module() -> Any:
    """Return the module for zstd: `compression.zstd` from Python 3.14 on, else `backports.zstd`.

    :raises ImportError: when there is none.
    """
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def brotli_module() -> Any:
    """Return the module for Brotli: `brotli`, or on PyPy `brotlicffi`.

    :raises ImportError: when there is none.
    """
    try:
        return import_module("brotli")
    except ImportError:
        try:
            return import_module("brotlicffi")
        except ImportError:
            pass
        raise


def _thread_size(name: str, level: int) -> int:
    return _SLOW_THREAD_SIZE if level >= _SLOW_FROM[name] else _THREAD_SIZE


def _make_gzip(settings: CompressSettings) -> Coder:
    return ZlibCoder("gzip", f"gzip {settings.level}", settings.level, _GZIP_WBITS)


def _make_deflate(settings: CompressSettings) -> Coder:
    level = settings.deflate_level
    return ZlibCoder("deflate", f"deflate {level}", level, zlib.MAX_WBITS)


def _make_zstd(settings: CompressSettings) -> Coder:
    module = zstd_module()
    level = settings.zstd_level
    options: Any = None
    if level >= _ZSTD_LEVEL_WITH_LARGER_WINDOW:
        parameter = module.CompressionParameter
        options = {parameter.compression_level: level, parameter.window_log: _ZSTD_WINDOW_LOG}

    def make() -> Any:
        return module.ZstdCompressor(level) if options is None else module.ZstdCompressor(options=options)

    return ZstdCoder("zstd", f"zstd {level}", make, _thread_size("zstd", level), _idle_at(level))


@lru_cache(maxsize=32)
def _idle_at(level: int) -> list[Any]:
    """Return the compressors of a level that no thread uses now: they are the process's, whatever the route."""
    return []


def _make_brotli(settings: CompressSettings) -> Coder:
    module = brotli_module()
    mode, quality, window, block = settings.br_mode, settings.br_level, settings.br_window, settings.br_block

    def make() -> Any:
        return module.Compressor(mode=mode, quality=quality, lgwin=window, lgblock=block)

    return BrotliCoder("br", f"br {mode} {quality} {window} {block}", make, _thread_size("br", quality))


_MAKERS: Final[dict[str, Callable[[CompressSettings], Coder]]] = {
    "zstd": _make_zstd,
    "br": _make_brotli,
    "gzip": _make_gzip,
    "deflate": _make_deflate,
}


def make_coder(name: str, settings: CompressSettings) -> Coder:
    """Return a coding with the parameters of the settings.

    :raises ValueError: for a coding that there is not.
    :raises ImportError: when its library is not installed.
    """
    maker = _MAKERS.get(name)
    if maker is None:
        raise ValueError(f"{name!r} is no coding. Codings are: {', '.join(_MAKERS)}.")
    return maker(settings)


def make_coders(names: tuple[str, ...], settings: CompressSettings) -> dict[str, Coder]:
    """Return the codings whose libraries are there, by name and in order; the log says once what is missing."""
    coders = {}
    for name in names:
        try:
            coders[name] = make_coder(name, settings)
        except ImportError as error:
            warn_once(
                f"The coding {name!r} is not offered, because its library cannot be imported: {error}. Install it with:"
                f" pip install 'quaff[compress]', or leave {name!r} out of COMPRESS_ALGORITHM and"
                " COMPRESS_ALGORITHM_STREAMING."
            )
    return coders


def decompress(data: bytes, coding: str) -> bytes:
    """Return a body as it was before it was compressed, without a limit to its size: for tests, not for what clients send.

    :raises ValueError: for a coding that there is not.
    :raises ImportError: when its library is not installed.
    """
    if coding in {"gzip", "deflate"}:
        return zlib.decompress(data, _GZIP_WBITS if coding == "gzip" else zlib.MAX_WBITS)
    if coding not in {"zstd", "br"}:
        raise ValueError(f"{coding!r} is no coding. Codings are: {', '.join(_MAKERS)}.")
    module = zstd_module() if coding == "zstd" else brotli_module()
    plain: bytes = module.decompress(data)
    return plain
