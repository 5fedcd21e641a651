"""The errors, and which built-in ones they are."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import ArgumentError

from quaff.errors import QuaffError
from quaff.ext.sqlalchemy import problems


@pytest.mark.parametrize(
    "error,code,builtin",
    [
        (problems.SQLAlchemySettingsError, "Q800", RuntimeError),
        (problems.DatabaseUrlError, "Q801", ArgumentError),
        (problems.DriverMissing, "Q802", ImportError),
        (problems.AppUnclear, "Q803", RuntimeError),
        (problems.NotRegistered, "Q804", RuntimeError),
    ],
)
def test_what_they_are(error: type[QuaffError], code: str, builtin: type[Exception]) -> None:
    """Each has its code, and is the error that programs catch today."""
    assert issubclass(error, (QuaffError, builtin))
    assert issubclass(error, builtin)
    assert error.code == code
    assert str(error("what is wrong")) == "what is wrong"
