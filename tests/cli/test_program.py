"""The program `quaff` from the shell: how it finds the app, and what it says when it cannot."""

from __future__ import annotations

import importlib.metadata

import pytest

from quaff.cli import cli, main
from tests.cli.project import Project

FACTORY = """\
from flask import Flask


def create_app(name="plain"):
    app = Flask(name)
    app.cli.command("who")(lambda: print(app.name))
    return app


def make_with(colour):
    return create_app(colour)
"""

WHICH_FLASK = """\
import flask, quaff

app = quaff.Quaff(__name__)
app.cli.command("which")(lambda: print(flask.Flask is quaff.Quaff))
"""


def test_is_the_command_quaff() -> None:
    """The installed command `quaff` calls `main`; its group is what packages import as `flask.cli.cli`."""
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="quaff")
    assert entry.load() is main
    assert cli.name == "quaff"
    assert {"run", "serve", "shell", "routes"} <= set(cli.commands)


@pytest.mark.parametrize("file", ["app.py", "wsgi.py"])
def test_usual_files(project: Project, file: str) -> None:
    """An app in `app.py` or `wsgi.py` of the current folder needs no option."""
    project.write(file)
    assert "index" in project.quaff("routes").stdout


def test_custom_command(project: Project) -> None:
    """The app's own commands run in its context, with their arguments and exit codes."""
    project.write(
        "app.py",
        """\
        import click, sys
        from flask import Flask, current_app

        app = Flask("shop")

        @app.cli.command()
        @click.argument("name")
        @click.option("--times", default=1)
        def greet(name, times):
            click.echo(f"Hello {name} from {current_app.name}! " * times)
            sys.exit(times)
        """,
    )
    done = project.quaff("greet", "Ann", "--times", "3", check=False)
    assert done.stdout == "Hello Ann from shop! " * 3 + "\n"
    assert done.returncode == 3


def test_package(project: Project) -> None:
    """The app may be in a package, of which the current folder holds the outermost."""
    project.write("shop/__init__.py", "")
    project.write("shop/web/__init__.py", FACTORY)
    for name in ("shop.web", "shop/web", "shop/web/__init__.py"):
        assert project.quaff("--app", name, "who").stdout == "plain\n", name


@pytest.mark.parametrize(
    "path, expected",
    [
        ("site_factory", "plain"),
        ("site_factory:create_app", "plain"),
        ("site_factory:create_app('dev')", "dev"),
        ("site_factory:create_app(name='dev')", "dev"),
        ("site_factory.py:make_with('red')", "red"),
    ],
)
def test_factory(project: Project, path: str, expected: str) -> None:
    """A factory is called, with the literal arguments that stand behind its name."""
    project.write("site_factory.py", FACTORY)
    assert project.quaff("--app", path, "who").stdout == f"{expected}\n"


@pytest.mark.parametrize(
    "path, message",
    [
        ("site_factory:make_with", "make_with() missing 1 required positional argument: 'colour'"),
        ("site_factory:make_with('a', 'b')", "make_with() takes 1 positional argument but 2 were given"),
        (
            "site_factory:make_wit('a')",
            "Failed to find attribute 'make_wit' in 'site_factory'. Did you mean 'make_with'?",
        ),
        ("site_factory:make_with(red)", "Failed to parse arguments as literal values"),
        ("site_factory:a.b", "Failed to parse 'a.b' as an attribute name or function call"),
        ("site_factroy", "Could not import 'site_factroy'. Did you mean 'site_factory.py'?"),
        ("site_factory:Flask", "A valid Quaff application was not obtained from 'site_factory:Flask'"),
    ],
)
def test_wrong_path(project: Project, path: str, message: str) -> None:
    """What is wrong with `--app` is told in one message, with a guess where there is one, and no traceback."""
    project.write("site_factory.py", FACTORY)
    done = project.quaff("--app", path, "routes", check=False)
    assert done.returncode == 2
    assert done.stderr.count("Error: ") == 1
    assert message in done.stderr.partition("Error: ")[2]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_app(project: Project) -> None:
    """Without an app the message lists every way to name one."""
    done = project.quaff("routes", check=False)
    assert done.returncode == 2
    for way in ("quaff run FILE", "--app", "FLASK_APP", "QUAFF_APP", "wsgi.py", "app.py"):
        assert way in done.stderr
    assert "Did you mean" not in done.stderr


def test_app_in_another_file(project: Project) -> None:
    """A file in the folder that imports Flask is probably the one that was meant."""
    project.write("hello.py")
    project.write("a_script.py", "print('no app')\n")
    done = project.quaff("routes", check=False)
    assert done.returncode == 2
    assert "Did you mean 'quaff --app hello.py'?" in done.stderr


def test_several_apps(project: Project) -> None:
    """Several apps without a usual name: the message lists them and says how to choose."""
    project.write("app.py", "from flask import Flask\none = Flask('one')\ntwo = Flask('two')\n")
    done = project.quaff("routes", check=False)
    assert done.returncode == 2
    assert "Detected multiple Quaff applications in module 'app': 'one', 'two'. Use 'app:name'" in done.stderr
    assert project.quaff("--app", "app:two", "routes").stdout


@pytest.mark.parametrize(
    "code, error",
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise KeyError('DATABASE_URL')", "KeyError: 'DATABASE_URL'"),
        ("app.add_url_rule('no-slash', 'x')", "ValueError: "),
    ],
)
def test_app_that_fails(project: Project, code: str, error: str) -> None:
    """When the app's code fails, the user's line comes first and no frame of a library is shown; exit code 1."""
    project.write("app.py", f"from flask import Flask\napp = Flask(__name__)\n{code}\n")
    done = project.quaff("routes", check=False)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0] == "Error: The app could not be loaded."
    assert lines[2] == f'  File "{project.folder / "app.py"}", line 3, in <module>'
    assert lines[3].strip() == code
    assert lines[4].startswith(error)
    assert done.stderr.count('  File "') == 1
    assert "Traceback" not in done.stderr


def test_import_that_fails_in_the_app(project: Project) -> None:
    """A package that is missing is told as one message about the user's import, not about `--app`."""
    project.write("app.py", "from flask import Flask\nimport missing_package_of_a_test\n")
    done = project.quaff("routes", check=False)
    assert done.returncode == 2
    assert "While importing 'app', an ImportError was raised" in done.stderr
    assert f'File "{project.folder / "app.py"}", line 2' in done.stderr
    assert "No module named 'missing_package_of_a_test'" in done.stderr
    assert done.stderr.count('  File "') == 1
    assert "Traceback" not in done.stderr
    assert "Usage" not in done.stderr


@pytest.mark.parametrize("arguments", [["-v", "routes"], ["--debug", "routes"]])
def test_whole_traceback_on_demand(project: Project, arguments: list[str]) -> None:
    """With -v or --debug the failure of the app is Python's own traceback."""
    project.write("app.py", "1 / 0\n")
    done = project.quaff(*arguments, check=False)
    assert done.returncode == 1
    assert "Traceback (most recent call last):" in done.stderr
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")


def test_command_that_fails(project: Project) -> None:
    """An error in a command of the app, which was loaded, is an error as in any program."""
    project.write("app.py", "from flask import Flask\napp = Flask('a')\napp.cli.command('fail')(lambda: 1 / 0)\n")
    done = project.quaff("fail", check=False)
    assert done.returncode == 1
    assert "Traceback (most recent call last):" in done.stderr
    assert "The app could not be loaded" not in done.stderr


@pytest.mark.parametrize("code", ["import sys; sys.exit(7)", "raise SystemExit(7)"])
def test_app_that_exits(project: Project, code: str) -> None:
    """An app that ends the program while it is imported ends it with its own exit code."""
    project.write("app.py", f"{code}\n")
    assert project.quaff("routes", check=False).returncode == 7


def test_flask_is_quaff(project: Project) -> None:
    """In the app `import flask` gives Quaff, whether or not Flask is installed."""
    project.write("app.py", WHICH_FLASK)
    assert project.quaff("which").stdout == "True\n"
    assert project.quaff("--alias", "which").stdout == "True\n"


def test_no_alias(project: Project) -> None:
    """With `--no-alias` the app gets the module `flask` that is installed."""
    project.write("site/flask.py", "class Flask: pass\n")
    project.write("app.py", WHICH_FLASK)
    assert project.quaff("--no-alias", "which").stdout == "False\n"
    assert project.quaff("which").stdout == "True\n"


def test_run_in_the_app_does_not_serve(project: Project) -> None:
    """An `app.run()` at the end of the file, without a guard, is passed over with a note."""
    project.write("app.py", "from flask import Flask\napp = Flask(__name__)\napp.run(port=1)\n")
    done = project.quaff("routes")
    assert "static" in done.stdout
    assert "app.run()" in done.stderr + done.stdout
