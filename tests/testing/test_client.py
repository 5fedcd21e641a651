"""The test client."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import pytest
from werkzeug.wrappers import Request as BaseRequest

from quaff import Blueprint, Quaff, Response, g, jsonify, redirect, request, session, stream_with_context, url_for
from quaff.globals import _cv_request, active_context
from quaff.sessions import SecureCookieSession, SecureCookieSessionInterface
from quaff.testing import EnvironBuilder, FlaskClient, QuaffClient

# EnvironBuilder --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config, options, url",
    [
        ({}, {}, "http://localhost/"),
        ({}, {"path": "/a?b=c"}, "http://localhost/a?b=c"),
        ({}, {"url_scheme": "https"}, "https://localhost/"),
        ({}, {"path": "https://example.com/x"}, "https://example.com/x"),
        ({}, {"path": "//example.com/x"}, "http://example.com/x"),
        ({}, {"base_url": "https://other.example/root", "path": "/x"}, "https://other.example/root/x"),
        ({"SERVER_NAME": "example.com:1234"}, {}, "http://example.com:1234/"),
        ({"SERVER_NAME": "example.com"}, {"subdomain": "shop"}, "http://shop.example.com/"),
        ({"APPLICATION_ROOT": "/foo", "PREFERRED_URL_SCHEME": "https"}, {"path": "/x"}, "https://localhost/foo/x"),
    ],
)
def test_where_a_request_goes(app: Quaff, config: dict[str, Any], options: dict[str, Any], url: str) -> None:
    """Host, root and scheme come from the configuration unless the arguments say otherwise."""
    app.config.update(config)
    assert app.test_request_context(**options).request.url == url
    builder = EnvironBuilder(app, **options)
    try:
        assert builder.get_request().url == url
    finally:
        builder.close()


@pytest.mark.parametrize("options", [{"subdomain": "x"}, {"url_scheme": "https"}])
def test_contradicting_arguments(app: Quaff, options: dict[str, str]) -> None:
    """A base URL leaves no room for its parts. COMPAT: Flask raises AssertionError."""
    with pytest.raises(AssertionError, match='Cannot pass "subdomain" or "url_scheme" with "base_url"'):
        EnvironBuilder(app, base_url="http://localhost", **options)


def test_json_is_written_by_the_app(app: Quaff) -> None:
    """The provider's settings count for request bodies as well."""
    app.json.ensure_ascii = False
    builder = EnvironBuilder(app, json="€")
    assert builder.input_stream.read().decode() == '"€"'
    assert builder.json_dumps([1]) == "[1]"
    builder.close()


# Requests --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def echo(app: Quaff) -> None:
    """A view that says what it was sent."""

    @app.route("/", methods=["GET", "POST"])
    def index() -> Any:
        g.seen = True
        return jsonify(
            method=request.method,
            url=request.url,
            remote=request.remote_addr,
            agent=request.user_agent.string,
            form=request.form,
            json=request.get_json(silent=True),
        )


def test_what_every_request_has(echo: None, client: FlaskClient) -> None:
    """An address and a user agent are set, and can be changed for all requests or one."""
    agent = f"Werkzeug/{importlib.metadata.version('werkzeug')}"
    assert client.get("/").json | {"remote": "127.0.0.1", "agent": agent} == client.get("/").json
    client.environ_base["REMOTE_ADDR"] = "192.168.0.22"
    client.environ_base["HTTP_USER_AGENT"] = "Mine"
    answer = client.get("/").json
    assert (answer["remote"], answer["agent"]) == ("192.168.0.22", "Mine")
    assert client.get("/", environ_base={"REMOTE_ADDR": "10.0.0.1"}).json["remote"] == "10.0.0.1"


def test_every_way_to_describe_a_request(app: Quaff, echo: None, client: FlaskClient) -> None:
    """A path with options, a builder, an environ and a request all work, and get the client's defaults."""
    builder = EnvironBuilder(app, path="/", method="POST", data={"a": "1"})
    assert client.open(builder).json["form"] == {"a": "1"}
    environ = builder.get_environ()
    builder.close()
    client.environ_base["HTTP_USER_AGENT"] = "Mine"
    for description in (EnvironBuilder(app, path="/?x=1"), environ, BaseRequest(EnvironBuilder(app).get_environ())):
        response = client.open(description)
        assert response.status_code == 200
        assert response.json["agent"] == "Mine"
    assert client.post("/", data={"b": "2"}).json["form"] == {"b": "2"}
    assert client.get("/", url_scheme="https").json["url"] == "https://localhost/"
    assert client.post("http://domain.example/?x=1").json["url"] == "http://domain.example/?x=1"


def test_describing_a_request_for_oneself(app: Quaff, client: FlaskClient) -> None:
    """Extensions make requests with the client's own methods."""
    made = client._request_from_builder_args(("/x",), {"method": "PUT"})
    assert (made.path, made.method, made.remote_addr) == ("/x", "PUT", "127.0.0.1")
    assert client._copy_environ({"A": 1})["A"] == 1


def test_json_both_ways(echo: None, client: FlaskClient) -> None:
    """`json=` sends JSON, and `response.json` reads it with the app's provider."""
    response = client.post("/", json={"gin": 1, "tonic": True})
    assert response.is_json
    assert response.get_json()["json"] == {"gin": 1, "tonic": True}
    assert response.json_module is client.application.json


def test_redirects_can_be_followed(app: Quaff, client: FlaskClient) -> None:
    """On request, the client goes on until the answer is no redirect; cookies come along."""

    @app.get("/first")
    def first() -> Any:
        session["first"] = True
        return redirect("/second")

    @app.get("/second")
    def second() -> str:
        session["second"] = True
        return "arrived"

    with client:
        response = client.get("/first", follow_redirects=True)
        assert (response.text, len(response.history)) == ("arrived", 1)
        assert session["first"] is session["second"] is True
    assert client.get("/first").status_code == 302


def test_subdomains(app: Quaff) -> None:
    """A URL with a subdomain, built or given, reaches its view."""
    shop = Quaff("shop", subdomain_matching=True)
    shop.config["SERVER_NAME"] = "example.com"
    blueprint = Blueprint("company", __name__, subdomain="<name>")
    blueprint.add_url_rule("/", "index", view_func=lambda name: name)
    shop.register_blueprint(blueprint)
    with shop.test_request_context():
        url = url_for("company.index", name="xxx")
    client = shop.test_client()
    assert client.get(url).text == "xxx"
    assert client.get("/", subdomain="yyy").text == "yyy"


# Keeping the context ---------------------------------------------------------------------------------------------------


def test_a_with_block_keeps_the_context(app: Quaff, echo: None, client: FlaskClient) -> None:
    """Inside the block the last request can be looked at; after it nothing is left."""
    with client:
        client.get("/?page=2")
        assert request.args["page"] == "2"
        assert g.seen is True
        client.post("/", json=[1])
        assert request.method == "POST"
    assert active_context() is None
    client.get("/")
    assert active_context() is None


def test_a_failed_request_keeps_its_context_too(app: Quaff, client: FlaskClient) -> None:
    """Each request has its own g, also one that ended in an error page."""
    app.testing = False
    app.add_url_rule("/ok", "ok", view_func=lambda: g.__dict__.setdefault("value", "42"))
    app.add_url_rule("/bad", "bad", view_func=lambda: 1 / 0)
    with client:
        client.get("/ok")
        assert g.value == "42"
        assert client.get("/bad").status_code == 500
        assert "value" not in g
        g.value = "23"
    with pytest.raises(RuntimeError, match=r"Working outside of application context\."):
        g.value  # noqa: B018


def test_an_error_that_comes_through(app: Quaff, client: FlaskClient) -> None:
    """In testing mode the error reaches the test, and the block still ends cleanly."""
    app.add_url_rule("/", "bad", view_func=lambda: 1 / 0)
    with client, pytest.raises(ZeroDivisionError):
        client.get("/")
    assert active_context() is None


def test_teardown_runs_again_when_a_kept_context_ends(app: Quaff, echo: None, client: FlaskClient) -> None:
    """COMPAT: as in Flask 3.1, teardown runs when the request ends, and once more when the kept context does."""
    events: list[str] = []
    app.teardown_request(lambda error: events.append(request.method))
    with client:
        client.get("/")
        assert events == ["GET"]
        client.post("/")
        assert events == ["GET", "GET", "POST"]
    assert events == ["GET", "GET", "POST", "POST"]


def test_blocks_do_not_nest(client: FlaskClient) -> None:
    """One client keeps one context; it can be used again after the block."""
    with client:
        with pytest.raises(RuntimeError, match="Cannot nest client invocations"), client:
            pass
        assert client.get("/").status_code == 404
    with client:
        assert client.get("/").status_code == 404


def test_a_block_leaves_outer_contexts_alone(app: Quaff, client: FlaskClient) -> None:
    """What was pushed before is current again, also when the response held a context of its own."""
    app.add_url_rule("/", "index", view_func=lambda: Response(stream_with_context(iter("hello"))))
    with app.test_request_context("/outer") as outer:
        with client:
            response = client.get("/")
        response.close()
        assert _cv_request.get(None) is outer
        assert request.path == "/outer"


# The session -----------------------------------------------------------------------------------------------------------


def test_a_session_transaction(app: Quaff, client: FlaskClient) -> None:
    """What a transaction stores the app reads, and the other way round."""

    @app.get("/")
    def index() -> str:
        session["seen"] = True
        return str(session.get("user"))

    with client.session_transaction() as stored:
        assert len(stored) == 0
        stored["user"] = [42]
    assert client.get("/").text == "[42]"
    with client.session_transaction() as stored:
        assert dict(stored) == {"user": [42], "seen": True}
        del stored["user"]
    assert client.get("/").text == "None"


def test_a_transaction_may_depend_on_the_request(app: Quaff, client: FlaskClient) -> None:
    """Its arguments describe the request for which the session is opened."""

    class PerHost(SecureCookieSessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            opened: Any = super().open_session(app, request)
            opened["host"] = request.host
            return opened

    app.session_interface = PerHost()
    with client.session_transaction(base_url="http://shop.example") as stored:
        assert stored["host"] == "shop.example"


def test_a_transaction_leaves_contexts_alone(app: Quaff, client: FlaskClient) -> None:
    """A request context of the test stays current during and after it."""
    with app.test_request_context("/mine"):
        current = request._get_current_object()
        with client.session_transaction():
            assert request._get_current_object() is current
        assert request._get_current_object() is current


def test_an_error_in_a_transaction_stores_nothing(client: FlaskClient) -> None:
    """The session is stored only when the block ends well."""
    with pytest.raises(ZeroDivisionError), client.session_transaction() as stored:
        stored["a"] = 1
        raise ZeroDivisionError
    with client.session_transaction() as stored:
        assert dict(stored) == {}


def test_a_transaction_needs_cookies(app: Quaff) -> None:
    """A client without cookies has no session to open."""
    client = app.test_client(use_cookies=False)
    with pytest.raises(TypeError, match="Cookies are disabled"), client.session_transaction():
        pass


def test_a_transaction_needs_a_session(app: Quaff, client: FlaskClient) -> None:
    """Without a secret key there is no session."""
    app.secret_key = None
    with pytest.raises(RuntimeError, match="Session backend did not open a session"), client.session_transaction():
        pass


def test_a_null_session_is_not_stored(app: Quaff, client: FlaskClient) -> None:
    """A session that the interface calls null is left alone."""

    class Never(SecureCookieSessionInterface):
        def is_null_session(self, obj: object) -> bool:
            return isinstance(obj, SecureCookieSession)

        def save_session(self, *args: Any) -> None:
            pytest.fail("a null session was saved")

    app.session_interface = Never()
    with client.session_transaction() as stored:
        stored["a"] = 1


def test_the_class_can_be_chosen(app: Quaff) -> None:
    """`test_client_class` decides, and options of `test_client` reach it."""

    class Mine(FlaskClient):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.user = kwargs.pop("user")
            super().__init__(*args, **kwargs)

    app.test_client_class = Mine
    client: Any = app.test_client(user="me")
    assert isinstance(client, Mine)
    assert client.user == "me"
    assert client.application is app
    assert QuaffClient is FlaskClient
