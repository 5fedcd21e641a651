"""Every name of the table: it is back, it warns once, and it says what to write instead."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from quaff.compat import install_as_flask, uninstall_flask_alias
from quaff.compat.aliases import MODULES
from quaff.compat.patching import Removed
from quaff.compat.removed import GONE, all_rows, rows_of

from .conftest import Run

ROWS = [(module, name, row) for module, rows in all_rows().items() for name, row in rows.items()]
IDS = [f"{module}.{name}" for module, name, _ in ROWS]
ELSEWHERE = {"feedwerk.atom", "cachelib", "secure_cookie.cookie", "secure_cookie.session"}
"""Modules of distributions that are not ours to install."""


def _holder(flask: ModuleType, module: str) -> ModuleType:
    return flask if module == "flask" else importlib.import_module(module)


def _alias(module: str) -> str:
    return next((alias for alias, real in MODULES.items() if real == module), module)


@pytest.mark.parametrize("module, name, row", ROWS, ids=IDS)
def test_name_is_back(flask: ModuleType, module: str, name: str, row: Removed) -> None:
    """The name gives what its row says, with one warning at the line that asks, naming the modern way."""
    holder = _holder(flask, module)
    assert name not in vars(holder), "the row is dead: the module has the name"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = getattr(holder, name)
    assert found is row.load()
    if row.removed_in:
        (warning,) = caught
        assert issubclass(warning.category, DeprecationWarning)
        assert str(warning.message) == row.message
        assert row.instead in row.message
        assert row.removed_in in row.message
        assert warning.filename == __file__
    else:
        assert not caught


@pytest.mark.parametrize("module, name, row", ROWS, ids=IDS)
def test_import_statement_warns_once(flask: ModuleType, module: str, name: str, row: Removed) -> None:
    """`from module import name` warns once, although Python asks a package twice."""
    alias = _alias(module)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile(f"from {alias} import {name}", "program.py", "exec"), {})
    assert [warning.filename for warning in caught] == (["program.py"] if row.removed_in else [])


@pytest.mark.parametrize("module, name", [(module, name) for module, name, row in ROWS if row.removed_in])
def test_under_warnings_as_errors_the_name_is_not_there(flask: ModuleType, module: str, name: str) -> None:
    """`-W error` makes it an ImportError, as with today's Flask: code that tries old names first goes on."""
    alias = _alias(module)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not hasattr(_holder(flask, module), name)
        with pytest.raises(ImportError, match=name):
            exec(f"from {alias} import {name}", {})


@pytest.mark.parametrize("module, name", [(module, name) for module, name, _ in ROWS])
def test_without_the_alias_the_name_is_gone(no_alias: None, module: str, name: str) -> None:
    """Only the alias brings the names back: without it Werkzeug and Quaff are what they are."""
    if module != "flask":
        assert not hasattr(importlib.import_module(module), name)


@pytest.fixture
def elsewhere(module_file: Callable[[str, str], None]) -> Iterator[None]:
    """Give stand-ins for the distributions that some old modules have become."""
    loaded = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in _roots()}
    for name in ELSEWHERE:
        if "." in name:
            module_file(name.replace(".", "/") + ".py", "")
        else:
            module_file(f"{name}/__init__.py", "")
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in _roots()]:
        del sys.modules[name]
    sys.modules.update(loaded)


def _roots() -> set[str]:
    return {name.split(".")[0] for name in ELSEWHERE}


@pytest.mark.parametrize("name", GONE)
def test_module_is_back(elsewhere: None, flask: ModuleType, name: str) -> None:
    """A module that was removed can be imported; the warning says what it has become."""
    with pytest.warns(DeprecationWarning, match=name) as caught:
        module = importlib.import_module(name)
    assert module is importlib.import_module(GONE[name].target.rstrip(":"))
    assert [str(warning.message) for warning in caught] == [GONE[name].message]


@pytest.mark.parametrize("name", GONE)
def test_module_under_warnings_as_errors(elsewhere: None, flask: ModuleType, name: str) -> None:
    """`-W error` makes it an ImportError."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImportError, match=name):
            importlib.import_module(name)


def test_module_whose_distribution_is_missing(flask: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the distribution to install."""
    monkeypatch.setitem(sys.modules, "cachelib", None)
    missing = pytest.raises(ModuleNotFoundError, match="use the distribution cachelib")
    with pytest.warns(DeprecationWarning, match="cachelib"), missing:
        importlib.import_module("werkzeug.contrib.cache")


def test_modules_leave_with_the_alias(no_alias: None) -> None:
    """Without the alias the old modules cannot be imported."""
    install_as_flask()
    with pytest.warns(DeprecationWarning, match="fixers"):
        importlib.import_module("werkzeug.contrib.fixers")
    uninstall_flask_alias()
    for name in GONE:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)


def test_a_module_that_lost_nothing() -> None:
    """Most modules have no rows."""
    assert rows_of("werkzeug.middleware.proxy_fix") == {}


def test_werkzeug_may_come_first(run_python: Run) -> None:
    """The names are back whether Werkzeug is imported before or after the alias, and at its top as below."""
    check = """
from werkzeug import secure_filename, generate_password_hash
from werkzeug.urls import url_quote
from werkzeug.contrib.fixers import ProxyFix
import werkzeug
print(werkzeug.secure_filename("a b"), url_quote("a b"), werkzeug.Request.__name__)
"""
    for code in (
        f"import werkzeug.urls, werkzeug\nwerkzeug.Request\nimport quaff; quaff.install_as_flask(){check}",
        f"import quaff; quaff.install_as_flask(){check}",
        f"import quaff.compat; quaff.compat.install_as_flask(); import flask{check}",
    ):
        assert run_python("-c", code).stdout.strip() == "a_b a%20b Request"
