"""The command line: every command with its options, from the arguments and from the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quaff.ext.migrate import cli, commands
from tests.ext.migrate.projects import Project

PROGRAM = """
from {module} import Flask
from {sqlalchemy} import SQLAlchemy
from {migrate} import Migrate

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///{file}"
db = SQLAlchemy(app)
migrate = Migrate(app, db)


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
"""

REVISION = {
    "message": "words",
    "sql": True,
    "head": "main@head",
    "splice": True,
    "branch_label": "side",
    "version_path": "below",
    "rev_id": "7",
}
REVISION_ARGS = (
    "-m words --sql --head main@head --splice --branch-label side --version-path below --rev-id 7 -d folder".split()
)

CALLS: list[tuple[str, list[str], tuple[Any, ...], dict[str, Any]]] = [
    ("list_templates", ["list-templates"], (), {}),
    ("init", ["init"], (None, False, None, False), {}),
    ("init", "init -d folder --multidb -t own --package".split(), ("folder", True, "own", True), {}),
    ("revision", ["revision", "--autogenerate", *REVISION_ARGS], ("folder",), {**REVISION, "autogenerate": True}),
    ("migrate", ["migrate", *REVISION_ARGS, "-x", "a=1"], ("folder",), {**REVISION, "x_arg": ("a=1",)}),
    ("edit", ["edit"], (None, "head"), {}),
    ("edit", "edit -d folder 7".split(), ("folder", "7"), {}),
    (
        "merge",
        "merge -d folder -m words --branch-label side --rev-id 7 a b".split(),
        ("folder", ("a", "b")),
        {"message": "words", "branch_label": "side", "rev_id": "7"},
    ),
    ("upgrade", ["upgrade"], (None, "head", False, None, ()), {}),
    ("upgrade", "upgrade -d folder --sql --tag t -x a -x b +1".split(), ("folder", "+1", True, "t", ("a", "b")), {}),
    ("downgrade", ["downgrade"], (None, "-1", False, None, ()), {}),
    ("downgrade", "downgrade -d folder --sql --tag t -x a base".split(), ("folder", "base", True, "t", ("a",)), {}),
    ("show", ["show"], (None, "head"), {}),
    ("show", "show -d folder 7".split(), ("folder", "7"), {}),
    ("history", ["history"], (None, None, False, False), {}),
    ("history", "history -d folder -r 1: -v -i".split(), ("folder", "1:", True, True), {}),
    ("heads", ["heads"], (None, False, False), {}),
    ("heads", "heads -d folder -v --resolve-dependencies".split(), ("folder", True, True), {}),
    ("branches", "branches -d folder -v".split(), ("folder", True), {}),
    ("current", "current -d folder -v".split(), ("folder", True), {}),
    ("stamp", ["stamp"], (None, "head", False, None, False), {}),
    ("stamp", "stamp -d folder --sql --tag t --purge base".split(), ("folder", "base", True, "t", True), {}),
    ("check", "check -d folder".split(), ("folder",), {}),
]


class Recorder:
    """Stands in for a function of `commands`."""

    def __init__(self) -> None:
        self.args: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}

    def __call__(self, *args: Any, **options: Any) -> None:
        self.args, self.options = args, options


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, Recorder]:
    """Give what each command would call; the functions themselves are tested in `test_commands.py`."""
    found = {name: Recorder() for name in {call[0] for call in CALLS}}
    for name, recorder in found.items():
        monkeypatch.setattr(commands, name, recorder)
    return found


@pytest.mark.parametrize("name, line, args, options", CALLS, ids=[" ".join(call[1]) for call in CALLS])
def test_options(
    project: Project,
    recorded: dict[str, Recorder],
    name: str,
    line: list[str],
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> None:
    """Every option of Flask-Migrate's commands reaches the function of the same name."""
    project.run(*line)
    assert recorded[name].args == args
    assert {key: recorded[name].options.get(key) for key in options} == options


def test_options_of_the_group(project: Project, recorded: dict[str, Recorder]) -> None:
    """`-d` and `-x` may stand before the command; those after it win."""
    project.run("-d", "first", "-x", "a=1", "upgrade")
    assert recorded["upgrade"].args == ("first", "head", False, None, ("a=1",))
    project.run("-d", "first", "-x", "a=1", "upgrade", "-d", "second", "-x", "b=2")
    assert recorded["upgrade"].args == ("second", "head", False, None, ("b=2",))


def test_all_commands_have_a_function() -> None:
    """Each command is a function that programs can call, and Flask-Migrate's are all there."""
    names = set(cli.db.commands)
    assert names >= {call[1][0] for call in CALLS}
    assert all(hasattr(commands, name.replace("-", "_")) for name in {call[1][0] for call in CALLS})


def run_program(folder: Path, program: list[str], **environment: str) -> str:
    """Run a program in a folder as a shell does, and return what it prints."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("FLASK_", "QUAFF_"))}
    command = [sys.executable, "-m", *program]
    done = subprocess.run(command, cwd=folder, env=variables | environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "names",
    [
        {"module": "quaff", "sqlalchemy": "quaff.ext.sqlalchemy", "migrate": "quaff.ext.migrate"},
        {"module": "flask", "sqlalchemy": "flask_sqlalchemy", "migrate": "flask_migrate"},
    ],
    ids=["quaff", "flask"],
)
def test_as_a_program(tmp_path: Path, names: dict[str, str]) -> None:
    """`quaff db` runs in a shell, for programs of both names, with options from `FLASK_DB_*` and `QUAFF_DB_*`."""
    (tmp_path / "app.py").write_text(PROGRAM.format(file=tmp_path / "app.db", **names), encoding="utf-8")
    run_program(tmp_path, ["quaff.cli", "db", "init"], FLASK_DB_DIRECTORY="changes")
    assert (tmp_path / "changes/env.py").is_file()
    run_program(
        tmp_path,
        ["quaff.cli", "db", "migrate"],
        QUAFF_DB_DIRECTORY="changes",
        QUAFF_DB_MIGRATE_MESSAGE="first",
        FLASK_DB_MIGRATE_REV_ID="1",
    )
    assert (tmp_path / "changes/versions/1_first.py").is_file()
    run_program(tmp_path, ["quaff.cli", "db", "upgrade"], QUAFF_DB_DIRECTORY="changes")
    assert run_program(tmp_path, ["quaff.cli", "db", "current"], QUAFF_DB_DIRECTORY="changes") == "1 (head)\n"
    assert "CREATE TABLE" in run_program(
        tmp_path, ["quaff.cli", "db", "upgrade"], QUAFF_DB_DIRECTORY="changes", FLASK_DB_UPGRADE_SQL="1"
    )


def test_flask_db(tmp_path: Path) -> None:
    """`flask db` is the same command, where Flask's program runs on the alias."""
    names = {"module": "flask", "sqlalchemy": "flask_sqlalchemy", "migrate": "flask_migrate"}
    (tmp_path / "app.py").write_text(PROGRAM.format(file=tmp_path / "app.db", **names), encoding="utf-8")
    (tmp_path / "flask_program.py").write_text(
        "import quaff; quaff.install_as_flask()\nfrom flask.cli import main\nmain()\n", encoding="utf-8"
    )
    assert "Perform database migrations." in run_program(tmp_path, ["flask_program", "db", "--help"])
    run_program(tmp_path, ["flask_program", "db", "init"])
    assert (tmp_path / "migrations/env.py").is_file()
