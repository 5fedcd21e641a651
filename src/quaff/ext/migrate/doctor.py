"""`quaff db doctor`: what commonly goes wrong with migrations, found before it does harm.

The questions that people ask most are "No changes in schema detected" and "why does it drop all my tables": both come of
models that were never imported, or of tables that `db.create_all()` made. Everything here only reads.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import MetaData, inspect
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from .sources import Source, project_folder, scan


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    code: str
    """A short name that stays the same, for scripts."""

    problem: str
    """What is wrong, and where."""

    advice: str
    """What to do."""


def report(findings: Iterable[Finding]) -> str:
    """Return the text for people."""
    listed = list(findings)
    if not listed:
        return "Nothing is wrong: the models, the migrations and the database fit together."
    lines = [f"{len(listed)} {'thing is' if len(listed) == 1 else 'things are'} wrong:"]
    for number, each in enumerate(listed, 1):
        lines += ["", f"{number}. [{each.code}] {each.problem}", f"   What to do: {each.advice}"]
    return "\n".join(lines)


def examine(app: Any, settings: Any, config: Config) -> list[Finding]:
    """Return what is wrong with the migrations of an app, the causes before the effects.

    :param app: the app. Any: of Quaff, which lower layers than this one's users subclass.
    :param settings: `app.extensions["migrate"]`, a `MigrateConfig` or what a program made of it.
    :param config: of the folder of migrations.
    """
    sources = scan(project_folder(app), skip=(os.path.realpath(_folder(config)),))
    metadatas = _metadatas(settings.db)
    findings = [*_check_models(metadatas, sources)]
    script = _open_script(config)
    if script is None:
        findings.append(_no_folder(config))
    else:
        broken = list(_check_history(script))
        findings += broken or _check_heads(script, metadatas)
        # Without a history, where the database is in it cannot be said.
        script = None if broken else script
    for name, engine in _engines(settings.db, config):
        findings += _check_database(name, engine, metadatas.get(name), script, settings, sources)
    return findings


def _folder(config: Config) -> str:
    return config.get_main_option("script_location") or "migrations"


def _metadatas(db: Any) -> dict[str | None, MetaData]:
    found = getattr(db, "metadatas", None)
    return dict(found) if found else {None: db.metadata}


def _engines(db: Any, config: Config) -> Iterator[tuple[str | None, Engine]]:
    """Yield the engines that are migrated: the default one, and with the template for several databases the binds."""
    engines = getattr(db, "engines", None)
    if engines is None:
        yield None, db.get_engine() if hasattr(db, "get_engine") else db.engine
        return
    several = _names_databases(config)
    for name, engine in engines.items():
        if name is None or several:
            yield name, getattr(engine, "sync_engine", engine)


def _names_databases(config: Config) -> bool:
    # COMPAT: an env.py for several databases of Flask-Migrate collects `bind_names`, ours asks for `db.engines`.
    if config.get_main_option("databases"):
        return True
    try:
        with open(os.path.join(_folder(config), "env.py"), encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return False
    return "bind_names" in text or "engines[" in text


# The models


def _check_models(metadatas: dict[str | None, MetaData], sources: list[Source]) -> Iterator[Finding]:
    missing = [each for each in sources if each.models and not each.is_imported]
    if missing:
        names = "; ".join(f"{each.path} ({', '.join(each.models)})" for each in missing)
        yield Finding(
            "models-not-imported",
            f"These files define models and were not imported, so their tables do not exist for migrations: {names}.",
            "import them where the app is made, for example `from . import models` in create_app(). Until then"
            " `quaff db migrate` finds no tables to create, and drops those that are in the database.",
        )
    if not any(metadata.tables for metadata in metadatas.values()):
        yield Finding(
            "empty-metadata",
            "There is not one table in the metadata: migrations see no models at all.",
            "import the modules with the models before the command runs, and let them use the same SQLAlchemy object that"
            " Migrate(app, db) was given; a second `db = SQLAlchemy()` has tables of its own.",
        )


# The folder


def _open_script(config: Config) -> ScriptDirectory | None:
    folder = _folder(config)
    if not os.path.isfile(os.path.join(folder, "env.py")) or not os.path.isfile(str(config.config_file_name)):
        return None
    try:
        return ScriptDirectory.from_config(config)
    except CommandError:
        return None


def _no_folder(config: Config) -> Finding:
    folder = _folder(config)
    if os.path.isdir(folder):
        lacking = [name for name in ("alembic.ini", "env.py") if not os.path.isfile(os.path.join(folder, name))]
        return Finding(
            "incomplete-folder",
            f"The folder {folder} lacks {' and '.join(lacking) or 'its folder of versions'}.",
            "bring it back from version control, or move the folder away and run `quaff db init`.",
        )
    return Finding(
        "no-folder",
        f"There is no folder {folder} (looked for from {os.getcwd()}).",
        "run `quaff db init` once and commit what it makes; or run the command where the folder is, or name it with"
        " --directory or Migrate(directory=...).",
    )


def _check_history(script: ScriptDirectory) -> Iterator[Finding]:
    try:
        with warnings.catch_warnings():
            # Alembic warns of what it is about to fail at.
            warnings.simplefilter("ignore", UserWarning)
            for _ in script.walk_revisions():
                pass
    except (CommandError, RevisionError, KeyError) as error:
        yield Finding(
            "broken-history",
            f"The migrations in {script.versions} do not form a history: {error}.",
            "bring back the file that is missing, or mend `down_revision` in the one that names it.",
        )


def _check_heads(script: ScriptDirectory, metadatas: dict[str | None, MetaData]) -> Iterator[Finding]:
    heads = script.get_heads()
    if not heads and any(metadata.tables for metadata in metadatas.values()):
        yield Finding(
            "no-migrations",
            f"There are models, but no migration in {script.versions}.",
            "run `quaff db migrate`, read what it writes, and run `quaff db upgrade`.",
        )
    if len(heads) > 1:
        names = ", ".join(sorted(heads))
        yield Finding(
            "several-heads",
            f"There are {len(heads)} heads, migrations that follow the same one: {names}. `quaff db upgrade` refuses.",
            "run `quaff db merge heads` and commit the file it writes.",
        )


# The database


def _check_database(
    name: str | None,
    engine: Engine,
    metadata: MetaData | None,
    script: ScriptDirectory | None,
    settings: Any,
    sources: list[Source],
) -> Iterator[Finding]:
    where = engine.url.render_as_string() if name is None else f"{engine.url.render_as_string()} (bind {name!r})"
    if engine.dialect.name == "sqlite" and not settings.configure_args.get("render_as_batch", True):
        yield Finding(
            "no-batch-mode",
            f"render_as_batch is off and the database is SQLite ({where}), which can hardly alter a table.",
            "take render_as_batch=False out of Migrate(...): changes are then written as copies of the table.",
        )
    try:
        if _is_missing_file(engine):
            # Connecting would make it.
            yield from _check_revisions(where, (), script)
            return
        with engine.connect() as connection:
            yield from _check_connected(where, connection, metadata, script, settings, sources)
    except SQLAlchemyError as error:
        yield Finding(
            "no-connection",
            f"The database {where} cannot be read: {getattr(error, 'orig', None) or error}.",
            "start it, or mend SQLALCHEMY_DATABASE_URI.",
        )


def _is_missing_file(engine: Engine) -> bool:
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path or path == ":memory:" or path.startswith("file:"):
        return False
    return not os.path.exists(path)


def _check_connected(
    where: str,
    connection: Connection,
    metadata: MetaData | None,
    script: ScriptDirectory | None,
    settings: Any,
    sources: list[Source],
) -> Iterator[Finding]:
    options = {key: value for key, value in settings.configure_args.items() if key != "process_revision_directives"}
    context = MigrationContext.configure(connection, opts=options)
    heads = context.get_current_heads()
    tables = set(inspect(connection).get_table_names()) - {context.version_table}
    wanted = {table.name for table in metadata.tables.values()} if metadata is not None else set()
    # Without models, any table may be one of theirs; with models, other tables are somebody else's, such as PostGIS's.
    ours = sorted(tables & wanted if wanted else tables)
    calls = [f"{each.path}, line {line}" for each in sources for line in each.create_all]
    if not heads and ours:
        yield _made_by_hand(where, ours, calls, script)
        return
    if calls and script is not None:
        yield Finding(
            "create-all",
            f"db.create_all() is called in {'; '.join(calls)}. It makes tables before a migration can, which then fails.",
            "take the call out: `quaff db upgrade` makes the tables. Tests may keep theirs.",
        )
    problems = list(_check_revisions(where, heads, script))
    yield from problems
    if not problems and script is not None and metadata is not None and metadata.tables:
        yield from _compare(where, connection, metadata, options)


def _made_by_hand(where: str, tables: list[str], calls: list[str], script: ScriptDirectory | None) -> Finding:
    by = f" db.create_all() is called in {'; '.join(calls)}." if calls else ""
    first = (
        "run `quaff db init`, then `quaff db migrate` against an empty database"
        if script is None or not script.get_heads()
        else "if the tables are as the newest migration has them"
    )
    return Finding(
        "tables-without-revision",
        f"{where} has tables ({', '.join(tables)}) but no revision: db.create_all() or other means made them, and"
        f" `quaff db upgrade` would try to make them again.{by}",
        f"{first}, run `quaff db stamp head` once. Then take db.create_all() out of the app.",
    )


def _check_revisions(where: str, heads: tuple[str, ...], script: ScriptDirectory | None) -> Iterator[Finding]:
    if script is None:
        return
    known = {revision.revision for revision in script.walk_revisions()}
    unknown = [head for head in heads if head not in known]
    if unknown:
        yield Finding(
            "newer-database",
            f"{where} is at revision {' and '.join(unknown)}, which no file in {script.versions} has: newer code migrated"
            " it, or the file was deleted.",
            "deploy the code that has the revision, or bring the file back. Only if the tables are those of this code's"
            " models, run `quaff db stamp --purge head`.",
        )
        return
    done = {revision.revision for revision in script.iterate_revisions(heads, "base")} if heads else set()
    pending = len(known - done)
    if pending:
        at = f"at {' and '.join(heads)}" if heads else "at no revision"
        yield Finding(
            "pending",
            f"{where} is {at}: {pending} {'migration is' if pending == 1 else 'migrations are'} pending.",
            "run `quaff db upgrade`; `quaff db upgrade --dry-run` shows what it will do.",
        )


def _compare(where: str, connection: Connection, metadata: MetaData, options: dict[str, Any]) -> Iterator[Finding]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, **options, "target_metadata": metadata}
    )
    differences = compare_metadata(context, metadata)
    if differences:
        yield Finding(
            "models-differ",
            f"The models differ from {where} in {len(differences)} {'place' if len(differences) == 1 else 'places'}.",
            "run `quaff db migrate`, read the migration it writes, and run `quaff db upgrade`.",
        )
