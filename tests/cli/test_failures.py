"""Failures of the user's code are told with the user's line first, and without a library's frame."""

from __future__ import annotations

import importlib
import json
import os
import sys

import pytest

import quaff.app
from quaff.cli.failures import describe_failure, is_users, is_verbose, set_verbose, users_frames
from tests.cli.project import Project

ROUTE = '@app.route("/")\ndef twice():\n    pass\n'


def failure(name: str) -> BaseException:
    """Import the module *name* of the current folder, which fails, and return the error."""
    if sys.path[0] != os.getcwd():
        sys.path.insert(0, os.getcwd())
    try:
        importlib.import_module(name)
    except BaseException as error:
        # Without the frame of this function.
        return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
    raise AssertionError(f"{name} could be imported")


def test_line_of_the_user_first(project: Project) -> None:
    """First the file, line and code that failed, then the error, then who called it, then how to see more."""
    inner = project.write("inner.py", "def divide():\n    return 1 / 0\n")
    outer = project.write("outer.py", "import inner\n\ninner.divide()\n")
    assert describe_failure(failure("outer")).splitlines() == [
        f'  File "{inner}", line 2, in divide',
        "    return 1 / 0",
        "ZeroDivisionError: division by zero",
        "",
        "It was reached from:",
        f'  File "{outer}", line 3, in <module>',
        "    inner.divide()",
        "",
        "For the whole traceback, add --debug, or -v before the command.",
    ]


def test_frames_of_libraries_are_left_out(project: Project) -> None:
    """An error raised inside the standard library, or inside Quaff, points to the user's call of it."""
    project.write("library.py", "import json\n\njson.loads('{')\n")
    text = describe_failure(failure("library"))
    assert "library.py\", line 3, in <module>\n    json.loads('{')\njson.decoder.JSONDecodeError" in text
    assert json.__file__ not in text
    assert text.count("File ") == 1

    project.write("view.py", f"from quaff import Quaff\n\napp = Quaff('view')\n{ROUTE}{ROUTE}")
    text = describe_failure(failure("view"))
    assert 'view.py", line 7, in <module>' in text
    assert "SetupError: " in text
    assert os.path.dirname(quaff.app.__file__) not in text


def test_frames_of_the_import_system_are_left_out(project: Project) -> None:
    """A failed import points to the import statement."""
    project.write("imports.py", "import missing_module_of_a_test\n")
    text = describe_failure(failure("imports"))
    assert 'imports.py", line 1, in <module>' in text.splitlines()[0]
    assert "ModuleNotFoundError: No module named 'missing_module_of_a_test'" in text
    assert "importlib" not in text


def test_syntax_error(project: Project) -> None:
    """A syntax error is its own place; the import that met it follows."""
    broken = project.write("broken.py", "def view(:\n    pass\n")
    project.write("imports.py", "import broken\n")
    lines = describe_failure(failure("imports")).splitlines()
    assert lines[0] == f'  File "{broken}", line 1'
    assert lines[1].strip() == "def view(:"
    assert any(line.startswith("SyntaxError: ") for line in lines[:5])
    assert "imports.py" in "\n".join(lines[lines.index("It was reached from:") :])


def test_error_without_users_frames() -> None:
    """An error that met no line of the user's is told by itself."""
    assert describe_failure(ValueError("odd")).splitlines()[:2] == ["ValueError: odd", ""]
    assert "It was reached from" not in describe_failure(ValueError("odd"))


def test_notes_of_an_error_are_kept(project: Project) -> None:
    """What `add_note()` added to the error is told too."""
    project.write("noted.py", "error = ValueError('odd')\nerror.add_note('Look at the moon.')\nraise error\n")
    assert "ValueError: odd\nLook at the moon." in describe_failure(failure("noted"))


@pytest.mark.parametrize("how", ["argument", "verbose", "debug"])
def test_whole_traceback(project: Project, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Asked for by argument, by -v, or by debug mode, it is Python's own traceback."""
    project.write("library.py", "import json\n\njson.loads('{')\n")
    error = failure("library")
    if how == "verbose":
        set_verbose(True)
    elif how == "debug":
        monkeypatch.setenv("FLASK_DEBUG", "1")
    text = describe_failure(error, full=True if how == "argument" else None)
    assert text.startswith("Traceback (most recent call last):")
    assert os.path.dirname(json.__file__) in text


def test_argument_wins(project: Project) -> None:
    """`full=False` is the short form even where everything else asks for the whole."""
    set_verbose(True)
    assert "Traceback" not in describe_failure(ValueError("odd"), full=False)


def test_is_verbose(monkeypatch: pytest.MonkeyPatch) -> None:
    """-v and debug mode each make it so; neither is the default."""
    assert is_verbose() is False
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert is_verbose() is True
    monkeypatch.setenv("FLASK_DEBUG", "0")
    assert is_verbose() is False
    set_verbose(True)
    assert is_verbose() is True


def test_is_users(project: Project) -> None:
    """A file of a project is the user's; those of Python, of packages, of Quaff, and code without a file are not."""
    assert is_users(str(project.folder / "app.py"))
    assert is_users("app.py"), "a relative name is one in the current folder"
    assert is_users(__file__)
    for name in (json.__file__, pytest.__file__, quaff.app.__file__, "<frozen importlib._bootstrap>", "<string>"):
        assert not is_users(name), name


def test_links_are_followed(project: Project) -> None:
    """A link in the project to a file of a library is still the library's."""
    link = project.folder / "link.py"
    link.symlink_to(json.__file__)
    assert not is_users(str(link))


def test_users_frames(project: Project) -> None:
    """The user's frames are given outermost first."""
    project.write("inner.py", "def divide():\n    return 1 / 0\n")
    project.write("outer.py", "import inner\n\ninner.divide()\n")
    frames = users_frames(failure("outer").__traceback__)
    assert [(os.path.basename(frame.filename), frame.lineno) for frame in frames][-2:] == [
        ("outer.py", 3),
        ("inner.py", 2),
    ]
    assert users_frames(None) == []
