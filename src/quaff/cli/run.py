"""`quaff run`: the development server."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from typing import Any

import click

from ..servers import run_development
from ..servers.banner import say_what
from ..servers.fallback import is_werkzeugs
from ..servers.reloader import is_child
from ..servers.wsgi import WSGIApp
from .failures import describe_failure
from .namespace import patchable
from .options import _debug_option, alias_option
from .params import CertParamType, SeparatedPathType, _validate_key
from .script import ScriptInfo, pass_script_info


def show_server_banner(debug: bool, app_import_path: str | None) -> None:
    """Say which app is served and whether debug mode is on; nothing in the child of a reloader."""
    say_what(debug, app_import_path)


def take_target(info: ScriptInfo, target: str | None) -> None:
    """Let the app that is named behind the command be the one that is loaded.

    :raises click.UsageError: when `--app` names another one.
    """
    if target is None:
        return
    context = click.get_current_context(silent=True)
    given = context.find_root().get_parameter_source("app") if context is not None else None
    if given is click.core.ParameterSource.COMMANDLINE and info.app_import_path not in {None, target}:
        raise click.UsageError(f"There are two apps: --app {info.app_import_path} and {target}. Name one of them.")
    info.app_import_path = target


def load_or_show(info: ScriptInfo) -> WSGIApp:
    """Return the app; under a reloader that already runs, one that shows why the app cannot be loaded.

    So a mistake in the code does not end the reloader: it is shown, and mended by the next change.
    """
    try:
        return info.load_app()
    except Exception as error:
        if not is_child():
            raise
        click.secho(f"{describe_failure(error)}\n", err=True, fg="red")
        failure = error

    def broken(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise failure from None

    return broken


@click.command("run", short_help="Run a development server.")
@click.argument("target", metavar="[APP]", required=False)
@click.option("--host", "-h", default="127.0.0.1", show_default=True, help="The interface to bind to.")
@click.option(
    "--port", "-p", type=click.IntRange(0, 65535), default=5000, show_default=True, help="The port; 0 for any free one."
)
@click.option(
    "--cert",
    type=CertParamType(),
    is_eager=True,
    help="Serve over HTTPS with this certificate: a file, 'adhoc', or the import name of an SSLContext.",
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    callback=_validate_key,
    expose_value=False,
    help="The private key of --cert.",
)
@click.option("--reload/--no-reload", default=None, help="Restart when a file changes. By default in debug mode.")
@click.option("--debugger/--no-debugger", default=None, help="Show errors in the browser. By default in debug mode.")
@click.option("--with-threads/--without-threads", default=True, help="Answer several requests at once. By default so.")
@click.option(
    "--extra-files",
    type=SeparatedPathType(),
    help=f"More files whose change restarts the server, separated by {os.pathsep!r}.",
)
@click.option(
    "--exclude-patterns",
    type=SeparatedPathType(),
    help=f"Files matching these fnmatch patterns do not restart it; separated by {os.pathsep!r}.",
)
@click.option("--access-log/--no-access-log", default=True, help="Print a line for each request. By default so.")
@click.option(
    "--interface",
    type=click.Choice(["wsgi", "rsgi", "http1"]),
    help="Threads or event loop. By default the app's choice.",
)
@pass_script_info
def run_command(
    info: ScriptInfo,
    /,
    target: str | None,
    host: str,
    port: int,
    reload: bool | None,
    debugger: bool | None,
    access_log: bool,
    **options: Any,  # Any: each option has its own type
) -> None:
    """Run a local development server.

    APP is a file or module with the app, as for --app: 'quaff run app.py'.

    The server is for development only. For production use 'quaff serve'. Reloader and debugger are on with --debug.
    """
    take_target(info, target)
    app = load_or_show(info)
    debug: bool = patchable("get_debug_flag")()
    # What `load_or_show` gives for an app with a mistake in it is a WSGI function, under which the reloader must go on.
    interface = options["interface"] if hasattr(app, "__rsgi__") else None
    server_options = {
        "use_reloader": debug if reload is None else reload,
        # The debugger is for WSGI. What debug mode brings along gives way to what was asked for.
        "use_debugger": debug and interface not in {"rsgi", "http1"} if debugger is None else debugger,
        "threaded": options["with_threads"],
        "ssl_context": options["cert"],
        "extra_files": options["extra_files"],
        "exclude_patterns": options["exclude_patterns"],
    }
    patchable("show_server_banner")(debug, info.app_import_path or getattr(app, "name", None))
    # COMPAT: under Flask, replacing `flask.cli.run_simple` keeps the command from serving.
    run_simple = vars(importlib.import_module("quaff.cli")).get("run_simple")
    if run_simple is not None and not is_werkzeugs(run_simple):
        run_simple(host, port, app, **server_options)
    else:
        own_options = {"access_log": access_log, "interface": interface}
        run_development(app, host, port, banner=False, **own_options, **server_options)


run_command.params.insert(0, _debug_option)
run_command.params.append(alias_option())
