"""Contexts: what is pushed and popped, in which order, and what is made only when it is read."""

from __future__ import annotations

import gc
import sys
import weakref
from contextlib import nullcontext
from typing import Any

import pytest
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.routing import BaseConverter

from quaff import (
    Quaff,
    abort,
    current_app,
    g,
    has_app_context,
    has_request_context,
    request,
    session,
)
from quaff.ctx import AppContext, RequestContext, _AppCtxGlobals, call_on_close
from quaff.globals import active_app_context, active_context, active_request_context
from quaff.sessions import SecureCookieSessionInterface, SessionInterface


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline, with a secret key."""
    app = Quaff(__name__, compiled=request.param)
    app.config.update(TESTING=True, SECRET_KEY="a key for tests")
    return app


class CountingInterface(SecureCookieSessionInterface):
    """Counts how often sessions are opened and saved, by changing nothing else."""

    def __init__(self) -> None:
        self.opened = self.saved = 0

    def open_session(self, app: Any, request: Any) -> Any:
        """Count, and open."""
        self.opened += 1
        return super().open_session(app, request)

    def save_session(self, app: Any, session: Any, response: Any) -> None:
        """Count, and save."""
        self.saved += 1
        super().save_session(app, session, response)


# g ---------------------------------------------------------------------------------------------------------------------


def test_g_is_a_namespace() -> None:
    """`g` has attributes, and the few methods of a mapping that Flask gives it."""
    space = _AppCtxGlobals()
    space.a = 1
    assert "a" in space
    assert "b" not in space
    assert list(space) == ["a"]
    assert (space.get("a"), space.get("b"), space.get("b", 2)) == (1, None, 2)
    assert space.setdefault("a", 5) == 1
    assert space.setdefault("b") is None
    assert space.pop("a") == 1
    assert space.pop("a", None) is None
    with pytest.raises(KeyError, match="'a'"):
        space.pop("a")
    del space.b
    with pytest.raises(AttributeError, match="b"):
        _ = space.b


def test_repr_of_g(app: Quaff) -> None:
    """Within a context `g` prints with the app's name, outside of one as an object."""
    with app.app_context():
        assert repr(g) == f"<flask.g of '{__name__}'>"
        kept = g._get_current_object()
    assert repr(kept).startswith("<quaff.ctx._AppCtxGlobals object at")


def test_the_class_of_g_can_be_changed(app: Quaff) -> None:
    """`app_ctx_globals_class` is the class of `g`, in app contexts and in requests."""

    class Space(_AppCtxGlobals):
        greeting = "hello"

    app.app_ctx_globals_class = Space
    app.add_url_rule("/", "index", lambda: g.greeting)
    with app.app_context():
        assert g.greeting == "hello"
    assert app.test_client().get("/").text == "hello"


# App contexts ----------------------------------------------------------------------------------------------------------


def test_an_app_context_binds_the_app(app: Quaff) -> None:
    """Within the block there is an app and no request; after it there is neither."""
    assert not has_app_context()
    with app.app_context() as context:
        assert (has_app_context(), has_request_context()) == (True, False)
        assert current_app._get_current_object() is app
        assert g._get_current_object() is context.g
        assert context.app_context is context
    assert not has_app_context()


def test_nested_app_contexts(app: Quaff) -> None:
    """Contexts of one app or two nest, each with its own `g`."""
    other = Quaff("other")
    with app.app_context():
        g.value = "outer"
        with other.app_context():
            assert current_app.name == "other"
            assert "value" not in g
            with app.app_context():
                assert current_app._get_current_object() is app
                assert "value" not in g
        assert current_app._get_current_object() is app
        assert g.value == "outer"


def test_an_app_context_may_be_pushed_twice(app: Quaff) -> None:
    """The same context pushed twice is torn down once, when it is popped for the last time."""
    ended: list[Any] = []
    app.teardown_appcontext(ended.append)
    context = app.app_context()
    context.push()
    context.push()
    context.pop()
    assert current_app._get_current_object() is app
    assert ended == []
    context.pop()
    assert ended == [None]


def test_teardown_order_and_error(app: Quaff) -> None:
    """Teardown functions run last registered first, with the error that ends the block, while the app is current."""
    calls: list[Any] = []
    app.teardown_appcontext(lambda error: calls.append((1, type(error), current_app.name)))
    app.teardown_appcontext(lambda error: calls.append((2, type(error), current_app.name)))
    with pytest.raises(KeyError), app.app_context():
        raise KeyError
    assert calls == [(2, KeyError, __name__), (1, KeyError, __name__)]


def test_pop_without_an_argument_takes_the_error_being_handled(app: Quaff) -> None:
    """`pop()` inside an `except` block hands that error to the teardown functions; `pop(None)` does not."""
    seen: list[Any] = []
    app.teardown_appcontext(seen.append)
    problem = ValueError("why")
    for arguments in ((), (None,)):
        context = app.app_context()
        context.push()
        try:
            raise problem
        except ValueError:
            context.pop(*arguments)
    assert seen == [problem, None]


def test_popping_app_contexts_out_of_order(app: Quaff) -> None:
    """Popping a context that is not the innermost one is an AssertionError that shows both."""
    outer, inner = app.app_context(), app.app_context()
    outer.push()
    inner.push()
    with pytest.raises(AssertionError, match=r"^Popped wrong app context\. \(.* instead of .*\)$") as caught:
        outer.pop()
    assert f"({inner!r} instead of {outer!r})" in str(caught.value)
    assert active_context() is None


def test_a_teardown_that_raises_still_pops(app: Quaff) -> None:
    """An error of a teardown function propagates, and the context is gone nevertheless."""

    @app.teardown_appcontext
    def fail(error: BaseException | None) -> None:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"), app.app_context():
        pass
    assert active_context() is None


# Request contexts ------------------------------------------------------------------------------------------------------


def test_a_request_context_binds_all(app: Quaff) -> None:
    """Within the block there are request, session, `g` and app."""
    with app.test_request_context("/here?page=2") as context:
        assert (has_app_context(), has_request_context()) == (True, True)
        assert request.args["page"] == "2"
        assert context.request_context is context
        assert context.app_context.app is app
        assert context.g is g._get_current_object()
        session["a"] = 1
        assert context.session == {"a": 1}
    assert (has_app_context(), has_request_context()) == (False, False)


def test_repr(app: Quaff) -> None:
    """A request context prints with URL, method and app, as in Flask."""
    context = app.test_request_context("/here?page=2", method="POST")
    assert repr(context) == f"<RequestContext 'http://localhost/here?page=2' [POST] of {__name__}>"


def test_the_rule_is_matched_on_push(app: Quaff) -> None:
    """Pushing matches the URL: the rule and its values, or the error, are on the request then."""
    app.add_url_rule("/items/<int:number>", "item", lambda number: "")
    context = app.test_request_context("/items/5")
    assert context.request.url_rule is None
    with context:
        assert (request.endpoint, request.view_args, request.routing_exception) == ("item", {"number": 5}, None)
    with app.test_request_context("/none"):
        assert request.url_rule is None
        assert isinstance(request.routing_exception, NotFound)


def test_a_nul_in_the_path_is_refused(app: Quaff) -> None:
    """SECURITY: a NUL character in the path is a 400."""
    app.add_url_rule("/<path:name>", "show", lambda name: name)
    with app.test_request_context("/a%00b"):
        assert isinstance(request.routing_exception, BadRequest)
    assert app.test_client().get("/a%00b").status_code == 400


def test_a_request_uses_the_app_context_of_its_app(app: Quaff) -> None:
    """A request inside an app context of the same app shares its `g` and does not end it."""
    ended: list[Any] = []
    app.teardown_appcontext(ended.append)
    with app.app_context() as outer:
        g.value = 1
        with app.test_request_context("/") as inner:
            assert inner.app_context is outer
            assert g.value == 1
            g.other = 2
        assert ended == []
        assert g.other == 2
    assert ended == [None]


def test_a_request_of_another_app_gets_its_own_app_context(app: Quaff) -> None:
    """A request inside an app context of another app pushes an app context and pops it again."""
    other = Quaff("other")
    with other.app_context():
        g.value = 1
        with app.test_request_context("/"):
            assert current_app._get_current_object() is app
            assert "value" not in g
        assert current_app._get_current_object() is other
        assert g.value == 1


def test_a_served_request_shares_an_outer_app_context(app: Quaff) -> None:
    """A request that is served inside an app context, as tests do it, shares `g` in both pipelines."""
    ended: list[Any] = []
    app.teardown_appcontext(ended.append)
    app.add_url_rule("/", "index", lambda: g.setdefault("seen", g.value) or "")
    with app.app_context():
        g.value = "outer"
        assert app.test_client().get("/").text == "outer"
        assert g.seen == "outer"
        assert ended == []
        assert current_app._get_current_object() is app
    assert ended == [None]


def test_a_served_request_inside_another_app(app: Quaff) -> None:
    """A view may call another app's client; each sees its own app, request, `g` and session."""
    other = Quaff("other", compiled=app.compiled)
    other.secret_key = "another key"

    @other.get("/inner")
    def inner() -> dict[str, Any]:
        g.who = session["who"] = "inner"
        return {"app": current_app.name, "path": request.path, "g": list(g)}

    @app.get("/outer")
    def outer() -> dict[str, Any]:
        g.who = session["who"] = "outer"
        answer = other.test_client().get("/inner").json
        return {"inner": answer, "app": current_app.name, "path": request.path, "who": g.who, "session": dict(session)}

    assert app.test_client().get("/outer").json == {
        "inner": {"app": "other", "path": "/inner", "g": ["who"]},
        "app": __name__,
        "path": "/outer",
        "who": "outer",
        "session": {"who": "outer"},
    }


def test_an_app_context_inside_a_request(app: Quaff) -> None:
    """An app context pushed inside a request hides `g` and keeps request and session."""
    with app.test_request_context("/here") as context:
        g.value = "request"
        session["a"] = 1
        with app.app_context() as inner:
            assert "value" not in g
            assert request.path == "/here"
            assert session["a"] == 1
            assert active_app_context() is inner
            assert active_request_context() is context
        assert g.value == "request"
        assert active_context() is context


def test_popping_request_contexts_out_of_order(app: Quaff) -> None:
    """Popping a request context that is not the innermost one is an AssertionError that shows both."""
    outer, inner = app.test_request_context("/outer"), app.test_request_context("/inner")
    outer.push()
    inner.push()
    with pytest.raises(AssertionError, match=r"^Popped wrong request context\.") as caught:
        outer.pop()
    assert f"({inner!r} instead of {outer!r})" in str(caught.value)
    assert active_request_context() is None


def test_a_request_context_may_be_pushed_twice(app: Quaff) -> None:
    """Streaming pushes a context again: the teardown functions run once, at the last pop, and the session is kept."""
    ended: list[Any] = []
    app.teardown_request(ended.append)
    with app.test_request_context("/") as context:
        session["a"] = 1
        with context:
            assert session["a"] == 1
        assert ended == []
        assert request.path == "/"
    assert ended == [None]


@pytest.mark.parametrize("leave", ["app", "request"])
def test_a_view_that_leaves_a_context_pushed(app: Quaff, leave: str) -> None:
    """A context that a view pushed and forgot is an AssertionError at the end of the request, and is cleared."""
    app.teardown_request(lambda error: None)

    @app.get("/")
    def index() -> str:
        context = app.app_context() if leave == "app" else app.test_request_context("/other")
        context.push()
        return ""

    with pytest.raises(AssertionError, match=f"Popped wrong {leave} context"):
        app.test_client().get("/")
    assert active_context() is None


def test_teardown_functions_run_in_order(app: Quaff) -> None:
    """The request's teardown functions run before the app context's, all with the context current."""
    calls: list[Any] = []
    app.teardown_appcontext(lambda error: calls.append(("app", has_request_context(), has_app_context())))
    app.teardown_request(lambda error: calls.append(("request", has_request_context(), has_app_context())))
    app.add_url_rule("/", "index", lambda: "hello")
    app.test_client().get("/")
    assert calls == [("request", True, True), ("app", False, True)]


def test_a_request_teardown_that_raises(app: Quaff) -> None:
    """An error of a request's teardown function propagates; the app context is torn down and nothing stays bound."""
    ended: list[Any] = []
    app.teardown_appcontext(ended.append)
    app.add_url_rule("/", "index", lambda: "hello")

    @app.teardown_request
    def fail(error: BaseException | None) -> None:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        app.test_client().get("/")
    assert len(ended) == 1
    assert active_context() is None


def test_a_given_request_and_session_are_used(app: Quaff) -> None:
    """`RequestContext(app, environ, request, session)` takes what it is given instead of making it."""
    made = app.test_request_context("/here").request
    context = RequestContext(app, made.environ, request=made, session={"a": 1})
    assert context.request is made
    with context:
        assert request._get_current_object() is made
        assert context._session == {"a": 1}


def test_old_attributes(app: Quaff) -> None:
    """COMPAT: `flashes`, `_session` and `_after_request_functions` are where extensions look for them."""
    with app.test_request_context("/") as context:
        assert context.flashes is None
        assert context._after_request_functions == []
        assert context._session == {}
        context._session = replaced = app.session_interface.make_null_session(app)
        assert session._get_current_object() is replaced


# What is lazy ----------------------------------------------------------------------------------------------------------


def test_the_session_is_opened_when_it_is_used(app: Quaff, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Quaff's own interface the session is opened at most once, and compiled only when somebody looks at it."""
    opened: list[str] = []
    original = SecureCookieSessionInterface.open_session

    def count(self: Any, app: Any, request: Any) -> Any:
        opened.append(request.path)
        return original(self, app, request)

    monkeypatch.setattr(SecureCookieSessionInterface, "open_session", count)
    app.add_url_rule("/without", "without", lambda: "hello")
    app.add_url_rule("/with", "with", lambda: str(session.get("a")) + str(session.get("b")))
    client = app.test_client()
    client.get("/without")
    # The reference pipeline asks for it when it is to be saved.
    assert opened == ([] if app.compiled else ["/without"])
    opened.clear()
    client.get("/with")
    assert opened == ["/with"]


def test_a_custom_interface_is_asked_always(app: Quaff) -> None:
    """An interface that overrides the methods is asked on each request, as in Flask, whether or not it is used."""
    app.session_interface = interface = CountingInterface()
    app.add_url_rule("/without", "without", lambda: "hello")
    app.add_url_rule("/with", "with", lambda: str(session.get("a")))
    client = app.test_client()
    for path in ("/without", "/with", "/none"):
        client.get(path)
    assert (interface.opened, interface.saved) == (3, 3)


def test_a_custom_interface_on_the_instance(app: Quaff) -> None:
    """An interface whose method was replaced on the object counts as custom too."""
    interface, opened = SecureCookieSessionInterface(), []
    original = interface.open_session
    interface.open_session = lambda app, request: opened.append(request.path) or original(app, request)  # type: ignore[method-assign]
    app.session_interface = interface
    app.add_url_rule("/", "index", lambda: "hello")
    app.test_client().get("/")
    assert opened == ["/"]


def test_a_custom_interface_may_use_the_request(app: Quaff) -> None:
    """The session is opened when the request is current, before hooks run, and saved after the after hooks."""
    calls: list[Any] = []

    class Opened(dict[str, str]):
        accessed = False

    class Interface(SessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            calls.append(("open", current_app.name, request.path, has_request_context()))
            return Opened({"from": "store"})

        def save_session(self, app: Any, session: Any, response: Any) -> None:
            calls.append(("save", dict(session), response.status_code))

    app.session_interface = Interface()
    app.before_request(lambda: calls.append("before"))
    app.after_request(lambda response: calls.append("after") or response)
    app.add_url_rule("/", "index", lambda: session["from"])
    assert app.test_client().get("/").text == "store"
    assert calls == [("open", __name__, "/", True), "before", "after", ("save", {"from": "store"}, 200)]


def test_a_converter_may_use_the_contexts(app: Quaff) -> None:
    """A converter of the user's own runs when request, session and `g` are there, and what it raises is handled."""

    class Known(BaseConverter):
        def to_python(self, value: str) -> str:
            g.asked = value
            if value not in session.get("known", "Ann"):
                abort(403)
            return f"{request.path} {current_app.name}"

    app.url_map.converters["known"] = Known
    app.add_url_rule("/<known:name>", "show", lambda name: f"{name} {g.asked}")
    app.register_error_handler(403, lambda error: (f"{request.path} handled", 403))
    client = app.test_client()
    assert client.get("/Ann").text == f"/Ann {__name__} Ann"
    assert client.get("/Bob").text == "/Bob handled"


def test_the_request_is_made_when_it_is_used(app: Quaff) -> None:
    """A view that does not look at the request has none made, unless the request class has an `__init__` of its own."""
    made: list[Any] = []
    app.add_url_rule("/without", "without", lambda: str(active_request_context().made_request is not None))
    app.add_url_rule(
        "/with", "with", lambda: str(request.path == "/with" and active_request_context().made_request is not None)
    )
    client = app.test_client()
    assert client.get("/without").text == str(not app.compiled)
    assert client.get("/with").text == "True"

    class Request(app.request_class):  # type: ignore[name-defined, misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self.path)

    app.request_class = Request
    assert client.get("/without").text == "True"
    assert made == ["/without"]


def test_the_environ_keeps_no_request(app: Quaff) -> None:
    """When a request is over its environ does not refer to it any more: no cycle is left for the collector."""
    kept: list[Any] = []

    @app.get("/")
    def index() -> str:
        kept.append((weakref.ref(request._get_current_object()), request.environ))
        return ""

    client = app.test_client()
    gc.collect()
    gc.disable()
    try:
        environ = client._request_from_builder_args(("/",), {}).environ
        del environ["werkzeug.request"]
        app(environ, lambda status, headers: None)
        reference, environ = kept.pop()
        assert environ["werkzeug.request"] is None
        assert reference() is None
    finally:
        gc.enable()


# Both ----------------------------------------------------------------------------------------------------------------


def test_an_app_context_makes_its_url_adapter_when_it_is_read(app: Quaff) -> None:
    """Without SERVER_NAME there is no adapter; with it the adapter builds for that host."""
    assert app.app_context().url_adapter is None
    app.config["SERVER_NAME"] = "shop.example"
    assert app.app_context().url_adapter.server_name == "shop.example"


@pytest.mark.parametrize("cls", [AppContext, RequestContext])
def test_contexts_are_the_context_managers_that_flask_has(cls: type) -> None:
    """`push`, `pop`, `__enter__` and `__exit__` are there, and `with` gives the context itself."""
    assert all(callable(getattr(cls, name)) for name in ("push", "pop", "__enter__", "__exit__"))


def test_no_references_are_left(app: Quaff) -> None:
    """A context that was popped is freed at once."""
    context: Any = app.app_context()
    with context:
        pass
    assert sys.getrefcount(context) == 2


def test_a_context_keeps_notes(app: Quaff) -> None:
    """What was noted on a request is found until it ends, under its name and nowhere else."""
    with app.test_request_context() as context, app.test_request_context() as other:
        assert (context.notes, context.noted("a")) == (None, None)
        context.note("a", 1)
        context.note("b", None)
        assert (context.noted("a"), context.noted("b"), context.noted("c")) == (1, None, None)
        assert other.noted("a") is None


@pytest.mark.parametrize("fails", [None, "view", "teardown", "closer"])
def test_what_was_left_open_is_closed_at_the_end(app: Quaff, fails: str | None) -> None:
    """It is called after the teardown functions, last first, within the context, with the error, whatever else raises."""
    app.config["PROPAGATE_EXCEPTIONS"] = False
    events: list[Any] = []

    @app.get("/")
    def view() -> str:
        call_on_close(lambda error: events.append(("first", type(error), current_app.name)))
        call_on_close(fail_or_note)
        if fails == "view":
            raise KeyError("view")
        return "done"

    def fail_or_note(error: BaseException | None) -> None:
        events.append(("second", type(error)))
        if fails == "closer":
            raise ValueError("closer")

    @app.teardown_appcontext
    def teardown(error: BaseException | None) -> None:
        events.append("teardown")
        call_on_close(lambda error: events.append("late"))
        if fails == "teardown":
            raise ValueError("teardown")

    client = app.test_client()
    expected = KeyError if fails == "view" else type(None)
    for _ in range(3):
        events.clear()
        with pytest.raises(ValueError, match=str(fails)) if fails in {"teardown", "closer"} else nullcontext():
            assert client.get("/").status_code == (500 if fails == "view" else 200)
        assert events == ["teardown", "late", ("second", expected), ("first", expected, app.name)]


def test_closers_without_teardown_functions(app: Quaff) -> None:
    """They are called also in a request that has nothing else to tear down; a request that registers none has none."""
    closed: list[str] = []

    @app.get("/<name>")
    def view(name: str) -> str:
        if name != "none":
            call_on_close(lambda error: closed.append(name))
        return name

    client = app.test_client()
    for name in ("a", "b", "none", "c"):
        client.get(f"/{name}")
    assert closed == ["a", "b", "c"]


def test_closers_belong_to_the_app_context(app: Quaff) -> None:
    """Those of an inner context are called at its end; those of a request in an outer context of its app, with that."""
    closed: list[str] = []
    app.add_url_rule("/", view_func=lambda: call_on_close(lambda error: closed.append("outer")) or "")
    with app.app_context():
        app.test_client().get("/")
        with app.app_context():
            call_on_close(lambda error: closed.append("inner"))
        assert closed == ["inner"]
    assert closed == ["inner", "outer"]
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        call_on_close(closed.append)  # type: ignore[arg-type]


def test_closers_of_a_context_that_is_pushed_again(app: Quaff) -> None:
    """Each last pop calls all that was registered so far."""
    closed: list[int] = []
    context = app.app_context()
    for number in range(2):
        with context:
            call_on_close(lambda error, number=number: closed.append(number))
            with context:
                pass
            assert len(closed) == number
    assert closed == [0, 1, 0]
