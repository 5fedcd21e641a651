"""The proxies and the context variable behind them."""

from __future__ import annotations

import copy
import threading
from contextvars import copy_context
from typing import Any

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.local import LocalProxy

from quaff import Blueprint, Quaff, current_app, g, request, session
from quaff import globals as quaff_globals
from quaff.ctx import AppContext, RequestContext
from quaff.globals import (
    NO_CONTEXT,
    AppInsideRequest,
    _cv_app,
    _cv_request,
    active_app_context,
    active_context,
    active_request_context,
    app_ctx,
    bind,
    current_context,
    request_ctx,
)
from quaff.sessions import SecureCookieSession
from quaff.wrappers import Request


def properties_of(proxy_class: type) -> list[str]:
    """Return the names that a proxy class reads without `__getattr__`."""
    return [name for name, value in vars(proxy_class).items() if isinstance(value, property)]


PROXIES = {
    "current_app": current_app,
    "g": g,
    "request": request,
    "session": session,
    "app_ctx": app_ctx,
    "request_ctx": request_ctx,
}
OF_THE_APP = {"current_app", "g", "app_ctx"}


@pytest.fixture
def shop() -> Quaff:
    """Give an app with a secret key and one route."""
    app = Quaff("shop")
    app.secret_key = "a key for tests"
    app.add_url_rule("/items/<int:number>", "item", lambda number: "")
    return app


def make_context(shop: Quaff) -> RequestContext:
    """Return the context of a request that has something for most attributes."""
    return shop.test_request_context(
        "/items/5?page=2",
        method="POST",
        data={"name": "Ann"},
        headers={
            "Accept": "text/html",
            "Authorization": "Basic YTpi",
            "Cookie": "a=1",
            "Date": "Tue, 15 Nov 1994 08:12:31 GMT",
            "If-None-Match": '"x"',
            "Range": "bytes=0-5",
            "Referer": "http://localhost/",
            "User-Agent": "tests",
        },
    )


# Unbound ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROXIES)
def test_an_unbound_proxy_is_false_and_says_so(name: str) -> None:
    """Outside of a context a proxy is false, prints as unbound and lists no attributes."""
    proxy = PROXIES[name]
    assert not proxy
    assert repr(proxy) == "<LocalProxy unbound>"
    assert dir(proxy) == []


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("use", ["_get_current_object", "anything", "set"])
def test_an_unbound_proxy_explains_itself(name: str, use: str) -> None:
    """Any use of an unbound proxy raises Flask's RuntimeError about the missing context."""
    proxy, kind = PROXIES[name], "application" if name in OF_THE_APP else "request"
    with pytest.raises(RuntimeError, match=f"^Working outside of {kind} context\\.\n\nThis typically means") as caught:
        if use == "_get_current_object":
            proxy._get_current_object()
        elif use == "set":
            proxy.anything = 1
        else:
            proxy.anything  # noqa: B018 - the read is what is tested
    assert not isinstance(caught.value, AttributeError)


@pytest.mark.parametrize(
    "use",
    [
        lambda: session["a"],
        lambda: session.__setitem__("a", 1),
        lambda: session.__delitem__("a"),
        lambda: "a" in session,
        lambda: len(session),
        lambda: list(session),
        lambda: session.get("a"),
        lambda: session.pop("a"),
    ],
)
def test_an_unbound_session_explains_itself(use: Any) -> None:
    """The mapping methods, which are generated, raise the same error."""
    with pytest.raises(RuntimeError, match="Working outside of request context"):
        use()


@pytest.mark.parametrize("name", properties_of(quaff_globals.RequestProxy))
def test_each_generated_request_property_explains_itself(name: str) -> None:
    """No generated property turns the missing request into another error."""
    with pytest.raises(RuntimeError, match="Working outside of request context"):
        getattr(request, name)


def test_isinstance_outside_of_a_context_is_false() -> None:
    """`isinstance` with an unbound proxy is false and does not raise."""
    assert not isinstance(request, Request)
    assert not isinstance(current_app, Quaff)
    assert isinstance(request, LocalProxy)


def test_no_context_prints_as_such() -> None:
    """The value that stands for "no context" has a name."""
    assert repr(NO_CONTEXT) == "NO_CONTEXT"
    assert current_context.get() is NO_CONTEXT


# Bound -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", properties_of(quaff_globals.RequestProxy))
def test_each_generated_request_property_equals_the_attribute(shop: Quaff, name: str) -> None:
    """`request.NAME` is what the request object has under that name."""
    with make_context(shop) as context:
        if name == "json":
            with pytest.raises(Exception, match="415"):
                _ = request.json
        elif name in {"get_data", "get_json"}:
            assert getattr(request, name).__self__ is context.request
        else:
            assert getattr(request, name) == getattr(context.request, name)


@pytest.mark.parametrize("name", properties_of(quaff_globals.AppProxy))
def test_each_generated_app_property_equals_the_attribute(shop: Quaff, name: str) -> None:
    """`current_app.NAME` is what the app has under that name."""
    with shop.app_context():
        assert getattr(current_app, name) == getattr(shop, name)


@pytest.mark.parametrize("name", properties_of(quaff_globals.SessionProxy))
def test_each_generated_session_property_equals_the_attribute(shop: Quaff, name: str) -> None:
    """`session.NAME` is what the session has under that name."""
    with make_context(shop) as context:
        mine, real = getattr(session, name), getattr(context.session, name)
        assert mine == real or (callable(mine) and list(mine.__self__) == list(real.__self__))


@pytest.mark.parametrize("name, cls", [("request", Request), ("app", Quaff), ("session", SecureCookieSession)])
def test_each_generated_name_exists(name: str, cls: type) -> None:
    """The lists of names hold nothing that the class does not have."""
    names = {
        "request": properties_of(quaff_globals.RequestProxy),
        "app": properties_of(quaff_globals.AppProxy),
        "session": properties_of(quaff_globals.SessionProxy),
    }
    instance = cls({}) if cls is Request else cls("shop") if cls is Quaff else cls()
    assert [n for n in names[name] if not hasattr(cls, n) and not hasattr(instance, n)] == []


def test_a_bound_proxy_passes_for_the_object(shop: Quaff) -> None:
    """Truth, equality, hash, repr, class and `dir` are those of the object."""
    with make_context(shop) as context:
        for proxy, real in ((request, context.request), (current_app, shop), (g, context.g)):
            assert proxy._get_current_object() is real
            assert proxy == real
            assert repr(proxy) == repr(real)
            assert proxy.__class__ is type(real)
            assert isinstance(proxy, type(real))
            assert set(dir(real)) <= set(dir(proxy)) | {"__weakref__"}
        assert request
        assert hash(request) == hash(context.request)
        assert not session
        session["a"] = 1
        assert session
        assert session._get_current_object() is context.session


def test_the_contexts_themselves(shop: Quaff) -> None:
    """`app_ctx` and `request_ctx` stand for the innermost contexts."""
    with make_context(shop) as context:
        assert request_ctx._get_current_object() is context
        assert app_ctx._get_current_object() is context.app_context
        assert app_ctx.g is g._get_current_object()
        assert request_ctx.session is session._get_current_object()


def test_attributes_can_be_set_and_deleted(shop: Quaff) -> None:
    """Setting an attribute on a proxy sets it on the object, also one that has a generated property."""
    with make_context(shop) as context:
        request.user = "Ann"
        request.view_args = {"number": 6}
        current_app.name = "renamed"
        g.value = 1
        session.modified = True
        session.permanent = True
        assert context.request.user == "Ann"
        assert context.request.view_args == {"number": 6}
        assert shop.name == "renamed"
        assert context.g.value == 1
        assert context.session["_permanent"] is True
        assert context.session.modified is True
        del request.user
        del g.value
        assert not hasattr(context.request, "user")
        assert "value" not in g


def test_a_missing_attribute_is_an_attribute_error(shop: Quaff) -> None:
    """`hasattr` and `getattr` with a default work as on the object."""
    with make_context(shop):
        assert not hasattr(request, "nothing")
        assert getattr(current_app, "nothing", 5) == 5
        with pytest.raises(AttributeError, match="nothing"):
            _ = g.nothing


def test_the_session_is_a_mapping(shop: Quaff) -> None:
    """All that programs do with a session as a dict works through the proxy."""
    with make_context(shop) as context:
        session["a"] = 1
        session["b"] = 2
        assert "a" in session
        assert "c" not in session
        assert len(session) == 2
        assert list(session) == ["a", "b"]
        assert dict(session) == {"a": 1, "b": 2} == context.session
        assert session.pop("a") == 1
        del session["b"]
        assert session.get("b") is None
        with pytest.raises(KeyError):
            _ = session["b"]
        session.update(c=3)
        assert session.setdefault("c", 4) == 3
        stored = session
        stored |= {"d": 4}
        assert stored is session
        assert list(session.items()) == [("c", 3), ("d", 4)]
        session.clear()
        assert not session


def test_reading_the_session_proxy_counts_as_access(shop: Quaff) -> None:
    """Any read through the proxy marks the session as accessed; the private attribute of the context does not."""
    with make_context(shop) as context:
        assert context._session.accessed is False
        assert "a" not in session
        assert context._session.accessed is True


def test_copies_of_a_proxy_are_copies_of_the_object(shop: Quaff) -> None:
    """`copy` sees through the proxy."""
    with make_context(shop):
        g.value = [1]
        copied = copy.copy(g)
        assert not isinstance(copied, LocalProxy)
        assert copied.value is g.value


def test_class_level_reads(shop: Quaff) -> None:
    """A proxy's class documents itself and the generated properties are properties of it."""
    for proxy, names in (
        (request, properties_of(quaff_globals.RequestProxy)),
        (session, properties_of(quaff_globals.SessionProxy)),
    ):
        assert all(isinstance(getattr(type(proxy), name), property) for name in names)
        assert isinstance(type(proxy).__module__, str)


# The context variable --------------------------------------------------------------------------------------------------


def test_active_contexts(shop: Quaff) -> None:
    """The functions for the framework return the innermost contexts, or None."""
    assert (active_context(), active_app_context(), active_request_context()) == (None, None, None)
    with shop.app_context() as alone:
        assert active_context() is active_app_context() is alone
        assert active_request_context() is None
    with make_context(shop) as context:
        assert active_context() is active_request_context() is context
        assert active_app_context() is context.app_context
        with shop.app_context() as inner:
            assert isinstance(active_context(), AppInsideRequest)
            assert active_app_context() is inner
            assert active_request_context() is context


def test_bind(shop: Quaff) -> None:
    """Two halves bind to the smallest object that has both."""
    alone = AppContext(shop)
    context = make_context(shop)
    assert bind(None, None) is NO_CONTEXT
    assert bind(alone, None) is alone
    both = bind(alone, context)
    assert isinstance(both, AppInsideRequest)
    assert (both.app_context, both.request_context) == (alone, context)
    assert (both.app, both.g, both.request) == (shop, alone.g, context.request)
    with context:
        assert bind(context.app_context, context) is context


def test_an_app_context_has_no_request(shop: Quaff) -> None:
    """Within an app context alone, `request` and `session` say that the request is missing."""
    with shop.app_context():
        assert current_app
        assert not request
        with pytest.raises(RuntimeError, match="Working outside of request context"):
            _ = request.path
        with pytest.raises(RuntimeError, match="Working outside of request context"):
            _ = session["a"]
        with pytest.raises(RuntimeError, match="Working outside of request context"):
            _ = request_ctx.request


@pytest.mark.parametrize("half, name", [(_cv_app, "flask.app_ctx"), (_cv_request, "flask.request_ctx")])
def test_the_old_context_variables_when_empty(half: Any, name: str) -> None:
    """COMPAT: `get` without a default raises LookupError, with one returns it."""
    with pytest.raises(LookupError):
        half.get()
    assert half.get(None) is None
    assert half.get("default") == "default"
    assert half.name == name
    assert name in repr(half)


def test_the_old_context_variables_hold_the_contexts(shop: Quaff) -> None:
    """COMPAT: extensions read `_cv_app` and `_cv_request` and find the contexts that are current."""
    with make_context(shop) as context:
        assert _cv_request.get() is context
        assert _cv_app.get() is context.app_context
        with shop.app_context() as inner:
            assert _cv_app.get() is inner
            assert _cv_request.get(None) is context


def test_the_old_context_variables_can_be_set(shop: Quaff) -> None:
    """COMPAT: `set` and `reset` replace one half, as Flask's own push and pop do."""
    alone = AppContext(shop)
    token = _cv_app.set(alone)
    assert current_app._get_current_object() is shop
    context = make_context(shop)
    inner = _cv_request.set(context)
    assert request.path == "/items/5"
    assert _cv_app.get() is alone
    _cv_request.reset(inner)
    assert not request
    _cv_app.reset(token)
    assert active_context() is None


def test_each_thread_has_its_own_context(shop: Quaff) -> None:
    """A context that is pushed in one thread is not seen in another."""
    seen: list[Any] = []
    with make_context(shop):
        thread = threading.Thread(target=lambda: seen.append(active_context()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_a_copied_context_keeps_what_was_current(shop: Quaff) -> None:
    """`contextvars.copy_context` carries the request along, for executors that use it."""
    with make_context(shop):
        carried = copy_context()
    assert carried.run(lambda: request.args["page"]) == "2"
    assert not request


def test_a_proxy_follows_the_request(shop: Quaff) -> None:
    """A proxy that was stored in a variable always stands for the current object."""
    stored = request
    with shop.test_request_context("/one"):
        assert stored.path == "/one"
        with shop.test_request_context("/two"):
            assert stored.path == "/two"
        assert stored.path == "/one"


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "reference"])
def test_the_proxies_in_a_view(compiled: bool) -> None:
    """In both pipelines a view reads the request, the app, the blueprint and `g` through the proxies."""
    app, part = Quaff("shop", compiled=compiled), Blueprint("part", "shop")
    app.secret_key = "a key for tests"

    @part.get("/<name>")
    def show(name: str) -> Any:
        g.count = g.get("count", 0) + 1
        session["name"] = name
        return [current_app.name, request.endpoint, request.blueprint, request.view_args, g.count, dict(session)]

    app.register_blueprint(part)
    client = app.test_client()
    expected = ["shop", "part.show", "part", {"name": "Ann"}, 1, {"name": "Ann"}]
    assert client.get("/Ann").json == expected
    assert client.get("/Ann").json == expected


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "reference"])
def test_the_routing_error_is_on_the_request(compiled: bool) -> None:
    """For a request that matched nothing a hook finds the reason in `request.routing_exception`."""
    app, seen = Quaff("shop", compiled=compiled), []
    app.before_request(lambda: seen.append((request.routing_exception, request.url_rule, request.view_args)))
    assert app.test_client().get("/none").status_code == 404
    assert isinstance(seen[0][0], NotFound)
    assert seen[0][1:] == (None, None)
