"""The program `quaff` itself."""

from __future__ import annotations

import sys

import click

from .dotenv import adopt_environment
from .failures import describe_failure, is_verbose
from .groups import FlaskGroup
from .options import alias_option, verbose_option
from .script import ScriptInfo
from .serve import serve_command

cli = FlaskGroup(
    name="quaff",
    help=(
        "Run and inspect Quaff and Flask apps.\n\n"
        "The app is named with the '--app' option, the 'FLASK_APP' or 'QUAFF_APP' environment variable, or is found in"
        " 'wsgi.py' or 'app.py' in the current directory."
    ),
    params=[verbose_option(), alias_option()],
)
"""The group behind the command `quaff`. Packages may add commands to it, as to Flask's."""

cli.add_command(serve_command)


def main() -> None:
    """Run the program `quaff` with the arguments of this process, and exit.

    `import flask` gives Quaff to the app that it loads, unless `--no-alias` is given. When the app's own code fails
    while it is loaded, the message begins with the line that failed; the exit code is then 1.
    """
    # Before the ScriptInfo, which asks whether `.env` files are to be read.
    adopt_environment()
    info = ScriptInfo()
    info.install_alias = True
    try:
        cli.main(obj=info)
    except Exception as error:
        if error is not info.load_error or is_verbose():
            raise
        click.secho(f"Error: The app could not be loaded.\n\n{describe_failure(error)}", err=True, fg="red")
        sys.exit(1)
