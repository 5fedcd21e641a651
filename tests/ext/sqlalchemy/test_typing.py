"""What type checkers make of a program."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "typed_program.py"
ROOT = Path(__file__).parents[3]

WITH_DB_MODEL = """
from typing import assert_type

from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from quaff.ext.sqlalchemy import SQLAlchemy


class DataBase(MappedAsDataclass, DeclarativeBase):
    pass


db = SQLAlchemy()
data = SQLAlchemy(model_class=DataBase)


class User(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    name = db.Column(db.String(80), unique=True)


class Item(data.Model):
    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    name: Mapped[str]


assert_type(User(name="x").id, int)
assert_type(User.query.first(), User | None)
Item("x")
Item(nam="x")  # error
"""


def lines_with_errors(text: str) -> set[int]:
    """Return the lines that are marked as wrong."""
    return {number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# error")}


def found_by(checker: str, program: Path) -> set[int]:
    """Return the lines of *program* in which a type checker finds errors."""
    if find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    arguments = {
        "mypy": [
            "-m",
            "mypy",
            "--strict",
            "--config-file=",
            "--no-error-summary",
            "--cache-dir",
            str(ROOT / ".mypy_cache/program"),
        ],
        "pyright": ["-m", "pyright", "--pythonpath", sys.executable],
    }[checker]
    done = subprocess.run(
        [sys.executable, *arguments, str(program)],
        capture_output=True,
        text=True,
        check=False,
        cwd=program.parent,
        env=None,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    errors = re.findall(rf"{program.name}:(\d+):(?:\d+ -)? error", done.stdout)
    assert errors or done.returncode == 0, done.stdout + done.stderr
    return set(map(int, errors))


@pytest.mark.slow
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_typed_program(checker: str) -> None:
    """Models on a declarative base, dataclasses among them, are understood; what is wrong is found, and nothing else."""
    assert found_by(checker, PROGRAM) == lines_with_errors(PROGRAM.read_text())


@pytest.mark.slow
def test_models_on_db_model(tmp_path: Path) -> None:
    """`class User(db.Model)` is understood by pyright, too. mypy takes no class from a variable."""
    program = tmp_path / "program.py"
    program.write_text(WITH_DB_MODEL)
    assert found_by("pyright", program) == lines_with_errors(WITH_DB_MODEL)


def test_the_program_runs() -> None:
    """It is a program: it can be imported, and its model stored."""
    from tests.ext.sqlalchemy import typed_program

    names = typed_program
    with names.app.app_context():
        names.db.create_all()
        names.db.session.add(names.User(name="x"))
        names.db.session.commit()
        assert names.User.query.one().name == "x"
        assert names.Post.__table__.name == "post"
