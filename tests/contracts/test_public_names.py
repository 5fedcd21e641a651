"""The package's door holds exactly the listed names, and no module takes the place of one of them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import quaff
from tests.contracts.source import TESTS, modules

LISTED = [
    line
    for line in (TESTS / "contracts" / "public_names.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def test_the_door_lists_exactly_these_names() -> None:
    """`quaff.__all__` is the checked-in list: nothing leaks and nothing is forgotten."""
    assert sorted(quaff.__all__) == sorted(LISTED)


@pytest.mark.parametrize("name", LISTED)
def test_each_name_can_be_had(name: str) -> None:
    """Each listed name is there when it is asked for, also those that load on first use, and `dir` shows it."""
    assert getattr(quaff, name) is not None
    assert name in dir(quaff)


def test_nothing_else_is_public() -> None:
    """Beside the listed names the door holds modules, private names and what it needs for typing only."""
    extra = {
        name
        for name, value in vars(quaff).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name not in LISTED
    }
    assert extra <= {"annotations", "Any", "TYPE_CHECKING", "cast"}


def test_no_module_has_the_name_of_a_public_object() -> None:
    """Importing a submodule never overwrites a public name; `json` is the module itself."""
    submodules = {info.name for info in pkgutil.iter_modules(quaff.__path__)}
    assert submodules & set(LISTED) <= {"json"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as for any module, and the message names it."""
    with pytest.raises(AttributeError, match="rendre_template"):
        _ = quaff.rendre_template  # type: ignore[attr-defined]


def test_flask_is_quaff() -> None:
    """`Flask` and `Quaff` are one class."""
    assert quaff.Flask is quaff.Quaff


@pytest.mark.parametrize("name", sorted(name for name in modules() if not name.endswith("__main__")))
def test_every_module_imports_on_its_own(name: str) -> None:
    """Each module of the package can be imported."""
    if name in {"quaff.compat.site", "quaff.compat.pytest_plugin"}:
        pytest.skip("importing it installs the alias for the process: tests/compat does that in a child process")
    assert importlib.import_module(name).__name__ == name
