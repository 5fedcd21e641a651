"""`quaff shell`: what is at hand at the prompt."""

from __future__ import annotations

import sys

import pytest

from quaff.cli.shell import start_interactive
from tests.cli.project import Project

APP = """\
from flask import Flask

app = Flask("shop")
app.add_url_rule("/", "index", lambda: "Hello")


@app.shell_context_processor
def names():
    return {"answer": 42}
"""


def test_script_on_standard_input(project: Project) -> None:
    """Lines on standard input run in the app's context: `app`, `g`, and what context processors add are there."""
    project.write("app.py", APP)
    done = project.quaff(
        "shell",
        stdin="import flask\n"
        "print('A', app.name, answer, flask.current_app.name)\n"
        "g.x = 3; print('B', g.x)\n"
        "print('C', app.test_client().get('/').text)\n",
    )
    assert "A shop 42 shop" in done.stdout
    assert "B 3" in done.stdout
    assert "C Hello" in done.stdout


def test_banner(project: Project) -> None:
    """The first lines name Python, the app and its instance folder."""
    project.write("app.py", APP)
    done = project.quaff("shell", stdin="")
    assert f"Python {sys.version.split()[0]}" in done.stderr
    assert "App: shop" in done.stderr
    assert f"Instance: {project.folder / 'instance'}" in done.stderr


def test_startup_file(project: Project) -> None:
    """The file of PYTHONSTARTUP runs first; its names are there, except where the app has one of the same name."""
    project.write("app.py", APP)
    startup = project.write("startup.py", "from json import dumps as d\nanswer = 'of the file'\nown = 'ö'\n")
    done = project.quaff(
        "shell", stdin="print('A', d([answer]), ascii(own))\n", PYTHONSTARTUP=str(startup), PYTHONIOENCODING="utf-8"
    )
    assert "A [42] '\\xf6'" in done.stdout


def test_missing_startup_file(project: Project) -> None:
    """A PYTHONSTARTUP that is not there is passed over."""
    project.write("app.py", APP)
    assert "42" in project.quaff("shell", stdin="print(answer)\n", PYTHONSTARTUP="missing.py").stdout


def test_error_at_the_prompt(project: Project) -> None:
    """An error at the prompt is shown, and the shell goes on."""
    project.write("app.py", APP)
    done = project.quaff("shell", stdin="1 / 0\nprint('after', answer)\n")
    assert "ZeroDivisionError" in done.stderr
    assert "after 42" in done.stdout


def test_hook_for_interactive_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter's hook is called once; by then completion knows the names."""
    readline = pytest.importorskip("readline")
    before, seen = readline.get_completer(), []

    def hook() -> None:
        complete = readline.get_completer()
        seen.append([complete("lantern", 0), complete("nothing_like_it", 0)])

    monkeypatch.setattr(sys, "__interactivehook__", hook, raising=False)
    try:
        start_interactive({"lantern_of_test": 1})
    finally:
        readline.set_completer(before)
    assert seen == [["lantern_of_test", None]]


def test_without_readline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python has no readline the hook is called all the same."""
    called = []
    monkeypatch.setattr(sys, "__interactivehook__", lambda: called.append(True), raising=False)
    monkeypatch.setitem(sys.modules, "readline", None)
    start_interactive({})
    assert called == [True]


def test_without_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter without the hook, such as an isolated one, is left alone."""
    monkeypatch.delattr(sys, "__interactivehook__", raising=False)
    start_interactive({})
    assert not hasattr(sys, "__interactivehook__")
