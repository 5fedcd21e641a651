"""Files and directories that belong to one user alone, and how to tell.

Counters decide who is let in, and the directory they are in may lie in a place where everybody can write. So nothing is
taken over that somebody else could have put there or could change: no symbolic link, nothing of another owner, nothing
that is open to the group or to others.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from ..errors import QuaffError

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class SharedMemoryError(QuaffError, OSError):
    """A file or directory for memory that processes share cannot be used; the message says why and what to do."""

    code = "Q601"


def open_private_directory(path: Path, *, create: bool = False) -> int:
    """Return a descriptor of the directory *path*, which belongs to this user and is closed to all others.

    What is opened relative to the descriptor (`dir_fd`) is in that very directory, whatever happens to the path.

    :param create: make it, with mode 0700, when it is not there; its parent must exist.
    :raises SharedMemoryError: when it is not there, is a symbolic link, has another owner, or is open to others.
    """
    try:
        if create:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        missing = path.parent if create else path
        raise SharedMemoryError(f"The directory {str(missing)!r} is not there. Make it, or choose another.") from None
    except OSError as error:
        if path.is_symlink():
            raise SharedMemoryError(_not_a_link("directory", path)) from None
        raise SharedMemoryError(f"The directory {str(path)!r} cannot be used: {error.strerror}.") from None
    try:
        _check(os.fstat(descriptor), "directory", path)
    except SharedMemoryError:
        os.close(descriptor)
        raise
    return descriptor


def open_private_file(path: Path, flags: int, *, directory: int) -> int:
    """Return a descriptor of the file *path*, which belongs to this user and is closed to all others.

    :param flags: of `os.open`. A file that they create gets mode 0600.
    :param directory: descriptor of the directory that the last part of *path* is looked up in.
    :raises FileNotFoundError: when it is not there and *flags* do not create it.
    :raises SharedMemoryError: when it is no regular file, has another owner, is open to others, or cannot be opened.
    """
    # Without O_NONBLOCK, a pipe of that name would keep the caller waiting.
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path.name, flags, 0o600, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise SharedMemoryError(_not_a_link("file", path)) from None
        raise SharedMemoryError(f"The file {str(path)!r} cannot be used: {error.strerror}.") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SharedMemoryError(f"{str(path)!r} is no regular file. Remove it, or choose another path.")
        _check(status, "file", path)
    except SharedMemoryError:
        os.close(descriptor)
        raise
    return descriptor


def _not_a_link(kind: str, path: Path) -> str:
    return (
        f"The {kind} {str(path)!r} is a symbolic link, which may lead anywhere. Name the {kind} that it leads to, if"
        " that is meant: links in front of the last part of a path are followed."
    )


def _check(status: os.stat_result, kind: str, path: Path) -> None:
    user = os.geteuid()
    if status.st_uid != user:
        raise SharedMemoryError(
            f"The {kind} {str(path)!r} belongs to user {status.st_uid}, and this process runs as user {user}. Remove"
            " it, or choose another path."
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & OTHERS:
        right = "700" if kind == "directory" else "600"
        raise SharedMemoryError(
            f"The {kind} {str(path)!r} is open to other users (mode {mode:04o}). Run `chmod {right} {path}`, or choose"
            " another path."
        )
