"""The options in front of a command."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

import pytest
from click.testing import CliRunner

from quaff import Quaff
from quaff.cli import FlaskGroup, ScriptInfo, get_version, run_command
from quaff.cli.failures import is_verbose
from quaff.cli.options import FLASK_VERSION, alias_option, verbose_option
from tests.cli.project import Project

SHOW = """\
import os, sys
from flask import Flask

app = Flask(__name__)


@app.cli.command()
def show():
    print(app.debug, os.environ.get("FLASK_DEBUG"), os.environ.get("COLOUR"), *sys.argv[1:])
"""
"""An app with a command that shows what reached it."""


@pytest.fixture
def shown(project: Project) -> Project:
    """Give a project whose app has the command `show`."""
    project.write("app.py", SHOW)
    return project


def test_version(project: Project) -> None:
    """`--version` names Python, Quaff, the Flask that it stands for, and Werkzeug; it needs no app."""
    lines = project.quaff("--version").stdout.splitlines()
    assert lines[0] == f"Python {platform.python_version()}"
    assert lines[1].startswith("Quaff ")
    assert lines[1].endswith(f"Flask {FLASK_VERSION}")
    assert lines[2] == f"Werkzeug {importlib.metadata.version('werkzeug')}"


def test_version_while_completing(capsys: pytest.CaptureFixture[str]) -> None:
    """While a shell completes a line nothing is printed."""
    context = FlaskGroup().make_context("quaff", ["routes"], resilient_parsing=True)
    get_version(context, next(iter(context.command.params)), True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("option", ["--app", "-A"])
@pytest.mark.parametrize("path", ["other", "other.py", "other:app", "other.py:app"])
def test_app(project: Project, runner: CliRunner, option: str, path: str) -> None:
    """`--app` names the app as a module or a file, with or without the name in it."""
    project.write("other.py", "from quaff import Quaff\napp = Quaff('other')\napp.add_url_rule('/', 'of_other')\n")
    result = runner.invoke(FlaskGroup(), [option, path, "routes"])
    assert "of_other" in result.output


@pytest.mark.parametrize("help_first", [True, False])
def test_app_and_help(project: Project, help_first: bool) -> None:
    """`--help` behind `--app` lists the commands of that app; alone, those of the app in the environment."""
    project.write("other.py", SHOW)
    text = project.quaff("--help", FLASK_APP="other") if help_first else project.quaff("--app", "other", "--help")
    assert "\n  show" in text.stdout


def test_app_option_wins_over_the_environment(shown: Project) -> None:
    """The command line wins over `QUAFF_APP`, which wins over `FLASK_APP`."""
    shown.write("other.py", SHOW.replace("app.debug", "'other'"))
    assert shown.quaff("show", FLASK_APP="missing", QUAFF_APP="other").stdout.startswith("other ")
    assert shown.quaff("--app", "app", "show", FLASK_APP="missing", QUAFF_APP="other").stdout.startswith("False ")


@pytest.mark.parametrize(
    "option, variable, expected",
    [
        (None, None, "False None"),
        (None, "1", "True 1"),
        (None, "0", "False 0"),
        ("--debug", None, "True 1"),
        ("--debug", "0", "True 1"),
        ("--no-debug", "1", "False 0"),
    ],
)
def test_debug(shown: Project, option: str | None, variable: str | None, expected: str) -> None:
    """`--debug` and `--no-debug` win over the environment, and are handed on in it; without either it decides."""
    environment = {} if variable is None else {"FLASK_DEBUG": variable}
    done = shown.quaff(*([option] if option else []), "show", **environment)
    assert done.stdout.startswith(expected), done.stdout


def test_debug_variable_of_quaff(shown: Project) -> None:
    """`QUAFF_DEBUG` is the twin of `FLASK_DEBUG`."""
    assert shown.quaff("show", QUAFF_DEBUG="1").stdout.startswith("True ")


@pytest.mark.parametrize("option", ["--env-file", "-e"])
def test_env_file(shown: Project, option: str) -> None:
    """Variables of the named file win over `.env`, and are set before the app is imported."""
    shown.write(".env", "COLOUR=grey\n")
    shown.write("own.env", "COLOUR=red\n")
    assert "red" in shown.quaff(option, "own.env", "show").stdout
    assert "grey" in shown.quaff("show").stdout


def test_env_file_may_name_the_app(project: Project) -> None:
    """What is in the file counts as the value of the other options."""
    project.write("other.py", SHOW)
    project.write("own.env", "FLASK_APP=other\n")
    assert "None" in project.quaff("--env-file", "own.env", "show").stdout


def test_env_file_that_is_missing(shown: Project) -> None:
    """A file that was named and is not there is a mistake."""
    done = shown.quaff("--env-file", "missing.env", "show", check=False)
    assert done.returncode == 2
    assert "'missing.env' does not exist" in done.stderr


def test_env_file_needs_python_dotenv(project: Project, runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named file cannot be passed over for want of the package: the message says how to install it."""
    project.write("own.env", "A=1\n")
    monkeypatch.setitem(sys.modules, "dotenv", None)
    result = runner.invoke(FlaskGroup(create_app=lambda: Quaff("made")), ["--env-file", "own.env", "routes"])
    assert result.exit_code == 2
    assert "python-dotenv must be installed" in result.output
    assert "quaff[dotenv]" in result.output


def test_env_file_without_the_defaults(project: Project, runner: CliRunner) -> None:
    """A program that reads no `.env` by itself still reads the file that it is told to."""
    project.write(".env", "FIRST_OF_TEST=default\n")
    project.write("own.env", "SECOND_OF_TEST=own\n")
    group = FlaskGroup(create_app=lambda: Quaff("made"), load_dotenv=False)
    group.command("show")(lambda: print(os.environ.get("FIRST_OF_TEST"), os.environ.get("SECOND_OF_TEST")))
    assert runner.invoke(group, ["--env-file", "own.env", "show"]).output == "None own\n"


@pytest.mark.parametrize("arguments, expected", [([], None), (["--alias"], True), (["--no-alias"], False)])
def test_alias(arguments: list[str], expected: bool | None) -> None:
    """The option leaves the `ScriptInfo` as it was unless it is given."""
    for before in (True, False):
        info = ScriptInfo()
        info.install_alias = before
        FlaskGroup(params=[alias_option()]).make_context("quaff", [*arguments, "routes"], obj=info)
        assert info.install_alias is (before if expected is None else expected)


def test_verbose() -> None:
    """`-v` asks for whole tracebacks, for that call."""
    group = FlaskGroup(params=[verbose_option()])
    group.make_context("quaff", ["-v", "routes"])
    assert is_verbose() is True
    group.make_context("quaff", ["routes"])
    assert is_verbose() is False


def test_debug_behind_run() -> None:
    """`quaff run --debug` is the same option as in front of the command."""
    run_command.make_context("run", ["--debug"])
    assert os.environ["FLASK_DEBUG"] == "1"
