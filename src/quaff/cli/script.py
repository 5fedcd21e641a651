"""What the command line knows of the app, and commands that run inside its context."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any, TypeVar

import click

from .._internal.lazy import resolve
from ..app import Quaff
from ..globals import active_app_context
from .locate import NoAppException
from .namespace import patchable

F = TypeVar("F", bound=Callable[..., Any])


class ScriptInfo:
    """Where the app is, and the app once it was loaded. Click hands it to commands as the context's object.

    :param app_import_path: `module:name`, `module`, or the path of a file.
    :param create_app: makes the app instead.
    :param set_debug_flag: whether to set `app.debug` from `FLASK_DEBUG` when the app is loaded.
    :param load_dotenv_defaults: whether `.env` and `.flaskenv` are read. New in Flask 3.1.
    """

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: Callable[..., Quaff] | None = None,
        set_debug_flag: bool = True,
        load_dotenv_defaults: bool = True,
    ) -> None:
        self.app_import_path = app_import_path
        self.create_app = create_app
        self.data: dict[Any, Any] = {}
        """Room for whatever commands want to share."""
        self.set_debug_flag = set_debug_flag
        self.load_dotenv_defaults: bool = patchable("get_load_dotenv")(load_dotenv_defaults)
        self.install_alias = False
        """Whether `import flask` gives Quaff to the app; the program `quaff` turns it on."""
        self.load_error: BaseException | None = None
        """What loading the app raised, the last time that it failed."""
        self._loaded_app: Quaff | None = None

    def load_app(self) -> Quaff:
        """Return the app, loading it the first time.

        :raises NoAppException: when it cannot be found. Whatever the app's own code raises passes through.
        """
        if self._loaded_app is not None:
            return self._loaded_app
        self.prepare()
        try:
            app = self._find_app()
        except BaseException as error:
            self.load_error = error
            raise
        if self.set_debug_flag:
            app.debug = patchable("get_debug_flag")()
        self._loaded_app = app
        return app

    def prepare(self) -> None:
        """Make `import flask` give Quaff, if that is wanted; before the first line of the user's code runs."""
        if self.install_alias:
            resolve("install_as_flask")()

    def _find_app(self) -> Quaff:
        if self.create_app is not None:
            return self.create_app()
        prepare_import, locate_app = patchable("prepare_import"), patchable("locate_app")
        app: Quaff | None = None
        if self.app_import_path:
            # The colon of a Windows drive is followed by a slash.
            path, _, name = re.sub(r":(?![\\/])", "\0", self.app_import_path, count=1).partition("\0")
            app = locate_app(prepare_import(path), name or None)
        else:
            for path in ("wsgi.py", "app.py"):
                app = locate_app(prepare_import(path), None, raise_if_not_found=False)
                if app is not None:
                    break
        if app is None:
            raise NoAppException(
                "Could not locate a Quaff application. Use 'quaff run FILE', the 'quaff --app' option, the 'FLASK_APP'"
                f" or 'QUAFF_APP' environment variable, or a 'wsgi.py' or 'app.py' file in the current directory.{_guess()}"
            )
        return app


def _guess() -> str:
    """Return a sentence that names a file in the current folder that looks like an app, or nothing."""
    for path in sorted(Path.cwd().glob("*.py")):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if re.search(r"^(?:import|from) (?:flask|quaff)\b", text, re.MULTILINE):
            return f" Did you mean 'quaff --app {path.name}'?"
    return ""


pass_script_info = click.make_pass_decorator(ScriptInfo, ensure=True)


def with_appcontext(f: F) -> F:
    """Run a command with the app's context pushed, so that `current_app` and `url_for` work in it.

    Commands of `app.cli` and `blueprint.cli` do so anyway. The context is left when the command ends.
    """

    @click.pass_context
    def decorator(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        if active_app_context() is None:
            app = ctx.ensure_object(ScriptInfo).load_app()
            ctx.with_resource(app.app_context())
        return ctx.invoke(f, *args, **kwargs)

    return update_wrapper(decorator, f)  # type: ignore[return-value]
