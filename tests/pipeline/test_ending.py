"""The end of a request: teardown functions, signals, and contexts that were left behind."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from typing import Any

import pytest

from quaff import Quaff, g, has_request_context, request, signals
from quaff.ctx import call_on_close
from quaff.globals import NO_CONTEXT, active_context, current_context
from tests.pipeline.test_parts import ask_asgi


@pytest.fixture
def events() -> list[Any]:
    """Give a list for what happens."""
    return []


@pytest.fixture
def app(events: list[Any]) -> Iterator[Quaff]:
    """Give an app that notes how its requests end."""
    app = Quaff("ending", static_folder=None, compiled=True)
    app.add_url_rule("/", "view", lambda: "answer")
    app.teardown_request(lambda error: events.append(("teardown", repr(error), has_request_context())))
    app.teardown_appcontext(lambda error: events.append(("teardown appcontext", repr(error), has_request_context())))
    with ExitStack() as stack:
        for name in ("request_tearing_down", "appcontext_tearing_down", "appcontext_popped"):

            def receive(sender: Any, name: str = name, **details: Any) -> None:
                events.append((name, details.get("exc"), active_context() is not None))

            stack.enter_context(getattr(signals, name).connected_to(receive, sender=app))
        yield app


def test_the_order(app: Quaff, events: list[Any]) -> None:
    """The request ends before its app context, functions before their signal; at last nothing is bound."""
    app.test_client().get("/")
    assert events == [
        ("teardown", "None", True),
        ("request_tearing_down", None, True),
        ("teardown appcontext", "None", False),
        ("appcontext_tearing_down", None, True),
        ("appcontext_popped", None, False),
    ]


def test_an_error_is_handed_over(app: Quaff, events: list[Any]) -> None:
    """An error that nobody handled is what the teardown functions get; one that was handled is not."""
    error = LookupError("view")

    def fail() -> str:
        raise error

    app.view_functions["view"] = fail
    app.test_client().get("/")
    assert [event[1] for event in events[:3]] == ["LookupError('view')", error, "LookupError('view')"]
    events.clear()
    app.error_handler_spec[None][None][LookupError] = lambda error: "handled"
    app.test_client().get("/")
    assert [event[1] for event in events[:3]] == ["None", None, "None"]


def test_an_ignored_error(app: Quaff, events: list[Any]) -> None:
    """`should_ignore_error` keeps an error from the teardown functions."""

    def fail() -> str:
        raise LookupError

    app.view_functions["view"] = fail
    app.should_ignore_error = lambda error: isinstance(error, LookupError)  # type: ignore[method-assign]
    app.test_client().get("/")
    assert events[0] == ("teardown", "None", True)


def test_a_teardown_function_that_raises(app: Quaff, events: list[Any]) -> None:
    """The error reaches the server; the app context is torn down all the same, and nothing stays bound."""

    def fail(error: BaseException | None) -> None:
        raise LookupError("teardown")

    app.teardown_request_funcs[None].append(fail)
    with pytest.raises(LookupError, match="teardown"):
        app.test_client().get("/")
    assert [event[0] for event in events] == ["teardown appcontext", "appcontext_tearing_down", "appcontext_popped"]
    assert active_context() is None


def test_within_an_app_context(app: Quaff, events: list[Any]) -> None:
    """A request inside an app context of the same app shares its `g` and leaves its end to whoever pushed it."""
    app.view_functions["view"] = lambda: g.setdefault("seen", "by the request")
    with app.app_context() as outer:
        app.test_client().get("/")
        assert g.seen == "by the request"
        assert [event[0] for event in events] == ["teardown", "request_tearing_down"]
        assert current_context.get() is outer


def test_within_another_apps_request(app: Quaff, events: list[Any]) -> None:
    """A request inside a request of another app ends its own contexts; while its app context ends, the other's is bound."""
    other = Quaff("other", static_folder=None)
    with other.test_request_context("/outer"):
        app.test_client().get("/")
        assert events[2] == ("teardown appcontext", "None", True)
        assert request.path == "/outer"


@pytest.mark.parametrize("what", ["app context", "request context"])
@pytest.mark.parametrize("tears_down", [False, True])
def test_what_is_left_behind_is_said(what: str, tears_down: bool) -> None:
    """A view that pushes a context and forgets it is told so, whether there is anything to tear down or not."""
    app = Quaff("ending", static_folder=None, compiled=True)

    def view() -> str:
        (app.app_context() if what == "app context" else app.test_request_context("/leaked")).push()
        return "answer"

    app.add_url_rule("/", "view", view)
    if tears_down:
        app.teardown_request(lambda error: None)
    with pytest.raises(AssertionError, match=f"Popped wrong {what}"):
        app.test_client().get("/")
    current_context.set(NO_CONTEXT)


def test_a_context_pushed_again_and_kept(events: list[Any]) -> None:
    """A request context that is pushed a second time ends when it is popped as often: the teardown functions wait."""
    app = Quaff("ending", static_folder=None, compiled=True)
    app.teardown_request(lambda error: events.append("teardown"))
    kept: list[Any] = []

    def view() -> str:
        kept.append(current_context.get())
        kept[0].push()
        return "answer"

    app.add_url_rule("/", "view", view)
    app.test_client().get("/")
    assert events == []
    kept[0].pop()
    assert events == ["teardown"]
    current_context.set(NO_CONTEXT)


def test_the_test_client_keeps_the_contexts(app: Quaff, events: list[Any]) -> None:
    """Within `with client:` the context of the request is there afterwards, after it has been torn down once."""
    with app.test_client() as client:
        client.get("/?page=2")
        assert request.args["page"] == "2"
        assert len(events) == 5
    assert len(events) == 10


def test_uploads_are_closed() -> None:
    """Files that the view opened by reading the form are closed when the request ends, teardown functions or not."""
    import io

    opened: list[Any] = []

    def view() -> str:
        opened.append(request.files["file"].stream)
        return "answer"

    for tears_down in (False, True):
        app = Quaff("ending", static_folder=None, compiled=True)
        app.add_url_rule("/", "view", view, methods=["POST"])
        if tears_down:
            app.teardown_request(lambda error: None)
        app.test_client().post("/", data={"file": (io.BytesIO(b"content"), "name.txt")})
        assert opened.pop().closed


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("native", [False, True])
def test_what_closes_with_the_context(compiled: bool, fails: bool, native: bool) -> None:
    """What `call_on_close` registered is called when all is done, with the error; should it fail, all is unbound as well."""
    app = Quaff("closing", static_folder=None, compiled=compiled)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    closed: list[Any] = []

    def close(error: BaseException | None) -> None:
        closed.append((type(error), active_context() is not None))
        if fails:
            raise LookupError("closing")

    def use() -> str:
        call_on_close(close)
        return str(len(request.files))

    async def use_on_loop() -> str:
        return use()

    app.add_url_rule("/", "view", use_on_loop if native else use, methods=["GET", "POST"])
    app.add_url_rule("/error", "error", lambda: call_on_close(close) or 1 // 0)
    app.add_url_rule("/bare", "bare", lambda: "bare")
    for number in range(1, 4):
        # The first request is the one that makes the app one that closes contexts.
        with pytest.raises(LookupError, match="closing") if fails else nullcontext():
            data = {"file": (io.BytesIO(b"data"), "a.txt")}
            answer = ask_asgi(app, "/") if native else app.test_client().post("/", data=data)
            assert answer.text == ("0" if native else "1")
        assert closed == [(type(None), True)] * number
        assert active_context() is None
    with pytest.raises(LookupError, match="closing") if fails else nullcontext():
        assert app.test_client().get("/error").status_code == 500
    assert closed[3:] == [(ZeroDivisionError, True)]
    assert app.test_client().get("/bare").text == "bare"
    assert len(closed) == 4
