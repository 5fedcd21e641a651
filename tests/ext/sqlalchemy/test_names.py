"""SQLAlchemy's names on `db`."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import event, orm

from quaff.ext.sqlalchemy import SQLAlchemy


def test_names_of_sqlalchemy() -> None:
    """Each public name of `sqlalchemy` and `sqlalchemy.orm` is one of `db`; the second read finds it at once."""
    db = SQLAlchemy()
    for name in ("Column", "String", "ForeignKey", "select", "func", "text", "MetaData"):
        assert getattr(db, name) is getattr(sa, name)
        assert name in db.__dict__
    for name in ("joinedload", "backref", "Mapped", "mapped_column", "aliased"):
        assert getattr(db, name) is getattr(orm, name)
    assert db.event is event
    assert db.relation == db.relationship


def test_names_that_there_are_not() -> None:
    """The message is that of any object, so that the interpreter can guess; what is private is not looked for."""
    db = SQLAlchemy()
    with pytest.raises(AttributeError, match="'SQLAlchemy' object has no attribute 'Colum'") as info:
        db.Colum  # noqa: B018
    assert (info.value.name, info.value.obj) == ("Colum", db)
    assert not hasattr(db, "_registry")


def test_every_name_for_type_checkers_is_there() -> None:
    """What type checkers are told is true."""
    import ast
    import inspect

    from quaff.ext.sqlalchemy import names

    tree = ast.parse(inspect.getsource(names))
    block = next(node for node in ast.walk(tree) if isinstance(node, ast.If))
    told = [target.id for node in block.body if isinstance(node, ast.Assign) for target in node.targets]  # type: ignore[attr-defined]
    assert len(told) > 30
    assert all(hasattr(SQLAlchemy(), name) for name in told)
