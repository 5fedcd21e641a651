"""quaff.ext.sqlalchemy.retries: which statements may be read once more. That they are is in `test_restarts.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy import exc  # noqa: E402

from quaff import Quaff  # noqa: E402
from quaff.ext.sqlalchemy import SQLAlchemy  # noqa: E402
from quaff.ext.sqlalchemy.retries import close_in_any_case, is_plain_read, is_safe_request  # noqa: E402

TABLE = sa.Table("a", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))


@pytest.mark.parametrize(
    "statement, is_one",
    [
        (sa.select(TABLE), True),
        (sa.select(TABLE).where(TABLE.c.id.in_(sa.select(TABLE.c.id))), True),
        (sa.union(sa.select(TABLE), sa.select(TABLE)), True),
        (sa.select(TABLE).with_for_update(), False),
        (sa.select(TABLE).add_cte(sa.delete(TABLE).returning(TABLE.c.id).cte("gone")), False),
        (sa.select(sa.insert(TABLE).values(id=1).returning(TABLE.c.id).cte("made")), False),
        (sa.insert(TABLE), False),
        (sa.update(TABLE).values(id=2), False),
        (sa.delete(TABLE), False),
        (sa.text("SELECT 1"), False),
        (sa.schema.DropTable(TABLE), False),
    ],
)
def test_plain_reads(statement: Any, is_one: bool) -> None:
    """A SELECT that changes and locks nothing is one; of text nobody knows."""
    assert is_plain_read(statement) is is_one


@pytest.mark.parametrize("method, is_one", [("GET", True), ("HEAD", True), ("POST", False), ("DELETE", False)])
def test_safe_requests(app: Quaff, method: str, is_one: bool) -> None:
    """Methods that change nothing are safe, and so is code outside of requests."""
    with app.test_request_context(method=method):
        assert is_safe_request() is is_one
    with app.app_context():
        assert is_safe_request()
    assert is_safe_request()


class Lost(Exception):
    """What a driver says."""


@pytest.fixture
def flaky(app: Quaff, tmp_path: Path) -> Iterator[Any]:
    """Give a `db` whose next statements fail as if the connection was lost, as often as `db.failures` says."""
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'a.db'}"
    db: Any = SQLAlchemy(app)
    db.failures, db.tries = 0, 0

    class Item(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    db.Item = Item
    with app.app_context():
        db.create_all()

        @sa.event.listens_for(db.engine, "do_execute")
        def fail(*_: Any) -> None:
            db.tries += 1
            if db.failures:
                db.failures -= 1
                raise db.engine.dialect.dbapi.OperationalError("lost")

        @sa.event.listens_for(db.engine, "handle_error")
        def lose(context: Any) -> None:
            context.is_disconnect = True

        yield db
        db.session.remove()
        db.engine.dispose()


def _outcome(db: Any, action: Any) -> str:
    db.tries = 0
    try:
        action()
    except exc.OperationalError:
        return f"error after {db.tries}"
    return f"ok after {db.tries}"


def test_one_more_try_and_no_second_one(flaky: Any) -> None:
    """A read at the beginning is tried twice at most."""
    read = flaky.Item.query.count

    flaky.failures = 1
    flaky.session.rollback()
    assert _outcome(flaky, lambda: flaky.session.execute(sa.select(sa.literal(1))).all()) == "ok after 2"
    flaky.session.rollback()
    flaky.failures = 2
    assert _outcome(flaky, read) == "error after 2"
    assert flaky.failures == 0


def test_not_in_a_transaction(flaky: Any) -> None:
    """What comes after another statement, or inside of `begin()`, is tried once."""
    one = sa.select(sa.literal(1))
    flaky.session.rollback()
    flaky.session.execute(one)
    flaky.failures = 1
    assert _outcome(flaky, lambda: flaky.session.execute(one)) == "error after 1"
    flaky.session.rollback()
    flaky.failures = 1
    with pytest.raises(exc.OperationalError):
        with flaky.session.begin():
            flaky.session.execute(one)
    assert flaky.failures == 0


def test_not_with_something_to_write(flaky: Any) -> None:
    """A session that has something to write fails, so that it is not lost unnoticed."""
    flaky.session.add(flaky.Item())
    flaky.failures = 1
    with flaky.session.no_autoflush:
        assert _outcome(flaky, lambda: flaky.session.scalars(sa.select(flaky.Item)).all()) == "error after 1"


def test_a_setting(flaky: Any, app: Quaff) -> None:
    """`SQLALCHEMY_RETRY_READS` set to False switches it off."""
    app.config["SQLALCHEMY_RETRY_READS"] = False
    flaky.failures = 1
    assert _outcome(flaky, lambda: flaky.session.execute(sa.select(sa.literal(1)))) == "error after 1"


class Failing:
    """A session that cannot be closed."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.invalidated = 0

    def close(self) -> None:
        raise self.error

    def invalidate(self) -> None:
        self.invalidated += 1


def test_closing() -> None:
    """A session whose connection is lost lets go of it; any other error at the end is an error."""
    lost: Any = Failing(exc.OperationalError("ROLLBACK", {}, Lost(), connection_invalidated=True))
    close_in_any_case(lost)
    assert lost.invalidated == 1
    wrong: Any = Failing(exc.ProgrammingError("ROLLBACK", {}, Lost()))
    with pytest.raises(exc.ProgrammingError):
        close_in_any_case(wrong)
