"""`.env` files and `QUAFF_*` variables: which value a command sees."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from quaff.cli import load_dotenv
from quaff.cli.dotenv import _path_is_ancestor, adopt_environment
from tests.cli.project import Project


@pytest.fixture
def files(project: Project) -> Project:
    """Give a project with the three kinds of files, which contradict each other."""
    project.write(".flaskenv", "FIRST=flaskenv\nSECOND=flaskenv\nTHIRD=flaskenv\n")
    project.write(".env", "SECOND=env\nTHIRD=env\n")
    project.write("own.env", "THIRD=own\n")
    return project


def values() -> list[str | None]:
    """Return what the three variables are set to."""
    return [os.environ.get(name) for name in ("FIRST", "SECOND", "THIRD")]


def test_env_wins_over_flaskenv(files: Project) -> None:
    """Both files are read; `.env`, the private one, wins."""
    assert load_dotenv() is True
    assert values() == ["flaskenv", "env", "env"]


def test_given_file_wins_over_both(files: Project) -> None:
    """A file that is named wins over the two that are found."""
    assert load_dotenv("own.env") is True
    assert values() == ["flaskenv", "env", "own"]


def test_without_defaults(files: Project) -> None:
    """With `load_defaults=False` only the named file is read; it may be named by a path object."""
    assert load_dotenv(files.folder / "own.env", load_defaults=False) is True
    assert values() == [None, None, "own"]


def test_set_variables_stay(files: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment has already wins over every file."""
    monkeypatch.setenv("THIRD", "set")
    load_dotenv("own.env")
    assert values() == ["flaskenv", "env", "set"]


def test_files_above(files: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two files are looked for in the folders above too, and the current folder stays where it was."""
    below = files.folder / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load_dotenv() is True
    assert values() == ["flaskenv", "env", "env"]
    assert Path.cwd() == below


@pytest.mark.parametrize("path", [None, "missing.env"])
def test_nothing_to_read(project: Project, path: str | None) -> None:
    """Without files, or with one that does not exist, nothing happens, and the answer is False."""
    before = dict(os.environ)
    assert load_dotenv(path, load_defaults=False) is False
    assert dict(os.environ) == before


def test_unicode_and_names_without_value(project: Project) -> None:
    """Files are UTF-8 whatever the locale is; a name without `=` sets nothing."""
    project.write(".env", "FIRST=Käse 火腿\nSECOND\n")
    load_dotenv()
    assert values() == ["Käse 火腿", None, None]


def test_without_python_dotenv(
    files: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without python-dotenv nothing is read; where a file is waiting, a tip on standard error says what to install."""
    monkeypatch.setitem(sys.modules, "dotenv", None)
    assert load_dotenv() is False
    assert values() == [None, None, None]
    printed = capsys.readouterr()
    assert "Install python-dotenv" in printed.err
    assert printed.out == ""


def test_no_tip_without_files(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who has no such files need not hear about python-dotenv."""
    monkeypatch.setitem(sys.modules, "dotenv", None)
    assert load_dotenv() is False
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["APP", "DEBUG", "RUN_PORT", "SERVE_WORKERS", "ANYTHING_AT_ALL"])
def test_quaff_variable_stands_for_flasks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`QUAFF_X` sets `FLASK_X`, and wins over it where both are set."""
    monkeypatch.setenv(f"FLASK_{name}", "flask")
    monkeypatch.setenv(f"QUAFF_{name}", "quaff")
    adopt_environment()
    assert os.environ[f"FLASK_{name}"] == "quaff"


def test_flask_variable_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a twin, Flask's variable is left as it is."""
    monkeypatch.setenv("FLASK_APP", "flask")
    adopt_environment()
    assert os.environ["FLASK_APP"] == "flask"
    assert "QUAFF_APP" not in os.environ


@pytest.mark.parametrize("name", ["COMPILED", "REQUIRE_SERVICES"])
def test_quaffs_own_variables(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that only Quaff has get no twin."""
    monkeypatch.setenv(f"QUAFF_{name}", "1")
    adopt_environment()
    assert f"FLASK_{name}" not in os.environ


@pytest.mark.parametrize("without_dotenv", [False, True])
def test_load_dotenv_adopts(project: Project, monkeypatch: pytest.MonkeyPatch, without_dotenv: bool) -> None:
    """`load_dotenv()` looks at `QUAFF_*` variables as well: those of a file, and without python-dotenv those set."""
    if without_dotenv:
        monkeypatch.setitem(sys.modules, "dotenv", None)
        monkeypatch.setenv("QUAFF_APP", "hello")
    else:
        project.write(".env", "QUAFF_APP=hello\n")
    load_dotenv()
    assert os.environ["FLASK_APP"] == "hello"


@pytest.mark.parametrize(
    "path, other, expected",
    [
        ("/a", "/a/b", True),
        ("/a", "/a/b/c", True),
        ("/a/b", "/a", False),
        ("/a", "/b/a", False),
        ("/a", "/ab", False),
    ],
)
def test_path_is_ancestor(path: str, other: str, expected: bool) -> None:
    """A folder contains what is below it, and nothing else; Flask's private function, which extensions call."""
    assert _path_is_ancestor(path.replace("/", os.sep), other.replace("/", os.sep)) is expected


def test_variables_of_a_file_choose_the_app(project: Project) -> None:
    """`FLASK_APP` in `.flaskenv` names the app of a command in its folder; `QUAFF_APP` in `.env` wins."""
    project.write("one.py", "from flask import Flask\napp = Flask('one')\napp.add_url_rule('/', 'first')\n")
    project.write("two.py", "from flask import Flask\napp = Flask('two')\napp.add_url_rule('/', 'second')\n")
    project.write(".flaskenv", "FLASK_APP=one\n")
    assert "first" in project.quaff("routes").stdout
    project.write(".env", "QUAFF_APP=two\n")
    assert "second" in project.quaff("routes").stdout


def test_files_are_skipped_on_demand(project: Project) -> None:
    """`FLASK_SKIP_DOTENV=1` keeps both files from being read, and so does `QUAFF_SKIP_DOTENV=1`."""
    project.write("hello.py")
    project.write(".env", "FLASK_APP=hello\n")
    assert "index" in project.quaff("routes").stdout
    for name in ("FLASK_SKIP_DOTENV", "QUAFF_SKIP_DOTENV"):
        done = project.quaff("routes", check=False, **{name: "1"})
        assert done.returncode == 2, name
        assert "Could not locate a Quaff application" in done.stderr
