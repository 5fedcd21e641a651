"""What the shell knows."""

from __future__ import annotations

from pathlib import Path

from quaff.ext.sqlalchemy import SQLAlchemy

from .apps import add_user, make_app


def test_the_shell_knows_the_models(tmp_path: Path) -> None:
    """`db` and each model are there by their names, unless the object was told not to."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    user = add_user(db)
    with app.app_context():
        context = app.make_shell_context()
    assert context["db"] is db
    assert context["User"] is user
    other = make_app(tmp_path)
    SQLAlchemy(other, add_models_to_shell=False)
    with other.app_context():
        assert "db" not in other.make_shell_context()
