"""A folder with small programs, and `quaff` run in it as a user would type it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

PATIENCE = 60.0
"""Seconds that a command may take before its test gives up. It is no measure of speed: machines under test are busy."""

NOT_INHERITED = ("FLASK_", "QUAFF_", "WERKZEUG_", "PYTHONSTARTUP", "PYTHONWARNINGS")
"""Beginnings of variables that would change what a command does."""

HELLO = """\
from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    return "Hello"
"""
"""The smallest app, written for Flask."""


@dataclass
class Project:
    """A folder with programs."""

    folder: Path

    def write(self, name: str, text: str = HELLO) -> Path:
        """Write the file *name*, with its folders."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def install(self, commands: dict[str, str], group: str = "flask.commands", package: str = "plugin") -> Path:
        """Let *commands* be entry points of an installed package, and return the folder that it is installed in.

        :param commands: name of the command -> `module:object`.
        """
        lines = "".join(f"{name} = {target}\n" for name, target in commands.items())
        about = f"site/{package}-1.0.dist-info"
        self.write(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        return self.write(f"{about}/entry_points.txt", f"[{group}]\n{lines}").parents[1]

    def quaff(
        self, *arguments: str, check: bool = True, stdin: str = "", module: str = "quaff", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m quaff ARGUMENTS...` in the folder, with none of this process's settings; warnings are errors.

        :param check: whether an exit code other than 0 fails the test.
        :param environment: variables that are set for the command.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
        kept |= {"PYTHONPATH": str(self.folder / "site"), "PYTHONWARNINGS": "error", "NO_COLOR": "1"}
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env=kept | environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"quaff {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done
