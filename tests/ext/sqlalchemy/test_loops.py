"""Each event loop has engines of its own, and what they hold is closed when the loop ends, or the app goes."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from quaff.ext.sqlalchemy import loops

from .databases import make_app


def test_each_loop_has_engines_of_its_own(new_database: Any) -> None:
    """A pool must not be shared between loops: its connections belong to the one that they were made on."""
    _, db = make_app(new_database("sqlite"))

    async def main() -> AsyncEngine:
        await db.async_session.execute(sa.text("SELECT 1"))
        assert db.async_engine is db.async_engine
        return db.async_engine

    first, second = asyncio.run(main()), asyncio.run(main())
    assert first is not second


def test_two_loops_at_the_same_time(database_url: str) -> None:
    """In two threads, each with its connections."""
    app, db = make_app(database_url)
    barrier = threading.Barrier(2, timeout=30)
    results: list[int] = []

    async def main() -> None:
        with app.app_context():
            for _ in range(20):
                results.append(await db.async_session.scalar(sa.text("SELECT 1")))
                await asyncio.to_thread(barrier.wait)
            await db.async_session.remove()

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1] * 40


def test_the_end_of_the_loop_closes_the_connections(new_database: Any) -> None:
    """Those that are in a session, too. The state of the loop is gone."""
    app, db = make_app(new_database("sqlite"))
    closed: list[Any] = []

    async def main() -> asyncio.AbstractEventLoop:
        engine = db.async_engine.sync_engine
        sa.event.listen(engine, "close", lambda *args: closed.append(args))
        await db.async_session.execute(sa.text("SELECT 1"))
        with app.app_context():
            await db.async_session.execute(sa.text("SELECT 1"))
        assert closed == []
        return asyncio.get_running_loop()

    loop = asyncio.run(main())
    assert len(closed) == 2
    assert loop not in loops._states


@pytest.mark.service("postgresql")
def test_a_server_has_no_connections_left(new_database: Any) -> None:
    """As it sees them itself, after a loop that left tasks and sessions behind."""
    app, db = make_app(new_database("postgresql"))
    query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    forever: list[Any] = []

    async def wait() -> None:
        await db.async_session.execute(query)
        await asyncio.Event().wait()

    async def main() -> int:
        forever.extend(asyncio.create_task(wait()) for _ in range(3))
        context = app.app_context()
        context.push()
        count = 0
        while count < 4:
            count = await db.async_session.scalar(query)
            await db.async_session.rollback()
            await asyncio.sleep(0.01)
        context.pop()
        return count

    assert asyncio.run(main()) >= 4
    assert db.session.scalar(query) == 1
    db.session.remove()


def test_an_app_that_is_gone_closes_its_connections(new_database: Any) -> None:
    """Apps of tests come and go while the loop of the bridge stays."""
    closed = threading.Event()

    def serve() -> None:
        app, db = make_app(new_database("sqlite"))

        @app.get("/")
        async def index() -> str:
            sa.event.listen(db.async_engine.sync_engine, "close", lambda *_: closed.set())
            return str(await db.async_session.scalar(sa.text("SELECT 1")))

        assert app.test_client().get("/").text == "1"
        assert not closed.is_set()

    serve()
    gc.collect()
    assert closed.wait(30)


def test_dispose_closes_what_is_not_in_use(new_database: Any) -> None:
    """And the engines go on with new connections."""
    _, db = make_app(new_database("sqlite"))

    async def main() -> None:
        await db.async_session.execute(sa.text("SELECT 1"))
        await db.async_session.remove()
        pool: Any = db.async_engine.pool
        assert pool.checkedin() == 1
        await db.async_dispose()
        pool = db.async_engine.pool
        assert pool.checkedin() == 0
        assert await db.async_session.scalar(sa.text("SELECT 1")) == 1

    asyncio.run(main())


def test_engines_are_a_mapping(new_database: Any) -> None:
    """Of the configured bind keys, made when they are asked for."""
    _, db = make_app(new_database("sqlite"), SQLALCHEMY_BINDS={"logs": new_database("sqlite")})

    async def main() -> None:
        engines = db.async_engines
        assert set(engines) == {None, "logs"}
        assert len(engines) == 2
        assert "other" not in engines
        with pytest.raises(KeyError):
            engines["other"]
        assert engines["logs"] is not engines[None]

    asyncio.run(main())
