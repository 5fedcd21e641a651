"""How the app builds URLs, and which hosts it answers to."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.exceptions import BadRequest
from werkzeug.routing import BuildError

from quaff import Blueprint, Quaff, redirect, request, url_for


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline with a few rules."""
    app = Quaff(__name__, compiled=request.param)
    app.testing = True
    app.add_url_rule("/", "index", lambda: "index")
    app.add_url_rule("/items/<int:number>", "item", lambda **values: values)
    app.add_url_rule("/items/<int:number>/<path:rest>", "item")
    return app


def build(app: Quaff, endpoint: str, /, **values: Any) -> str:
    """Return what `app.url_for` gives within a request."""
    with app.test_request_context("/"):
        return app.url_for(endpoint, **values)


# Paths -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint, values, expected",
    [
        ("index", {}, "/"),
        ("item", {"number": 5}, "/items/5"),
        ("item", {"number": "5"}, "/items/5"),
        ("item", {"number": 5, "rest": "a/ü b"}, "/items/5/a/%C3%BC%20b"),
        ("index", {"q": "a b", "n": 1}, "/?q=a+b&n=1"),
        ("index", {"q": ["a", "b"]}, "/?q=a&q=b"),
        ("index", {"q": None}, "/"),
        ("index", {"q": "ü&="}, "/?q=%C3%BC%26%3D"),
        ("static", {"filename": "a/b.css"}, "/static/a/b.css"),
    ],
)
def test_values(app: Quaff, endpoint: str, values: dict[str, Any], expected: str) -> None:
    """Values fill the rule's variables; others become the query, None being left out."""
    assert build(app, endpoint, **values) == expected
    with app.test_request_context("/"):
        assert url_for(endpoint, **values) == expected
        assert request.url_rule is not None


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"_external": True}, "http://localhost/items/5"),
        ({"_scheme": "https"}, "https://localhost/items/5"),
        ({"_scheme": "https", "_external": True}, "https://localhost/items/5"),
        ({"_scheme": ""}, "//localhost/items/5"),
        ({"_anchor": "x"}, "/items/5#x"),
        ({"_anchor": "x y/ü?"}, "/items/5#x%20y/%C3%BC?"),
        ({"_anchor": "%!#$&'()*+,/:;=?@"}, "/items/5#%!#$&'()*+,/:;=?@"),
        ({"_external": True, "_anchor": "x"}, "http://localhost/items/5#x"),
        ({"_external": False}, "/items/5"),
    ],
)
def test_options(app: Quaff, options: dict[str, Any], expected: str) -> None:
    """Anchor, scheme and `_external` do what they do in Flask."""
    assert build(app, "item", number=5, **options) == expected


def test_a_scheme_needs_an_external_url(app: Quaff) -> None:
    """A relative URL has no scheme."""
    with pytest.raises(ValueError, match=r"^When specifying '_scheme', '_external' must be True.$"):
        build(app, "index", _scheme="https", _external=False)


def test_the_method_chooses_the_rule(app: Quaff) -> None:
    """Rules of one endpoint may differ by method."""
    app.add_url_rule("/get-it", "both", lambda: "", methods=["GET"])
    app.add_url_rule("/post-it", "both", app.view_functions["both"], methods=["POST"])
    assert build(app, "both", _method="GET") == "/get-it"
    assert build(app, "both", _method="POST") == "/post-it"
    assert build(app, "both", _method="POST", _external=True) == "http://localhost/post-it"


@pytest.mark.parametrize("values", [{"self": 1}, {"endpoint_": 1, "method": "x"}, {"app": 1}])
def test_any_name_may_be_a_value(app: Quaff, values: dict[str, Any]) -> None:
    """`self` and the like are values, not the method's own parameters."""
    assert build(app, "index", **values).startswith("/?")


def test_below_a_mount_point(app: Quaff) -> None:
    """SCRIPT_NAME goes in front of the path."""
    app.add_url_rule("/where", "where", lambda: url_for("item", number=5) + " " + url_for("index", _external=True))
    response = app.test_client().get("/where", base_url="http://shop.example/app")
    assert response.text == "/app/items/5 http://shop.example/app/"


def test_in_a_view_and_its_blueprint(app: Quaff) -> None:
    """A leading dot is the blueprint of the request; without one it is the app's own endpoint."""
    part = Blueprint("part", __name__, url_prefix="/part")
    part.add_url_rule("/", "index", lambda: " ".join([url_for(".index"), url_for("index"), url_for("part.index")]))
    app.register_blueprint(part)
    app.add_url_rule("/dot", "dot", lambda: url_for(".index"))
    assert app.test_client().get("/part/").text == "/part/ / /part/"
    assert app.test_client().get("/dot").text == "/"


# Outside of a request --------------------------------------------------------------------------------------------------


def test_without_a_server_name(app: Quaff) -> None:
    """Outside of a request the error says which configuration is missing, with and without an app context."""
    message = "Unable to build URLs outside an active request without 'SERVER_NAME' configured."
    with pytest.raises(RuntimeError, match=message):
        app.url_for("index")
    with app.app_context(), pytest.raises(RuntimeError, match=message):
        url_for("index")


def test_with_a_server_name(app: Quaff) -> None:
    """SERVER_NAME, APPLICATION_ROOT and PREFERRED_URL_SCHEME make an external URL; `_external=False` a path."""
    app.config.update(SERVER_NAME="shop.example:5000", APPLICATION_ROOT="/app", PREFERRED_URL_SCHEME="https")
    assert app.url_for("item", number=5) == "https://shop.example:5000/app/items/5"
    with app.app_context():
        assert url_for("index") == "https://shop.example:5000/app/"
        assert url_for("index", _external=False) == "/app/"
        assert url_for("index", _scheme="http") == "http://shop.example:5000/app/"


def test_in_an_app_context_inside_a_request(app: Quaff) -> None:
    """As in Flask the request wins: its host is known."""
    with app.test_request_context(base_url="http://other.example"), app.app_context():
        assert url_for("index", _external=True) == "http://other.example/"


# When no URL can be built ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint, values", [("nothing", {}), ("item", {}), ("item", {"numbr": 5})])
def test_a_build_error(app: Quaff, endpoint: str, values: dict[str, Any]) -> None:
    """An unknown endpoint or a missing value is Werkzeug's `BuildError`, which names it and guesses."""
    with pytest.raises(BuildError, match=f"Could not build url for endpoint '{endpoint}'"):
        build(app, endpoint, **values)


def test_a_build_error_suggests(app: Quaff) -> None:
    """A misspelt endpoint gets a suggestion."""
    with pytest.raises(BuildError, match="Did you mean 'item' instead"):
        build(app, "itme")


def test_build_error_handlers(app: Quaff) -> None:
    """Handlers are asked in turn with the error, the endpoint and all values; the first URL wins."""
    calls: list[Any] = []

    def first(error: Exception, endpoint: str, values: dict[str, Any]) -> Any:
        calls.append((endpoint, dict(values)))

    def second(error: Exception, endpoint: str, values: dict[str, Any]) -> str:
        return f"/made/{endpoint}"

    app.url_build_error_handlers.extend([first, second])
    assert build(app, "nothing", q=1, _anchor="x") == "/made/nothing"
    assert calls == [("nothing", {"q": 1, "_anchor": "x", "_method": None, "_scheme": None, "_external": False})]


def test_a_build_error_handler_may_raise(app: Quaff) -> None:
    """A `BuildError` of a handler takes the first one's place and the next handler is asked; nobody answering raises it."""
    replaced = BuildError("replaced", {}, None)

    def raises(error: Exception, endpoint: str, values: dict[str, Any]) -> str:
        raise replaced

    seen: list[Any] = []
    app.url_build_error_handlers += [raises, lambda error, endpoint, values: seen.append(error)]  # type: ignore[list-item, return-value]
    with pytest.raises(BuildError) as caught:
        build(app, "nothing")
    assert caught.value is replaced
    assert seen == [replaced]


# url_defaults ----------------------------------------------------------------------------------------------------------


def test_url_defaults(app: Quaff) -> None:
    """The app's functions run for all endpoints, a blueprint's for its own, nested ones from the outside in."""
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    inner.add_url_rule("/inner", "index", lambda: "")
    for owner, name in ((app, "app"), (outer, "outer"), (inner, "inner")):
        owner.url_defaults(lambda endpoint, values, name=name: values.update(q=values.get("q", "") + name))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert build(app, "index") == "/?q=app"
    assert build(app, "outer.inner.index") == "/inner?q=appouterinner"
    values: dict[str, Any] = {}
    app.inject_url_defaults("outer.inner.index", values)
    assert values == {"q": "appouterinner"}


# Redirects -------------------------------------------------------------------------------------------------------------


def test_redirects_are_of_the_apps_class(app: Quaff) -> None:
    """`app.redirect` and `quaff.redirect` give the app's response class, with the code that is asked for."""

    class Mine(app.response_class):  # type: ignore[name-defined, misc]
        """A class of the user's own."""

    app.response_class = Mine
    with app.app_context():
        for response in (app.redirect("/there"), redirect("/there")):
            assert (type(response), response.status_code, response.location) == (Mine, 302, "/there")
        assert redirect("/there", 307).status_code == 307


def test_a_redirect_that_would_surprise(app: Quaff) -> None:
    """A scheme that runs script is refused, unless the config says that old code needs it."""
    with pytest.raises(ValueError, match="is refused"):
        app.redirect("javascript:alert(1)")
    app.config["COMPAT"] = ("redirect-any",)
    assert app.redirect("javascript:alert(1)").status_code == 302


# Hosts -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host, status",
    [
        ("shop.example", 200),
        ("shop.example:8080", 200),
        ("a.sub.example", 200),
        ("sub.example", 200),
        ("evil.example", 400),
        ("shop.example.evil", 400),
    ],
)
def test_trusted_hosts(app: Quaff, host: str, status: int) -> None:
    """With TRUSTED_HOSTS other hosts are a 400, before any view; a leading dot stands for all below."""
    app.config["TRUSTED_HOSTS"] = ["shop.example", ".sub.example"]
    client = app.test_client()
    for _ in range(2):
        assert client.get("/", base_url=f"http://{host}").status_code == status
        assert client.get("/none", base_url=f"http://{host}").status_code == (404 if status == 200 else 400)


def test_trusted_hosts_may_be_changed(app: Quaff) -> None:
    """A change of the config counts from the next request on."""
    client = app.test_client()
    assert client.get("/", base_url="http://a.example").status_code == 200
    app.config["TRUSTED_HOSTS"] = ["b.example"]
    assert client.get("/", base_url="http://a.example").status_code == 400
    app.config["TRUSTED_HOSTS"] = None
    assert client.get("/", base_url="http://a.example").status_code == 200


def test_an_untrusted_host_reaches_the_error_handlers(app: Quaff) -> None:
    """The 400 is a routing error: hooks run and a handler may answer it."""
    app.config["TRUSTED_HOSTS"] = ["shop.example"]
    app.register_error_handler(400, lambda error: (f"bad {request.path}", 400))
    assert app.test_client().get("/x", base_url="http://evil.example").text == "bad /x"


@pytest.mark.parametrize("host", ["shop.example/evil", "a b", "", "a@b", "a\tb"])
def test_a_malformed_host(app: Quaff, host: str) -> None:
    """A host that is none is a 400."""
    environ_overrides = {"HTTP_HOST": host}
    assert app.test_client().get("/", environ_overrides=environ_overrides).status_code == 400


def test_the_server_name_restricts_nothing_by_itself(app: Quaff) -> None:
    """As in Flask 3.1 a request for another host than SERVER_NAME is served; external URLs are for SERVER_NAME."""
    app.config["SERVER_NAME"] = "shop.example"
    app.add_url_rule("/where", "where", lambda: url_for("index", _external=True))
    client = app.test_client()
    assert client.get("/where").text == "http://shop.example/"
    assert client.get("/where", base_url="http://other.example").text == "http://shop.example/"


def test_subdomain_matching() -> None:
    """With it, a route on a subdomain is found there only, and a host that is not below SERVER_NAME matches nothing."""
    app = Quaff(__name__, subdomain_matching=True)
    app.config["SERVER_NAME"] = "shop.example:3000"
    app.add_url_rule("/", "bare", lambda: "bare")
    app.add_url_rule("/", "sub", lambda user: user, subdomain="<user>")
    app.add_url_rule("/where", "where", lambda: url_for("sub", user="ann") + " " + url_for("bare"), subdomain="api")
    client = app.test_client()
    assert client.get("/").text == "bare"
    assert client.get("/", subdomain="ann").text == "ann"
    assert (
        client.get("/where", base_url="http://api.shop.example:3000").text
        == "http://ann.shop.example:3000/ http://shop.example:3000/"
    )
    with pytest.warns(UserWarning, match=r"Current server name 'other.example' doesn't match configured server name"):
        assert client.get("/where", base_url="http://other.example").status_code == 404


@pytest.mark.parametrize("compiled", [True, False])
def test_host_matching(compiled: bool) -> None:
    """With it, rules have hosts, whose variables are arguments of the view; static files need a host too."""
    app = Quaff(__name__, host_matching=True, static_host="static.example", compiled=compiled)
    app.add_url_rule("/", "a", lambda: "a", host="a.example")
    app.add_url_rule("/", "b", lambda name: name, host="<name>.b.example")
    client = app.test_client()
    assert client.get("/", base_url="http://a.example").text == "a"
    assert client.get("/", base_url="http://x.b.example").text == "x"
    assert client.get("/", base_url="http://c.example").status_code == 404
    with app.test_request_context(base_url="http://a.example"):
        assert url_for("b", name="y") == "http://y.b.example/"
        assert url_for("static", filename="f.css") == "http://static.example/static/f.css"


@pytest.mark.parametrize("arguments", [{"host_matching": True}, {"static_host": "a.example"}])
def test_static_host_and_host_matching_belong_together(arguments: dict[str, Any]) -> None:
    """One without the other is refused, unless there are no static files."""
    with pytest.raises(AssertionError, match=r"^Invalid static_host/host_matching combination$"):
        Quaff(__name__, **arguments)
    assert Quaff(__name__, static_folder=None, **arguments).url_map.host_matching is bool(
        arguments.get("host_matching")
    )


def test_the_adapter_of_a_request(app: Quaff) -> None:
    """`create_url_adapter` binds the map to the request; without one to SERVER_NAME, or gives None."""
    assert app.create_url_adapter(None) is None
    with app.test_request_context(base_url="https://shop.example/app"):
        adapter = app.create_url_adapter(request)
        assert adapter is not None
        assert (adapter.server_name, adapter.script_name, adapter.url_scheme) == ("shop.example", "/app/", "https")
    app.config["TRUSTED_HOSTS"] = ["other.example"]
    refused = app.request_class({"HTTP_HOST": "shop.example", "wsgi.url_scheme": "http", "REQUEST_METHOD": "GET"})
    with pytest.raises(BadRequest):
        app.create_url_adapter(refused)


def test_an_overridden_adapter_is_used() -> None:
    """A subclass that overrides `create_url_adapter` decides for matching and building."""

    class Shifted(Quaff):
        def create_url_adapter(self, request: Any) -> Any:
            adapter = super().create_url_adapter(request)
            if adapter is not None:
                adapter.script_name = "/shifted/"
            return adapter

    app = Shifted(__name__)
    app.add_url_rule("/", "index", lambda: url_for("index"))
    assert app.test_client().get("/").text == "/shifted/"
