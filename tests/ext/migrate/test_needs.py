"""What is said where Alembic is not installed."""

from __future__ import annotations

import sys

import pytest

from quaff import Quaff
from quaff.ext.migrate import Migrate, upgrade
from quaff.ext.migrate._needs import need_alembic


def test_parts_of_it() -> None:
    """A part is given as a module."""
    assert need_alembic("alembic.command").__name__ == "alembic.command"


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Alembic, the message says what to install."""
    monkeypatch.setitem(sys.modules, "alembic", None)
    with pytest.raises(ImportError, match=r"quaff\[migrate\]"):
        need_alembic()


def test_a_command_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A command ends with that message, and an app that only serves has no trouble."""
    monkeypatch.setitem(sys.modules, "alembic", None)
    for name in ("quaff.ext.migrate.config", "alembic.command"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    app = Quaff("served")
    Migrate(app, object())
    with app.app_context(), pytest.raises(SystemExit) as ended:
        upgrade()
    assert ended.value.code == 1
    assert "pip install 'quaff[migrate]'" in caplog.text
