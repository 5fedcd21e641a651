"""Messages about wrong options: an error of its own kind, a guess, and nothing that forges a line of the log."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.errors import QuaffError
from quaff.ext.cors import CorsOptionError
from quaff.ext.cors.problems import LOG, guess, shown


def test_the_error_is_the_extensions_too() -> None:
    """Programs that catch the `ValueError` of Flask-CORS catch this one, and it has a code of Quaff's."""
    assert issubclass(CorsOptionError, QuaffError)
    assert issubclass(CorsOptionError, ValueError)
    assert CorsOptionError.code == "Q720"


@pytest.mark.parametrize(
    "word, said",
    [
        ("origin", "; did you mean 'origins'?"),
        ("ORIGINS", "; did you mean 'origins'?"),
        ("support_credentials", "; did you mean 'supports_credentials'?"),
        ("nothing_like_it", ""),
    ],
)
def test_a_guess_is_made_where_a_name_is_near(word: str, said: str) -> None:
    """A misspelt name brings the one that was meant; a foreign one brings nothing."""
    assert guess(word, ["origins", "supports_credentials", "max_age"]) == said


@given(st.text(max_size=500))
def test_what_is_shown_is_one_short_printable_line(text: str) -> None:
    """Whatever a client sends, the log gets ASCII without control characters, at most 203 characters of it."""
    line = shown(text)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= 203


def test_what_is_plain_is_shown_as_it_is() -> None:
    """An ordinary origin is not changed; a line end is escaped."""
    assert shown("https://example.com:8443") == "https://example.com:8443"
    assert shown("/x\r\nFAKE") == "/x\\r\\nFAKE"


def test_the_logger_is_the_extensions() -> None:
    """The logger has the name and the level that Flask-CORS gives it, and no handler that swallows its warnings."""
    assert LOG is logging.getLogger("flask_cors")
    assert LOG.getEffectiveLevel() == logging.WARNING
    assert not LOG.handlers
