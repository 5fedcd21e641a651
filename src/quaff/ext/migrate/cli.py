"""`quaff db`, which is also `flask db`: the options of the commands.

Each option has an environment variable as well, named after the command: `FLASK_DB_DIRECTORY` or `QUAFF_DB_DIRECTORY` for
`db --directory`, `FLASK_DB_UPGRADE_SQL` for `db upgrade --sql`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from ...cli.failures import is_verbose
from ...cli.script import with_appcontext
from ...globals import current_context
from . import commands

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

directory_option = click.option(
    "-d", "--directory", default=None, help='The folder of the migrations (by default "migrations").'
)
x_arg_option = click.option("-x", "--x-arg", multiple=True, help="What env.py gets from context.get_x_argument().")
sql_option = click.option("--sql", is_flag=True, help="Print the SQL, and leave the database as it is.")
tag_option = click.option("--tag", default=None, help="What env.py gets from context.get_tag_argument().")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Print all there is to say.")
message_option = click.option("-m", "--message", default=None, help="What the migration does; a part of its file name.")
branch_label_option = click.option("--branch-label", default=None, help="A name for the branch that begins here.")
rev_id_option = click.option("--rev-id", default=None, help="The id of the migration, instead of a random one.")


destructive_option = click.option(
    "--allow-destructive",
    "--destructive",
    is_flag=True,
    help="Write it even if it drops tables or columns, or narrows types.",
)


def run_options(function: F) -> F:
    """Add the options of the commands that run migrations."""
    for option in (
        click.option("--lock-timeout", type=float, help="Seconds to wait for another process that migrates."),
        click.option("-q", "--quiet", is_flag=True, help="Tell only what goes wrong."),
        click.option("--dry-run", is_flag=True, help="Print the SQL from where the database is, and leave it there."),
    ):
        function = option(function)
    return function


def revision_options(function: F) -> F:
    """Add the options of the commands that write a migration."""
    for option in (
        rev_id_option,
        click.option("--version-path", default=None, help="The folder for the file: one of version_locations."),
        branch_label_option,
        click.option("--splice", is_flag=True, help="Allow a --head that another migration follows already."),
        click.option("--head", default="head", help="The migration to follow, or <branch>@head."),
        sql_option,
        message_option,
    ):
        function = option(function)
    return function


@click.group()
@directory_option
@x_arg_option
@with_appcontext
def db(directory: str | None, x_arg: tuple[str, ...]) -> None:
    """Perform database migrations."""
    # COMPAT: Flask-Migrate keeps them here, and `env.py` may look.
    found = _g()
    found.directory = directory
    found.x_arg = x_arg


def _g() -> Any:  # Any: `g` holds anything
    return current_context.get().g


def _directory(directory: str | None) -> str | None:
    found: str | None = directory or _g().directory
    return found


def _x_arg(x_arg: tuple[str, ...]) -> tuple[str, ...]:
    found: tuple[str, ...] = x_arg or _g().x_arg
    return found


def _tell(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def _reports() -> Iterator[None]:
    """Say of a migration that failed where it stands and how to go on, without the traceback; with `-v`, with it."""
    try:
        yield
    except Exception as error:
        from .failures import told

        if is_verbose() or not told(commands.log.error, error):
            raise
        sys.exit(1)


@db.command()
@with_appcontext
def list_templates() -> None:
    """List the templates of `init`."""
    commands.list_templates()


@db.command()
@directory_option
@click.option("--multidb", is_flag=True, help="Migrate each of SQLALCHEMY_BINDS as well.")
@click.option("-t", "--template", default=None, help='The template (by default "flask"), or the path of one.')
@click.option("--package", is_flag=True, help="Make the folder a package: with __init__.py files.")
@with_appcontext
def init(directory: str | None, multidb: bool, template: str | None, package: bool) -> None:
    """Make the folder of the migrations."""
    commands.init(_directory(directory), multidb, template, package)


@db.command()
@directory_option
@click.option("--autogenerate", is_flag=True, help="Fill it with what differs between the models and the database.")
@revision_options
@destructive_option
@with_appcontext
def revision(directory: str | None, **options: Any) -> None:
    """Write a new migration, an empty one by default."""
    commands.revision(_directory(directory), **options)


@db.command()
@directory_option
@revision_options
@destructive_option
@x_arg_option
@with_appcontext
def migrate(directory: str | None, x_arg: tuple[str, ...], **options: Any) -> None:
    """Write a migration with what differs between the models and the database."""
    commands.migrate(_directory(directory), x_arg=_x_arg(x_arg), **options)


@db.command()
@directory_option
@click.argument("revision", default="head")
@with_appcontext
def edit(directory: str | None, revision: str) -> None:
    """Open the file of a migration in $EDITOR."""
    commands.edit(_directory(directory), revision)


@db.command()
@directory_option
@message_option
@branch_label_option
@rev_id_option
@click.argument("revisions", nargs=-1)
@with_appcontext
def merge(directory: str | None, revisions: tuple[str, ...], **options: Any) -> None:
    """Write a migration that joins several heads."""
    commands.merge(_directory(directory), revisions, **options)


@db.command()
@directory_option
@sql_option
@tag_option
@x_arg_option
@run_options
@click.argument("revision", default="head")
@with_appcontext
def upgrade(
    directory: str | None, revision: str, sql: bool, tag: str | None, x_arg: tuple[str, ...], **options: Any
) -> None:
    """Bring the database up to a migration, the newest by default."""
    with _reports():
        commands.upgrade(_directory(directory), revision, sql, tag, _x_arg(x_arg), tell=_tell, **options)


@db.command()
@directory_option
@sql_option
@tag_option
@x_arg_option
@run_options
@click.argument("revision", default="-1")
@with_appcontext
def downgrade(
    directory: str | None, revision: str, sql: bool, tag: str | None, x_arg: tuple[str, ...], **options: Any
) -> None:
    """Take the database back to a migration, the one before by default."""
    with _reports():
        commands.downgrade(_directory(directory), revision, sql, tag, _x_arg(x_arg), tell=_tell, **options)


@db.command()
@directory_option
@click.argument("revision", default="head")
@with_appcontext
def show(directory: str | None, revision: str) -> None:
    """Show what a migration is."""
    commands.show(_directory(directory), revision)


@db.command()
@directory_option
@click.option("-r", "--rev-range", default=None, help="Which ones: [from]:[to].")
@verbose_option
@click.option("-i", "--indicate-current", is_flag=True, help="Mark where the database stands.")
@with_appcontext
def history(directory: str | None, rev_range: str | None, verbose: bool, indicate_current: bool) -> None:
    """List the migrations, the newest first."""
    commands.history(_directory(directory), rev_range, verbose, indicate_current)


@db.command()
@directory_option
@verbose_option
@click.option(
    "--resolve-dependencies", is_flag=True, help="Count a migration that another depends on as followed by it."
)
@with_appcontext
def heads(directory: str | None, verbose: bool, resolve_dependencies: bool) -> None:
    """Show the newest migrations; there should be one."""
    commands.heads(_directory(directory), verbose, resolve_dependencies)


@db.command()
@directory_option
@verbose_option
@with_appcontext
def branches(directory: str | None, verbose: bool) -> None:
    """Show the migrations that several others follow."""
    commands.branches(_directory(directory), verbose)


@db.command()
@directory_option
@verbose_option
@with_appcontext
def current(directory: str | None, verbose: bool) -> None:
    """Show the migration that the database is at."""
    commands.current(_directory(directory), verbose)


@db.command()
@directory_option
@sql_option
@tag_option
@click.option("--purge", is_flag=True, help="Forget first where the database was.")
@click.argument("revision", default="head")
@with_appcontext
def stamp(directory: str | None, revision: str, sql: bool, tag: str | None, purge: bool) -> None:
    """Note that the database is at a migration, without running any."""
    commands.stamp(_directory(directory), revision, sql, tag, purge)


@db.command()
@directory_option
@with_appcontext
def check(directory: str | None) -> None:
    """Fail if the models and the database differ."""
    commands.check(_directory(directory))


@db.command()
@directory_option
@with_appcontext
def doctor(directory: str | None) -> None:
    """Look for what commonly goes wrong, and say what to do."""
    commands.doctor(_directory(directory))
