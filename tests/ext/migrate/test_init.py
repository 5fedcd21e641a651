"""The names of the package, which are Flask-Migrate's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from quaff.ext import migrate

FUNCTIONS = (
    "branches catch_errors check current downgrade edit heads history init list_templates merge migrate revision show"
    " stamp upgrade"
).split()


@pytest.mark.parametrize("name", [*FUNCTIONS, "Config", "Migrate", "log"])
def test_public_names(name: str) -> None:
    """Each name that programs import from `flask_migrate` is there, and listed."""
    assert getattr(migrate, name) is not None
    assert name in migrate.__all__


def test_names_that_env_py_files_and_tests_use() -> None:
    """Names that are not listed by Flask-Migrate either, but imported."""
    assert migrate._MigrateConfig.__name__ == "MigrateConfig"
    assert migrate.alembic_version >= (1, 16)


def test_no_other_name() -> None:
    """A name that the package does not have is an attribute error."""
    with pytest.raises(AttributeError, match="nothing"):
        _ = migrate.nothing


def test_the_alias() -> None:
    """`flask_migrate` is this package under the Flask alias, with its modules and its version."""
    program = (
        "import quaff; quaff.install_as_flask(); import flask_migrate, flask_migrate.cli, quaff.ext.migrate.cli as cli;"
        "from importlib.metadata import version;"
        "assert flask_migrate.Migrate is quaff.ext.migrate.Migrate; assert flask_migrate.cli.db is cli.db;"
        "print(version('flask-migrate'))"
    )
    done = subprocess.run([sys.executable, "-c", program], text=True, check=True, capture_output=True)
    assert done.stdout == "4.1.0\n"
