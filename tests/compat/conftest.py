"""The alias as a fixture, and Python processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from quaff.compat import flask_alias_installed, install_as_flask, uninstall_flask_alias

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def no_alias() -> Iterator[None]:
    """Give a process in which nothing has imported Flask and the alias is off, and put it back afterwards."""
    was_installed = flask_alias_installed()
    uninstall_flask_alias()
    loaded = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "flask"}
    yield
    uninstall_flask_alias()
    for name in [name for name in sys.modules if name.split(".")[0] == "flask"]:
        del sys.modules[name]
    sys.modules.update(loaded)
    if was_installed:
        install_as_flask()


@pytest.fixture
def flask(no_alias: None) -> ModuleType:
    """Give the module `flask` with the alias installed."""
    install_as_flask()
    import flask

    return flask


@pytest.fixture
def module_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Give a function that writes an importable module: `module_file("package/part.py", "VALUE = 1")`."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(path: str, text: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        for folder in file.relative_to(tmp_path).parents:
            if folder.name:
                (tmp_path / folder / "__init__.py").touch()
        file.write_text(text, encoding="utf-8")

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def run_python(tmp_path: Path) -> Run:
    """Give a function that runs `python ARGUMENTS...` in an empty folder and returns what came of it.

    Nothing of this process's Flask or Quaff settings reaches the child; it is an error for it to fail.
    """

    def run(*arguments: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("FLASK", "QUAFF", "PYTEST", "PYTHONW"))}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=env | more.pop("env", {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **more,
        )
        if check and done.returncode:
            pytest.fail(f"python {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
        return done

    return run
