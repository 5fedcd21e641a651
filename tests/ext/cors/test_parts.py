"""CORS in the pipeline: the same headers in every way that a request may be served, and how little they cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quaff import Blueprint, Quaff, Response, abort, redirect, request, websocket
from quaff.ext.cors import CORS, cross_origin
from quaff.ext.cors.parts import KNOWN_MAX, Preflights
from quaff.ext.cors.policy import Policy
from quaff.ext.cors.settings import make_settings
from quaff.ext.cors.table import NO_POLICY, ByPath
from quaff.pipeline.parts import Battery, Part
from quaff.pipeline.phases import Stage
from quaff.testing.websocket import HandshakeRefused
from quaff.views import MethodView
from tests.contracts.test_calls import answer, calls_of, environ
from tests.ext.cors.apps import (
    ACAO,
    EVIL,
    GOOD,
    OTHER,
    PATHS,
    WAYS,
    Ask,
    cors_headers,
    from_origin,
    make_app,
    preflight,
)

Way = tuple[Quaff, Ask]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Give an app, and how to ask it."""
    options, ask = WAYS[request.param]
    return make_app(**options), ask


# Headers ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", [None, GOOD, EVIL])
def test_every_response_has_the_headers(way: Way, path: str, origin: str | None) -> None:
    """Pages, streams, redirects and errors alike: a 500 does not look like a fault of CORS; each says what it varies on."""
    app, ask = way
    CORS(app, origins=[GOOD, OTHER], supports_credentials=True, expose_headers="X-View")
    response = ask(app, path, headers=from_origin(origin))
    assert response.status_code == PATHS[path]
    expected = {
        ACAO: GOOD,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "X-View",
    }
    assert cors_headers(response) == ({} if origin == EVIL else expected)
    (vary,) = response.headers.getlist("Vary")
    assert "Origin" in vary.split(", ")


@pytest.mark.parametrize("path", PATHS)
def test_headers_that_are_the_same_for_everybody(way: Way, path: str) -> None:
    """With `send_wildcard` every response has `*`, and varies on nothing."""
    app, ask = way
    CORS(app, send_wildcard=True)
    for origin in (None, GOOD):
        response = ask(app, path, headers=from_origin(origin))
        assert cors_headers(response) == {ACAO: "*"}
        assert "Origin" not in response.headers.get("Vary", "")


@pytest.mark.parametrize("path", PATHS)
def test_routes_without_a_policy_are_left_alone(way: Way, path: str) -> None:
    """Outside of its resources CORS adds nothing."""
    app, ask = way
    CORS(app, resources={"/api/*": {"origins": [GOOD, OTHER]}})
    response = ask(app, path, headers=from_origin(GOOD))
    assert response.status_code == PATHS[path]
    assert not cors_headers(response)
    assert "Origin" not in response.headers.get("Vary", "")


@pytest.mark.parametrize("path, allowed", [("/p/api/x", True), ("/p/other", False), ("/p/api/../x", False)])
def test_policies_by_path(way: Way, path: str, allowed: bool) -> None:
    """A rule that is partly within a resource has the headers on those paths only."""
    app, ask = way
    app.add_url_rule("/p/<path:rest>", view_func=lambda rest: rest, endpoint="p")
    CORS(app, resources={"/p/api/*": {"origins": [GOOD, OTHER]}})
    response = ask(app, path, headers=from_origin(GOOD))
    assert cors_headers(response) == ({ACAO: GOOD} if allowed else {})
    assert response.headers.get("Vary") == ("Origin" if allowed else None)


def test_vary_is_one_header(way: Way) -> None:
    """What the view and the session vary on stays, in one header."""
    app, ask = way
    app.add_url_rule("/v", view_func=lambda: Response("", headers={"Vary": "Accept"}), endpoint="v")
    CORS(app, origins=[GOOD, OTHER])
    assert ask(app, "/v").headers.getlist("Vary") == ["Accept, Origin"]
    assert ask(app, "/session").headers.getlist("Vary") == ["Cookie, Origin"]


def test_a_refusal_by_the_only_origin_varies(way: Way) -> None:
    """With one origin, only the answer to another one must not be stored for it."""
    app, ask = way
    CORS(app, origins=GOOD)
    assert "Vary" not in ask(app, "/text", headers=from_origin(GOOD)).headers
    assert ask(app, "/text", headers=from_origin(EVIL)).headers["Vary"] == "Origin"
    assert ask(app, "/made", headers=from_origin(EVIL)).headers["Vary"] == "Origin"


def test_a_view_may_answer_itself(way: Way) -> None:
    """A response that has the header already keeps it, and gets no second one."""
    app, ask = way
    app.add_url_rule("/own", view_func=lambda: Response("", headers={ACAO.lower(): OTHER}), endpoint="own")
    CORS(app, origins=[GOOD], supports_credentials=True)
    assert list(cors_headers(ask(app, "/own", headers=from_origin(GOOD))).values()) == [OTHER]


def test_the_private_network(way: Way) -> None:
    """The answer comes to those who ask, on responses of every kind."""
    app, ask = way
    CORS(app, origins=[GOOD, OTHER], allow_private_network=True)
    headers = from_origin(GOOD, Access_Control_Request_Private_Network="true")
    for path in ("/text", "/made", "/missing"):
        assert cors_headers(ask(app, path, headers=headers))["Access-Control-Allow-Private-Network"] == "true"
        assert "Access-Control-Allow-Private-Network" not in ask(app, path, headers=from_origin(GOOD)).headers


def test_error_pages_of_other_batteries(way: Way) -> None:
    """X4: what a guard of a later stage refuses, such as a limit, has the same headers as a success."""
    app, ask = way

    class Limit(Battery):
        def parts_for(self, target: Any) -> Any:
            return [Part(stage=Stage.LIMIT, guard=lambda context: ("slow down", 429))]

    app.add_battery(Limit())
    CORS(app, origins=[GOOD, OTHER])
    for path in ("/text", "/async", "/missing"):
        response = ask(app, path, headers=from_origin(GOOD))
        assert (response.status_code, cors_headers(response)) == (429, {ACAO: GOOD})


# Preflights ---------------------------------------------------------------------------------------------------------------


def guarded(app: Quaff) -> None:
    """Shut the app for everybody, as a login does for those who are not logged in."""

    @app.before_request
    def nobody() -> None:
        abort(401)


@pytest.mark.parametrize("path", ["/text", "/json", "/async", "/user/7", "/missing", "/user/x"])
def test_preflights_are_answered_before_the_hooks(way: Way, path: str) -> None:
    """A preflight carries no credentials, so a hook that wants some must not see it. It is a 200 also before a 404."""
    app, ask = way
    guarded(app)
    CORS(app, origins=[GOOD], supports_credentials=True, max_age=600, methods=["GET", "PUT"])
    response = ask(app, path, **preflight(GOOD, "PUT", "X-A, X-B"))
    assert response.status_code == 200
    assert response.data == b""
    assert cors_headers(response) == {
        ACAO: GOOD,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Headers": "X-A, X-B",
        "Access-Control-Allow-Methods": "GET, PUT",
        "Access-Control-Max-Age": "600",
    }
    assert ask(app, path, headers=from_origin(GOOD)).status_code == 401


def test_preflights_name_the_methods_of_the_path(way: Way) -> None:
    """The answer is the app's own to OPTIONS, with `Allow`."""
    app, ask = way
    CORS(app)
    allow = ask(app, "/text", **preflight(GOOD)).headers["Allow"]
    assert set(allow.split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_preflights_do_not_count_against_limits(way: Way) -> None:
    """They are answered before the guards of later stages."""
    app, ask = way

    class Limit(Battery):
        def parts_for(self, target: Any) -> Any:
            return [Part(stage=Stage.LIMIT, guard=lambda context: abort(429))]

    app.add_battery(Limit())
    CORS(app)
    assert ask(app, "/text", **preflight(GOOD)).status_code == 200
    assert ask(app, "/missing", **preflight(GOOD)).status_code == 200


@pytest.mark.parametrize("origin", [EVIL, "null", "https://good.test.evil.test"])
def test_preflights_from_elsewhere(way: Way, origin: str) -> None:
    """The answer says nothing that a browser could take for leave, and says that it varies."""
    app, ask = way
    CORS(app, origins=[GOOD, OTHER])
    response = ask(app, "/text", **preflight(origin, "PUT", "X-A"))
    assert response.status_code == 200
    assert not cors_headers(response)
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize("method", ["PUT", "NOSUCH", "GET, PUT", "P"])
def test_preflights_for_other_methods(way: Way, method: str) -> None:
    """A method that the options do not allow gets no leave."""
    app, ask = way
    CORS(app, origins=[GOOD], methods=["GET"])
    assert cors_headers(ask(app, "/text", **preflight(GOOD, method, "X-A"))) == {ACAO: GOOD}


def test_plain_options_go_on_as_usual(way: Way) -> None:
    """OPTIONS without a method that is asked for meets the hooks, and has the headers of any response."""
    app, ask = way
    CORS(app, origins=[GOOD])
    response = ask(app, "/text", method="OPTIONS", headers=from_origin(GOOD))
    assert (response.status_code, cors_headers(response)) == (200, {ACAO: GOOD})
    app.before_request_funcs[None].append(lambda: abort(401))
    assert ask(app, "/text", method="OPTIONS", headers=from_origin(GOOD)).status_code == 401


def test_other_methods_with_that_header_are_no_preflights(way: Way) -> None:
    """A POST or a 404 may carry the header of a preflight, and is served as what it is."""
    app, ask = way
    CORS(app)
    headers = preflight(GOOD)["headers"]
    assert ask(app, "/text", method="POST", headers=headers).data == b"text"
    assert ask(app, "/missing", headers=headers).status_code == 404


def test_preflights_of_paths_without_a_policy(way: Way) -> None:
    """They are the app's business: its hooks run, and there is a 404 where there is no rule."""
    app, ask = way
    CORS(app, resources={"/api/*": {}})
    assert not cors_headers(ask(app, "/text", **preflight(GOOD)))
    assert ask(app, "/missing", **preflight(GOOD)).status_code == 404
    app.before_request_funcs[None].append(lambda: abort(401))
    assert ask(app, "/text", **preflight(GOOD)).status_code == 401


def test_redirects_are_not_answered(way: Way) -> None:
    """A path that the map redirects is redirected; a browser follows no redirect of a preflight."""
    app, ask = way
    CORS(app)
    assert ask(app, "/slash", **preflight(GOOD)).status_code == 308


def test_views_that_answer_options_themselves(way: Way) -> None:
    """A view that takes OPTIONS is asked, hooks included, and gets the headers of the preflight added."""
    app, ask = way
    app.add_url_rule("/own", view_func=lambda: f"own {request.method}", endpoint="own", methods=["GET", "OPTIONS"])
    CORS(app, origins=[GOOD])
    response = ask(app, "/own", **preflight(GOOD))
    assert response.data == b"own OPTIONS"
    assert cors_headers(response)["Access-Control-Allow-Methods"]


def test_the_policy_is_that_of_the_method_asked_for(way: Way) -> None:
    """Two rules share a path: the preflight for each method has the policy of the view that will serve it."""
    app, ask = way
    app.add_url_rule("/shared", view_func=lambda: "read", endpoint="read", methods=["GET"])
    app.add_url_rule(
        "/shared", view_func=cross_origin(origins=OTHER)(lambda: "written"), endpoint="write", methods=["PUT"]
    )
    CORS(app, origins=[GOOD])
    for _ in range(2):
        assert cors_headers(ask(app, "/shared", **preflight(GOOD, "GET")))[ACAO] == GOOD
        assert not cors_headers(ask(app, "/shared", **preflight(GOOD, "PUT")))
        assert cors_headers(ask(app, "/shared", **preflight(OTHER, "PUT")))[ACAO] == OTHER
        assert not cors_headers(ask(app, "/shared", **preflight(OTHER, "GET")))
        # No rule serves it: the policy of the path.
        assert cors_headers(ask(app, "/shared", **preflight(GOOD, "DELETE")))[ACAO] == GOOD


def test_the_methods_of_a_class_may_differ(way: Way) -> None:
    """A method of a class-based view that is decorated has its own policy, preflight included."""
    app, ask = way

    class Item(MethodView):
        def get(self) -> str:
            return "get"

        @cross_origin(origins=OTHER)
        def put(self) -> str:
            return "put"

    app.add_url_rule("/item", view_func=Item.as_view("item"))
    CORS(app, origins=GOOD)
    assert cors_headers(ask(app, "/item", headers=from_origin(GOOD))) == {ACAO: GOOD}
    assert cors_headers(ask(app, "/item", method="PUT", headers=from_origin(OTHER))) == {ACAO: OTHER}
    assert not cors_headers(ask(app, "/item", method="PUT", headers=from_origin(GOOD)))
    assert cors_headers(ask(app, "/item", **preflight(OTHER, "PUT")))[ACAO] == OTHER
    assert not cors_headers(ask(app, "/item", **preflight(GOOD, "PUT")))
    assert cors_headers(ask(app, "/item", **preflight(GOOD, "GET")))[ACAO] == GOOD


@pytest.mark.parametrize("compiled", [True, False])
def test_hosts_are_told_apart(compiled: bool) -> None:
    """Where rules have hosts, the same path and method may have another policy on each."""
    app = Quaff("hosts", host_matching=True, static_folder=None, compiled=compiled)
    app.add_url_rule("/x", view_func=cross_origin(origins=GOOD)(lambda: "a"), endpoint="a", host="a.test")
    app.add_url_rule("/x", view_func=cross_origin(origins=OTHER)(lambda: "b"), endpoint="b", host="b.test")
    CORS(app, origins=[])
    client = app.test_client()
    for _ in range(2):
        assert cors_headers(client.open("/x", base_url="http://a.test", **preflight(GOOD)))[ACAO] == GOOD
        assert cors_headers(client.open("/x", base_url="http://b.test", **preflight(OTHER)))[ACAO] == OTHER


def test_preflights_are_remembered_within_bounds() -> None:
    """However many paths, hosts and methods a client makes up, only so many verdicts are kept."""
    app = make_app(compiled=True)
    always = ByPath.always(Policy(make_settings({"origins": GOOD})))
    preflights = Preflights(NO_POLICY, lambda rule, method: always)
    for number in range(KNOWN_MAX + 3):
        with app.test_request_context(f"/user/{number}", **preflight(GOOD)) as context:
            assert preflights.policy_of(context) is always.everywhere
    for path, method in (("/user/1" + "0" * 300, "GET"), ("/user/1", "NOSUCH")):
        with app.test_request_context(path, **preflight(GOOD, method)) as context:
            preflights.policy_of(context)
    assert len(preflights._known) == 3


# WebSockets ---------------------------------------------------------------------------------------------------------------


def talking(app: Quaff) -> None:
    """Give an app a WebSocket of each kind."""

    @app.websocket("/ws/async")
    async def talk() -> None:
        await websocket.send("hello")

    @app.websocket("/ws/sync")
    def talk_sync() -> None:
        websocket.send("hello")


def shake(app: Quaff, path: str, origin: str | None, **more: Any) -> bool:
    """Tell whether a handshake succeeds."""
    try:
        with app.test_websocket(path, headers=from_origin(origin), **more) as session:
            return bool(session.receive() == "hello")
    except HandshakeRefused as refused:
        return refused.status != 403


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("path", ["/ws/async", "/ws/sync"])
def test_foreign_handshakes_are_refused_on_request(compiled: bool, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """With `websocket_origins`, a page of another site gets a 403; the app's own, named ones and programs get through."""
    app = make_app(compiled=compiled)
    talking(app)
    CORS(app, origins=[GOOD], websocket_origins=True)
    verdicts = {origin: shake(app, path, origin) for origin in (None, GOOD, "http://localhost", EVIL, "null")}
    assert verdicts == {None: True, GOOD: True, "http://localhost": True, EVIL: False, "null": False}
    assert f"refused a WebSocket handshake for {path} at localhost from the origin {EVIL}" in caplog.text


@pytest.mark.parametrize("compiled", [True, False])
def test_handshakes_are_not_checked_otherwise(compiled: bool) -> None:
    """Without the option, or outside of its resources, every handshake succeeds, as with Flask-CORS."""
    app = make_app(compiled=compiled)
    talking(app)
    CORS(app, origins=[GOOD], resources={"/ws/a*": {"websocket_origins": []}, "/*": {}})
    assert shake(app, "/ws/sync", EVIL)
    assert not shake(app, "/ws/async", GOOD)


def test_handshakes_by_path() -> None:
    """A rule that is partly within a resource is checked on those paths only."""
    app = make_app()

    @app.websocket("/ws/<room>")
    async def talk(room: str) -> None:
        await websocket.send("hello")

    CORS(app, resources={"/ws/private": {"origins": GOOD, "websocket_origins": True}})
    assert not shake(app, "/ws/private", EVIL)
    assert shake(app, "/ws/private", GOOD)
    assert shake(app, "/ws/public", EVIL)


def test_a_decorated_websocket() -> None:
    """The decorator works on the handler of a WebSocket, a generator too."""
    app = make_app()

    @app.websocket("/ws/one")
    @cross_origin(origins=GOOD, websocket_origins=True)
    async def one() -> None:
        await websocket.send("hello")

    @app.websocket("/ws/two")
    @cross_origin(websocket_origins=[])
    def two() -> Any:
        yield "hello"

    assert (shake(app, "/ws/one", EVIL), shake(app, "/ws/one", GOOD)) == (False, True)
    assert (shake(app, "/ws/two", EVIL), shake(app, "/ws/two", None)) == (False, True)


# Costs --------------------------------------------------------------------------------------------------------------------


def calls_added(set_up: Callable[[Quaff], object], path: str, **keys: str) -> int:
    """Return how many Python calls CORS adds to a warm request."""
    counts = []
    for function in (lambda app: None, set_up):
        app = make_app(compiled=True)
        function(app)
        for _ in range(3):
            answer(app, environ(path) | keys)
        counts.append(len(calls_of(answer, app, environ(path) | keys)))
    return counts[1] - counts[0]


LISTED: dict[str, Any] = {"origins": [GOOD, r"https://.*\.good\.test"], "expose_headers": "X-A"}


@pytest.mark.parametrize("path", ["/text", "/json", "/user/7"])
@pytest.mark.parametrize(
    "options, keys, most",
    [
        ({"send_wildcard": True}, {}, 0),
        ({"send_wildcard": True}, {"HTTP_ORIGIN": GOOD}, 0),
        ({}, {}, 2),
        ({}, {"HTTP_ORIGIN": EVIL}, 2),
        ({"origins": GOOD}, {"HTTP_ORIGIN": GOOD}, 2),
        ({"origins": GOOD}, {}, 2),
        (LISTED, {}, 2),
        (LISTED, {"HTTP_ORIGIN": "https://a.good.test"}, 2),
        (LISTED, {"HTTP_ORIGIN": EVIL}, 2),
        ({"resources": {"/api/*": {}}}, {"HTTP_ORIGIN": GOOD}, 0),
        ({"resources": {"/user/8": {}}}, {"HTTP_ORIGIN": GOOD}, 3),
    ],
)
def test_calls(path: str, options: dict[str, Any], keys: dict[str, str], most: int) -> None:
    """A request costs at most two more calls, none where all is constant, three where the path decides."""
    assert calls_added(lambda app: CORS(app, **options), path, **keys) <= most


def test_calls_of_a_404() -> None:
    """A request without a rule is asked whether it is a preflight as well."""
    assert calls_added(lambda app: CORS(app, origins=[GOOD, OTHER]), "/missing", HTTP_ORIGIN=GOOD) <= 4
    assert calls_added(on_a_blueprint, "/missing") <= 3


def on_a_blueprint(app: Quaff) -> None:
    """Set CORS up for a blueprint only."""
    blueprint = Blueprint("b", "b", url_prefix="/b")
    CORS(blueprint, origins=GOOD)
    app.register_blueprint(blueprint)


def test_calls_of_a_decorated_view() -> None:
    """The compiled pipeline calls the view behind the decorator."""
    counts = []
    for decorate in (lambda view: view, cross_origin(origins=GOOD)):
        app = make_app(compiled=True)
        app.add_url_rule("/d", view_func=decorate(lambda: "d"), endpoint="d")
        for _ in range(3):
            answer(app, environ("/d"))
        counts.append(len(calls_of(answer, app, environ("/d"))))
    assert counts[1] - counts[0] <= 2


def test_a_redirect_of_a_view_keeps_its_headers(way: Way) -> None:
    """A redirect that a view returns can be followed by a script."""
    app, ask = way
    app.add_url_rule("/go", view_func=lambda: redirect(f"{OTHER}/x"), endpoint="go")
    app.config["COMPAT"] = ("redirect-any",)
    CORS(app, origins=[GOOD, OTHER])
    assert cors_headers(ask(app, "/go", headers=from_origin(GOOD))) == {ACAO: GOOD}
