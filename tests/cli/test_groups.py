"""Groups that know the app: where commands come from, and in which context they run."""

from __future__ import annotations

import os
import sys

import click
import pytest
from click.testing import CliRunner

from quaff import Blueprint, Quaff, current_app
from quaff.cli import AppGroup, FlaskGroup, ScriptInfo
from tests.cli.project import Project

PLUGIN = """\
import click

@click.command()
def hello():
    click.echo("hello from {name}")
"""


@pytest.fixture
def group(app: Quaff) -> FlaskGroup:
    """Give the group of a program around the app."""
    return FlaskGroup(name="program", create_app=lambda: app)


def say_app() -> None:
    """Print the name of the current app, or that there is none."""
    click.echo(current_app.name if current_app else "no app")


@pytest.mark.parametrize("wrap, expected", [(True, "tests.conftest\n"), (False, "no app\n")])
def test_commands_run_in_the_apps_context(app: Quaff, runner: CliRunner, wrap: bool, expected: str) -> None:
    """Commands of an `AppGroup` have the app's context, unless it is turned off for one of them."""
    own = AppGroup("own")
    own.command("say", with_appcontext=wrap)(say_app)
    assert runner.invoke(own, ["say"], obj=ScriptInfo(create_app=lambda: app)).output == expected


def test_command_without_parentheses(app: Quaff, runner: CliRunner) -> None:
    """`@group.command()` takes the function's name as Click does, with dashes."""
    own = AppGroup("own")
    own.command()(say_app)
    assert runner.invoke(own, ["say-app"], obj=ScriptInfo(create_app=lambda: app)).output == f"{app.name}\n"


def test_groups_in_a_group(app: Quaff, runner: CliRunner) -> None:
    """A group made in an `AppGroup` is one too, unless it asks for another class."""
    own = AppGroup("own")
    inner = own.group("inner")(lambda: None)
    plain = own.group("plain", cls=click.Group)(lambda: None)
    assert type(inner) is AppGroup
    assert type(plain) is click.Group
    inner.command("say")(say_app)
    assert runner.invoke(own, ["inner", "say"], obj=ScriptInfo(create_app=lambda: app)).output == f"{app.name}\n"


def test_program_has_the_commands_of_the_app(app: Quaff, group: FlaskGroup, runner: CliRunner) -> None:
    """The app's commands are commands of the program, and stand in its help, sorted among the others."""
    app.cli.command("middle", help="An app's own.")(say_app)
    assert runner.invoke(group, ["middle"]).output == f"{app.name}\n"
    text = runner.invoke(group, ["--help"]).output
    positions = [text.index(f"\n  {name}") for name in ("middle", "routes", "run", "shell")]
    assert positions == sorted(positions)
    assert "An app's own." in text


def test_context_in_callbacks_of_parameters(app: Quaff, group: FlaskGroup, runner: CliRunner) -> None:
    """Callbacks of an app command's parameters have the context already, of the very app that the program loaded."""
    seen = []

    def look(ctx: click.Context, param: click.Parameter, value: str) -> str:
        seen.append(current_app._get_current_object())
        return value

    @app.cli.command("check")
    @click.argument("value", callback=look)
    def check(value: str) -> None:
        seen.append(click.get_current_context().find_object(ScriptInfo).load_app())

    assert runner.invoke(group, ["check", "x"]).exit_code == 0
    assert seen == [app, app]


def test_outer_context_of_the_same_app_stays(app: Quaff, group: FlaskGroup, runner: CliRunner) -> None:
    """A command that is called inside the app's context uses it; inside another app's it gets its own."""
    found = []
    app.cli.command("look")(lambda: found.append(current_app._get_current_object()))
    with app.app_context():
        assert runner.invoke(group, ["look"]).exit_code == 0
    with Quaff("other").app_context():
        assert runner.invoke(group, ["look"]).exit_code == 0
    assert found == [app, app]


def test_built_in_commands_win(app: Quaff, group: FlaskGroup, runner: CliRunner) -> None:
    """An app's command does not hide a built-in one of the same name."""
    app.cli.command("routes")(say_app)
    assert "Endpoint" in runner.invoke(group, ["routes"]).output


def test_without_built_in_commands(app: Quaff, runner: CliRunner) -> None:
    """`add_default_commands=False` leaves the program with the app's commands alone."""
    group = FlaskGroup(create_app=lambda: app, add_default_commands=False)
    assert runner.invoke(group, ["routes"]).exit_code == 2
    app.cli.command("own")(say_app)
    assert group.list_commands(group.make_context("program", ["own"])) == ["own"]


def test_version_option(app: Quaff, runner: CliRunner) -> None:
    """`--version` is there unless it is turned off."""
    assert "Quaff " in runner.invoke(FlaskGroup(create_app=lambda: app), ["--version"]).output
    without = FlaskGroup(create_app=lambda: app, add_version_option=False)
    assert "No such option" in runner.invoke(without, ["--version"]).output


@pytest.mark.parametrize("set_debug_flag", [True, False])
def test_debug_mode(runner: CliRunner, set_debug_flag: bool) -> None:
    """By default `--debug` and the environment decide about `app.debug`; otherwise the app's own setting stays."""

    def create_app() -> Quaff:
        app = Quaff("debugged")
        app.debug = True
        return app

    group = FlaskGroup(create_app=create_app, set_debug_flag=set_debug_flag)
    group.command("say")(lambda: click.echo(current_app.debug))
    assert runner.invoke(group, ["say"]).output == f"{not set_debug_flag}\n"
    assert runner.invoke(group, ["--debug", "say"]).output == "True\n"


def test_group_inside_a_program_of_clicks(app: Quaff, group: FlaskGroup, runner: CliRunner) -> None:
    """The group may be a command of any Click program; callbacks and parameters of that program are its own."""
    outer = click.Group("outer")
    outer.add_command(group)
    group.command("say")(say_app)
    assert runner.invoke(outer, ["program", "say"]).output == f"{app.name}\n"


def test_own_object(app: Quaff) -> None:
    """A `ScriptInfo` that is handed in is the one that commands get; otherwise one is made from the group's settings."""
    group = FlaskGroup(create_app=lambda: app, set_debug_flag=False, load_dotenv=False)
    info = ScriptInfo()
    assert group.make_context("program", ["routes"], obj=info).obj is info
    made = group.make_context("program", ["routes"]).obj
    assert isinstance(made, ScriptInfo)
    assert (made.set_debug_flag, made.load_dotenv_defaults, made.load_app()) == (False, False, app)


def test_marks_the_process(group: FlaskGroup, runner: CliRunner) -> None:
    """While a command loads the app, `app.run()` must not serve: the variable that says so is Flask's."""
    assert "FLASK_RUN_FROM_CLI" not in os.environ
    runner.invoke(group, ["routes"])
    assert os.environ["FLASK_RUN_FROM_CLI"] == "true"


def test_options_from_the_environment(app: Quaff, runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option of a command is an environment variable; `QUAFF_` wins; a program may choose another beginning."""
    app.add_url_rule("/a", "z", methods=["GET"])
    app.add_url_rule("/b", "a", methods=["PUT"])
    rows = {"FLASK": "GET", "QUAFF": "/a", "OWN": "/b"}
    monkeypatch.setenv("FLASK_ROUTES_SORT", "methods")
    lines = runner.invoke(FlaskGroup(create_app=lambda: app), ["routes"]).output.splitlines()
    assert rows["FLASK"] in lines[2]
    monkeypatch.setenv("QUAFF_ROUTES_SORT", "rule")
    lines = runner.invoke(FlaskGroup(create_app=lambda: app), ["routes"]).output.splitlines()
    assert rows["QUAFF"] in lines[2]
    monkeypatch.setenv("OWN_ROUTES_SORT", "endpoint")
    own = FlaskGroup(create_app=lambda: app, context_settings={"auto_envvar_prefix": "OWN"})
    assert rows["OWN"] in runner.invoke(own, ["routes"]).output.splitlines()[2]


def test_unknown_command(group: FlaskGroup, runner: CliRunner) -> None:
    """An unknown command is a usage error that names it."""
    result = runner.invoke(group, ["rotues"])
    assert result.exit_code == 2
    assert "No such command 'rotues'" in result.stderr


def test_missing_app_is_told_with_an_unknown_command(project: Project, runner: CliRunner) -> None:
    """Without an app the command may be one of its own: first it is said that there is no app."""
    result = runner.invoke(FlaskGroup(), ["missing"])
    assert result.exit_code == 2
    assert result.stderr.index("Could not locate a Quaff application") < result.stderr.index("No such command")


def test_help_without_an_app(project: Project, runner: CliRunner) -> None:
    """Help is given without an app, and standard error says that there is none."""
    result = runner.invoke(FlaskGroup(), ["--help"])
    assert result.exit_code == 0
    assert "FLASK_APP" in result.stderr
    assert "Usage:" in result.stdout
    assert "  routes" in result.stdout


def test_help_with_a_broken_app(runner: CliRunner) -> None:
    """Help is given for an app that fails while it is made, and the failure is told."""

    def create_app() -> Quaff:
        raise ValueError("the database is gone")

    result = runner.invoke(FlaskGroup(create_app=create_app), ["--help"])
    assert result.exit_code == 0
    assert "ValueError: the database is gone" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Usage:" in result.stdout


def test_commands_of_blueprints(app: Quaff, runner: CliRunner) -> None:
    """A blueprint's commands stand in a group with its name, in one it chooses, or among the app's own."""
    blueprints = [
        (Blueprint("plain", __name__), {}),
        (Blueprint("chosen", __name__, cli_group="shop"), {}),
        (Blueprint("merged", __name__, cli_group=None), {}),
        (Blueprint("late", __name__), {"cli_group": "later"}),
    ]
    for blueprint, options in blueprints:
        blueprint.cli.command(f"say-{blueprint.name}")(say_app)
        app.register_blueprint(blueprint, **options)
    app.register_blueprint(Blueprint("empty", __name__))
    for line in ("plain say-plain", "shop say-chosen", "say-merged", "later say-late"):
        assert app.test_cli_runner().invoke(args=line.split()).output == f"{app.name}\n", line
    assert app.test_cli_runner().invoke(args=["empty"]).exit_code == 2


@pytest.mark.parametrize("name", ["flask.commands", "quaff.commands"])
def test_commands_of_packages(project: Project, name: str) -> None:
    """Commands of installed packages are found through either group of entry points, without an app."""
    project.write("site/plugin.py", PLUGIN.format(name="plugin"))
    project.install({"hello": "plugin:hello"}, group=name)
    assert project.quaff("hello").stdout == "hello from plugin\n"
    listed = project.quaff("--help")
    assert "\n  hello" in listed.stdout
    assert "Could not locate" in listed.stderr


def test_quaffs_entry_point_wins(project: Project) -> None:
    """Where both groups have a command of that name, it is the one for Quaff."""
    project.write("site/one.py", PLUGIN.format(name="flask"))
    project.write("site/two.py", PLUGIN.format(name="quaff"))
    project.install({"hello": "one:hello"}, package="one")
    project.install({"hello": "two:hello"}, group="quaff.commands", package="two")
    assert project.quaff("hello").stdout == "hello from quaff\n"


def test_command_of_a_package_that_imports_flask(project: Project) -> None:
    """Such a package gets Quaff as `flask`, and its command has the app's context when it asks for it."""
    project.write("app.py", "from flask import Flask\napp = Flask('shop')\n")
    project.write(
        "site/plugin.py",
        """\
        import click, flask, quaff
        from flask.cli import with_appcontext

        @click.command()
        @with_appcontext
        def hello():
            click.echo(f"{flask.Flask is quaff.Quaff} {flask.current_app.name}")
        """,
    )
    project.install({"hello": "plugin:hello"})
    assert project.quaff("hello").stdout == "True shop\n"


def test_broken_package(project: Project) -> None:
    """A package whose command cannot be loaded is reported by name; all other commands work on."""
    project.write("app.py")
    project.write("site/plugin.py", "raise ImportError('it is broken')\n")
    project.install({"hello": "plugin:hello"})
    done = project.quaff("--help")
    assert "'hello' of an installed package cannot be loaded (plugin:hello): it is broken" in done.stderr
    assert "\n  routes" in done.stdout
    assert project.quaff("routes").stderr == "", "it is not loaded for another command"


def test_packages_are_loaded_once(project: Project, runner: CliRunner) -> None:
    """Listing the commands twice imports the packages' commands once."""
    project.write("site/counted_plugin.py", "print('loaded')\n" + PLUGIN.format(name="plugin"))
    sys.path.insert(0, str(project.install({"hello": "counted_plugin:hello"})))
    group = FlaskGroup(create_app=lambda: Quaff("listed"))
    outputs = [runner.invoke(group, ["--help"]).output for _ in range(2)]
    assert ["loaded" in text for text in outputs] == [True, False]
    assert all("\n  hello" in text for text in outputs)
