"""The finder answers for its own names and leaves all others alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.metadata import DistributionFinder

import pytest

from quaff.compat.finder import AliasFinder


@pytest.mark.parametrize(
    "name", ["json", "flask_login", "flaskr", "werkzeug.exceptions", "quaff.errors", "quaff.nothing"]
)
def test_names_of_others(name: str) -> None:
    """What is neither Flask nor lost anything is left to the next finder."""
    assert AliasFinder().find_spec(name) is None


@pytest.mark.parametrize(
    "name", ["flask", "flask.app", "flask.sansio", "flask.ext", "flask.json.tag", "werkzeug.contrib"]
)
def test_names_of_its_own(name: str) -> None:
    """What is Flask's is found, and so are the packages that only held others."""
    spec = AliasFinder().find_spec(name)
    assert spec is not None
    assert spec.name == name


def test_a_changed_module_is_found_by_the_next_finder() -> None:
    """A module that lost names is loaded by its own loader, wrapped; its file and kind are as always."""
    finder = AliasFinder()
    spec = finder.find_spec("werkzeug.urls", importlib.import_module("werkzeug").__path__)
    assert spec is not None
    assert spec.origin is not None
    assert spec.origin.endswith("urls.py")


def test_a_changed_module_that_does_not_exist() -> None:
    """When nobody has the module, neither has the finder."""
    assert AliasFinder().find_spec("werkzeug.urls", []) is None


def test_distributions() -> None:
    """Without a context everything is meant."""
    finder = AliasFinder()
    assert [found.name for found in finder.find_distributions()] == ["Flask"]
    finder.replaced = frozenset({"flask", "flask_cors"})
    assert [found.name for found in finder.find_distributions()] == ["Flask", "flask-cors"]
    assert list(finder.find_distributions(DistributionFinder.Context(name="werkzeug"))) == []


def test_it_has_no_caches() -> None:
    """`importlib.invalidate_caches()` calls it like any finder."""
    finder = AliasFinder()
    sys.meta_path.append(finder)
    try:
        importlib.invalidate_caches()
    finally:
        sys.meta_path.remove(finder)


def test_a_finder_that_is_not_installed_changes_nothing() -> None:
    """A module whose loading had begun when the alias was taken away stays as it is."""
    finder = AliasFinder()
    spec = finder.find_spec("markupsafe")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    with pytest.raises(AttributeError):
        module.soft_unicode  # noqa: B018


def test_it_costs_an_interpreter_next_to_nothing() -> None:
    """What stands in front of every import is small: nothing else is loaded, not even of the standard library.

    The packages around it are left out here: what `import quaff` brings is measured elsewhere.
    """
    code = """
import sys
for name in ("quaff", "quaff.compat"):
    module = sys.modules[name] = type(sys)(name)
    module.__path__ = [f"{sys.argv[1]}/" + name.replace(".", "/")]
before = set(sys.modules)
import quaff.compat.site
print(*sorted(set(sys.modules) - before))
"""
    source = importlib.import_module("quaff").__path__[0].removesuffix("/quaff")
    done = subprocess.run([sys.executable, "-c", code, source], capture_output=True, text=True, check=True)
    parts = {"aliases", "finder", "install", "site"}
    assert set(done.stdout.split()) <= {f"quaff.compat.{part}" for part in parts} | {"_thread", "__future__"}
