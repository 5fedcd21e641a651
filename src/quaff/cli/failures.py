"""Errors in the user's own code, told so that the line to mend comes first."""

from __future__ import annotations

import os
import sysconfig
import traceback
from types import TracebackType

from ..helpers import get_debug_flag

_LIBRARIES = tuple(
    {
        os.path.realpath(path) + os.sep
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        if (path := sysconfig.get_path(name))
    }
)
_QUAFF = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep

_verbose = False


def set_verbose(verbose: bool) -> None:
    """Decide whether failures are told with their whole traceback, as `quaff -v` does."""
    global _verbose
    _verbose = verbose


def is_verbose() -> bool:
    """Tell whether failures are told with their whole traceback: after `-v`, and in debug mode."""
    return _verbose or get_debug_flag()


def is_users(filename: str) -> bool:
    """Tell whether *filename* is the user's own: not of Python, of an installed package, or of Quaff."""
    if filename.startswith("<"):
        return False
    real = os.path.realpath(filename)
    return not real.startswith((*_LIBRARIES, _QUAFF))


def describe_failure(error: BaseException, *, full: bool | None = None) -> str:
    """Return what went wrong and where, for a program that failed while it was imported or set up.

    The innermost frame of the user's own code comes first, then the error, then how that frame was reached. Frames of
    Python, of installed packages and of Quaff are left out.

    :param full: the whole traceback instead; by default when `is_verbose` says so.
    """
    if is_verbose() if full is None else full:
        return "".join(traceback.format_exception(error)).rstrip()
    what = "".join(traceback.format_exception_only(error)).rstrip()
    frames = users_frames(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename is not None and is_users(error.filename):
        # The error itself names the file and the line; the frames are those that import it.
        lines, callers = [what], frames
    elif frames:
        lines, callers = [_format(frames[-1]), what], frames[:-1]
    else:
        lines, callers = [what], []
    if callers:
        lines += ["", "It was reached from:", *(_format(frame) for frame in reversed(callers))]
    lines += ["", "For the whole traceback, add --debug, or -v before the command."]
    return "\n".join(lines)


def users_frames(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    """Return the frames of *trace* in the user's own files, outermost first."""
    return [frame for frame in traceback.extract_tb(trace) if is_users(frame.filename)]


def _format(frame: traceback.FrameSummary) -> str:
    code = f"\n    {frame.line}" if frame.line else ""
    return f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}{code}'
