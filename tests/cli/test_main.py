"""`python -m quaff.cli`."""

from __future__ import annotations

import pytest

from tests.cli.project import Project


def test_runs_the_program(project: Project) -> None:
    """The package runs as a program, with the alias on: it is what `python -m flask.cli` runs as well."""
    project.write("app.py")
    assert "index" in project.quaff("routes", module="quaff.cli").stdout


def test_exit_code(project: Project) -> None:
    """The exit code of a command is the one of the process."""
    assert project.quaff("routes", module="quaff.cli", check=False).returncode == 2


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_needs_no_app(project: Project, option: str) -> None:
    """Questions about the program itself are answered without an app."""
    assert project.quaff(option, module="quaff.cli").stdout
