"""The door of the package."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import quaff.ext.sqlalchemy as package
from quaff.compat.aliases import VERSIONS, real_name


def test_names() -> None:
    """It has the one name that Flask-SQLAlchemy has."""
    assert package.__all__ == ["SQLAlchemy"]
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        package.Nothing  # noqa: B018


def test_version() -> None:
    """The version is that of the API, with Flask-SQLAlchemy's warning."""
    with pytest.warns(DeprecationWarning, match="importlib.metadata"):
        assert package.__version__ == VERSIONS["flask-sqlalchemy"] == "3.1.1"


@pytest.mark.parametrize(
    "module",
    ["cli", "extension", "model", "pagination", "query", "record_queries", "session", "table", "track_modifications"],
)
def test_modules_that_programs_import(module: str) -> None:
    """Each module of Flask-SQLAlchemy is one of this package."""
    assert real_name(f"flask_sqlalchemy.{module}") == f"quaff.ext.sqlalchemy.{module}"
    importlib.import_module(f"quaff.ext.sqlalchemy.{module}")


def test_the_alias() -> None:
    """`import flask_sqlalchemy` is this package, and its distribution has a version."""
    program = (
        "from quaff.compat import install_as_flask; install_as_flask(); import flask_sqlalchemy, importlib.metadata as m;"
        "from flask_sqlalchemy.session import Session; print(Session.__module__, m.version('flask-sqlalchemy'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["quaff.ext.sqlalchemy.session", "3.1.1"]
