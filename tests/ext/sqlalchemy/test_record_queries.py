"""Recorded queries."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from quaff import Quaff
from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.record_queries import get_recorded_queries

from .apps import make_app


def test_queries_are_recorded(tmp_path: Path) -> None:
    """Statement, parameters, time and place, for each context by itself."""
    app = make_app(tmp_path, SQLALCHEMY_RECORD_QUERIES=True)
    app.import_name = "tests.ext.sqlalchemy.test_record_queries"
    db = SQLAlchemy(app)
    with app.app_context():
        assert get_recorded_queries() == []
        db.session.execute(sa.text("SELECT :x"), {"x": 5})
        (info,) = get_recorded_queries()
        assert (info.statement, info.parameters) == ("SELECT ?", [(5,)])
        assert info.duration == info.end_time - info.start_time >= 0
        assert info.location.startswith(f"{__file__}:")
        assert info.location.endswith("(test_queries_are_recorded)")
    with app.app_context():
        assert get_recorded_queries() == []


def test_where_it_is_not_known(tmp_path: Path) -> None:
    """A query that no line of the app's package made has no place."""
    app = make_app(tmp_path, SQLALCHEMY_RECORD_QUERIES=True)
    app.import_name = "nothing_here"
    db = SQLAlchemy(app)
    with app.app_context():
        db.session.execute(sa.text("SELECT 1"))
        assert get_recorded_queries()[0].location == "<unknown>"


def test_nothing_is_recorded_unless_asked(tmp_path: Path) -> None:
    """It is off by default; outside of a context nothing is kept, and there is nothing to ask for."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    with app.app_context():
        db.session.execute(sa.text("SELECT 1"))
        assert get_recorded_queries() == []
    recording: Quaff = make_app(tmp_path, SQLALCHEMY_RECORD_QUERIES=True)
    db = SQLAlchemy(recording)
    db.session.execute(sa.text("SELECT 1"))
    db.session.remove()
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        get_recorded_queries()
