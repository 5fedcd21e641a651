"""The directory for what the workers of one server share: counters of rate limits, for example.

The supervisor of `quaff serve` makes it and tells the workers by the environment variable `QUAFF_SHARED_DIR`. It is in
memory where the system has a place for that (`/dev/shm`), and goes when the server ends. Set the variable yourself to a
directory with mode 0700 when what is in it shall outlive the server, or when something else starts the processes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .private_files import SharedMemoryError, open_private_directory

if sys.platform != "win32":
    import fcntl

VARIABLE: Final = "QUAFF_SHARED_DIR"
ROOM: Final = 32 * 2**20
"""Bytes that must be free in `/dev/shm`, or the directory for temporary files is taken."""

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108
_OURS: Final = re.compile(r"quaff-shared-([0-9]+)-\w+")

logger: Final = logging.getLogger("quaff.stores")


def shared_dir() -> Path | None:
    """Return the directory that the processes of this server share, or None when `QUAFF_SHARED_DIR` is not set.

    :raises SharedMemoryError: when it is not there, is a symbolic link, has another owner, or is open to others.
    """
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    path = Path(value)
    if not path.is_absolute():
        raise SharedMemoryError(f"{VARIABLE} is {value!r}, which is no absolute path. Processes may start anywhere.")
    try:
        os.close(open_private_directory(path))
    except SharedMemoryError as error:
        raise SharedMemoryError(f"{VARIABLE}: {error}") from None
    return path


class SharedDir:
    """A private directory that lives as long as this object, or longer: until no child of this process holds it.

    Also a context manager, which gives the path.

    :param path: of a directory with mode 0700, which is removed with all that is in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._owner = os.getpid()
        # A fork inherits the lock. So it is free when the last process of the server is gone, however it ended; and while
        # it is held, systemd does not tidy the directory up.
        self._descriptor = open_private_directory(path)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the directory; once, and only in the process that made it."""
        if self._descriptor < 0 or os.getpid() != self._owner:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._descriptor)
        self._descriptor = -1


def make_shared_dir(*parents: Path) -> SharedDir:
    """Make a private directory for processes that this one forks, and remove those of servers that are gone.

    :param parents: where to try, in this order; by default in `/dev/shm`, if 32 MiB are free there, and then in the
        directory for temporary files.
    :raises SharedMemoryError: when it can be made nowhere, or the system has no locks for it (Windows).
    """
    if sys.platform == "win32":
        raise SharedMemoryError(
            "Processes share memory through locks on files, which this system (win32) does not have."
        )
    reasons = []
    for parent in parents or _default_parents():
        try:
            _remove_stale(parent)
            return SharedDir(Path(tempfile.mkdtemp(prefix=f"quaff-shared-{os.getpid()}-", dir=parent)))
        except OSError as error:
            reasons.append(f"{parent}: {error.strerror or error}")
    raise SharedMemoryError(
        f"No directory for shared memory can be made ({'; '.join(reasons)}). Set {VARIABLE} to one with mode 0700."
    )


@contextlib.contextmanager
def provide_shared_dir() -> Iterator[Path | None]:
    """Set `QUAFF_SHARED_DIR` while the block runs, for the processes that it starts.

    A directory that the variable names already is used, and left alone afterwards. A server can do without: when none can
    be made, the log says why, and the block gets None.

    :raises SharedMemoryError: when the variable names a directory that cannot be used.
    """
    if path := shared_dir():
        yield path
        return
    try:
        made = make_shared_dir()
    except SharedMemoryError as error:
        logger.warning("Workers share no memory, so each counts rate limits by itself. %s", error)
        yield None
        return
    with made as path:
        former = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = str(path)
        try:
            yield path
        finally:
            if former is None:
                os.environ.pop(VARIABLE, None)
            else:
                os.environ[VARIABLE] = former


def _default_parents() -> list[Path]:
    parents = [Path(tempfile.gettempdir()).resolve()]
    with contextlib.suppress(OSError):
        room = os.statvfs(_IN_MEMORY)
        if room.f_bavail * room.f_frsize >= ROOM and os.access(_IN_MEMORY, os.W_OK | os.X_OK):
            parents.insert(0, _IN_MEMORY)
    return parents


def _remove_stale(parent: Path) -> None:
    """Remove what servers of this user left in *parent* when they were killed."""
    for entry in list(os.scandir(parent)):
        match = _OURS.fullmatch(entry.name)
        if match and entry.is_dir(follow_symlinks=False) and not _runs(int(match[1])):
            _remove_if_free(Path(entry.path))


def _remove_if_free(path: Path) -> None:
    # Of another user, or removed meanwhile by a server that starts as well: both are left alone.
    with contextlib.suppress(OSError):
        descriptor = open_private_directory(path)
        try:
            # The process may run unseen, in another container that has the same /dev/shm; or workers outlive it.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


def _runs(pid: int) -> bool:
    # In containers a server often has the same number as the one before it.
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
