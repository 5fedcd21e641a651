"""The functions behind the commands."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import pytest

from quaff import Quaff
from quaff.ext import migrate as battery
from quaff.ext.migrate import commands
from tests.ext.migrate.projects import Project, users_with_email, users_with_long_names


def revision_id(text: str) -> str:
    """Return the id of a migration from its text."""
    found = re.search(r'^revision = [\'"](\w+)', text, re.MULTILINE)
    assert found is not None
    return found[1]


def test_from_nothing_to_tables_and_back(project: Project) -> None:
    """`init`, `migrate`, `upgrade` make the tables of the models; `downgrade` takes them away."""
    with project.app.app_context():
        battery.init()
        battery.migrate(message="first")
        battery.upgrade()
        assert list(project.tables()["user"]) == ["id", "name"]
        battery.downgrade()
    assert list(project.tables()) == ["alembic_version"]
    assert "first" in project.versions[0].name


def test_a_changed_model_is_a_second_migration(project: Project) -> None:
    """A column that is new in a model is added to a table that has rows."""
    import sqlalchemy as sa

    with project.app.app_context():
        battery.init()
        battery.migrate()
        battery.upgrade()
        with project.db.engine.begin() as connection:
            connection.execute(sa.text("INSERT INTO user (id, name) VALUES (1, 'Ada')"))
    with project.make(users_with_email).app_context():
        battery.migrate()
        battery.upgrade()
        assert list(project.tables()["user"]) == ["id", "name", "email"]
        with project.db.engine.begin() as connection:
            assert connection.execute(sa.text("SELECT * FROM user")).all() == [(1, "Ada", None)]


def test_no_changes_no_file(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Where models and database agree, `migrate` writes nothing and says so; a plain `revision` is written."""
    with project.app.app_context():
        battery.init()
        battery.migrate()
        battery.upgrade()
        battery.migrate()
        assert len(project.versions) == 1
        assert "No changes in schema detected." in capsys.readouterr().err
        battery.revision(message="by hand")
    assert len(project.versions) == 2


def test_types_are_compared(project: Project) -> None:
    """A longer text in the model is a change, unless `compare_type` is false."""
    with project.app.app_context():
        battery.init()
        battery.migrate()
        battery.upgrade()
    with project.make(users_with_long_names, compare_type=False).app_context():
        battery.migrate()
    assert len(project.versions) == 1
    with project.make(users_with_long_names).app_context():
        battery.migrate()
        battery.upgrade()
    assert project.tables()["user"]["name"].length == 400


def test_sqlite_changes_in_batches(project: Project) -> None:
    """What SQLite cannot change is written as a copy of the table, which other databases do in place."""
    with project.app.app_context():
        battery.init()
        battery.migrate()
        battery.upgrade()
    with project.make(users_with_long_names).app_context():
        battery.migrate(rev_id="2")
    assert "op.batch_alter_table" in (project.folder / "migrations/versions/2_.py").read_text(encoding="utf-8")
    project.versions[0].with_name("2_.py").unlink()
    with project.make(users_with_long_names, render_as_batch=False).app_context():
        battery.migrate(rev_id="3")
    assert "op.alter_column" in (project.folder / "migrations/versions/3_.py").read_text(encoding="utf-8")


def test_check_tells_whether_they_differ(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """`check` is silent about equal ones, and ends with 1 where `migrate` would write something."""
    with project.app.app_context():
        battery.init()
        battery.migrate()
        battery.upgrade()
        battery.check()
    with project.make(users_with_email).app_context():
        with pytest.raises(SystemExit) as ended:
            battery.check()
    assert ended.value.code == 1
    assert "New upgrade operations detected" in caplog.text


def test_stamp_and_current(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """`stamp` notes a migration without running it; `current` prints it; `purge` forgets one that is unknown."""
    with project.app.app_context():
        battery.init()
        battery.revision(rev_id="a1")
        battery.stamp()
        capsys.readouterr()
        battery.current()
        assert capsys.readouterr().out == "a1 (head)\n"
        project.versions[0].unlink()
        battery.revision(rev_id="b2")
        battery.stamp(purge=True)
        capsys.readouterr()
        battery.current(verbose=True)
    assert "Rev: b2 (head)" in capsys.readouterr().out


def test_branches_heads_and_merge(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Two heads are shown with where they part; `merge` joins them, and the history has it all."""
    with project.app.app_context():
        battery.init()
        battery.revision(rev_id="a")
        battery.revision(rev_id="b", branch_label="left")
        battery.revision(rev_id="c", head="a", splice=True, message="the other way")
        capsys.readouterr()
        battery.heads()
        assert set(capsys.readouterr().out.splitlines()) == {"b (left) (head)", "c (head)"}
        battery.branches()
        assert "a (branchpoint)" in capsys.readouterr().out
        battery.merge(revisions=["b", "c"], rev_id="d", message="both")
        capsys.readouterr()
        battery.heads(verbose=True, resolve_dependencies=True)
        assert "Merges: b, c" in capsys.readouterr().out
        battery.upgrade()
        capsys.readouterr()
        battery.history(rev_range="a:", indicate_current=True)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "b, c -> d (left) (head) (current) (mergepoint), both"
        battery.history(verbose=True)
        assert "Path: " in capsys.readouterr().out
        battery.show("migrations", "c")
    assert "the other way" in capsys.readouterr().out


def test_edit_opens_the_editor(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """`edit` gives the file of a migration to `$EDITOR`."""
    script = project.folder / "editor.py"
    script.write_text(f"#!{sys.executable}\nimport sys\nopen(sys.argv[1], 'a').write('# edited')\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(script))
    with project.app.app_context():
        battery.init()
        battery.revision(rev_id="a")
        battery.edit(revision="head")
    assert project.only_version().endswith("# edited")


def test_sql_is_printed_and_nothing_run(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """With `sql`, the database is left alone; going back without a range goes back from the newest."""
    with project.app.app_context():
        battery.init()
        battery.migrate()
        capsys.readouterr()
        battery.upgrade(sql=True)
        assert "CREATE TABLE user" in capsys.readouterr().out
        battery.downgrade(sql=True)
        assert "DROP TABLE user" in capsys.readouterr().out
        battery.stamp(sql=True)
        assert "alembic_version" in capsys.readouterr().out
    assert "user" not in project.tables()


def test_arguments_reach_env_py(project: Project) -> None:
    """`x_arg` as one text or several, and `tag`, are what `env.py` asks Alembic for."""
    with project.app.app_context():
        battery.init()
        path = project.folder / "migrations/env.py"
        seen = project.folder / "seen"
        path.write_text(
            "from alembic import context\n"
            f"with open({str(seen)!r}, 'a') as f: print(context.get_x_argument(), context.get_tag_argument(), file=f)\n"
            + path.read_text(encoding="utf-8"),
            encoding="utf-8",
        )
        battery.upgrade(x_arg="a=1", tag="spring")
        battery.downgrade(revision="base", x_arg=["a=1", "b"])
        battery.migrate(x_arg=("c",))
    assert seen.read_text(encoding="utf-8").splitlines() == ["['a=1'] spring", "['a=1', 'b'] None", "['c'] None"]


def test_init_with_a_template_of_ones_own(project: Project) -> None:
    """`template` with a slash is a folder; `package` adds `__init__.py` files."""
    own = project.folder / "own"
    own.mkdir()
    for name in ("alembic.ini.mako", "script.py.mako", "env.py"):
        (own / name).write_text("# mine\n", encoding="utf-8")
    with project.app.app_context():
        battery.init(template="./own", package=True)
        battery.init(directory="second", multidb=True)
    assert (project.folder / "migrations/env.py").read_text(encoding="utf-8") == "# mine\n"
    assert (project.folder / "migrations/versions/__init__.py").exists()
    assert "engine_name" in (project.folder / "second/script.py.mako").read_text(encoding="utf-8")


def test_a_folder_with_a_per_cent_sign(project: Project) -> None:
    """The path of the folder may hold what means something in an ini file."""
    with project.app.app_context():
        battery.init(directory="100%s")
        battery.migrate(directory="100%s")
        battery.upgrade(directory="100%s")
    assert "user" in project.tables()


@pytest.mark.parametrize("name", ["upgrade", "current", "history", "migrate"])
def test_without_a_folder(project: Project, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Before `init`, a command ends with status 1, and the message says what to do."""
    with project.app.app_context():
        with pytest.raises(SystemExit) as ended:
            getattr(battery, name)()
    assert ended.value.code == 1
    assert "'init' command" in caplog.text


def test_init_twice(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that has something in it is not overwritten."""
    with project.app.app_context():
        battery.init()
        with pytest.raises(SystemExit):
            battery.init()
    assert "already exists and is not empty" in caplog.text


def test_without_an_app_or_the_extension(caplog: pytest.LogCaptureFixture) -> None:
    """The message says what is missing."""
    with pytest.raises(SystemExit):
        battery.upgrade()
    assert "with app.app_context()" in caplog.text
    with Quaff("bare").app_context():
        with pytest.raises(SystemExit):
            battery.upgrade()
    assert "Migrate(app, db)" in caplog.text


def test_errors_of_a_migration_pass_through(project: Project) -> None:
    """What a migration itself raises is not turned into a message: the traceback is needed."""
    with project.app.app_context():
        battery.init()
        battery.revision(rev_id="a")
        path = project.versions[0]
        path.write_text(path.read_text(encoding="utf-8").replace("    pass", "    1 / 0", 1), encoding="utf-8")
        with pytest.raises(ZeroDivisionError):
            battery.upgrade()


def test_catch_errors_keeps_name_and_logger(caplog: pytest.LogCaptureFixture) -> None:
    """`catch_errors` is there for programs, and logs where the folders' `alembic.ini` expects it."""

    @battery.catch_errors
    def fails() -> None:
        """Fail."""
        raise RuntimeError("no luck")

    with caplog.at_level(logging.ERROR, "flask_migrate"), pytest.raises(SystemExit):
        fails()
    assert fails.__name__ == "fails"
    assert caplog.record_tuples == [("flask_migrate", logging.ERROR, "Error: no luck")]
    assert commands.log.name == "flask_migrate"


def test_a_module_that_cannot_be_imported(project: Project) -> None:
    """What a project's own `env.py` fails to import is shown with its traceback."""
    with project.app.app_context():
        battery.init()
        path = project.folder / "migrations/env.py"
        path.write_text("import my_models_that_moved\n", encoding="utf-8")
        with pytest.raises(ModuleNotFoundError):
            battery.upgrade()


def test_list_templates(capsys: pytest.CaptureFixture[str]) -> None:
    """Each template is printed with the first line of its README."""
    battery.list_templates()
    printed = capsys.readouterr().out
    assert "flask - One database: the app's.\n" in printed
    assert [line.split(" ")[0] for line in printed.splitlines()[2:]] == [
        "aioflask",
        "aioflask-multidb",
        "flask",
        "flask-multidb",
    ]


def test_a_serving_process_imports_no_alembic() -> None:
    """An app with migrations that answers a request has loaded neither Alembic, Mako nor Click for them."""
    program = (
        "import sys; from quaff import Quaff; from quaff.ext.migrate import Migrate, upgrade;"
        "app = Quaff('served'); Migrate(app, object()); app.add_url_rule('/', view_func=lambda: 'hi');"
        "app({'REQUEST_METHOD': 'GET', 'PATH_INFO': '/', 'SCRIPT_NAME': '', 'SERVER_NAME': 'x', 'SERVER_PORT': '80',"
        " 'wsgi.url_scheme': 'http', 'QUERY_STRING': ''}, lambda *a: None);"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], text=True, check=True, capture_output=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "quaff" in loaded
    assert loaded.isdisjoint({"alembic", "mako", "click", "sqlalchemy"})
