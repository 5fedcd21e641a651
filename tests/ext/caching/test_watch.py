"""What is seen of what a function reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quaff import Quaff, Request, after_this_request, g, request, session, url_for
from quaff.ctx import RequestContext
from quaff.ext.caching.privacy import Reads
from quaff.ext.caching.watch import Watch
from quaff.globals import current_context
from tests.ext.caching.apps import PIPELINES

HEADERS = {"Cookie": "session=x; id=1", "Authorization": "Bearer t", "Accept-Language": "de", "X-A": "1"}


def seen_by(read: Callable[[], Any], *, before: Callable[[], Any] | None = None, app: Quaff | None = None) -> Reads:
    """Return what a watch sees while *read* runs in a request with all kinds of headers."""
    app = app or Quaff("watched", static_folder=None)
    app.secret_key = "a key for tests"
    if "view" not in app.view_functions:
        app.add_url_rule("/path", "view", lambda: "", methods=["GET", "POST"])
    with app.test_request_context("/path?a=1", headers=HEADERS) as context:
        if before is not None:
            before()
        watch = Watch(context)
        read()
        reads = watch.close()
        assert type(context.g).__name__ == "_AppCtxGlobals"
        assert "headers" not in context.request.__dict__ or type(context.request.headers).__name__ == "EnvironHeaders"
        assert context.request.headers["X-A"] == "1"
        return reads


@pytest.mark.parametrize(
    "read, now, names",
    [
        (lambda: None, set(), set()),
        (lambda: request.path, set(), set()),
        (lambda: request.method, set(), set()),
        (lambda: request.endpoint, set(), set()),
        (lambda: url_for("view"), set(), set()),
        (lambda: session.get("a"), {"session"}, set()),
        (lambda: "a" in session, {"session"}, set()),
        (lambda: request.cookies.get("id"), {"cookie"}, set()),
        (lambda: request.headers.get("Cookie"), {"cookie"}, set()),
        (lambda: request.headers["Authorization"], {"authorization"}, set()),
        (lambda: request.authorization, {"authorization"}, set()),
        (lambda: request.headers.get("X-A"), set(), {"x-a"}),
        (lambda: request.headers.get("x_missing"), set(), {"x-missing"}),
        (lambda: "X-A" in request.headers, set(), {"x-a"}),
        (lambda: request.headers.getlist("X-A"), {"cookie", "authorization"}, {"*"}),
        (lambda: list(request.headers), {"cookie", "authorization"}, {"*"}),
        (lambda: request.accept_languages.best, set(), {"accept-language"}),
        (lambda: request.user_agent.string, set(), {"user-agent"}),
        (lambda: request.args.get("a"), set(), {"?"}),
        (lambda: request.query_string, set(), {"?"}),
        (lambda: request.full_path, set(), {"?"}),
        (lambda: request.host, set(), {"host"}),
        (lambda: request.base_url, set(), {"host"}),
        (lambda: request.url, set(), {"host", "?"}),
        (lambda: url_for("view", _external=True), set(), {"host"}),
        (lambda: request.remote_addr, set(), {"remote_addr"}),
        (lambda: request.if_none_match, set(), set()),
    ],
)
def test_reads(read: Callable[[], Any], now: set[str], names: set[str]) -> None:
    """Each way to read something is seen, and nothing else."""
    reads = seen_by(read)
    assert reads.now - {"g"} == now
    assert reads.names == names
    assert not reads.before
    assert not reads.body


def test_g() -> None:
    """Reading `g` is seen, and the user in it by name."""
    assert seen_by(lambda: g.get("a")).now == {"g"}

    def user() -> None:
        g._login_user = "alice"

    assert seen_by(lambda: g._login_user, before=user).now == {"g", "user"}
    reads = seen_by(lambda: None, before=user)
    assert (reads.now, reads.before) == (frozenset(), {"user"})


def test_what_was_read_before() -> None:
    """What a hook read counts as read before, and stays what it was afterwards."""

    def hook() -> None:
        session.get("a")
        assert request.cookies["id"] == "1"
        assert request.authorization is not None

    reads = seen_by(lambda: None, before=hook)
    assert reads.now == frozenset()
    assert reads.before == {"session", "cookie", "authorization"}
    assert seen_by(lambda: None, before=lambda: request.accept_languages).names == {"accept-language"}


def test_the_session_stays_read() -> None:
    """Whether the session was read is the same after a watch as without it, so that the answer varies on the cookie."""
    app = Quaff("watched", static_folder=None)
    app.secret_key = "a key"
    for before, inside in ((True, False), (False, True), (False, False)):
        with app.test_request_context("/") as context:
            if before:
                session.get("a")
            watch = Watch(context)
            if inside:
                session.get("a")
            watch.close()
            opened = context.opened_session
            assert (opened is not None and opened.accessed) == (before or inside)


def test_absent_headers_tell_nothing() -> None:
    """Looking for cookies or `Authorization` that the client did not send makes nothing private."""
    app = Quaff("watched", static_folder=None)
    with app.test_request_context("/") as context:
        watch = Watch(context)
        assert request.cookies.get("id") is None
        assert request.headers.get("Authorization") is None
        assert list(request.headers)
        assert watch.close().now == frozenset()


def test_the_body() -> None:
    """A body that was sent and read is seen; one that was not sent tells nothing."""
    app = Quaff("watched", static_folder=None)
    for data, expected in (("a=1", True), (None, False)):
        with app.test_request_context(
            "/", method="POST", data=data, content_type="application/x-www-form-urlencoded"
        ) as context:
            watch = Watch(context)
            request.form.get("a")
            assert watch.close().body is expected


def test_hooks_for_this_request() -> None:
    """`after_this_request` is seen, one that was there before is not."""

    def hook() -> None:
        after_this_request(lambda response: response)

    assert seen_by(hook).leaves_hooks
    assert not seen_by(lambda: None, before=hook).leaves_hooks


def test_one_inside_the_other() -> None:
    """An outer watch sees what an inner one sees."""

    def inner() -> None:
        context: Any = current_context.get().request_context
        watch = Watch(context)
        session.get("a")
        request.headers.get("X-A")
        assert request.cookies
        assert g.get("b") is None
        assert watch.close().names == {"x-a"}

    reads = seen_by(inner)
    assert reads.now == {"session", "cookie", "g"}
    assert reads.names == {"x-a"}


class Slotted:
    """A `g` of the user's own that cannot be watched."""

    __slots__ = ("a",)


def test_classes_of_ones_own() -> None:
    """A `g` with slots, and a request class with other headers, are left alone."""
    app = Quaff("own", static_folder=None)
    app.app_ctx_globals_class = Slotted  # type: ignore[assignment]

    class Own(Request):
        headers = {"X-A": "own"}  # type: ignore[assignment]

    app.request_class = Own
    with app.test_request_context("/") as context:
        watch = Watch(context)
        assert request.headers["X-A"] == "own"
        assert watch.close().names == frozenset()


@pytest.mark.parametrize("compiled", PIPELINES)
def test_in_a_request(compiled: bool) -> None:
    """In both pipelines the same is seen."""
    app = Quaff("seen", static_folder=None, compiled=compiled)
    found: list[Reads] = []

    @app.get("/")
    def view() -> str:
        context = current_context.get().request_context
        assert isinstance(context, RequestContext)
        watch = Watch(context)
        assert url_for("view", _external=True) == "http://localhost/"
        assert request.args["a"] == "1"
        found.append(watch.close())
        return "page"

    app.test_client().get("/?a=1")
    assert found == [Reads(names=frozenset({"host", "?"}))]
