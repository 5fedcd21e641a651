"""Names replaced on `quaff.cli` are the ones that commands use."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import quaff.cli
from quaff import Quaff
from quaff.cli import FlaskGroup, ScriptInfo
from quaff.cli.namespace import patchable
from tests.cli.project import Project


def test_gives_what_the_name_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up at each call, so that a replacement counts, and so does taking it back."""
    original = patchable("find_best_app")
    assert original is quaff.cli.find_best_app
    monkeypatch.setattr("quaff.cli.find_best_app", len)
    assert patchable("find_best_app") is len
    monkeypatch.undo()
    assert patchable("find_best_app") is original


def test_unknown_name() -> None:
    """A name that the package does not have is an AttributeError that names it."""
    with pytest.raises(AttributeError, match="no_such_function"):
        patchable("no_such_function")


def test_replaced_locate_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced `locate_app` and `prepare_import` decide what a ScriptInfo loads, as under Flask."""
    made = Quaff("replaced")
    asked = []
    monkeypatch.setattr("quaff.cli.prepare_import", lambda path: f"prepared {path}")
    monkeypatch.setattr("quaff.cli.locate_app", lambda *args: asked.append(args) or made)
    assert ScriptInfo("anything:name").load_app() is made
    assert asked == [("prepared anything", "name")]


def test_replaced_debug_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced `get_debug_flag` decides about `app.debug`."""
    monkeypatch.setattr("quaff.cli.get_debug_flag", lambda: True)
    assert ScriptInfo(create_app=lambda: Quaff("debugged")).load_app().debug is True


def test_replaced_load_dotenv(project: Project, runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced `load_dotenv` is called instead, with the file that `--env-file` names."""
    file = project.write("own.env", "A=1\n")
    calls = []
    monkeypatch.setattr("quaff.cli.load_dotenv", lambda path, load_defaults: calls.append((path, load_defaults)))
    group = FlaskGroup(create_app=lambda: Quaff("dotenv"))
    result = runner.invoke(group, ["--env-file", str(file), "routes"])
    assert result.exit_code == 0, result.output
    assert calls == [(str(file), True)]


def test_replaced_finders(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaced `find_best_app` and `find_app_by_string` choose the app in a module."""
    project.write("hello.py", "app = None\n")
    best, named = Quaff("best"), Quaff("named")
    monkeypatch.setattr("quaff.cli.find_best_app", lambda module: best)
    monkeypatch.setattr("quaff.cli.find_app_by_string", lambda module, name: named)
    assert ScriptInfo("hello.py").load_app() is best
    assert ScriptInfo("hello.py:app").load_app() is named
