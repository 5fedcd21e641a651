"""Arguments that were renamed: the old names work under the alias, and warn."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import quaff
from quaff.compat import install_as_flask, uninstall_flask_alias
from quaff.compat.old_arguments import RENAMED, accept_old

CASES = [(function, old, new) for function, renamed in RENAMED.items() for old, new in renamed.items()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file to send."""
    path = tmp_path / "a.txt"
    path.write_text("content", encoding="utf-8")
    return path


@pytest.mark.parametrize("function, old, new", CASES)
def test_an_old_argument_is_passed_under_its_new_name(function: str, old: str, new: str) -> None:
    """The value arrives, with one warning at the user's line that says both names."""

    def target(**kwargs: Any) -> dict[str, Any]:
        return kwargs

    target.__name__ = function
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert accept_old(target, RENAMED[function])(**{old: "value", "other": 1}) == {new: "value", "other": 1}
    (warning,) = caught
    assert issubclass(warning.category, DeprecationWarning)
    assert str(warning.message) == (
        f"'flask.{function}({old}=)' was removed in Flask 2.2 and works in Quaff for old code only: use {new}."
    )
    assert warning.filename == __file__


def test_send_file(flask: ModuleType, file: Path) -> None:
    """A program for Flask 1 sends a file."""
    app = flask.Flask("program")
    with app.test_request_context(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        response = flask.send_file(
            file, as_attachment=True, attachment_filename="b.txt", cache_timeout=60, add_etags=False
        )
    response.close()
    assert response.headers["Content-Disposition"] == "attachment; filename=b.txt"
    assert response.cache_control.max_age == 60
    assert response.get_etag() == (None, None)
    assert len(caught) == 3


def test_send_from_directory(flask: ModuleType, file: Path) -> None:
    """The path used to be called a filename."""
    app = flask.Flask("program")
    with app.test_request_context(), pytest.warns(DeprecationWarning, match="filename"):
        response = flask.helpers.send_from_directory(file.parent, filename="a.txt")
    response.direct_passthrough = False
    assert response.get_data(as_text=True) == "content"
    response.close()


def test_todays_arguments_warn_of_nothing(flask: ModuleType, file: Path) -> None:
    """Who writes today's names hears nothing."""
    app = flask.Flask("program")
    with app.test_request_context(), warnings.catch_warnings():
        warnings.simplefilter("error")
        flask.send_file(file, download_name="b.txt", max_age=1, etag=False).close()


def test_both_names(flask: ModuleType, file: Path) -> None:
    """The old and the new name at once are a mistake."""
    with pytest.raises(TypeError, match="'attachment_filename' and 'download_name', which are the same"):
        flask.send_file(file, attachment_filename="a", download_name="b")


def test_warnings_as_errors(flask: ModuleType, file: Path) -> None:
    """`-W error` makes it the TypeError that today's Flask raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError):
            flask.send_file(file, attachment_filename="a")


def test_it_is_one_function_everywhere(flask: ModuleType) -> None:
    """`flask`, `quaff` and their modules have the same function, with today's signature."""
    for name in RENAMED:
        function = getattr(flask, name)
        assert function is getattr(quaff, name) is getattr(flask.helpers, name)
        assert not inspect.signature(function).parameters.keys() & {"attachment_filename", "cache_timeout"}


def test_without_the_alias(no_alias: None, file: Path) -> None:
    """Quaff by itself knows today's arguments only, before and after."""
    before = quaff.send_file
    install_as_flask()
    uninstall_flask_alias()
    assert quaff.send_file is before
    with pytest.raises(TypeError):
        quaff.send_file(file, attachment_filename="a")  # type: ignore[call-arg]


def test_a_patched_function_is_left_alone(no_alias: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that has replaced the function keeps its replacement while the alias comes and goes."""
    monkeypatch.setattr(quaff, "send_file", "patched")
    install_as_flask()
    assert quaff.send_file == "patched"  # type: ignore[comparison-overlap]
    uninstall_flask_alias()
    assert quaff.send_file == "patched"  # type: ignore[comparison-overlap]
