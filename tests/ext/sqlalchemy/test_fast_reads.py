"""quaff.ext.sqlalchemy.fast_reads: which reads need no transaction, and that everything else has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

from quaff.ext.sqlalchemy.fast_reads import ALWAYS_BEGIN, is_plain_select  # noqa: E402

from .fast_cases import make_db  # noqa: E402

TABLE = sa.Table("a", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(10)))
NUMBERS = sa.Sequence("numbers")


@pytest.mark.parametrize(
    "statement, is_plain",
    [
        (sa.select(TABLE), True),
        (sa.select(TABLE).where(TABLE.c.id == 1, TABLE.c.name.like("a%")).order_by(TABLE.c.id.desc()).limit(3), True),
        (sa.select(sa.func.count()).select_from(TABLE), True),
        (sa.select(TABLE).where(TABLE.c.id.in_([1, 2])), True),
        (sa.union(sa.select(TABLE), sa.select(TABLE)), True),
        (sa.select(TABLE).with_for_update(), False),
        (sa.select(sa.func.nextval("numbers")), False),
        (sa.select(NUMBERS.next_value()), False),
        (sa.select(sa.func.pg_advisory_xact_lock(1)), False),
        (sa.select(sa.func.now()), False),
        (sa.select(sa.func.set_config("a.b", "c", True)), False),
        (sa.select(sa.func.mine.lower("A")), False),
        (sa.select(TABLE).where(TABLE.c.name.op("@@@")("a")), False),
        (sa.select(sa.text("lower('A')")), False),
        (sa.select(TABLE).where(sa.text("f(id)")), False),
        (sa.select(sa.literal_column("f(1)")), False),
        (sa.select(sa.insert(TABLE).values(id=1).returning(TABLE.c.id).cte("made")), False),
        (sa.insert(TABLE), False),
        (sa.text("SELECT 1"), False),
    ],
)
def test_plain_selects(statement: Any, is_plain: bool) -> None:
    """Tables, columns, comparisons and functions that only compute; nothing that acts, locks or is not known."""
    assert is_plain_select(statement) is is_plain


def is_open(session: Any) -> bool:
    """Tell whether the server has a transaction open for a session."""
    connection = session.connection().connection.dbapi_connection
    return bool(connection.info.transaction_status)


READS: dict[str, Callable[[Any], Any]] = {
    "get": lambda case: case.db.session.get(case.Book, 1),
    "scalars": lambda case: case.db.session.scalars(sa.select(case.Book)).all(),
    "count": lambda case: case.db.session.scalar(sa.select(sa.func.count()).select_from(case.Book)),
    "query": lambda case: case.Book.query.filter_by(title="On 1").all(),
    "lazy": lambda case: case.db.session.get(case.Author, 1).books,
}
OTHERS: dict[str, Callable[[Any], Any]] = {
    "text": lambda case: case.db.session.execute(sa.text("SELECT 1")),
    "for update": lambda case: case.db.session.get(case.Book, 1, with_for_update=True),
    "write": lambda case: case.db.session.execute(sa.update(case.Book).values(title="x")),
    "flush": lambda case: (case.db.session.add(case.Word(word="pear")), case.db.session.flush()),
    "function": lambda case: case.db.session.scalar(sa.select(sa.func.now())),
}


@pytest.mark.service("postgresql")
@pytest.mark.parametrize("name", [*READS, *OTHERS])
def test_what_begins_a_transaction(new_database: Callable[[str], str], name: str) -> None:
    """Reads do not, whatever else does; and a read after it is in that transaction."""
    case = make_db(new_database("postgresql"))
    with case.app.app_context():
        for _ in range(2):
            case.db.session.remove()
            {**READS, **OTHERS}[name](case)
            assert is_open(case.db.session) is (name in OTHERS)
        READS["scalars"](case)
        assert is_open(case.db.session) is (name in OTHERS)
        case.db.session.execute(sa.text("SELECT 1"))
        assert is_open(case.db.session)
        case.db.session.rollback()
        assert case.db.session.connection().connection.dbapi_connection.autocommit is False


@pytest.mark.service("postgresql")
@pytest.mark.parametrize(
    "options",
    [
        {"SQLALCHEMY_ENGINE_OPTIONS": {"isolation_level": "REPEATABLE READ"}},
        {"SQLALCHEMY_ENGINE_OPTIONS": {"isolation_level": "SERIALIZABLE"}},
        {"COMPAT": [ALWAYS_BEGIN]},
    ],
)
def test_where_reads_begin(new_database: Callable[[str], str], options: dict[str, Any]) -> None:
    """With a level at which a transaction sees one state, and where `COMPAT` says so: two reads see the same."""
    case = make_db(new_database("postgresql"), **options)
    with case.app.app_context():
        assert case.db.session.get(case.Book, 1).title == "On 1"
        assert is_open(case.db.session)
        with case.db.engine.begin() as connection:
            connection.execute(sa.update(case.Book).values(title="Changed"))
        case.db.session.expire_all()
        same = case.db.session.get(case.Book, 1).title == "On 1"
        assert same is ("COMPAT" not in options)


@pytest.mark.service("postgresql")
def test_after_an_error(new_database: Callable[[str], str]) -> None:
    """A read that fails leaves a connection that can be used."""
    case = make_db(new_database("postgresql"))
    with case.app.app_context():
        missing = sa.Table("missing", sa.MetaData(), sa.Column("id", sa.Integer))
        with pytest.raises(sa.exc.ProgrammingError):
            case.db.session.execute(sa.select(missing))
        case.db.session.rollback()
        assert case.db.session.get(case.Book, 1).title == "On 1"
        assert case.db.session.connection().connection.dbapi_connection.autocommit is False
