"""How the CORS battery says that an option is wrong, and what may have been meant."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable
from typing import Final

from ...errors import QuaffError

LOG: Final = logging.getLogger("flask_cors")
"""COMPAT: the extension's logger. At DEBUG it tells which origins are let in, and which are not."""


class CorsOptionError(QuaffError, ValueError):
    """An option of CORS has a value that cannot be right, or options contradict each other."""

    code = "Q720"


def guess(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'origins'?` when one of *known* looks like *word*, else an empty string."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def shown(text: object) -> str:
    """Return *text* as it may stand in a log: one line of ASCII, and no longer than 200 characters.

    SECURITY: CVE-2024-1681: a line end in a path or a header would forge lines of the log.
    """
    plain = ascii(str(text))[1:-1]
    return plain if len(plain) <= 200 else f"{plain[:200]}..."
