"""Extensions whose place a battery takes: under the alias, they are the battery."""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from types import ModuleType

import pytest

from quaff.compat.aliases import BATTERIES, BATTERY_ROOTS, VERSIONS
from quaff.compat.install import install_as_flask, uninstall_flask_alias


@pytest.mark.parametrize("name", sorted(BATTERIES))
def test_the_extension_is_the_battery(flask: ModuleType, name: str) -> None:
    """Importing the extension gives the very module of the battery, and so do its submodules."""
    assert importlib.import_module(name) is importlib.import_module(BATTERIES[name])


def test_classes_are_identical(flask: ModuleType) -> None:
    """A class has one identity under both names, so that `isinstance` holds."""
    import flask_cors  # type: ignore[import-not-found]  # the alias makes it

    from quaff.ext.cors import CORS

    assert flask_cors.CORS is CORS


def test_a_module_that_the_battery_does_not_have(flask: ModuleType) -> None:
    """A submodule that is neither the extension's nor the battery's is not found."""
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("flask_cors.nothing")


@pytest.mark.parametrize("name", sorted(VERSIONS))
def test_version(flask: ModuleType, name: str) -> None:
    """`importlib.metadata` answers with the version whose API the battery has, however the name is spelt."""
    assert metadata.version(name) == VERSIONS[name]
    assert metadata.version(name.replace("-", "_").title()) == VERSIONS[name]
    assert metadata.distribution(name).read_text("top_level.txt") == f"{name.replace('-', '_')}\n"


def test_every_root_has_a_version() -> None:
    """No battery is forgotten in the metadata."""
    assert {root.replace("_", "-") for root in BATTERY_ROOTS} | {"flask"} == set(VERSIONS)


def test_extensions_may_stay_what_they_are(no_alias: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `QUAFF_BATTERIES=0` only Flask itself is replaced."""
    monkeypatch.setenv("QUAFF_BATTERIES", "0")
    install_as_flask()
    import flask

    assert flask.Flask.__module__ == "quaff.app"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("flask_sslify")
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.version("flask-sslify")


def test_what_was_loaded_before_comes_back(no_alias: None) -> None:
    """A real extension that was imported first is put aside, and back when the alias goes."""
    real = ModuleType("flask_cors")
    sys.modules["flask_cors"] = real
    try:
        install_as_flask()
        assert importlib.import_module("flask_cors") is not real
        uninstall_flask_alias()
        assert sys.modules["flask_cors"] is real
    finally:
        sys.modules.pop("flask_cors", None)


def test_nothing_is_left_when_the_alias_goes(flask: ModuleType) -> None:
    """Without the alias there is no `flask_sslify`."""
    importlib.import_module("flask_sslify")
    uninstall_flask_alias()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("flask_sslify")
