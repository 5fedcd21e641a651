"""The message when SQLAlchemy is not installed."""

from __future__ import annotations

import importlib
import sys

import pytest


def test_sqlalchemy_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the extra."""
    from quaff.ext.sqlalchemy import _needs

    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ImportError, match=r"pip install 'quaff\[sqlalchemy\]'"):
        importlib.reload(_needs)


def test_it_is_there() -> None:
    """It is the library itself."""
    import sqlalchemy

    from quaff.ext.sqlalchemy import _needs

    assert importlib.reload(_needs).SQLALCHEMY is sqlalchemy
