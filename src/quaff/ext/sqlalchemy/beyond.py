"""What `db` has beyond Flask-SQLAlchemy: transactions as blocks, async sessions, read replicas."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from . import record_queries, track_modifications
from .binding import find_app
from .engines import AppEngines
from .outages import watch_engine
from .replica_settings import EngineOptions, read_replica_settings
from .replicas import ReplicaSet, UsePrimary, pin_to_primary
from .session import ScopedSession
from .transactions import AsyncTransaction, Transaction

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from .aio import AsyncScopedSession
    from .loops import EnginesOfLoop, LoopState


class Beyond:
    """The part of `SQLAlchemy` that is Quaff's own."""

    session: ScopedSession
    Query: type[Any]
    _app_engines: AppEngines
    _session_options: dict[str, Any]

    if TYPE_CHECKING:

        def _apply_driver_defaults(self, options: dict[str, Any], app: Any) -> None: ...

        def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Any) -> sa.Engine: ...

    _replica_sets: MutableMapping[Any, ReplicaSet] | None = None
    """Engine -> its replicas; None for most, which is all that a session has to look at."""

    @cached_property
    def _app_options(self) -> WeakKeyDictionary[Any, dict[str | None, EngineOptions]]:
        return WeakKeyDictionary()

    def _note_options(self, app: Any, key: str | None, options: dict[str, Any]) -> None:
        """Remember what an engine is made with, for its replicas and async engines; before the defaults are applied."""
        self._app_options.setdefault(app, {})[key] = EngineOptions(dict(options), options)

    def _set_up_replicas(self, app: Any) -> None:
        """Make the engines of the replicas that the configuration names."""
        settings = read_replica_settings(app.config, self._app_options[app])
        if settings is None:
            return
        if self._replica_sets is None:
            self._replica_sets = WeakKeyDictionary()
        for key, replicas in settings.replicas.items():
            options = {}
            for given in replicas:
                completed = dict(given)
                self._apply_driver_defaults(completed, app)
                options[self._make_engine(key, completed, app)] = EngineOptions(given, completed)
            made = ReplicaSet(tuple(options), app.logger, settings.stickiness)
            made.options = options
            self._replica_sets[self._app_engines[app][key]] = made

    # Transactions --------------------------------------------------------------------------------------------------------

    def transaction(self, *, retries: int = 0) -> Transaction:
        """Return a block that commits `db.session` at its end, or rolls it back when an error leaves it.

        ::

            with db.transaction() as session:
                session.add(order)

        Inside of another one it is a savepoint. As a decorator it can repeat the work that a deadlock or a serialization
        failure ended: `@db.transaction(retries=3)`.

        :param retries: how often the work of a decorated function is done again at most; not for `with`.
        """
        return Transaction(self.session, retries)

    def async_transaction(self, *, retries: int = 0) -> AsyncTransaction:
        """Return what `transaction` returns, for `db.async_session`, `async with` and async functions."""
        return AsyncTransaction(self.async_session, retries)

    # Async ---------------------------------------------------------------------------------------------------------------

    @cached_property
    def async_session(self) -> AsyncScopedSession:
        """The async session of the current app context and task; it is closed when either ends.

        It has the methods of SQLAlchemy's `AsyncSession`, and `await db.async_session.remove()`.
        """
        from .aio import AsyncScopedSession

        made = AsyncScopedSession(self, {"query_cls": self.Query, **self._session_options}, self._open_async_engines)
        # It looks at the app itself, each time.
        track_modifications._listen(made.sync_session_class)
        return made

    @property
    def async_engines(self) -> Mapping[str | None, AsyncEngine]:
        """Bind key, None for the default -> async engine, of the current app on the running event loop.

        :raises RuntimeError: where no event loop is running.
        """
        from .loops import running_loop, state_of

        return self._open_async_engines(state_of(running_loop("db.async_engines", "'db.engines'")))

    @property
    def async_engine(self) -> AsyncEngine:
        """The default async engine of the current app on the running event loop."""
        return self.async_engines[None]

    async def async_dispose(self) -> None:
        """Close the connections of the current app's async engines on the running event loop.

        Where `asyncio.run()` or a server ends the loop, that happens by itself.
        """
        from .loops import running_loop, state_of

        await self._open_async_engines(state_of(running_loop("db.async_dispose()", "'db.engine.dispose()'"))).dispose()

    def _open_async_engines(self, state: LoopState) -> EnginesOfLoop:
        app = find_app(self)
        return state.engines(app, self, lambda: self._make_async_engines(app))

    def _make_async_engines(self, app: Any) -> EnginesOfLoop:
        from .aio_engines import OPTIONS, async_options, make_async_engine
        from .loops import EnginesOfLoop

        all_options = self._app_options[app]
        sync_engines: Mapping[str | None, sa.Engine] = self._app_engines[app]
        # Not the app: the engines must not keep it alive.
        config, logger = app.config, app.logger
        own = config.get(OPTIONS) or {}

        def make_one(options: EngineOptions, sync: sa.Engine) -> AsyncEngine:
            engine = make_async_engine(async_options(options, own), sync, config["COMPAT"])
            if config["SQLALCHEMY_RECORD_QUERIES"]:
                record_queries._listen(engine.sync_engine)
            return engine

        def make(key: str | None) -> AsyncEngine:
            engine = make_one(all_options[key], sync_engines[key])
            watch_engine(engine.sync_engine, key, logger)
            return engine

        def make_replicas(key: str | None) -> tuple[list[AsyncEngine], ReplicaSet] | None:
            replicas = None if self._replica_sets is None else self._replica_sets.get(sync_engines[key])
            if replicas is None:
                return None
            engines = [make_one(replicas.options[sync], sync) for sync in replicas.engines]
            return engines, replicas.with_engines([engine.sync_engine for engine in engines])

        return EnginesOfLoop(tuple(all_options), make, make_replicas)

    # Replicas ------------------------------------------------------------------------------------------------------------

    @property
    def replica_engines(self) -> Mapping[str | None, tuple[sa.Engine, ...]]:
        """Bind key, None for the default -> the engines of its replicas, of the current app."""
        engines: Mapping[str | None, sa.Engine] = self._app_engines[find_app(self)]
        sets = self._replica_sets or {}
        return {key: sets[engine].engines for key, engine in engines.items() if engine in sets}

    def use_primary(self) -> UsePrimary:
        """Let everything in the current context read from the primary; with `with db.use_primary():`, what is in the block.

        Without replicas it does nothing. Outside of any context it is about `db.session` only.
        """
        return UsePrimary(pin_to_primary(self.session()))
