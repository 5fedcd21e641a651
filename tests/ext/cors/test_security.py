"""The security pack of CORS: a test per advisory, and origins x settings x kinds of request, in both pipelines."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest

from quaff import Quaff
from quaff.ext.cors import CORS, CorsOptionError, cross_origin
from tests.ext.cors.apps import ACAO, EVIL, GOOD, OTHER, cors_headers, from_origin, preflight
from tests.ext.cors.test_origins import TRICKS

Client = Any

both_pipelines = pytest.mark.parametrize("compiled", [True, False])


def make_client(compiled: bool, *rules: str, **options: Any) -> Client:
    """Return a client of an app with CORS and some rules, whose views say which of them was called."""
    app = Quaff("pack", static_folder=None, compiled=compiled)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    CORS(app, **options)
    for rule in rules or ("/x",):
        app.add_url_rule(rule, rule, lambda rule=rule, **values: rule)
    return app.test_client()


# Advisories ---------------------------------------------------------------------------------------------------------------


@both_pipelines
@pytest.mark.parametrize(
    "path, view",
    [
        ("/api/../private", None),
        ("/api/%2e%2e/private", None),
        ("/api/%2E%2E%2Fprivate", None),
        ("/api/..%2fprivate", None),
        ("/api/./../private", None),
        ("/api/%252e%252e/private", "/api/<path:rest>"),
        ("/private", "/private"),
        ("/api/x", "/api/<path:rest>"),
    ],
)
def test_cve_2020_25032(compiled: bool, path: str, view: str | None) -> None:
    """The policy is that of the view that serves a request: no way of writing a path puts `/private` within `/api/*`."""
    client = make_client(compiled, "/api/<path:rest>", "/private", resources={"/api/*": {"origins": [GOOD, OTHER]}})
    response = client.get(path, headers=from_origin(GOOD))
    served = response.get_data(as_text=True) if response.status_code == 200 else None
    if view is not None:
        assert served == view
    # Within the resource if and only if the view of that resource was called; the private one never is.
    assert bool(cors_headers(response)) is (served == "/api/<path:rest>")


@both_pipelines
@pytest.mark.parametrize("path", ["/api/../private", "/api/%2e%2e/private", "/api//../private", "/api/x/..%5cprivate"])
def test_cve_2020_25032_with_one_view_for_all(compiled: bool, path: str) -> None:
    """A view that serves everything, a proxy for example, may normalise the path: what is not plain is within nothing."""
    client = make_client(compiled, "/<path:rest>", resources={"/api/*": {"origins": [GOOD, OTHER]}})
    assert cors_headers(client.get("/api/x", headers=from_origin(GOOD))) == {ACAO: GOOD}
    assert not cors_headers(client.get(path, headers=from_origin(GOOD)))
    assert not cors_headers(client.open(path, **preflight(GOOD)))


@both_pipelines
def test_cve_2024_1681(compiled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Line ends in path, origin and method reach no log, not even at DEBUG."""
    caplog.set_level(logging.DEBUG, "flask_cors")
    client = make_client(compiled, "/<path:rest>", origins=[GOOD])
    environ = {"HTTP_ORIGIN": "https://a\r\nFAKE", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GE\r\nFAKE"}
    client.get("/x%0d%0aFAKE", environ_overrides=environ)
    client.options("/x%0d%0aFAKE", environ_overrides=environ | {"HTTP_ORIGIN": GOOD})
    messages = [record.getMessage() for record in caplog.records if record.name == "flask_cors"]
    assert len(messages) == 3
    assert all(message.isprintable() for message in messages)


@both_pipelines
@pytest.mark.parametrize("path", ["/x", "/missing"])
def test_cve_2024_6221(compiled: bool, path: str) -> None:
    """A page on the internet may not reach into the private network unless the app says so."""
    asked = preflight(GOOD)
    asked["headers"]["Access-Control-Request-Private-Network"] = "true"
    name = "Access-Control-Allow-Private-Network"
    assert name not in make_client(compiled).open(path, **asked).headers
    assert make_client(compiled, allow_private_network=False).open(path, **asked).headers[name] == "false"
    assert make_client(compiled, allow_private_network=True).open(path, **asked).headers[name] == "true"


@both_pipelines
def test_cve_2024_6839(compiled: bool) -> None:
    """The more specific resource decides, not the longer expression."""
    resources = {
        "/api/admin": {"origins": [OTHER]},
        r"/api/[a-z]+[a-z0-9]*[a-z0-9]*[a-z0-9]*": {"origins": [EVIL]},
        "/*": {"origins": [EVIL]},
    }
    client = make_client(compiled, "/api/admin", resources=resources)
    assert not cors_headers(client.get("/api/admin", headers=from_origin(EVIL)))
    assert cors_headers(client.get("/api/admin", headers=from_origin(OTHER))) == {ACAO: OTHER}


@both_pipelines
def test_cve_2024_6844(compiled: bool) -> None:
    """A plus in a path is a plus, and a space a space."""
    client = make_client(
        compiled,
        "/<path:rest>",
        resources={"/a+b": {"origins": [GOOD]}, "/a b": {"origins": [OTHER]}, r"/c\+d": {"origins": [GOOD]}},
    )
    for path, origin in (("/a+b", GOOD), ("/a%2bb", GOOD), ("/a%20b", OTHER), ("/c+d", GOOD)):
        assert cors_headers(client.get(path, headers=from_origin(origin))) == {ACAO: origin}
    for path, origin in (("/a+b", OTHER), ("/a%20b", GOOD), ("/a%252bb", GOOD), ("/c%20d", GOOD)):
        assert not cors_headers(client.get(path, headers=from_origin(origin)))


@both_pipelines
def test_cve_2024_6866(compiled: bool) -> None:
    """Paths have a case: `/A` is not within the resources of `/a`."""
    client = make_client(compiled, "/<path:rest>", resources={"/a/*": {"origins": [GOOD]}, "/B": {"origins": [GOOD]}})
    verdicts = {path: bool(cors_headers(client.get(path, headers=from_origin(GOOD)))) for path in ("/a/x", "/B")}
    assert verdicts == {"/a/x": True, "/B": True}
    for path in ("/A/x", "/A/X", "/b"):
        assert not cors_headers(client.get(path, headers=from_origin(GOOD)))


@both_pipelines
@pytest.mark.parametrize("entry", ["https://good.test", "https?://good.test", "https://*.good.test", r".*\.good.test"])
def test_cve_2026_25478(compiled: bool, entry: str) -> None:
    """An origin that is listed is a string: its dots are dots, in expressions and behind a star as well."""
    client = make_client(compiled, origins=[entry])
    for origin in ("https://goodXtest", "https://a.goodXtest", "https://aXgood.test", "https://good-test"):
        assert not cors_headers(client.get("/x", headers=from_origin(origin)))


@both_pipelines
@pytest.mark.parametrize("entry", [GOOD, r"https://good\.test", "https?://good.test", r"^https://(good|other)\.test$"])
@pytest.mark.parametrize("credentials", [False, True])
def test_w18(compiled: bool, entry: str, credentials: bool) -> None:
    """Expressions match the whole origin: no suffix, prefix, scheme, port or other trick is let in, simple or preflight."""
    client = make_client(compiled, origins=[entry, OTHER], supports_credentials=credentials)
    tricks = [trick for trick in TRICKS if trick.isprintable()]
    if entry == "https?://good.test":
        tricks.remove("http://good.test")
    for trick in tricks:
        for response in (
            client.get("/x", environ_overrides={"HTTP_ORIGIN": trick}),
            client.get("/missing", environ_overrides={"HTTP_ORIGIN": trick}),
            client.options("/x", environ_overrides={"HTTP_ORIGIN": trick, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}),
        ):
            assert not cors_headers(response), trick
            assert response.headers["Vary"] == "Origin"
    assert cors_headers(client.get("/x", headers=from_origin(GOOD)))[ACAO] == GOOD


@both_pipelines
def test_w18_reflection(compiled: bool) -> None:
    """Every origin with credentials is refused, in the app's options, a resource's, a view's and the configuration's."""
    app = Quaff("w18", static_folder=None, compiled=compiled)
    app.testing = True
    app.add_url_rule("/d", "d", cross_origin(supports_credentials=True)(lambda: "d"))
    app.add_url_rule("/x", "x", lambda: "x")
    app.config["CORS_SUPPORTS_CREDENTIALS"] = True
    CORS(app, resources={"/x": {"origins": "*"}})
    client = app.test_client()
    for path in ("/d", "/x"):
        with pytest.raises(CorsOptionError, match="would let every site read what your users see"):
            client.get(path)


# The pack -----------------------------------------------------------------------------------------------------------------

POLICIES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "any": ({}, {GOOD, OTHER, EVIL, "http://good.test", "https://good.test.evil.example"}),
    "any, as *": ({"send_wildcard": True}, set()),
    "one": ({"origins": GOOD}, {GOOD}),
    "two": ({"origins": [GOOD, OTHER]}, {GOOD, OTHER}),
    "expression": ({"origins": [r"https://(good|other)\.test"]}, {GOOD, OTHER}),
    "star": ({"origins": ["https://*.test"]}, {GOOD, OTHER, EVIL}),
    "null": ({"origins": ["null"]}, {"null"}),
    "none": ({"origins": []}, set()),
}

ORIGINS = [GOOD, OTHER, EVIL, "http://good.test", "null", "https://good.test.evil.example", "https://x@good.test"]
KINDS = ["simple", "preflight", "options", "error", "missing"]

PACK = [
    (name, credentials, kind, origin)
    for name, credentials, kind, origin in itertools.product(POLICIES, (False, True), KINDS, ORIGINS)
    if not (credentials and name.startswith("any"))
]


def ask(client: Client, kind: str, origin: str | None) -> Any:
    """Send a request of some kind."""
    if kind == "preflight":
        return client.open("/x", **preflight(origin, "PUT", "X-A"))
    if kind == "options":
        return client.options("/x", headers=from_origin(origin))
    return client.get({"simple": "/x", "error": "/error", "missing": "/missing"}[kind], headers=from_origin(origin))


@pytest.fixture(scope="module")
def clients() -> dict[tuple[str, bool, bool], Client]:
    """Give a client for each policy, with credentials and without, in each pipeline."""
    made = {}
    for name, credentials, compiled in itertools.product(POLICIES, (False, True), (True, False)):
        if not (credentials and name.startswith("any")):
            client = make_client(compiled, **POLICIES[name][0], supports_credentials=credentials)
            client.application.logger.disabled = True
            client.application.add_url_rule("/error", "error", lambda: 1 / 0)
            made[name, credentials, compiled] = client
    return made


@pytest.mark.parametrize("name, credentials, kind, origin", PACK)
def test_the_pack(clients: dict[Any, Client], name: str, credentials: bool, kind: str, origin: str) -> None:
    """No origin is repeated that is not on the list; credentials go to listed ones only; what depends on it says `Vary`."""
    for compiled in (True, False):
        response = ask(clients[name, credentials, compiled], kind, origin)
        found = cors_headers(response)
        is_allowed = origin in POLICIES[name][1]
        expected = origin if is_allowed else "*" if name.startswith("any") else None
        assert found.get(ACAO) == expected
        assert found.get("Access-Control-Allow-Credentials") == ("true" if credentials and is_allowed else None)
        assert ("Access-Control-Allow-Methods" in found) is (kind == "preflight" and expected is not None)
        depends = name not in ("any, as *", "none") and not (name in ("one", "null") and is_allowed)
        assert ("Origin" in response.headers.get("Vary", "").split(", ")) is depends
        assert response.status_code == {"error": 500, "missing": 404}.get(kind, 200)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", POLICIES)
def test_without_an_origin(clients: dict[Any, Client], name: str, kind: str) -> None:
    """A request that names no origin gets `*`, or an origin of the list, or nothing: never an origin that is not listed."""
    for compiled in (True, False):
        found = cors_headers(ask(clients[name, False, compiled], kind, None))
        listed = {"any": "*", "any, as *": "*", "one": GOOD, "two": GOOD, "null": "null"}
        assert found.get(ACAO) == listed.get(name)
