"""One row by its primary key, without building a statement for it: the fast path of `db.session.get(Model, key)`.

`Session.get` builds a SELECT, computes its cache key, looks up what was compiled, and sets up how rows become instances,
each time anew; for one row that is most of the work. For a plain model all of it is the same every time and is remembered.
Whatever is not exactly the plain case is `PASS`, and SQLAlchemy's own `get` answers. Connection, transaction and errors are
SQLAlchemy's in any case.

PERF: on SQLite `Session.get` takes 70 to 90 µs for one row, this 12 (CPython 3.13).
Read first: `tests/ext/sqlalchemy/test_fast_get.py`.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from sqlalchemy.util import EMPTY_DICT

from .fast_models import PASS, Passed, PlainModel, find_model
from .fast_reads import PLAIN_READ
from .fast_rows import Rows, is_usable
from .lazy_transactions import LazyTransactions

M = TypeVar("M")

WAYS: Final = ("_get_impl", "_identity_lookup", "_execute_internal", "execute", "connection", "_connection_for_bind")
"""Methods that SQLAlchemy's loading goes through. A class that has one of its own gets what it says."""

_STATEMENTS: Final = "get"

_LABELS: Final = sa.__version__.startswith("2.0.")
"""Whether `Session.get` names the columns of its SELECT after the table, too: the SQL is the same as SQLAlchemy's."""


class Statement:
    """The SELECT of one row of a model on one engine.

    :param dialect: the dialect of the engine.
    :param model: the model.
    """

    __slots__ = ("_bind", "_positional", "_rows")

    def __init__(self, dialect: sa.Dialect, model: PlainModel) -> None:
        key = model.columns[model.position]
        select = sa.select(*model.columns).where(key == sa.bindparam("pk_1", type_=key.type))
        if _LABELS:
            select = select.set_label_style(sa.LABEL_STYLE_TABLENAME_PLUS_COL)
        compiled = select.compile(dialect=dialect)
        self._positional = bool(getattr(compiled, "positional", False))
        self._bind = key.type.dialect_impl(dialect).bind_processor(dialect)
        self._rows = Rows(dialect, str(compiled), model.columns)

    def fetch(self, connection: sa.Connection, value: Any) -> Any:
        """Return the row with the key *value* in a list, an empty list if there is none, or `PASS`.

        :raises sqlalchemy.exc.DBAPIError: as SQLAlchemy does.
        """

        def parameters() -> Any:
            sent = value if self._bind is None else self._bind(value)
            return (sent,) if self._positional else {"pk_1": sent}

        return self._rows.fetch(connection, parameters, PLAIN_READ)


def find_statement(model: PlainModel, engine: sa.Engine) -> Statement:
    """Return the statement of a model on an engine."""
    statements = model.extra.get(_STATEMENTS)
    if statements is None:
        statements = model.extra[_STATEMENTS] = WeakKeyDictionary()
    statement: Statement | None = statements.get(engine)
    if statement is None:
        statement = statements[engine] = Statement(engine.dialect, model)
    return statement


def load(session: Any, model: PlainModel, value: Any) -> Any:
    """Return the instance with the key *value*, None if there is none, or `PASS`.

    :raises sqlalchemy.exc.SQLAlchemyError: what `Session.get` raises.
    """
    if model.is_watched(session):
        return PASS
    key = model.identity(value)
    present = session.identity_map.get
    if present(key) is not None:
        return PASS
    session._autoflush()
    if present(key) is not None:
        return PASS
    if not model.is_learned:
        instance = sa_orm.Session.get(session, model.mapper, value)
        if instance is not None:
            model.learn(instance)
        return instance

    def fetch(connection: sa.Connection) -> Any:
        return find_statement(model, connection.engine).fetch(connection, value) if is_usable(connection) else PASS

    rows = session.read_rows(model.mapper, model.select, fetch)
    if rows is PASS:
        return PASS
    if not rows:
        return None
    if len(rows) > 1 or rows[0][model.position] != value:
        # What the database takes for equal is another key for Python: `"a"` and `"A"`.
        return PASS
    return model.make(session, key, rows[0])


class FastGet(LazyTransactions):
    """A session that loads one row of a plain model without building a statement."""

    _goes_usual_ways = True
    """Whether loading goes the ways that it goes in SQLAlchemy: none of them may be the class's own."""

    _usual: type[FastGet]

    def __init_subclass__(cls, *, usual: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if usual:
            cls._usual = cls
        cls._goes_usual_ways = all(getattr(cls, name) is getattr(cls._usual, name) for name in WAYS)

    def get(
        self,
        entity: type[M] | sa_orm.Mapper[M],
        ident: Any,
        *,
        options: Any = None,
        populate_existing: Any = None,
        with_for_update: Any = None,
        identity_token: Any = None,
        execution_options: Any = EMPTY_DICT,
        bind_arguments: Any = None,
    ) -> M | None:
        """Return the instance of a model with a primary key, or None; see `sqlalchemy.orm.Session.get`.

        Any: the types of SQLAlchemy's parameters depend on its version.
        """
        if (
            self._goes_usual_ways
            and not (options or populate_existing or execution_options or bind_arguments)
            and with_for_update is None
            and identity_token is None
        ):
            model = find_model(entity)
            if model is not None and type(ident) is model.key_type:
                found: M | Passed | None = load(self, model, ident)
                if found is not PASS:
                    return found
        return super().get(
            entity,
            ident,
            options=options,
            populate_existing=populate_existing,
            with_for_update=with_for_update,
            identity_token=identity_token,
            execution_options=execution_options,
            bind_arguments=bind_arguments,
        )


FastGet._usual = FastGet
