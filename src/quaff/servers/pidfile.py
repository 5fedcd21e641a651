"""The file that tells service managers and scripts which process to signal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import ServerError


@contextlib.contextmanager
def pid_file(path: Path | None) -> Iterator[None]:
    """Keep this process's id in the file *path* while the block runs; nothing with None.

    A file that a killed server left behind is taken over.

    :raises ServerError: when the process in the file still runs, or the file cannot be written.
    """
    if path is None:
        yield
        return
    other = _living_process(path)
    if other is not None and other != os.getpid():
        raise ServerError(
            f"The pid file {str(path)!r} belongs to process {other}, which runs. Stop it, or remove the file."
        )
    try:
        path.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise ServerError(f"The pid file {str(path)!r} cannot be written: {error.strerror}.") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            # Another server may have taken it over meanwhile.
            if int(path.read_text()) == os.getpid():
                path.unlink()


def _living_process(path: Path) -> int | None:
    try:
        pid = int(path.read_text())
    except (OSError, ValueError):
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:
        return pid  # It runs, as another user.
    except (OSError, OverflowError):
        return None
    return pid
