"""The session, the engine that it chooses, and to which context it belongs.

Each app context has a session of its own, made when it is first used. It is kept on the context, which removes it when it
ends: a request that does not use the database makes none and removes none. Outside of any context, a session belongs to
the thread, until `db.session.remove()`.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
import sqlalchemy.orm as sa_orm
from sqlalchemy.util import ScopedRegistry

from ...ctx import call_on_close
from ...globals import active_app_context, app_ctx
from .binding import find_only_app
from .fast_select import FastSelect
from .replicas import choose_engine
from .retries import close_in_any_case

_numbers: Final = count(1)
_of_parents: Final[list[threading.local]] = []


class Session(FastSelect, usual=True):
    """A session that chooses the engine by the bind key of the model or table.

    Subclass it and pass the class as `class_` in `session_options` for a session of your own.

    :param db: the `SQLAlchemy` object.
    :param kwargs: for `sqlalchemy.orm.Session`.
    """

    def __init__(self, db: Any, **kwargs: Any) -> None:  # Any: the class in `extension.py`, above
        super().__init__(**kwargs)
        self._db = db
        self._model_changes: dict[object, tuple[Any, str]] = {}

    def get_bind(
        self,
        mapper: Any = None,
        clause: Any = None,
        bind: sa.Engine | sa.Connection | None = None,
        **kwargs: Any,
    ) -> sa.Engine | sa.Connection:
        """Return the engine for a model or statement; without a bind key, the default one.

        :raises sqlalchemy.exc.UnboundExecutionError: for a bind key that is not configured.
        """
        if bind is not None:
            return bind
        primary = self._find_primary(mapper, clause, **kwargs)
        sets = self._db._replica_sets
        return primary if sets is None else choose_engine(self, primary, clause, sets)

    def _find_primary(self, mapper: Any, clause: Any, **kwargs: Any) -> sa.Engine | sa.Connection:
        engines = self._db.engines
        if mapper is not None:
            table = _table_of_mapper(mapper)
            engine = _clause_to_engine(table, engines)
            if engine is not None:
                return engine
        if clause is not None:
            engine = _clause_to_engine(clause, engines)
            if engine is not None:
                return engine
        if None in engines:
            default: sa.Engine = engines[None]
            return default
        return super().get_bind(mapper=mapper, clause=clause, **kwargs)


def _table_of_mapper(mapper: Any) -> Any:
    try:
        return sa.inspect(mapper).local_table
    except sa_exc.NoInspectionAvailable as error:
        if isinstance(mapper, type):
            raise sa_orm.exc.UnmappedClassError(mapper) from error
        raise


def _clause_to_engine(clause: Any, engines: Mapping[str | None, sa.Engine]) -> sa.Engine | None:
    """Return the engine of a table, or of the table that an INSERT, UPDATE or DELETE changes; None for anything else."""
    table = clause
    if isinstance(clause, sa.UpdateBase):
        table = clause.table
    if not isinstance(table, sa.Table) or "bind_key" not in table.metadata.info:
        return None
    key = table.metadata.info["bind_key"]
    if key not in engines:
        raise sa_exc.UnboundExecutionError(f"Bind key '{key}' is not in 'SQLALCHEMY_BINDS' config.")
    return engines[key]


def _app_ctx_id() -> int:
    """Return the identity of the current app context. COMPAT: the scope function that Flask-SQLAlchemy has."""
    return id(app_ctx._get_current_object())


class ContextRegistry(ScopedRegistry[Session]):
    """One session for each app context; outside of contexts, one for each thread.

    :param db: the `SQLAlchemy` object.
    :param createfunc: makes a session.
    """

    def __init__(self, db: Any, createfunc: Callable[[], Session]) -> None:
        super().__init__(createfunc, _app_ctx_id)
        self._db = db
        self._key = f"_sqlalchemy_session_{next(_numbers)}"
        self._ended = f"{self._key}_ended"
        self._threads = threading.local()

        # What the main thread's session is kept in, if it made one outside of contexts.
        self._main: dict[str, Any] = {}
        _registries.add(self)

    def _scope(self) -> dict[str, Any]:
        """Return where the session of this moment is kept."""
        context = active_app_context()
        if context is None:
            # Whose database it would be has to be clear.
            find_only_app(self._db)
            return self._threads.__dict__
        scope: dict[str, Any] = context.__dict__
        return scope

    def __call__(self) -> Session:
        """Return the session, making it first if there is none."""
        scope = self._scope()
        session: Session | None = scope.get(self._key)
        return self._make(scope) if session is None else session

    def _make(self, scope: dict[str, Any]) -> Session:
        session = scope[self._key] = self.createfunc()
        self._take(scope)
        return session

    def _take(self, scope: dict[str, Any]) -> None:
        """See to it that the session in *scope* is removed when its context ends."""
        if scope is not self._threads.__dict__:
            # Once: a script may remove many sessions in one context.
            if self._ended not in scope:
                scope[self._ended] = None
                call_on_close(partial(self._end, scope))
        elif threading.current_thread() is threading.main_thread():
            self._main = scope

    def _end(self, scope: dict[str, Any], error: BaseException | None) -> None:
        """Remove the session of a context that ends; its connection goes back to the pool."""
        session: Session | None = scope.pop(self._key, None)
        ended = scope[self._ended]
        before: Session | None = None if ended is None else ended()
        try:
            if before is not None:
                # A streamed body, for which the context was pushed again, may have used what the view made with it.
                close_in_any_case(before)
        finally:
            if session is not None:
                scope[self._ended] = weakref.ref(session)
                try:
                    self._db._before_session_ends(session, error)
                finally:
                    close_in_any_case(session)

    def release_main(self) -> None:
        """Remove the session that the main thread made outside of contexts: what it read would stay in a transaction."""
        session: Session | None = self._main.pop(self._key, None)
        if session is not None:
            session.close()

    def has(self) -> bool:
        """Tell whether there is a session."""
        return self._key in self._scope()

    def set(self, obj: Session) -> None:
        """Make *obj* the session."""
        scope = self._scope()
        if self._key not in scope:
            self._take(scope)
        scope[self._key] = obj

    def clear(self) -> None:
        """Forget the session."""
        self._scope().pop(self._key, None)

    def _begin_anew(self) -> None:
        # What a forked child closes, it closes for the parent too: the sessions are kept, and never used again.
        _of_parents.append(self._threads)
        self._threads, self._main = threading.local(), {}


class ScopedSession(sa_orm.scoped_session[Session]):
    """`db.session`: the session of the current app context, with a session's methods.

    :param db: the `SQLAlchemy` object.
    :param session_factory: makes a session.
    :param scopefunc: returns what a session belongs to; None for the app context.
    """

    def __init__(
        self, db: Any, session_factory: sa_orm.sessionmaker[Session], scopefunc: Callable[[], Any] | None = None
    ) -> None:
        super().__init__(session_factory, scopefunc)
        self.has_own_scopes = scopefunc is not None
        """Whether the sessions belong to something else than contexts."""

        if scopefunc is None:
            self.registry = ContextRegistry(db, session_factory)

    if not TYPE_CHECKING:

        def get(self, entity, ident, **options):
            """Return the instance of a model with a primary key, or None; see `sqlalchemy.orm.Session.get`."""
            # PERF: SQLAlchemy's own passes on all seven options each time.
            return self.registry().get(entity, ident, **options)

    def release_main(self) -> None:
        """Remove the session that the main thread made outside of contexts."""
        if isinstance(self.registry, ContextRegistry):
            self.registry.release_main()


_registries: Final[weakref.WeakSet[ContextRegistry]] = weakref.WeakSet()


def _begin_anew() -> None:
    for registry in list(_registries):
        registry._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
