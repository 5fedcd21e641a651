"""`db.async_session` belongs to a context and a task, goes to the right database, and is closed where it was made."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session as PlainSession

from quaff import Quaff, g
from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.record_queries import get_recorded_queries
from quaff.ext.sqlalchemy.session import Session
from quaff.ext.sqlalchemy.track_modifications import models_committed
from tests.protocols.harness import INTERFACES, Served

from .databases import make_app


class People:
    """An app with a table of people, and views that use it."""

    def __init__(self, url: str, **config: Any) -> None:
        self.app, self.db = make_app(url, **config)
        db = self.db

        class Person(db.Model):  # type: ignore[name-defined, misc]
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String(80), unique=True, nullable=False)

        self.Person: Any = Person
        db.create_all()
        self.kept: list[Any] = []
        self.add_views(self.app)

    def add_views(self, app: Quaff) -> None:
        """Register the views."""
        db, person = self.db, self.Person

        @app.post("/people/<name>")
        async def add(name: str) -> str:
            db.async_session.add(person(name=name))
            await db.async_session.commit()
            self.kept.append(db.async_session())
            return "added"

        @app.get("/people")
        async def names() -> list[str]:
            self.kept.append(db.async_session())
            return sorted(await db.async_session.scalars(sa.select(person.name)))

        @app.get("/people/<int:key>")
        async def one(key: int) -> str:
            found = await db.async_session.get_one(person, key)
            return str(found.name)

        @app.get("/failing")
        async def failing() -> str:
            await db.async_session.execute(sa.select(person))
            raise ZeroDivisionError

        @app.get("/nothing")
        async def nothing() -> str:
            return "nothing"

    def add(self, name: str) -> None:
        """Add a person, without async code."""
        with self.app.app_context():
            self.db.session.add(self.Person(name=name))
            self.db.session.commit()

    async def counts(self) -> tuple[int, int]:
        """Return how many connections of the pool on this loop are in use, and how many are kept."""
        pool: Any = self.db.async_engine.pool
        return pool.checkedout(), pool.checkedin()

    def counts_on_the_bridge(self) -> tuple[int, int]:
        """Return the same of the loop on which async views run under WSGI."""
        with self.app.app_context():
            counts: tuple[int, int] = self.app.ensure_sync(self.counts)()
        return counts


@pytest.fixture
def people(database_url: str) -> Iterator[People]:
    """Give the app on each kind of database."""
    made = People(database_url)
    yield made
    made.db.session.remove()
    made.db.engine.dispose()


@pytest.fixture
def simple(tmp_path: Path) -> Iterator[People]:
    """Give the app on a SQLite file."""
    made = People(f"sqlite:///{tmp_path / 'people.db'}")
    yield made
    made.db.session.remove()
    made.db.engine.dispose()


def test_async_views_read_and_write(people: People) -> None:
    """Under the WSGI bridge, and the sync session sees what was written."""
    client = people.app.test_client()
    assert client.post("/people/ada").text == "added"
    assert client.post("/people/bob").text == "added"
    assert client.get("/people").json == ["ada", "bob"]
    assert client.get("/people/1").text == "ada"
    assert client.get("/people/2").text == "bob"
    assert [person.name for person in people.Person.query.order_by("id")] == ["ada", "bob"]


def test_on_the_tests_own_loop(people: People) -> None:
    """Over ASGI, with the connections of that loop."""

    async def main() -> None:
        client = people.app.test_async_client()
        for name in ("ada", "bob"):
            assert (await client.post(f"/people/{name}")).text == "added"
        assert (await client.get("/people")).json == ["ada", "bob"]
        assert (await client.get("/people/2")).text == "bob"
        assert await people.counts() == (0, 1)

    asyncio.run(main())
    assert people.Person.query.count() == 2


@pytest.mark.parametrize("interface", list(INTERFACES))
def test_behind_every_server(simple: People, interface: str) -> None:
    """WSGI, RSGI, ASGI and Quaff's own HTTP server."""
    simple.app.config["TESTING"] = False
    with INTERFACES[interface](simple.app) as port:
        served = Served(interface, port)
        assert served.client.request("POST", "/people/ada").text == "added"
        assert served.client.get("/people").json() == ["ada"]
        assert served.client.get("/failing").status_code == 500
        assert served.client.get("/people").json() == ["ada"]
        served.client.close()


def test_nothing_is_held_after_a_request(people: People) -> None:
    """Whether it succeeded or failed, its connection is back in the pool."""
    client = people.app.test_client()
    people.app.config["PROPAGATE_EXCEPTIONS"] = False
    client.post("/people/ada")
    for path in ("/people", "/failing", "/people", "/failing"):
        client.get(path)
        assert people.counts_on_the_bridge() == (0, 1)


def test_a_request_that_does_not_query_connects_nowhere(simple: People) -> None:
    """It makes no session either."""
    simple.app.test_client().get("/nothing")
    assert simple.counts_on_the_bridge() == (0, 0)


def test_the_session_is_closed_at_the_end(simple: People) -> None:
    """What was loaded is detached from it, and the next request has another one."""
    client = simple.app.test_client()
    client.post("/people/ada")
    client.get("/people")
    first, second = simple.kept
    assert first is not second
    assert not first.sync_session.identity_map.keys()
    assert not second.in_transaction()


def add_hooks(people: People) -> list[Any]:
    """Note the session of each part of a request."""
    app, db, seen = people.app, people.db, []

    @app.before_request
    async def load() -> None:
        seen.append(db.async_session())
        g.person = await db.async_session.get(people.Person, 1)

    @app.get("/mine")
    async def mine() -> str:
        seen.append(db.async_session())
        assert g.person in db.async_session
        return str(g.person.name)

    @app.after_request
    async def after(response: Any) -> Any:
        seen.append(db.async_session())
        return response

    return seen


@pytest.mark.parametrize("compiled", [True, False])
def test_hooks_and_view_share_a_session(tmp_path: Path, compiled: bool) -> None:
    """Under WSGI each is a task of its own on the bridge's loop, but one after the other."""
    people = People(f"sqlite:///{tmp_path / 'people.db'}")
    people.app.compiled = compiled
    people.add("ada")
    seen = add_hooks(people)
    assert people.app.test_client().get("/mine").text == "ada"
    assert len(seen) == 3
    assert len(set(map(id, seen))) == 1
    people.db.engine.dispose()


def test_hooks_and_view_share_a_session_over_asgi(simple: People) -> None:
    """There they are one task."""
    simple.add("ada")
    seen = add_hooks(simple)

    async def main() -> str:
        return str((await simple.app.test_async_client().get("/mine")).text)

    assert asyncio.run(main()) == "ada"
    assert len(set(map(id, seen))) == 1


def test_a_sync_view_calls_async_helpers(simple: People) -> None:
    """Each call is a task of its own, and they share what they have loaded and not yet committed."""
    db, person = simple.db, simple.Person

    async def add(name: str) -> None:
        db.async_session.add(person(name=name))

    async def commit() -> None:
        await db.async_session.commit()

    @simple.app.get("/both")
    def both() -> str:
        simple.app.ensure_sync(add)("ada")
        simple.app.ensure_sync(commit)()
        return "both"

    simple.app.test_client().get("/both")
    assert person.query.one().name == "ada"

    async def over_asgi() -> None:
        db.session.query(person).delete()
        db.session.commit()
        await simple.app.test_async_client().get("/both")

    asyncio.run(over_asgi())
    db.session.rollback()
    assert person.query.one().name == "ada"


def test_tasks_of_a_view_have_sessions_of_their_own(people: People) -> None:
    """They run at the same time, and a session cannot; each is closed with its task, so that its connection is free."""
    db, person, seen = people.db, people.Person, []

    async def add(name: str) -> None:
        seen.append(db.async_session())
        db.async_session.add(person(name=name))
        await db.async_session.commit()
        await db.async_session.scalar(sa.select(person.name))

    @people.app.get("/many")
    async def many() -> list[str]:
        seen.append(db.async_session())
        for start in range(0, 12, 3):
            await asyncio.gather(*(add(f"person {start + number}") for number in range(3)))
        # The sessions of tasks that have ended are closed in a moment, in tasks.
        while (await people.counts())[0]:  # noqa: ASYNC110 - nobody tells when they are
            await asyncio.sleep(0)
        return sorted(await db.async_session.scalars(sa.select(person.name)))

    assert len(people.app.test_client().get("/many").json) == 12
    assert len(set(map(id, seen))) == 13
    assert people.counts_on_the_bridge()[0] == 0


def test_nested_contexts_have_sessions_of_their_own(simple: People) -> None:
    """As with `db.session`."""

    async def main() -> None:
        with simple.app.app_context():
            outer = simple.db.async_session()
            with simple.app.app_context():
                assert simple.db.async_session() is not outer
            assert simple.db.async_session() is outer

    asyncio.run(main())


def test_a_context_that_ends_on_the_loop_closes_soon(simple: People) -> None:
    """Nothing can wait for the loop on the loop, so a task does it."""

    async def main() -> None:
        with simple.app.app_context():
            await simple.db.async_session.execute(sa.select(simple.Person))
            assert (await simple.counts())[0] == 1
        while (await simple.counts())[0]:  # noqa: ASYNC110 - nobody tells when it is
            await asyncio.sleep(0)

    asyncio.run(main())


def test_remove_closes_at_once(simple: People) -> None:
    """The next use makes a new one."""

    async def main() -> None:
        with simple.app.app_context():
            before = simple.db.async_session()
            await before.execute(sa.select(simple.Person))
            await simple.db.async_session.remove()
            assert await simple.counts() == (0, 1)
            assert simple.db.async_session() is not before

    asyncio.run(main())


def test_outside_of_contexts_with_one_app(simple: People) -> None:
    """The only app is meant, and a session belongs to the task."""
    db, person = simple.db, simple.Person

    async def main() -> list[str]:
        db.async_session.add(person(name="ada"))
        await db.async_session.commit()
        return list(await db.async_session.scalars(sa.select(person.name)))

    assert asyncio.run(main()) == ["ada"]
    assert asyncio.run(simple.db.async_session.remove()) is None


def test_outside_of_contexts_with_several_apps() -> None:
    """The message says what to write."""
    db = SQLAlchemy()
    apps = [Quaff("first"), Quaff("second")]
    for app in apps:
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        db.init_app(app)

    async def main() -> None:
        await db.async_session.execute(sa.select(1))

    with pytest.raises(RuntimeError, match=r"serves 2 apps[\s\S]*with app\.app_context\(\):"):
        asyncio.run(main())


@pytest.mark.parametrize("name", ["async_engine", "async_engines"])
def test_without_a_loop_the_message_says_what_to_use(simple: People, name: str) -> None:
    """The sync counterparts."""
    with pytest.raises(RuntimeError, match=r"no event loop is running[\s\S]*'db\.engines'"):
        getattr(simple.db, name)


def test_a_session_without_a_loop(simple: People) -> None:
    """`db.session` is named."""
    with simple.app.app_context(), pytest.raises(RuntimeError, match=r"no event loop is running[\s\S]*'db\.session'"):
        simple.db.async_session()


def test_a_database_in_memory_is_the_same_one() -> None:
    """Sync and async code see the tables and rows of each other."""
    people = People("sqlite://")
    client = people.app.test_client()
    client.post("/people/ada")
    people.db.session.add(people.Person(name="bob"))
    people.db.session.commit()
    assert client.get("/people").json == ["ada", "bob"]

    async def main() -> list[str]:
        return list((await people.app.test_async_client().get("/people")).json)

    # The second loop shares it as well, and its end does not close it.
    assert asyncio.run(main()) == ["ada", "bob"]
    assert people.Person.query.count() == 2


def test_bind_keys_choose_the_engine(tmp_path: Path) -> None:
    """A model with a `__bind_key__` is read and written in its database."""
    app = Quaff("binds")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'main.db'}"
    app.config["SQLALCHEMY_BINDS"] = {"logs": f"sqlite:///{tmp_path / 'logs.db'}"}
    db = SQLAlchemy(app)

    class Entry(db.Model):  # type: ignore[name-defined, misc]
        __bind_key__ = "logs"
        id = db.Column(db.Integer, primary_key=True)

    db.create_all()

    async def main() -> int:
        with app.app_context():
            async with db.async_transaction() as session:
                session.add(Entry())
                connection = await session.connection(bind_arguments={"mapper": sa.inspect(Entry)})
                assert connection.engine.url.database == str(tmp_path / "logs.db")
            assert set(db.async_engines) == {None, "logs"}
            count: int = (await db.async_session.execute(sa.select(sa.func.count(Entry.id)))).scalar_one()
            return count

    assert asyncio.run(main()) == 1
    with closing(sqlite3.connect(tmp_path / "logs.db")) as connection:
        assert connection.execute("SELECT count(*) FROM entry").fetchone() == (1,)


def test_get_bind_gives_the_engine(simple: People) -> None:
    """The async one where SQLAlchemy's own does (2.1), before that the one inside."""

    async def main() -> None:
        found: Any = simple.db.async_session.get_bind()
        assert getattr(found, "sync_engine", found) is simple.db.async_engine.sync_engine

    asyncio.run(main())


def test_pragmas_are_set(simple: People) -> None:
    """A file has foreign keys and a WAL for async code, too."""

    async def main() -> tuple[Any, Any]:
        session = simple.db.async_session()
        keys = await session.scalar(sa.text("PRAGMA foreign_keys"))
        return keys, await session.scalar(sa.text("PRAGMA journal_mode"))

    assert asyncio.run(main()) == (1, "wal")


def test_objects_are_readable_after_a_commit(simple: People) -> None:
    """`expire_on_commit` is off unless the program says otherwise: a read would have to wait where nothing can."""

    async def main() -> str:
        person = simple.Person(name="ada")
        simple.db.async_session.add(person)
        await simple.db.async_session.commit()
        return str(person.name)

    assert asyncio.run(main()) == "ada"


def test_the_programs_session_class_is_used(tmp_path: Path) -> None:
    """And its options."""

    class Own(Session):
        pass

    app = Quaff("own")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'own.db'}"
    db = SQLAlchemy(app, session_options={"class_": Own, "autoflush": False, "expire_on_commit": True})

    async def main() -> PlainSession:
        return db.async_session().sync_session

    session = asyncio.run(main())
    assert isinstance(session, Own)
    assert session.autoflush is False
    assert session.expire_on_commit is True


def test_queries_are_recorded(tmp_path: Path) -> None:
    """Those of async code are among them."""
    people = People(f"sqlite:///{tmp_path / 'people.db'}", SQLALCHEMY_RECORD_QUERIES=True)

    async def main() -> list[str | None]:
        with people.app.app_context():
            await people.db.async_session.execute(sa.select(people.Person))
            return [query.statement for query in get_recorded_queries()]

    (statement,) = asyncio.run(main())
    assert "FROM person" in str(statement)


def test_modifications_are_signalled(tmp_path: Path) -> None:
    """As those of `db.session`."""
    people = People(f"sqlite:///{tmp_path / 'people.db'}", SQLALCHEMY_TRACK_MODIFICATIONS=True)
    heard: list[tuple[str, str]] = []

    def note(sender: Any, changes: list[tuple[Any, str]]) -> None:
        heard.extend((model.name, operation) for model, operation in changes)

    with models_committed.connected_to(note, people.app):
        people.app.test_client().post("/people/ada")
    assert heard == [("ada", "insert")]
