"""Giving names back to a module, whatever it is like."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from quaff._internal.imports import defer_module
from quaff.compat.patching import GivenBack, Removed, RemovedModule, RemovedName, finder_of, warn_user

ROWS = {
    "old": Removed("somewhere.old", "Flask 9", "something new", "math:pi"),
    "silent": Removed("somewhere.silent", "", "", "math:e"),
    "part": Removed("somewhere.part", "Flask 9", "json.decoder", "json.decoder:"),
}


def test_the_message_says_what_and_instead() -> None:
    """The whole sentence."""
    assert ROWS["old"].message == (
        "'somewhere.old' was removed in Flask 9 and works in Quaff for old code only: use something new."
    )


def test_a_row_can_stand_for_a_module() -> None:
    """A target without an attribute is the module."""
    assert ROWS["part"].load() is importlib.import_module("json.decoder")


def test_warnings_are_errors_of_the_right_kind() -> None:
    """As exceptions they are what Python raises for a name or module that is not there."""
    assert issubclass(RemovedName, AttributeError)
    assert issubclass(RemovedName, DeprecationWarning)
    assert issubclass(RemovedModule, ImportError)
    assert issubclass(RemovedModule, DeprecationWarning)


def test_what_the_module_has_is_not_touched() -> None:
    """Own names do not go through the table."""
    module = ModuleType("somewhere")
    vars(module)["old"] = "still here"
    GivenBack(module, ROWS)
    assert module.old == "still here"


def test_unknown_name() -> None:
    """A name that is not in the table is an AttributeError as Python words it, for suggestions too."""
    module = ModuleType("somewhere")
    GivenBack(module, ROWS)
    with pytest.raises(AttributeError, match="module 'somewhere' has no attribute 'olt'") as caught:
        module.olt  # noqa: B018
    assert caught.value.name == "olt"
    assert caught.value.obj is module


def test_the_modules_own_getattr_is_asked_first() -> None:
    """A module that answers for names itself goes on doing so."""
    module = ModuleType("somewhere")

    def own(name: str) -> str:
        if name in ("mine", "old"):
            return f"own {name}"
        raise AttributeError(name)

    vars(module)["__getattr__"] = own
    given = GivenBack(module, ROWS)
    assert module.mine == "own mine"
    assert module.old == "own old"
    assert module.silent
    given.undo()
    assert vars(module)["__getattr__"] is own


def test_undo_without_a_getattr_before() -> None:
    """Afterwards the module has none, as before."""
    module = ModuleType("somewhere")
    GivenBack(module, ROWS).undo()
    assert "__getattr__" not in vars(module)


@pytest.fixture
def deferred(module_file: Callable[[str, str], None]) -> ModuleType:
    """Give a package that is in `sys.modules` but has not run, as Quaff does with Werkzeug."""
    module_file("late_package/__init__.py", "LOADED = True\n")
    defer_module("late_package")
    return sys.modules["late_package"]


def test_a_deferred_package_loads_when_it_is_used(deferred: ModuleType) -> None:
    """The names are back before and after the package has run, and it runs once."""
    GivenBack(deferred, ROWS)
    assert "LOADED" not in vars(deferred)
    assert deferred.LOADED is True
    vars(deferred)["LOADED"] = "kept"
    with pytest.warns(RemovedName):
        deferred.old  # noqa: B018
    assert deferred.LOADED == "kept"


def test_a_deferred_package_whose_old_name_comes_first(deferred: ModuleType) -> None:
    """Asking for an old name runs the package as well."""
    given = GivenBack(deferred, ROWS)
    with pytest.warns(RemovedName):
        deferred.old  # noqa: B018
    assert deferred.LOADED is True
    given.undo()
    assert not hasattr(deferred, "old")


def test_the_warning_points_at_the_user() -> None:
    """Whatever lies between, frames of Quaff and of the import system are not where the user looks."""
    module = ModuleType("somewhere")
    find = finder_of(module, ROWS)

    def through_another_function(name: str) -> Any:
        return find(name)

    with pytest.warns(RemovedName) as caught:
        through_another_function("old")
    assert caught[0].filename == __file__
    assert caught[0].lineno == through_another_function.__code__.co_firstlineno + 1


def test_warn_user_outside_of_quaff() -> None:
    """The line that calls it is the user's, when it is not one of Quaff's."""
    with pytest.warns(UserWarning, match="words") as caught:
        warn_user("words", UserWarning)
    assert caught[0].filename == __file__


def test_hasattr_warns() -> None:
    """Asking whether an old name is there is a use of it, other than by an import statement."""
    module = ModuleType("somewhere")
    GivenBack(module, ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert hasattr(module, "old")
    with pytest.warns(RemovedName):
        hasattr(module, "old")
