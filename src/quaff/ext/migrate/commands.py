"""What the commands do, as functions: a program may call `upgrade()` itself, in an app's context.

Each says what went wrong in one line and ends the program with status 1, as Flask-Migrate's do.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

from ...globals import active_app_context, current_context
from ._needs import need_alembic
from .environment import running

if TYPE_CHECKING:
    from .config import Config
    from .runner import RunSettings

P = ParamSpec("P")

log = logging.getLogger("flask_migrate")
"""COMPAT: the logger that the `alembic.ini` of existing folders sets up."""


def catch_errors(f: Callable[P, Any]) -> Callable[P, None]:
    """Turn what is expected to go wrong in a command into a message and exit status 1.

    :raises SystemExit: instead of Alembic's `CommandError` and of `RuntimeError`.
    """

    @wraps(f)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            f(*args, **kwargs)
        except Exception as error:
            if not _is_expected(error):
                raise
            # A failed migration carries a report of where it stands and how to go on; see failures.py.
            log.error("Error: %s", "\n".join((str(error), *getattr(error, "__notes__", ()))))
            sys.exit(1)

    return wrapped


def _is_expected(error: Exception) -> bool:
    if isinstance(error, RuntimeError):
        return True
    if isinstance(error, ImportError):
        # Of any other, the traceback is needed: it may be the project's own module.
        return error.name == "alembic"
    # Without Alembic, nothing of Alembic was raised.
    util = sys.modules.get("alembic.util")
    return util is not None and isinstance(error, util.CommandError)


def _alembic() -> ModuleType:
    module: ModuleType = need_alembic("alembic.command")
    return module


def current_migrate() -> Any:
    """Return the `MigrateConfig` of the current app.

    :raises RuntimeError: without an app, or without `Migrate`.
    """
    context = active_app_context()
    if context is None:
        raise RuntimeError("There is no current app. Write: with app.app_context(): ...")
    found = context.app.extensions.get("migrate")
    if found is None:
        raise RuntimeError(f"The app {context.app.name!r} has no migrations. Write: Migrate(app, db)")
    return found


def _config(
    directory: str | None, x_arg: str | Iterable[str] | None = None, opts: Iterable[str] | None = None
) -> Config:
    settings = current_migrate()
    config: Config = settings.migrate.get_config(directory or settings.directory, x_arg=x_arg, opts=opts)
    return config


@catch_errors
def list_templates() -> None:
    """Print the templates that `init` can use."""
    need_alembic()
    from .config import Config

    config = Config()
    config.print_stdout("Available templates:\n")
    folder = config.get_template_directory()
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name, "README"), encoding="utf-8") as readme:
            config.print_stdout("%s - %s", name, next(readme).strip())


@catch_errors
def init(
    directory: str | None = None, multidb: bool = False, template: str | None = None, package: bool = False
) -> None:
    """Make the folder of migrations.

    :param directory: its path; by default `Migrate`'s.
    :param multidb: whether each of `SQLALCHEMY_BINDS` is migrated too.
    :param template: the name of a template, or the path of a folder that is one.
    :param package: whether the folder is a package of Python.
    """
    settings = current_migrate()
    command = _alembic()
    from .config import Config, set_script_location

    folder: str = directory or settings.directory
    templates = None
    if template is not None and ("/" in template or "\\" in template):
        templates, template = os.path.split(template)
    config = Config(template_directory=templates)
    set_script_location(config, folder)
    config.config_file_name = os.path.join(folder, "alembic.ini")
    config = settings.migrate.call_configure_callbacks(config)
    command.init(config, folder, template=template or ("flask-multidb" if multidb else "flask"), package=package)


@catch_errors
def revision(  # noqa: PLR0913, PLR0917 - Flask-Migrate's signature
    directory: str | None = None,
    message: str | None = None,
    autogenerate: bool = False,
    sql: bool = False,
    head: str = "head",
    splice: bool = False,
    branch_label: str | None = None,
    version_path: str | None = None,
    rev_id: str | None = None,
    *,
    allow_destructive: bool = False,
) -> None:
    """Write a new migration, empty unless *autogenerate* is true.

    :param message: what it does; a part of its file's name.
    :param autogenerate: whether to fill it with what differs between the models and the database.
    :param sql: whether to print SQL instead of asking the database.
    :param head: the migration that it follows.
    :param splice: whether *head* may be one that another follows already.
    :param branch_label: a name for the branch that begins with it.
    :param version_path: the folder for its file, one of `version_locations`.
    :param rev_id: its id, instead of a random one.
    :param allow_destructive: whether a migration found with *autogenerate* may drop tables and columns or narrow types.
    """
    _write_revision(
        _config(directory, opts=["autogenerate"] if autogenerate else None),
        message,
        autogenerate=autogenerate,
        sql=sql,
        head=head,
        splice=splice,
        branch_label=branch_label,
        version_path=version_path,
        rev_id=rev_id,
        allow_destructive=allow_destructive,
    )


@catch_errors
def migrate(  # noqa: PLR0913, PLR0917 - Flask-Migrate's signature
    directory: str | None = None,
    message: str | None = None,
    sql: bool = False,
    head: str = "head",
    splice: bool = False,
    branch_label: str | None = None,
    version_path: str | None = None,
    rev_id: str | None = None,
    x_arg: str | Iterable[str] | None = None,
    *,
    allow_destructive: bool = False,
) -> None:
    """Write a migration with what differs between the models and the database; options as for `revision`.

    :param x_arg: what `env.py` gets from `context.get_x_argument()`.
    """
    _write_revision(
        _config(directory, x_arg=x_arg, opts=["autogenerate"]),
        message,
        autogenerate=True,
        sql=sql,
        head=head,
        splice=splice,
        branch_label=branch_label,
        version_path=version_path,
        rev_id=rev_id,
        allow_destructive=allow_destructive,
    )


def _write_revision(config: Config, message: str | None, *, allow_destructive: bool, **options: Any) -> None:
    command = _alembic()
    with running(config), _explained(config):
        if options["autogenerate"] and not (allow_destructive or _may_destroy()):
            from .destructive import refuse_destructive

            options["process_revision_directives"] = refuse_destructive
        command.revision(config, message, **options)
    if options["autogenerate"] and not _has_models(current_migrate().db):
        log.warning(
            "There is no model, so there is nothing to migrate; `quaff db doctor` looks for those not imported."
        )


def _has_models(db: Any) -> bool:
    found = getattr(db, "metadatas", None)
    return any(metadata.tables for metadata in (found.values() if found else (db.metadata,)))


def _may_destroy() -> bool:
    context = active_app_context()
    # COMPAT: Flask-Migrate writes whatever turns the database into the models.
    return context is not None and "destructive-autogenerate" in context.app.config.get("COMPAT", ())


def _explained(config: Config, asked: str | None = None) -> AbstractContextManager[None]:
    # PERF: it imports Alembic and SQLAlchemy.
    from .failures import explained

    return explained(config, asked)


def _settings(quiet: bool, lock_timeout: float | None) -> RunSettings:
    from .runner import read_settings

    context = active_app_context()
    return read_settings({} if context is None else context.app.config, quiet=quiet, lock_timeout=lock_timeout)


@catch_errors
def edit(directory: str | None = None, revision: str = "current") -> None:
    """Open a migration's file in `$EDITOR`."""
    config = _config(directory)
    with running(config):
        _alembic().edit(config, revision)


@catch_errors
def merge(
    directory: str | None = None,
    revisions: str | Iterable[str] = "",
    message: str | None = None,
    branch_label: str | None = None,
    rev_id: str | None = None,
) -> None:
    """Write a migration that joins several heads.

    :param revisions: which ones.
    """
    config = _config(directory)
    with running(config):
        _alembic().merge(config, revisions, message=message, branch_label=branch_label, rev_id=rev_id)


@catch_errors
def upgrade(  # noqa: PLR0913 - Flask-Migrate's signature, and the options of a run
    directory: str | None = None,
    revision: str = "head",
    sql: bool = False,
    tag: str | None = None,
    x_arg: str | Iterable[str] | None = None,
    *,
    dry_run: bool = False,
    quiet: bool = False,
    lock_timeout: float | None = None,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Bring the database up to a migration, while no other process does.

    :param revision: which one; `head` is the newest, `heads` all of them, `+1` the next.
    :param sql: whether to print SQL instead of running it, without asking the database where it is.
    :param tag: what `env.py` gets from `context.get_tag_argument()`.
    :param x_arg: what it gets from `context.get_x_argument()`.
    :param dry_run: whether to print the SQL from where the database is, and leave it there.
    :param quiet: whether to tell only what goes wrong.
    :param lock_timeout: seconds to wait for another process that migrates; by default `MIGRATE_LOCK_TIMEOUT`, 600.
    :param tell: called with each line about the progress; by default the logger `flask_migrate` gets them.
    """
    config = _config(directory, x_arg=x_arg)
    settings = _settings(quiet, lock_timeout)
    _move("upgrade", config, revision, settings, sql=sql, tag=tag, dry_run=dry_run, tell=tell)


def _move(
    direction: Literal["upgrade", "downgrade"],
    config: Config,
    revision: str,
    settings: RunSettings,
    *,
    sql: bool,
    tag: str | None,
    dry_run: bool,
    tell: Callable[[str], None] | None,
) -> None:
    """Bring the database to a migration, or print what would."""
    command = _alembic()
    with running(config), _quietly(settings.quiet):
        if sql:
            with _explained(config, revision):
                getattr(command, direction)(config, revision, sql=True, tag=tag)
            return
        from . import runner

        move = runner.upgrade if direction == "upgrade" else runner.downgrade
        move(config, revision, settings=settings, tag=tag, dry=dry_run, tell=tell or log.info)


@contextmanager
def _quietly(quiet: bool) -> Iterator[None]:
    """Keep Alembic's own lines about each step away, too."""
    if not quiet:
        yield
        return
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


@catch_errors
def downgrade(  # noqa: PLR0913 - as for `upgrade`
    directory: str | None = None,
    revision: str = "-1",
    sql: bool = False,
    tag: str | None = None,
    x_arg: str | Iterable[str] | None = None,
    *,
    dry_run: bool = False,
    quiet: bool = False,
    lock_timeout: float | None = None,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Take the database back to a migration; options as for `upgrade`.

    :param revision: which one; `-1` is the one before, `base` none at all.
    """
    config = _config(directory, x_arg=x_arg)
    if sql and revision == "-1":
        # Without a database it is not known where it stands.
        revision = "head:-1"
    settings = _settings(quiet, lock_timeout)
    _move("downgrade", config, revision, settings, sql=sql, tag=tag, dry_run=dry_run, tell=tell)


@catch_errors
def show(directory: str | None = None, revision: str = "head") -> None:
    """Print what a migration is."""
    config = _config(directory)
    command = _alembic()
    with running(config), _explained(config, revision):
        command.show(config, revision)


@catch_errors
def history(
    directory: str | None = None,
    rev_range: str | None = None,
    verbose: bool = False,
    indicate_current: bool = False,
) -> None:
    """Print the migrations, the newest first.

    :param rev_range: which ones, as `[from]:[to]`.
    :param verbose: whether to print all there is to say.
    :param indicate_current: whether to mark where the database stands.
    """
    config = _config(directory)
    with running(config):
        _alembic().history(config, rev_range, verbose=verbose, indicate_current=indicate_current)


@catch_errors
def heads(directory: str | None = None, verbose: bool = False, resolve_dependencies: bool = False) -> None:
    """Print the newest migrations; there should be one.

    :param resolve_dependencies: whether a migration that another depends on is followed by it.
    """
    config = _config(directory)
    with running(config):
        _alembic().heads(config, verbose=verbose, resolve_dependencies=resolve_dependencies)


@catch_errors
def branches(directory: str | None = None, verbose: bool = False) -> None:
    """Print the migrations that several others follow."""
    config = _config(directory)
    with running(config):
        _alembic().branches(config, verbose=verbose)


@catch_errors
def current(directory: str | None = None, verbose: bool = False) -> None:
    """Print the migration that the database is at."""
    config = _config(directory)
    command = _alembic()
    with running(config), _explained(config):
        command.current(config, verbose=verbose)


@catch_errors
def stamp(
    directory: str | None = None,
    revision: str | Iterable[str] = "head",
    sql: bool = False,
    tag: str | None = None,
    purge: bool = False,
) -> None:
    """Note that the database is at a migration, without running any.

    :param purge: whether to forget first where it was.
    """
    config = _config(directory)
    command = _alembic()
    with running(config):
        if sql:
            with _explained(config):
                command.stamp(config, revision, sql=True, tag=tag, purge=purge)
            return
        from . import runner

        runner.stamp(config, revision, settings=_settings(True, None), tag=tag, purge=purge, tell=log.info)


@catch_errors
def check(directory: str | None = None) -> None:
    """Fail when the models and the database differ, as `migrate` would write something."""
    config = _config(directory)
    command = _alembic()
    with running(config), _explained(config):
        command.check(config)


@catch_errors
def doctor(directory: str | None = None) -> None:
    """Look for what commonly goes wrong with migrations, print each finding with what to do, and fail if there is one."""
    settings = current_migrate()
    config = _config(directory)
    need_alembic()
    from .doctor import examine, report

    with running(config):
        findings = examine(current_context.get().app, settings, config)
    config.print_stdout("%s", report(findings))
    if findings:
        sys.exit(1)
