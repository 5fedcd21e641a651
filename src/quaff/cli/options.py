"""The options that stand before a command: --app, --debug, --env-file, --version, --alias, --verbose."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any, Final

import click
from click.core import ParameterSource

from .._internal.imports import need
from .failures import set_verbose
from .namespace import patchable
from .script import ScriptInfo

FLASK_VERSION: Final = "3.1.3"
"""The release of Flask whose API Quaff has."""


def get_version(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Print the versions of Python, Quaff, Flask's API and Werkzeug, and exit."""
    if not value or ctx.resilient_parsing:
        return
    click.echo(
        f"Python {platform.python_version()}\n"
        f"Quaff {importlib.metadata.version('quaff')}, which has the API of Flask {FLASK_VERSION}\n"
        f"Werkzeug {importlib.metadata.version('werkzeug')}",
        color=ctx.color,
    )
    ctx.exit()


version_option = click.Option(
    ["--version"],
    help="Show the versions of Quaff and of what it stands on.",
    expose_value=False,
    callback=get_version,
    is_flag=True,
    is_eager=True,
)


def _set_app(ctx: click.Context, param: click.Option, value: str | None) -> str | None:
    if value is not None:
        ctx.ensure_object(ScriptInfo).app_import_path = value
    return value


# Eager, so that `--help` after it lists the commands of that app.
_app_option = click.Option(
    ["-A", "--app"],
    metavar="IMPORT",
    help=(
        "The app or app factory to load, as 'module:name' or 'path/to/file.py:name'. The name may be left out for"
        " 'app', 'application', 'create_app' and 'make_app'. 'name(args)' calls a factory with arguments."
    ),
    is_eager=True,
    expose_value=False,
    callback=_set_app,
)


def _set_debug(ctx: click.Context, param: click.Option, value: bool) -> bool | None:
    source = ctx.get_parameter_source(param.name or "")
    if source is None or source in {ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP}:
        # Not given: the environment decides, and False would overrule it.
        return None
    # Through the environment, where a factory can read it, and the child of a reloader inherits it.
    os.environ["FLASK_DEBUG"] = "1" if value else "0"
    return value


_debug_option = click.Option(
    ["--debug/--no-debug"],
    help="Set debug mode.",
    expose_value=False,
    callback=_set_debug,
)


def _env_file_callback(ctx: click.Context, param: click.Option, value: str | None) -> str | None:
    if value is not None:
        try:
            need("dotenv", "dotenv", "--env-file")
        except ImportError as error:
            raise click.BadParameter(f"python-dotenv must be installed: {error}", ctx=ctx, param=param) from None
    info = ctx.ensure_object(ScriptInfo)
    if value is not None or info.load_dotenv_defaults:
        patchable("load_dotenv")(value, load_defaults=info.load_dotenv_defaults)
    return value


# Eager, and the first of all options: what is in the file may be the value of the others.
_env_file_option = click.Option(
    ["-e", "--env-file"],
    type=click.Path(exists=True, dir_okay=False),
    help=(
        "Read environment variables from this file. They win over those in '.env' and '.flaskenv', and give way to"
        " those that are set already. Needs python-dotenv."
    ),
    is_eager=True,
    expose_value=False,
    callback=_env_file_callback,
)


def _set_alias(ctx: click.Context, param: click.Option, value: bool | None) -> bool | None:
    if value is not None:
        ctx.ensure_object(ScriptInfo).install_alias = value
    return value


def alias_option() -> click.Option:
    """Return the option that decides whether `import flask` gives Quaff in the app; without it, it stays as it was."""
    return click.Option(
        ["--alias/--no-alias"],
        default=None,
        help="Whether 'import flask' gives Quaff in the app, also where Flask is installed. By default it does.",
        is_eager=True,
        expose_value=False,
        callback=_set_alias,
    )


def _set_verbose(ctx: click.Context, param: click.Option, value: bool) -> bool:
    set_verbose(value)
    return value


def verbose_option() -> click.Option:
    """Return the option that asks for whole tracebacks."""
    return click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        help="Show whole tracebacks where the app cannot be loaded.",
        is_eager=True,
        expose_value=False,
        callback=_set_verbose,
    )
