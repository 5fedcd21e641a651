"""`python -m flask` under the alias."""

from __future__ import annotations

from pathlib import Path

from .conftest import Run

INSTALL_AND_RUN = "import quaff, runpy, sys; quaff.install_as_flask(); runpy.run_module('flask', run_name='__main__')"


def test_it_is_the_command_line(run_python: Run) -> None:
    """It lists Flask's commands."""
    done = run_python("-c", INSTALL_AND_RUN, "--help")
    for command in ("run", "shell", "routes"):
        assert f"\n  {command} " in done.stdout


def test_importing_it_runs_nothing(run_python: Run) -> None:
    """Only running it does."""
    code = "import quaff, sys; quaff.install_as_flask(); import flask.__main__; print('still here')"
    assert run_python("-c", code).stdout.strip() == "still here"


def test_it_finds_the_app(run_python: Run, tmp_path: Path) -> None:
    """Without `--app` it takes `app.py`, as Flask does."""
    (tmp_path / "app.py").write_text(
        "from flask import Flask\napp = Flask(__name__)\n@app.get('/thing')\ndef thing(): return ''\n", encoding="utf-8"
    )
    assert "/thing" in run_python("-c", INSTALL_AND_RUN, "routes").stdout
