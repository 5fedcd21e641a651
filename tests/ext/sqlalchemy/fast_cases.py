"""Models for the tests of the fast paths, and what an instance can be asked: by the fast path and by SQLAlchemy alike."""

from __future__ import annotations

import datetime as dt
import pickle
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from quaff import Quaff
from quaff.ext.sqlalchemy import SQLAlchemy, fast_rows

MOMENT = dt.datetime(2026, 2, 3, 4, 5, 6)  # noqa: DTZ001 - as databases keep it
TOKEN = uuid.UUID(int=7)


def make_db(url: str, **config: Any) -> Any:
    """Return a namespace with an app, its `db`, and the models `Author`, `Book`, `Token` and `Word`, with rows in them."""
    app = Quaff("tests.ext.sqlalchemy.fast_cases")
    app.config.update(TESTING=True, SQLALCHEMY_DATABASE_URI=url, **config)
    db = SQLAlchemy(app)

    class Author(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column("full_name", db.String(80), nullable=False)
        born = db.Column(db.Date)
        seen = db.Column(db.DateTime)
        fee = db.Column(db.Numeric(10, 2))
        notes = db.Column(db.JSON)
        is_alive = db.Column(db.Boolean)
        books = db.relationship("Book", back_populates="author")

    class Book(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        title = db.Column(db.String(80))
        author_id = db.Column(db.ForeignKey("author.id"))
        author = db.relationship("Author", back_populates="books")

    class Token(db.Model):
        id = db.Column(db.Uuid, primary_key=True)
        value = db.Column(db.LargeBinary)

    class Word(db.Model):
        word = db.Column(db.String(40), primary_key=True)

    case = SimpleNamespace(app=app, db=db, Author=Author, Book=Book, Token=Token, Word=Word)
    fill(case)
    return case


def fill(case: Any) -> None:
    """Put rows into the tables, and let the fast path see an example of each model."""
    db = case.db
    with case.app.app_context():
        db.create_all()
        for key in (1, 2, 3):
            db.session.add(
                case.Author(
                    id=key,
                    name=f"Ada {key}",
                    born=MOMENT.date(),
                    seen=MOMENT,
                    fee=Decimal("1.50"),
                    notes={"a": [key]},
                    is_alive=key == 1,
                )
            )
        db.session.flush()
        db.session.add_all([case.Book(id=key, title=f"On {key}", author_id=1 + key % 2) for key in range(1, 6)])
        db.session.add_all([case.Token(id=TOKEN, value=b"\x00\xff"), case.Word(word="apple")])
        db.session.commit()
        for model, key in ((case.Author, 1), (case.Book, 1), (case.Token, TOKEN), (case.Word, "apple")):
            db.session.expunge_all()
            assert db.session.get(model, key) is not None


@contextmanager
def counted(monkeypatch: Any) -> Iterator[list[str]]:
    """Give a list of the statements that the fast paths send."""
    sent: list[str] = []
    fetch = fast_rows.Rows.fetch

    def note(self: Any, *args: Any) -> Any:
        sent.append(self.sql)
        return fetch(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(fast_rows.Rows, "fetch", note)
        yield sent


def by_sqlalchemy(session: Any, model: Any, key: Any, **options: Any) -> Any:
    """Do what `Session.get` of SQLAlchemy does."""
    session = session() if isinstance(session, sa_orm.scoped_session) else session
    return sa_orm.Session.get(session, model, key, **options)


def by_fast_path(session: Any, model: Any, key: Any, **options: Any) -> Any:
    """Do what the fast path does."""
    return session.get(model, key, **options)


def observe(session: Any, instance: Any) -> dict[str, Any]:
    """Return what there is to be seen of an instance and its state, without identities of objects."""
    if instance is None:
        return {"instance": None}
    state = sa.inspect(instance)
    session = session() if isinstance(session, sa_orm.scoped_session) else session
    return {
        "values": {key: value for key, value in state.dict.items() if key != "_sa_instance_state"},
        "types": {key: type(value) for key, value in state.dict.items()},
        "state": set(vars(state)),
        "key": state.key,
        "identity": state.identity,
        "load_options": state.load_options,
        "load_path": state.load_path,
        "status": (state.persistent, state.pending, state.transient, state.detached, state.modified, state.expired),
        "unloaded": state.unloaded,
        "history": {key: tuple(state.attrs[key].history) for key in state.dict if key != "_sa_instance_state"},
        "belongs": state.session is session,
        "in_map": state.key in session.identity_map,
        "in_transaction": session.in_transaction(),
        "pickled": sorted(pickle.loads(pickle.dumps(values_of(instance)))),
    }


def values_of(instance: Any) -> dict[str, Any]:
    """Return the values of the columns."""
    return {attribute.key: getattr(instance, attribute.key) for attribute in sa.inspect(type(instance)).column_attrs}
