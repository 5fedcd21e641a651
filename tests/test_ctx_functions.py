"""The functions of `quaff.ctx` that views call, and what templates get from the contexts."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from quaff import (
    Quaff,
    Response,
    after_this_request,
    copy_current_request_context,
    current_app,
    g,
    render_template_string,
    request,
    session,
)
from quaff.ctx import _default_template_ctx_processor


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline, with a secret key."""
    app = Quaff(__name__, compiled=request.param)
    app.config.update(TESTING=True, SECRET_KEY="a key for tests")
    return app


def test_after_this_request(app: Quaff) -> None:
    """Functions registered in a request change its response, first registered first, before the app's after hooks."""
    app.after_request(lambda response: Response(response.get_data() + b" app"))

    @app.get("/")
    def index() -> str:
        after_this_request(lambda response: Response(response.get_data() + b" one"))

        @after_this_request
        def two(response: Response) -> Response:
            return Response(response.get_data() + b" two")

        return "view"

    client = app.test_client()
    assert client.get("/").text == client.get("/").text == "view one two app"


def test_after_this_request_in_a_before_hook_and_a_handler(app: Quaff) -> None:
    """It may be called anywhere in a request, also where the view is never reached."""

    def mark(response: Response) -> Response:
        response.headers["X-Mark"] = "yes"
        return response

    app.before_request(lambda: after_this_request(mark) and None)
    assert app.test_client().get("/none").headers["X-Mark"] == "yes"


def test_an_async_after_this_request(app: Quaff) -> None:
    """The function may be a coroutine function."""

    @app.get("/")
    def index() -> str:
        @after_this_request
        async def later(response: Response) -> Response:
            return Response(response.get_data() + b" later")

        return "view"

    assert app.test_client().get("/").text == "view later"


@pytest.mark.parametrize("function", [after_this_request, copy_current_request_context])
def test_outside_of_a_request(app: Quaff, function: Any) -> None:
    """Both functions explain that they need a request, also within an app context."""
    message = f"'{function.__name__}' can only be used when a request context is active, such as in a view function."
    with pytest.raises(RuntimeError, match=message):
        function(lambda: None)
    with app.app_context(), pytest.raises(RuntimeError, match=message):
        function(lambda: None)


def test_copy_current_request_context(app: Quaff) -> None:
    """A function so wrapped sees request and session in another thread; its name is kept."""
    app.add_url_rule("/", "index", lambda: start())
    seen: list[Any] = []

    def start() -> str:
        session["a"] = 1

        @copy_current_request_context
        def work(extra: str) -> None:
            """Work."""
            seen.append((request.path, current_app.name, session["a"], extra, g._get_current_object()))

        assert (work.__name__, work.__doc__) == ("work", "Work.")
        thread = threading.Thread(target=work, args=("argument",))
        thread.start()
        thread.join()
        return str(g._get_current_object() is seen[0][4])

    assert app.test_client().get("/").text == "False"
    assert seen[0][:4] == ("/", __name__, 1, "argument")


def test_copy_current_request_context_with_an_async_function(app: Quaff) -> None:
    """An async function is run to its end."""

    async def work() -> str:
        return request.path

    with app.test_request_context("/here"):
        copied = copy_current_request_context(work)
    assert copied() == "/here"  # type: ignore[comparison-overlap]


def test_a_copy_shares_request_and_session(app: Quaff) -> None:
    """`copy` keeps request and session of the original."""
    with app.test_request_context("/here") as context:
        session["a"] = 1
        copied = context.copy()
    assert copied is not context
    assert copied.request is context.request
    with copied:
        assert session["a"] == 1


def test_template_context(app: Quaff) -> None:
    """Templates see `g` in an app context and `request` in a request; outside of both there is nothing."""
    assert _default_template_ctx_processor() == {}
    with app.app_context():
        assert set(_default_template_ctx_processor()) == {"g"}
        g.value = 1
        assert render_template_string("{{ g.value }}") == "1"
    with app.test_request_context("/here") as context:
        values = _default_template_ctx_processor()
        assert values == {"g": context.g, "request": context.request}
