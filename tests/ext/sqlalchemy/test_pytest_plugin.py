"""quaff.ext.sqlalchemy.pytest_plugin: the fixtures that users name in their `conftest.py`."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlalchemy")

pytest_plugins = ["pytester"]

CONFTEST = """
import pytest
from quaff import Quaff
from quaff.ext.sqlalchemy import SQLAlchemy

pytest_plugins = ["quaff.ext.sqlalchemy.pytest_plugin"]
db = SQLAlchemy()

class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    username = db.Column(db.String(80), unique=True, nullable=False)

def create_app():
    app = Quaff("app")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db.init_app(app)

    @app.post("/users/<name>")
    def add(name):
        db.session.add(User(username=name))
        db.session.commit()
        return str(User.query.count())

    return app

@pytest.fixture(scope="session")
def app():
    app = create_app()
    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.engine.dispose()
"""

TESTS = """
import pytest
from conftest import User, create_app

@pytest.mark.parametrize("turn", range(3))
def test_it(turn, app, db_session):
    assert db_session.query(User).count() == 0
    db_session.add(User(username="ann"))
    db_session.commit()
    assert app.test_client().post("/users/bob").text == "2"
    assert User.query.count() == 2

def test_db(app, rolled_back_db):
    assert app.test_client().post("/users/ann").text == "1"
    assert rolled_back_db.session.scalar(rolled_back_db.select(User)).username == "ann"

def test_nothing_is_left(app, db_session):
    assert db_session.query(User).all() == []

def test_with_several_apps(app, db_session):
    another = create_app()
    assert db_session.query(User).all() == []
"""


def test_the_fixtures(pytester: pytest.Pytester) -> None:
    """`db_session` and `rolled_back_db` begin each test with what was there before all of them."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=6)
