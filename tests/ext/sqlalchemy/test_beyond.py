"""What `db` has beyond Flask-SQLAlchemy loads nothing until it is used, and belongs to the app that is meant."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import weakref
from typing import Any

import sqlalchemy as sa

from quaff import Quaff
from quaff.ext.sqlalchemy import SQLAlchemy

from .databases import make_app


def test_async_code_is_not_loaded_without_need() -> None:
    """An app that is synchronous has no use for SQLAlchemy's asyncio, nor for a driver."""
    program = (
        "import sys; from quaff import Quaff; from quaff.ext.sqlalchemy import SQLAlchemy\n"
        "app = Quaff('app'); app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite://'; db = SQLAlchemy(app)\n"
        "with db.transaction(): db.session.execute(db.text('SELECT 1'))\n"
        "print(sorted({'asyncio', 'aiosqlite', 'quaff.ext.sqlalchemy.aio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "aiosqlite" not in done.stdout
    assert "quaff.ext.sqlalchemy.aio" not in done.stdout


def test_each_app_has_engines_of_its_own(new_database: Any) -> None:
    """Of one `db` that serves two apps."""
    db = SQLAlchemy()
    apps = []
    for name in ("first", "second"):
        app = Quaff(name)
        app.config["SQLALCHEMY_DATABASE_URI"] = new_database("sqlite")
        db.init_app(app)
        apps.append(app)

    async def main() -> list[str | None]:
        names = []
        for app in apps:
            with app.app_context():
                names.append(db.async_engine.url.database)
                assert (await db.async_session.connection()).engine.url.database == names[-1]
                await db.async_session.remove()
        return names

    first, second = asyncio.run(main())
    assert first != second


def test_engines_do_not_keep_an_app_alive(new_database: Any) -> None:
    """Neither async engines nor replicas do."""
    app, db = make_app(new_database("sqlite"), SQLALCHEMY_REPLICAS=new_database("sqlite"))

    async def main() -> None:
        await db.async_session.execute(sa.select(sa.literal(1)))

    asyncio.run(main())
    gone = weakref.ref(app)
    del app
    # What a finalizer lets go of is found by the next round.
    for _ in range(3):
        gc.collect()
    assert gone() is None
    # The engines are let go when the app is gone, so they are garbage from then on.
    gc.collect()
    assert not db._replica_sets


def test_options_for_async_engines_only(new_database: Any) -> None:
    """`SQLALCHEMY_ASYNC_ENGINE_OPTIONS` goes after what is for both."""
    _, db = make_app(
        new_database("sqlite"),
        SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 3},
        SQLALCHEMY_ASYNC_ENGINE_OPTIONS={"pool_size": 4},
    )

    async def main() -> int:
        pool: Any = db.async_engine.pool
        return int(pool.size())

    assert asyncio.run(main()) == 4
    pool: Any = db.engine.pool
    assert pool.size() == 3
