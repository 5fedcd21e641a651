"""quaff.ext.sqlalchemy.lazy_transactions: a session that has read is in a transaction, and holds no connection for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

from quaff.ext.sqlalchemy import fast_rows  # noqa: E402

from .fast_cases import make_db  # noqa: E402


@pytest.fixture
def case(tmp_path: Any) -> Iterator[Any]:
    """Give an app with models."""
    made = make_db(f"sqlite:///{tmp_path / 'a.db'}")
    with made.app.app_context():
        yield made


def test_a_read_holds_no_connection(case: Any) -> None:
    """The first row is read on a connection that goes back at once; the second takes one for the transaction."""
    session, pool = case.db.session, case.db.engine.pool
    assert session.get(case.Book, 1) is not None
    assert pool.checkedout() == 0
    assert session.get(case.Book, 2) is not None
    assert pool.checkedout() == 1
    session.remove()
    assert pool.checkedout() == 0


def refuses(function: Callable[[], Any]) -> bool:
    """Tell whether a session refuses what is not for one in a transaction."""
    try:
        function()
    except sa.exc.InvalidRequestError:
        return True
    return False


@pytest.mark.parametrize(
    "look",
    [
        lambda session: session.in_transaction(),
        lambda session: session.get_transaction() is not None,
        lambda session: session.is_active,
        lambda session: refuses(session.begin),
        lambda session: session.begin_nested().is_active,
        lambda session: session.connection().in_transaction(),
    ],
)
def test_it_is_in_a_transaction(case: Any, look: Callable[[Any], bool]) -> None:
    """However it is asked."""
    case.db.session.get(case.Book, 1)
    assert look(case.db.session())


def test_rollback_and_commit_expire(case: Any) -> None:
    """As they do in a transaction that has an object."""
    for end in ("rollback", "commit"):
        book = case.db.session.get(case.Book, 1)
        getattr(case.db.session, end)()
        assert sa.inspect(book).expired
        assert not case.db.session().in_transaction()
        case.db.session.remove()


def test_a_pool_of_one(tmp_path: Any) -> None:
    """Reading, then writing, needs no second connection."""
    options = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 1, "poolclass": sa.pool.QueuePool}
    case = make_db(f"sqlite:///{tmp_path / 'a.db'}", SQLALCHEMY_ENGINE_OPTIONS=options)
    with case.app.app_context():
        case.db.session.get(case.Book, 1).title = "Changed"
        case.db.session.commit()
        assert case.db.session.get(case.Book, 1).title == "Changed"


def test_listeners_of_all_sessions_hear(case: Any) -> None:
    """Also when they come after sessions that nobody listened to."""
    heard: list[Any] = []
    cls = type(case.db.session())
    case.db.session.get(case.Book, 1)
    case.db.session.remove()

    def note(*args: Any) -> None:
        heard.append(args)

    sa.event.listen(cls, "after_begin", note)
    try:
        case.db.session.get(case.Book, 1)
    finally:
        sa.event.remove(cls, "after_begin", note)
    assert len(heard) == 1


def test_close_lets_go_of_what_is_alive(case: Any) -> None:
    """An instance that somebody holds is detached, and a session that is closed for good is."""
    session = case.db.session()
    book = session.get(case.Book, 1)
    session.close()
    assert sa.inspect(book).detached
    session = type(session)(db=case.db, close_resets_only=False)
    session.close()
    with pytest.raises(sa.exc.InvalidRequestError, match="permanently closed"):
        session.get(case.Book, 1)


def test_listeners_hear_of_the_transaction(case: Any) -> None:
    """Where somebody listens, there is an object from the start."""
    heard: list[str] = []
    session = case.db.session()
    for name in ("after_transaction_create", "after_begin", "after_transaction_end"):
        sa.event.listen(session, name, lambda *args, name=name: heard.append(name))
    session.get(case.Book, 1)
    assert heard == ["after_transaction_create", "after_begin"]
    session.close()
    assert heard[-1] == "after_transaction_end"


def test_memory_has_one_connection_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of another session does not end what one has begun."""
    case = make_db("sqlite://")
    with case.app.app_context():
        case.db.session.add(case.Word(word="pear"))
        case.db.session.flush()
        assert case.db.session.get(case.Word, "pear") is not None
        assert isinstance(case.db.engine.pool, sa.pool.StaticPool)
        case.db.session.get(case.Book, 1)
        case.db.session.commit()
    with case.app.app_context():
        assert case.db.session.get(case.Word, "pear") is not None


def test_a_read_that_fails_gives_the_connection_back(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaks, whatever is raised."""

    def fail(*args: Any) -> Any:
        raise RuntimeError("boom")

    monkeypatch.setattr(fast_rows.Rows, "fetch", fail)
    with pytest.raises(RuntimeError, match="boom"):
        case.db.session.get(case.Book, 1)
    assert case.db.engine.pool.checkedout() == 0
