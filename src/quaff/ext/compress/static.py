"""Static files: their compressed siblings on disk, and their compressed forms in memory."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterable
from typing import IO, Any, Final, NamedTuple

from .caches import Bounded

SUFFIXES: Final = {"zstd": ".zst", "br": ".br", "gzip": ".gz"}
"""Coding -> what a file's name ends with in that form."""

_FILE_ATTRIBUTES: Final = ("file", "_file", "filelike")
"""Where the file wrappers of Werkzeug, Quaff's servers and gunicorn have the file."""

Version = tuple[int, int, int, int, int]


class OpenFile(NamedTuple):
    """A file that a response would send."""

    file: IO[bytes]
    path: str
    size: int
    version: Version
    """Which file it is, and when it changed: a file that is put in its place has another one, whatever time it bears."""


class Sibling(NamedTuple):
    """A compressed form of a file, beside it."""

    coding: str
    file: IO[bytes]
    size: int


def find_file(body: Any) -> OpenFile | None:
    """Return the regular file at its beginning that a response's body would send, or None.

    :param body: what `send_file` has put into the response.
    """
    file = next((found for name in _FILE_ATTRIBUTES if (found := getattr(body, name, None)) is not None), None)
    path = getattr(file, "name", None)
    if file is None or not isinstance(path, str):
        return None
    try:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or file.tell() != 0:
            return None
    except (OSError, ValueError, AttributeError):
        # What is only like a file.
        return None
    version = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
    return OpenFile(file, path, status.st_size, version)


def find_sibling(file: OpenFile, codings: Iterable[str]) -> Sibling | None:
    """Return the first compressed sibling of a file that is there and not older than it; the caller closes its file."""
    for coding in codings:
        suffix = SUFFIXES.get(coding)
        if suffix is not None:
            opened = _open_sibling(file.path + suffix, changed=file.version[2])
            if opened is not None:
                return Sibling(coding, *opened)
    return None


def _open_sibling(path: str, *, changed: int) -> tuple[IO[bytes], int] | None:
    # SECURITY: the folder's own check was made for the file (CVE-2024-42367). A link may lead out of it, and what is no
    # regular file may block.
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size == 0 or found.st_mtime_ns < changed:
            return None
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(path, flags), "rb")
    except OSError:
        return None
    status = os.fstat(file.fileno())
    if not os.path.samestat(found, status):
        file.close()
        return None
    return file, status.st_size


class CodedFiles:
    """The compressed forms of static files, each made once.

    :param limit: bytes that they may take together.
    """

    def __init__(self, limit: int) -> None:
        self._kept: Bounded[tuple[str, str], tuple[Version, bytes]] = Bounded(limit)
        self._making: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """Bytes that the files may take together."""
        return self._kept.limit

    @limit.setter
    def limit(self, value: int) -> None:
        self._kept.limit = value

    def takes(self, file: OpenFile) -> bool:
        """Tell whether there would be room for the compressed form of a file, however little it shrinks."""
        return file.size * 4 <= self.limit

    def find(self, file: OpenFile, key: str) -> bytes | None:
        """Return the compressed form of a file as it is now, or None.

        :param key: the coding with its parameters.
        """
        version, coded = self._kept.entries.get((file.path, key), (None, None))
        return coded if version == file.version else None

    def make(self, file: OpenFile, key: str, compress: Callable[[bytes], bytes]) -> bytes:
        """Return the compressed form of a file, made and kept if need be; others who want it meanwhile wait for it."""
        name = (file.path, key)
        with self._lock:
            lock = self._making.setdefault(name, threading.Lock())
        try:
            with lock:
                coded = self.find(file, key)
                if coded is None:
                    data = file.file.read()
                    coded = compress(data)
                    if len(data) == file.size:
                        # Else it is being written just now.
                        self._kept.put(name, (file.version, coded), len(coded) + len(file.path))
                return coded
        finally:
            with self._lock:
                self._making.pop(name, None)
