"""The runner for commands."""

from __future__ import annotations

from typing import Any

import click

from quaff import Quaff, current_app
from quaff.cli import ScriptInfo, with_appcontext
from quaff.testing import FlaskCliRunner, QuaffCliRunner


def test_commands_run_with_their_output_captured(app: Quaff) -> None:
    """By name through the app's group, or as a command object."""

    @app.cli.command("hello")
    @click.argument("name", default="World")
    def hello(name: str) -> None:
        click.echo(f"Hello, {name} of {current_app.name}!")

    runner = app.test_cli_runner()
    by_name = runner.invoke(args=["hello", "you"])
    assert (by_name.exit_code, by_name.output) == (0, "Hello, you of tests.conftest!\n")
    assert runner.invoke(hello).output == "Hello, World of tests.conftest!\n"
    assert runner.invoke(args="hello me").output == "Hello, me of tests.conftest!\n"


def test_an_error_is_in_the_result(app: Quaff) -> None:
    """An unknown command ends with Click's exit code, an exception is kept."""

    @app.cli.command("fail")
    def fail() -> None:
        raise ZeroDivisionError

    runner = app.test_cli_runner()
    assert runner.invoke(args=["missing"]).exit_code == 2
    assert isinstance(runner.invoke(args=["fail"]).exception, ZeroDivisionError)


def test_the_script_info_can_be_given(app: Quaff) -> None:
    """By default commands load the app of the runner; `obj` replaces that."""
    made: list[str] = []

    def create_app() -> Quaff:
        made.append("app")
        return app

    @click.command()
    @with_appcontext
    def name() -> None:
        click.echo(current_app.name)

    runner = app.test_cli_runner()
    assert runner.invoke(name).output == "tests.conftest\n"
    assert made == []
    assert runner.invoke(name, obj=ScriptInfo(create_app=create_app)).output == "tests.conftest\n"
    assert made == ["app"]


def test_the_class_can_be_chosen(app: Quaff) -> None:
    """`test_cli_runner_class` decides, and options reach the class."""

    class Mine(FlaskCliRunner):
        pass

    assert type(app.test_cli_runner()) is FlaskCliRunner
    app.test_cli_runner_class = Mine
    runner: Any = app.test_cli_runner(env={"A": "1"})
    assert type(runner) is Mine
    assert runner.app is app
    assert runner.env == {"A": "1"}
    assert QuaffCliRunner is FlaskCliRunner
