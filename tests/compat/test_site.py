"""The alias at the start of the interpreter."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from .conftest import Run


def test_importing_installs(run_python: Run) -> None:
    """`import quaff.compat.site` is all that it takes."""
    code = "import quaff.compat.site, flask, quaff; print(flask.Flask is quaff.Quaff)"
    assert run_python("-c", code).stdout.strip() == "True"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the Python of a virtual environment in which every program has the alias."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    site_packages = next(folder.glob("lib/python*/site-packages"))
    # What this Python can import, and after it, since .pth files are read in alphabetical order, the alias.
    (site_packages / "a_path.pth").write_text("\n".join(path for path in sys.path if path), encoding="utf-8")
    (site_packages / "quaff.pth").write_text("import quaff.compat.site\n", encoding="utf-8")
    return folder / "bin" / "python"


def _run(*argv: object, folder: Path) -> str:
    done = subprocess.run(
        [str(part) for part in argv], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_program_of_the_environment(environment: Path, tmp_path: Path) -> None:
    """A program that knows nothing of Quaff gets it, and so does the one that it starts."""
    (tmp_path / "program.py").write_text(
        "import subprocess, sys, flask\n"
        "print(flask.Flask.__module__, flush=True)\n"
        "if len(sys.argv) == 1:\n"
        "    subprocess.run([sys.executable, __file__, 'again'], check=True)\n",
        encoding="utf-8",
    )
    assert _run(environment, "program.py", folder=tmp_path).split() == ["quaff.app", "quaff.app"]


def test_the_flask_command(environment: Path, tmp_path: Path) -> None:
    """`python -m flask` and the console script `flask` are Quaff's command line."""
    (tmp_path / "app.py").write_text(
        "import flask\n"
        "app = flask.Flask(__name__)\n"
        "@app.cli.command()\n"
        "def hello(): print(flask.current_app.name, flask.Flask.__module__)\n",
        encoding="utf-8",
    )
    script = tmp_path / "flask"
    script.write_text("import sys\nfrom flask.cli import main\nsys.exit(main())\n", encoding="utf-8")
    assert _run(environment, "-m", "flask", "hello", folder=tmp_path).split() == ["app", "quaff.app"]
    assert _run(environment, "-m", "flask.cli", "hello", folder=tmp_path).split() == ["app", "quaff.app"]
    assert _run(environment, script, "--app", "app", "hello", folder=tmp_path).split() == ["app", "quaff.app"]


def test_metadata_in_the_environment(environment: Path, tmp_path: Path) -> None:
    """Flask's version is there for who asks."""
    code = "import importlib.metadata as m; print(m.version('flask'))"
    assert _run(environment, "-c", code, folder=tmp_path).strip() == "3.1.3"
