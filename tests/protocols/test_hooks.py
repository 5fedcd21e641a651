"""Hooks, error handlers, contexts and sessions: sync and async in any mix, over each protocol."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextvars import ContextVar
from itertools import product
from typing import Any

import pytest
from werkzeug.exceptions import NotFound

from quaff import (
    Blueprint,
    Quaff,
    abort,
    after_this_request,
    copy_current_request_context,
    current_app,
    flash,
    g,
    get_flashed_messages,
    has_request_context,
    jsonify,
    render_template_string,
    request,
    session,
    signals,
    url_for,
)
from tests.protocols.conftest import Serve
from tests.protocols.harness import KINDS, as_kind, until

each_kind = pytest.mark.parametrize("kind", KINDS)
variable: ContextVar[str] = ContextVar("variable", default="unset")

MIXES = list(product(KINDS, repeat=6))
"""Kinds of two before hooks, the view, two after hooks and the teardown function."""


def add_mix(app: Quaff, number: int, ended: list[list[str]]) -> None:
    """Register a blueprint whose hooks are of the kinds that the mix of that number says."""
    kinds = MIXES[number]
    part = Blueprint(f"mix{number}", __name__)

    def noting(name: str, kind: str) -> Any:
        def function(*given: Any) -> Any:
            g.setdefault("trail", []).append(f"{name} {request.endpoint} {current_app.name} {session.get('n', 0)}")
            return given[0] if given else None

        return as_kind(kind, function)

    def view() -> str:
        session["n"] = session.get("n", 0) + 1
        noting("view", "sync")()
        return "answer"

    def teardown(error: BaseException | None) -> None:
        ended.append([*g.trail, f"teardown {error!r}"])

    part.before_request(noting("before 1", kinds[0]))
    part.before_request(noting("before 2", kinds[1]))
    part.add_url_rule(f"/{number}", "view", as_kind(kinds[2], view))
    part.after_request(noting("after 1", kinds[3]))
    part.after_request(noting("after 2", kinds[4]))
    part.teardown_request(as_kind(kinds[5], teardown))
    app.register_blueprint(part)


def test_every_mix_of_hooks(app: Quaff, serve: Serve) -> None:
    """Whatever is sync and whatever is async, hooks run in Flask's order and share `g`, `request` and `session`."""
    ended: list[list[str]] = []
    for number in range(len(MIXES)):
        add_mix(app, number, ended)
    served = serve(app)
    for number, kinds in enumerate(MIXES):
        served.client.cookies.clear()
        assert served.text(f"/{number}") == "answer", kinds
        until(lambda number=number: len(ended) > number)
        own = f"mix{number}.view protocols"
        assert ended[-1] == [
            f"before 1 {own} 0",
            f"before 2 {own} 0",
            f"view {own} 1",
            f"after 2 {own} 1",
            f"after 1 {own} 1",
            "teardown None",
        ], kinds


@pytest.mark.parametrize("view_kind", KINDS)
@each_kind
def test_a_before_hook_that_answers(app: Quaff, serve: Serve, kind: str, view_kind: str) -> None:
    """What a before hook returns is the answer; later ones and the view are not called, after hooks are."""
    called: list[str] = []
    app.before_request(as_kind(view_kind, lambda: called.append("first")))
    app.before_request(as_kind(kind, lambda: ("refused", 401)))
    app.before_request(as_kind(kind, lambda: called.append("too late")))
    app.add_url_rule("/", "view", as_kind(view_kind, lambda: called.append("view")))
    app.after_request(as_kind(view_kind, lambda response: (response.headers.update({"X-After": "1"}), response)[1]))
    answer = serve(app).get("/")
    assert (answer.status_code, answer.text, answer.headers["X-After"]) == (401, "refused", "1")
    assert called == ["first"]


@pytest.mark.parametrize("handler_kind", KINDS)
@each_kind
def test_error_handlers(app: Quaff, serve: Serve, kind: str, handler_kind: str) -> None:
    """An error of a view of either kind finds its handler of either kind: by class, by code, of the blueprint first."""

    class OwnError(Exception):
        pass

    def fail() -> None:
        raise OwnError("own")

    part = Blueprint("part", __name__, url_prefix="/part")
    for scaffold in (app, part):
        scaffold.add_url_rule("/fail", "fail", as_kind(kind, fail))
        scaffold.add_url_rule("/abort", "abort", as_kind(kind, lambda: abort(418)))
    app.register_error_handler(OwnError, as_kind(handler_kind, lambda error: (f"app {error} {request.path}", 409)))
    part.register_error_handler(OwnError, as_kind(handler_kind, lambda error: (f"part {error}", 410)))
    app.register_error_handler(418, as_kind(handler_kind, lambda error: (jsonify(code=error.code), 418)))
    app.register_error_handler(NotFound, as_kind(handler_kind, lambda error: (f"no {request.path}", 404)))
    app.register_blueprint(part)
    served = serve(app)
    answers = [served.get(path) for path in ("/fail", "/part/fail", "/abort", "/part/abort", "/nowhere")]
    assert [(answer.status_code, answer.text) for answer in answers] == [
        (409, "app own /fail"),
        (410, "part own"),
        (418, '{"code":418}\n'),
        (418, '{"code":418}\n'),
        (404, "no /nowhere"),
    ]


@pytest.mark.parametrize("where", ["before", "view", "after"])
@each_kind
def test_an_error_that_nobody_handles(
    app: Quaff, serve: Serve, kind: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a 500 without details and one log line with its traceback; teardown functions hear of it; the next is served."""
    ended: list[str] = []

    def failing(name: str) -> Any:
        def function(*given: Any) -> Any:
            if request.args.get("fail") == name:
                raise LookupError("a secret")
            return given[0] if given else ("answer" if name == "view" else None)

        return as_kind(kind, function)

    app.before_request(failing("before"))
    app.add_url_rule("/", "view", failing("view"))
    app.after_request(failing("after"))
    app.teardown_request(as_kind(kind, lambda error: ended.append(repr(error))))
    served = serve(app)
    with caplog.at_level(logging.ERROR):
        # The error of an after hook comes back when the 500 itself passes through that hook.
        answer = served.get("/", params={"fail": where})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == "Exception on / [GET]"
    assert len(messages) == (2 if where == "after" else 1)
    assert caplog.records[0].exc_info
    until(lambda: ended == ["LookupError('a secret')"])
    assert served.text("/") == "answer"


@each_kind
def test_a_handler_for_500(app: Quaff, serve: Serve, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The handler for 500 gets the original error, and its signal is sent."""
    sent: list[str] = []

    def receive(_app: Quaff, exception: BaseException) -> None:
        sent.append(repr(exception))

    def fail() -> None:
        raise LookupError("original")

    app.add_url_rule("/", "view", as_kind(kind, fail))
    app.register_error_handler(500, as_kind(kind, lambda error: (repr(error.original_exception), 500)))
    with signals.got_request_exception.connected_to(receive, app):
        answer = serve(app).get("/")
    assert (answer.status_code, answer.text) == (500, "LookupError('original')")
    assert sent == ["LookupError('original')"]
    caplog.clear()


@each_kind
def test_signals(app: Quaff, serve: Serve, kind: str) -> None:
    """The signals of a request are sent once each, in their order; receivers find the request and may be async."""
    heard: list[str] = []
    names = ("appcontext_pushed", "request_started", "request_finished", "request_tearing_down", "appcontext_popped")

    def receiver(name: str) -> Any:
        return as_kind(kind, lambda _app, **_details: heard.append(f"{name} {has_request_context()}"))

    app.add_url_rule("/", "view", as_kind(kind, lambda: heard.append("view") or "answer"))  # type: ignore[func-returns-value]
    receivers = {name: receiver(name) for name in names}
    for name, function in receivers.items():
        getattr(signals, name).connect(function, app)
    assert serve(app).text("/") == "answer"
    until(lambda: len(heard) == 6)
    assert heard == [
        "appcontext_pushed False",
        "request_started True",
        "view",
        "request_finished True",
        "request_tearing_down True",
        "appcontext_popped False",
    ]


@each_kind
def test_after_this_request(app: Quaff, serve: Serve, kind: str) -> None:
    """A function for the end of this request may be registered in a view of either kind and be of either kind itself."""

    def add(number: int) -> Any:
        return lambda response: (response.headers.add("X-Added", str(number)), response)[1]

    def view() -> str:
        after_this_request(as_kind("sync", add(1)))
        after_this_request(as_kind("async", add(2)))
        return "answer"

    app.add_url_rule("/", "view", as_kind(kind, view))
    app.add_url_rule("/without", "without", as_kind(kind, lambda: "answer"))
    served = serve(app)
    assert served.get("/").headers.get_list("X-Added") == ["1", "2"]
    assert "X-Added" not in served.get("/without").headers


@each_kind
def test_sessions(app: Quaff, serve: Serve, kind: str) -> None:
    """A session goes to the client and back; flashed messages are shown once; a cleared session deletes its cookie."""

    def count() -> str:
        session["n"] = session.get("n", 0) + 1
        flash(f"message {session['n']}")
        return str(session["n"])

    app.add_url_rule("/count", "count", as_kind(kind, count))
    app.add_url_rule("/flashed", "flashed", as_kind(kind, lambda: repr(get_flashed_messages())))
    app.add_url_rule("/clear", "clear", as_kind(kind, lambda: session.clear() or "cleared"))  # type: ignore[func-returns-value]
    served = serve(app)
    assert [served.text("/count") for _ in range(3)] == ["1", "2", "3"]
    assert served.text("/flashed") == "['message 1', 'message 2', 'message 3']"
    assert served.text("/flashed") == "[]"
    assert "session=;" in served.get("/clear").headers["Set-Cookie"]
    assert served.text("/count") == "1"


@each_kind
def test_templates(app: Quaff, serve: Serve, kind: str) -> None:
    """Templates are rendered in views of either kind, with what context processors of either kind give."""
    app.context_processor(as_kind("sync", lambda: {"one": 1}))
    app.context_processor(as_kind("async", lambda: {"two": request.path}))
    template = "{{ one }} {{ two }} {{ request.path }} {{ session.get('n') }} {{ url_for('view') }}"
    app.add_url_rule("/t", "view", lambda: render_template_string(template))
    if kind == "async":

        @app.get("/thread")
        async def thread() -> str:
            # An async context processor cannot be waited for by synchronous code that runs on the loop itself.
            return await asyncio.to_thread(copy_current_request_context(lambda: render_template_string(template)))

    served = serve(app)
    assert served.text("/t") == "1 /t /t None /t"
    if kind == "async":
        assert served.text("/thread") == "1 /thread /thread None /t"


def test_copied_contexts(app: Quaff, serve: Serve) -> None:
    """What `copy_current_request_context` wraps runs in other threads, and as a task of its own on the loop."""

    @app.get("/sync")
    def sync() -> str:
        found: list[str] = []
        work = copy_current_request_context(lambda: found.append(f"{request.path} {g.get('seen')}"))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return found[0]

    @app.get("/async")
    async def asynchronous() -> str:
        g.seen = 1
        work = copy_current_request_context(lambda: f"{request.path} {has_request_context()}")
        return await asyncio.to_thread(work)

    @app.get("/task")
    async def task() -> str:
        async def work() -> str:
            await asyncio.sleep(0)
            return f"{request.path} {session.get('n')}"

        return " ".join(await asyncio.gather(work(), asyncio.create_task(work())))

    served = serve(app)
    assert served.text("/sync") == "/sync None"
    assert served.text("/async") == "/async True"
    assert served.text("/task") == "/task None /task None"


@pytest.mark.parametrize("hook_kind", KINDS)
@each_kind
def test_context_variables_go_along(app: Quaff, serve: Serve, kind: str, hook_kind: str) -> None:
    """What a hook sets is seen by the view and by what comes after it, and by no other request."""
    seen: list[str] = []

    def set_in(name: str) -> Any:
        def function(*given: Any) -> Any:
            seen.append(f"{name} {variable.get()}")
            variable.set(name)
            return given[0] if given else None

        return function

    app.before_request(as_kind(hook_kind, set_in("before 1")))
    app.before_request(as_kind("sync", set_in("before 2")))
    app.add_url_rule("/", "view", as_kind(kind, lambda: set_in("view")() or "answer"))
    app.after_request(as_kind(hook_kind, set_in("after")))
    app.teardown_request(as_kind(hook_kind, lambda error: seen.append(f"teardown {variable.get()}")))
    served = serve(app)
    for _ in range(2):
        seen.clear()
        served.text("/")
        until(lambda: len(seen) == 5)
        begin = "unset" if served.interface != "wsgi" else seen[0].removeprefix("before 1 ")
        assert seen == [f"before 1 {begin}", "before 2 before 1", "view before 2", "after view", "teardown after"]


@each_kind
def test_teardown_of_the_app_context(app: Quaff, serve: Serve, kind: str) -> None:
    """Functions for the end of the app context run after those of the request, with and without an error."""
    ended: list[str] = []

    def view() -> str:
        if request.args:
            abort(403)
        return "answer"

    app.teardown_appcontext(as_kind(kind, lambda error: ended.append(f"app {has_request_context()}")))
    app.teardown_request(as_kind(kind, lambda error: ended.append(f"request {error!r}")))
    app.add_url_rule("/", "view", as_kind(kind, view))
    served = serve(app)
    for query, status in (("", 200), ("?abort=1", 403)):
        ended.clear()
        assert served.get(f"/{query}").status_code == status
        until(lambda: len(ended) == 2)
        assert ended == ["request None", "app False"]


@each_kind
def test_url_values(app: Quaff, serve: Serve, kind: str) -> None:
    """Preprocessors take values out of the arguments, and `url_for` gets them back from the defaults."""

    @app.url_value_preprocessor
    def pull(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.language = (values or {}).pop("language", None)

    @app.url_defaults
    def put(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("language", g.language)

    app.add_url_rule("/<language>/page", "page", as_kind(kind, lambda: f"{g.language} {url_for('page')}"))
    served = serve(app)
    assert served.text("/de/page") == "de /de/page"
    assert served.text("/fr/page") == "fr /fr/page"


@each_kind
def test_the_first_request(app: Quaff, serve: Serve, kind: str) -> None:
    """What the app wants done before its first request is done once."""
    done: list[int] = []
    with pytest.warns(DeprecationWarning, match="before_first_request"):
        app.before_first_request(lambda: done.append(1))
    app.add_url_rule("/", "view", as_kind(kind, lambda: str(len(done))))
    served = serve(app)
    assert [served.text("/") for _ in range(3)] == ["1", "1", "1"]
