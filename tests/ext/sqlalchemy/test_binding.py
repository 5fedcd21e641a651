"""Which app is meant, inside and outside of contexts."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.binding import find_app, find_only_app, is_outside
from quaff.ext.sqlalchemy.problems import AppUnclear, NotRegistered

from .apps import add_user, make_app


def test_the_only_app_is_meant_outside(tmp_path: Path) -> None:
    """With one app, everything works without a context."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    user = add_user(db)
    assert find_app(db) is app
    db.create_all()
    db.session.add(user(name="a"))
    db.session.commit()
    assert user.query.count() == 1
    assert db.engine is db.engines[None]
    db.session.remove()
    db.drop_all()


def test_several_apps_need_a_context(tmp_path: Path) -> None:
    """With two apps, the message says what to write; inside of a context the current app is meant."""
    db = SQLAlchemy()
    first, second = make_app(tmp_path), make_app(tmp_path, "sqlite://")
    db.init_app(first)
    db.init_app(second)
    for use in (db.create_all, db.session, lambda: db.engine, lambda: db.session.remove()):
        with pytest.raises(RuntimeError, match=r"2 apps(.|\n)*with app.app_context\(\):") as info:
            use()
        assert type(info.value) is AppUnclear
    for app in (first, second):
        with app.app_context():
            assert find_app(db) is app


def test_without_an_app(tmp_path: Path) -> None:
    """Before `init_app`, the message names it."""
    with pytest.raises(RuntimeError, match="has no app yet"):
        SQLAlchemy().session()


def test_an_app_of_another_object(tmp_path: Path) -> None:
    """An app that `init_app` was not called with is told so, in a context of its own."""
    db = SQLAlchemy(make_app(tmp_path))
    other = make_app(tmp_path)
    with other.app_context(), pytest.raises(NotRegistered, match="is not registered with this 'SQLAlchemy'"):
        db.create_all()


def test_compat_asks_for_a_context(tmp_path: Path) -> None:
    """With `sqlalchemy-needs-context`, an app context is needed in any case."""
    app = make_app(tmp_path, COMPAT=("sqlalchemy-needs-context",))
    db = SQLAlchemy(app)
    for use in (db.session, lambda: db.engine):
        with pytest.raises(RuntimeError, match="Working outside of application context"):
            use()
    with app.app_context():
        db.session()


def test_an_app_that_is_gone_does_not_count(tmp_path: Path) -> None:
    """The object keeps no app alive: of two apps, the one that is left is the only one."""
    db = SQLAlchemy()
    kept, gone = make_app(tmp_path), make_app(tmp_path)
    db.init_app(kept)
    db.init_app(gone)
    del gone
    gc.collect()
    assert find_only_app(db) is kept


def test_outside(tmp_path: Path) -> None:
    """Outside is where no app is current."""
    app = make_app(tmp_path)
    assert is_outside()
    with app.app_context():
        assert not is_outside()
    with app.test_request_context():
        assert not is_outside()
