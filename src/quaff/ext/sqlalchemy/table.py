"""`db.Table`: a table that needs no metadata."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


class _Table(sa.Table):
    """A table whose metadata may be left out; a bind key chooses it then."""

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        # `__new__` calls it with the metadata. The call that follows has the arguments as they were given, and does nothing.
        if args:
            super().__init__(name, *args, **kwargs)


def make_table_class(metadata_for: Any) -> type[_Table]:
    """Return the class of `db.Table`.

    :param metadata_for: returns the metadata of a bind key.
    """

    class Table(_Table):
        def __new__(cls, *args: Any, bind_key: str | None = None, **kwargs: Any) -> Any:
            # Without arguments, SQLAlchemy says best what is missing.
            name, rest = args[:1], args[1:]
            if name and not (rest and isinstance(rest[0], sa.MetaData)):
                args = (*name, metadata_for(bind_key), *rest)
            return super().__new__(cls, *args, **kwargs)

    return Table
