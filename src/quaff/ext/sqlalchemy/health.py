"""Whether the databases of an app answer: what stands behind a readiness check.

Each database is asked in a thread of its own, so that one that hangs costs the caller no more than the timeout, and another
one is still judged. A check that did not come back is not started a second time: a probe that comes every second leaves one
thread behind, not thousands.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from .outages import one_line

DEFAULT_TIMEOUT: Final = 2.0
"""Seconds. Orchestrators give a probe one to ten."""

_running: Final[weakref.WeakKeyDictionary[sa.Engine, _Check]] = weakref.WeakKeyDictionary()
_lock: Final = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class BindHealth:
    """How one database is."""

    bind_key: str | None
    """The bind key, None for the default database."""

    backend: str
    """`sqlite`, `mysql`, `mariadb`, `postgresql`, ..."""

    ok: bool
    """Whether it answered in time."""

    seconds: float
    """How long the answer took, or how long was waited for it."""

    error: str | None = None
    """What went wrong, for the log: it may hold addresses and user names."""

    pool: str = ""
    """What the pool says of itself, for the log: its size and how many connections are in use."""


@dataclass(frozen=True, slots=True)
class Health:
    """How the databases of an app are. It is true if all of them are well."""

    binds: tuple[BindHealth, ...]
    """One for each database, the default one first."""

    @property
    def ok(self) -> bool:
        """Whether all databases answered in time."""
        return all(bind.ok for bind in self.binds)

    def __bool__(self) -> bool:
        return self.ok

    def to_dict(self) -> dict[str, Any]:
        """Return what may be shown to anybody, ready for JSON: no messages and no addresses.

        Any: what a view returns.
        """
        shown = {bind.bind_key or "default": {"ok": bind.ok, "seconds": round(bind.seconds, 4)} for bind in self.binds}
        return {"ok": self.ok, "databases": shown}


class _Check:
    """One question to one database, in a thread."""

    def __init__(self, engine: sa.Engine) -> None:
        self.error: str | None = None
        self.done = threading.Event()
        self.began = time.perf_counter()
        self.seconds = 0.0
        # A daemon: a database that hangs must not keep a process from ending.
        threading.Thread(target=self._run, args=(engine,), name="quaff database health", daemon=True).start()

    def _run(self, engine: sa.Engine) -> None:
        try:
            ask(engine)
        except Exception as error:  # whatever a driver raises means that the database is not well
            self.error = one_line(error)
        self.seconds = time.perf_counter() - self.began
        with _lock:
            if _running.get(engine) is self:
                del _running[engine]
        self.done.set()


def ask(engine: sa.Engine) -> None:
    """Ask a database for next to nothing, on a connection of the pool."""
    if isinstance(engine.pool, StaticPool):
        # The only connection that there is belongs to whoever is in a transaction, and giving it back would roll that back.
        return
    is_file = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        # SQLite looks at its file for this, and not for `SELECT 1`.
        connection.execute(sa.text("SELECT 1 FROM sqlite_master LIMIT 1") if is_file else sa.select(1))


def check_health(
    engines: Mapping[str | None, sa.Engine],
    timeout: float = DEFAULT_TIMEOUT,
    bind_keys: Iterable[str | None] | None = None,
) -> Health:
    """Ask databases whether they are there, all at the same time.

    :param engines: bind key -> engine.
    :param timeout: seconds to wait for all of them together.
    :param bind_keys: which ones to ask; None for all.
    :raises KeyError: for a bind key that is not among the engines.
    """
    keys = list(engines) if bind_keys is None else list(bind_keys)
    checks = {key: _start(engines[key]) for key in keys}
    deadline = time.perf_counter() + timeout
    return Health(
        tuple(_wait(key, engines[key], checks[key], deadline) for key in sorted(keys, key=lambda key: key or ""))
    )


def _start(engine: sa.Engine) -> _Check:
    with _lock:
        check = _running.get(engine)
        if check is None:
            check = _running[engine] = _Check(engine)
    return check


def _wait(key: str | None, engine: sa.Engine, check: _Check, deadline: float) -> BindHealth:
    is_done = check.done.wait(max(0.0, deadline - time.perf_counter()))
    seconds = check.seconds if is_done else time.perf_counter() - check.began
    error = check.error if is_done else f"no answer within {seconds:.1f} s"
    return BindHealth(
        bind_key=key,
        backend=engine.dialect.name,
        ok=is_done and error is None,
        seconds=seconds,
        error=error,
        pool=engine.pool.status(),
    )
