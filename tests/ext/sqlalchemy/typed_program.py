"""A program for type checkers: it is true to what it asserts, and its errors are those that are marked."""

from __future__ import annotations

from typing import assert_type

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, relationship

from quaff import Quaff
from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.model import Model
from quaff.ext.sqlalchemy.query import Query


class Base(Model, DeclarativeBase):
    """With `Model`, type checkers know of `query`."""


class DataBase(MappedAsDataclass, DeclarativeBase):
    """Models that are dataclasses."""


app = Quaff(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
db = SQLAlchemy(app, model_class=Base)
data = SQLAlchemy(model_class=DataBase)
plain = SQLAlchemy()

assert_type(db, SQLAlchemy[Base])
assert_type(data.Model, type[DataBase])


class User(Base):
    """A model."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    posts: Mapped[list[Post]] = relationship(back_populates="author")


class Post(Base):
    """A model that refers to another."""

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    author: Mapped[User] = relationship(back_populates="posts")


class Item(DataBase):
    """A model that is a dataclass."""

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    name: Mapped[str]


def read() -> None:
    """Read in every way."""
    assert_type(db.session.get(User, 1), User | None)
    assert_type(db.get_or_404(User, 1), User)
    assert_type(db.session.scalars(db.select(User).where(User.name == "x")).one(), User)
    assert_type(User.query, Query[User])
    assert_type(User.query.filter_by(name="x").first(), User | None)
    assert_type(User.query.get_or_404(1), User)
    assert_type(User(name="x").posts, list[Post])
    assert_type(Item("x").name, str)
    Item(nam="x")  # error
    db.nothing_of_the_kind = User.nam  # error
