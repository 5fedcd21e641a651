"""Blueprints: what they record, and what becomes of it when they are registered."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from quaff import Blueprint, Quaff, abort, g, render_template, render_template_string, request, url_for
from quaff.blueprints import BlueprintSetupState


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline."""
    app = Quaff(__name__, compiled=request.param)
    app.testing = True
    return app


def rules_of(app: Quaff) -> dict[str, str]:
    """Return the app's rules by endpoint, without its static files."""
    return {rule.endpoint: rule.rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"}


def with_index(name: str = "part", **options: Any) -> Blueprint:
    """Return a blueprint with one view, `index`, that answers with its endpoint."""
    blueprint = Blueprint(name, __name__, **options)
    blueprint.add_url_rule("/", "index", lambda **values: request.endpoint)
    return blueprint


# Names -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, message", [("", "'name' may not be empty."), ("a.b", "'name' may not contain a dot '.' character.")]
)
def test_names_that_are_refused(name: str, message: str) -> None:
    """A blueprint needs a name without a dot."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        Blueprint(name, __name__)


def test_endpoints_and_view_names_without_a_dot() -> None:
    """A dot in an endpoint or a view's name would look like a nested blueprint."""
    blueprint = Blueprint("part", __name__)

    def view() -> str:
        return ""

    with pytest.raises(ValueError, match=r"'endpoint' may not contain a dot '.' character"):
        blueprint.add_url_rule("/", endpoint="a.b", view_func=view)
    with pytest.raises(ValueError, match="'endpoint' may not contain a dot"):
        blueprint.route("/", endpoint="a.b")(view)
    view.__name__ = "a.b"
    with pytest.raises(ValueError, match=r"'view_func' name may not contain a dot '.' character"):
        blueprint.add_url_rule("/", view_func=view)


@pytest.mark.parametrize(
    "register, message",
    [
        (
            lambda app, a, b: [app.register_blueprint(a), app.register_blueprint(a)],
            "The name 'part' is already registered for this blueprint.",
        ),
        (
            lambda app, a, b: [app.register_blueprint(a), app.register_blueprint(b)],
            "The name 'part' is already registered for a different blueprint.",
        ),
        (
            lambda app, a, b: [app.register_blueprint(a, name="x"), app.register_blueprint(a, name="x")],
            "The name 'x' is already registered for this blueprint.",
        ),
    ],
)
def test_a_name_is_taken_once(app: Quaff, register: Any, message: str) -> None:
    """Registering a name again is an error that says which blueprint has it and what to do."""
    with pytest.raises(ValueError, match=f"^{message} Use 'name=' to provide a unique name.$"):
        register(app, with_index(), with_index())


def test_a_nested_name_is_taken_once(app: Quaff) -> None:
    """The error for a nested blueprint also gives the full name."""
    parent = Blueprint("parent", __name__)
    parent.register_blueprint(with_index())
    parent.register_blueprint(with_index())
    with pytest.raises(
        ValueError, match=r"The name 'part' is already registered for a different blueprint 'parent.part'."
    ):
        app.register_blueprint(parent)


def test_one_blueprint_under_several_names(app: Quaff) -> None:
    """With `name=` the same blueprint serves under several names and prefixes."""
    blueprint = with_index()
    app.register_blueprint(blueprint, url_prefix="/a")
    app.register_blueprint(blueprint, name="other", url_prefix="/b")
    client = app.test_client()
    assert (client.get("/a/").text, client.get("/b/").text) == ("part.index", "other.index")
    assert list(app.blueprints) == ["part", "other"]
    assert list(app.iter_blueprints()) == [blueprint, blueprint]


def test_a_blueprint_cannot_hold_itself() -> None:
    """That would never end."""
    blueprint = Blueprint("part", __name__)
    with pytest.raises(ValueError, match=r"^Cannot register a blueprint on itself$"):
        blueprint.register_blueprint(blueprint)


@pytest.mark.parametrize(
    "method, argument",
    [
        ("before_request", print),
        ("route", "/"),
        ("add_url_rule", "/"),
        ("record", print),
        ("app_errorhandler", 404),
        ("register_blueprint", None),
    ],
)
def test_set_up_ends_with_the_registration(app: Quaff, method: str, argument: Any) -> None:
    """Once registered a blueprint refuses changes that would not reach the app."""
    blueprint = with_index()
    app.register_blueprint(blueprint)
    message = (
        f"The setup method '{method}' can no longer be called on the blueprint 'part'. It has already been registered"
    )
    with pytest.raises(AssertionError, match=message):
        getattr(blueprint, method)(argument)


def test_late_registration_on_an_app(app: Quaff) -> None:
    """After the first request the app takes no blueprint."""
    app.test_client().get("/")
    with pytest.raises(AssertionError, match="'register_blueprint' can no longer be called on the application"):
        app.register_blueprint(with_index())


# URLs ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix, rule, expected",
    [
        ("", "/", "/"),
        ("/", "/", "/"),
        ("/", "", "/"),
        ("/foo", "/", "/foo/"),
        ("/foo/", "", "/foo/"),
        ("", "/bar", "/bar"),
        ("/foo/", "/bar", "/foo/bar"),
        ("/foo/", "bar", "/foo/bar"),
        ("/foo", "/bar", "/foo/bar"),
        ("/foo/", "//bar", "/foo/bar"),
        ("/foo//", "/bar", "/foo/bar"),
        ("/foo", "", "/foo"),
    ],
)
def test_prefixes_and_slashes(app: Quaff, prefix: str, rule: str, expected: str) -> None:
    """Prefix and rule are joined by one slash, and an empty rule is the prefix itself."""
    blueprint = Blueprint("part", __name__, url_prefix=prefix)
    blueprint.add_url_rule(rule, "index", lambda: "hello")
    app.register_blueprint(blueprint)
    assert rules_of(app) == {"part.index": expected}
    assert app.test_client().get(expected).text == "hello"


def test_options_override_the_blueprints_own(app: Quaff) -> None:
    """Prefix, subdomain and defaults given at registration come before the blueprint's own."""
    blueprint = Blueprint("part", __name__, url_prefix="/own", url_defaults={"a": 1, "b": 1})
    blueprint.add_url_rule("/", "index", lambda a, b, c: [a, b, c], defaults={"c": 3})
    app.register_blueprint(blueprint, url_prefix="/given", url_defaults={"b": 2})
    assert app.test_client().get("/given/").json == [1, 2, 3]


def test_defaults_of_a_rule_win(app: Quaff) -> None:
    """A rule's own defaults override those of its blueprint."""
    blueprint = Blueprint("part", __name__, url_defaults={"a": "blueprint"})
    blueprint.add_url_rule("/", "index", lambda a: a, defaults={"a": "rule"})
    app.register_blueprint(blueprint)
    assert app.test_client().get("/").text == "rule"


def test_a_prefix_may_have_variables(app: Quaff) -> None:
    """Variables of the prefix are arguments of the view."""
    blueprint = Blueprint("part", __name__, url_prefix="/<lang>")
    blueprint.add_url_rule("/<int:number>", "show", lambda lang, number: f"{lang} {number}")
    app.register_blueprint(blueprint)
    assert app.test_client().get("/de/5").text == "de 5"


def test_nested_prefixes_and_names(app: Quaff) -> None:
    """Prefixes and names of nested blueprints are put together, and `.` in url_for means the same blueprint."""
    parent, child, grandchild = (
        Blueprint("parent", __name__),
        Blueprint("child", __name__),
        Blueprint("grandchild", __name__),
    )
    for blueprint in (parent, child, grandchild):
        blueprint.add_url_rule("/", "index", lambda: url_for(".index") + " " + (request.endpoint or ""))
    child.register_blueprint(grandchild, url_prefix="/grandchild")
    parent.register_blueprint(child, url_prefix="/child")
    app.register_blueprint(parent, url_prefix="/parent")
    client = app.test_client()
    for path, endpoint in (
        ("/parent/", "parent.index"),
        ("/parent/child/", "parent.child.index"),
        ("/parent/child/grandchild/", "parent.child.grandchild.index"),
    ):
        assert client.get(path).text == f"{path} {endpoint}"
    assert list(app.blueprints) == ["parent", "parent.child", "parent.child.grandchild"]


@pytest.mark.parametrize(
    "parent_own, parent_given, child_own, child_given, expected",
    [
        ("/p", None, "/c", None, "/p/c/"),
        ("/p", "/q", "/c", "/d", "/q/d/"),
        (None, None, "/c", None, "/c/"),
        ("/p", None, None, None, "/p/"),
        ("/p/", None, "/c/", None, "/p/c/"),
        (None, "/q", None, "/d", "/q/d/"),
        ("/p", None, "", None, "/p/"),
    ],
)
def test_prefixes_of_a_parent_and_a_child(
    app: Quaff,
    parent_own: str | None,
    parent_given: str | None,
    child_own: str | None,
    child_given: str | None,
    expected: str,
) -> None:
    """What is given at registration comes before the own prefix, on both levels, and the parent's goes in front."""
    parent, child = Blueprint("parent", __name__, url_prefix=parent_own), with_index("child", url_prefix=child_own)
    parent.register_blueprint(child, **({} if child_given is None else {"url_prefix": child_given}))
    app.register_blueprint(parent, **({} if parent_given is None else {"url_prefix": parent_given}))
    assert rules_of(app) == {"parent.child.index": expected}


@pytest.mark.parametrize(
    "parent, child, given, expected",
    [
        ("api", "v1", None, "v1.api"),
        ("api", None, None, "api"),
        (None, "v1", None, "v1"),
        ("api", "v1", "v2", "v2.api"),
    ],
)
def test_nested_subdomains(parent: str | None, child: str | None, given: str | None, expected: str) -> None:
    """A child's subdomain is below its parent's; what is given at registration replaces its own."""
    app = Quaff(__name__, subdomain_matching=True)
    app.config["SERVER_NAME"] = "shop.example"
    outer, inner = Blueprint("outer", __name__, subdomain=parent), with_index("inner", subdomain=child)
    outer.register_blueprint(inner, **({} if given is None else {"subdomain": given}))
    app.register_blueprint(outer)
    client = app.test_client()
    assert client.get("/", base_url=f"http://{expected}.shop.example").text == "outer.inner.index"
    assert client.get("/", base_url="http://shop.example").status_code == 404


def test_a_subdomain(app: Quaff) -> None:
    """A blueprint may live on a subdomain, given by itself or at registration."""
    app.subdomain_matching = True
    app.config["SERVER_NAME"] = "shop.example"
    app.register_blueprint(with_index("own", subdomain="own"))
    app.register_blueprint(with_index("given", subdomain="own"), subdomain="given")
    client = app.test_client()
    assert client.get("/", subdomain="own").text == "own.index"
    assert client.get("/", subdomain="given").text == "given.index"
    with app.app_context():
        assert url_for("given.index") == "http://given.shop.example/"


def test_nested_under_two_names(app: Quaff) -> None:
    """A child that is registered twice under different names of its parent serves for both."""
    parent, child = Blueprint("parent", __name__), with_index("child", url_prefix="/child")
    parent.register_blueprint(child)
    app.register_blueprint(parent, url_prefix="/a", name="a")
    app.register_blueprint(parent, url_prefix="/b", name="b")
    client = app.test_client()
    assert (client.get("/a/child/").text, client.get("/b/child/").text) == ("a.child.index", "b.child.index")


# Recorded functions ----------------------------------------------------------------------------------------------------


def test_the_setup_state(app: Quaff) -> None:
    """A recorded function gets the app, the blueprint and the options as they are for this registration."""
    blueprint, states = Blueprint("part", __name__, url_prefix="/own", subdomain="sub"), []
    blueprint.record(states.append)
    app.register_blueprint(blueprint, url_defaults={"a": 1}, extra="option")
    app.register_blueprint(blueprint, name="again", url_prefix="/again")
    first, second = states
    assert isinstance(first, BlueprintSetupState)
    assert (first.app, first.blueprint, first.first_registration) == (app, blueprint, True)
    assert (first.name, first.name_prefix, first.url_prefix, first.subdomain) == ("part", "", "/own", "sub")
    assert (first.url_defaults, first.options["extra"]) == ({"a": 1}, "option")
    assert (second.name, second.url_prefix, second.first_registration) == ("again", "/again", False)


def test_record_once(app: Quaff) -> None:
    """A function recorded once runs at the first registration on an app; it keeps its name."""
    blueprint, calls = Blueprint("part", __name__), []

    def setup(state: Any) -> None:
        calls.append(state.name)

    blueprint.record_once(setup)
    blueprint.record(lambda state: calls.append("always"))
    assert blueprint.deferred_functions[0].__name__ == "setup"
    app.register_blueprint(blueprint)
    app.register_blueprint(blueprint, name="again")
    Quaff("other").register_blueprint(blueprint)
    assert calls == ["part", "always", "always", "part", "always"]


def test_add_url_rule_of_the_setup_state(app: Quaff) -> None:
    """Extensions add rules through the state; prefix and name go in front, the endpoint may be left to the view."""

    def page() -> str:
        return "page"

    blueprint = Blueprint("part", __name__, url_prefix="/p")
    blueprint.record(lambda state: state.add_url_rule("/page", view_func=page))
    app.register_blueprint(blueprint)
    assert rules_of(app) == {"part.page": "/p/page"}


def test_a_setup_state_of_ones_own(app: Quaff) -> None:
    """`make_setup_state` may be overridden to pass something richer."""

    class State(BlueprintSetupState):
        def add_url_rule(self, rule: str, *args: Any, **options: Any) -> None:
            super().add_url_rule(f"/v2{rule}", *args, **options)

    class Versioned(Blueprint):
        def make_setup_state(self, app: Any, options: Any, first_registration: bool = False) -> BlueprintSetupState:
            return State(self, app, options, first_registration)

    blueprint = Versioned("part", __name__)
    blueprint.add_url_rule("/", "index", lambda: "hello")
    app.register_blueprint(blueprint)
    assert rules_of(app) == {"part.index": "/v2/"}


# Hooks for the whole app -----------------------------------------------------------------------------------------------


def test_app_wide_hooks(app: Quaff) -> None:
    """The `app_` methods register for all requests, once however often the blueprint is registered."""
    blueprint, calls = Blueprint("part", __name__), []
    blueprint.before_app_request(lambda: calls.append("before"))
    blueprint.after_app_request(lambda response: calls.append("after") or response)
    blueprint.teardown_app_request(lambda error: calls.append("teardown"))
    blueprint.app_url_value_preprocessor(lambda endpoint, values: calls.append("values"))
    blueprint.app_url_defaults(lambda endpoint, values: values.setdefault("q", "1"))
    blueprint.app_context_processor(lambda: {"name": "part"})
    blueprint.app_errorhandler(404)(lambda error: ("handled", 404))
    app.register_blueprint(blueprint)
    app.register_blueprint(blueprint, name="again")
    app.add_url_rule("/", "index", lambda: render_template_string("{{ name }} {{ url_for('index') }}"))
    client = app.test_client()
    assert client.get("/").text == "part /?q=1"
    assert calls == ["values", "before", "after", "teardown"]
    assert client.get("/none").text == "handled"


def test_own_hooks_only_for_own_views(app: Quaff) -> None:
    """The plain methods register for the blueprint's views, under each of its names."""
    blueprint, calls = with_index(url_prefix="/part"), []
    blueprint.before_request(lambda: calls.append(request.endpoint))
    blueprint.url_defaults(lambda endpoint, values: values.setdefault("q", "1"))
    app.register_blueprint(blueprint)
    app.register_blueprint(blueprint, name="again", url_prefix="/again")
    app.add_url_rule("/", "index", lambda: url_for("part.index") + url_for("again.index") + url_for("index"))
    client = app.test_client()
    assert client.get("/").text == "/part/?q=1/again/?q=1/"
    client.get("/part/")
    client.get("/again/")
    assert calls == ["part.index", "again.index"]


def test_hooks_of_nested_blueprints_are_merged_by_full_name(app: Quaff) -> None:
    """The app's registries hold a nested blueprint's hooks under its dotted name."""
    parent, child = Blueprint("parent", __name__), Blueprint("child", __name__)

    def hook() -> None:
        """Do nothing."""

    child.before_request(hook)
    child.register_error_handler(404, lambda error: "")
    parent.register_blueprint(child)
    app.register_blueprint(parent)
    assert app.before_request_funcs["parent.child"] == [hook]
    assert 404 in app.error_handler_spec["parent.child"]


def test_before_app_first_request_once_with_racing_threads(app: Quaff) -> None:
    """The returned `before_app_first_request` runs once, before any view, and warns at the user's line."""
    blueprint, calls = Blueprint("part", __name__), []
    with pytest.warns(
        DeprecationWarning, match=r"'Blueprint.before_app_first_request' was removed in Flask 2.3"
    ) as caught:
        blueprint.before_app_first_request(lambda: calls.append("first"))
    assert caught[0].filename == __file__
    app.register_blueprint(blueprint)
    app.add_url_rule("/", "index", lambda: calls.append("view") or "")
    threads = [threading.Thread(target=lambda: app.test_client().get("/")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == ["first", *["view"] * 8]


# Templates, files, commands --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["filter", "test", "global"])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("decorated", [True, False])
def test_template_helpers(app: Quaff, kind: str, named: bool, decorated: bool) -> None:
    """Filters, tests and globals of a blueprint are the app's, under the function's name or the given one."""

    def shout(value: str = "") -> Any:
        return value.isupper() if kind == "test" else value.upper()

    name = "other" if named else None
    blueprint = Blueprint("part", __name__)
    if decorated:
        assert getattr(blueprint, f"app_template_{kind}")(name)(shout) is shout
    else:
        getattr(blueprint, f"add_app_template_{kind}")(shout, name)
    app.register_blueprint(blueprint)
    used = name or "shout"
    source = {"filter": "{{ 'a'|%s }}", "test": "{{ 'A' is %s }}", "global": "{{ %s('a') }}"}[kind] % used
    app.add_url_rule("/", "index", lambda: render_template_string(source))
    assert app.test_client().get("/").text == {"filter": "A", "test": "True", "global": "A"}[kind]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a static file, a template and a resource."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("static")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "page.html").write_text("from the blueprint")
    (tmp_path / "data.txt").write_text("größe", encoding="utf-8")
    return tmp_path


def test_static_files(app: Quaff, folder: Path) -> None:
    """A blueprint's static files are served below its prefix and the folder's name."""
    app.register_blueprint(
        Blueprint("part", __name__, static_folder="files", root_path=str(folder)), url_prefix="/part"
    )
    response = app.test_client().get("/part/files/a.txt")
    assert (response.status_code, response.data) == (200, b"static")
    assert "max-age" not in response.headers.get("Cache-Control", "")
    response.close()
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    with app.test_client().get("/part/files/a.txt") as response:
        assert response.cache_control.max_age == 3600
    assert app.test_client().get("/part/files/../data.txt").status_code == 404
    with app.test_request_context():
        assert url_for("part.static", filename="a.txt") == "/part/files/a.txt"


def test_static_files_at_another_url(app: Quaff, folder: Path) -> None:
    """`static_url_path` is where they are served, and `get_send_file_max_age` may be overridden."""

    class Part(Blueprint):
        def get_send_file_max_age(self, filename: str | None) -> int | None:
            return 5

    app.register_blueprint(
        Part("part", __name__, static_folder="files", static_url_path="/assets", root_path=str(folder))
    )
    with app.test_client().get("/assets/a.txt") as response:
        assert (response.data, response.cache_control.max_age) == (b"static", 5)


def test_sending_without_a_folder_and_without_a_context() -> None:
    """Both mistakes say what is missing."""
    blueprint = Blueprint("part", __name__)
    with pytest.raises(RuntimeError, match=r"'static_folder' must be set to serve static_files."):
        blueprint.send_static_file("a.txt")
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        blueprint.get_send_file_max_age("a.txt")


def test_resources(folder: Path) -> None:
    """`open_resource` reads bytes, or text in UTF-8, and never writes."""
    blueprint = Blueprint("part", __name__, root_path=str(folder))
    with blueprint.open_resource("data.txt") as file:
        assert file.read() == "größe".encode()
    with blueprint.open_resource("data.txt", "r") as file:
        assert file.read() == "größe"
    with pytest.raises(ValueError, match=r"Resources can only be opened for reading."):
        blueprint.open_resource("data.txt", "w")


def test_templates(app: Quaff, folder: Path) -> None:
    """A blueprint brings templates, which the app's own override."""
    app.register_blueprint(Blueprint("part", __name__, template_folder="pages", root_path=str(folder)))
    app.add_url_rule("/", "index", lambda: render_template("page.html"))
    assert app.test_client().get("/").text == "from the blueprint"


@pytest.mark.parametrize(
    "own, given, arguments",
    [
        ({}, {}, ["part", "hello"]),
        ({"cli_group": None}, {}, ["hello"]),
        ({"cli_group": "custom"}, {}, ["custom", "hello"]),
        ({}, {"cli_group": "given"}, ["given", "hello"]),
        ({"cli_group": "custom"}, {"cli_group": None}, ["hello"]),
        ({}, {"name": "renamed"}, ["renamed", "hello"]),
    ],
)
def test_command_groups(app: Quaff, own: dict[str, Any], given: dict[str, Any], arguments: list[str]) -> None:
    """A blueprint's commands are in a group of its name, of another name, or with the app's own."""
    blueprint = Blueprint("part", __name__, **own)

    @blueprint.cli.command("hello")
    def hello() -> None:
        print("hello from the part")

    app.register_blueprint(blueprint, **given)
    result = app.test_cli_runner().invoke(args=arguments)
    assert "hello from the part" in result.output


def test_a_blueprint_without_commands_adds_no_group(app: Quaff) -> None:
    """Only blueprints with commands show up in the command line."""
    app.register_blueprint(Blueprint("part", __name__))
    assert "part" not in app.cli.commands


def test_async_views_and_hooks(app: Quaff) -> None:
    """A blueprint's views, hooks and handlers may be coroutine functions."""
    blueprint = Blueprint("part", __name__)

    @blueprint.before_request
    async def before() -> None:
        g.name = "async"

    @blueprint.get("/")
    async def index() -> str:
        return str(g.name)

    @blueprint.get("/fail")
    async def fail() -> None:
        abort(409)

    @blueprint.errorhandler(409)
    async def handle(error: Exception) -> tuple[str, int]:
        return "handled", 409

    app.register_blueprint(blueprint)
    client = app.test_client()
    assert (client.get("/").text, client.get("/fail").text) == ("async", "handled")
