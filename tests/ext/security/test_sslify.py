"""Flask-SSLify's class and settings."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from quaff import Blueprint, Quaff, Response, websocket
from quaff.compat.aliases import real_name
from quaff.ext.security import sslify
from quaff.ext.security.headers import HSTS
from quaff.ext.security.problems import SecurityOptionError
from quaff.ext.security.sslify import YEAR_IN_SECS, SSLify
from quaff.testing.websocket import HandshakeRefused
from tests.contracts.test_calls import answer, calls_of, environ
from tests.ext.security.apps import HTTP, STATUSES, WAYS, Ask, make_app

Way = tuple[Quaff, Ask]

PATHS = [path for path in STATUSES if not path.startswith("/static") and "page" not in path]
"""Those that need neither a static folder nor a nonce, which only the other classes give."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Give an app with views of every kind, and how to ask it."""
    options, ask = WAYS[request.param]
    return make_app(**options), ask


def test_the_alias() -> None:
    """`flask_sslify` is this module."""
    assert real_name("flask_sslify") == sslify.__name__
    assert YEAR_IN_SECS == 31536000


@pytest.mark.parametrize("path", PATHS)
def test_each_path(way: Way, path: str) -> None:
    """Over plain HTTP each path is redirected; over HTTPS each response has the header, whatever its status."""
    app, ask = way
    SSLify(app)
    plain = ask(app, path, base_url=HTTP)
    assert (plain.status_code, plain.headers["Location"]) == (302, f"https://localhost{path}")
    assert HSTS not in plain.headers
    secure = ask(app, path)
    assert secure.status_code == STATUSES[path]
    assert secure.headers.getlist(HSTS) == ["max-age=31536000"]


def test_the_view_may_set_the_header(way: Way) -> None:
    """COMPAT: a header that the view sets is left alone."""
    app, ask = way
    SSLify(app)
    app.add_url_rule("/own", "own", lambda: Response("own", headers={HSTS: "max-age=1"}))
    assert ask(app, "/own").headers.getlist(HSTS) == ["max-age=1"]


@pytest.mark.parametrize(
    "options, header",
    [
        ({"age": 300}, "max-age=300"),
        ({"subdomains": True}, "max-age=31536000; includeSubDomains"),
        ({"age": 300, "subdomains": True, "permanent": True}, "max-age=300; includeSubDomains"),
    ],
)
def test_arguments(way: Way, options: dict[str, Any], header: str) -> None:
    """The arguments are those of the extension."""
    app, ask = way
    made = SSLify(app, **options)
    assert ask(app, "/text").headers[HSTS] == header == made.hsts_header
    code = 301 if options.get("permanent") else 302
    assert ask(app, "/text", base_url=HTTP, method="POST").status_code == code


def test_configuration(way: Way) -> None:
    """The keys of the configuration count, also after init_app."""
    app, ask = way
    made = SSLify()
    made.init_app(app)
    assert ask(app, "/text").headers[HSTS] == "max-age=31536000"
    app.config.update(SSLIFY_AGE=60, SSLIFY_SUBDOMAINS=True, SSLIFY_PERMANENT="true", SSLIFY_SKIPS=["js", "res"])
    assert ask(app, "/text").headers[HSTS] == "max-age=60; includeSubDomains"
    assert ask(app, "/text", base_url=HTTP).status_code == 301
    assert ask(app, "/json", base_url=HTTP).status_code == 200
    with app.app_context():
        assert made.hsts_header == "max-age=60; includeSubDomains"


@pytest.mark.parametrize("skips", [["js"], ("js",), {"js"}, "js", ["/js"], "x, js"])
def test_skips(way: Way, skips: Any) -> None:
    """Skipped paths are left alone: not redirected, and without the header. A list is not the only way to name them."""
    app, ask = way
    SSLify(app, skips=skips)
    plain = ask(app, "/json", base_url=HTTP)
    assert (plain.status_code, plain.json) == (200, {"a": 1})
    assert HSTS not in ask(app, "/json").headers
    assert ask(app, "/text", base_url=HTTP).status_code == 302
    assert HSTS in ask(app, "/text").headers


def test_attributes(way: Way) -> None:
    """Attributes may be changed while the app is served."""
    app, ask = way
    made = SSLify(app)
    ask(app, "/text")
    made.hsts_age, made.hsts_include_subdomains, made.permanent, made.skip_list = 5, True, True, ["js"]
    assert ask(app, "/text").headers[HSTS] == "max-age=5; includeSubDomains"
    assert ask(app, "/text", base_url=HTTP).status_code == 301
    assert ask(app, "/json", base_url=HTTP).status_code == 200


def test_debug_mode(way: Way) -> None:
    """In debug mode nothing is redirected."""
    app, ask = way
    SSLify(app)
    app.debug = True
    assert ask(app, "/text", base_url=HTTP).status_code == 200


def test_the_clients_word(way: Way) -> None:
    """SECURITY, lab T8 and not-kennethreitz/flask-sslify#3: the header is believed only with its name in COMPAT."""
    app, ask = way
    SSLify(app)
    headers = {"X-Forwarded-Proto": "https"}
    assert ask(app, "/text", base_url=HTTP, headers=headers).status_code == 302
    app.config["COMPAT"] = ("trust-forwarded-proto",)
    assert ask(app, "/text", base_url=HTTP, headers=headers).status_code == 200


def test_hsts_behind_a_trusted_proxy(way: Way) -> None:
    """Behind a proxy the extension sends no HSTS; with TRUSTED_PROXIES it is sent."""
    app, ask = way
    app.config["TRUSTED_PROXIES"] = 1
    SSLify(app)
    response = ask(app, "/text", base_url=HTTP, headers={"X-Forwarded-Proto": "https"})
    assert (response.status_code, response.headers[HSTS]) == (200, "max-age=31536000")


def test_nobody_is_sent_to_another_host(way: Way) -> None:
    """SECURITY, lab W19: a host that is not trusted is a 400."""
    app, ask = way
    app.config["TRUSTED_HOSTS"] = ["shop.example"]
    SSLify(app)
    assert ask(app, "/text", base_url=HTTP, headers={"Host": "evil.test"}).status_code == 400


def test_websockets() -> None:
    """A handshake over ws:// is refused, one over wss:// is not."""
    app = Quaff("x")
    SSLify(app)

    @app.websocket("/ws")
    async def handler() -> None:
        await websocket.accept()
        await websocket.send("hello")

    with pytest.raises(HandshakeRefused) as refused, app.test_websocket("/ws", base_url="http://localhost") as session:
        session.receive()
    assert refused.value.status == 403
    with app.test_websocket("/ws", base_url="https://localhost") as session:
        assert session.receive() == "hello"


def test_blueprints(way: Way) -> None:
    """A blueprint may have it for itself; the rest of the app is left alone."""
    app, ask = way
    blueprint = Blueprint("shop", "x", url_prefix="/shop")
    SSLify(blueprint)
    blueprint.add_url_rule("/", "view", lambda: "shop")
    app.register_blueprint(blueprint)
    assert ask(app, "/shop/", base_url=HTTP).status_code == 302
    assert ask(app, "/text", base_url=HTTP).status_code == 200


@pytest.mark.parametrize("options", [{"age": "x"}, {"age": -1}, {"skips": [""]}, {"skips": ["/"]}, {"skips": [7]}])
def test_mistakes(options: dict[str, Any]) -> None:
    """What cannot be right is refused at once; an empty path would switch everything off."""
    with pytest.raises(SecurityOptionError, match="SSLIFY_"):
        SSLify(Quaff("x"), **options)


def test_calls() -> None:
    """PERF: it costs three calls of a request that it has nothing to do with."""

    def calls(sslified: bool) -> int:
        app = Quaff("calls", compiled=True)
        app.add_url_rule("/", "home", lambda: "home")
        if sslified:
            SSLify(app)
        made = {**environ("/"), "wsgi.url_scheme": "https"}
        for _ in range(3):
            answer(app, dict(made))
        return len(calls_of(answer, app, dict(made)))

    assert calls(True) - calls(False) <= 3


def test_apps_are_forgotten() -> None:
    """An object at module level keeps no app alive."""
    made, app = SSLify(), make_app()
    made.init_app(app)
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None
