"""From a file, module or reference to the app in it."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import click
import pytest

import quaff.cli
from quaff import Quaff, current_app
from quaff.cli import NoAppException, find_app_by_string, find_best_app, locate_app, prepare_import
from quaff.cli.locate import AppImportError
from tests.cli.projects import importing_from, write


def module(**names: Any) -> types.ModuleType:
    """Return a module `shop` with *names* in it."""
    made = types.ModuleType("shop")
    made.__dict__.update(names)
    return made


# The best app of a module ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["app", "application"])
def test_the_usual_names_come_first(name: str) -> None:
    """`app` and `application` are the app, whatever other apps there are."""
    wanted = Quaff("wanted")
    assert find_best_app(module(other=Quaff("other"), **{name: wanted})) is wanted


def test_app_comes_before_application() -> None:
    """With both, `app` is the one."""
    wanted = Quaff("wanted")
    assert find_best_app(module(application=Quaff("other"), app=wanted)) is wanted


def test_the_only_app_is_found_by_any_name() -> None:
    """One app is enough, also with two names for it."""
    wanted = Quaff("wanted")
    assert find_best_app(module(site=wanted)) is wanted
    assert find_best_app(module(site=wanted, web=wanted, number=3)) is wanted


def test_names_that_are_no_apps_do_not_count() -> None:
    """An `app` that is something else is passed over."""
    wanted = Quaff("wanted")
    assert find_best_app(module(app="a string", site=wanted)) is wanted


def test_a_proxy_is_no_app() -> None:
    """`from quaff import current_app` in a module does not make a second app of the active one."""
    active, wanted = Quaff("active"), Quaff("wanted")
    with active.app_context():
        assert find_best_app(module(current_app=current_app, site=wanted)) is wanted


def test_several_apps_are_named() -> None:
    """With several apps the message lists their names and says how to choose."""
    with pytest.raises(NoAppException) as caught:
        find_best_app(module(one=Quaff("one"), two=Quaff("two")))
    assert "Detected multiple Quaff applications in module 'shop': 'one', 'two'." in caught.value.message
    assert "Use 'shop:name' to specify the correct one." in caught.value.message


@pytest.mark.parametrize("name", ["create_app", "make_app"])
def test_factories_are_called(name: str) -> None:
    """Without an app, a factory makes one; its arguments may have defaults."""
    assert find_best_app(module(**{name: lambda: Quaff("made")})).name == "made"
    assert find_best_app(module(**{name: lambda prefix="x", **more: Quaff(prefix)})).name == "x"


def test_an_app_comes_before_a_factory() -> None:
    """A factory is not called where there is an app already."""

    def create_app() -> Quaff:
        raise AssertionError

    wanted = Quaff("wanted")
    assert find_best_app(module(site=wanted, create_app=create_app)) is wanted


def test_a_factory_with_required_arguments_is_explained() -> None:
    """The message says how arguments are given."""

    def create_app(settings: str) -> Quaff:
        raise AssertionError

    with pytest.raises(NoAppException, match=r"could not call it without arguments\. Use 'shop:create_app\(args\)'"):
        find_best_app(module(create_app=create_app))


def test_an_error_inside_a_factory_passes_through() -> None:
    """A TypeError of the factory's own code is not mistaken for a wrong call."""

    def create_app() -> Quaff:
        raise TypeError("bad settings")

    with pytest.raises(TypeError, match="bad settings"):
        find_best_app(module(create_app=create_app))


def test_a_factory_that_makes_something_else_is_passed_over() -> None:
    """The next factory is tried."""
    made = find_best_app(module(create_app=lambda: None, make_app=lambda: Quaff("made")))
    assert made.name == "made"


def test_nothing_is_explained() -> None:
    """A module without an app is named."""
    with pytest.raises(NoAppException, match="Failed to find Quaff application or factory in module 'shop'"):
        find_best_app(module(number=3))


def test_an_app_of_the_real_flask_is_explained() -> None:
    """Where the alias is off, an app of the installed Flask is not Quaff's; the message says so."""
    flask_app = type("Flask", (), {"__module__": "flask.app"})()
    with pytest.raises(NoAppException, match="'site' there is an app of the installed Flask: without --no-alias"):
        find_best_app(module(site=flask_app))


# References -----------------------------------------------------------------------------------------------------------


def factory(name: str = "made", *, suffix: str = "") -> Quaff:
    """Make an app."""
    return Quaff(name + suffix)


@pytest.mark.parametrize(
    "reference,name",
    [
        ("site", "site"),
        (" site ", "site"),
        ("factory", "made"),
        ("factory()", "made"),
        ("factory('a')", "a"),
        ("factory('a', suffix='b')", "ab"),
        (' factory ( "a", ) ', "a"),
    ],
)
def test_references_that_are_understood(reference: str, name: str) -> None:
    """A name, or a call with literal arguments."""
    assert find_app_by_string(module(site=Quaff("site"), factory=factory), reference).name == name


@pytest.mark.parametrize(
    "reference,message",
    [
        ("factory(", "Failed to parse 'factory(' as an attribute name or function call."),
        ("a.b", "Failed to parse 'a.b' as an attribute name or function call."),
        ("1", "Failed to parse '1' as an attribute name or function call."),
        ("", "Failed to parse '' as an attribute name or function call."),
        ("a.b()", "Function reference must be a simple name: 'a.b()'."),
        ("factory(name)", "Failed to parse arguments as literal values: 'factory(name)'."),
        ("factory(1 + x)", "Failed to parse arguments as literal values: 'factory(1 + x)'."),
        ("factry", "Failed to find attribute 'factry' in 'shop'. Did you mean 'factory'?"),
        ("zzz", "Failed to find attribute 'zzz' in 'shop'."),
        ("number", "A valid Quaff application was not obtained from 'shop:number': it is an object of type 'int'."),
        ("nothing()", "A valid Quaff application was not obtained from 'shop:nothing()': it is None."),
    ],
)
def test_references_that_are_refused(reference: str, message: str) -> None:
    """Each kind of mistake has a message of its own."""
    with pytest.raises(NoAppException) as caught:
        find_app_by_string(module(factory=factory, number=3, nothing=lambda: None), reference)
    assert caught.value.message == message


def test_wrong_arguments_are_told() -> None:
    """Arguments that the factory does not take are reported with what Python said."""
    with pytest.raises(NoAppException, match=r"could not be called with the specified arguments: .*takes from 0 to 1"):
        find_app_by_string(module(factory=factory), "factory(1, 2)")


def test_an_error_inside_the_called_factory_passes_through() -> None:
    """A TypeError of the factory's own is not a wrong call."""

    def broken() -> Quaff:
        raise TypeError("bad settings")

    with pytest.raises(TypeError, match="bad settings"):
        find_app_by_string(module(broken=broken), "broken()")


def test_code_in_a_reference_is_never_run() -> None:
    """Arguments are literals: nothing else is evaluated."""
    with pytest.raises(NoAppException):
        find_app_by_string(module(factory=factory), "factory(__import__('os').getpid())")


# Paths ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a folder with modules and packages."""
    folder = Path(os.path.realpath(tmp_path))
    write(folder, "site_one.py", "from quaff import Quaff\napp = Quaff('site_one')\n")
    write(folder, "outer/__init__.py", "")
    write(folder, "outer/inner/__init__.py", "from quaff import Quaff\napp = Quaff('inner')\n")
    write(folder, "outer/inner/leaf.py", "from quaff import Quaff\nleaf = Quaff('leaf')\n")
    write(folder, "plain/loose.py", "from quaff import Quaff\nloose = Quaff('loose')\n")
    write(folder, "broken_import.py", "import not_there_at_all\n")
    write(folder, "views_broken.py", "def load():\n    import not_there_at_all\nload()\n")
    write(folder, "uses_views.py", "import views_broken\n")
    return folder


@pytest.mark.parametrize(
    "path,root,name",
    [
        ("site_one", "", "site_one"),
        ("site_one.py", "", "site_one"),
        ("plain/loose", "plain", "loose"),
        ("plain/loose.py", "plain", "loose"),
        ("outer/inner/leaf.py", "", "outer.inner.leaf"),
        ("outer/inner", "", "outer.inner"),
        ("outer/inner/__init__.py", "", "outer.inner"),
        ("outer/inner/__init__", "", "outer.inner"),
        ("outer.inner.leaf", "", "outer.inner.leaf"),
        ("not_there.py", "", "not_there"),
        ("outer/notes.txt", "", "outer.notes.txt"),
    ],
)
def test_paths_become_module_names(project: Path, path: str, root: str, name: str) -> None:
    """A path is turned into the name under which it is imported, and its root is put first on the path."""
    with importing_from(project):
        assert prepare_import(path) == name
        assert sys.path[0] == str(project / root).rstrip(os.sep)


def test_the_root_is_put_first_once(project: Path) -> None:
    """Looking twice does not make the path longer."""
    with importing_from(project):
        prepare_import("site_one")
        length = len(sys.path)
        prepare_import(project / "site_one.py")
        assert len(sys.path) == length


# Modules --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module_name,app_name,name",
    [("site_one", None, "site_one"), ("outer.inner", "app", "inner"), ("outer.inner.leaf", "leaf", "leaf")],
)
def test_modules_are_imported(project: Path, module_name: str, app_name: str | None, name: str) -> None:
    """The app of a module, by name or the best."""
    with importing_from(project):
        sys.path.insert(0, str(project))
        assert locate_app(module_name, app_name).name == name


def test_a_module_that_does_not_exist(project: Path) -> None:
    """It is named, with the file that was probably meant; or the answer is None where that is wanted."""
    with importing_from(project):
        with pytest.raises(NoAppException, match=r"Could not import 'site_on'\. Did you mean 'site_one\.py'\?"):
            locate_app("site_on", None)
        with pytest.raises(NoAppException, match=r"Could not import 'zzzz'\. There is no such module or file in /"):
            locate_app("zzzz", None)
        assert locate_app("zzzz", None, raise_if_not_found=False) is None


def test_an_import_error_inside_a_module(project: Path) -> None:
    """The message begins with the user's line; it is an error also where a missing module would not be."""
    with importing_from(project):
        sys.path.insert(0, str(project))
        for raise_if_not_found in (True, False):
            with pytest.raises(AppImportError) as caught:
                locate_app("broken_import", None, raise_if_not_found=raise_if_not_found)
        lines = caught.value.message.splitlines()
    assert lines[0] == "While importing 'broken_import', an ImportError was raised:"
    assert lines[2] == f'  File "{project / "broken_import.py"}", line 1, in <module>'
    assert lines[3] == "    import not_there_at_all"
    assert lines[4] == "ModuleNotFoundError: No module named 'not_there_at_all'"


def test_an_import_error_further_down(project: Path) -> None:
    """The innermost line of the user's code comes first, then how it was reached; no library is in between."""
    with importing_from(project):
        sys.path.insert(0, str(project))
        with pytest.raises(AppImportError) as caught:
            locate_app("uses_views", None)
    message = caught.value.message
    assert message.index('views_broken.py", line 2, in load') < message.index("ModuleNotFoundError")
    assert message.index("ModuleNotFoundError") < message.index('uses_views.py", line 1')
    assert "importlib" not in message
    assert "locate.py" not in message


def test_an_import_error_is_shown_without_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in the user's code is no matter of usage; a missing app is."""
    AppImportError("While importing").show()
    assert capsys.readouterr().err == "Error: While importing\n"
    with click.Context(click.Command("run"), info_name="run") as context:
        NoAppException("No app", ctx=context).show()
    assert "Usage: run" in capsys.readouterr().err


@pytest.mark.parametrize("name,app_name", [("find_best_app", None), ("find_app_by_string", "app")])
def test_the_steps_can_be_replaced(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, app_name: str | None
) -> None:
    """COMPAT: what is put in the place of `flask.cli.find_best_app` is called."""
    replacement = Quaff("replacement")
    monkeypatch.setattr(quaff.cli, name, lambda *arguments: replacement)
    with importing_from(project):
        sys.path.insert(0, str(project))
        assert locate_app("site_one", app_name) is replacement
