"""Signals of what a commit changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quaff import Quaff
from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.track_modifications import before_models_committed, models_committed

from .apps import add_user, make_app


def listen(app: Quaff) -> tuple[list[Any], Any]:
    """Return a list that notes the signals of an app, and what keeps the receivers alive."""
    noted: list[Any] = []

    def before(sender: Any, changes: Any) -> None:
        noted.append(("before", [(each.name, operation) for each, operation in changes]))

    def after(sender: Any, changes: Any) -> None:
        # No attribute is read: what was committed is expired, and the transaction is over.
        noted.append(("after", [operation for _, operation in changes]))

    before_models_committed.connect(before, app)
    models_committed.connect(after, app)
    return noted, (before, after)


def test_changes_are_signalled(tmp_path: Path) -> None:
    """Inserts, updates and deletes are, once, before and after the commit; what is rolled back is not."""
    app = make_app(tmp_path, SQLALCHEMY_TRACK_MODIFICATIONS=True)
    db = SQLAlchemy(app)
    user = add_user(db)
    noted, _alive = listen(app)
    with app.app_context():
        db.create_all()
        db.session.add(user(name="rolled back"))
        db.session.rollback()
        first, second = user(name="a"), user(name="b")
        db.session.add_all([first, second])
        db.session.commit()
        first.name = "c"
        db.session.delete(second)
        db.session.flush()
        db.session.commit()
        db.session.commit()
    assert noted[0] == ("before", [("a", "insert"), ("b", "insert")])
    assert noted[1] == ("after", ["insert", "insert"])
    assert (noted[2][0], sorted(noted[3][1])) == ("before", ["delete", "update"])
    assert len(noted) == 4


def test_nothing_is_signalled_unless_asked(tmp_path: Path) -> None:
    """It is off by default, can be turned off later, and needs a context."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    user = add_user(db)
    noted, _alive = listen(app)
    with app.app_context():
        db.create_all()
        db.session.add(user(name="a"))
        db.session.commit()
    tracking = make_app(tmp_path, SQLALCHEMY_TRACK_MODIFICATIONS=True)
    db = SQLAlchemy(tracking)
    user = add_user(db)
    more, _alive = listen(tracking)
    db.session.add(user(name="outside"))
    db.session.commit()
    db.session.remove()
    tracking.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = False
    with tracking.app_context():
        db.session.add(user(name="b"))
        db.session.commit()
    assert noted == more == []
