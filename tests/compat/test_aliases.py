"""Names and what stands behind them."""

from __future__ import annotations

import importlib

import pytest

from quaff.compat.aliases import MODULES, PUBLIC_NAMES, real_name


@pytest.mark.parametrize(
    "name, real",
    [
        ("flask.app", "quaff.app"),
        ("flask.json", "quaff.json"),
        ("flask.json.tag", "quaff.json.tag"),
        ("flask.json.provider", "quaff.json.provider"),
        ("flask.sansio.app", "quaff.appbase"),
        ("flask.cli.deep.down", "quaff.cli.deep.down"),
        ("flask", None),
        ("flask.sansio", None),
        ("flask.nothing", None),
        ("flask_login", None),
        ("", None),
    ],
)
def test_real_name(name: str, real: str | None) -> None:
    """The longest listed name decides, and what is below it follows."""
    assert real_name(name) == real


@pytest.mark.parametrize("real", sorted(set(MODULES.values())))
def test_what_is_listed_exists(real: str) -> None:
    """Each module that an alias stands for can be imported."""
    assert importlib.import_module(real).__name__ == real


def test_public_names_are_those_of_the_real_flask(no_alias: None) -> None:
    """The list is complete, where the real Flask is installed to compare with."""
    flask = pytest.importorskip("flask", reason="the real Flask is not installed")
    named = {name for name in vars(flask) if not name.startswith("_")}
    modules = {name for name in named if type(getattr(flask, name)).__name__ == "module"}
    assert set(PUBLIC_NAMES) == named - modules - {"annotations", "t"} | {"json"}
