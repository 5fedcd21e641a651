"""SQLAlchemy's own names on `db`: those that type checkers know, and all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import sqlalchemy.event as sa_event
import sqlalchemy.orm as sa_orm


class SQLAlchemyNames:
    """`db.Column`, `db.select`, ...: each public name of `sqlalchemy` and `sqlalchemy.orm`."""

    if TYPE_CHECKING:
        BigInteger = sa.BigInteger
        Boolean = sa.Boolean
        CheckConstraint = sa.CheckConstraint
        Column = sa.Column
        Date = sa.Date
        DateTime = sa.DateTime
        Enum = sa.Enum
        Float = sa.Float
        ForeignKey = sa.ForeignKey
        ForeignKeyConstraint = sa.ForeignKeyConstraint
        Index = sa.Index
        Integer = sa.Integer
        Interval = sa.Interval
        JSON = sa.JSON
        LargeBinary = sa.LargeBinary
        Mapped = sa_orm.Mapped
        MetaData = sa.MetaData
        Numeric = sa.Numeric
        PrimaryKeyConstraint = sa.PrimaryKeyConstraint
        SmallInteger = sa.SmallInteger
        String = sa.String
        Text = sa.Text
        Time = sa.Time
        UniqueConstraint = sa.UniqueConstraint
        Uuid = sa.Uuid
        delete = staticmethod(sa.delete)
        func = sa.func
        insert = staticmethod(sa.insert)
        joinedload = staticmethod(sa_orm.joinedload)
        mapped_column = staticmethod(sa_orm.mapped_column)
        select = staticmethod(sa.select)
        selectinload = staticmethod(sa_orm.selectinload)
        text = staticmethod(sa.text)
        update = staticmethod(sa.update)

    def __getattr__(self, name: str) -> Any:
        if name == "event":
            return sa_event
        # COMPAT: SQLAlchemy 1 had the name.
        source = "relationship" if name == "relation" else name
        if not name.startswith("_"):
            for module in (sa, sa_orm):
                if hasattr(module, source):
                    # PERF: the next read finds it on the object.
                    found = self.__dict__[name] = getattr(self if name == "relation" else module, source)
                    return found
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
