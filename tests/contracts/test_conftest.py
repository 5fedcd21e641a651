"""What `tests/conftest.py` promises to every test, tried on small test files in a pytest of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.source import TESTS


def run_pytest(folder: Path, program: str, **environment: str) -> str:
    """Run *program* as a test file beside a copy of the conftest and return what pytest printed."""
    shutil.copy(TESTS / "conftest.py", folder / "conftest.py")
    (folder / "test_it.py").write_text(program, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    service(name): a service\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "test_it.py"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_context_left_behind_fails_that_test_only(tmp_path: Path) -> None:
    """A test that pushes a context and does not pop it fails; the test after it starts without one."""
    said = run_pytest(
        tmp_path,
        "def test_leaks(app):\n    app.app_context().push()\n\n"
        "def test_after(app):\n    from quaff.globals import active_context\n    assert active_context() is None\n",
    )
    assert "ERROR test_it.py::test_leaks" in said
    assert "the test left a context behind" in said
    assert "PASSED test_it.py::test_after" in said
    assert "ERROR test_it.py::test_after" not in said


def test_app_and_client(tmp_path: Path) -> None:
    """The fixtures give an app in testing mode with a key, and a client of that very app."""
    said = run_pytest(
        tmp_path,
        "def test_fixtures(app, client):\n"
        "    app.add_url_rule('/', view_func=lambda: 'hi')\n"
        "    assert client.get('/').text == 'hi'\n"
        "    assert app.testing and app.secret_key\n",
    )
    assert "1 passed" in said


@pytest.mark.parametrize("value, pipeline, compiled", [("0", "reference", False), ("1", "compiled", True)])
def test_pipeline_of_the_run(tmp_path: Path, value: str, pipeline: str, compiled: bool) -> None:
    """`QUAFF_COMPILED` chooses the pipeline of every app in the run, and the header says which one it is."""
    said = run_pytest(
        tmp_path, f"def test_pipeline(app):\n    assert app.compiled is {compiled}\n", QUAFF_COMPILED=value
    )
    assert f"quaff pipeline: {pipeline}" in said
    assert "1 passed" in said


NEEDS_REDIS = (
    "import pytest\n\n@pytest.mark.service('redis')\ndef test_marked():\n    pass\n\n"
    "def test_asked(require_service):\n    assert require_service('redis')\n"
)


def test_a_missing_service_skips(tmp_path: Path, free_port: int) -> None:
    """Without its service a test is skipped, and the reason says where the service was looked for."""
    said = run_pytest(tmp_path, NEEDS_REDIS, QUAFF_TEST_REDIS=f"127.0.0.1:{free_port}", QUAFF_REQUIRE_SERVICES="0")
    assert "2 skipped" in said
    assert f"redis does not answer at 127.0.0.1:{free_port}" in said


def test_a_missing_service_fails_in_ci(tmp_path: Path, free_port: int) -> None:
    """With `QUAFF_REQUIRE_SERVICES=1` a missing service is a failure: nothing is skipped by accident."""
    said = run_pytest(tmp_path, NEEDS_REDIS, QUAFF_TEST_REDIS=f"127.0.0.1:{free_port}", QUAFF_REQUIRE_SERVICES="1")
    assert "skipped" not in said
    assert "1 failed, 1 error" in said


NEEDS_CHROMIUM = (
    "import pytest\n\n@pytest.mark.service('chromium')\ndef test_marked():\n    pass\n\n"
    "def test_asked(require_service):\n    print('found', require_service('chromium'))\n"
)


@pytest.mark.parametrize("required, outcome", [("0", "2 skipped"), ("1", "1 failed, 1 error")])
def test_a_missing_program(tmp_path: Path, required: str, outcome: str) -> None:
    """A program is a service too: without it a test is skipped, or fails in CI, and the reason says what was looked for."""
    (tmp_path / "empty").mkdir()
    said = run_pytest(
        tmp_path,
        NEEDS_CHROMIUM,
        PATH=str(tmp_path / "empty"),
        QUAFF_TEST_CHROMIUM="",
        QUAFF_REQUIRE_SERVICES=required,
    )
    assert outcome in said
    assert "there is no program chromium or chromium-browser or google-chrome; install it, or set" in said


def test_a_program_is_found(tmp_path: Path) -> None:
    """On the path, or where the variable says that it is."""
    said = run_pytest(tmp_path, NEEDS_CHROMIUM, QUAFF_TEST_CHROMIUM=sys.executable, QUAFF_REQUIRE_SERVICES="1")
    assert "2 passed" in said
    assert f"found {sys.executable}" in said
