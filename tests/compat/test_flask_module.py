"""The module `flask` passes what is done to it on to `quaff`."""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from unittest import mock

import pytest

import quaff
from quaff.compat import install_as_flask, uninstall_flask_alias


def test_reading(flask: ModuleType) -> None:
    """A name is looked up in `quaff` each time, so it is never out of date."""
    with mock.patch.object(quaff, "url_for", "patched"):
        assert flask.url_for == "patched"
    assert flask.url_for is quaff.url_for


def test_setting(flask: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """`monkeypatch.setattr(flask, ...)` is seen by those who import from `quaff`, and is undone."""
    original = quaff.flash
    monkeypatch.setattr(flask, "flash", "patched")
    assert quaff.flash == "patched"  # type: ignore[comparison-overlap]
    monkeypatch.undo()
    assert quaff.flash is original


def test_setting_by_name(flask: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path of names reaches into submodules."""
    monkeypatch.setattr("flask.helpers.get_debug_flag", lambda: "patched")
    assert importlib.import_module("quaff.helpers").get_debug_flag() == "patched"


def test_mock_patch(flask: ModuleType) -> None:
    """`mock.patch` deletes and sets again where a name is not the module's own; the name survives that."""
    original = quaff.abort
    with mock.patch("flask.abort", "patched"):
        assert quaff.abort == "patched"  # type: ignore[comparison-overlap]
    assert flask.abort is quaff.abort is original


def test_new_names_and_deleting(flask: ModuleType) -> None:
    """A name of the user's own can be set and deleted."""
    flask.of_my_own = 1
    assert quaff.of_my_own == 1  # type: ignore[attr-defined]
    del flask.of_my_own
    assert not hasattr(flask, "of_my_own")
    with pytest.raises(AttributeError):
        del flask.of_my_own


def test_its_own_attributes(flask: ModuleType) -> None:
    """What Python asks a module about is about `flask`, not about `quaff`."""
    assert flask.__name__ == flask.__spec__.name == flask.__package__ == "flask"
    assert flask.__doc__ == quaff.__doc__
    assert inspect.getfile(flask) == quaff.__file__
    assert quaff.__name__ == quaff.__spec__.name == "quaff"
    assert not hasattr(flask, "__wrapped__")


def test_sansio_stays_out_of_quaff(flask: ModuleType) -> None:
    """Packages that only Flask has are not set on `quaff`."""
    importlib.import_module("flask.sansio.app")
    assert flask.sansio.app is importlib.import_module("quaff.appbase")
    assert not hasattr(quaff, "sansio")


def test_version(flask: ModuleType) -> None:
    """`flask.__version__` is that of the Flask whose API it is; like Flask's own it warns, and asks for metadata."""
    with pytest.warns(DeprecationWarning, match="importlib.metadata") as caught:
        assert flask.__version__ == "3.1.3"
    assert caught[0].filename == __file__


def test_dir(flask: ModuleType) -> None:
    """`dir(flask)` lists the public names and the submodules."""
    listed = dir(flask)
    assert {"Flask", "render_template", "request", "json", "sansio", "testing"} <= set(listed)
    assert "__quaff__" not in listed


def test_a_name_that_nobody_has(flask: ModuleType) -> None:
    """The error speaks of the module that was asked."""
    with pytest.raises(AttributeError, match="module 'flask' has no attribute 'nothing'"):
        flask.nothing  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'flask'"):
        exec("from flask import nothing")


def test_reading_costs_little(flask: ModuleType) -> None:
    """`flask.request` costs what `quaff.request` costs, no Python call: programs write it on every line."""
    flask.request  # noqa: B018 - the first read keeps the name
    calls = []

    def note(frame: object, event: str, argument: object) -> None:
        if event == "call":
            calls.append(frame)

    sys.setprofile(note)
    try:
        flask.request  # noqa: B018
    finally:
        sys.setprofile(None)
    assert not calls


def test_kept_names_are_never_stale(flask: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was read is read anew after it was set or deleted on either module."""
    original = flask.redirect
    for module in (flask, quaff):
        monkeypatch.setattr(module, "redirect", "patched")
        assert flask.redirect == quaff.redirect == "patched"
        monkeypatch.undo()
        assert flask.redirect is quaff.redirect is original
    monkeypatch.delattr(quaff, "redirect")
    assert not hasattr(flask, "redirect")
    monkeypatch.undo()
    assert flask.redirect is original


def test_names_that_load_late(flask: ModuleType) -> None:
    """What `quaff` loads on first use is the same object from then on."""
    assert flask.render_template is quaff.render_template
    assert flask.render_template is importlib.import_module("quaff.templating").render_template


def test_after_the_alias(no_alias: None) -> None:
    """A module that somebody kept goes on reading from `quaff`, which is a plain module again."""
    install_as_flask()
    kept = importlib.import_module("flask")
    assert kept.flash is quaff.flash
    uninstall_flask_alias()
    assert type(quaff) is ModuleType
    with mock.patch.object(quaff, "flash", "patched"):
        assert kept.flash == "patched"


def test_a_second_module(flask: ModuleType) -> None:
    """Who removes `flask` from `sys.modules` and imports it again gets another module with the same names."""
    del sys.modules["flask"]
    second = importlib.import_module("flask")
    assert second is not flask
    assert second.g is flask.g
    second.of_my_own = 1
    assert flask.of_my_own == 1
    del flask.of_my_own
    assert not hasattr(second, "of_my_own")
