"""Errors of the servers can be caught as Quaff's and as Python's."""

from __future__ import annotations

import pytest

from quaff.errors import QuaffError
from quaff.servers import BindError, ServerError, SettingsError


@pytest.mark.parametrize(
    "error,bases",
    [
        (ServerError, (QuaffError,)),
        (BindError, (ServerError, OSError)),
        (SettingsError, (ServerError, ValueError)),
    ],
)
def test_each_error_is_also_the_built_in_one(error: type[Exception], bases: tuple[type[Exception], ...]) -> None:
    """Programs that catch OSError or ValueError go on working."""
    assert issubclass(error, bases)
    assert all(issubclass(error, base) for base in bases)


@pytest.mark.parametrize("error", [ServerError, BindError, SettingsError])
def test_the_message_is_what_was_said(error: type[Exception]) -> None:
    """The text of an error is its message, also where OSError would make something else of it."""
    assert str(error("Port 80 is taken.")) == "Port 80 is taken."


def test_codes_are_unique() -> None:
    """Each error has a code of its own for the errors page."""
    codes = [error.code for error in (ServerError, BindError, SettingsError)]
    assert len(set(codes)) == 3
    assert all(code.startswith("Q5") for code in codes)
