"""`quaff db doctor` finds what commonly goes wrong, says what to do, and fails when there is something."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from quaff.ext.migrate.doctor import Finding, report
from tests.ext.migrate.histories import add_revision
from tests.ext.migrate.projects import Project, users_and_groups, users_with_email


def nothing(db: Any) -> None:
    """No model was imported."""


def found(project: Project) -> list[str]:
    """Return the codes of what the doctor finds."""
    output = project.run("doctor", fails=True)
    codes = re.findall(r"^\d+\. \[([\w-]+)\]", output, re.MULTILINE)
    assert output.count("   What to do: ") == len(codes)
    return codes


@pytest.fixture
def upgraded(project: Project) -> Project:
    """Give a project in which nothing is wrong."""
    project.run("init")
    project.run("migrate")
    project.run("upgrade")
    return project


def test_nothing_is_wrong(upgraded: Project) -> None:
    """Where all is well, it says so and succeeds."""
    assert "Nothing is wrong" in upgraded.run("doctor")


def test_no_folder(project: Project) -> None:
    """Without a folder, `quaff db init` is the advice; the database is not made."""
    assert found(project) == ["no-folder"]
    assert "run `quaff db init` once" in project.run("doctor", fails=True)
    assert not (project.folder / "app.db").exists()


def test_incomplete_folder(upgraded: Project) -> None:
    """A folder that lacks a file is told from one that is not there."""
    (upgraded.folder / "migrations" / "env.py").unlink()
    assert "lacks env.py" in upgraded.run("doctor", fails=True)


def test_no_migrations(project: Project) -> None:
    """Models without any migration are told."""
    project.run("init")
    assert found(project) == ["no-migrations"]


def test_models_not_imported(upgraded: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that defines models and was not imported is named, with its models; tests and migrations are left alone."""
    for name in ("models.py", "tests/models.py", "migrations/models.py", ".hidden/models.py", "test_models.py"):
        path = upgraded.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("class Order(db.Model):\n    id = 1\n", encoding="utf-8")
    output = upgraded.run("doctor", fails=True)
    assert "[models-not-imported]" in output
    assert "does not exist" not in output
    assert "models.py (Order)" in output
    assert output.count("(Order)") == 1
    assert "from . import models" in output


def test_empty_metadata(upgraded: Project) -> None:
    """Without one table nothing can be migrated: what would be dropped, and the second `SQLAlchemy()`, are told."""
    upgraded.make(nothing)
    assert found(upgraded) == ["empty-metadata"]


def test_no_changes_detected(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """`migrate` that finds nothing because no model was imported says so, and sends to the doctor."""
    project.make(nothing)
    project.run("init")
    project.run("migrate")
    assert "`quaff db doctor` looks for those not imported" in caplog.text
    caplog.clear()
    project.make()
    project.run("migrate")
    assert "doctor" not in caplog.text


def test_create_all_mixed_in(project: Project) -> None:
    """Tables that `create_all` made are told with where it is called."""
    with project.app.app_context():
        project.db.create_all()
    (project.folder / "app.py").write_text("\n\ndb.create_all()\n", encoding="utf-8")
    project.run("init")
    add_revision(project, "one", None, "")
    output = project.run("doctor", fails=True)
    assert "[tables-without-revision]" in output
    assert "has tables (user) but no revision" in output
    assert "db.create_all() is called in app.py, line 3" in output
    assert "`quaff db stamp head`" in output
    project.run("stamp", "head")
    assert found(project) == ["create-all"]


def test_an_empty_version_table(upgraded: Project) -> None:
    """An `alembic_version` without a row is as good as none."""
    with upgraded.app.app_context(), upgraded.db.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM alembic_version"))
    assert found(upgraded) == ["tables-without-revision"]


def test_tables_of_somebody_else(project: Project) -> None:
    """Tables that no model has are not `create_all`'s."""
    with project.app.app_context(), project.db.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE spatial_ref_sys (id INTEGER)"))
    project.run("init")
    project.run("migrate", "--allow-destructive")
    assert found(project) == ["pending"]


def test_pending(upgraded: Project) -> None:
    """Migrations that were not run are counted."""
    upgraded.make(users_with_email)
    upgraded.run("migrate")
    assert "1 migration is pending" in upgraded.run("doctor", fails=True)


def test_models_that_differ(upgraded: Project) -> None:
    """Models without a migration are told when all migrations were run."""
    upgraded.make(users_with_email)
    assert found(upgraded) == ["models-differ"]


def test_several_heads(upgraded: Project) -> None:
    """Heads are named, with the command that joins them."""
    (version,) = upgraded.versions
    revision = version.name.partition("_")[0]
    add_revision(upgraded, "left", revision, "")
    add_revision(upgraded, "right", revision, "")
    output = upgraded.run("doctor", fails=True)
    assert "There are 2 heads, migrations that follow the same one: left, right" in output
    assert "quaff db merge heads" in output


def test_a_newer_database(upgraded: Project) -> None:
    """A revision that the code does not have is told."""
    for version in upgraded.versions:
        version.unlink()
    assert "newer-database" in found(upgraded)


def test_a_broken_history(upgraded: Project) -> None:
    """A migration that follows one that is not there is told."""
    add_revision(upgraded, "two", "lost", "")
    assert "broken-history" in found(upgraded)


def test_no_batch_mode(upgraded: Project) -> None:
    """`render_as_batch=False` on SQLite is told."""
    upgraded.make(render_as_batch=False)
    assert found(upgraded) == ["no-batch-mode"]


def test_no_connection(upgraded: Project) -> None:
    """A database that cannot be reached is told, without a password."""
    upgraded.uri = "postgresql+psycopg://me:secret@127.0.0.1:1/test"
    upgraded.make()
    output = upgraded.run("doctor", fails=True)
    assert "[no-connection]" in output
    assert "secret" not in output


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("mariadb", marks=pytest.mark.service("mariadb-server")),
        pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
    ],
)
def test_on_servers(project: Project, kind: str, new_database: Callable[[str], str]) -> None:
    """On the servers it finds the same."""
    project.uri = new_database(kind)
    project.make()
    project.run("init")
    project.run("migrate")
    assert found(project) == ["pending"]
    project.run("upgrade")
    assert "Nothing is wrong" in project.run("doctor")


def test_several_databases(project: Project) -> None:
    """With the folder for several databases, those of the binds are looked at."""
    project.binds = {"other": f"sqlite:///{project.folder / 'other.db'}"}
    project.make(users_and_groups)
    project.run("init", "--multidb")
    project.run("migrate")
    assert found(project) == ["pending", "pending"]
    project.run("upgrade")
    assert "Nothing is wrong" in project.run("doctor")
    with project.app.app_context(), project.db.engines["other"].begin() as connection:
        connection.execute(sa.text("DELETE FROM alembic_version"))
    assert "(bind 'other') has tables (group) but no revision" in project.run("doctor", fails=True)


def test_the_report() -> None:
    """Findings are numbered, each with its advice."""
    assert report([Finding("a", "A is wrong.", "mend A."), Finding("b", "B is wrong.", "mend B.")]) == (
        "2 things are wrong:\n\n1. [a] A is wrong.\n   What to do: mend A.\n\n2. [b] B is wrong.\n   What to do: mend B."
    )


@pytest.fixture(autouse=True)
def _no_module_of_another_test() -> Iterator[None]:
    yield
    sys.modules.pop("models", None)
