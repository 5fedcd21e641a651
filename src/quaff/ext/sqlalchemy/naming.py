"""Names of tables made from names of models, and which models get a table of their own."""

from __future__ import annotations

import re
from typing import Any, Final

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

_BASES: Final = (sa_orm.DeclarativeBase, sa_orm.DeclarativeBaseNoMeta)
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[^_])(?=[A-Z][a-z])")


def camel_to_snake_case(name: str) -> str:
    """Return the name of a class as that of a table.

    >>> camel_to_snake_case("UserName"), camel_to_snake_case("HTTPRequest"), camel_to_snake_case("APIKey2")
    ('user_name', 'http_request', 'api_key2')
    """
    return _WORD.sub("_", name).lower().lstrip("_")


def is_declarative(cls: type) -> bool:
    """Tell whether a class is a model or a base of models, and no mix-in."""
    return isinstance(cls, sa_orm.DeclarativeMeta) or (issubclass(cls, _BASES) and cls not in _BASES)


def should_set_tablename(cls: type) -> bool:
    """Tell whether a model gets the name of its table from its own name.

    It does unless it is abstract, the base of all models, or told its name: by itself, an abstract parent or a mix-in. A
    parent with a table keeps that to itself.
    """
    is_root = any(base in _BASES for base in cls.__bases__) or not any(map(is_declarative, cls.__mro__[1:]))
    if cls.__dict__.get("__abstract__", False) or is_root:
        return False
    for base in cls.__mro__:
        if "__tablename__" not in base.__dict__:
            continue
        if isinstance(base.__dict__["__tablename__"], sa_orm.declared_attr):
            return False
        return base is not cls and is_declarative(base) and not base.__dict__.get("__abstract__", False)
    return True


def set_tablename(cls: Any) -> None:  # Any: a model that is being made
    """Give a model the name of its table, if it gets it from its own name."""
    if should_set_tablename(cls):
        cls.__tablename__ = camel_to_snake_case(cls.__name__)


def unset_missing_table(cls: Any) -> None:
    """Let a model without a table of its own use its parent's, after `make_table` made none."""
    if "__tablename__" not in cls.__dict__ and cls.__dict__.get("__table__", cls) is None:
        del cls.__table__


def make_table(cls: Any, *args: Any, **kwargs: Any) -> sa.Table | None:
    """Return the table of a model that is being mapped, or None when it shares that of its parent.

    A model without a primary key below one with a table is single-table inheritance.
    """
    schema = kwargs.get("schema")
    key = args[0] if schema is None else f"{schema}.{args[0]}"
    # A table of this name may be there: it was reflected.
    if key in cls.metadata.tables or any(map(_is_primary_key, args)) or not _has_parent_table(cls):
        return sa.Table(*args, **kwargs)
    if "__tablename__" in cls.__dict__:
        del cls.__tablename__
    return None


def _is_primary_key(item: Any) -> bool:
    return isinstance(item, sa.PrimaryKeyConstraint) or (isinstance(item, sa.Column) and item.primary_key)


def _has_parent_table(cls: type) -> bool:
    return any("__table__" in base.__dict__ for base in cls.__mro__[1:-1])
