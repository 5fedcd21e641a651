"""Runs migrations: one process at a time, with progress, and with a report when one fails.

`env.py` belongs to the project and knows nothing of this, so everything is done where it calls back into Alembic: in
`context.configure`, which says on which connection, and in the iteration over the revisions, whose steps lie between two
revisions. Existing folders get it as new ones do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

import click
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.engine import Connection

from .failures import explained, note_failure
from .journal import Attempt, Journal, is_read
from .lock import Lock, acquire, make_lock
from .progress import HEARTBEAT, Progress
from .sqlite import Copy, Guard

Plan = Callable[[ScriptDirectory, Any], Iterable[Any]]
"""From the revisions and where the database is to the steps. Any: Alembic publishes neither type."""

LOCK_TIMEOUT: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How migrations are run."""

    lock: bool = True
    """`MIGRATE_LOCK`: whether other processes are kept out meanwhile."""

    lock_timeout: float | None = LOCK_TIMEOUT
    """`MIGRATE_LOCK_TIMEOUT`: seconds to wait for another process; `None` is for ever, 0 is not at all."""

    heartbeat: float = HEARTBEAT
    """`MIGRATE_HEARTBEAT`: seconds after which a revision that still runs is mentioned; 0 is never."""

    quiet: bool = False
    """Whether nothing is told but what goes wrong."""


def read_settings(config: Mapping[str, Any], *, quiet: bool = False, lock_timeout: float | None = None) -> RunSettings:
    """Return the settings in an app's configuration, with what the command line says instead.

    :param lock_timeout: `None` is what the configuration says.
    :raises ValueError: when a setting is not a number of seconds.
    """
    found = RunSettings(
        lock=bool(config.get("MIGRATE_LOCK", True)),
        lock_timeout=_seconds(config, "MIGRATE_LOCK_TIMEOUT", LOCK_TIMEOUT),
        heartbeat=_seconds(config, "MIGRATE_HEARTBEAT", HEARTBEAT) or 0,
        quiet=quiet,
    )
    return found if lock_timeout is None else replace(found, lock_timeout=lock_timeout)


def _seconds(config: Mapping[str, Any], key: str, default: float) -> float | None:
    value = config.get(key, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise CommandError(f"{key} is {value!r}; it is a number of seconds, or None.")
    return float(value)


class _Run:
    """One command: the databases that `env.py` configures, one after the other."""

    def __init__(self, settings: RunSettings, progress: Progress, *, dry: bool, write: Callable[[str], None]) -> None:
        self.settings = settings
        self.progress = progress
        self.dry = dry
        self.write = write
        self.attempt: Attempt | None = None
        self._guard: Guard | None = None
        self._locks: dict[str, Lock] = {}
        self._ends = ExitStack()

    def attach(self, environment: EnvironmentContext) -> None:
        """Be told of what `env.py` configures.

        On the instance, because the functions of the module `alembic.context` lead to instances of this very class only.
        """
        configure, is_offline_mode = environment.configure, environment.is_offline_mode

        # Any: the parameters of Alembic's method, as the project's env.py gives them.
        def prepare_and_configure(connection: Connection | None = None, *args: Any, **options: Any) -> None:
            if connection is not None:
                connection = self.prepare(environment, connection, options)
            configure(connection, *args, **options)
            self.configured(environment.get_context())

        environment.configure = prepare_and_configure  # type: ignore[method-assign]
        # A dry run needs the database, to see where it is.
        environment.is_offline_mode = lambda: is_offline_mode() and not self.dry  # type: ignore[method-assign]

    def close(self) -> None:
        """Give back locks and connections."""
        self._ends.close()

    def prepare(self, environment: EnvironmentContext, connection: Connection, options: dict[str, Any]) -> Connection:
        """Lock the database, see to its transactions, and listen; return the connection to use."""
        table = options.get("version_table", "alembic_version")
        schema = options.get("version_table_schema")
        self._guard = None
        # The URL of the database itself, not of a copy; without the password.
        self.attempt = Attempt(
            database=connection.engine.url.render_as_string(),
            dialect="mariadb" if getattr(connection.dialect, "is_mariadb", False) else connection.dialect.name,
        )
        if self.dry:
            connection = self._look(environment, connection, options)
        else:
            self._lock(connection, f"{schema}.{table}" if schema else table)
        if connection.dialect.name == "sqlite":
            self._prepare_sqlite(connection, options)
        if self.dry and environment.context_opts["as_sql"]:
            return connection
        journal = Journal(connection, self.attempt, table)
        journal.executing.append(self._print if self.dry else self._note)
        self._ends.callback(journal.close)
        return connection

    def configured(self, context: MigrationContext) -> None:
        """Note what the context that came of it does about transactions."""
        if self.attempt is not None:
            self.attempt.transactional = context.impl.transactional_ddl
            self.attempt.per_revision = (
                bool(context.opts.get("transaction_per_migration")) or not context.impl.transactional_ddl
            )

    def steps(self, steps: Iterable[Any], heads: Iterable[str]) -> Iterator[Any]:
        """Yield Alembic's steps; what runs after each `yield` is after that revision was committed."""
        planned = list(steps)
        attempt = self.attempt
        if attempt is None:
            yield from planned
            return
        attempt.heads = tuple(heads)
        for number, step in enumerate(planned, 1):
            if not hasattr(step, "revision"):
                # A stamp runs nothing that could take long or fail half-way.
                yield step
                continue
            attempt.step, attempt.statements = step, []
            if self.dry and attempt.dialect == "sqlite":
                # For other databases Alembic writes such a line itself.
                self.write(f"-- {_label(step)}")
            self.progress.begin(_label(step), number, len(planned))
            yield step
            attempt.finished.append(step.revision.revision)
            attempt.step = None
            self.progress.finish()

    def _lock(self, connection: Connection, table: str) -> None:
        if not self.settings.lock:
            return
        lock = make_lock(connection, table)
        # Two contexts of one env.py may be in the same database, and shall not wait for each other.
        if lock is None or lock.name in self._locks:
            return
        # Before it is taken: giving back what is not held does no harm, and the wait itself may fail.
        self._ends.callback(lock.release)
        if connection.dialect.is_async:
            self._release_on_loop(connection, lock)
        acquire(lock, timeout=self.settings.lock_timeout, tell=self.progress.say)
        self._locks[lock.name] = lock

    def _release_on_loop(self, connection: Connection, lock: Lock) -> None:
        """Give the lock back when *connection* is closed: later, the loop that its own connection needs is over."""
        migrating = connection.connection.dbapi_connection

        def release(dbapi_connection: Any, record: Any) -> None:  # Any: the driver's connection, and the pool's record
            if dbapi_connection is migrating:
                lock.release()

        event.listen(connection.engine, "checkin", release)
        self._ends.callback(event.remove, connection.engine, "checkin", release)

    def _prepare_sqlite(self, connection: Connection, options: dict[str, Any]) -> None:
        guard = Guard(connection, transactional=options.get("transactional_ddl") is not False)
        self._ends.callback(guard.restore)
        guard.prepare()
        self._guard = guard
        if guard.begins:
            options["transactional_ddl"] = True
            # As Alembic has it for SQLite: what is through stays when a later revision fails.
            options.setdefault("transaction_per_migration", True)
        given = options.get("on_version_apply") or ()
        options["on_version_apply"] = (*(given if isinstance(given, Iterable) else (given,)), self._check)

    def _check(self, **_: Any) -> None:  # Any: Alembic's keyword arguments
        if self._guard is not None:
            self._guard.check()

    def _look(self, environment: EnvironmentContext, connection: Connection, options: dict[str, Any]) -> Connection:
        """Have SQL written instead of run, from where the database is."""
        self.write(f"-- {connection.engine.url.render_as_string()}")
        if connection.dialect.name == "sqlite":
            # Batch mode reads the tables that earlier revisions made, so it needs somewhere to make them.
            copy = Copy(connection)
            self._ends.callback(copy.close)
            environment.context_opts["as_sql"] = False
            return copy.connection
        was_in_transaction = connection.in_transaction()
        names = {key: options[key] for key in ("version_table", "version_table_schema") if key in options}
        heads = MigrationContext.configure(connection, opts=names).get_current_heads()
        if not was_in_transaction:
            connection.rollback()
        environment.context_opts.update(as_sql=True, starting_rev=heads)
        options["literal_binds"] = True
        return connection

    def _note(self, statement: str, parameters: Any) -> None:
        self.progress.executing(statement)

    def _print(self, statement: str, parameters: Any) -> None:  # Any: the driver's parameters, in its own form
        if not is_read(statement):
            self.write(f"{statement.strip()};" + (f"  -- {parameters!r}" if parameters else ""))


def _label(step: Any) -> str:  # Any: Alembic's step
    """Return `upgrade 1a2b add users` or the like."""
    kind = "upgrade" if step.is_upgrade else "downgrade"
    return f"{kind} {step.revision.revision} {step.revision.doc}".rstrip()


def _execute(
    config: Config,
    plan: Plan,
    settings: RunSettings,
    *,
    asked: str,
    tell: Callable[[str], None],
    dry: bool = False,
    **options: Any,
) -> None:
    script = ScriptDirectory.from_config(config)
    progress = Progress(tell, quiet=settings.quiet or dry, heartbeat=settings.heartbeat)
    run = _Run(settings, progress, dry=dry, write=lambda line: click.echo(line, file=config.stdout))

    def steps(heads: Any, context: MigrationContext) -> Iterator[Any]:
        return run.steps(plan(script, heads), heads)

    environment = EnvironmentContext(config, script, fn=steps, as_sql=dry, **options)
    run.attach(environment)
    with explained(config, asked), progress:
        try:
            with environment:
                script.run_env()
        except Exception as error:
            attempt = run.attempt
            if attempt is not None and attempt.step is not None:
                progress.fail()
                note_failure(error, attempt)
            raise
        finally:
            run.close()


def upgrade(
    config: Config,
    revision: str,
    *,
    settings: RunSettings,
    tag: str | None = None,
    dry: bool = False,
    tell: Callable[[str], None],
) -> None:
    """Do what `alembic.command.upgrade` does.

    :param dry: whether to print the SQL from where the database is, and leave it there.
    :param tell: called with each line about the progress.
    :raises LockTimeout: when another process migrates for too long.
    """
    _execute(
        config,
        # Alembic's own recipes call this; it has no public name.
        lambda script, heads: script._upgrade_revs(_no_range(revision), heads),
        settings,
        asked=revision,
        tell=tell,
        dry=dry,
        destination_rev=revision,
        tag=tag,
    )


def downgrade(
    config: Config,
    revision: str,
    *,
    settings: RunSettings,
    tag: str | None = None,
    dry: bool = False,
    tell: Callable[[str], None],
) -> None:
    """Do what `alembic.command.downgrade` does; parameters as for `upgrade`."""
    _execute(
        config,
        lambda script, heads: script._downgrade_revs(_no_range(revision), heads),
        settings,
        asked=revision,
        tell=tell,
        dry=dry,
        destination_rev=revision,
        tag=tag,
    )


def stamp(
    config: Config,
    revision: str | Iterable[str],
    *,
    settings: RunSettings,
    tag: str | None = None,
    purge: bool = False,
    tell: Callable[[str], None],
) -> None:
    """Do what `alembic.command.stamp` does; parameters as for `upgrade`.

    :param purge: whether to forget first where the database was.
    """
    wanted = (revision,) if isinstance(revision, str) else tuple(revision)
    _execute(
        config,
        lambda script, heads: script._stamp_revs(wanted, heads),
        replace(settings, quiet=True),
        asked=" ".join(wanted),
        tell=tell,
        destination_rev=wanted,
        tag=tag,
        purge=purge,
    )


def _no_range(revision: str) -> str:
    if ":" in revision:
        raise CommandError("Range revision not allowed")
    return revision
