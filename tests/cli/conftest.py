"""The command line changes the environment and the import path; tests give both back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from quaff.cli import failures
from tests.cli.project import Project


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before, path, verbose = dict(os.environ), list(sys.path), failures._verbose
    for name in list(os.environ):
        if name.startswith(("FLASK_", "WERKZEUG_")) or (name.startswith("QUAFF_") and name != "QUAFF_COMPILED"):
            monkeypatch.delenv(name)
    yield
    monkeypatch.undo()
    os.environ.clear()
    os.environ.update(before)
    sys.path[:] = path
    failures.set_verbose(verbose)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Give an empty project, whose folder is the current one for the time of the test.

    What a test imports from it is forgotten afterwards.
    """
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    modules = set(sys.modules)
    yield Project(folder)
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def runner() -> CliRunner:
    """Give Click's runner, which calls a command in this process and keeps what it prints."""
    return CliRunner()
