"""The file under shared counters: how it is made and recognised, and how threads and processes take turns.

::

    0      header: magic, version, number of slots and of stripes, the secret of the keyed hash, a checksum
    4096   the stripes, one after another, each of buckets of eight slots (see `counter_table`)

A stripe is changed only by who holds it. Between processes that is a record lock on one byte of the file, which the
kernel takes back from a process that dies; between the threads of a process it is a `threading.Lock`. Record locks know
processes only, and a process loses all of those that it holds on a file when it closes any descriptor of that file. So
there is one `CounterFile` for a file in a process, however often it is opened.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import mmap
import os
import struct
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Final, NamedTuple

from .private_files import SharedMemoryError, open_private_directory, open_private_file

if sys.platform != "win32":
    import fcntl

MAGIC: Final = b"QUAFFCNT"
VERSION: Final = 1
"""Of the layout, here and in `counter_table`. A file of another version is replaced."""

HEADER: Final = struct.Struct("=8sIIQ16s")
"""Magic, version, stripes, slots, secret. Sixteen bytes of checksum follow."""

FIRST_STRIPE: Final = 4096
SLOT: Final = 64
"""Bytes."""

FEWEST_SLOTS: Final = 64
MOST_SLOTS: Final = 2**28
_SLOTS_IN_STRIPE: Final = 1024
"""Stripes are not made smaller than that, because the log of one key must fit into one."""

_MOST_STRIPES: Final = 16
_RETRY: Final = 0.0005

logger: Final = logging.getLogger("quaff.stores")


class Stripe:
    """The right to change one part of the file, as a context manager, for one thread of one process at a time.

    :param descriptor: of the file.
    :param number: from 0. Also the byte of the file whose lock stands for the stripe.
    :param offset: of the first bucket, in bytes.
    """

    __slots__ = ("_descriptor", "_thread", "number", "offset")

    def __init__(self, descriptor: int, number: int, offset: int) -> None:
        self._descriptor = descriptor
        self._thread = threading.Lock()
        self.number = number
        self.offset = offset

    def __enter__(self) -> None:
        self._thread.acquire()
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, self.number)
        except OSError as error:
            if error.errno == errno.EDEADLK:
                self._insist()
                return
            self._thread.release()
            raise
        except BaseException:  # from the handler of a signal that arrived meanwhile
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, self.number)
        finally:
            self._thread.release()

    def _insist(self) -> None:
        """Ask until the lock is free.

        The kernel sees two processes that wait for each other, where in truth each thread that holds a stripe goes on:
        it waits for nothing, and those that wait hold nothing.
        """
        while True:
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self.number)
            except (BlockingIOError, PermissionError):
                time.sleep(_RETRY)
            except BaseException:
                self._thread.release()
                raise
            else:
                return

    def renew(self) -> None:
        """Forget who holds the lock between threads; for a process that was just forked, which has one thread."""
        self._thread = threading.Lock()


class Geometry(NamedTuple):
    """What the header of a file says."""

    slots: int
    stripes: int
    secret: bytes

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return FIRST_STRIPE + self.slots * SLOT

    def pack(self) -> bytes:
        """Return the header."""
        head = HEADER.pack(MAGIC, VERSION, self.stripes, self.slots, self.secret)
        return head + hashlib.blake2b(head, digest_size=16).digest()


class CounterFile:
    """One mapped file. Use `open_counter_file`, never the class.

    :param descriptor: open for reading and writing. The object closes it.
    """

    def __init__(self, descriptor: int, geometry: Geometry) -> None:
        self.slots = geometry.slots
        self.secret = geometry.secret
        self.memory = mmap.mmap(descriptor, geometry.size)
        # PERF: a word of a cast view is read or written in 40 ns, a packed one in 200. Such a write is one aligned store
        # of eight bytes, so a process that is killed leaves the old word or the new one.
        self.integers = memoryview(self.memory).cast("q")
        self.floats = memoryview(self.memory).cast("d")
        length = (geometry.size - FIRST_STRIPE) // geometry.stripes
        self.stripes = [Stripe(descriptor, i, FIRST_STRIPE + i * length) for i in range(geometry.stripes)]
        self.users: weakref.WeakSet[object] = weakref.WeakSet()
        """The objects that count in it."""
        self._descriptor = descriptor

    def is_at(self, path: Path) -> bool:
        """Tell whether *path* still leads to this file: whether who opens that path shares these counters."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(path, follow_symlinks=False))
        except OSError:
            return False

    def close(self) -> None:
        """Give the memory back. Nobody may be counting."""
        self.integers.release()
        self.floats.release()
        self.memory.close()
        os.close(self._descriptor)


_opening = threading.Lock()
_files: Final[dict[tuple[int, int], CounterFile]] = {}
"""Device and number of a file -> the one object for it in this process."""


def open_counter_file(path: Path, slots: int, user: object) -> CounterFile:
    """Return the file *path*, made when it is not there.

    A file that is there keeps its size whatever *slots* says, or processes with different settings would count apart.
    One of another version of Quaff, or damaged, is replaced, and the log says so.

    :param slots: of a new file; rounded up to a power of two.
    :param user: who counts in it. When all users of a file are gone, the next call of this function closes it.
    :raises ValueError: when *slots* is out of range.
    :raises SharedMemoryError: when the file cannot be used, is not one of counters, or the system has no record locks.
    """
    if sys.platform == "win32":
        raise SharedMemoryError(
            f"Shared counters need locks on files, which this system ({sys.platform}) does not have. Keep the counters"
            " in Redis instead: redis://localhost:6379."
        )
    if not FEWEST_SLOTS <= slots <= MOST_SLOTS:
        raise ValueError(f"Shared counters need from {FEWEST_SLOTS} to {MOST_SLOTS} slots, not {slots}.")
    with _opening:
        _close_unused()
        directory = open_private_directory(path.parent, create=True)
        try:
            turn = open_private_file(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, directory=directory)
            try:
                # Not flock(): a child that another thread forks meanwhile would keep that for good.
                fcntl.lockf(turn, fcntl.LOCK_EX)
                file = _find_or_make(path, slots, directory)
            finally:
                os.close(turn)
        finally:
            os.close(directory)
        file.users.add(user)
        return file


def close_counter_file(file: CounterFile, user: object) -> None:
    """Take *user* off the users of *file*, and close it when that was the last one."""
    with _opening:
        file.users.discard(user)
        _close_unused()


def _close_unused() -> None:
    for key, file in list(_files.items()):
        if not file.users:
            del _files[key]
            file.close()


def _find_or_make(path: Path, slots: int, directory: int) -> CounterFile:
    """Return the file while no other process makes or replaces it."""
    descriptor, geometry = -1, None
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
        # Opening it a second time would be harmless; closing that descriptor would give up the locks of this process.
        if file := _files.get((status.st_dev, status.st_ino)):
            return file
        descriptor = open_private_file(path, os.O_RDWR, directory=directory)
        geometry = _recognise(descriptor, path)
    if geometry is None:
        geometry = _plan(slots)
        descriptor = _make(path, geometry, directory)
    status = os.fstat(descriptor)
    return _files.setdefault((status.st_dev, status.st_ino), CounterFile(descriptor, geometry))


def _plan(slots: int) -> Geometry:
    slots = 1 << (slots - 1).bit_length()
    return Geometry(slots, min(_MOST_STRIPES, max(1, slots // _SLOTS_IN_STRIPE)), os.urandom(16))


def _recognise(descriptor: int, path: Path) -> Geometry | None:
    """Return what the header says; close the file and return None when it is to be replaced."""
    size = os.fstat(descriptor).st_size
    header = os.pread(descriptor, HEADER.size + 16, 0)
    if size and not header.startswith(MAGIC):
        os.close(descriptor)
        raise SharedMemoryError(f"The file {str(path)!r} holds something else than counters. Choose another path.")
    what = "is damaged"
    if len(header) == HEADER.size + 16:
        _magic, version, stripes, slots, secret = HEADER.unpack_from(header)
        geometry = Geometry(slots, stripes, secret)
        if version == VERSION and header == geometry.pack() and size == geometry.size:
            return geometry
        if version != VERSION:
            what = f"has layout {version}, not {VERSION}"
    if size:
        logger.warning("The counters in %s are replaced by empty ones: the file %s.", path, what)
    os.close(descriptor)
    return None


def _make(path: Path, geometry: Geometry, directory: int) -> int:
    """Put a new file into the place of *path* at once, so that nobody ever sees half of one."""
    new = path.with_name(f".{path.name}.new")
    # Only a process that was killed right here leaves one behind.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new.name, dir_fd=directory)
    descriptor = open_private_file(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, directory=directory)
    try:
        _allocate(descriptor, geometry.size)
        os.pwrite(descriptor, geometry.pack(), 0)
        os.rename(new.name, path.name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        os.close(descriptor)
        os.unlink(new.name, dir_fd=directory)
        raise SharedMemoryError(
            f"The file {str(path)!r} cannot be made with {geometry.size} bytes: {error.strerror}. Make room, choose"
            " another directory, or fewer slots."
        ) from None
    return descriptor


def _allocate(descriptor: int, size: int) -> None:
    """Give the file all of its memory, because a write to a page that cannot be had later ends the process (SIGBUS)."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
                raise
        else:
            return
    nothing = bytes(1 << 20)
    for offset in range(0, size, len(nothing)):
        os.pwrite(descriptor, nothing[: size - offset], offset)


def _renew_after_fork() -> None:
    """Replace the locks that a thread of the parent may hold, which does not run here. Record locks are not inherited."""
    global _opening
    _opening = threading.Lock()
    for file in _files.values():
        for stripe in file.stripes:
            stripe.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
