"""`quaff shell`: Python's prompt with the app at hand."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from ..globals import active_app_context
from .script import with_appcontext


@click.command("shell", short_help="Run a shell in the app context.")
@with_appcontext
def shell_command() -> None:
    """Run an interactive Python shell in the app's context.

    The names in it are those of the app's shell context: 'app', 'g' and what shell context processors add.
    """
    import code

    context = active_app_context()
    app: Any = context.app if context is not None else None  # with_appcontext pushed one
    banner = f"Python {sys.version} on {sys.platform}\nApp: {app.import_name}\nInstance: {app.instance_path}"
    names: dict[str, Any] = {}
    startup = os.environ.get("PYTHONSTARTUP")
    if startup and os.path.isfile(startup):
        with open(startup, encoding="utf-8") as file:
            exec(compile(file.read(), startup, "exec"), names)  # noqa: S102 - what the interpreter itself would run
    names.update(app.make_shell_context())
    start_interactive(names)
    code.interact(banner=banner, local=names)


def start_interactive(names: dict[str, Any]) -> None:
    """Run the interpreter's hook for interactive use, which sets up history, and let completion know *names*."""
    hook = getattr(sys, "__interactivehook__", None)
    if hook is None:
        return
    try:
        import readline
        from rlcompleter import Completer
    except ImportError:
        pass  # Not on every system.
    else:
        readline.set_completer(Completer(names).complete)
    hook()
