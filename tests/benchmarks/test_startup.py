"""The import time, from outside, beside a bare interpreter."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from benchmarks import startup


def test_two_modules_are_measured() -> None:
    """Each module has a time, a number of modules and the heavy ones among them."""
    result = startup.measure(sys.executable, 2, ("asyncio", "string"))
    assert (result.flask.module, result.quaff.module) == ("asyncio", "string")
    assert result.flask.heavy == ["asyncio"]
    assert result.flask.modules > result.quaff.modules
    assert result.interpreter > 0


def test_quaff_loads_nothing_heavy() -> None:
    """The list in the report would name it: `import quaff` brings no templates, no server, no command line."""
    added = startup.loaded_modules(sys.executable, "import quaff") - startup.loaded_modules(sys.executable, "pass")
    assert "quaff.app" in added
    assert [name for name in startup.HEAVY if name in added] == []


def test_an_import_that_fails_is_an_error() -> None:
    """A module that cannot be imported is not a fast one."""
    with pytest.raises(RuntimeError, match="No module named 'no_such_module'"):
        startup.run_once(sys.executable, "import no_such_module")


def test_the_share_decides() -> None:
    """Quaff's time over Flask's must be at most the bar."""
    flask = startup.Startup("flask", 200.0, 260, ["click"])
    result = startup.Result(flask, startup.Startup("quaff", 120.0, 140, []), 20.0)
    assert (result.share, result.passed) == (0.6, True)
    slower = replace(result, quaff=replace(result.quaff, milliseconds=121.0))
    assert slower.passed is False
    assert slower.as_json()["share"] == slower.share
    assert startup.describe(result) == (
        "flask 200.0 ms, 260 modules; quaff 120.0 ms, 140 modules; share 0.60  bar 0.6: pass"
    )
