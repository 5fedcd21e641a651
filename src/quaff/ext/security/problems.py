"""How the security battery says that an option is wrong, and what may have been meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from ...errors import QuaffError

# RFC: 9110 section 5.5, without what lies beyond ASCII: no header of this battery needs more.
_UNSENDABLE = re.compile(r"[^\x20-\x7e]")


class SecurityOptionError(QuaffError, ValueError):
    """An option of the security headers has an unknown name or a value that cannot be right."""

    code = "Q700"


def guess(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return `; did you mean 'img-src'?` when one of *known* looks like *word*, else an empty string."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""


def as_sentence(owner: str, problems: Iterable[str]) -> str:
    """Return problems of an object as one sentence for a log or an error."""
    text = f"{owner}: {'; '.join(problems)}"
    return text if text.endswith("?") else f"{text}."


def check_sendable(where: str, text: str) -> str:
    """Return *text* if it can be part of a header.

    SECURITY: a line end in an option that comes from the environment would end the header.

    :raises SecurityOptionError: for control characters and what is not ASCII.
    """
    wrong = _UNSENDABLE.search(text)
    if wrong is not None:
        raise SecurityOptionError(
            f"{where} holds {wrong.group()!r} at position {wrong.start()} of {text[:80]!r}, which a header cannot hold."
            " Remove it; encode other scripts than ASCII, with percent signs or as xn-- host names."
        )
    return text
