"""The set-up half of the app: configuration, rules, blueprints, templates."""

from __future__ import annotations

import gc
import logging
import os
import sys
import types
import weakref
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.exceptions import Aborter, NotFound
from werkzeug.routing import Map as WerkzeugMap
from werkzeug.routing import Rule

from quaff import Blueprint, Config, Quaff, Request, Response, abort, g, render_template_string, request
from quaff.appbase import AppBase
from quaff.json.provider import DefaultJSONProvider
from quaff.routing import Map
from quaff.sessions import SecureCookieSessionInterface


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline."""
    app = Quaff(__name__, compiled=request.param)
    app.testing = True
    return app


# What an app consists of -----------------------------------------------------------------------------------------------


def test_the_parts(app: Quaff) -> None:
    """A new app has Flask's attributes, of Flask's kinds."""
    assert isinstance(app.config, Config)
    assert type(app.aborter) is Aborter
    assert type(app.json) is DefaultJSONProvider
    assert type(app.url_map) is Map
    assert type(app.session_interface) is SecureCookieSessionInterface
    assert (app.request_class, app.response_class, app.url_rule_class) == (Request, Response, Rule)
    assert (app.extensions, app.blueprints, app.url_build_error_handlers) == ({}, {}, [])
    assert (app.shell_context_processors, app.teardown_appcontext_funcs) == ([], [])
    assert (app.test_client_class, app.test_cli_runner_class) == (None, None)


FLASK_DEFAULTS = {
    "APPLICATION_ROOT": "/",
    "DEBUG": False,
    "EXPLAIN_TEMPLATE_LOADING": False,
    "MAX_COOKIE_SIZE": 4093,
    "MAX_FORM_MEMORY_SIZE": 500_000,
    "MAX_FORM_PARTS": 1_000,
    "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
    "PREFERRED_URL_SCHEME": "http",
    "PROPAGATE_EXCEPTIONS": None,
    "PROVIDE_AUTOMATIC_OPTIONS": True,
    "SECRET_KEY": None,
    "SECRET_KEY_FALLBACKS": None,
    "SEND_FILE_MAX_AGE_DEFAULT": None,
    "SERVER_NAME": None,
    "SESSION_COOKIE_DOMAIN": None,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_NAME": "session",
    "SESSION_COOKIE_PARTITIONED": False,
    "SESSION_COOKIE_PATH": None,
    "SESSION_COOKIE_SAMESITE": None,
    "SESSION_COOKIE_SECURE": False,
    "SESSION_REFRESH_EACH_REQUEST": True,
    "TEMPLATES_AUTO_RELOAD": None,
    "TESTING": False,
    "TRAP_BAD_REQUEST_ERRORS": None,
    "TRAP_HTTP_EXCEPTIONS": False,
    "TRUSTED_HOSTS": None,
    "USE_X_SENDFILE": False,
}
QUAFF_DEFAULTS = {"COMPAT": (), "JSON_STRICT": False, "MAX_CONTENT_LENGTH": 32 * 1024 * 1024}


def test_the_default_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys and values are those of Flask 3.1, but for what Quaff adds and the one limit that it sets."""
    monkeypatch.delenv("FLASK_DEBUG", raising=False)
    assert dict(Quaff("shop").config) == {**FLASK_DEFAULTS, **QUAFF_DEFAULTS}


def test_the_default_configuration_cannot_be_changed() -> None:
    """The class's defaults are shared by all apps, so they are immutable; each app has its own copy."""
    with pytest.raises(TypeError):
        Quaff.default_config["DEBUG"] = True
    Quaff("one").config["DEBUG"] = "changed"
    assert Quaff("two").config["DEBUG"] != "changed"


@pytest.mark.parametrize(
    "name, key, value",
    [("testing", "TESTING", True), ("secret_key", "SECRET_KEY", "key"), ("debug", "DEBUG", True)],
)
def test_attributes_that_are_config_values(app: Quaff, name: str, key: str, value: Any) -> None:
    """These attributes and config keys are two names of one thing."""
    setattr(app, name, value)
    assert app.config[key] == value
    app.config[key] = None
    assert getattr(app, name) is None


@pytest.mark.parametrize("value, expected", [(60, timedelta(minutes=1)), (timedelta(days=1), timedelta(days=1))])
def test_the_session_lifetime(app: Quaff, value: Any, expected: timedelta) -> None:
    """The lifetime may be set in seconds, in the config too, and is read as a timedelta."""
    app.config["PERMANENT_SESSION_LIFETIME"] = value
    assert app.permanent_session_lifetime == expected
    app.permanent_session_lifetime = value
    assert app.permanent_session_lifetime == expected


@pytest.mark.parametrize("value, expected", [("1", True), ("0", False), (None, False)])
def test_debug_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, value: str | None, expected: bool) -> None:
    """FLASK_DEBUG decides whether a new app is in debug mode."""
    monkeypatch.delenv("FLASK_DEBUG", raising=False)
    if value is not None:
        monkeypatch.setenv("FLASK_DEBUG", value)
    assert Quaff("shop").debug is expected


def test_classes_of_ones_own() -> None:
    """The classes of config, JSON provider, aborter, map, rules and `g` are attributes that a subclass may set."""

    class OwnConfig(Config):
        """A config."""

    class OwnJSON(DefaultJSONProvider):
        """A provider."""

    class OwnAborter(Aborter):
        """An aborter."""

    class OwnMap(Map):
        """A map."""

    class OwnRule(Rule):
        """A rule."""

    class Own(Quaff):
        config_class = OwnConfig
        json_provider_class = OwnJSON
        aborter_class = OwnAborter
        url_map_class = OwnMap
        url_rule_class = OwnRule

    own = Own("shop")
    assert isinstance(own.config, OwnConfig)
    assert isinstance(own.json, OwnJSON)
    assert isinstance(own.aborter, OwnAborter)
    assert isinstance(own.url_map, OwnMap)
    own.add_url_rule("/", "index", lambda: "hello")
    assert all(isinstance(rule, OwnRule) for rule in own.url_map.iter_rules())
    assert own.test_client().get("/").text == "hello"


def test_a_map_of_another_library() -> None:
    """Werkzeug's own map works too, in the reference pipeline."""

    class Own(Quaff):
        url_map_class = WerkzeugMap

    own = Own("shop")
    own.add_url_rule("/", "index", lambda: own.url_for("index"))
    assert own.test_client().get("/").text == "/"


def test_the_aborter(app: Quaff) -> None:
    """`abort` within an app raises what the app's aborter has for the code."""

    class Own(NotFound):
        code = 499
        description = "own"

    app.aborter.mapping[499] = Own
    app.add_url_rule("/", "index", lambda: abort(499))
    assert app.test_client().get("/").status_code == 499


# Names and places ------------------------------------------------------------------------------------------------------


def test_the_name() -> None:
    """An app is called after its import name; a script after its file, an interactive session `__main__`."""
    assert Quaff("shop.web").name == "shop.web"


@pytest.mark.parametrize("file, expected", [("/srv/run_shop.py", "run_shop"), (None, "__main__")])
def test_the_name_of_a_script(monkeypatch: pytest.MonkeyPatch, file: str | None, expected: str) -> None:
    """For `__main__` the file's name is the app's, so that logs of two scripts differ."""
    main = types.ModuleType("__main__")
    if file is not None:
        main.__file__ = file
    monkeypatch.setitem(sys.modules, "__main__", main)
    app = Quaff("__main__", root_path=os.getcwd())
    assert app.name == expected


def test_the_instance_path(tmp_path: Path) -> None:
    """It may be given as an absolute path; a relative one is refused with Flask's message."""
    app = Quaff("shop", instance_path=str(tmp_path))
    assert app.instance_path == str(tmp_path)
    with pytest.raises(
        ValueError, match=r"If an instance path is provided it must be absolute. A relative path was given"
    ):
        Quaff("shop", instance_path="instance")


@pytest.mark.parametrize("relative", [True, False])
def test_configuration_files_are_relative_to_a_folder(tmp_path: Path, relative: bool) -> None:
    """File names in the config start at the root path, or at the instance folder when asked for."""
    for name in ("root", "instance"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.py").write_text(f"WHERE = {name!r}\n")
    app = Quaff(
        "shop",
        root_path=str(tmp_path / "root"),
        instance_path=str(tmp_path / "instance"),
        instance_relative_config=relative,
    )
    app.config.from_pyfile("config.py")
    assert app.config["WHERE"] == ("instance" if relative else "root")


def test_the_logger(app: Quaff) -> None:
    """The logger has the app's name and is made once; two apps of one name share it."""
    assert app.logger is app.logger is logging.getLogger(__name__)
    assert Quaff(__name__).logger is app.logger


# Rules -----------------------------------------------------------------------------------------------------------------


def methods_of(app: Quaff, endpoint: str) -> set[str]:
    """Return the methods of the one rule of *endpoint*."""
    (rule,) = app.url_map.iter_rules(endpoint)
    return set(rule.methods)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, {"GET", "HEAD", "OPTIONS"}),
        ({"methods": ["post"]}, {"POST", "OPTIONS"}),
        ({"methods": ("GET", "PUT")}, {"GET", "HEAD", "PUT", "OPTIONS"}),
        ({"methods": ["OPTIONS"]}, {"OPTIONS"}),
        ({"provide_automatic_options": False}, {"GET", "HEAD"}),
        ({"provide_automatic_options": True}, {"GET", "HEAD"}),
    ],
)
def test_methods(app: Quaff, options: dict[str, Any], expected: set[str]) -> None:
    """GET brings HEAD, and OPTIONS comes by itself unless it is said whether it should."""
    app.add_url_rule("/", "index", lambda: "", **options)
    assert methods_of(app, "index") == expected


def test_a_view_says_what_it_takes(app: Quaff) -> None:
    """Attributes of the view are the defaults of the rule: `methods`, `required_methods`, `provide_automatic_options`."""

    def view() -> str:
        return ""

    view.methods = ["POST"]  # type: ignore[attr-defined]
    view.required_methods = ["PUT"]  # type: ignore[attr-defined]
    view.provide_automatic_options = False  # type: ignore[attr-defined]
    app.add_url_rule("/", "index", view)
    app.add_url_rule("/given", "given", view, methods=["GET"])
    assert methods_of(app, "index") == {"POST", "PUT"}
    assert methods_of(app, "given") == {"GET", "HEAD", "PUT"}


def test_automatic_options_may_be_off_for_the_app(app: Quaff) -> None:
    """The config key PROVIDE_AUTOMATIC_OPTIONS decides for rules that do not say."""
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.add_url_rule("/", "index", lambda: "")
    assert methods_of(app, "index") == {"GET", "HEAD"}
    assert app.test_client().options("/").status_code == 405


def test_methods_are_no_string(app: Quaff) -> None:
    """A string would be taken letter by letter; the error shows what to write."""
    message = r'^Allowed methods must be a list of strings, for example: @app\.route\(\.\.\., methods=\["POST"\]\)$'
    with pytest.raises(TypeError, match=message):
        app.route("/", methods="GET")(lambda: "")


def test_an_endpoint_has_one_view(app: Quaff) -> None:
    """A second view for an endpoint is refused; the same view may have many rules."""

    def view() -> str:
        return "view"

    app.add_url_rule("/a", "page", view)
    app.add_url_rule("/b", "page", view)
    with pytest.raises(
        AssertionError, match=r"^View function mapping is overwriting an existing endpoint function: page$"
    ):
        app.add_url_rule("/c", "page", lambda: "other")
    client = app.test_client()
    assert client.get("/a").text == client.get("/b").text == "view"


def test_a_rule_without_a_view(app: Quaff) -> None:
    """A rule may come before its view; without an endpoint there is nothing to go by."""
    app.add_url_rule("/later", "later")
    app.view_functions["later"] = lambda: "here"
    assert app.test_client().get("/later").text == "here"
    with pytest.raises(AssertionError, match="expected view func if endpoint is not provided"):
        Quaff("other").add_url_rule("/")


def test_a_view_may_be_replaced_while_serving(app: Quaff) -> None:
    """Programs wrap registered views in `view_functions`; the next request uses what is there."""
    app.add_url_rule("/", "index", lambda: "old")
    client = app.test_client()
    assert client.get("/").text == "old"
    old = app.view_functions["index"]
    app.view_functions["index"] = lambda: f"wrapped {old()}"
    assert client.get("/").text == "wrapped old"


# Templates -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["filter", "test", "global"])
@pytest.mark.parametrize("name", [None, "other"])
@pytest.mark.parametrize("decorated", [True, False])
def test_template_helpers(app: Quaff, kind: str, name: str | None, decorated: bool) -> None:
    """Filters, tests and globals are registered under the function's name or the given one."""

    def shout(value: str) -> Any:
        return value.isupper() if kind == "test" else value.upper()

    if decorated:
        assert getattr(app, f"template_{kind}")(name)(shout) is shout
    else:
        getattr(app, f"add_template_{kind}")(shout, name)
    used = name or "shout"
    source = {"filter": "{{ 'a'|%s }}", "test": "{{ 'A' is %s }}", "global": "{{ %s('a') }}"}[kind] % used
    app.add_url_rule("/", "index", lambda: render_template_string(source))
    assert app.test_client().get("/").text == {"filter": "A", "test": "True", "global": "A"}[kind]
    with pytest.raises(AssertionError, match="can no longer be called"):
        getattr(app, f"add_template_{kind}")(shout)


@pytest.mark.parametrize(
    "name, escaped",
    [
        (None, True),
        ("a.html", True),
        ("a.htm", True),
        ("a.xml", True),
        ("a.xhtml", True),
        ("a.svg", True),
        ("a.txt", False),
        ("a.js", False),
        ("a", False),
    ],
)
def test_which_templates_are_escaped(app: Quaff, name: str | None, escaped: bool) -> None:
    """Markup is escaped and other text is not; strings count as markup."""
    assert app.select_jinja_autoescape(name) is escaped


def test_debug_sets_auto_reload(app: Quaff) -> None:
    """Turning debug mode on reloads templates, also when the environment exists; TEMPLATES_AUTO_RELOAD wins."""
    assert app.jinja_env.auto_reload is False
    app.debug = True
    assert app.jinja_env.auto_reload is True
    app.debug = False
    assert app.jinja_env.auto_reload is False
    app.config["TEMPLATES_AUTO_RELOAD"] = True
    app.debug = True
    app.debug = False
    assert Quaff("other").jinja_env.auto_reload is False


def test_the_base_makes_no_environment() -> None:
    """The set-up half leaves Jinja to the app class; the loader is shared out over the blueprints."""
    with pytest.raises(NotImplementedError):
        AppBase("shop").create_jinja_environment()
    assert type(Quaff("shop").create_global_jinja_loader()).__name__ == "DispatchingJinjaLoader"


# Registries ------------------------------------------------------------------------------------------------------------


def test_teardown_and_shell_functions_are_kept(app: Quaff) -> None:
    """Both decorators return the function and keep it in their public list, until set-up ends."""

    def function(*args: Any) -> dict[str, Any]:
        return {}

    assert app.teardown_appcontext(function) is function
    assert app.shell_context_processor(function) is function
    assert app.teardown_appcontext_funcs == [function]
    assert app.shell_context_processors == [function]
    app.test_client().get("/")
    for method in ("teardown_appcontext", "shell_context_processor"):
        with pytest.raises(AssertionError, match=f"'{method}' can no longer be called"):
            getattr(app, method)(function)


def test_the_set_up_may_be_opened_again(app: Quaff) -> None:
    """COMPAT: tests set `_got_first_request` to False to go on registering; the next request sees what came."""
    client = app.test_client()
    assert client.get("/late").status_code == 404
    app._got_first_request = False
    app.add_url_rule("/late", "late", lambda: "late")
    assert client.get("/late").text == "late"


@pytest.mark.parametrize(
    "registry, function",
    [
        ("before_request_funcs", lambda: "hooked"),
        ("after_request_funcs", lambda response: Response("hooked")),
    ],
)
@pytest.mark.parametrize(
    "change",
    [
        lambda app, registry, function: getattr(app, registry).setdefault(None, []).append(function),
        lambda app, registry, function: getattr(app, registry)[None].insert(0, function),
        lambda app, registry, function: getattr(app, registry).update({None: [function]}),
        lambda app, registry, function: setattr(app, registry, {None: [function]}),
        lambda app, registry, function: getattr(app, registry)[None].extend([function]),
    ],
    ids=["append", "insert", "update", "replace", "extend"],
)
def test_every_way_to_change_a_registry_counts(app: Quaff, registry: str, function: Any, change: Any) -> None:
    """However a public registry is changed while the app serves, the next request follows, and follows it back."""
    app.add_url_rule("/", "index", lambda: "plain")
    client = app.test_client()
    assert client.get("/").text == "plain"
    change(app, registry, function)
    assert client.get("/").text == "hooked"
    getattr(app, registry)[None].remove(function)
    assert client.get("/").text == "plain"


@pytest.mark.parametrize(
    "name, value, path, expected",
    [
        ("response_class", type("Own", (Response,), {"default_mimetype": "text/plain"}), "/", "text/plain"),
        ("request_class", type("Own", (Request,), {"path": "/replaced"}), "/path", "text/html"),
    ],
)
def test_attributes_replaced_while_serving(app: Quaff, name: str, value: Any, path: str, expected: str) -> None:
    """Classes that are replaced on the app count from the next request on."""
    app.add_url_rule("/", "index", lambda: "hello")
    app.add_url_rule("/path", "path", lambda: request.path)
    client = app.test_client()
    client.get(path)
    setattr(app, name, value)
    response = client.get(path)
    assert response.mimetype == expected
    if name == "request_class":
        assert response.text == "/replaced"


def test_overrides(app: Quaff) -> None:
    """`overrides` tells whether a subclass or the object replaces a method of Quaff's own."""
    own = type("Own", (Quaff,), {"make_response": lambda self, rv: rv})("shop")
    assert own.overrides("make_response")
    assert own.overrides("url_for", "make_response")
    assert not own.overrides("url_for")
    assert not app.overrides("make_response")
    app.make_response = lambda rv: rv  # type: ignore[method-assign, assignment]
    assert app.overrides("make_response")
    del app.make_response  # type: ignore[method-assign]
    assert not app.overrides("make_response")


# Life ------------------------------------------------------------------------------------------------------------------


def make_busy_app(compiled: bool) -> Quaff:
    """Return an app that has registered and served a bit of everything."""
    app = Quaff(__name__, compiled=compiled)
    app.secret_key = "key"
    part = Blueprint("part", __name__, url_prefix="/part")
    part.add_url_rule("/<int:number>", "show", lambda number: {"n": number})
    app.add_url_rule("/", "index", lambda: "hello")
    app.before_request(lambda: setattr(g, "a", 1))
    app.register_error_handler(404, lambda error: ("gone", 404))
    app.register_blueprint(part)
    return app


@pytest.mark.parametrize("compiled", [True, False])
def test_an_app_is_freed_at_once(compiled: bool) -> None:
    """An app that was set up and that nobody refers to goes without the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        app = make_busy_app(compiled)
        reference = weakref.ref(app)
        del app
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("compiled", [True, False])
def test_an_app_that_has_served_is_freed(compiled: bool) -> None:
    """Its compiled routes refer to it; the garbage collector takes them together."""
    app = make_busy_app(compiled)
    for path in ("/", "/part/5", "/none"):
        app.test_client().get(path)
    reference = weakref.ref(app)
    del app
    gc.collect()
    assert reference() is None


def test_two_apps_share_nothing() -> None:
    """What one app registers is not in the other."""
    one, two = make_busy_app(True), Quaff(__name__)
    assert one.view_functions.keys() > two.view_functions.keys()
    assert two.blueprints == {}
    assert two.before_request_funcs == {}
    assert two.test_client().get("/").status_code == 404
