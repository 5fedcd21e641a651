"""quaff.ext.sqlalchemy.fast_rows: rows as SQLAlchemy converts them, on connections on which nobody listens."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

from quaff.ext.sqlalchemy.fast_models import PASS  # noqa: E402
from quaff.ext.sqlalchemy.fast_rows import Rows, is_usable  # noqa: E402

TABLE = sa.Table("a", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("price", sa.Numeric(10, 2)))
SQL = "SELECT id, price FROM a"


@pytest.fixture
def connection() -> Iterator[Any]:
    """Give a connection to a table with one row."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as made:
        TABLE.create(made)
        made.execute(sa.insert(TABLE).values(id=1, price=Decimal("1.50")))
        yield made
    engine.dispose()


def test_values_are_converted(connection: Any) -> None:
    """Each as its type says, in the order that is asked for."""
    rows = Rows(connection.dialect, SQL, [TABLE.c.price, TABLE.c.id], [1, 0])
    assert rows.fetch(connection, tuple, None) == [[Decimal("1.50"), 1]]
    assert Rows(connection.dialect, SQL, [TABLE.c.id]).fetch(connection, tuple, None) == [[1]]


def test_what_cannot_be_sent(connection: Any) -> None:
    """A value that is refused on the way is left to SQLAlchemy; what the database refuses is SQLAlchemy's error."""
    rows = Rows(connection.dialect, "SELECT id, price FROM a WHERE id = ?", list(TABLE.c))
    assert rows.fetch(connection, lambda: (2**80,), None) is PASS
    with pytest.raises(sa.exc.OperationalError, match="no such table"):
        Rows(connection.dialect, "SELECT id FROM b", [TABLE.c.id]).fetch(connection, tuple, None)


def test_usable_connections(connection: Any) -> None:
    """Without options and listeners."""
    assert is_usable(connection)
    assert not is_usable(connection.execution_options(stream_results=False))


@pytest.mark.parametrize("event", ["before_cursor_execute", "after_cursor_execute", "before_execute", "do_execute"])
def test_listeners(event: str) -> None:
    """Whoever listens to statements hears of all."""
    engine = sa.create_engine("sqlite://")
    sa.event.listen(engine, event, lambda *args: None)
    with engine.connect() as made:
        assert not is_usable(made)
    engine.dispose()
