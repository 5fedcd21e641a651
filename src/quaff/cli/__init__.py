"""The command line: `quaff run`, `serve`, `shell`, `routes`, and the commands of apps and packages.

It is built with Click, and has every name of `flask.cli`:

- `program.py`: the group `cli` and the function `main` behind the command `quaff`.
- `groups.py`: `FlaskGroup` (also `QuaffGroup`) for whole programs, `AppGroup` for the commands of an app.
- `script.py`, `locate.py`: from `--app` or `FLASK_APP` to the app.
- `options.py`, `params.py`, `dotenv.py`: the options in front of a command, and the environment.
- `run.py`, `serve.py`, `shell.py`, `routes.py`: the commands.
- `failures.py`: what is said when the user's own code fails.

Environment variables are Flask's (`FLASK_APP`, `FLASK_DEBUG`, `FLASK_RUN_PORT`, ...). Each of them has a twin that
begins with `QUAFF_`, which wins. Read first: `tests/cli/test_groups.py`, `tests/cli/test_program.py`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

from ..globals import current_app
from ..helpers import get_debug_flag, get_load_dotenv
from .dotenv import _path_is_ancestor, adopt_environment, load_dotenv
from .failures import describe_failure
from .groups import AppGroup, FlaskGroup, QuaffGroup
from .locate import (
    NoAppException,
    _called_with_wrong_args,
    find_app_by_string,
    find_best_app,
    locate_app,
    prepare_import,
)
from .options import (
    _app_option,
    _debug_option,
    _env_file_callback,
    _env_file_option,
    _set_app,
    _set_debug,
    get_version,
    version_option,
)
from .params import CertParamType, SeparatedPathType, _validate_key
from .program import cli, main
from .routes import routes_command
from .run import run_command, show_server_banner
from .script import F, ScriptInfo, pass_script_info, with_appcontext
from .serve import serve_command
from .shell import shell_command

if TYPE_CHECKING:
    from werkzeug.serving import is_running_from_reloader, run_simple
    from werkzeug.utils import import_string

_LATE = {
    "import_string": "werkzeug.utils",
    "is_running_from_reloader": "werkzeug.serving",
    "run_simple": "werkzeug.serving",
}
# COMPAT: names that `flask.cli` imports. Here nothing needs Werkzeug's server, so it loads when somebody asks.


def __getattr__(name: str) -> Any:  # Any: each name has its own type
    """Return a name of Werkzeug's that `flask.cli` has."""
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
