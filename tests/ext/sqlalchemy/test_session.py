"""To which context a session belongs, and that none holds a connection for longer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from quaff import Quaff, stream_with_context
from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.session import Session
from tests.contracts.test_calls import answer, calls_of, environ

from .apps import add_user, make_app

Made = tuple[Quaff, SQLAlchemy[Any], Any]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Give an app, its database with a user, and the user's model."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    user = add_user(db)
    with app.app_context():
        db.create_all()
        db.session.add(user(name="first"))
        db.session.commit()
    return app, db, user


def held(db: SQLAlchemy[Any]) -> int:
    """Return how many connections are in use."""
    return db.engine.pool.checkedout()  # type: ignore[attr-defined]


def test_a_context_has_its_session(made: Made) -> None:
    """Within a context it is one session; the next context has another, and an inner one its own."""
    app, db, _ = made
    with app.app_context():
        first = db.session()
        assert isinstance(first, Session)
        assert db.session() is first
        with app.app_context():
            assert db.session() is not first
        assert db.session() is first
    with app.app_context():
        assert db.session() is not first


def test_a_request_uses_the_session_of_an_outer_context(made: Made) -> None:
    """As in Flask, a request inside of a context of its app shares it, and does not end its session."""
    app, db, user = made
    seen: list[Any] = []
    app.add_url_rule("/", view_func=lambda: seen.append(db.session()) or "")
    with app.app_context():
        instance = db.session.get(user, 1)
        app.test_client().get("/")
        assert seen == [db.session()]
        assert instance in db.session
    app.test_client().get("/")
    assert seen[1] is not seen[0]


@pytest.mark.parametrize("end", ["answer", "abort", "raise", "raise in after", "raise in teardown"])
def test_no_connection_is_kept(made: Made, end: str) -> None:
    """However a request ends that has a transaction open, its connection is back and what it changed is rolled back."""
    app, db, user = made
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def fail(*args: Any) -> Any:
        raise ValueError(end)

    @app.get("/")
    def view() -> str:
        db.session.add(user(name=f"{end}"))
        db.session.flush()
        assert held(db) == 1
        if end == "abort":
            app.aborter(404)
        return fail() if end == "raise" else "done"

    if end == "raise in after":
        app.after_request(fail)
    client = app.test_client()
    for _ in range(20):
        if end == "raise in teardown":
            app.teardown_appcontext_funcs.append(fail)
        try:
            client.get("/")
        except ValueError:
            assert end == "raise in teardown"
        with app.test_request_context():
            del app.teardown_appcontext_funcs[:]
            assert held(db) == 0
            assert user.query.count() == 1


def test_a_request_that_does_not_query_holds_none(made: Made) -> None:
    """Making the session, and adding to it, takes no connection."""
    app, db, user = made

    @app.get("/")
    def view() -> str:
        db.session.add(user(name="never stored"))
        return str(held(db))

    assert app.test_client().get("/").text == "0"


def test_a_request_without_the_database_pays_nothing(made: Made) -> None:
    """The calls of such a request are those of an app without a database."""
    app, _, _ = made
    bare = Quaff("bare")
    for each in (app, bare):
        each.add_url_rule("/", view_func=lambda: "hello")
        answer(each, environ("/"))
    # The least of three: an app that has just been changed makes its table of routes when it is left alone.
    calls, bare_calls = (min(len(calls_of(answer, each, environ("/"))) for _ in range(3)) for each in (app, bare))
    assert calls == bare_calls


def test_a_streamed_answer_has_a_session(made: Made) -> None:
    """What a generator reads with the context kept is read, and its connection is given back at its end."""
    app, db, user = made

    @app.get("/")
    def view() -> Any:
        def pieces() -> Any:
            for each in user.query:
                yield each.name

        return app.response_class(stream_with_context(pieces()))

    assert app.test_client().get("/").text == "first"
    assert held(db) == 0


def test_a_session_in_a_teardown_function(made: Made) -> None:
    """A teardown function still has the request's session; nothing that it does keeps a connection."""
    app, db, user = made
    seen: list[Any] = []

    @app.teardown_appcontext
    def look(error: object) -> None:
        seen.append(db.session())
        user.query.count()

    app.add_url_rule("/", view_func=lambda: seen.append(db.session()) or "")
    app.test_client().get("/")
    assert seen[0] is seen[1]
    assert held(db) == 0


def test_removing_and_setting(made: Made) -> None:
    """`remove` ends the session early; the next use makes one that ends with the context as well."""
    app, db, user = made
    with app.app_context():
        assert not db.session.registry.has()
        first = db.session()
        db.session.remove()
        assert not db.session.registry.has()
        assert db.session() is not first
        user.query.all()
        own = Session(db)
        db.session.remove()
        db.session.registry.set(own)
        assert db.session() is own
        user.query.all()
        assert held(db) == 1
    assert held(db) == 0


def test_outside_of_contexts_it_is_the_threads(made: Made) -> None:
    """Without a context, each thread has a session until it removes it."""
    _, db, user = made
    first = db.session()
    others: list[Any] = []
    thread = threading.Thread(target=lambda: (others.append(db.session()), db.session.remove()))
    thread.start()
    thread.join()
    assert others[0] is not first
    user.query.all()
    assert held(db) == 1
    db.session.remove()
    assert held(db) == 0
    assert db.session() is not first
    db.session.remove()


def test_what_a_module_read_is_released_before_serving(made: Made) -> None:
    """A query at module level leaves no transaction open while the app serves; a session of another thread is left alone."""
    app, db, user = made
    user.query.all()
    done, go_on = threading.Event(), threading.Event()

    def work() -> None:
        user.query.all()
        done.set()
        go_on.wait(30)
        db.session.remove()

    thread = threading.Thread(target=work)
    thread.start()
    done.wait(30)
    assert held(db) == 2
    app.lifespan.start_sync()
    assert held(db) == 1
    go_on.set()
    thread.join()
    assert held(db) == 0


def test_a_scope_of_ones_own(tmp_path: Path) -> None:
    """With `scopefunc` a session is for what that returns, and removed when a context ends."""
    app = make_app(tmp_path)
    scope = "one"
    db = SQLAlchemy(app, session_options={"scopefunc": lambda: scope})
    with app.app_context():
        first = db.session()
        assert db.session() is first
        scope = "two"
        assert db.session() is not first
        db.session.execute(sa.text("SELECT 1"))
        assert held(db) == 1
    assert held(db) == 0


def test_commit_on_teardown(tmp_path: Path) -> None:
    """COMPAT: with the old key, what a request leaves is committed, unless it fails."""
    app = make_app(tmp_path, SQLALCHEMY_COMMIT_ON_TEARDOWN=True)
    with pytest.warns(DeprecationWarning, match="SQLALCHEMY_COMMIT_ON_TEARDOWN is deprecated"):
        db = SQLAlchemy(app)
    user = add_user(db)
    with app.app_context():
        db.create_all()

    @app.get("/<name>")
    def view(name: str) -> str:
        db.session.add(user(name=name))
        if name == "bad":
            raise ValueError(name)
        return name

    client = app.test_client()
    client.get("/good")
    with pytest.raises(ValueError, match="bad"):
        client.get("/bad")
    with app.app_context():
        assert [each.name for each in user.query] == ["good"]


def test_the_class_of_the_session(tmp_path: Path) -> None:
    """`class_` and other options are for the session; an option dict of the caller's is not changed."""

    class Own(Session):
        pass

    options = {"class_": Own, "autoflush": False}
    app = make_app(tmp_path)
    db = SQLAlchemy(app, session_options=options)
    assert isinstance(db.session(), Own)
    assert db.session().autoflush is False
    assert options == {"class_": Own, "autoflush": False}
    db.session.remove()


def test_binds(tmp_path: Path) -> None:
    """The bind key of a model, a table or a changing statement chooses the engine; without one it is the default one."""
    app = make_app(tmp_path, SQLALCHEMY_BINDS={"other": "sqlite:///other.db"})
    db = SQLAlchemy(app)
    user = add_user(db)

    class Entry(db.Model):  # type: ignore[name-defined,misc]
        __bind_key__ = "other"
        id = db.Column(db.Integer, primary_key=True)

    class Missing(db.Model):  # type: ignore[name-defined,misc]
        __bind_key__ = "missing"
        id = db.Column(db.Integer, primary_key=True)

    table = db.Table("plain", db.Column("id", db.Integer, primary_key=True), bind_key="other")
    with app.app_context():
        get_bind = db.session.get_bind
        assert get_bind(user) is db.engine
        assert get_bind(sa.inspect(Entry)) is db.engines["other"]
        for clause in (table, Entry.__table__, sa.insert(table), sa.update(Entry), sa.delete(Entry)):
            assert get_bind(clause=clause) is db.engines["other"]
        assert get_bind(clause=sa.text("SELECT 1")) is db.engine
        assert get_bind(bind=db.engines["other"]) is db.engines["other"]
        with pytest.raises(sa.exc.UnboundExecutionError, match="Bind key 'missing' is not in 'SQLALCHEMY_BINDS'"):
            get_bind(Missing)
        with pytest.raises(sa.orm.exc.UnmappedClassError):
            get_bind(int)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.service("postgresql"))])
def test_a_forked_child_has_connections_of_its_own(
    tmp_path: Path, kind: str, new_database: Callable[[str], str]
) -> None:
    """A child neither uses nor ends the connections of its parent."""
    app = make_app(tmp_path, new_database(kind))
    db = SQLAlchemy(app)
    user = add_user(db)
    db.create_all()
    db.session.add(user(name="first"))
    db.session.flush()
    child = os.fork()
    if child == 0:
        try:
            db.session.execute(sa.text("SELECT 1"))
            db.session.remove()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    db.session.commit()
    assert user.query.count() == 1
    db.session.remove()
    db.engine.dispose()
