"""Functions that run around requests: how they are registered and in which order they run."""

from __future__ import annotations

from typing import Any

import pytest

from quaff import Blueprint, Quaff, g, render_template_string, request, url_for
from quaff.hooks import Hooks, setupmethod

REGISTRIES = {
    "before_request": "before_request_funcs",
    "after_request": "after_request_funcs",
    "teardown_request": "teardown_request_funcs",
    "context_processor": "template_context_processors",
    "url_value_preprocessor": "url_value_preprocessors",
    "url_defaults": "url_default_functions",
}


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline."""
    app = Quaff(__name__, compiled=request.param)
    app.testing = True
    return app


@pytest.mark.parametrize("method, registry", REGISTRIES.items())
@pytest.mark.parametrize("make", [lambda: Quaff("a"), lambda: Blueprint("b", "a")], ids=["app", "blueprint"])
def test_each_decorator_returns_the_function(make: Any, method: str, registry: str) -> None:
    """A decorated function stays what it is, and stands last in its registry under None."""
    owner = make()

    def hook(*args: Any) -> None:
        """Do nothing."""

    assert getattr(owner, method)(hook) is hook
    assert getattr(owner, registry)[None][-1] is hook


@pytest.mark.parametrize("method", REGISTRIES)
def test_set_up_ends_with_the_first_request(app: Quaff, method: str) -> None:
    """After the first request each decorator refuses, naming itself."""
    app.test_client().get("/")
    with pytest.raises(AssertionError, match=f"The setup method '{method}' can no longer be called on the application"):
        getattr(app, method)(lambda *args: None)


def test_setupmethod_keeps_name_and_docstring() -> None:
    """A method under `setupmethod` still tells what it is called and what it does."""

    class Owner:
        def _check_setup_finished(self, name: str) -> None:
            raise AssertionError(name)

        @setupmethod
        def register(self) -> None:
            """Register something."""

    assert Owner.register.__name__ == "register"
    assert Owner.register.__doc__ == "Register something."
    with pytest.raises(AssertionError, match="register"):
        Owner().register()


def test_hooks_alone_do_not_know_when_set_up_ends() -> None:
    """The class is one half: whoever mixes it in has to say when set-up has ended."""
    with pytest.raises(NotImplementedError):
        Hooks().before_request(lambda: None)


def test_order_of_all_hooks(app: Quaff) -> None:
    """Before hooks run outside in, after and teardown hooks inside out and last registered first."""
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    calls: list[str] = []
    for owner, name in ((app, "app"), (outer, "outer"), (inner, "inner")):
        for number in (1, 2):
            label = f"{name}{number}"

            def after(response: Any, label: str = label) -> Any:
                calls.append(f"after {label}")
                return response

            owner.url_value_preprocessor(lambda endpoint, values, label=label: calls.append(f"url {label}"))
            owner.before_request(lambda label=label: calls.append(f"before {label}"))
            owner.after_request(after)
            owner.teardown_request(lambda error, label=label: calls.append(f"teardown {label}"))
    inner.add_url_rule("/", "index", lambda: calls.append("view") or "done")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert app.test_client().get("/").text == "done"
    names = ["app1", "app2", "outer1", "outer2", "inner1", "inner2"]
    backwards = ["inner2", "inner1", "outer2", "outer1", "app2", "app1"]
    assert calls == [
        *(f"url {name}" for name in names),
        *(f"before {name}" for name in names),
        "view",
        *(f"after {name}" for name in backwards),
        *(f"teardown {name}" for name in backwards),
    ]


@pytest.mark.parametrize("answer", ["early", {"early": True}, ("early", 403), b"early"])
def test_a_before_hook_may_answer(app: Quaff, answer: Any) -> None:
    """What a before hook returns is the response; later hooks and the view are not called, after hooks are."""
    calls: list[str] = []
    app.before_request(lambda: answer)
    app.before_request(lambda: calls.append("second"))
    app.add_url_rule("/", "index", lambda: calls.append("view"))

    @app.after_request
    def mark(response: Any) -> Any:
        response.headers["X-After"] = "yes"
        return response

    response = app.test_client().get("/")
    assert "early" in response.text
    assert response.headers["X-After"] == "yes"
    assert calls == []


def test_an_empty_answer_is_an_answer(app: Quaff) -> None:
    """Only None means "go on": an empty string answers."""
    app.before_request(lambda: "")
    app.add_url_rule("/", "index", lambda: "view")
    assert app.test_client().get("/").text == ""


def test_hooks_run_for_routing_errors(app: Quaff) -> None:
    """A 404 and a 405 run the app's hooks, without a blueprint's and with no URL values."""
    blueprint = Blueprint("b", __name__)
    calls: list[Any] = []
    app.url_value_preprocessor(lambda endpoint, values: calls.append((endpoint, values)))
    app.before_request(lambda: calls.append("before"))
    blueprint.before_request(lambda: calls.append("blueprint"))
    blueprint.add_url_rule("/", "index", lambda: "view")
    app.register_blueprint(blueprint)
    client = app.test_client()
    assert client.get("/none").status_code == 404
    assert client.post("/").status_code == 405
    assert calls == [(None, None), "before", (None, None), "before"]


def test_url_values_may_be_taken_out(app: Quaff) -> None:
    """A preprocessor that pops a value hides it from the view, and url_defaults puts it back into URLs."""

    @app.url_value_preprocessor
    def pull(endpoint: str | None, values: dict[str, Any] | None) -> None:
        if values is not None:
            g.lang = values.pop("lang")

    @app.url_defaults
    def push(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("lang", g.lang)

    app.add_url_rule("/<lang>/about", "about", lambda: url_for("other"))
    app.add_url_rule("/<lang>/other", "other", lambda: "other")
    assert app.test_client().get("/de/about").text == "/de/other"


def test_an_after_hook_may_replace_the_response(app: Quaff) -> None:
    """The next after hook and the client get what an after hook returns."""
    app.add_url_rule("/", "index", lambda: "old")
    app.after_request(lambda response: app.response_class(response.get_data() + b" wrapped"))
    app.after_request(lambda response: app.response_class("new"))
    assert app.test_client().get("/").text == "new wrapped"


def test_a_teardown_sees_the_error(app: Quaff) -> None:
    """A teardown hook gets the unhandled error, also when it propagates, and None when a handler took it."""
    seen: list[Any] = []
    app.teardown_request(seen.append)
    app.register_error_handler(KeyError, lambda error: "taken")

    @app.get("/<name>")
    def index(name: str) -> str:
        raise {"key": KeyError, "value": ValueError}[name]("why")

    client = app.test_client()
    assert client.get("/key").text == "taken"
    with pytest.raises(ValueError, match="why"):
        client.get("/value")
    assert seen[0] is None
    assert isinstance(seen[1], ValueError)


def test_context_processors(app: Quaff) -> None:
    """Templates see what context processors return; what the view passes wins, a blueprint's only for its views."""
    blueprint = Blueprint("b", __name__)
    app.context_processor(lambda: {"who": "app", "given": "processor"})
    blueprint.context_processor(lambda: {"who": "blueprint"})
    page = "{{ who }} {{ given }}"
    app.add_url_rule("/", "index", lambda: render_template_string(page, given="view"))
    blueprint.add_url_rule("/b", "index", lambda: render_template_string(page))
    app.register_blueprint(blueprint)
    client = app.test_client()
    assert client.get("/").text == "app view"
    assert client.get("/b").text == "blueprint processor"


def test_registries_may_be_changed_while_serving(app: Quaff) -> None:
    """Extensions append to and filter the registries directly, also during a request; the next request follows."""
    app.add_url_rule("/", "index", lambda: "hello")
    client = app.test_client()
    assert "X-Late" not in client.get("/").headers

    def late(response: Any) -> Any:
        response.headers["X-Late"] = request.path
        return response

    app.after_request_funcs.setdefault(None, []).append(late)
    assert client.get("/").headers["X-Late"] == "/"
    app.after_request_funcs[None] = [function for function in app.after_request_funcs[None] if function is not late]
    assert "X-Late" not in client.get("/").headers
    app.before_request_funcs = {None: [lambda: "replaced"]}
    assert client.get("/").text == "replaced"


def test_async_hooks(app: Quaff) -> None:
    """Before, after and teardown hooks may be coroutine functions and share `g` with the view."""
    torn_down: list[Any] = []

    @app.before_request
    async def before() -> None:
        g.steps = ["before"]

    @app.after_request
    async def after(response: Any) -> Any:
        response.headers["X-Steps"] = ",".join(g.steps)
        return response

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        torn_down.append(error)

    app.add_url_rule("/", "index", lambda: g.steps.append("view") or "done")
    assert app.test_client().get("/").headers["X-Steps"] == "before,view"
    assert torn_down == [None]
