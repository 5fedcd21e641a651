"""Names of tables."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, DeclarativeBaseNoMeta, MappedAsDataclass, declared_attr

from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.naming import camel_to_snake_case, should_set_tablename


@pytest.mark.parametrize(
    "name,expected",
    [
        ("User", "user"),
        ("UserName", "user_name"),
        ("HTTPRequest", "http_request"),
        ("MyHTTPRequest", "my_http_request"),
        ("Base64Data", "base64_data"),
        ("_Hidden", "hidden"),
        ("already_snake", "already_snake"),
        ("A", "a"),
        ("ABTest", "ab_test"),
        ("user2Role", "user2_role"),
    ],
)
def test_names_of_classes(name: str, expected: str) -> None:
    """Words are parted where a capital begins one; initials stay together."""
    assert camel_to_snake_case(name) == expected


def new_db(kind: str) -> SQLAlchemy[Any]:
    """Return an object whose models are of a kind; each time with a base of its own."""

    class Plain(DeclarativeBase):
        pass

    class NoMeta(DeclarativeBaseNoMeta):
        pass

    class Data(MappedAsDataclass, DeclarativeBase):
        pass

    bases: dict[str, Any] = {"plain": Plain, "no meta": NoMeta, "dataclass": Data}
    return SQLAlchemy(model_class=bases[kind]) if kind in bases else SQLAlchemy()


@pytest.fixture(params=["classic", "plain", "no meta", "dataclass"])
def db(request: pytest.FixtureRequest) -> SQLAlchemy[Any]:
    """Give an object for each kind of base in turn."""
    return new_db(request.param)


def key(db: SQLAlchemy[Any], *, parent: Any = None) -> Any:
    """Return a primary key, which is that of *parent* if it is given."""
    arguments = [] if parent is None else [db.ForeignKey(parent.id)]
    if issubclass(db.Model, MappedAsDataclass):
        return db.mapped_column(db.Integer, *arguments, primary_key=True, init=False)
    return db.Column(db.Integer, *arguments, primary_key=True)


def test_a_name_is_made(db: SQLAlchemy[Any]) -> None:
    """A model has its name in snake case, unless it says another."""

    class UserName(db.Model):
        id = key(db)

    class Other(db.Model):
        __tablename__ = "own"
        id = key(db)

    assert UserName.__tablename__ == UserName.__table__.name == "user_name"
    assert Other.__table__.name == "own"


def test_inheritance(db: SQLAlchemy[Any]) -> None:
    """A child with a primary key has a table, one without shares that of its parent."""

    class Parent(db.Model):
        __tablename__ = "parents"
        id = key(db)

    class Joined(Parent):
        id = key(db, parent=Parent)

    class Single(Parent):
        pass

    assert Joined.__table__.name == "joined"
    assert Single.__table__ is Parent.__table__
    assert Single.__tablename__ == "parents"
    assert set(db.metadata.tables) == {"parents", "joined"}


def test_abstract_models_and_mixins(db: SQLAlchemy[Any]) -> None:
    """An abstract model has no table; the name that one or a mix-in says is the child's."""

    class Abstract(db.Model):
        __abstract__ = True

    class Named(db.Model):
        __abstract__ = True
        __tablename__ = "said"

    class Mixin:
        __tablename__ = "mixed"

    class Declared:
        @declared_attr.directive
        def __tablename__(cls) -> str:  # noqa: N805 - of a class
            return f"x_{cls.__name__.lower()}"

    class Child(Abstract):
        id = key(db)

    class NamedChild(Named):
        id = key(db)

    class MixedChild(Mixin, db.Model):
        id = key(db)

    class DeclaredChild(Declared, db.Model):
        id = key(db)

    assert not hasattr(Abstract, "__table__")
    assert set(db.metadata.tables) == {"child", "said", "mixed", "x_declaredchild"}


def test_a_reflected_table_is_taken() -> None:
    """A model of the name of a table that is there already has that table."""
    db = new_db("classic")
    table = sa.Table("user", db.metadata, sa.Column("number", sa.Integer, primary_key=True))

    class User(db.Model):
        __table_args__ = {"extend_existing": True}

    assert User.__table__ is table


def test_a_schema() -> None:
    """A table in a schema is looked for there."""
    db = new_db("plain")

    class User(db.Model):
        __table_args__ = {"schema": "s"}
        id = key(db)

    assert set(db.metadata.tables) == {"s.user"}


def test_a_model_without_a_primary_key_says_so(db: SQLAlchemy[Any]) -> None:
    """It is SQLAlchemy's message: there is a table, and it lacks a primary key."""
    with pytest.raises(sa.exc.ArgumentError, match="could not assemble any primary key"):

        class User(db.Model):
            pass


def test_names_can_be_left_to_the_program() -> None:
    """With `disable_autonaming` a model has to say its name."""
    for options in ({}, {"model_class": new_db("plain").Model.__mro__[0]}):
        db = SQLAlchemy(disable_autonaming=True, **options)
        if options:
            continue
        with pytest.raises(sa.exc.InvalidRequestError, match="__tablename__"):

            class User(db.Model):
                id = key(db)


def test_no_models_at_all() -> None:
    """A class that is no model gets no name."""
    assert not should_set_tablename(int)
    assert not should_set_tablename(DeclarativeBase)
