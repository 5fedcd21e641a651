"""`db.async_session`: the async session of the current context and task.

Two tasks must not share a session, so each task that uses `db.async_session` in a context has one of its own: in a view, the
tasks of `asyncio.gather` do. It is closed when the task ends, or when the context does, whichever is first; what is left to
close is closed on the loop that it was made on, from whatever thread ends the context.

Under a WSGI server, and in a sync view, several coroutines may run one after the other for one request, each in a task:
those that a thread waits for (`async_bridge.py`). They are one line of work, and share one session until the context ends.

Read first: `tests/ext/sqlalchemy/test_aio.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.util import ScopedRegistry

from ..._internal.async_bridge import BRIDGED
from ...ctx import call_on_close
from ...globals import active_app_context
from .loops import EnginesOfLoop, LoopState, running_loop, state_of
from .session import Session

_numbers: Final = count(1)

_INSTEAD: Final = "'db.session'"

_TRANSLATES_BINDS: Final = hasattr(AsyncSession, "_translate_for_bind")
"""Whether `AsyncSession.get_bind` returns async engines, as from SQLAlchemy 2.1 on."""


class SessionSide:
    """What takes the place of `db` in the sync session inside of an async one: with other engines, and all else the same."""

    def __init__(self, db: Any, engines: EnginesOfLoop) -> None:
        self._db = db
        self.engines_of_loop = engines
        self.engines = engines.sync

    @property
    def _replica_sets(self) -> Any:
        return self.engines_of_loop.replica_sets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


class BoundAsyncSession(AsyncSession):
    """An async session that chooses its engine by the bind key of the model or table, as `Session` does."""

    def get_bind(self, mapper: Any = None, clause: Any = None, bind: Any = None, **kw: Any) -> Any:
        """Return the engine for a model or statement: from SQLAlchemy 2.1 on the async one, before it the one inside."""
        if bind is not None:
            return super().get_bind(mapper=mapper, clause=clause, bind=bind, **kw)
        found = self.sync_session.get_bind(mapper=mapper, clause=clause, **kw)
        if not _TRANSLATES_BINDS:
            return found
        made: EnginesOfLoop = self.sync_session._db.engines_of_loop  # type: ignore[attr-defined]  # `Session` has it
        return made.find(found) or found


class TaskSessions:
    """The async sessions of one context, or of no context, on one loop."""

    def __init__(self, state: LoopState, make: Callable[[], BoundAsyncSession], *, in_context: bool) -> None:
        self._state = state
        self._make = make
        self._in_context = in_context
        self._sessions: dict[asyncio.Task[Any], BoundAsyncSession] = {}
        self._shared: BoundAsyncSession | None = None
        self._user: asyncio.Task[Any] | None = None

    def find(self, task: asyncio.Task[Any]) -> BoundAsyncSession | None:
        """Return the session of *task*, or None."""
        found = self._sessions.get(task)
        if found is not None or self._shared is None or not self._may_share(task):
            return found
        self._user = task
        return self._shared

    def get(self, task: asyncio.Task[Any]) -> BoundAsyncSession:
        """Return the session of *task*, making it first if there is none."""
        found = self.find(task)
        if found is not None:
            return found
        session = self._make()
        self.put(task, session)
        return session

    def put(self, task: asyncio.Task[Any], session: BoundAsyncSession) -> None:
        """Make *session* that of *task*."""
        if self._may_share(task):
            self._shared, self._user = session, task
            return
        if task not in self._sessions:
            task.add_done_callback(self._task_ended)
        self._sessions[task] = session

    def take(self, task: asyncio.Task[Any]) -> BoundAsyncSession | None:
        """Return the session of *task* and forget it."""
        found = self.find(task)
        if found is not None and found is self._shared:
            self._shared = None
            return found
        return self._sessions.pop(task, None)

    def _may_share(self, task: asyncio.Task[Any]) -> bool:
        # Without a context there is nobody to close what is shared. And a sync view may have threads of its own, whose
        # coroutines run at the same time.
        if not self._in_context:
            return False
        return task.get_name() == BRIDGED and (self._user is None or self._user is task or self._user.done())

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        session = self._sessions.pop(task, None)
        if session is not None:
            self._state.close_soon(session)

    def close_all(self) -> None:
        """Close all sessions on their loop: before this returns if that runs in another thread, else soon."""
        sessions = [*self._sessions.values(), *(() if self._shared is None else (self._shared,))]
        self._sessions.clear()
        self._shared = None
        loop = self._state.loop
        for session in sessions:
            if asyncio._get_running_loop() is loop:
                self._state.close_soon(session)
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(self._state.close(session), loop).result()
            else:
                self._state.keep_for_shutdown(session)


class AsyncContextRegistry(ScopedRegistry[BoundAsyncSession]):
    """One session for each task in each app context; outside of contexts, one for each task.

    :param open_engines: returns the engines of the current app and loop.
    :param make: makes a session that uses them.
    """

    def __init__(
        self,
        open_engines: Callable[[LoopState], EnginesOfLoop],
        make: Callable[[EnginesOfLoop], BoundAsyncSession],
    ) -> None:
        super().__init__(self, lambda: None)  # neither is called: all methods are replaced
        self._open_engines = open_engines
        self._create = make
        self._key = f"_sqlalchemy_async_sessions_{next(_numbers)}"

    def __call__(self) -> BoundAsyncSession:
        """Return the session, making it first if there is none."""
        return self._scope().get(_current_task())

    def has(self) -> bool:
        """Tell whether there is a session."""
        return self._scope().find(_current_task()) is not None

    def set(self, obj: BoundAsyncSession) -> None:
        """Make *obj* the session."""
        self._scope().put(_current_task(), obj)

    def clear(self) -> None:
        """Forget the session."""
        self.take()

    def take(self) -> BoundAsyncSession | None:
        """Return the session and forget it."""
        return self._scope().take(_current_task())

    def _scope(self) -> TaskSessions:
        loop = running_loop("db.async_session", _INSTEAD)
        context = active_app_context()
        if context is None:
            state = state_of(loop)
            # Whose database it would be has to be clear; and each app has sessions of its own.
            engines = self._open_engines(state)
            if engines.outside is None:
                engines.outside = TaskSessions(state, partial(self._create, engines), in_context=False)
            outside: TaskSessions = engines.outside
            return outside
        of_loops: dict[asyncio.AbstractEventLoop, TaskSessions] | None = context.__dict__.get(self._key)
        if of_loops is None:
            of_loops = context.__dict__[self._key] = {}
            call_on_close(partial(_close_sessions, of_loops))
        found = of_loops.get(loop)
        if found is None:
            state = state_of(loop)
            engines = self._open_engines(state)
            found = of_loops[loop] = TaskSessions(state, partial(self._create, engines), in_context=True)
        return found


def _close_sessions(of_loops: dict[asyncio.AbstractEventLoop, TaskSessions], error: BaseException | None) -> None:
    while of_loops:
        _, sessions = of_loops.popitem()
        try:
            sessions.close_all()
        finally:
            _close_sessions(of_loops, error)


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        running_loop("db.async_session", _INSTEAD)
        raise RuntimeError("db.async_session belongs to a task, and was used in a callback of the loop.")
    return task


class AsyncScopedSession(async_scoped_session[BoundAsyncSession]):
    """`db.async_session`: the async session of the current context and task, with an async session's methods.

    :param db: the `SQLAlchemy` object.
    :param options: the arguments of `db.session`'s sessions.
    :param open_engines: returns the engines of the current app and loop.
    """

    def __init__(self, db: Any, options: dict[str, Any], open_engines: Callable[[LoopState], EnginesOfLoop]) -> None:
        options = {"expire_on_commit": False, **options}
        base: type[Session] = options.pop("class_", Session)
        options.pop("db", None)
        # One class for each `db`, so that listeners hear of its async sessions only.
        self.sync_session_class: type[Session] = type(f"Async{base.__name__}", (base,), {"__doc__": base.__doc__})
        factory = async_sessionmaker(class_=BoundAsyncSession, sync_session_class=self.sync_session_class, **options)
        super().__init__(factory, lambda: None)
        self._sessions = self.registry = AsyncContextRegistry(
            open_engines, lambda engines: factory(db=SessionSide(db, engines))
        )

    async def remove(self) -> None:
        """Close the session and forget it; the next use makes a new one."""
        session = self._sessions.take()
        if session is not None:
            await session.close()
