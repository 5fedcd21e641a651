"""`SQLAlchemy`, the class."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase
from werkzeug.exceptions import NotFound

from quaff import Quaff
from quaff.ext.sqlalchemy import SQLAlchemy

from .apps import add_user, make_app


def test_repr(tmp_path: Path) -> None:
    """It shows the default engine without its password, and needs neither an engine nor an app. Flask-SQLAlchemy#1295."""
    assert repr(SQLAlchemy()) == "<SQLAlchemy>"
    app = make_app(tmp_path, "mysql+pymysql://user:geheim@h/x?charset=utf8")
    assert repr(SQLAlchemy(app)) == "<SQLAlchemy mysql+pymysql://user:***@h/x?charset=utf8>"
    app = make_app(tmp_path, None, SQLALCHEMY_BINDS={"a": "sqlite://", "b": "sqlite://"})
    db = SQLAlchemy(app)
    assert repr(db) == "<SQLAlchemy sqlite:// +1>"
    with make_app(tmp_path).app_context():
        assert repr(db) == "<SQLAlchemy>"


def test_one_object_for_an_app(tmp_path: Path) -> None:
    """A second object, or a second `init_app`, is refused; the app's extensions have the first."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    assert app.extensions["sqlalchemy"] is db
    for again in (lambda: SQLAlchemy(app), lambda: db.init_app(app)):
        with pytest.raises(RuntimeError, match="has already been registered on this Flask app"):
            again()


def test_an_app_that_was_refused_can_be_set_up_again(tmp_path: Path) -> None:
    """After an error in its settings, the app is as it was."""
    app = make_app(tmp_path, None)
    db = SQLAlchemy()
    with pytest.raises(RuntimeError, match="must be set"):
        db.init_app(app)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db.init_app(app)
    assert db.engine.url.database is None


def test_init_app_before_the_first_request(tmp_path: Path) -> None:
    """Afterwards it is refused, as any set-up is."""
    app = make_app(tmp_path)
    app.test_client().get("/")
    with pytest.raises(AssertionError, match="init_app"):
        SQLAlchemy(app)


def test_several_apps(tmp_path: Path) -> None:
    """Each app has engines of its own; models are shared."""
    first, second = make_app(tmp_path, "sqlite:///1.db"), make_app(tmp_path, "sqlite:///2.db")
    db = SQLAlchemy()
    user = add_user(db)
    for app in (first, second):
        db.init_app(app)
        with app.app_context():
            db.create_all()
    with first.app_context():
        db.session.add(user(name="a"))
        db.session.commit()
        with second.app_context():
            assert user.query.count() == 0
        assert user.query.count() == 1


def test_no_default_engine(tmp_path: Path) -> None:
    """Without a default URL, the default engine is an error that says so; models without a bind key are, too."""
    app = make_app(tmp_path, None, SQLALCHEMY_BINDS={"a": "sqlite://"})
    db = SQLAlchemy(app)
    add_user(db)
    with app.app_context():
        with pytest.raises(KeyError, match="'SQLALCHEMY_DATABASE_URI' is not set"):
            db.engine  # noqa: B018
        with pytest.raises(sa.exc.UnboundExecutionError, match="'SQLALCHEMY_DATABASE_URI' config is not set"):
            db.create_all()
        with pytest.raises(sa.exc.UnboundExecutionError):
            db.session.execute(sa.text("SELECT 1"))


def tables(engine: sa.Engine) -> list[str]:
    """Return the names of the tables that a database has."""
    return sa.inspect(engine).get_table_names()


def test_tables_of_binds(tmp_path: Path) -> None:
    """`create_all`, `drop_all` and `reflect` are for all binds, for one, or for several."""
    app = make_app(tmp_path, SQLALCHEMY_BINDS={"a": "sqlite:///a.db", "b": "sqlite:///b.db"})
    db = SQLAlchemy(app)
    for key in (None, "a", "b"):
        db.Table(f"t_{key}", db.Column("id", db.Integer, primary_key=True), bind_key=key)
    with app.app_context():
        engines = db.engines
        db.create_all("a")
        assert [tables(engines[key]) for key in (None, "a", "b")] == [[], ["t_a"], []]
        db.create_all([None, "b"])
        assert [tables(engines[key]) for key in (None, "a", "b")] == [["t_None"], ["t_a"], ["t_b"]]
        db.drop_all(None)
        assert tables(engines[None]) == []
        db.create_all()
        db.metadatas["a"].clear()
        db.reflect("a")
        assert set(db.metadatas["a"].tables) == {"t_a"}
        db.drop_all()
        assert [tables(engines[key]) for key in (None, "a", "b")] == [[], [], []]
        db.metadatas["missing"] = sa.MetaData()
        with pytest.raises(sa.exc.UnboundExecutionError, match="Bind key 'missing' is not in 'SQLALCHEMY_BINDS'"):
            db.create_all("missing")


def test_metadata() -> None:
    """The default metadata may be given; that of a bind key has its naming convention."""
    metadata = sa.MetaData(naming_convention={"pk": "spam"})
    db = SQLAlchemy(metadata=metadata)
    assert db.metadata is metadata is db.Model.metadata
    assert metadata.info["bind_key"] is None
    assert db._make_metadata("other").naming_convention["pk"] == "spam"
    assert db.metadatas["other"].info["bind_key"] == "other"


def test_metadata_of_a_declarative_base() -> None:
    """A declarative base brings its own; another one is ignored with a warning."""

    class Base(DeclarativeBase):
        metadata = sa.MetaData()

    with pytest.warns(DeprecationWarning, match="is ignored") as caught:
        db = SQLAlchemy(model_class=Base, metadata=sa.MetaData())
    assert caught[0].filename == __file__
    assert db.metadata is Base.metadata


def test_found_or_404(tmp_path: Path) -> None:
    """What is found is given back; what is not is a 404 with the description."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    user = add_user(db)
    with app.app_context():
        db.create_all()
        db.session.add_all([user(name="a"), user(name="b")])
        db.session.commit()
        select = db.select(user)
        assert db.get_or_404(user, 1).name == "a"
        assert db.get_or_404(user, 1, populate_existing=True).name == "a"
        assert db.first_or_404(select.order_by(user.name.desc())).name == "b"
        assert db.one_or_404(select.filter_by(name="a")).name == "a"
        for find in (
            lambda: db.get_or_404(user, 9, description="no user"),
            lambda: db.first_or_404(select.filter_by(name="z"), description="no user"),
            lambda: db.one_or_404(select.filter_by(name="z"), description="no user"),
            lambda: db.one_or_404(select, description="no user"),
        ):
            with pytest.raises(NotFound) as info:
                find()
            assert info.value.description == "no user"


def test_get_engine(tmp_path: Path) -> None:
    """COMPAT: migrations of old call it; it warns."""
    app = make_app(tmp_path, SQLALCHEMY_BINDS={"a": "sqlite://"})
    db = SQLAlchemy(app)
    engines: list[sa.Engine] = []
    for arguments in ({}, {"bind_key": "a"}, {"bind": "a"}):
        with pytest.warns(DeprecationWarning, match="'get_engine' is deprecated"):
            engines.append(db.get_engine(**arguments))
    assert engines == [db.engine, db.engines["a"], db.engines["a"]]


def test_dynamic_relationships(tmp_path: Path) -> None:
    """They have the object's query class, on both sides."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)

    class Post(db.Model):  # type: ignore[name-defined,misc]
        id = db.Column(db.Integer, primary_key=True)
        parent = db.Column(db.ForeignKey("author.id"))
        other = db.Column(db.ForeignKey("author.id"))

    class Author(db.Model):  # type: ignore[name-defined,misc]
        id = db.Column(db.Integer, primary_key=True)
        posts = db.relationship(Post, lazy="dynamic", foreign_keys=Post.parent)
        others = db.dynamic_loader(Post, foreign_keys=Post.other)

    with app.app_context():
        db.create_all()
        author = Author(posts=[Post()])
        db.session.add(author)
        db.session.commit()
        assert isinstance(author.posts, db.Query)
        assert isinstance(author.others, db.Query)
    given: dict[str, Any] = {"backref": "x"}
    db._set_rel_query(given)
    assert given["backref"] == ("x", {"query_class": db.Query})


def test_a_subclass_may_make_the_engines(tmp_path: Path) -> None:
    """`_apply_driver_defaults` and `_make_engine` are called as in Flask-SQLAlchemy."""
    app = make_app(tmp_path, "mysql:///test")
    with patch.object(SQLAlchemy, "_make_engine", autospec=True) as make:
        SQLAlchemy(app)
    _, key, options, given = make.call_args[0]
    assert (key, given) == (None, app)
    assert options["url"].query["charset"] == "utf8mb4"


def test_the_app_is_not_kept_alive(tmp_path: Path) -> None:
    """An app without references is gone, with its engines."""
    import gc
    import weakref

    db = SQLAlchemy()
    app: Quaff | None = make_app(tmp_path, SQLALCHEMY_RECORD_QUERIES=True, SQLALCHEMY_TRACK_MODIFICATIONS=True)
    db.init_app(app)
    app.test_client().get("/")  # type: ignore[union-attr]
    reference = weakref.ref(app)
    app = None
    gc.collect()
    assert reference() is None
    assert not db._app_engines
