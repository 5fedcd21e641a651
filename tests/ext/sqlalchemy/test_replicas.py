"""Reads go to a replica; writes, and what follows them, to the primary; and a replica that is down costs nobody an error.

The "replicas" here are databases of their own with other rows, so that what is read tells where it was read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from quaff import Quaff
from quaff.ext.sqlalchemy import SQLAlchemy, replicas
from quaff.ext.sqlalchemy.replicas import Intent, judge
from tests.ext.servers import free_port

from .databases import make_app

metadata = sa.MetaData()
places = sa.Table("place", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(80)))


def fill(url: str, name: str) -> str:
    """Make the table in a database, with the name of the database in it, and return its URL."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(sa.insert(places).values(id=1, name=name))
    engine.dispose()
    return url


class Cluster:
    """An app with a primary and replicas."""

    def __init__(self, primary: str, replicas: Any, **config: Any) -> None:
        self.app, self.db = make_app(primary, SQLALCHEMY_REPLICAS=replicas, **config)
        db = self.db

        class Place(db.Model):  # type: ignore[name-defined, misc]
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String(80))

        self.Place: Any = Place

    def read(self) -> str:
        """Return where a read goes to."""
        return str(self.db.session.scalar(sa.select(self.Place.name).where(self.Place.id == 1)))

    def write(self, key: int = 2) -> None:
        """Write something and commit it."""
        self.db.session.add(self.Place(id=key, name="new"))
        self.db.session.commit()


@pytest.fixture
def cluster(database_url: str, new_database: Callable[[str], str]) -> Iterator[Cluster]:
    """Give a primary and a replica on each kind of database."""
    backend = sa.make_url(database_url).get_backend_name()
    kind = {"mysql": "mariadb"}.get(backend, backend)
    made = Cluster(fill(database_url, "primary"), fill(new_database(kind), "replica"))
    yield made
    with made.app.app_context():
        for engines in made.db.replica_engines.values():
            for engine in engines:
                engine.dispose()
        made.db.engine.dispose()


@pytest.fixture
def make(tmp_path: Any) -> Callable[..., Cluster]:
    """Give what makes a cluster on SQLite with a number of replicas."""

    def make_cluster(count: int = 1, **config: Any) -> Cluster:
        urls = [fill(f"sqlite:///{tmp_path / name}.db", name) for name in (f"replica{n}" for n in range(count))]
        return Cluster(fill(f"sqlite:///{tmp_path / 'primary'}.db", "primary"), urls, **config)

    return make_cluster


def test_reads_go_to_the_replica_and_writes_to_the_primary(cluster: Cluster) -> None:
    """After the write, reads in the same context see it; in the next context they are the replica's again."""
    with cluster.app.app_context():
        assert cluster.read() == "replica"
        cluster.write()
        assert cluster.read() == "primary"
        assert cluster.db.session.get(cluster.Place, 2).name == "new"
    with cluster.app.app_context():
        assert cluster.read() == "replica"
        assert cluster.db.session.get(cluster.Place, 2) is None
    with cluster.db.engine.connect() as connection:
        assert connection.scalar(sa.select(places.c.name).where(places.c.id == 2)) == "new"


def test_an_object_of_the_replica_is_written_to_the_primary(cluster: Cluster) -> None:
    """It is read there, changed, and its UPDATE goes where writes go."""
    with cluster.app.app_context():
        cluster.db.session.get(cluster.Place, 1).name = "changed"
        cluster.db.session.commit()
        assert cluster.read() == "changed"
    with cluster.app.app_context():
        assert cluster.read() == "replica"


def test_async_sessions_do_the_same(cluster: Cluster) -> None:
    """And a write of one kind of session counts for the other."""
    db, place = cluster.db, cluster.Place
    query = sa.select(place.name).where(place.id == 1)

    async def main() -> None:
        with cluster.app.app_context():
            assert await db.async_session.scalar(query) == "replica"
            db.async_session.add(place(id=2, name="new"))
            await db.async_session.commit()
            assert await db.async_session.scalar(query) == "primary"
            assert cluster.read() == "primary"
            await db.async_session.remove()
        with cluster.app.app_context():
            assert await db.async_session.scalar(query) == "replica"
            await db.async_session.remove()

    asyncio.run(main())


def changes(cluster: Cluster) -> dict[str, Callable[[], Any]]:
    """Return ways to change something."""
    session, place = cluster.db.session, cluster.Place
    return {
        "flush": lambda: (session.add(place(id=2)), session.flush()),
        "insert": lambda: session.execute(sa.insert(place).values(id=2)),
        "update": lambda: session.execute(sa.update(place).values(name="primary")),
        "delete": lambda: session.execute(sa.delete(place).where(place.id == 7)),
        "query": lambda: place.query.filter_by(id=7).delete(),
        "bulk": lambda: session.bulk_insert_mappings(sa.inspect(place), [{"id": 2}]),
        "text": lambda: session.execute(sa.text("UPDATE place SET name = 'primary'")),
        "connection": lambda: session.connection(),
        "for update": lambda: session.scalars(sa.select(place).with_for_update()).all(),
        "refresh": lambda: session.refresh(session.get(place, 1), with_for_update=True),
    }


@pytest.mark.parametrize(
    "change", ["flush", "insert", "update", "delete", "query", "bulk", "text", "connection", "for update", "refresh"]
)
def test_what_may_write_sticks(make: Callable[..., Cluster], change: str) -> None:
    """Everything after it in the context is read from the primary."""
    cluster = make()
    with cluster.app.app_context():
        assert cluster.read() == "replica0"
        changes(cluster)[change]()
        assert cluster.read() == "primary"
        cluster.db.session.rollback()


def test_text_that_reads_goes_to_the_primary_and_does_not_stick(make: Callable[..., Cluster]) -> None:
    """Nobody knows what a function in it does."""
    cluster = make()
    with cluster.app.app_context():
        assert cluster.db.session.scalar(sa.text("\n SELECT name FROM place")) == "primary"
        assert cluster.read() == "replica0"


def test_a_statement_is_judged() -> None:
    """By what it is, also deep inside."""
    table = sa.table("t", sa.column("a"))
    read = sa.select(table)
    inserted = sa.insert(table).values(a=1).returning(table.c.a).cte("inserted")
    assert judge(read) is Intent.READS
    assert judge(read.union(read)) is Intent.READS
    assert judge(sa.select(read.cte("c"))) is Intent.READS
    assert judge(sa.select(sa.exists(read))) is Intent.READS
    assert judge(read.with_for_update()) is Intent.WRITES
    assert judge(sa.select(inserted)) is Intent.WRITES
    assert judge(read.add_cte(inserted)) is Intent.WRITES
    assert judge(sa.insert(table)) is Intent.WRITES
    assert judge(sa.Sequence("s")) is Intent.WRITES
    assert judge(sa.func.now()) is Intent.WRITES
    assert judge(sa.text("(SELECT 1)")) is Intent.UNKNOWN
    assert judge(sa.text("WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x")) is Intent.WRITES


def test_a_transaction_reads_from_the_primary(make: Callable[..., Cluster]) -> None:
    """What is about to be changed is read where it is changed; after a block that wrote nothing it is as before."""
    cluster = make()
    with cluster.app.app_context():
        with cluster.db.transaction():
            assert cluster.read() == "primary"
        assert cluster.read() == "replica0"


def test_use_primary_for_a_block(make: Callable[..., Cluster]) -> None:
    """Blocks may be nested."""
    cluster = make()
    with cluster.app.app_context():
        with cluster.db.use_primary():
            with cluster.db.use_primary():
                pass
            assert cluster.read() == "primary"
        assert cluster.read() == "replica0"


def test_use_primary_for_the_rest_of_the_context(make: Callable[..., Cluster]) -> None:
    """As a plain call."""
    cluster = make()
    with cluster.app.app_context():
        cluster.db.use_primary()
        assert cluster.read() == "primary"
    with cluster.app.app_context():
        assert cluster.read() == "replica0"


def test_outside_of_contexts_the_session_remembers(make: Callable[..., Cluster]) -> None:
    """Until it is removed."""
    cluster = make()
    assert cluster.read() == "replica0"
    cluster.write()
    assert cluster.read() == "primary"
    cluster.db.session.remove()
    assert cluster.read() == "replica0"
    cluster.db.session.remove()


def test_replicas_take_turns_and_a_context_stays_with_one(make: Callable[..., Cluster]) -> None:
    """Two reads of one context must not see an older state after a newer one."""
    cluster = make(3)
    seen = []
    for _ in range(6):
        with cluster.app.app_context():
            seen.append(cluster.read())
            cluster.db.session.rollback()
            assert cluster.read() == seen[-1]
    assert set(seen) == {"replica0", "replica1", "replica2"}
    assert all(one != other for one, other in pairwise(seen))


def test_a_request_that_reads_nothing_holds_nothing(make: Callable[..., Cluster]) -> None:
    """No connection is made for the choice."""
    cluster = make()
    with cluster.app.app_context():
        cluster.db.session()
        cluster.db.session.get_bind()
        for engine in (cluster.db.engine, *cluster.db.replica_engines[None]):
            assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["sqlite", "mariadb", "postgresql"])
def test_a_replica_that_is_down(
    kind: str, tmp_path: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The primary is read, the log has one line, and when it is back it is used, with one line more."""
    broken = tmp_path / "missing" / "replica.db"
    port = free_port()
    url = {
        "sqlite": f"sqlite:///{broken}",
        "mariadb": f"mysql+pymysql://root:secret@127.0.0.1:{port}/test",
        "postgresql": f"postgresql+psycopg://postgres:secret@127.0.0.1:{port}/postgres",
    }[kind]
    cluster = Cluster(fill(f"sqlite:///{tmp_path / 'primary.db'}", "primary"), url)
    now = [100.0]
    monkeypatch.setattr(replicas.time, "monotonic", lambda: now[0])
    attempts: list[Any] = []
    (replica,) = cluster.db.replica_engines[None]
    sa.event.listen(replica, "do_connect", lambda *args: attempts.append(args))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            with cluster.app.app_context():
                assert cluster.read() == "primary"
                assert cluster.read() == "primary"
    assert len(attempts) == 1
    (line,) = caplog.messages
    assert line.startswith(f"The replica {replica.url.render_as_string()} does not answer")
    assert "secret" not in line
    now[0] += replicas.RETRY_AFTER
    with cluster.app.app_context():
        assert cluster.read() == "primary"
        assert cluster.read() == "primary"
    assert len(attempts) == 2
    assert len(caplog.messages) == 1
    if kind == "sqlite":
        broken.parent.mkdir()
        fill(url, "replica")
        now[0] += replicas.RETRY_AFTER
        with cluster.app.app_context():
            assert cluster.read() == "replica"
        assert caplog.messages[1] == f"The replica {replica.url.render_as_string()} answers again."
        with cluster.app.app_context():
            assert cluster.read() == "replica"
        assert len(caplog.messages) == 2


def test_the_other_replica_is_read_when_one_is_down(make: Callable[..., Cluster], tmp_path: Any) -> None:
    """The primary is the last to be asked."""
    urls = [f"sqlite:///{tmp_path}/missing/replica.db", fill(f"sqlite:///{tmp_path}/good.db", "good")]
    cluster = Cluster(fill(f"sqlite:///{tmp_path}/main.db", "primary"), urls)
    for _ in range(4):
        with cluster.app.app_context():
            assert cluster.read() == "good"


def test_an_async_replica_that_is_down(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The same in an async session."""
    cluster = Cluster(fill(f"sqlite:///{tmp_path}/main.db", "primary"), f"sqlite:///{tmp_path}/missing/replica.db")

    async def main() -> str:
        with cluster.app.app_context():
            return str(await cluster.db.async_session.scalar(sa.select(cluster.Place.name)))

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(main()) == "primary"
    assert len(caplog.messages) == 1


def test_an_error_of_the_statement_is_not_the_replicas(make: Callable[..., Cluster]) -> None:
    """It is raised, and the replica is not taken for down."""
    cluster = make()
    with cluster.app.app_context():
        with pytest.raises(sa.exc.OperationalError, match="no such table"):
            cluster.db.session.execute(sa.select(sa.table("unknown", sa.column("a"))))
        cluster.db.session.rollback()
        assert cluster.read() == "replica0"


def test_bind_keys_have_replicas_of_their_own(tmp_path: Any) -> None:
    """A model is read from a replica of its own database, if there is one."""
    app = Quaff("binds")
    app.config["SQLALCHEMY_DATABASE_URI"] = fill(f"sqlite:///{tmp_path}/main.db", "primary")
    app.config["SQLALCHEMY_BINDS"] = {"other": fill(f"sqlite:///{tmp_path}/other.db", "other primary")}
    app.config["SQLALCHEMY_REPLICAS"] = {"other": [fill(f"sqlite:///{tmp_path}/replica.db", "other replica")]}
    db = SQLAlchemy(app)

    class Place(db.Model):  # type: ignore[name-defined, misc]
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(80))

    class Other(db.Model):  # type: ignore[name-defined, misc]
        __bind_key__ = "other"
        __tablename__ = "place"
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(80))

    with app.app_context():
        assert db.session.get(Place, 1).name == "primary"
        assert db.session.get(Other, 1).name == "other replica"
        assert list(db.replica_engines) == ["other"]


def test_tables_are_made_on_the_primary(make: Callable[..., Cluster]) -> None:
    """`create_all`, `db.engine` and `db.engines` have nothing to do with replicas."""
    cluster = make()
    cluster.db.create_all()
    assert str(cluster.db.engine.url).endswith("primary.db")
    assert list(cluster.db.engines) == [None]


def test_without_replicas_nothing_is_looked_at(tmp_path: Any) -> None:
    """PERF: a session has one attribute to look at, and it is None."""
    _, db = make_app(f"sqlite:///{tmp_path}/main.db")
    assert db._replica_sets is None
    db.use_primary()
    assert db.replica_engines == {}
