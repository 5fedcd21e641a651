"""Messages about options: they name the place and guess what was meant."""

from __future__ import annotations

import pytest

from quaff.errors import QuaffError
from quaff.ext.security.problems import SecurityOptionError, as_sentence, check_sendable, guess


def test_the_error_is_a_value_error() -> None:
    """Code that catches the ValueError of Flask-Talisman goes on working, and so does one that catches Quaff's errors."""
    assert issubclass(SecurityOptionError, ValueError)
    assert issubclass(SecurityOptionError, QuaffError)
    assert SecurityOptionError.code == "Q700"


@pytest.mark.parametrize(
    "word, answer",
    [
        ("image-src", "; did you mean 'img-src'?"),
        ("SCRIPT_SRC", "; did you mean 'script-src'?"),
        ("whatever", ""),
    ],
)
def test_guess(word: str, answer: str) -> None:
    """A word that looks like a known one is taken for it, whatever its case."""
    assert guess(word, ["img-src", "script-src"]) == answer


def test_guess_is_as_careful_as_asked() -> None:
    """With a higher cutoff only words that are nearly right count."""
    assert guess("image-src", ["img-src"], cutoff=0.9) == ""


def test_problems_are_one_sentence() -> None:
    """Problems are joined, and a guess ends with its question mark only."""
    assert as_sentence("Talisman", ["a is b", "c is d"]) == "Talisman: a is b; c is d."
    assert as_sentence("Talisman", ["a is b; did you mean 'c'?"]) == "Talisman: a is b; did you mean 'c'?"


@pytest.mark.parametrize("text", ["", "default-src 'self'", "~!@#$%^&*()"])
def test_sendable_text_is_returned(text: str) -> None:
    """What a header can hold comes back as it is."""
    assert check_sendable("here", text) == text


@pytest.mark.parametrize("character", [*map(chr, range(32)), "\x7f", "\x80", "é", "日", "\u2028"])
def test_unsendable_text_is_refused(character: str) -> None:
    """SECURITY: each control character and each one beyond ASCII is refused, wherever it stands."""
    for text in (character, f"a{character}", f"{character}b", f"x{character}Set-Cookie: a=b"):
        with pytest.raises(SecurityOptionError, match=r"^here holds"):
            check_sendable("here", text)
