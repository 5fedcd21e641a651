"""What the fast paths know of a model: whether it is plain, and how a loaded instance of it is made.

A model is plain when an instance is one row of one table: no inheritance, nothing that is loaded along, no SQL around a
column. How SQLAlchemy leaves such an instance is learned from an example: the first one is loaded by SQLAlchemy itself, and
an instance made here has to have the same state, or the model is left to SQLAlchemy for good.

Read first: `tests/ext/sqlalchemy/test_fast_models.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from sqlalchemy.orm.attributes import instance_dict, instance_state


class Passed(Enum):
    """The answer of a fast path that leaves the work to SQLAlchemy."""

    PASS = "pass"  # noqa: S105 - no password


PASS: Final = Passed.PASS

_KEY_TYPES: Final = (int, str, UUID, date)
"""The types of primary keys for which a value of Python and the value that comes back are the same, or differ in `==`."""

_PLAIN_COLUMN: Final = (("deferred", False), ("instrument", True))
_PLAIN_LAZY: Final = frozenset({"select", True, "dynamic", "write_only"})
"""Values of `relationship(lazy=)` with which loading an instance does nothing for the relationship."""

_MODEL: Final = "quaff.plain_model"
"""Under which name a mapper has its `PlainModel` that goes with the model."""


def find_run_counter() -> Callable[[], int] | None:
    """Return SQLAlchemy's counter of loads, or None when this version lacks something of what the fast paths stand on."""
    needed: tuple[tuple[Any, tuple[str, ...]], ...] = (
        (sa_orm.Session, ("_autoflush", "_autobegin_t", "_execute_internal", "_get_impl")),
        (sa.Connection, ("_handle_dbapi_exception",)),
        (sa.Engine, ("_has_events",)),
        (sa.types.TypeEngine, ("_cached_result_processor", "_has_bind_expression", "_has_column_expression")),
        (sa_orm.identity.IdentityMap, ("_add_unpresent",)),
    )
    if any(not hasattr(owner, name) for owner, names in needed for name in names):
        return None
    counter: Callable[[], int] | None = getattr(sa_orm.loading, "_new_runid", None)
    return counter


_new_run: Callable[[], int] | None = find_run_counter()


class PlainModel:
    """What is known of a model.

    :param mapper: its mapper.
    """

    __slots__ = (
        "_attributes",
        "_identity_class",
        "_keys",
        "_manager",
        "_path",
        "columns",
        "extra",
        "is_learned",
        "key_type",
        "mapper",
        "position",
        "select",
        "unfit",
    )

    def __init__(self, mapper: sa_orm.Mapper[Any]) -> None:
        self.mapper = mapper
        self._manager: Any = mapper.class_manager
        self._attributes = len(self._manager)
        self._path: Any = None
        self.is_learned = False
        """Whether an instance that SQLAlchemy loaded was seen."""

        self.unfit = _new_run is None or not is_plain(mapper)
        """Whether the model is left to SQLAlchemy."""

        self.select = sa.select(mapper)
        self.extra: dict[Any, Any] = {}
        """What the fast paths remember for this model."""

        if not self.unfit:
            self._set_columns(mapper)

    def _set_columns(self, mapper: sa_orm.Mapper[Any]) -> None:
        self._keys = tuple(attribute.key for attribute in mapper.column_attrs)
        self.columns: tuple[Any, ...] = tuple(attribute.columns[0] for attribute in mapper.column_attrs)
        key = mapper.primary_key[0]
        self.position = self.columns.index(key)
        self.key_type: type = key.type.python_type
        self._identity_class = mapper.identity_key_from_primary_key((None,))[0]

    def is_stale(self) -> bool:
        """Tell whether the model has got or lost an attribute."""
        return len(self._manager) != self._attributes

    def identity(self, value: Any) -> Any:
        """Return the key of an instance in a session's identity map."""
        return (self._identity_class, (value,), None)

    def is_watched(self, session: Any) -> bool:
        """Tell whether somebody listens to what is loaded, or has set what every statement of the session obeys."""
        told, loaded = session.listeners(), self._manager.dispatch
        return bool(
            told.do_orm_execute
            or told.loaded_as_persistent
            or loaded.load
            or loaded.refresh
            or getattr(session, "execution_options", None)
            or session.twophase
        )

    def make(self, session: Any, key: Any, row: Any, run: int | None = None) -> Any:
        """Return a new instance with the values of *row*, in the state in which SQLAlchemy leaves a loaded one."""
        instance = self._manager.new_instance()
        state: Any = instance_state(instance)
        state.key = key
        state.identity_token = None
        state.session_id = session.hash_key
        state.load_options = ()
        state.load_path = self._path
        state.runid = run or new_run()
        instance_dict(instance).update(zip(self._keys, row, strict=True))
        session.identity_map._add_unpresent(state, key)
        return instance

    def is_complete(self, instance: Any) -> bool:
        """Tell whether an instance of a session has all columns, so that loading it again would change nothing."""
        state, values = instance_state(instance), instance_dict(instance)
        return type(instance) is self.mapper.class_ and not state.expired and all(key in values for key in self._keys)

    def learn(self, instance: Any) -> None:
        """Look at an instance that SQLAlchemy has just loaded: where anything but the columns came, it is no plain model."""
        state: Any = instance_state(instance)
        value = state.dict.get(self._keys[self.position])
        plain = (
            state.load_options == ()
            and state.identity_token is None
            and not state.expired_attributes
            and not state.modified
            and set(self._keys) == set(state.dict) - {"_sa_instance_state"}
            and state.key == self.identity(value)
        )
        self._path = state.load_path
        self.is_learned = True
        self.unfit = not plain or self._differs(state)

    def _differs(self, example: Any) -> bool:
        """Tell whether a state made here has other attributes than that of an instance that SQLAlchemy loaded."""
        with sa_orm.Session() as session:
            made = self.make(session, example.key, [example.dict[key] for key in self._keys])
            return set(vars(instance_state(made))) != set(vars(example))


def new_run() -> int:
    """Return the number of a new load.

    :raises RuntimeError: when SQLAlchemy has no such numbers; every model is unfit then.
    """
    if _new_run is None:
        raise RuntimeError("this version of SQLAlchemy is not known")
    return _new_run()


def is_plain(mapper: sa_orm.Mapper[Any]) -> bool:
    """Tell whether an instance is one row of one table, with a primary key of one column, and nothing else."""
    table = mapper.local_table
    return (
        isinstance(table, sa.Table)
        and mapper.inherits is None
        and mapper.polymorphic_on is None
        and not mapper.always_refresh
        and len(mapper.primary_key) == 1
        and all(relation.lazy in _PLAIN_LAZY for relation in mapper.relationships)
        and all(_is_plain_column(attribute, table) for attribute in mapper.column_attrs)
        and mapper.primary_key[0] in {attribute.columns[0] for attribute in mapper.column_attrs}
        and _is_plain_key(mapper.primary_key[0])
    )


def _is_plain_column(attribute: Any, table: sa.Table) -> bool:
    column = attribute.columns[0]
    return (
        len(attribute.columns) == 1
        and isinstance(column, sa.Column)
        and column.table is table
        and attribute.strategy_key == _PLAIN_COLUMN
        and not column.type._has_column_expression
    )


def _is_plain_key(column: sa.ColumnElement[Any]) -> bool:
    if column.type._has_bind_expression or isinstance(column.type, sa.types.TypeDecorator):
        return False
    try:
        return column.type.python_type in _KEY_TYPES
    except NotImplementedError:
        return False


def find_model(entity: Any) -> PlainModel | None:
    """Return what is known of a model, or None when it is not plain or no model."""
    mapper: Any = entity.__dict__.get("__mapper__") if isinstance(entity, type) else None
    if mapper is None:
        return None
    model: PlainModel | None = mapper.__dict__.get(_MODEL)
    if model is None or model.is_stale():
        if not isinstance(sa.inspect(entity, raiseerr=False), sa_orm.Mapper):
            return None
        model = mapper.__dict__[_MODEL] = PlainModel(mapper)
    return None if model.unfit else model
