"""quaff.ext.sqlalchemy.testing: a test sees what was committed, and the next one sees nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

from quaff import Quaff, request  # noqa: E402
from quaff.ext.sqlalchemy import SQLAlchemy  # noqa: E402
from quaff.ext.sqlalchemy.testing import rolled_back  # noqa: E402


class Users:
    """An app with users, and a log of visits in another database.

    :param url: of the users.
    :param log_url: of the visits.
    """

    def __init__(self, url: str, log_url: str) -> None:
        self.app = Quaff("users")
        self.app.config.update(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_BINDS={"log": log_url}, TESTING=True)
        self.db = db = SQLAlchemy(self.app)

        class User(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            username = db.Column(db.String(80), unique=True, nullable=False)

        class Visit(db.Model):
            __bind_key__ = "log"
            id = db.Column(db.Integer, primary_key=True)

        self.User, self.Visit = User, Visit

        @self.app.post("/users")
        @db.conflict_as_409
        def add() -> tuple[str, int]:
            db.session.add(User(username=request.form["username"]))
            db.session.add(Visit())
            db.session.commit()
            return "added", 201

        @self.app.get("/users")
        def names() -> list[str]:
            return [user.username for user in User.query.order_by(User.username)]

        with self.app.app_context():
            db.create_all()

    def names(self) -> list[str]:
        """Return what is there for everybody."""
        with self.app.app_context(), self.db.engine.connect() as connection:
            return list(connection.scalars(sa.select(self.User.username)))

    def visits(self) -> int:
        """Return how many there are for everybody."""
        with self.app.app_context(), self.db.engines["log"].connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(self.Visit)) or 0


@pytest.fixture
def users(database_url: str, tmp_path: Path) -> Iterator[Users]:
    """Give the app, with each kind of database in turn."""
    made = Users(database_url, f"sqlite:///{tmp_path / 'log.db'}")
    yield made
    with made.app.app_context():
        for engine in made.db.engines.values():
            engine.dispose()


def test_commits_are_undone(users: Users) -> None:
    """What requests and the test commit is seen by each other, in every database, and is gone at the end."""
    db, client = users.db, users.app.test_client()
    for _ in range(2):
        with rolled_back(db, users.app) as same:
            assert same is db
            db.session.add(users.User(username="ann"))
            db.session.commit()
            assert client.post("/users", data={"username": "bob"}).status_code == 201
            assert client.get("/users").json == ["ann", "bob"]
            assert [user.username for user in users.User.query.order_by("id")] == ["ann", "bob"]
            assert users.Visit.query.count() == 1
        assert users.names() == []
        assert users.visits() == 0


def test_rollbacks_are_what_they_are(users: Users) -> None:
    """A rollback undoes what was not committed and no more; a duplicate leaves a session that can go on."""
    db, client = users.db, users.app.test_client()
    with rolled_back(db, users.app):
        db.session.add(users.User(username="ann"))
        db.session.commit()
        db.session.add(users.User(username="bob"))
        db.session.flush()
        db.session.rollback()
        assert client.get("/users").json == ["ann"]
        assert client.post("/users", data={"username": "ann"}).status_code == 409
        assert client.post("/users", data={"username": "cid"}).status_code == 201
        with db.session.begin_nested():
            db.session.add(users.User(username="dan"))
        db.session.commit()
        assert client.get("/users").json == ["ann", "cid", "dan"]
    assert users.names() == []


def test_what_is_not_committed_is_not_seen(users: Users) -> None:
    """Requests do not see what the test has not sent, and what a view does not commit is gone after it."""
    db = users.db

    @users.app.post("/forgets")
    def forget() -> str:
        db.session.add(users.User(username="bob"))
        db.session.flush()
        return "added"

    with rolled_back(db, users.app):
        db.session.add(users.User(username="ann"))
        assert users.app.test_client().get("/users").json == []
        db.session.rollback()
        users.app.test_client().post("/forgets")
        assert users.app.test_client().get("/users").json == []


def test_inside_of_a_context(users: Users) -> None:
    """With a context of the test's own, its session is the requests' session as well, as everywhere; all of it is undone."""
    with users.app.app_context():
        with rolled_back(users.db, users.app):
            users.db.session.add(users.User(username="ann"))
            users.db.session.commit()
            assert users.app.test_client().get("/users").json == ["ann"]
        assert users.User.query.all() == []
    assert users.names() == []


def test_all_is_as_before(users: Users) -> None:
    """After a block, also one that fails, sessions commit for good, and connections are back in their pools."""
    with pytest.raises(ZeroDivisionError), rolled_back(users.db, users.app):
        users.db.session.add(users.User(username="ann"))
        users.db.session.commit()
        raise ZeroDivisionError
    assert users.app.test_client().post("/users", data={"username": "bob"}).status_code == 201
    assert users.names() == ["bob"]
    assert users.visits() == 1
    with users.app.app_context():
        pools: list[Any] = [engine.pool for engine in users.db.engines.values()]
    assert [pool.checkedout() for pool in pools] == [0, 0]


def test_a_database_that_is_not_used(users: Users) -> None:
    """Nothing is connected to that a test does not use."""
    with rolled_back(users.db, users.app):
        with users.app.app_context():
            pools: list[Any] = [engine.pool for engine in users.db.engines.values()]
        assert users.User.query.all() == []
        assert sum(pool.checkedout() for pool in pools) == 1


def test_async_sessions_say_so(users: Users) -> None:
    """An async session would commit for good; it says so before it does."""
    with rolled_back(users.db, users.app):
        with pytest.raises(RuntimeError, match=r"db\.async_session is not rolled back"):
            users.db.async_session()
        with pytest.raises(RuntimeError, match="Use db"):
            users.db.async_session.add(users.User(username="ann"))
    assert "async_session" not in vars(users.db)


def test_another_app(users: Users, tmp_path: Path) -> None:
    """Another app of the same `db` is not concerned: its sessions work on its own database, for good."""
    other = Quaff("other")
    path = f"sqlite:///{tmp_path / 'other.db'}"
    other.config.update(SQLALCHEMY_DATABASE_URI=path, SQLALCHEMY_BINDS={"log": path})
    users.db.init_app(other)
    with rolled_back(users.db, users.app), other.app_context():
        users.db.create_all()
        users.db.session.add(users.User(username="zoe"))
        users.db.session.commit()
    with other.app_context():
        assert [user.username for user in users.User.query] == ["zoe"]
    with other.app_context():
        for engine in users.db.engines.values():
            engine.dispose()
    assert users.names() == []
