"""The base classes of models, on each kind of declarative base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.model import (
    BindMixin,
    DefaultMeta,
    DefaultMetaNoName,
    Model,
    NameMixin,
    adopt,
    declarative_bases,
    set_bind_metadata,
)
from quaff.ext.sqlalchemy.query import Query

from .apps import add_user, make_app


def test_the_base_is_the_programs_own_class() -> None:
    """A declarative base becomes `db.Model` itself, so that a model may subclass either."""

    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Base)
    assert db.Model is Base
    assert db.metadata is Base.metadata

    class UserName(Base):
        id: Mapped[int] = mapped_column(primary_key=True)

    class Other(db.Model):  # type: ignore[name-defined,misc]
        __bind_key__ = "other"
        id: Mapped[int] = mapped_column(primary_key=True)

    assert UserName.__tablename__ == "user_name"
    assert Other.metadata is db.metadatas["other"]
    assert repr(UserName()).startswith("<UserName (transient ")


def test_a_base_of_two_objects() -> None:
    """The second object with the same base gets a subclass of it; the models of the first stay with the first."""

    class Base(DeclarativeBase):
        pass

    first, second = SQLAlchemy(model_class=Base), SQLAlchemy(model_class=Base)
    assert first.Model is Base
    assert issubclass(second.Model, Base)
    assert second.Model is not Base

    class A(first.Model):  # type: ignore[name-defined,misc]
        id: Mapped[int] = mapped_column(primary_key=True)

    class B(second.Model):  # type: ignore[name-defined,misc]
        id: Mapped[int] = mapped_column(primary_key=True)

    assert A.__fsa__ is first
    assert B.__fsa__ is second
    assert set(first.metadata.tables) == {"a", "b"}


def test_dataclasses(tmp_path: Path) -> None:
    """A `MappedAsDataclass` is not made again: its models are dataclasses, stored and read. Flask-SQLAlchemy#1420."""

    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    app = make_app(tmp_path)
    db = SQLAlchemy(app, model_class=Base)

    class Item(db.Model):  # type: ignore[name-defined,misc]
        id: Mapped[int] = mapped_column(init=False, primary_key=True)
        name: Mapped[str]
        count: Mapped[int] = mapped_column(default=1)

    with app.app_context():
        db.create_all()
        db.session.add(Item("x"))
        db.session.commit()
        item = db.session.scalars(db.select(Item)).one()
        assert (item.name, item.count) == ("x", 1)
        assert repr(item).endswith("Item(id=1, name='x', count=1)")
        assert Item.query.one() is item
    with pytest.raises(TypeError):
        Item()


def test_what_the_base_defines_is_kept() -> None:
    """A `__repr__` and an `__init_subclass__` of the program's base stay."""
    made: list[type] = []

    class Base(DeclarativeBase):
        def __repr__(self) -> str:
            return "own"

        def __init_subclass__(cls, *, note: str = "", **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            made.append(cls)

    db = SQLAlchemy(model_class=Base)

    class User(db.Model, note="x"):  # type: ignore[name-defined,misc,call-arg]
        id: Mapped[int] = mapped_column(primary_key=True)

    assert repr(User()) == "own"
    assert made[-1] is User
    assert User.__tablename__ == "user"


def test_repr(tmp_path: Path) -> None:
    """A model shows its state or its key."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    user = add_user(db)
    with app.app_context():
        db.create_all()
        made = user()
        assert repr(made) == f"<User (transient {id(made)})>"
        db.session.add(made)
        assert repr(made) == f"<User (pending {id(made)})>"
        db.session.flush()
        assert repr(made) == "<User 1>"


def test_a_query(tmp_path: Path) -> None:
    """`query` is of the object's query class, or the model's own, and asks the current session."""

    class Own(Query[Any]):
        pass

    app = make_app(tmp_path)
    db = SQLAlchemy(app, query_class=Own)
    user = add_user(db)
    with app.app_context():
        assert type(user.query) is Own
        assert user.query.session is db.session()
        user.query_class = Query
        assert type(user.query) is Query


def test_classic_bases() -> None:
    """A subclass of `Model`, and a base with a metaclass of the program's own, are as in Flask-SQLAlchemy."""

    class Custom(Model):
        marker = True

    db = SQLAlchemy(model_class=Custom)
    assert issubclass(db.Model, Custom)
    assert type(db.Model) is DefaultMeta

    class Meta(DefaultMeta):
        pass

    ready = sa.orm.declarative_base(cls=Model, name="Model", metaclass=Meta)
    db = SQLAlchemy(model_class=ready)
    assert db.Model is ready
    assert db.metadata is ready.metadata
    assert type(SQLAlchemy(disable_autonaming=True).Model) is DefaultMetaNoName


def test_mixins_of_flask_sqlalchemy() -> None:
    """The mix-ins work in a base that a program puts together by itself."""
    db = SQLAlchemy()

    class Base(BindMixin, NameMixin, DeclarativeBase):
        __fsa__ = db

    class UserName(Base):
        __bind_key__ = "other"
        id: Mapped[int] = mapped_column(primary_key=True)

    assert UserName.__tablename__ == "user_name"
    assert UserName.metadata is db.metadatas["other"]


def test_metadata_of_a_model() -> None:
    """A model with metadata or a table of its own keeps it, and one with its parent's has none of its own."""
    db = SQLAlchemy()
    own = sa.MetaData()

    class Explicit(db.Model):  # type: ignore[name-defined,misc]
        __bind_key__ = "other"
        metadata = own
        id = db.Column(db.Integer, primary_key=True)

    class Parent(db.Model):  # type: ignore[name-defined,misc]
        __abstract__ = True
        __bind_key__ = "auth"

    class Child(Parent):
        id = db.Column(db.Integer, primary_key=True)

    assert Explicit.__table__.metadata is own
    assert Child.__table__.metadata is db.metadatas["auth"]
    assert "metadata" not in Child.__dict__
    set_bind_metadata(Child)
    assert "metadata" not in Child.__dict__
    assert "other" not in db.metadatas


def test_declarative_bases() -> None:
    """Which bases count, and that there is one at most."""

    class Both(DeclarativeBase, sa.orm.DeclarativeBaseNoMeta):
        pass

    assert declarative_bases(Model) == []
    assert len(declarative_bases(Both)) == 2
    with pytest.raises(ValueError, match="Only one declarative base"):
        SQLAlchemy(model_class=Both)


def test_adopting_twice_makes_a_subclass() -> None:
    """What was adopted is not changed again."""

    class Base(DeclarativeBase):
        pass

    assert adopt(Base, names=True) is Base
    Base.__fsa__ = None  # type: ignore[attr-defined]
    again = adopt(Base, names=True)
    assert again.__mro__[1] is Base
    assert again.__abstract__ is True
