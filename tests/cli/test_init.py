"""The package has every name of `flask.cli`, and loads Werkzeug's server for none of them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import werkzeug.serving
import werkzeug.utils

import quaff
import quaff.cli

NAMES = (
    "AppGroup CertParamType F FlaskGroup NoAppException ScriptInfo SeparatedPathType _app_option "
    "_called_with_wrong_args _debug_option _env_file_callback _env_file_option _path_is_ancestor _set_app _set_debug "
    "_validate_key cli current_app find_app_by_string find_best_app get_debug_flag get_load_dotenv get_version "
    "import_string is_running_from_reloader load_dotenv locate_app main pass_script_info prepare_import routes_command "
    "run_command run_simple shell_command show_server_banner version_option with_appcontext"
).split()
"""What programs and extensions import from `flask.cli` in Flask 3.1."""


@pytest.mark.parametrize("name", NAMES)
def test_has_the_names_of_flask_cli(name: str) -> None:
    """Each name of `flask.cli` is there."""
    assert getattr(quaff.cli, name) is not None


def test_names_of_werkzeug_are_the_originals() -> None:
    """What Flask's module imports from Werkzeug is the very object of Werkzeug's."""
    assert quaff.cli.run_simple is werkzeug.serving.run_simple
    assert quaff.cli.is_running_from_reloader is werkzeug.serving.is_running_from_reloader
    assert quaff.cli.import_string is werkzeug.utils.import_string


def test_unknown_name() -> None:
    """A name that is not there is an AttributeError about this package, so that hasattr() and imports work."""
    with pytest.raises(AttributeError, match=r"'quaff\.cli' has no attribute 'run_simpel'"):
        _ = quaff.cli.run_simpel
    assert not hasattr(quaff.cli, "nothing")


def test_quaff_group_is_flask_group() -> None:
    """Quaff's own name is the same class."""
    assert quaff.cli.QuaffGroup is quaff.cli.FlaskGroup


def test_app_cli_is_an_app_group(app: quaff.Quaff) -> None:
    """The commands of an app are a group of this package that has the app's name."""
    assert type(app.cli) is quaff.cli.AppGroup
    assert app.cli.name == app.name


def test_loads_no_server() -> None:
    """Importing the package loads neither Werkzeug's development server nor Granian, `code` or dotenv."""
    program = "import sys, quaff.cli; print(*[name for name in sys.argv[1:] if name in sys.modules])"
    heavy = ["werkzeug.serving", "werkzeug.debug", "granian", "http.server", "code", "dotenv", "asyncio", "flask"]
    done = subprocess.run([sys.executable, "-c", program, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
