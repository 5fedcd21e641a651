"""What async code needs once for each event loop: the engines, and the sessions that nobody closed.

A connection of an async driver belongs to the loop that it was made on, and so does the pool that holds it. A process has
several loops over time (a server's, that of `async_bridge.py`, each `asyncio.run`), so every loop has engines of its own,
made when they are first used there. They are disposed of when the loop shuts down: `asyncio.run` and `asyncio.Runner` end
the asynchronous generators of their loop, and one of those is ours.

Read first: `tests/ext/sqlalchemy/test_loops.py`.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from .problems import LoopNeeded

_NO_LOOP: Final = """\
{what} was used where no event loop is running.

It belongs to code that is awaited: an async view, or a coroutine that 'asyncio.run()' runs. In synchronous code, use
{instead}."""

Key = str | None


def running_loop(what: str, instead: str) -> asyncio.AbstractEventLoop:
    """Return the running loop.

    :param what: what needs it, for the message.
    :param instead: what synchronous code uses.
    :raises LoopNeeded: when none is running.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise LoopNeeded(_NO_LOOP.format(what=what, instead=instead)) from None


class EnginesOfLoop(Mapping[Key, AsyncEngine]):
    """The async engines of one app on one loop, by bind key; each is made when it is first asked for.

    :param keys: the bind keys.
    :param make: makes an engine for one.
    :param make_replicas: makes the replicas of an engine; returns None when it has none.
    """

    def __init__(
        self,
        keys: tuple[Key, ...],
        make: Callable[[Key], AsyncEngine],
        make_replicas: Callable[[Key], tuple[list[AsyncEngine], Any] | None],
    ) -> None:
        self._keys = keys
        self._make = make
        self._make_replicas = make_replicas
        self._made: dict[Key, AsyncEngine] = {}
        self._replicas: list[AsyncEngine] = []
        self._replica_sets: dict[Any, Any] | None = None
        self.sync = SyncEngines(self)
        """The same engines as a session sees them."""

        self.outside: Any = None
        """What the sessions outside of any context are kept in (`aio.py`)."""

    def __getitem__(self, key: Key) -> AsyncEngine:
        made = self._made.get(key)
        if made is not None:
            return made
        if key not in self._keys:
            raise KeyError(key)
        # On one loop, and nothing in here is awaited: no other task comes between.
        made = self._made[key] = self._make(key)
        found = self._make_replicas(key)
        if found is not None:
            engines, replicas = found
            self._replica_sets = {**(self._replica_sets or {}), made.sync_engine: replicas}
            self._replicas += engines
        return made

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def find(self, sync: Any) -> AsyncEngine | None:
        """Return the async engine that is made of the engine *sync*, among those that were made."""
        return next((engine for engine in (*self._made.values(), *self._replicas) if engine.sync_engine is sync), None)

    @property
    def replica_sets(self) -> dict[Any, Any] | None:
        """Engine -> its replicas (`replicas.py`); None when there are none."""
        return self._replica_sets

    async def dispose(self) -> None:
        """Close the connections that are not in use. Engines that are used again make new ones."""
        for engine in (*self._made.values(), *self._replicas):
            await engine.dispose()


class SyncEngines(Mapping[Key, sa.Engine]):
    """The engines below the async ones: a session knows only these, and they work in its greenlet."""

    def __init__(self, engines: EnginesOfLoop) -> None:
        self._engines = engines

    def __getitem__(self, key: Key) -> sa.Engine:
        return self._engines[key].sync_engine

    def __iter__(self) -> Iterator[Key]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)

    def __contains__(self, key: object) -> bool:
        return key in self._engines


class LoopState:
    """What belongs to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._engines: weakref.WeakKeyDictionary[Any, dict[Any, EnginesOfLoop]] = weakref.WeakKeyDictionary()
        self._unclosed: set[AsyncSession] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._at_shutdown = self._shut_down()
        # Runs to the yield without waiting for anything, which is when the loop takes note of the generator.
        with suppress(StopIteration):
            self._at_shutdown.__anext__().send(None)

    def engines(self, app: Any, db: Any, make: Callable[[], EnginesOfLoop]) -> EnginesOfLoop:
        """Return the engines of *app* for *db*."""
        of_app = self._engines.get(app)
        if of_app is None:
            of_app = self._engines[app] = {}
            weakref.finalize(app, _dispose_later, self.loop, of_app).atexit = False
        found = of_app.get(id(db))
        if found is None:
            found = of_app[id(db)] = make()
        return found

    def keep_for_shutdown(self, session: AsyncSession) -> None:
        """Close a session when the loop shuts down: it does not run now."""
        self._unclosed.add(session)

    def close_soon(self, session: AsyncSession) -> None:
        """Close a session without waiting; on the loop."""
        self._unclosed.add(session)
        task = self.loop.create_task(self.close(session))
        # The loop itself holds tasks weakly.
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self, session: AsyncSession) -> None:
        """Close a session; its connections go back to their pools."""
        self._unclosed.add(session)
        await session.close()
        self._unclosed.discard(session)

    async def _shut_down(self) -> AsyncGenerator[None, None]:
        """Wait for the loop to end, then close everything."""
        try:
            yield
        finally:
            # Two must not close the same session: what is being closed is waited for.
            await asyncio.gather(*self._closing, return_exceptions=True)
            for session in tuple(self._unclosed):
                # Whose connection is broken has nothing to give back.
                with suppress(SQLAlchemyError):
                    await self.close(session)
            for of_app in tuple(self._engines.values()):
                for engines in tuple(of_app.values()):
                    await engines.dispose()
            _states.pop(self.loop, None)


_states: Final[dict[asyncio.AbstractEventLoop, LoopState]] = {}
_lock: Final = threading.Lock()


def state_of(loop: asyncio.AbstractEventLoop) -> LoopState:
    """Return what belongs to *loop*, which is the running one."""
    found = _states.get(loop)
    if found is None:
        with _lock:
            # What a loop that never shut down left behind cannot be used any more.
            for other in [other for other in _states if other.is_closed()]:
                del _states[other]
            found = _states[loop] = LoopState(loop)
    return found


def _dispose_later(loop: asyncio.AbstractEventLoop, of_app: dict[Any, EnginesOfLoop]) -> None:
    """Close the connections of an app that is gone; from any thread."""

    def dispose() -> None:
        for engines in of_app.values():
            task = loop.create_task(engines.dispose())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    tasks: set[asyncio.Task[None]] = set()
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(dispose)
