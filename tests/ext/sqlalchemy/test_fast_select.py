"""quaff.ext.sqlalchemy.fast_select: a statement that is asked again gives what SQLAlchemy gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

import sqlalchemy.orm as sa_orm  # noqa: E402

from quaff.ext.sqlalchemy import fast_select  # noqa: E402

from .fast_cases import counted, make_db, observe  # noqa: E402


@pytest.fixture
def case(database_url: str) -> Iterator[Any]:
    """Give an app with models, on each database in turn."""
    made = make_db(database_url)
    with made.app.app_context():
        yield made


STATEMENTS: dict[str, Callable[[Any, int], Any]] = {
    "all": lambda case, n: sa.select(case.Book).order_by(case.Book.id),
    "where": lambda case, n: sa.select(case.Book).where(case.Book.id > n).order_by(case.Book.id),
    "filter_by": lambda case, n: sa.select(case.Author).filter_by(id=n),
    "limit": lambda case, n: sa.select(case.Book).order_by(case.Book.title.desc()).limit(2).offset(n),
    "join": lambda case, n: (
        sa.select(case.Author).join(case.Book).where(case.Book.id <= n).order_by(case.Author.id, case.Book.id)
    ),
    "exists": lambda case, n: (
        sa.select(case.Author)
        .where(sa.exists().where(case.Book.author_id == case.Author.id, case.Book.id == n))
        .order_by(case.Author.id)
    ),
    "in": lambda case, n: sa.select(case.Book).where(case.Book.id.in_([n, n + 1])).order_by(case.Book.id),
    "function": lambda case, n: sa.select(case.Book).where(sa.func.lower(case.Book.title) == f"on {n}"),
    "distinct": lambda case, n: sa.select(case.Book).distinct().order_by(case.Book.id),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_what_a_statement_gives(case: Any, name: str) -> None:
    """Instances, their states and their order are SQLAlchemy's, the first time and later, for other parameters too."""
    session = case.db.session
    for n in (1, 2, 1, 3):
        session.remove()
        ours = [observe(session, found) for found in session.scalars(STATEMENTS[name](case, n)).all()]
        session.remove()
        result = sa_orm.Session._execute_internal(session(), STATEMENTS[name](case, n))
        assert ours == [observe(session, found) for found in result.scalars().all()]


@pytest.mark.parametrize("name, fast", [("all", True), ("where", True), ("join", True), ("limit", True), ("in", False)])
def test_which_are_remembered(case: Any, monkeypatch: pytest.MonkeyPatch, name: str, fast: bool) -> None:
    """From the second time on SQLAlchemy is not asked, but for lists, whose SQL depends on their length."""
    session = case.db.session
    session.scalars(STATEMENTS[name](case, 1)).all()
    with counted(monkeypatch) as sent:
        session.scalars(STATEMENTS[name](case, 2)).all()
    assert len(sent) == fast


def refuses(function: Callable[[], Any], error: type[Exception]) -> bool:
    """Tell whether *function* raises *error*."""
    try:
        function()
    except error:
        return True
    return False


ASKED: dict[str, Callable[[Any], Any]] = {
    "all": lambda result: [tuple(row) for row in result.all()],
    "keys": lambda result: list(result.keys()),
    "scalars": lambda result: result.scalars().all(),
    "mappings": lambda result: [dict(row) for row in result.mappings()],
    "first": lambda result: tuple(result.first()),
    "unique": lambda result: result.unique().scalars().all(),
    "partitions": lambda result: [len(part) for part in result.scalars().partitions(2)],
    "fetchmany": lambda result: len(result.fetchmany(3)),
    "columns": lambda result: [tuple(row) for row in result.columns(0)],
    "names": lambda result: [row.Book for row in result],
    "freeze": lambda result: [tuple(row) for row in result.freeze()().all()],
    "yield_per": lambda result: len(list(result.yield_per(2))),
    "one": lambda result: refuses(result.scalar_one, sa.exc.MultipleResultsFound),
}


@pytest.mark.parametrize("name", ASKED)
def test_the_result_is_one_of_sqlalchemys(case: Any, name: str) -> None:
    """All that a result can be asked is answered alike."""
    session = case.db.session
    statement = sa.select(case.Book).order_by(case.Book.id)
    theirs = ASKED[name](sa_orm.Session._execute_internal(session(), statement))
    for _ in range(3):
        assert ASKED[name](session.execute(statement)) == theirs


def test_rows_that_the_session_has(case: Any) -> None:
    """An instance stays the same and keeps its changes; one that lacks a column gets it."""
    session = case.db.session
    statement = sa.select(case.Book).order_by(case.Book.id)
    books = session.scalars(statement).all()
    session.scalars(statement).all()
    with session.no_autoflush:
        books[0].title = "Mine"
        session.expire(books[1], ["title"])
        again = session.scalars(statement).all()
    assert again[0] is books[0]
    assert again[0].title == "Mine"
    assert again[1] is books[1]
    assert "title" in sa.inspect(books[1]).dict
    session.rollback()


def test_what_is_left_to_sqlalchemy(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns, several entities, aliases, options, locks and execution options."""
    other = sa_orm.aliased(case.Book)
    statements = [
        sa.select(case.Book.id),
        sa.select(case.Book, case.Author).join(case.Author),
        sa.select(other),
        sa.select(case.Author).options(sa_orm.joinedload(case.Author.books)),
        sa.select(case.Book).with_for_update(),
        sa.select(case.Book).execution_options(populate_existing=True),
        sa.select(case.Book.__table__),
    ]
    with counted(monkeypatch) as sent:
        for statement in statements * 3:
            case.db.session.execute(statement).unique().all()
    assert not sent


def test_pending_rows_are_flushed_first(case: Any) -> None:
    """What was added is found."""
    statement = sa.select(case.Word).order_by(case.Word.word)
    session = case.db.session
    for n, found in enumerate((["apple", "b0"], ["apple", "b0", "b1"], ["apple", "b0", "b1", "b2"])):
        session.add(case.Word(word=f"b{n}"))
        assert [word.word for word in session.scalars(statement)] == found
    session.rollback()


def test_only_so_many_are_remembered(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements that are all different do not fill the memory."""
    monkeypatch.setattr(fast_select, "MOST", 3)
    plans: dict[Any, Any] = {}
    for n in range(10):
        fast_select.keep_plan(plans, type("Key", (), {"key": n}), None)
    assert len(plans) <= 3
