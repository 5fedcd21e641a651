"""The base classes of models: `query`, a readable `repr`, names of tables and bind keys.

For the declarative bases of SQLAlchemy 2, what is needed is put on the base class that the user made (`adopt`), so that a
program may write `class User(Base)` as well as `class User(db.Model)`: type checkers understand the first by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from . import naming
from .naming import camel_to_snake_case, should_set_tablename
from .query import Query

__all__ = [
    "BindMetaMixin",
    "BindMixin",
    "DeclarativeModel",
    "DefaultMeta",
    "DefaultMetaNoName",
    "Model",
    "NameMetaMixin",
    "NameMixin",
    "adopt",
    "camel_to_snake_case",
    "should_set_tablename",
]

M = TypeVar("M")


class _QueryProperty:
    """Makes a query for the model that it is read from."""

    def __get__(self, obj: object, cls: type[M]) -> Query[M]:
        model: Any = cls
        query: Query[M] = model.query_class(model, session=model.__fsa__.session())
        return query


class Model:
    """The default of `model_class`. To customise `db.Model`, subclass it and pass the class as `model_class`."""

    __fsa__: ClassVar[Any]
    """The `SQLAlchemy` object. Any: its module imports this one."""

    query_class: ClassVar[type[Query[Any]]] = Query
    """What makes `query`."""

    query: ClassVar[_QueryProperty] = _QueryProperty()
    """A query for this model. SQLAlchemy calls queries legacy: `db.session.scalars(db.select(User))` is the newer way."""

    def __repr__(self) -> str:
        state: Any = sa.inspect(self)
        if state.transient:
            key = f"(transient {id(self)})"
        elif state.pending:
            key = f"(pending {id(self)})"
        else:
            key = ", ".join(map(str, state.identity))
        return f"<{type(self).__name__} {key}>"


def set_bind_metadata(cls: Any) -> None:
    """Give a model the metadata of its bind key, unless it has that from its parent, or says itself which it has."""
    if "metadata" in cls.__dict__ or "__table__" in cls.__dict__:
        return
    metadata = cls.__fsa__._make_metadata(getattr(cls, "__bind_key__", None))
    if metadata is not getattr(cls, "metadata", None):
        cls.metadata = metadata


class BindMetaMixin(type):
    """Lets a metaclass choose a model's metadata by `__bind_key__`."""

    def __init__(cls, name: str, bases: tuple[type, ...], d: dict[str, Any], **kwargs: Any) -> None:
        set_bind_metadata(cls)
        super().__init__(name, bases, d, **kwargs)


class NameMetaMixin(type):
    """Lets a metaclass name a model's table."""

    def __init__(cls, name: str, bases: tuple[type, ...], d: dict[str, Any], **kwargs: Any) -> None:
        naming.set_tablename(cls)
        super().__init__(name, bases, d, **kwargs)
        naming.unset_missing_table(cls)

    def __table_cls__(cls, *args: Any, **kwargs: Any) -> sa.Table | None:
        return naming.make_table(cls, *args, **kwargs)


class BindMixin:
    """Lets a declarative base choose a model's metadata by `__bind_key__`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if hasattr(cls, "__bind_key__"):
            set_bind_metadata(cls)
        super().__init_subclass__(**kwargs)


class NameMixin:
    """Lets a declarative base name a model's table."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        naming.set_tablename(cls)
        super().__init_subclass__(**kwargs)
        naming.unset_missing_table(cls)

    @classmethod
    def __table_cls__(cls, *args: Any, **kwargs: Any) -> sa.Table | None:
        return naming.make_table(cls, *args, **kwargs)


class DefaultMeta(BindMetaMixin, NameMetaMixin, sa_orm.DeclarativeMeta):
    """The metaclass of `db.Model` where that is not a declarative base of SQLAlchemy 2."""


class DefaultMetaNoName(BindMetaMixin, sa_orm.DeclarativeMeta):
    """The same without names of tables."""


if TYPE_CHECKING:

    class DeclarativeModel(Model, sa_orm.DeclarativeBase):
        """What `db.Model` is to type checkers when no `model_class` was given."""
else:
    DeclarativeModel = Model

_NO_META: Final = (object, *sa_orm.DeclarativeBase.__mro__, *sa_orm.DeclarativeBaseNoMeta.__mro__)


def declarative_bases(model_class: type) -> list[type]:
    """Return which of a class's bases are declarative bases of SQLAlchemy 2."""
    return [
        base
        for base in model_class.__bases__
        if issubclass(base, (sa_orm.DeclarativeBase, sa_orm.DeclarativeBaseNoMeta))
    ]


def adopt(base: Any, *, names: bool) -> Any:  # Any: a declarative base that is being completed
    """Put on a declarative base what models need, and return it; of one that has it already, return a subclass.

    The class is not made again: a `MappedAsDataclass` cannot be.

    :param names: whether models get names of tables.
    """
    if "__fsa__" in base.__dict__:
        return type(base)("Model", (base,), {"__abstract__": True, "__module__": base.__module__})
    if _finds_nowhere(base, "__repr__"):
        base.__repr__ = Model.__repr__
    if names and _finds_nowhere(base, "__table_cls__"):
        base.__table_cls__ = classmethod(naming.make_table)
    base.__init_subclass__ = classmethod(_subclass_hook(base, base.__dict__.get("__init_subclass__"), names))
    return base


def _finds_nowhere(cls: type, name: str) -> bool:
    """Tell whether only SQLAlchemy's bases have an attribute, or nobody."""
    return not any(name in base.__dict__ for base in cls.__mro__ if base not in _NO_META)


def _subclass_hook(base: Any, own: Any, names: bool) -> Callable[..., None]:
    def init_subclass(cls: Any, **kwargs: Any) -> None:
        if hasattr(cls, "__bind_key__"):
            set_bind_metadata(cls)
        if names:
            naming.set_tablename(cls)
        if own is None:
            super(base, cls).__init_subclass__(**kwargs)
        else:
            own.__get__(None, cls)(**kwargs)
        if names:
            naming.unset_missing_table(cls)

    return init_subclass
