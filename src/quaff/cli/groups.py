"""Command groups that know the app: one for its own commands, one for a whole program."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any, Final

import click

from ..app import Quaff
from ..globals import active_app_context
from .dotenv import adopt_environment
from .failures import describe_failure
from .locate import NoAppException
from .options import _app_option, _debug_option, _env_file_option, version_option
from .routes import routes_command
from .run import run_command
from .script import ScriptInfo, with_appcontext
from .shell import shell_command

PLUGIN_GROUPS: Final = ("flask.commands", "quaff.commands")
"""Entry points of installed packages that are commands. One of the second group wins over its namesake."""


class AppGroup(click.Group):
    """A Click group whose commands run in the app's context, as those of `app.cli` do."""

    def command(self, *args: Any, **kwargs: Any) -> Any:  # Any: Click's signature, which Flask's overrides as well
        """Make the decorated function a command, inside `with_appcontext` unless `with_appcontext=False` is given."""
        wrap = kwargs.pop("with_appcontext", True)

        def decorator(function: Callable[..., Any]) -> click.Command:
            add: Callable[..., click.Command] = super(AppGroup, self).command(*args, **kwargs)
            return add(with_appcontext(function) if wrap else function)

        return decorator

    def group(self, *args: Any, **kwargs: Any) -> Any:  # Any: as above
        """Make the decorated function a group in this one; its class is `AppGroup` too."""
        kwargs.setdefault("cls", AppGroup)
        return super().group(*args, **kwargs)


class FlaskGroup(AppGroup):
    """A program around an app: its commands are the built-in ones, those of packages, and those of the app.

    :param add_default_commands: whether `run`, `shell` and `routes` are among them.
    :param create_app: makes the app; without it the app is looked for (`--app`, `FLASK_APP`, `wsgi.py`, `app.py`).
    :param add_version_option: whether there is `--version`.
    :param load_dotenv: whether `.env` and `.flaskenv` are read.
    :param set_debug_flag: whether `app.debug` is set from `--debug` and `FLASK_DEBUG`.
    """

    def __init__(
        self,
        add_default_commands: bool = True,
        create_app: Callable[..., Quaff] | None = None,
        add_version_option: bool = True,
        load_dotenv: bool = True,
        set_debug_flag: bool = True,
        **extra: Any,
    ) -> None:
        params: list[click.Parameter] = list(extra.pop("params", None) or ())
        # Options rather than a group callback: a program may have a callback of its own.
        params += [_env_file_option, _app_option, _debug_option]
        if add_version_option:
            params.append(version_option)
        extra.setdefault("context_settings", {}).setdefault("auto_envvar_prefix", "FLASK")
        super().__init__(params=params, **extra)
        self.create_app = create_app
        self.load_dotenv = load_dotenv
        self.set_debug_flag = set_debug_flag
        if add_default_commands:
            for command in (run_command, shell_command, routes_command):
                self.add_command(command)
        self._loaded_plugin_commands = False

    def _load_plugin_commands(self) -> None:
        """Add the commands of all installed packages, once."""
        if not self._loaded_plugin_commands:
            self._loaded_plugin_commands = True
            for entry in _entry_points():
                self._add_plugin(entry)

    def _load_plugin_command(self, name: str) -> None:
        """Add the command *name* of an installed package, if one has it."""
        # Only that one: the others would be imported for nothing, and before `quaff run --no-alias` is read.
        if not self._loaded_plugin_commands:
            for entry in _entry_points(name):
                self._add_plugin(entry)

    def _add_plugin(self, entry: metadata.EntryPoint) -> None:
        try:
            self.add_command(entry.load(), entry.name)
        except Exception as error:
            # One broken package must not take the other commands away.
            message = f"The command {entry.name!r} of an installed package cannot be loaded ({entry.value}): {error}"
            click.secho(message, err=True, fg="yellow")

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command *name*: built in, of a package, or of the app, which is then loaded.

        An app that cannot be found is reported, and the answer is None.
        """
        info = ctx.ensure_object(ScriptInfo)
        if _has_plugin(name):
            info.prepare()
        self._load_plugin_command(name)
        command = super().get_command(ctx, name)
        if command is not None:
            return command
        try:
            app = info.load_app()
        except NoAppException as error:
            click.secho(f"Error: {error.format_message()}\n", err=True, fg="red")
            return None
        # Pushed here, so that the callbacks of parameters have the context as well.
        active = active_app_context()
        if active is None or active.app is not app:
            ctx.with_resource(app.app_context())
        found: click.Command | None = app.cli.get_command(ctx, name)
        return found

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted; an app that cannot be loaded is reported and passed over."""
        info = ctx.ensure_object(ScriptInfo)
        info.prepare()
        self._load_plugin_commands()
        names = set(super().list_commands(ctx))
        try:
            names.update(info.load_app().cli.list_commands(ctx))
        except NoAppException as error:
            click.secho(f"Error: {error.format_message()}\n", err=True, fg="red")
        except Exception as error:
            click.secho(f"{describe_failure(error)}\n", err=True, fg="red")
        return sorted(names)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Make the context of one call of the program, with a `ScriptInfo` as its object."""
        # `app.run()` outside of a `__main__` guard would start a server while the app is imported.
        os.environ["FLASK_RUN_FROM_CLI"] = "true"
        adopt_environment()
        if "obj" not in extra and "obj" not in self.context_settings:
            extra["obj"] = ScriptInfo(
                create_app=self.create_app,
                set_debug_flag=self.set_debug_flag,
                load_dotenv_defaults=self.load_dotenv,
            )
        return super().make_context(info_name, args, parent=parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options that stand before the command."""
        only_help = len(args) == 1 and args[0] in self.get_help_option_names(ctx)
        if only_help or (not args and self.no_args_is_help):
            # The help lists the app's commands, and is printed before any option from the environment is read.
            _env_file_option.handle_parse_result(ctx, {}, [])
            _app_option.handle_parse_result(ctx, {}, [])
        return super().parse_args(ctx, args)


def _entry_points(name: str | None = None) -> Iterator[metadata.EntryPoint]:
    for group in PLUGIN_GROUPS:
        entries = metadata.entry_points(group=group)
        yield from entries if name is None else entries.select(name=name)


def _has_plugin(name: str) -> bool:
    return any(True for _ in _entry_points(name))


QuaffGroup = FlaskGroup
"""Quaff's own name for `FlaskGroup`."""
