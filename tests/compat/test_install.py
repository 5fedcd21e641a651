"""The alias as a whole: what `import flask` gives, and what becomes of it when it is installed and taken away."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import warnings
from collections.abc import Callable
from types import ModuleType

import pytest

import quaff
from quaff.compat import flask_alias_installed, install_as_flask, uninstall_flask_alias
from quaff.compat.aliases import MODULES, PUBLIC_NAMES

from .conftest import Run


def test_flask_is_quaff(flask: ModuleType) -> None:
    """Every public name of `flask` is the very object of `quaff`."""
    for name in PUBLIC_NAMES:
        assert getattr(flask, name) is getattr(quaff, name), name
    assert flask.Flask is quaff.Quaff


@pytest.mark.parametrize("alias, real", MODULES.items())
def test_submodules_are_the_same_objects(flask: ModuleType, alias: str, real: str) -> None:
    """`flask.app is quaff.app`, so that patching one patches the other and classes are identical."""
    assert importlib.import_module(alias) is importlib.import_module(real)


def test_submodules_keep_their_own_identity(flask: ModuleType) -> None:
    """Importing a module by its alias changes nothing in it: neither its name nor its spec."""
    module = importlib.import_module("flask.sansio.scaffold")
    assert module.__name__ == "quaff.scaffold"
    assert module.__spec__ is not None
    assert module.__spec__.name == "quaff.scaffold"


def test_the_names_of_flask_sansio(flask: ModuleType) -> None:
    """The classes that Flask 3 calls sans-IO are under their names there."""
    from flask.sansio.app import App
    from flask.sansio.blueprints import Blueprint
    from flask.sansio.scaffold import Scaffold, _endpoint_from_view_func

    assert issubclass(flask.Flask, App)
    assert issubclass(flask.Blueprint, Blueprint)
    assert issubclass(App, Scaffold)
    assert _endpoint_from_view_func(test_flask_is_quaff) == "test_flask_is_quaff"


def test_private_names_are_found_where_they_were(flask: ModuleType) -> None:
    """Extensions look for `_endpoint_from_view_func` in three places; no warning, for Flask has it still."""
    from flask.helpers import _endpoint_from_view_func as in_helpers
    from flask.sansio.scaffold import _endpoint_from_view_func as in_sansio
    from flask.scaffold import _endpoint_from_view_func as in_scaffold

    assert in_helpers is in_scaffold is in_sansio


def test_submodules_are_attributes(flask: ModuleType) -> None:
    """`flask.cli` works after `import flask`, and loads when it is first used."""
    assert flask.cli is importlib.import_module("quaff.cli")
    assert flask.views is importlib.import_module("quaff.views")


def test_unknown_submodule(flask: ModuleType) -> None:
    """What Flask does not have cannot be imported, even where Quaff has a module of that name."""
    for name in ("flask.nothing", "flask.pipeline", "flask.compat", "flask.json.nothing"):
        with pytest.raises(ModuleNotFoundError, match=name):
            importlib.import_module(name)
        assert importlib.util.find_spec(name) is None


def test_installing_again_changes_nothing(flask: ModuleType) -> None:
    """A second `install_as_flask` keeps the module that the first one gave."""
    before = list(sys.meta_path)
    install_as_flask()
    assert sys.meta_path == before
    assert importlib.import_module("flask") is flask


def test_quaff_has_the_function(no_alias: None) -> None:
    """`quaff.install_as_flask()` is the public name."""
    quaff.install_as_flask()
    assert flask_alias_installed()


def test_uninstalling_puts_everything_back(no_alias: None) -> None:
    """Afterwards nothing of the alias is left in the import system or in other packages."""
    import werkzeug.urls

    meta_path, names = list(sys.meta_path), set(vars(werkzeug.urls))
    install_as_flask()
    importlib.import_module("flask.json.tag")
    importlib.import_module("flask.sansio.app")
    uninstall_flask_alias()
    assert sys.meta_path == meta_path
    assert set(vars(werkzeug.urls)) == names
    assert not [name for name in sys.modules if name.split(".")[0] == "flask"]
    assert not flask_alias_installed()
    uninstall_flask_alias()


def test_it_can_be_installed_again(no_alias: None) -> None:
    """Install, take away, install: the second time is as good as the first."""
    for _ in range(2):
        install_as_flask()
        assert importlib.import_module("flask").Flask is quaff.Quaff
        with pytest.warns(DeprecationWarning, match="url_quote"):
            importlib.import_module("werkzeug.urls").url_quote("x")
        uninstall_flask_alias()


def test_a_flask_that_was_imported_is_replaced(no_alias: None) -> None:
    """A Flask that somebody has imported gives way, with one warning, and comes back afterwards."""
    real, real_app = ModuleType("flask"), ModuleType("flask.app")
    sys.modules.update({"flask": real, "flask.app": real_app})
    with pytest.warns(RuntimeWarning, match="imported before quaff.install_as_flask") as caught:
        install_as_flask()
    assert [warning.filename for warning in caught] == [__file__]
    assert importlib.import_module("flask").Flask is quaff.Quaff
    assert importlib.import_module("flask.app") is importlib.import_module("quaff.app")
    uninstall_flask_alias()
    assert sys.modules["flask"] is real
    assert sys.modules["flask.app"] is real_app


def test_it_wins_over_an_installed_flask(no_alias: None, module_file: Callable[[str, str], None]) -> None:
    """A `flask` that can be found on the path is not even looked at."""
    module_file("flask/__init__.py", "raise AssertionError('this is the wrong Flask')")
    install_as_flask()
    assert importlib.import_module("flask").Flask is quaff.Quaff


def test_many_threads_import_at_once(no_alias: None) -> None:
    """Threads that install and import at the same moment all get the same, complete modules."""
    barrier = threading.Barrier(12)
    found: list[tuple[object, object]] = []

    def work(number: int) -> None:
        barrier.wait()
        install_as_flask()
        module = importlib.import_module(("flask.wrappers", "flask.scaffold", "flask.sansio.scaffold")[number % 3])
        found.append((importlib.import_module("flask"), module.__spec__ and module.__spec__.name))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(flask) for flask, _ in found}) == 1
    assert {name for _, name in found} == {"quaff.wrappers", "quaff.scaffold"}
    assert sum(type(finder).__name__ == "AliasFinder" for finder in sys.meta_path) == 1


def test_the_app_of_a_flask_program(flask: ModuleType) -> None:
    """A program that says `flask` everywhere runs."""
    app = flask.Flask("program")
    blueprint = flask.Blueprint("part", "program")

    @blueprint.get("/<int:number>")
    def view(number: int) -> dict[str, object]:
        return {"number": number, "host": flask.request.host, "app": flask.current_app.name}

    app.register_blueprint(blueprint)
    with app.test_client() as client:
        assert client.get("/7").json == {"number": 7, "host": "localhost", "app": "program"}
        assert flask.request.path == "/7"


def test_nothing_is_imported_before_it_is_asked_for(run_python: Run) -> None:
    """Installing loads neither Jinja2 nor Click nor a server, and importing `flask` does not either."""
    code = """
import sys, quaff
quaff.install_as_flask()
import flask
print(*(name for name in ("jinja2", "click", "granian", "werkzeug.serving", "werkzeug.test") if name in sys.modules))
"""
    assert run_python("-c", code).stdout.strip() == ""


def test_warnings_as_errors(run_python: Run) -> None:
    """Importing every module of Flask under `-W error` warns of nothing."""
    code = f"import quaff, importlib; quaff.install_as_flask(); [importlib.import_module(m) for m in {list(MODULES)}]"
    run_python("-W", "error", "-c", code)


def test_star_import(flask: ModuleType) -> None:
    """`from flask import *` gives Flask's public names."""
    scope: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec("from flask import *", scope)
    assert scope.keys() - {"__builtins__"} == set(PUBLIC_NAMES)
