"""Queries that answer 404, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.exceptions import NotFound

from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.query import Query, abort_404

from .apps import add_user, make_app


@pytest.fixture
def user(tmp_path: Path) -> Iterator[Any]:
    """Give a model with two rows, in an app context."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    model = add_user(db)
    with app.app_context():
        db.create_all()
        db.session.add_all([model(name="a"), model(name="b")])
        db.session.commit()
        yield model


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.LegacyAPIWarning")
def test_found_or_404(user: Any) -> None:
    """What is found is given back; what is not is a 404 with the description."""
    assert user.query.get_or_404(1).name == "a"
    assert user.query.order_by(user.name.desc()).first_or_404().name == "b"
    assert user.query.filter_by(name="a").one_or_404().name == "a"
    for find in (
        lambda: user.query.get_or_404(9, description="no user"),
        lambda: user.query.filter_by(name="z").first_or_404(description="no user"),
        lambda: user.query.filter_by(name="z").one_or_404(description="no user"),
        lambda: user.query.one_or_404(description="no user"),
    ):
        with pytest.raises(NotFound) as info:
            find()
        assert info.value.description == "no user"


def test_a_usual_description() -> None:
    """Without one it is werkzeug's."""
    with pytest.raises(NotFound) as info:
        abort_404(None)
    assert info.value.description == NotFound.description


def test_the_class(user: Any) -> None:
    """`Model.query`, `session.query` and what they return are of the class."""
    assert isinstance(user.query.filter_by(name="a"), Query)
    assert isinstance(user.query.session.query(user), Query)
