"""How modules are loaded under other names, and changed as they load."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from quaff.compat.loaders import AliasLoader, ChangingLoader, changes_of, find_flask, find_gone

from .conftest import Run


def test_a_changed_module_shows_no_trace(flask: ModuleType) -> None:
    """Its loader and source are those it would have without the alias."""
    for name in [name for name in sys.modules if name.startswith("jinja2.ext")]:
        del sys.modules[name]
    module = importlib.import_module("jinja2.ext")
    assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert module.__spec__ is not None
    assert module.__spec__.loader is module.__loader__
    assert "class Extension" in inspect.getsource(module)


def test_optional_parts_of_the_loader_protocol(flask: ModuleType) -> None:
    """`get_source` and the like reach the module's own loader through the wrapper."""
    spec = importlib.util.find_spec("werkzeug.urls")
    assert spec is not None
    finder = next(finder for finder in sys.meta_path if type(finder).__name__ == "AliasFinder")
    found = finder.find_spec("werkzeug.urls", importlib.import_module("werkzeug").__path__)
    assert found is not None
    assert isinstance(found.loader, ChangingLoader)
    assert "def iri_to_uri" in found.loader.get_source("werkzeug.urls")


def test_what_is_changed() -> None:
    """Modules with rows in the table, the one that starts child processes, and the one with old arguments."""
    assert len(changes_of("werkzeug.urls")) == 1
    assert len(changes_of("multiprocessing.spawn")) == 1
    assert len(changes_of("quaff.helpers")) == 2
    assert changes_of("werkzeug.middleware") == []


def test_gone_modules() -> None:
    """Only modules that were removed are found as such."""
    assert find_gone("werkzeug.contrib.fixers")
    assert find_gone("werkzeug.utils") is None


def test_main_of_flask() -> None:
    """`flask.__main__` is a file, because Python wants to run one."""
    spec = find_flask("flask.__main__", "__main__")
    assert spec is not None
    assert spec.origin is not None
    assert spec.origin.endswith("flask_main.py")


def test_an_error_inside_the_module_is_shown(flask: ModuleType, module_file: Callable[[str, str], None]) -> None:
    """A module that is there but cannot be imported shows its own error."""
    module_file("broken_thing.py", "import nothing_of_the_kind\n")
    spec = importlib.util.spec_from_loader("flask.broken", AliasLoader("broken_thing"))
    assert spec is not None
    with pytest.raises(ModuleNotFoundError, match="nothing_of_the_kind"):
        importlib.util.module_from_spec(spec)


def test_code_of_an_alias(flask: ModuleType, run_python: Run) -> None:
    """`python -m flask.cli` runs the module behind the alias."""
    code = "import quaff, runpy; quaff.install_as_flask(); runpy.run_module('flask.cli', run_name='__main__')"
    assert "routes" in run_python("-c", code, "--help").stdout


class TestFlaskExt:
    """`flask.ext.name`, which Flask 1.0 removed, is `flask_name`."""

    @pytest.fixture(autouse=True)
    def extension(self, flask: ModuleType, module_file: Callable[[str, str], None]) -> None:
        """Write an extension."""
        module_file("flask_thing/__init__.py", "class Thing: pass\n")
        module_file("flask_thing/parts.py", "PART = 1\n")
        module_file("flaskext/ancient.py", "AGE = 15\n")

    def test_from_the_module(self) -> None:
        """`from flask.ext.thing import Thing` gives the extension's class, and warns once with its own name."""
        with pytest.warns(DeprecationWarning, match="use import flask_thing") as caught:
            from flask.ext.thing import Thing
        assert Thing is importlib.import_module("flask_thing").Thing
        assert len(caught) == 1
        assert caught[0].filename == __file__

    def test_from_the_package(self) -> None:
        """`from flask.ext import thing` is the same module."""
        with pytest.warns(DeprecationWarning, match="flask_thing"):
            from flask.ext import thing
        assert thing is importlib.import_module("flask_thing")

    def test_as_attribute(self, flask: ModuleType) -> None:
        """`import flask.ext.thing` makes `flask.ext.thing` work."""
        with pytest.warns(DeprecationWarning, match="flask_thing"):
            import flask.ext.thing
        assert flask.ext.thing.Thing

    def test_submodules(self) -> None:
        """What is below the extension is found below the old name."""
        with pytest.warns(DeprecationWarning, match="flask_thing") as caught:
            from flask.ext.thing.parts import PART
        assert PART == 1
        assert len(caught) == 1

    def test_the_older_layout(self) -> None:
        """Before that, extensions lived in a package `flaskext`."""
        with pytest.warns(DeprecationWarning, match="flaskext.ancient"):
            from flask.ext.ancient import AGE
        assert AGE == 15

    def test_an_extension_that_is_not_installed(self) -> None:
        """It is missing like any other module."""
        with pytest.raises(ModuleNotFoundError, match=r"flask\.ext\.missing"):
            importlib.import_module("flask.ext.missing")
        with pytest.raises(ImportError):
            exec("from flask.ext import missing")
