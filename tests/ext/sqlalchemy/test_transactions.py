"""`db.transaction()` commits or rolls back as a whole, nests as savepoints, and does the work again after a deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from quaff.ext.sqlalchemy import transactions

from .databases import make_app


class Ledger:
    """A database with one table of words."""

    def __init__(self, url: str, **config: Any) -> None:
        self.app, self.db = make_app(url, **config)
        db = self.db

        class Word(db.Model):  # type: ignore[name-defined, misc]
            id = db.Column(db.Integer, primary_key=True)
            text = db.Column(db.String(80), unique=True, nullable=False)
            count = db.Column(db.Integer, default=0, nullable=False)

        self.Word: Any = Word
        db.create_all()

    def words(self) -> list[str]:
        """Return what another connection sees, which is what was committed."""
        with self.db.engine.connect() as connection:
            return sorted(connection.scalars(sa.select(self.Word.text)))

    def add(self, text: str) -> None:
        """Add a word to the session."""
        self.db.session.add(self.Word(text=text))


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    """Give an empty ledger on each kind of database."""
    made = Ledger(database_url)
    with made.app.app_context():
        yield made
    made.db.engine.dispose()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(transactions, "pause_before", lambda attempt: 0)


def test_the_end_of_the_block_commits(ledger: Ledger) -> None:
    """What the block added is there for others."""
    with ledger.db.transaction() as session:
        session.add(ledger.Word(text="one"))
    assert ledger.words() == ["one"]


def test_an_error_rolls_all_of_it_back(ledger: Ledger) -> None:
    """Nothing of the block is there, and the session can be used."""
    with pytest.raises(ZeroDivisionError), ledger.db.transaction():
        ledger.add("one")
        ledger.db.session.flush()
        ledger.add("two")
        raise ZeroDivisionError
    assert ledger.words() == []
    with ledger.db.transaction():
        ledger.add("three")
    assert ledger.words() == ["three"]


def test_a_commit_that_fails_is_rolled_back_and_raises(ledger: Ledger) -> None:
    """What the database refuses only at the end is an error of the block."""
    with pytest.raises(IntegrityError), ledger.db.transaction():
        ledger.add("same")
        ledger.add("same")
    assert ledger.words() == []
    assert not ledger.db.session().in_transaction()


def test_a_session_that_has_read_before_is_taken_as_it_is(ledger: Ledger) -> None:
    """A read begins a transaction by itself; that is no reason for an error, nor for a savepoint."""
    assert ledger.Word.query.count() == 0
    with ledger.db.transaction():
        ledger.add("one")
    assert ledger.words() == ["one"]


def test_an_inner_block_is_a_savepoint(ledger: Ledger) -> None:
    """What fails in it is undone alone."""
    with ledger.db.transaction():
        ledger.add("outer")
        with suppress(ZeroDivisionError), ledger.db.transaction():
            ledger.add("inner")
            ledger.db.session.flush()
            raise ZeroDivisionError
    assert ledger.words() == ["outer"]


def test_an_inner_block_does_not_commit(ledger: Ledger) -> None:
    """When the outer block fails, nothing is left of an inner one that succeeded."""
    with pytest.raises(ZeroDivisionError), ledger.db.transaction():
        with ledger.db.transaction():
            ledger.add("inner")
        raise ZeroDivisionError
    assert ledger.words() == []


def test_a_block_within_the_programs_own_transaction_is_a_savepoint(ledger: Ledger) -> None:
    """`db.session.begin()` is whose the commit is."""
    with pytest.raises(ZeroDivisionError), ledger.db.session.begin():
        with ledger.db.transaction():
            ledger.add("inner")
        raise ZeroDivisionError
    assert ledger.words() == []


def test_two_blocks_one_after_the_other_are_two_transactions(ledger: Ledger) -> None:
    """What the first committed stays when the second fails."""
    with ledger.db.transaction():
        ledger.add("one")
    with suppress(ZeroDivisionError), ledger.db.transaction():
        ledger.add("two")
        raise ZeroDivisionError
    assert ledger.words() == ["one"]


def test_what_is_committed_inside_of_a_block_is_told(ledger: Ledger) -> None:
    """A commit by hand ends the transaction; going on as if it were open is SQLAlchemy's error."""
    with pytest.raises(sa.exc.InvalidRequestError, match="closed transaction"), ledger.db.transaction():
        ledger.add("one")
        ledger.db.session.commit()
        ledger.add("two")
        ledger.db.session.flush()
    assert ledger.words() == ["one"]


def test_a_function_is_decorated(ledger: Ledger) -> None:
    """The result is the function's, each call is a transaction, and one inside of another is a savepoint."""

    @ledger.db.transaction()
    def note(text: str, *, fail: bool = False) -> str:
        """Note a word."""
        ledger.add(text)
        if fail:
            raise ZeroDivisionError
        return text.upper()

    assert note("one") == "ONE"
    with pytest.raises(ZeroDivisionError):
        note("two", fail=True)
    with ledger.db.transaction():
        note("three")
        with suppress(ZeroDivisionError):
            note("four", fail=True)
    assert ledger.words() == ["one", "three"]
    assert note.__doc__ == "Note a word."


def interfere(ledger: Ledger) -> Callable[[int], None]:
    """Return what makes the first attempt fail in the way of each database, called with its number before it writes."""
    engine, session = ledger.db.engine, ledger.db.session
    word = ledger.Word.__table__
    if engine.dialect.name == "sqlite":
        blocker = engine.connect()
        blocker.exec_driver_sql("BEGIN IMMEDIATE")

        def lock(attempt: int) -> None:
            session.execute(sa.text("PRAGMA busy_timeout = 0"))
            if attempt > 1:
                blocker.close()

        return lock

    def change_what_was_read(attempt: int) -> None:
        if engine.dialect.name == "mysql":
            session.execute(sa.text("SET innodb_snapshot_isolation = ON"))
        session.scalars(sa.select(word.c.count)).all()
        if attempt == 1:
            with engine.begin() as other:
                other.execute(sa.update(word).values(count=10))

    return change_what_was_read


def seeded(url: str) -> Ledger:
    """Return a ledger with one word, on whose database reads are repeatable."""
    options = {} if url.startswith("sqlite") else {"isolation_level": "REPEATABLE READ"}
    ledger = Ledger(url, SQLALCHEMY_ENGINE_OPTIONS=options)
    with ledger.app.app_context(), ledger.db.transaction():
        ledger.add("word")
    return ledger


def test_work_that_another_transaction_ended_is_done_again(database_url: str) -> None:
    """A real conflict of each database ends the first attempt; the second sees what the other transaction did."""
    ledger = seeded(database_url)
    with ledger.app.app_context():
        prepare = interfere(ledger)
        attempts = 0

        @ledger.db.transaction(retries=2)
        def increase() -> int:
            nonlocal attempts
            attempts += 1
            prepare(attempts)
            ledger.db.session.execute(sa.update(ledger.Word).values(count=ledger.Word.count + 1))
            return attempts

        assert increase() == 2
        expected = 1 if ledger.db.engine.dialect.name == "sqlite" else 11
        assert ledger.db.session.scalar(sa.select(ledger.Word.count)) == expected
    ledger.db.engine.dispose()


def test_async_work_is_done_again(database_url: str) -> None:
    """The same conflict, in an async function."""
    ledger = seeded(database_url)
    db = ledger.db
    with ledger.app.app_context():
        prepare = interfere(ledger)
    attempts = 0

    @db.async_transaction(retries=2)
    async def increase() -> int:
        nonlocal attempts
        attempts += 1
        if db.engine.dialect.name == "sqlite":
            await db.async_session.execute(sa.text("PRAGMA busy_timeout = 0"))
            prepare(attempts)
            db.session.remove()
        else:
            if db.engine.dialect.name == "mysql":
                await db.async_session.execute(sa.text("SET innodb_snapshot_isolation = ON"))
            (await db.async_session.scalars(sa.select(ledger.Word.count))).all()
            if attempts == 1:
                with db.engine.begin() as other:
                    other.execute(sa.update(ledger.Word).values(count=10))
        await db.async_session.execute(sa.update(ledger.Word).values(count=ledger.Word.count + 1))
        return attempts

    async def main() -> int:
        with ledger.app.app_context():
            return await increase()

    assert asyncio.run(main()) == 2
    with ledger.app.app_context():
        expected = 1 if db.engine.dialect.name == "sqlite" else 11
        assert db.session.scalar(sa.select(ledger.Word.count)) == expected
    db.engine.dispose()


class Deadlock(Exception):
    """What a driver raises for a deadlock."""

    sqlstate = "40P01"


def deadlock() -> DBAPIError:
    """Return SQLAlchemy's error for a deadlock."""
    return OperationalError("UPDATE", {}, Deadlock("deadlock detected"))


@pytest.fixture
def simple(tmp_path: Any) -> Iterator[Ledger]:
    """Give a ledger on SQLite."""
    made = Ledger(f"sqlite:///{tmp_path / 'simple.db'}")
    with made.app.app_context():
        yield made
    made.db.engine.dispose()


def count_calls(ledger: Ledger, retries: int, error: BaseException) -> int:
    """Return how often a function that always fails is called."""
    calls = 0

    @ledger.db.transaction(retries=retries)
    def fail() -> None:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(type(error)):
        fail()
    return calls


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_retries_have_an_end(simple: Ledger, retries: int) -> None:
    """The last error is raised."""
    assert count_calls(simple, retries, deadlock()) == retries + 1


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        IntegrityError("INSERT", {}, Exception("duplicate key")),
        OperationalError("SELECT", {}, Exception("server closed the connection"), connection_invalidated=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_are_raised_at_once(simple: Ledger, error: BaseException) -> None:
    """An error that would come again, and one after which nobody knows what was done."""
    assert count_calls(simple, 3, error) == 1


def test_a_savepoint_is_not_repeated(simple: Ledger) -> None:
    """The database has ended the transaction around it; that one is done again, as a whole."""
    calls: list[str] = []

    @simple.db.transaction(retries=3)
    def inner() -> None:
        calls.append("inner")
        if len(calls) < 4:
            raise deadlock()

    @simple.db.transaction(retries=3)
    def outer() -> None:
        calls.append("outer")
        inner()

    outer()
    assert calls == ["outer", "inner", "outer", "inner"]


def test_a_block_cannot_be_repeated(simple: Ledger) -> None:
    """The message says where retries go."""
    with pytest.raises(TypeError, match=r"put @db\.transaction\(retries=2\) above"), simple.db.transaction(retries=2):
        pass

    async def main() -> None:
        async with simple.db.async_transaction(retries=2):
            pass

    with pytest.raises(TypeError, match=r"put @db\.async_transaction\(retries=2\) above"):
        asyncio.run(main())


def test_a_transaction_is_for_one_block(simple: Ledger) -> None:
    """One that is open is not opened again."""
    transaction = simple.db.transaction()
    with transaction, pytest.raises(RuntimeError, match="open already"), transaction:
        pass


@pytest.mark.parametrize("retries", [-1, 1.5, True])
def test_retries_are_a_number(simple: Ledger, retries: Any) -> None:
    """Anything else is refused where it is written."""
    with pytest.raises(ValueError, match="retries is a number of at least 0"):
        simple.db.transaction(retries=retries)


def test_each_kind_of_function_has_its_decorator(simple: Ledger) -> None:
    """The wrong one names the right one."""

    async def asynchronous() -> None: ...

    def synchronous() -> None: ...

    with pytest.raises(TypeError, match=r"@db\.async_transaction\(\) above"):
        simple.db.transaction()(asynchronous)
    with pytest.raises(TypeError, match=r"@db\.transaction\(\) above"):
        simple.db.async_transaction()(synchronous)  # type: ignore[arg-type]


def test_the_async_kind_commits_nests_and_rolls_back(ledger: Ledger) -> None:
    """As the other one does."""
    db = ledger.db

    async def main() -> None:
        with ledger.app.app_context():
            assert (await db.async_session.scalars(sa.select(ledger.Word))).all() == []
            async with db.async_transaction() as session:
                session.add(ledger.Word(text="outer"))
                with suppress(ZeroDivisionError):
                    async with db.async_transaction():
                        session.add(ledger.Word(text="inner"))
                        await session.flush()
                        raise ZeroDivisionError
            with suppress(ZeroDivisionError):
                async with db.async_transaction() as session:
                    async with db.async_transaction():
                        session.add(ledger.Word(text="undone"))
                    raise ZeroDivisionError

    asyncio.run(main())
    assert ledger.words() == ["outer"]


def test_pauses_grow_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rivals wait for different times, and nobody for longer than a second."""
    monkeypatch.undo()
    monkeypatch.setattr(transactions.random, "uniform", lambda least, most: most)
    pauses = [transactions.pause_before(attempt) for attempt in range(1, 9)]
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]
