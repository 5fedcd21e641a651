"""`quaff serve`: the production server."""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from inspect import isfunction
from typing import Any

import click

from ..helpers import get_debug_flag
from ..servers import ServerError, ServeSettings, SettingsError, run_production
from ..servers.settings import DIRECT_HEADER_TIMEOUT, PROXY_HEADER_TIMEOUT
from ..servers.wsgi import WSGIApp
from .failures import describe_failure
from .locate import NoAppException
from .namespace import patchable
from .options import alias_option
from .params import OctalType
from .run import take_target
from .script import ScriptInfo, pass_script_info

_FILE = click.Path(exists=True, dir_okay=False, resolve_path=True)


def load_for_server(info: ScriptInfo) -> WSGIApp:
    """Return the WSGI app that *info* names, in a worker process.

    Besides Quaff apps that is any callable which `module:name` names outright, as other WSGI servers take it: an app
    inside middleware, for example.

    :raises SystemExit: after one message on standard error; with code 2 when there is no app, 1 when it failed.
    """
    try:
        try:
            return info.load_app()
        except NoAppException:
            wrapped = find_callable(info.app_import_path)
            if wrapped is None:
                raise
            return wrapped
    except NoAppException as error:
        click.secho(f"Error: {error.format_message()}", err=True, fg="red")
        sys.exit(2)
    except Exception as error:
        click.secho(f"Error: The app could not be loaded.\n\n{describe_failure(error)}", err=True, fg="red")
        sys.exit(1)


def find_callable(import_path: str | None) -> WSGIApp | None:
    """Return the callable `module:name`, if that module was imported and the name is one in it, else None."""
    if not import_path:
        return None
    path, _, name = re.sub(r":(?![\\/])", "\0", import_path, count=1).partition("\0")
    module = sys.modules.get(patchable("prepare_import")(path))
    found: WSGIApp | None = getattr(module, name, None) if name else None
    # A function may be a factory that returned something odd; that error is the one to show.
    return found if callable(found) and not isfunction(found) else None


@click.command("serve", short_help="Run a production server.")
@click.argument("target", metavar="[APP]", required=False)
@click.option("--bind", "-b", help="host:port, [ipv6]:port or unix:path.  [default: 127.0.0.1:8000]")
@click.option("--workers", "-w", type=int, help="Worker processes.  [default: one per core, at least 2]")
@click.option("--threads", "-t", type=int, help="Requests a worker runs at once.  [default: 4 per core, at least 8]")
@click.option("--access-log", is_flag=False, flag_value="-", help="Log requests to this file; alone, to the output.")
@click.option("--pid-file", type=click.Path(dir_okay=False), help="Keep the process id of the server in this file.")
@click.option("--certificate", "--cert", type=_FILE, help="Serve over HTTPS with this certificate (chain), PEM.")
@click.option("--key", type=_FILE, help="The private key of the certificate, PEM, without a password.")
@click.option("--client-ca", type=_FILE, help="Ask clients for a certificate of one of these authorities.")
@click.option("--tls-minimum", type=click.Choice(["1.2", "1.3"]), help="The oldest TLS version.  [default: 1.2]")
@click.option("--http", type=click.Choice(["1", "2", "auto"]), help="HTTP versions.  [default: 1; auto with HTTPS]")
@click.option(
    "--interface",
    type=click.Choice(["wsgi", "rsgi", "http1"]),
    help="Threads or event loop.  [default: the app's choice]",
)
@click.option("--unix-permissions", type=OctalType(), help="Permissions of a unix socket.  [default: 660]")
@click.option("--graceful-timeout", type=float, help="Seconds for running requests when stopping.  [default: 30]")
@click.option(
    "--header-timeout",
    type=float,
    help=(
        "Seconds for a request's headers, and for an idle connection.  [default:"
        f" {PROXY_HEADER_TIMEOUT:g} on loopback and unix sockets, else {DIRECT_HEADER_TIMEOUT:g}]"
    ),
)
@click.option("--header-limit", type=int, help="Largest headers of a request, in bytes.  [default: 32768]")
@click.option("--backpressure", type=int, help="Connections a worker holds at once.  [default: 8192]")
@click.option("--backlog", type=int, help="Connections the kernel keeps waiting.  [default: 2048]")
@click.option("--boot-timeout", type=float, help="Seconds for the app to load in a reload.  [default: 60]")
@pass_script_info
def serve_command(info: ScriptInfo, /, target: str | None, **values: Any) -> None:  # Any: each option has its own type
    """Run a production server.

    APP is a file or module with the app: 'quaff serve module:app'. Any WSGI callable will do.

    SIGTERM and Ctrl-C stop the server after the running requests, SIGHUP loads new code without a pause. Each option is
    also an environment variable: --workers is QUAFF_SERVE_WORKERS.
    """
    take_target(info, target)
    if get_debug_flag():
        # SECURITY: debug mode shows code and values to whoever can cause an error.
        click.secho("Debug mode is off in 'quaff serve', whatever the environment says.", err=True, fg="yellow")
    os.environ["FLASK_DEBUG"] = "0"
    try:
        settings = ServeSettings.from_mapping(values)
        code = run_production(partial(load_for_server, info), settings)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except ServerError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(code)


serve_command.params.append(alias_option())
