"""What apps and blueprints share: names, folders, routes, and where a package is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quaff import Blueprint, Quaff
from quaff.cli import AppGroup
from quaff.scaffold import Scaffold, _endpoint_from_view_func, find_package, setupmethod

MAKERS = [lambda **kwargs: Quaff("shop", **kwargs), lambda **kwargs: Blueprint("part", "shop", **kwargs)]
both = pytest.mark.parametrize("make", MAKERS, ids=["app", "blueprint"])


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline."""
    return Quaff(__name__, compiled=request.param)


# Folders ---------------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    "folder, expected",
    [("static", "static"), ("assets/", "assets"), ("a/b", "a/b"), (Path("paths"), "paths"), ("windows\\", "windows")],
)
def test_the_static_folder_is_below_the_root(make: Any, tmp_path: Path, folder: Any, expected: str) -> None:
    """A relative folder starts at the root path, without a slash at its end; any path-like object will do."""
    made = make(static_folder=folder, root_path=str(tmp_path))
    assert made.static_folder == os.path.join(tmp_path, expected)
    assert made.has_static_folder


@both
def test_an_absolute_static_folder(make: Any, tmp_path: Path) -> None:
    """An absolute folder is taken as it is."""
    assert make(static_folder=tmp_path, root_path="/elsewhere").static_folder == str(tmp_path)


@both
def test_no_static_folder(make: Any) -> None:
    """Without a folder there are no static files and no prefix for them."""
    made = make(static_folder=None)
    assert (made.static_folder, made.static_url_path, made.has_static_folder) == (None, None, False)


def test_only_apps_have_a_static_folder_by_default() -> None:
    """An app looks into `static`; a blueprint has none unless told."""
    assert Quaff("shop").has_static_folder
    assert not Blueprint("part", "shop").has_static_folder


@both
@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({"static_folder": "a/b"}, "/b"),
        ({"static_folder": "a/b/"}, "/b"),
        ({"static_folder": "a", "static_url_path": "/x/"}, "/x"),
        ({"static_folder": "a", "static_url_path": ""}, ""),
        ({"static_folder": None, "static_url_path": "/x"}, "/x"),
    ],
)
def test_the_static_url_path(make: Any, arguments: dict[str, Any], expected: str) -> None:
    """The prefix is the folder's own name unless it is given; it never ends with a slash."""
    assert make(**arguments).static_url_path == expected


@both
def test_folders_may_be_changed(make: Any, tmp_path: Path) -> None:
    """Folder and prefix are properties that can be set, to None too."""
    made = make(root_path=str(tmp_path))
    made.static_folder = Path("other")
    made.static_url_path = "/files/"
    assert (made.static_folder, made.static_url_path) == (str(tmp_path / "other"), "/files")
    made.static_folder = made.static_url_path = None
    assert (made.static_folder, made.static_url_path) == (None, None)


@both
def test_templates(make: Any, tmp_path: Path) -> None:
    """The loader looks into the template folder below the root path; without a folder there is no loader."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.html").write_text("a")
    made = make(template_folder="pages", root_path=str(tmp_path))
    assert made.template_folder == "pages"
    assert made.jinja_loader.searchpath == [str(tmp_path / "pages")]
    assert made.jinja_loader is made.jinja_loader
    assert make(template_folder=None, root_path=str(tmp_path)).jinja_loader is None


@both
def test_the_root_path_is_the_modules_folder(make: Any) -> None:
    """By default relative paths start where the module is."""
    cls = type(make())
    arguments = ("scaffold", "quaff.scaffold") if cls is Blueprint else ("quaff.scaffold",)
    assert cls(*arguments).root_path == os.path.dirname(sys.modules["quaff.scaffold"].__file__ or "")


@both
def test_repr(make: Any) -> None:
    """It prints with its class and its name."""
    made = make()
    assert repr(made) == f"<{type(made).__name__} {made.name!r}>"


# Commands --------------------------------------------------------------------------------------------------------------


@both
def test_the_command_group(make: Any) -> None:
    """`cli` is made on first use, is a group with the owner's name, and stays the same."""
    made = make()
    assert "cli" not in vars(made)
    assert isinstance(made.cli, AppGroup)
    assert made.cli.name == made.name
    assert made.cli is made.cli


@both
def test_commands_of_batteries(make: Any) -> None:
    """What `add_cli_commands` was given is called with the group when that is first used, and at once after that."""
    made, seen = make(), []
    made.add_cli_commands(seen.append)
    assert seen == []
    assert "cli" not in vars(made)
    group = made.cli
    assert seen == [group]
    made.add_cli_commands(seen.append)
    assert seen == [group, group]


# Routes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "patch"])
@pytest.mark.parametrize("through", ["app", "blueprint"])
def test_each_method_has_a_decorator(app: Quaff, method: str, through: str) -> None:
    """`@app.get` and its siblings serve their method and refuse others, on apps and blueprints."""
    part = Blueprint("part", __name__)
    owner: Any = app if through == "app" else part

    def view() -> str:
        return method

    assert getattr(owner, method)("/", endpoint="named")(view) is view
    app.register_blueprint(part)
    client = app.test_client()
    assert getattr(client, method)("/").text == method
    other = "post" if method != "post" else "put"
    assert getattr(client, other)("/").status_code == 405
    assert "named" in {rule.endpoint.rpartition(".")[2] for rule in app.url_map.iter_rules()}


@both
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "patch"])
def test_the_short_decorators_take_no_methods(make: Any, method: str) -> None:
    """`methods=` belongs to `route`."""
    with pytest.raises(TypeError, match=r"^Use the 'route' decorator to use the 'methods' argument\.$"):
        getattr(make(), method)("/", methods=["GET"])


def test_route_takes_endpoint_and_options(app: Quaff) -> None:
    """The endpoint is the function's name or what is given; other options go to the rule."""

    @app.route("/a")
    def first() -> str:
        return "a"

    @app.route("/b/", endpoint="second", methods=["POST"], strict_slashes=False, defaults={"x": 1})
    def whatever(x: int) -> str:
        return f"b{x}"

    assert set(app.view_functions) == {"static", "first", "second"}
    client = app.test_client()
    assert client.get("/a").text == "a"
    assert client.post("/b").text == "b1"


def test_endpoint_registers_a_view_for_rules_made_elsewhere(app: Quaff) -> None:
    """`@app.endpoint` gives a view to a rule that was put into the map by hand."""
    app.url_map.add(app.url_rule_class("/foo", endpoint="foo", methods={"GET"}))

    @app.endpoint("foo")
    def view() -> str:
        return "foo"

    assert app.view_functions["foo"] is view
    assert app.test_client().get("/foo").text == "foo"


def test_endpoint_on_a_blueprint(app: Quaff) -> None:
    """On a blueprint the endpoint is the full name, as in Flask."""
    part = Blueprint("part", __name__)
    app.url_map.add(app.url_rule_class("/foo", endpoint="foo", methods={"GET"}))
    part.endpoint("foo")(lambda: "from the part")
    app.register_blueprint(part)
    assert app.test_client().get("/foo").text == "from the part"


@pytest.mark.parametrize("name", ["route", "get", "post", "put", "delete", "patch", "endpoint", "add_url_rule"])
def test_routes_belong_to_the_set_up(app: Quaff, name: str) -> None:
    """After the first request no route can be added, and the error names the method that was used."""
    app.test_client().get("/")
    with pytest.raises(AssertionError, match=f"The setup method '{name}' can no longer be called on the application"):
        getattr(app, name)("/")


def test_a_scaffold_alone_registers_nothing() -> None:
    """The base class leaves it to its subclasses to add a rule."""

    class Alone(Scaffold):
        name = "alone"

        def _check_setup_finished(self, f_name: str) -> None:
            """Never finished."""

    with pytest.raises(NotImplementedError):
        Alone("shop").add_url_rule("/")


def test_the_default_endpoint() -> None:
    """The endpoint is the view's name; without a view it has to be given."""
    assert _endpoint_from_view_func(test_the_default_endpoint) == "test_the_default_endpoint"
    with pytest.raises(AssertionError, match=r"expected view func if endpoint is not provided."):
        _endpoint_from_view_func(None)


def test_old_names() -> None:
    """COMPAT: extensions import `setupmethod` from here."""
    from quaff import hooks

    assert setupmethod is hooks.setupmethod


# Where a package is installed ------------------------------------------------------------------------------------------


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder from which modules can be imported, and forget them afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("qt_"):
            del sys.modules[name]


def make_module(folder: Path, name: str) -> None:
    """Write a module of an app."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text("import quaff\n\napp = quaff.Quaff(__name__)\n")


def make_package(folder: Path, name: str, *, namespace: bool = False) -> None:
    """Write a package of an app, with or without an `__init__`."""
    package = folder / name
    package.mkdir(parents=True, exist_ok=True)
    if not namespace:
        (package / "__init__.py").write_text("import quaff\n\napp = quaff.Quaff(__name__)\n")


def test_a_module_that_is_not_installed(importable: Path) -> None:
    """A module in a plain folder has no prefix, and its instance folder is beside it."""
    make_module(importable, "qt_module")
    assert find_package("qt_module") == (None, str(importable))
    app = __import__("qt_module").app
    assert app.instance_path == str(importable / "instance")


def test_a_package_that_is_not_installed(importable: Path) -> None:
    """For a package the instance folder is beside the package, not in it."""
    make_package(importable, "qt_package")
    assert find_package("qt_package") == (None, str(importable))
    assert find_package("qt_package.sub.module") == (None, str(importable))
    assert __import__("qt_package").app.instance_path == str(importable / "instance")


def test_a_namespace_package(
    importable: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a namespace package that has parts in two folders, the part that holds the app counts."""
    second = tmp_path_factory.mktemp("second")
    monkeypatch.syspath_prepend(str(second))
    make_package(importable / "qt_space", "one")
    make_package(second / "qt_space", "two")
    assert find_package("qt_space.one") == (None, str(importable))
    assert find_package("qt_space.two") == (None, str(second))


def test_a_namespace_package_without_its_part(importable: Path) -> None:
    """A name below a namespace package that does not exist counts as being in its first folder."""
    make_package(importable, "qt_empty", namespace=True)
    assert find_package("qt_empty.nothing") == (None, str(importable))


def test_a_nested_namespace_package(importable: Path) -> None:
    """Namespace packages inside a namespace package resolve to the folder of the outermost."""
    make_package(importable / "qt_outer" / "inner", "app")
    assert find_package("qt_outer.inner.app") == (None, str(importable))


@pytest.mark.parametrize(
    "parts", [("lib", "python3.13", "site-packages"), ("Lib", "site-packages"), ("lib", "python3.11", "Site-Packages")]
)
def test_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: tuple[str, ...]) -> None:
    """A package in `site-packages` has the prefix above it, and its instance folder is below `PREFIX/var`."""
    site = tmp_path.joinpath(*parts)
    make_package(site, "qt_installed")
    monkeypatch.syspath_prepend(str(site))
    try:
        assert find_package("qt_installed") == (str(tmp_path), str(site))
        app = Quaff("qt_installed")
        assert app.instance_path == str(tmp_path / "var" / "qt_installed-instance")
    finally:
        sys.modules.pop("qt_installed", None)


def test_a_site_packages_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder called `site-packages` that is not below `lib`, as zip apps have it, has its parent as prefix."""
    site = tmp_path / "bundle" / "site-packages"
    make_module(site, "qt_bundled")
    monkeypatch.syspath_prepend(str(site))
    assert find_package("qt_bundled") == (str(tmp_path / "bundle"), str(site))


def test_a_package_below_the_interpreters_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies below `sys.prefix` is installed, wherever it is there."""
    make_module(tmp_path / "anywhere", "qt_prefixed")
    monkeypatch.syspath_prepend(str(tmp_path / "anywhere"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert find_package("qt_prefixed") == (str(tmp_path), str(tmp_path / "anywhere"))


@pytest.mark.parametrize("name", ["qt_there_is_no_such_module", "qt_none.sub", "", "__main__"])
def test_a_module_that_cannot_be_found(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For an interactive session or an unknown name the current folder counts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", type(sys)("__main__"))
    assert find_package(name) == (None, str(tmp_path))
