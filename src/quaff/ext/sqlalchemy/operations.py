"""The part of `db` that matters when something goes wrong: health, conflicts, outages, and N+1 queries."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from ...globals import current_context
from .failures import Answers, Conflicts, answer_failures
from .health import DEFAULT_TIMEOUT, Health, check_health
from .nplusone import DEFAULT_THRESHOLD, Mode, mode_for, watch
from .outages import RefusalLog, watch_engine
from .problems import SQLAlchemySettingsError
from .session import ScopedSession, Session

F = TypeVar("F", bound=Callable[..., Any])

CONFLICT_AS_409: Final = "SQLALCHEMY_CONFLICT_AS_409"
UNAVAILABLE_AS_503: Final = "SQLALCHEMY_UNAVAILABLE_AS_503"
RETRY_AFTER: Final = "SQLALCHEMY_RETRY_AFTER"
N_PLUS_ONE: Final = "SQLALCHEMY_N_PLUS_ONE"
N_PLUS_ONE_THRESHOLD: Final = "SQLALCHEMY_N_PLUS_ONE_THRESHOLD"


class WatchedSessions:
    """Makes sessions, and looks for N+1 queries in those of apps that ask for it.

    It stands in a registry's `createfunc` until it is known that no app does. That is known with the first request:
    `app.run(debug=True)` and the configuration may come after `init_app`, and after sessions outside of requests.
    """

    def __init__(self, registry: Any) -> None:
        self._registry = registry
        self._make: Callable[[], Session] = registry.createfunc
        self._modes: weakref.WeakKeyDictionary[Any, Mode | None] = weakref.WeakKeyDictionary()

    def add(self, app: Any) -> None:
        """Look at the sessions of an app, if it turns out to want that."""
        self._modes[app] = None
        self._registry.createfunc = self

    def __call__(self) -> Session:
        """Make a session."""
        session = self._make()
        context = current_context.get().request_context
        if context is not None and context.app in self._modes:
            app = context.app
            mode = self._modes[app] or self._decide(app)
            watch(session, mode, app.config.get(N_PLUS_ONE_THRESHOLD, DEFAULT_THRESHOLD))
        return session

    def _decide(self, app: Any) -> Mode:
        mode = self._modes[app] = mode_for(app.config.get(N_PLUS_ONE), debug=app.debug)
        if all(known == "off" for known in self._modes.values()):
            self._registry.createfunc = self._make
        return mode


class Operations:
    """What `SQLAlchemy` has for the running of an app."""

    session: ScopedSession

    _watched_sessions: WatchedSessions | None = None

    @property
    def engines(self) -> Mapping[str | None, sa.Engine]:
        """Bind key, None for the default -> engine."""
        raise NotImplementedError

    def health_check(self, timeout: float = DEFAULT_TIMEOUT, bind_keys: Iterable[str | None] | None = None) -> Health:
        """Ask the databases of the current app whether they are there, all at once, each on a connection of its pool.

        ::

            @app.get("/ready")
            def ready():
                health = db.health_check(timeout=1)
                return health.to_dict(), 200 if health.ok else 503

        :param timeout: seconds to wait for all of them together, 2 by default. One that hangs costs no more.
        :param bind_keys: which ones to ask, None for the default one; all by default.
        :raises KeyError: for a bind key that is not configured.
        """
        return check_health(self.engines, timeout, bind_keys)

    def conflicts(self) -> AbstractContextManager[None]:
        """Begin a block in which a duplicate, or a foreign key that does not fit, ends the request with 409.

        ::

            with db.conflicts():
                db.session.add(User(username=name))
                db.session.commit()

        The session is rolled back. What may not be NULL, and what a CHECK refuses, stays an error.

        :raises DatabaseConflict: in place of SQLAlchemy's `IntegrityError`, which is its `__cause__`.
        """
        return Conflicts(self._roll_back).block()

    def conflict_as_409(self, view: F) -> F:
        """Let a view, or another function, end the request with 409 for what `conflicts` is about."""
        return Conflicts(self._roll_back).decorate(view)

    def _roll_back(self) -> None:
        registry = self.session.registry
        if registry.has():
            session = registry()
            try:
                session.rollback()
            except exc.DBAPIError:
                # There is nobody left to tell; the server rolls back by itself.
                session.invalidate()

    def _init_operations(self, app: Any, engines: Mapping[str | None, sa.Engine]) -> None:
        """Watch the engines of an app, and answer what goes wrong with them.

        :raises SQLAlchemySettingsError: for a setting that cannot be right.
        """
        config = app.config
        try:
            mode_for(config.get(N_PLUS_ONE), debug=False)
        except ValueError as error:
            raise SQLAlchemySettingsError(str(error)) from None
        for key, engine in engines.items():
            # COMPAT: test-suites put something else in the place of an engine.
            if isinstance(engine, sa.Engine):
                watch_engine(engine, key, app.logger)
        answer_failures(app, lambda: read_answers(config), self._roll_back, RefusalLog(app.logger).note)
        if self._watched_sessions is None:
            self._watched_sessions = WatchedSessions(self.session.registry)
        self._watched_sessions.add(app)


def read_answers(config: Mapping[str, Any]) -> Answers:
    """Return what an app's configuration says about errors of its databases."""
    return Answers(
        conflicts=bool(config.get(CONFLICT_AS_409, False)),
        unavailable=bool(config.get(UNAVAILABLE_AS_503, True)),
        retry_after=int(config.get(RETRY_AFTER, 1)),
    )
