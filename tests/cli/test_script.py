"""What the command line knows of the app, and the context of its commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import quaff.cli
from quaff import Quaff, current_app
from quaff.cli import NoAppException, ScriptInfo, pass_script_info, with_appcontext
from tests.cli.projects import importing_from, write

ONE = "from quaff import Quaff\n{name} = Quaff({name!r})\ndef make(name='made'):\n    return Quaff(name)\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a folder with two modules."""
    write(tmp_path, "shop_site.py", ONE.format(name="shop"))
    return tmp_path


@pytest.mark.parametrize(
    "path,name",
    [
        ("shop_site", "shop"),
        ("shop_site.py", "shop"),
        ("shop_site:shop", "shop"),
        ("shop_site.py:shop", "shop"),
        ("shop_site:make", "made"),
        ("shop_site:make('other')", "other"),
        ("shop_site:", "shop"),
    ],
)
def test_the_app_is_found_by_its_path(project: Path, path: str, name: str) -> None:
    """Module or file, with or without a name."""
    with importing_from(project):
        assert ScriptInfo(app_import_path=path).load_app().name == name


def test_an_absolute_path_works_from_anywhere(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The folder of the file is put on the path."""
    with importing_from(project):
        os.chdir(tmp_path_factory.mktemp("elsewhere"))
        assert ScriptInfo(app_import_path=str(project / "shop_site.py")).load_app().name == "shop"


@pytest.mark.parametrize("name", ["wsgi", "app"])
def test_the_usual_files_are_found(tmp_path: Path, name: str) -> None:
    """Without a path `wsgi.py` or `app.py` in the current folder is taken."""
    write(tmp_path, f"{name}.py", ONE.format(name="site"))
    with importing_from(tmp_path):
        assert ScriptInfo().load_app().name == "site"


def test_wsgi_comes_before_app(tmp_path: Path) -> None:
    """With both files `wsgi.py` is the one."""
    write(tmp_path, "wsgi.py", ONE.format(name="first"))
    write(tmp_path, "app.py", ONE.format(name="second"))
    with importing_from(tmp_path):
        assert ScriptInfo().load_app().name == "first"


def test_without_an_app_all_ways_are_named(tmp_path: Path) -> None:
    """The message names the option, the variables and the files; and a file that looks like an app."""
    write(tmp_path, "notes.py", "import os\n")
    with importing_from(tmp_path):
        with pytest.raises(NoAppException) as caught:
            ScriptInfo().load_app()
        for way in ("quaff run FILE", "--app", "FLASK_APP", "QUAFF_APP", "wsgi.py", "app.py"):
            assert way in caught.value.message
        assert "Did you mean" not in caught.value.message
        write(tmp_path, "hello.py", "from flask import Flask\n")
        with pytest.raises(NoAppException, match=r"Did you mean 'quaff --app hello\.py'\?"):
            ScriptInfo().load_app()


def test_the_app_is_loaded_once() -> None:
    """Loading again gives the same app."""
    calls = []

    def create_app() -> Quaff:
        calls.append(1)
        return Quaff("made")

    info = ScriptInfo(create_app=create_app)
    assert info._loaded_app is None
    assert info.load_app() is info.load_app() is info._loaded_app
    assert calls == [1]


@pytest.mark.parametrize("set_debug_flag,value,expected", [(True, "1", True), (True, "0", False), (False, "1", False)])
def test_debug_mode_comes_from_the_environment(set_debug_flag: bool, value: str, expected: bool) -> None:
    """`FLASK_DEBUG` decides, unless the program says that it does not."""
    app = Quaff("made")
    os.environ["FLASK_DEBUG"] = value
    ScriptInfo(create_app=lambda: app, set_debug_flag=set_debug_flag).load_app()
    assert app.debug is expected


@pytest.mark.parametrize(
    "default,skip,expected", [(True, None, True), (False, None, False), (True, "1", False), (False, "0", True)]
)
def test_whether_env_files_are_read(default: bool, skip: str | None, expected: bool) -> None:
    """`FLASK_SKIP_DOTENV` wins over the program's wish."""
    if skip is not None:
        os.environ["FLASK_SKIP_DOTENV"] = skip
    assert ScriptInfo(load_dotenv_defaults=default).load_dotenv_defaults is expected


def test_a_failure_is_remembered() -> None:
    """The program tells failures of the app from its own by this."""

    def create_app() -> Quaff:
        raise RuntimeError("no database")

    info = ScriptInfo(create_app=create_app)
    assert info.load_error is None
    with pytest.raises(RuntimeError) as caught:
        info.load_app()
    assert info.load_error is caught.value


@pytest.mark.parametrize("name", ["prepare_import", "locate_app", "get_debug_flag"])
def test_the_steps_can_be_replaced(project: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """COMPAT: what is put in the place of `flask.cli.locate_app` and the like is called."""
    calls = []
    original = getattr(quaff.cli, name)

    def replacement(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return original(*args, **options)

    monkeypatch.setattr(quaff.cli, name, replacement)
    with importing_from(project):
        ScriptInfo(app_import_path="shop_site").load_app()
    assert len(calls) == 1


def test_get_load_dotenv_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """COMPAT: the same for `flask.cli.get_load_dotenv`."""
    monkeypatch.setattr(quaff.cli, "get_load_dotenv", lambda default: "asked")
    assert ScriptInfo().load_dotenv_defaults == "asked"


def test_commands_share_data() -> None:
    """There is a place for whatever commands want to hand on."""
    info = ScriptInfo()
    info.data["key"] = 1
    assert ScriptInfo().data == {}


def test_a_command_gets_the_script_info() -> None:
    """`pass_script_info` hands it over, making one where there is none."""

    @click.command()
    @pass_script_info
    def show(info: ScriptInfo) -> None:
        click.echo(type(info).__name__)

    assert CliRunner().invoke(show).output == "ScriptInfo\n"


def test_a_command_runs_in_the_context_of_the_app() -> None:
    """`with_appcontext` pushes the context for the command and its subcommands, and takes it away."""

    @click.command()
    @with_appcontext
    def show() -> None:
        """Show the name."""
        click.echo(current_app.name)

    result = CliRunner().invoke(show, obj=ScriptInfo(create_app=lambda: Quaff("made")))
    assert result.output == "made\n"
    assert not current_app
    assert show.callback is not None
    assert show.callback.__doc__ == "Show the name."


def test_an_active_context_is_kept() -> None:
    """Inside a context nothing is loaded and nothing is pushed."""

    def create_app() -> Quaff:
        raise AssertionError

    @click.command()
    @with_appcontext
    def show() -> None:
        click.echo(current_app.name)

    with Quaff("active").app_context():
        result = CliRunner().invoke(show, obj=ScriptInfo(create_app=create_app))
    assert result.output == "active\n"


def test_arguments_arrive() -> None:
    """Options and arguments of the command go through the decorator, whatever their names."""

    @click.command()
    @click.argument("ctx")
    @click.option("--f", default="x")
    @with_appcontext
    def show(ctx: str, f: str) -> None:
        click.echo(f"{ctx} {f}")

    result = CliRunner().invoke(show, ["a", "--f", "b"], obj=ScriptInfo(create_app=lambda: Quaff("made")))
    assert result.output == "a b\n"
