"""Read replicas: which statements go to one, and what happens when it does not answer.

Only a statement that is known to read goes to a replica: a `select()` without `FOR UPDATE` and without a writing CTE.
Text, functions, DDL and `session.connection()` go to the primary, because nobody can tell what they do. What may have
written sticks: everything after it in the same context, in this session and the other ones, goes to the primary, and so do
the client's next requests for some seconds (`sticky.py`). Inside of `db.transaction()` all goes to the primary.

A context reads from one replica, the first that answered, so that it does not see an older state after a newer one. A
replica that cannot be connected to is left alone for `RETRY_AFTER` seconds, and the primary is read; the log has one line
when that begins and one when it is over. The choice is made when a connection is about to be taken, so a session that
reads nothing holds none. Read first: `tests/ext/sqlalchemy/test_replicas.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum, auto
from itertools import count
from logging import Logger
from types import TracebackType
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.sql.visitors import iterate

from ...globals import active_app_context
from .replica_settings import EngineOptions
from .sticky import Stickiness, has_just_written, remember_writing

RETRY_AFTER: Final = 5.0
"""Seconds after which a replica that did not answer is tried again, by one request at a time."""

_STATE: Final = "quaff.ext.sqlalchemy.reading"
"""Where the state of a context is kept; outside of contexts in `Session.info`."""


class Intent(Enum):
    """What a statement does, as far as it can be told."""

    READS = auto()
    UNKNOWN = auto()
    """Goes to the primary, without consequences for what follows."""

    WRITES = auto()
    """Goes to the primary, and so does what follows."""


def judge(clause: Any) -> Intent:
    """Tell what a statement does."""
    if getattr(clause, "is_select", False):
        # FOR UPDATE and FOR SHARE lock: they are the first half of a write.
        if getattr(clause, "_for_update_arg", None) is not None:
            return Intent.WRITES
        return Intent.WRITES if any(getattr(part, "is_dml", False) for part in iterate(clause)) else Intent.READS
    if isinstance(clause, sa.TextClause):
        return Intent.UNKNOWN if clause.text.lstrip(" \t\r\n(").lower().startswith("select") else Intent.WRITES
    return Intent.WRITES


class Reading:
    """What a context has read and written so far."""

    __slots__ = ("_replicas", "_stickiness", "pins", "wrote")

    def __init__(self, stickiness: Stickiness) -> None:
        self._stickiness = stickiness
        self.pins = 0
        """How many blocks ask for the primary."""

        self.wrote = has_just_written(stickiness)
        self._replicas: dict[sa.Engine, sa.Engine] = {}

    def note_write(self) -> None:
        """Let everything from now on go to the primary."""
        if not self.wrote:
            self.wrote = True
            remember_writing(self._stickiness)

    def unpin(self) -> None:
        """End one block."""
        self.pins -= 1

    def chosen(self, primary: sa.Engine) -> sa.Engine | None:
        """Return the replica that was read so far in place of *primary*."""
        return self._replicas.get(primary)

    def choose(self, primary: sa.Engine, replica: sa.Engine) -> None:
        """Stay with *replica*."""
        self._replicas[primary] = replica


class ReplicaSet:
    """The replicas of one database.

    :param engines: theirs.
    :param logger: told when one does not answer, and when it does again.
    :param stickiness: how long a client that wrote reads from the primary.
    """

    def __init__(self, engines: Sequence[sa.Engine], logger: Logger, stickiness: Stickiness) -> None:
        self.engines = tuple(engines)
        self.options: Mapping[sa.Engine, EngineOptions] = {}
        """Engine -> its arguments, for async engines."""

        self.stickiness = stickiness
        self._logger = logger
        self._turns = count()
        self._lock = threading.Lock()
        self._down: dict[sa.Engine, float] = {}

    def with_engines(self, engines: Sequence[sa.Engine]) -> ReplicaSet:
        """Return a set of the same replicas behind other engines."""
        return ReplicaSet(engines, self._logger, self.stickiness)

    def candidates(self, chosen: sa.Engine | None) -> Iterator[sa.Engine]:
        """Return the replicas to try, in turn; *chosen* first."""
        turn = next(self._turns) % len(self.engines)
        order = self.engines[turn:] + self.engines[:turn]
        if chosen is not None:
            order = (chosen, *(engine for engine in order if engine is not chosen))
        return filter(self._may_try, order)

    def _may_try(self, engine: sa.Engine) -> bool:
        if engine not in self._down:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._down.get(engine, 0.0):
                return False
            # Taken: the others go on with the primary until this attempt is over.
            self._down[engine] = now + RETRY_AFTER
            return True

    def note_up(self, engine: sa.Engine) -> None:
        """Note that a replica answered."""
        if engine in self._down:
            with self._lock:
                was_down = self._down.pop(engine, None) is not None
            if was_down:
                self._logger.warning("The replica %s answers again.", engine.url.render_as_string())

    def note_down(self, engine: sa.Engine, error: BaseException) -> None:
        """Note that a replica did not answer."""
        with self._lock:
            is_new = engine not in self._down
            self._down[engine] = time.monotonic() + RETRY_AFTER
        if is_new:
            self._logger.warning(
                "The replica %s does not answer, and the primary is read in its place: %s",
                engine.url.render_as_string(),
                str(getattr(error, "orig", None) or error).splitlines()[0],
            )


def choose_engine(session: Session, primary: Any, clause: Any, sets: Mapping[Any, ReplicaSet]) -> Any:
    """Return the engine for a statement: *primary*, or one of its replicas.

    :param clause: the statement, or None where there is none.
    :param sets: primary -> its replicas.
    """
    replicas = sets.get(primary)
    if replicas is None:
        return primary
    reading = reading_of(session, replicas.stickiness)
    # What `Session.get_bind` of SQLAlchemy's own documentation asks, too: a flush gives a mapper and no statement.
    if session._flushing or clause is None:
        reading.note_write()
        return primary
    intent = judge(clause)
    if intent is Intent.WRITES:
        reading.note_write()
    if intent is not Intent.READS or reading.wrote or reading.pins:
        return primary
    for engine in replicas.candidates(reading.chosen(primary)):
        try:
            # The connection that the statement is about to get anyway.
            session.connection(bind_arguments={"bind": engine})
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            replicas.note_down(engine, error)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            replicas.note_down(engine, error)
        else:
            replicas.note_up(engine)
            reading.choose(primary, engine)
            return engine
    return primary


def reading_of(session: Session, stickiness: Stickiness) -> Reading:
    """Return the state of the current context, or outside of any of *session*."""
    context = active_app_context()
    scope: dict[Any, Any] = session.info if context is None else context.__dict__
    found: Reading | None = scope.get(_STATE)
    if found is None:
        found = scope[_STATE] = Reading(stickiness)
    return found


class UsePrimary:
    """What `db.use_primary()` returns: in effect from the call on, and until the end of the block if it begins one."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release

    def __enter__(self) -> None: ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._release()


def pin_to_primary(session: Session) -> Callable[[], None]:
    """Let all statements of the current context go to the primary, and return what ends that."""
    sets: Mapping[Any, ReplicaSet] | None = getattr(getattr(session, "_db", None), "_replica_sets", None)
    if not sets:
        return _nothing
    reading = reading_of(session, next(iter(sets.values())).stickiness)
    reading.pins += 1
    return reading.unpin


def _nothing() -> None: ...
