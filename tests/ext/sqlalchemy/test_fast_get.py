"""quaff.ext.sqlalchemy.fast_get: what it loads cannot be told from what SQLAlchemy loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

import sqlalchemy.orm as sa_orm  # noqa: E402

from quaff import jsonify  # noqa: E402
from quaff.ext.sqlalchemy import fast_get, fast_models  # noqa: E402
from tests.contracts.test_calls import answer, calls_of, environ  # noqa: E402

from .fast_cases import TOKEN, by_fast_path, by_sqlalchemy, counted, make_db, observe, values_of  # noqa: E402

Load = Callable[..., Any]
BOTH = [by_sqlalchemy, by_fast_path]


@pytest.fixture
def case(database_url: str) -> Iterator[Any]:
    """Give an app with models, on each database in turn."""
    made = make_db(database_url)
    with made.app.app_context():
        yield made


def seen_both_ways(case: Any, look: Callable[[Any, Load], Any]) -> None:
    """Look at what both ways lead to, each in a session of its own, and compare."""
    found = []
    for load in BOTH:
        case.db.session.remove()
        found.append(look(case.db.session(), load))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "model, key", [("Author", 2), ("Book", 3), ("Token", TOKEN), ("Word", "apple"), ("Author", 99)]
)
def test_an_instance_and_its_state(case: Any, monkeypatch: pytest.MonkeyPatch, model: str, key: Any) -> None:
    """Values and their types, state, key, history, session and transaction are those that SQLAlchemy leaves."""
    seen_both_ways(case, lambda session, load: observe(session, load(session, getattr(case, model), key)))
    with counted(monkeypatch) as sent:
        case.db.session.remove()
        case.db.session.get(getattr(case, model), key)
    assert len(sent) == 1


def test_the_sql_is_that_of_sqlalchemy(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server sees, and what its statistics count together, stays the same."""
    with counted(monkeypatch) as sent:
        case.db.session.get(case.Book, 1)
    told: list[str] = []
    sa.event.listen(case.db.engine, "before_cursor_execute", lambda conn, cur, statement, *rest: told.append(statement))
    case.db.session.remove()
    case.db.session.get(case.Book, 1)
    assert told == sent


def change_and_commit(session: Any, author: Any) -> Any:
    """Change an author, and look at what commit leaves."""
    author.name = "Grace"
    dirty = author in session.dirty
    session.commit()
    expired = sa.inspect(author).expired
    result = dirty, expired, author.name, observe(session, author)["values"]
    author.name = "Ada 2"
    session.commit()
    return result


def roll_back(session: Any, author: Any) -> Any:
    """Change an author and roll back."""
    author.name = "Grace"
    session.rollback()
    return sa.inspect(author).expired, author.name, observe(session, author)["status"]


def load_lazily(session: Any, author: Any) -> Any:
    """Load what belongs to an author."""
    return [book.title for book in author.books], [book.author is author for book in author.books]


def refresh(session: Any, author: Any) -> Any:
    """Expire one attribute and refresh."""
    session.expire(author, ["name"])
    name = author.name
    session.refresh(author)
    return name, observe(session, author)["values"]


def begin_again(session: Any, author: Any) -> Any:
    """A session that has read is in a transaction."""
    with pytest.raises(sa.exc.InvalidRequestError, match="already begun"):
        session.begin()
    with session.begin_nested():
        author.name = "Grace"
    return session.in_transaction(), session.in_nested_transaction()


def merge_and_delete(session: Any, author: Any) -> Any:
    """Merge a detached one, delete it, and roll back."""
    session.expunge(author)
    detached = sa.inspect(author).detached
    merged = session.merge(author)
    session.delete(session.get(type(author), 3) or merged)
    session.rollback()
    return detached, merged.name


@pytest.mark.parametrize("then", [change_and_commit, roll_back, load_lazily, refresh, begin_again, merge_and_delete])
def test_what_can_be_done_with_it(case: Any, then: Callable[[Any, Any], Any]) -> None:
    """Later changes, loads and transactions go on alike."""
    seen_both_ways(case, lambda session, load: then(session, load(session, case.Author, 2)))


def test_the_same_key_is_the_same_instance(case: Any) -> None:
    """The identity map has it, however it came."""
    session = case.db.session
    first = session.get(case.Author, 1)
    assert session.get(case.Author, 1) is first
    assert by_sqlalchemy(session, case.Author, 1) is first
    assert session.scalars(sa.select(case.Author).where(case.Author.id == 1)).one() is first


def test_pending_rows_are_flushed_first(case: Any) -> None:
    """A row that was added and not committed is found, unless autoflush is off."""
    session = case.db.session
    session.add(case.Book(id=50, title="New"))
    assert session.get(case.Book, 50).title == "New"
    session.rollback()
    session.add(case.Book(id=51, title="New"))
    with session.no_autoflush:
        assert session.get(case.Book, 51) is None
    session.rollback()


def test_expired_and_deleted_instances(case: Any) -> None:
    """An expired instance is loaded anew; one whose row is gone is None."""
    session = case.db.session
    word = session.get(case.Word, "apple")
    session.commit()
    assert sa.inspect(word).expired
    assert session.get(case.Word, "apple") is word
    session.commit()
    with case.db.engine.begin() as connection:
        connection.execute(sa.delete(case.Word))
    assert session.get(case.Word, "apple") is None


@pytest.mark.parametrize(
    "options",
    [
        {"populate_existing": True},
        {"with_for_update": True},
        {"execution_options": {"a": 1}},
        {"options": ["lazyload"]},
    ],
)
def test_options_are_sqlalchemys(case: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    """With options, SQLAlchemy answers."""
    if "options" in options:
        options = {"options": [sa_orm.joinedload(case.Author.books)]}
    with counted(monkeypatch) as sent:
        assert case.db.session.get(case.Author, 1, **options).name == "Ada 1"
    assert not sent


@pytest.mark.parametrize("key", ["1", 1.0, True, (1,), {"id": 1}, None])
def test_keys_of_other_types_are_sqlalchemys(
    case: Any, monkeypatch: pytest.MonkeyPatch, key: Any, recwarn: pytest.WarningsRecorder
) -> None:
    """What is converted on the way, or means something, is left to it."""

    def look(session: Any, load: Load) -> Any:
        try:
            return observe(session, load(session, case.Author, key))
        except sa.exc.SQLAlchemyError as error:
            session.rollback()
            return type(error)

    with counted(monkeypatch) as sent:
        seen_both_ways(case, look)
    assert not sent


@pytest.mark.parametrize("name", ["do_orm_execute", "loaded_as_persistent", "load", "refresh", "before_cursor_execute"])
def test_listeners_hear_of_it(case: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where somebody listens, SQLAlchemy loads."""
    heard: list[str] = []
    session = case.db.session()
    target = {"load": case.Author, "refresh": case.Author, "before_cursor_execute": case.db.engine}.get(name, session)
    sa.event.listen(target, name, lambda *args: heard.append(name))
    with counted(monkeypatch) as sent:
        assert session.get(case.Author, 1).name == "Ada 1"
    assert not sent
    assert heard or name == "refresh"


def test_errors_are_sqlalchemys(case: Any) -> None:
    """A table that is gone is the same error with the same statement."""
    case.db.session.get(case.Word, "apple")
    case.db.session.remove()
    with case.db.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE word"))
    errors = []
    for load in BOTH:
        case.db.session.remove()
        with pytest.raises(sa.exc.DBAPIError) as caught:
            load(case.db.session, case.Word, "apple")
        errors.append((type(caught.value), caught.value.statement, caught.value.connection_invalidated))
    assert errors[0] == errors[1]
    case.db.session.rollback()
    assert case.db.session.get(case.Author, 1) is not None


def test_numbers_that_do_not_fit(case: Any) -> None:
    """What the driver or the server refuses is the same error."""

    def look(session: Any, load: Load) -> Any:
        try:
            return load(session, case.Author, 2**80)
        except Exception as error:
            session.rollback()
            return type(error)

    seen_both_ways(case, look)


def test_a_read_inside_a_transaction_sees_it(case: Any) -> None:
    """After a change, rows are read on the connection that made it."""
    session = case.db.session
    session.execute(sa.update(case.Book).values(title="Changed"))
    assert session.get(case.Book, 1).title == "Changed"
    session.rollback()
    assert session.get(case.Book, 1).title == "On 1"


def test_a_session_class_of_ones_own(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that changes how statements are executed is asked; one that does not may go the short way."""
    session_class = type(case.db.session())
    asked = []

    class Asked(session_class):  # type: ignore[misc, valid-type]
        def execute(self, *args: Any, **kwargs: Any) -> Any:
            asked.append(args)
            return super().execute(*args, **kwargs)

    class Other(session_class):  # type: ignore[misc, valid-type]
        pass

    with counted(monkeypatch) as sent:
        with Asked(db=case.db) as session:
            assert session.get(case.Author, 1) is not None
        assert (len(asked), len(sent)) == (1, 0)
        with Other(db=case.db) as session:
            assert session.get(case.Author, 1) is not None
        assert len(sent) == 1


def test_a_version_of_sqlalchemy_that_is_not_known(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what the fast path stands on, SQLAlchemy loads everything."""
    monkeypatch.delattr(sa.Connection, "_handle_dbapi_exception")
    assert fast_models.find_run_counter() is None
    monkeypatch.undo()
    monkeypatch.setattr(fast_models, "_new_run", None)
    vars(sa.inspect(case.Author)).pop("quaff.plain_model")
    with counted(monkeypatch) as sent:
        assert case.db.session.get(case.Author, 1).name == "Ada 1"
    assert not sent


def test_values_are_what_sqlalchemy_gives(case: Any) -> None:
    """Dates, decimals, JSON and truth values are converted."""
    seen_both_ways(case, lambda session, load: values_of(load(session, case.Author, 1)))
    assert isinstance(fast_get.find_statement(fast_models.find_model(case.Author), case.db.engine), fast_get.Statement)


def test_calls_of_a_request(tmp_path: Any) -> None:
    """A request for one row makes less than seven tenths of the calls that it makes with SQLAlchemy's own `get`."""
    case = make_db(f"sqlite:///{tmp_path / 'a.db'}")
    loads: list[Load] = []

    @case.app.get("/json")
    def page() -> Any:
        return jsonify(id=loads[-1](case.db.session, case.Book, 1).id)

    counts = []
    for load in BOTH:
        loads.append(load)
        for _ in range(3):
            answer(case.app, environ("/json"))
        counts.append(len(calls_of(answer, case.app, environ("/json"))))
    theirs, ours = counts
    assert ours < 0.7 * theirs


def test_a_request_without_the_database_has_no_session(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is one made, nor is a connection taken."""
    case = make_db(f"sqlite:///{tmp_path / 'a.db'}")
    made: list[Any] = []
    monkeypatch.setattr(case.db.session.registry, "createfunc", lambda: made.append(1))
    case.app.add_url_rule("/json", "page", lambda: jsonify(id=1))
    with case.app.app_context():
        pool = case.db.engine.pool
    sa.event.listen(pool, "checkout", lambda *args: made.append(2))
    answer(case.app, environ("/json"))
    assert not made
