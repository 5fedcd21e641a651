"""The class `CORS`: apps, factories, blueprints, several of them, and configuration that comes late."""

from __future__ import annotations

from typing import Any

import pytest

from quaff import Blueprint, Quaff
from quaff.ext.cors import CORS, CorsOptionError
from tests.ext.cors.apps import ACAO, EVIL, GOOD, OTHER, WAYS, Ask, cors_headers, from_origin, make_app, preflight

Way = tuple[Quaff, Ask]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Give an app, and how to ask it."""
    options, ask = WAYS[request.param]
    return make_app(**options), ask


def allowed(way: Way, path: str, *origins: str) -> list[str]:
    """Return those of the origins that are let in at a path."""
    app, ask = way
    return [each for each in origins if cors_headers(ask(app, path, headers=from_origin(each))).get(ACAO) == each]


def test_the_three_ways_to_set_up(way: Way) -> None:
    """With the app at once, later, or with options in both places, of which the later ones win."""
    app, _ = way
    CORS(resources={"/text": {}}, origins=GOOD).init_app(app, origins=OTHER, resources="/json")
    CORS(app, resources="/made", origins=GOOD)
    CORS().init_app(app, resources=["/async"])
    assert allowed(way, "/text", GOOD, OTHER) == []
    assert allowed(way, "/json", GOOD, OTHER) == [OTHER]
    assert allowed(way, "/made", GOOD, OTHER) == [GOOD]
    assert allowed(way, "/async", GOOD, OTHER) == [GOOD, OTHER]


def test_one_object_for_several_apps() -> None:
    """A factory makes several apps with one object; each has its own configuration."""
    cors = CORS(expose_headers="X-A")
    apps = []
    for origin in (GOOD, OTHER):
        app = make_app()
        app.config["CORS_ORIGINS"] = origin
        cors.init_app(app)
        apps.append(app)
    for app, origin in zip(apps, (GOOD, OTHER), strict=True):
        answer = cors_headers(app.test_client().get("/text", headers=from_origin(origin)))
        assert answer == {ACAO: origin, "Access-Control-Expose-Headers": "X-A"}


def test_the_configuration_may_come_later(way: Way) -> None:
    """Every key is read when a route is compiled: after `init_app`, and anew when it changes."""
    app, ask = way
    CORS(app)
    app.config.update(
        CORS_ORIGINS=[GOOD, OTHER],
        CORS_METHODS="PUT",
        CORS_ALLOW_HEADERS="X-A",
        CORS_EXPOSE_HEADERS="X-B",
        CORS_SUPPORTS_CREDENTIALS=True,
        CORS_MAX_AGE=60,
        CORS_RESOURCES="/json",
        CORS_ALLOW_PRIVATE_NETWORK=True,
        CORS_ALWAYS_SEND=False,
        CORS_INTERCEPT_EXCEPTIONS=False,
        CORS_VARY_HEADER=False,
    )
    asked = preflight(GOOD, "PUT", "X-A, X-C")
    asked["headers"]["Access-Control-Request-Private-Network"] = "true"
    response = ask(app, "/json", **asked)
    assert cors_headers(response) == {
        ACAO: GOOD,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Headers": "X-A",
        "Access-Control-Allow-Methods": "PUT",
        "Access-Control-Allow-Private-Network": "true",
        "Access-Control-Expose-Headers": "X-B",
        "Access-Control-Max-Age": "60",
    }
    assert "Vary" not in response.headers
    assert not cors_headers(ask(app, "/json"))
    assert not cors_headers(ask(app, "/text", headers=from_origin(GOOD)))
    app.config.update(CORS_ORIGINS="*", CORS_SUPPORTS_CREDENTIALS=False, CORS_SEND_WILDCARD=True)
    assert cors_headers(ask(app, "/json", headers=from_origin(EVIL)))[ACAO] == "*"


def test_a_blueprint(way: Way) -> None:
    """It is for the views of the blueprint, wherever that is registered, and takes the configuration of the app."""
    app, ask = way
    blueprint = Blueprint("b", "b")
    blueprint.add_url_rule("/x", view_func=lambda: "x", endpoint="x")
    blueprint.add_url_rule("/y", view_func=lambda: "y", endpoint="y")
    CORS(blueprint, resources={"/one/x": {"origins": GOOD}, "/two/*": {}})
    app.config["CORS_ORIGINS"] = OTHER
    app.register_blueprint(blueprint, url_prefix="/one")
    app.register_blueprint(blueprint, url_prefix="/two", name="two")
    assert allowed(way, "/one/x", GOOD, OTHER) == [GOOD]
    assert allowed(way, "/one/y", GOOD, OTHER) == []
    assert allowed(way, "/two/y", GOOD, OTHER) == [OTHER]
    assert allowed(way, "/text", GOOD, OTHER) == []
    assert cors_headers(ask(app, "/one/x", **preflight(GOOD)))["Access-Control-Allow-Methods"]


def test_nested_blueprints(way: Way) -> None:
    """The options of an outer blueprint are for the inner one's views too, unless that has its own."""
    app, _ = way
    outer, inner, other = Blueprint("outer", "o"), Blueprint("inner", "i"), Blueprint("other", "o")
    for blueprint in (outer, inner, other):
        blueprint.add_url_rule("/x", view_func=lambda: "x", endpoint="x")
    CORS(outer, origins=GOOD)
    CORS(inner, origins=OTHER)
    outer.register_blueprint(inner, url_prefix="/inner")
    outer.register_blueprint(other, url_prefix="/other")
    app.register_blueprint(outer, url_prefix="/outer")
    assert allowed(way, "/outer/x", GOOD, OTHER) == [GOOD]
    assert allowed(way, "/outer/inner/x", GOOD, OTHER) == [OTHER]
    assert allowed(way, "/outer/other/x", GOOD, OTHER) == [GOOD]


def test_what_a_blueprint_refuses_the_app_does_not_let_in(way: Way) -> None:
    """The narrower scope decides, in whatever order the two were set up."""
    app, _ = way
    blueprint = Blueprint("b", "b", url_prefix="/b")
    blueprint.add_url_rule("/x", view_func=lambda: "x", endpoint="x")
    CORS(blueprint, origins=GOOD)
    app.register_blueprint(blueprint)
    CORS(app)
    assert allowed(way, "/b/x", GOOD, EVIL) == [GOOD]
    assert allowed(way, "/text", GOOD, EVIL) == [GOOD, EVIL]


def test_two_objects_on_one_app(way: Way) -> None:
    """Their resources are one list, the most specific first; the same set-up twice is the same as once."""
    app, _ = way
    CORS(app, resources={"/user/*": {"origins": GOOD}})
    CORS(app, resources={"/*": {"origins": OTHER}})
    CORS(app, resources={"/*": {"origins": OTHER}})
    assert allowed(way, "/user/7", GOOD, OTHER) == [GOOD]
    assert allowed(way, "/text", GOOD, OTHER) == [OTHER]


def test_the_static_folder(tmp_path: Any) -> None:
    """Static files have the headers, which fonts and scripts of other sites need."""
    (tmp_path / "font.woff").write_bytes(b"font")
    app = Quaff("static", static_folder=str(tmp_path), static_url_path="/static")
    CORS(app, resources={"/static/*": {"origins": GOOD}})
    with app.test_client().get("/static/font.woff", headers=from_origin(GOOD)) as response:
        assert (response.status_code, cors_headers(response)) == (200, {ACAO: GOOD})


@pytest.mark.parametrize("options", [{"resources": 5}, {"max_age": "soon"}, {"origins": "https://["}])
def test_wrong_options_are_errors_at_once(options: Any) -> None:
    """What cannot be right fails where it stands, with an app, without one, and with a blueprint."""
    for target in (None, make_app(), Blueprint("b", "b")):
        with pytest.raises(CorsOptionError):
            CORS(target, **options)
    with pytest.raises(CorsOptionError):
        CORS().init_app(make_app(), **options)


def test_open_origins_with_credentials_are_refused_at_once() -> None:
    """W18: said outright they are an error when the app is set up, also by an object that knew no app before."""
    said = "supports_credentials with origins that anybody may have"
    with pytest.raises(CorsOptionError, match=said):
        CORS(make_app(), origins="*", supports_credentials=True)
    cors = CORS(origins="*", supports_credentials=True)
    with pytest.raises(CorsOptionError, match=said):
        cors.init_app(make_app())


@pytest.mark.parametrize("compiled", [True, False])
def test_open_origins_with_credentials_are_refused_later(compiled: bool) -> None:
    """W18: open by default only, they are an error of the first request, for the configuration may yet name them."""
    app = make_app(compiled=compiled)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    CORS(app, supports_credentials=True)
    client = app.test_client()
    with pytest.raises(CorsOptionError, match="supports_credentials with origins"):
        client.get("/text")
    app.config["CORS_ORIGINS"] = [GOOD]
    answer = {ACAO: GOOD, "Access-Control-Allow-Credentials": "true"}
    assert cors_headers(client.get("/text", headers=from_origin(GOOD))) == answer
    app.config.update(CORS_ORIGINS="*", COMPAT=("cors-any-with-credentials",))
    assert cors_headers(client.get("/text", headers=from_origin(EVIL)))[ACAO] == EVIL
