"""`Migrate`, and what it leaves on the app."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quaff import Quaff
from quaff.ext.migrate import Config, Migrate
from quaff.ext.migrate.extension import MigrateConfig


def test_what_env_py_reads() -> None:
    """`app.extensions["migrate"]` has the object with the models, the folder and the arguments for Alembic."""
    app, db = Quaff("a"), SimpleNamespace(metadata="the tables")
    migrate = Migrate(app, db, Path("changes"), include_schemas=True)
    found = app.extensions["migrate"]
    assert isinstance(found, MigrateConfig)
    assert (found.migrate, found.db, found.directory, found.metadata) == (migrate, db, "changes", "the tables")
    assert found.configure_args == {"include_schemas": True, "compare_type": True, "render_as_batch": True}


def test_init_app_overrides() -> None:
    """What `init_app` is given wins over what the class was given; what it is not given stays."""
    app, db = Quaff("a"), object()
    migrate = Migrate(directory="one", command="database", transaction_per_migration=True)
    migrate.init_app(app, db, "two", "schema", compare_type=False, render_as_batch=False, version_table="seen")
    found = app.extensions["migrate"]
    assert found.directory == "two"
    assert found.db is migrate.db is db
    assert found.configure_args == {
        "transaction_per_migration": True,
        "compare_type": False,
        "render_as_batch": False,
        "version_table": "seen",
    }
    assert list(app.cli.commands) == ["schema"]


def test_apps_have_settings_of_their_own() -> None:
    """One object serves several apps, and an argument that is changed on one app is not changed on the other."""
    migrate = Migrate(db=object())
    first, second = Quaff("a"), Quaff("b")
    migrate.init_app(first)
    migrate.init_app(second)
    first.extensions["migrate"].configure_args["compare_type"] = False
    assert second.extensions["migrate"].configure_args["compare_type"] is True


def test_the_models_are_found() -> None:
    """Without `db`, the app's `SQLAlchemy` object is used; an app that has none yet is left for `init_app`."""
    app, db = Quaff("a"), object()
    Migrate(app)
    assert "migrate" not in app.extensions
    app.extensions["sqlalchemy"] = db
    Migrate(app)
    assert app.extensions["migrate"].db is db


def test_the_command_is_there_when_it_is_asked_for() -> None:
    """The group is added to `app.cli` when that is first used, and at once where it was used already."""
    late, early = Quaff("a"), Quaff("b")
    Migrate(late, object())
    assert "cli" not in late.__dict__
    assert "db" in late.cli.commands
    assert "db" not in early.cli.commands
    Migrate(early, object())
    assert "db" in early.cli.commands


def test_configure() -> None:
    """Functions of `configure` get the configuration one after another; what the last one returns is used."""
    migrate = Migrate(Quaff("a"), object())
    seen: list[str] = []

    @migrate.configure
    def first(config: Any) -> Any:
        seen.append("first")
        config.set_main_option("mark", "1")
        return config

    @migrate.configure
    def second(config: Any) -> Any:
        seen.append("second" + config.get_main_option("mark"))
        return Config("other.ini")

    assert first.__name__ == "first"
    assert migrate.get_config().config_file_name == "other.ini"
    assert seen == ["first", "second1"]


@pytest.mark.parametrize("given, x", [(None, []), ("a=1", ["a=1"]), (("a", "b"), ["a", "b"]), (["a"], ["a"])])
def test_get_config(given: Any, x: list[str]) -> None:
    """The folder is the one of the class unless one is given; flags and `x` are in `cmd_opts`."""
    config = Migrate(directory="mine").get_config(x_arg=given, opts=["autogenerate"])
    assert config.config_file_name == "mine/alembic.ini"
    assert vars(config.cmd_opts) == {"x": x, "autogenerate": True}
    assert Migrate().get_config(Path("theirs")).get_main_option("script_location") == "theirs"


def test_options_before_the_command_count() -> None:
    """What the group `db` was given with `-x` is there too, once."""
    with Quaff("a").app_context() as context:
        context.g.x_arg = ("a=1",)
        assert Migrate().get_config(x_arg=["a=1", "b=2"]).cmd_opts.x == ["a=1", "b=2"]
