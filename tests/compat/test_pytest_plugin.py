"""`pytest -p quaff.compat.pytest_plugin`."""

from __future__ import annotations

from pathlib import Path

from .conftest import Run

SUITE = """
import flask
import quaff
from flask import Flask
from flask.testing import FlaskClient

def test_flask():
    app = Flask(__name__)
    app.get("/")(lambda: "hello")
    assert Flask is quaff.Quaff
    assert isinstance(app.test_client(), FlaskClient)
    assert app.test_client().get("/").text == "hello"
"""


def test_a_suite_that_knows_only_flask(run_python: Run, tmp_path: Path) -> None:
    """Test files, `conftest.py` and other plugins get Quaff as `flask`, under warnings as errors."""
    (tmp_path / "conftest.py").write_text(
        "import flask\nassert flask.Flask.__module__ == 'quaff.app'\n", encoding="utf-8"
    )
    (tmp_path / "other_plugin.py").write_text("import flask.app\nflask.app.Flask\n", encoding="utf-8")
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    done = run_python(
        *(
            "-m",
            "pytest",
            "-W",
            "error",
            "-p",
            "quaff.compat.pytest_plugin",
            "-p",
            "other_plugin",
            "-p",
            "no:cacheprovider",
        ),
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert "1 passed" in done.stdout
    assert "flask: 3.1.3, which is Quaff" in done.stdout
