"""`python -m quaff`: the program runs as it would by itself, with Quaff as `flask`."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from quaff.__main__ import is_program

REPORT = """\
import json, os, sys
main = sys.modules["__main__"]
def function(): return answer
answer = 42
print(json.dumps({
    "argv": sys.argv,
    "path": os.path.realpath(sys.path[0] or "."),
    "name": __name__,
    "file": __file__,
    "is_main": main.__dict__ is globals(),
    "package": __package__,
    "spec": __spec__ and __spec__.name,
    "doc": __doc__,
    "builtins": type(__builtins__).__name__,
    "code": function.__code__.co_filename,
    "function": function(),
}))
"""
FLASK = "import flask, quaff; assert flask.Flask is quaff.Quaff\n"


def python(*arguments: str, folder: Path, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS...` in *folder*."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False, input=stdin
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def report(*arguments: str, folder: Path) -> dict[str, Any]:
    """Run a program that reports on itself."""
    found: dict[str, Any] = json.loads(python(*arguments, folder=folder).stdout)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with programs that report on themselves."""
    (tmp_path / "app.py").write_text(f'"""The program."""\n{REPORT}', encoding="utf-8")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "deep.py").write_text(REPORT, encoding="utf-8")
    (tmp_path / "below" / "manage").write_text(REPORT, encoding="utf-8")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "__main__.py").write_text(REPORT, encoding="utf-8")
    (tmp_path / "package" / "part.py").write_text(REPORT, encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "archive.pyz", "w") as archive:
        archive.writestr("__main__.py", REPORT)
    (tmp_path / "link.py").symlink_to(tmp_path / "below" / "deep.py")
    return tmp_path


@pytest.mark.parametrize(
    "program",
    [
        ["app.py"],
        ["app.py", "-x", "run", "app.py"],
        ["below/deep.py", "a"],
        ["./app.py"],
        ["link.py"],
        ["below/manage", "b"],
    ],
    ids=" ".join,
)
def test_script_as_python_runs_it(folder: Path, program: list[str]) -> None:
    """Arguments, import path, file, module and names are what `python SCRIPT` gives."""
    assert report("-m", "quaff", *program, folder=folder) == report(*program, folder=folder)


@pytest.mark.parametrize("program", ["package", "archive.pyz"])
def test_folders_and_archives(folder: Path, program: str) -> None:
    """A folder or archive with a `__main__` runs like a script."""
    ours, plain = report("-m", "quaff", program, "a", folder=folder), report(program, "a", folder=folder)
    for key in ("argv", "path", "name", "is_main", "function"):
        assert ours[key] == plain[key], key


@pytest.mark.parametrize("module", ["app", "package", "package.part"])
def test_module_as_python_runs_it(folder: Path, module: str) -> None:
    """`-m MODULE` gives what `python -m MODULE` gives."""
    assert report("-m", "quaff", "-m", module, "a", folder=folder) == report("-m", module, "a", folder=folder)


@pytest.mark.parametrize("program", [["app.py"], ["-m", "app"], ["./app"]], ids=" ".join)
def test_the_alias_is_on(tmp_path: Path, program: list[str]) -> None:
    """`import flask` in the program is Quaff, whatever way it is started."""
    (tmp_path / "app.py").write_text(FLASK, encoding="utf-8")
    (tmp_path / "app").write_text(FLASK, encoding="utf-8")
    python("-m", "quaff", *program, folder=tmp_path)


def test_the_programs_own_modules(tmp_path: Path) -> None:
    """The script imports its neighbours, not those of the current folder."""
    for name, value in (("program", "right"), (".", "wrong")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "neighbour.py").write_text(f"value = {value!r}\n", encoding="utf-8")
    (tmp_path / "program" / "app.py").write_text("import neighbour; print(neighbour.value)\n", encoding="utf-8")
    assert python("-m", "quaff", "program/app.py", folder=tmp_path).stdout.strip() == "right"


def test_safe_path(tmp_path: Path) -> None:
    """With `-P` no folder is put in front of the import path, as Python itself would not."""
    (tmp_path / "neighbour.py").touch()
    (tmp_path / "app.py").write_text("import neighbour\n", encoding="utf-8")
    done = python("-P", "-m", "quaff", "app.py", folder=tmp_path, check=False)
    assert "No module named 'neighbour'" in done.stderr


def test_exit_status(tmp_path: Path) -> None:
    """The program's exit status is the process's."""
    (tmp_path / "app.py").write_text("import sys; sys.exit(7)\n", encoding="utf-8")
    assert python("-m", "quaff", "app.py", folder=tmp_path, check=False).returncode == 7


def test_errors_of_the_program(tmp_path: Path) -> None:
    """A traceback ends at the user's line and shows it."""
    (tmp_path / "app.py").write_text("import flask\n1 / 0\n", encoding="utf-8")
    done = python("-m", "quaff", "app.py", folder=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
    assert f'File "{tmp_path}/app.py", line 2' in done.stderr
    assert "1 / 0" in done.stderr


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    """One line says which file, and where it was looked for."""
    done = python("-m", "quaff", "missing.py", folder=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == f"python -m quaff: can't open file 'missing.py': there is no such file in {tmp_path}."


@pytest.mark.parametrize(
    "module, why", [("missing", "missing"), ("missing.part", "missing"), ("below", "below"), ("app.part", "app")]
)
def test_a_module_that_is_not_there(folder: Path, module: str, why: str) -> None:
    """One line says which module."""
    done = python("-m", "quaff", "-m", module, folder=folder, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("python -m quaff: ")
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


def test_threads_may_outlive_the_script(tmp_path: Path) -> None:
    """The script's globals are there for threads that go on when its last line has run."""
    (tmp_path / "app.py").write_text(
        "import threading, time\n"
        "value = 'still here'\n"
        "def later():\n"
        "    time.sleep(0.3)\n"
        "    import __main__\n"
        "    print(value, __main__.value)\n"
        "threading.Thread(target=later).start()\n",
        encoding="utf-8",
    )
    assert python("-m", "quaff", "app.py", folder=tmp_path).stdout.strip() == "still here still here"


def test_reading_standard_input(tmp_path: Path) -> None:
    """Standard input is the program's."""
    (tmp_path / "app.py").write_text("print(input())\n", encoding="utf-8")
    assert python("-m", "quaff", "app.py", folder=tmp_path, stdin="hello\n").stdout == "hello\n"


def test_anything_else_is_the_command_line(tmp_path: Path) -> None:
    """`python -m quaff` is `quaff`: it shows the commands, and runs them even beside files of their names."""
    (tmp_path / "routes").write_text("raise SystemExit('the wrong one')", encoding="utf-8")
    (tmp_path / "app.py").write_text(
        "import flask\napp = flask.Flask(__name__)\n@app.get('/thing')\ndef thing(): return ''\n", encoding="utf-8"
    )
    assert "routes" in python("-m", "quaff", "--help", folder=tmp_path).stdout
    assert "/thing" in python("-m", "quaff", "routes", folder=tmp_path).stdout


@pytest.mark.parametrize(
    "argument, is_one",
    [
        ("app.py", True),
        ("missing.py", True),
        ("app.pyz", True),
        ("below/manage", True),
        ("package", True),
        ("manage", False),
        ("below", False),
        ("run", False),
        ("-m", False),
        ("--app", False),
        ("-x.py", False),
    ],
)
def test_is_program(folder: Path, monkeypatch: pytest.MonkeyPatch, argument: str, is_one: bool) -> None:
    """Files by their ending or with a folder in front, and folders that can be run."""
    monkeypatch.chdir(folder)
    (folder / "manage").touch()
    assert is_program(argument) is is_one
