"""Optional dependencies explain which extra brings them; deferred packages load when a name is asked for."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from quaff._internal.imports import defer_module, need

MADE_HERE = {"broken_one", "deferred_one", "plain_module"}
"""Modules that these tests write."""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder on the import path whose modules are forgotten after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in MADE_HERE]:
        del sys.modules[name]


def test_need_imports() -> None:
    """What is installed is imported, submodules too."""
    assert need("json", "x", "Something") is sys.modules["json"]
    assert need("json.decoder", "x", "Something") is sys.modules["json.decoder"]


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.part"])
def test_need_explains(module: str) -> None:
    """What is not installed says what wants it and how to get it."""
    with pytest.raises(ImportError) as raised:
        need(module, "extra", "Reading tea leaves")
    assert str(raised.value) == (
        f"Reading tea leaves needs {module!r}, which is not installed. Install it with: pip install 'quaff[extra]'"
    )
    assert raised.value.name == module
    assert raised.value.__suppress_context__


def test_need_does_not_hide_a_broken_dependency(packages: Path) -> None:
    """A dependency that is there but needs something that is not shows that: "not installed" would be a lie."""
    (packages / "broken_one.py").write_text("import no_such_package_either\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_package_either"):
        need("broken_one", "extra", "Something")


def _write_package(folder: Path) -> None:
    package = folder / "deferred_one"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import builtins\n"
        "builtins.deferred_loads = getattr(builtins, 'deferred_loads', 0) + 1\n"
        "from .part import value as value\n"
        "from . import other as other\n"
        "NAME = 'deferred'\n"
    )
    (package / "part.py").write_text("value = 1\n")
    (package / "other.py").write_text("from . import part\nvalue = part.value + 1\n")


@pytest.fixture
def deferred(packages: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Give a package that was deferred."""
    import builtins

    monkeypatch.setattr(builtins, "deferred_loads", 0, raising=False)
    _write_package(packages)
    defer_module("deferred_one")
    return sys.modules["deferred_one"]


def _loads() -> int:
    import builtins

    return int(getattr(builtins, "deferred_loads"))  # noqa: B009 - no type checker knows it


def test_defer_does_not_run_the_package(deferred: ModuleType) -> None:
    """The package is there, with its path and its spec, and its `__init__` has not run."""
    assert _loads() == 0
    assert deferred.__spec__ is not None
    assert [Path(place).name for place in deferred.__path__] == ["deferred_one"]


def test_submodules_import_meanwhile(deferred: ModuleType) -> None:
    """`import package.part` runs the part only, also when a part imports another through the package."""
    from deferred_one import other  # type: ignore[import-not-found]

    assert other.value == 2
    assert _loads() == 0


def test_a_name_loads_the_package(deferred: ModuleType) -> None:
    """A name that only `__init__` defines runs it, once, in the same module object."""
    assert deferred.NAME == "deferred"
    assert deferred.value == 1
    assert _loads() == 1
    assert sys.modules["deferred_one"] is deferred
    assert "__getattr__" not in deferred.__dict__


def test_an_unknown_name_is_an_attribute_error(deferred: ModuleType) -> None:
    """A name that is nowhere raises as for any module, before and after loading."""
    for _ in range(2):
        with pytest.raises(AttributeError, match="module 'deferred_one' has no attribute 'nowhere'"):
            _ = deferred.nowhere
    assert _loads() == 1


def test_dunder_names_do_not_load(deferred: ModuleType) -> None:
    """Tools that probe modules (`inspect`, doctest, pickle) do not set the package off."""
    assert not hasattr(deferred, "__wrapped__")
    assert _loads() == 0


def test_threads_load_once(deferred: ModuleType) -> None:
    """Threads that ask at the same moment all get the name, and `__init__` runs once."""
    together = threading.Barrier(8)

    def ask(_number: int) -> str:
        together.wait(timeout=20)
        return str(deferred.NAME)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"deferred"}
    assert _loads() == 1


def test_what_is_imported_already_is_left_alone(packages: Path) -> None:
    """Deferring a module that runs already, or that does not exist, does nothing."""
    json = sys.modules["json"]
    for name in ("json", "no_such_package"):
        defer_module(name)
    assert sys.modules["json"] is json
    assert "no_such_package" not in sys.modules


@pytest.mark.parametrize("all_names", ["", "__all__ = ['value', '_private']\n"], ids=["public names", "__all__"])
def test_a_plain_module_and_its_star(packages: Path, all_names: str) -> None:
    """A module without parts is deferred too; `import *` gives what it would give, not nothing."""
    name = f"plain_{'all' if all_names else 'public'}"
    (packages / f"{name}.py").write_text(f"value = 1\n_private = 2\n{all_names}")
    defer_module(name)
    assert "value" not in vars(sys.modules[name])
    found: dict[str, object] = {}
    exec(f"from {name} import *", found)
    assert found["value"] == 1
    assert ("_private" in found) is bool(all_names)


def test_a_module_in_a_package_is_its_attribute(packages: Path) -> None:
    """`import package.part` finds what was deferred through the package."""
    _write_package(packages)
    defer_module("deferred_one.part")
    import deferred_one.part  # type: ignore[import-not-found]

    assert deferred_one.part is sys.modules["deferred_one.part"]
    assert "value" not in vars(deferred_one.part)
    assert deferred_one.part.value == 1


def test_werkzeug_stays_usable() -> None:
    """After `import quaff`, Werkzeug's top-level names and submodules work, and its server was not loaded before that."""
    code = (
        "import sys, quaff\n"
        "if 'werkzeug.serving' in sys.modules: sys.exit('the development server was loaded')\n"
        "if 'calendar' in sys.modules: sys.exit('the library for dates in mails was loaded')\n"
        "from werkzeug.http import http_date\n"
        "if http_date(0) != 'Thu, 01 Jan 1970 00:00:00 GMT': sys.exit(http_date(0))\n"
        "import werkzeug\n"
        "from werkzeug import Request, Response, run_simple\n"
        "import werkzeug.serving\n"
        "if werkzeug.serving.run_simple is not run_simple: sys.exit('two modules')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
