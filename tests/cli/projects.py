"""Small projects for tests of the command line, and running commands in them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import PATIENCE, clean_environment, write

APP = """\
from flask import Flask, current_app

app = Flask(__name__)


@app.route("/")
def index():
    return "Hello, World!"


@app.cli.command("greet")
def greet():
    print("hello from", current_app.name)
"""


def quaff(
    *arguments: str, folder: Path, environment: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the program `quaff` with *arguments* in *folder* to its end."""
    return subprocess.run(
        [sys.executable, "-m", "quaff.cli", *arguments],
        cwd=folder,
        env=clean_environment(**(environment or {})),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Work in *folder* for a while; what is imported from it is forgotten afterwards."""
    path, modules, here = list(sys.path), set(sys.modules), os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            origin = getattr(sys.modules[name], "__file__", None) or ""
            if origin.startswith(str(folder)):
                del sys.modules[name]


__all__ = ["APP", "importing_from", "quaff", "write"]
