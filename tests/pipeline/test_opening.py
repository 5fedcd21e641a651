"""The start of a request, where somebody looks: signals, session interfaces, `g` and requests of one's own."""

from __future__ import annotations

from typing import Any

import pytest

from quaff import Quaff, Request, current_app, g, has_app_context, has_request_context, session, signals
from quaff.ctx import _AppCtxGlobals
from quaff.sessions import SecureCookieSession, SessionInterface


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app with a route that has a variable, in either pipeline."""
    app = Quaff("opening", static_folder=None, compiled=request.param)
    app.add_url_rule("/<int:n>", "view", lambda n: f"{n}")
    return app


def test_the_app_context_is_announced_first(app: Quaff) -> None:
    """Receivers of `appcontext_pushed` find `current_app` but no request, and `g`, where the view finds what they put."""
    seen: list[Any] = []

    def receive(sender: Quaff, **details: Any) -> None:
        seen.append((sender is app, current_app.name, has_request_context()))
        g.connection = "opened"

    app.view_functions["view"] = lambda n: g.connection
    with signals.appcontext_pushed.connected_to(receive, sender=app):
        assert app.test_client().get("/1").text == "opened"
    assert seen == [(True, "opening", False)]


def test_an_app_context_that_is_there_is_not_announced_again(app: Quaff) -> None:
    """A request within an app context of the same app pushes none."""
    seen: list[Any] = []
    with (
        app.app_context(),
        signals.appcontext_pushed.connected_to(lambda sender, **details: seen.append(1), sender=app),
    ):
        app.test_client().get("/1")
    assert seen == []


class Interface(SessionInterface):
    """Notes what it is shown."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def open_session(self, app: Any, request: Request) -> SecureCookieSession:
        self.seen.append(("open", request.path, request.url_rule, request.view_args, request.routing_exception))
        return SecureCookieSession({"user": 7})

    def save_session(self, app: Any, session: Any, response: Any) -> None:
        self.seen.append(("save", dict(session)))


def test_the_session_is_opened_before_the_url_is_matched(app: Quaff) -> None:
    """An interface of one's own is asked for each request, with a request that matched nothing yet."""
    interface = Interface()
    app.session_interface = interface
    app.view_functions["view"] = lambda n: f"{n} {session['user']}"
    assert app.test_client().get("/5").text == "5 7"
    assert interface.seen == [("open", "/5", None, None, None), ("save", {"user": 7})]


def test_the_session_is_opened_for_a_404_too(app: Quaff) -> None:
    """A request that matches nothing has a session like any other, and its error afterwards."""
    interface = Interface()
    app.session_interface = interface
    app.register_error_handler(404, lambda error: f"{error.code} {session['user']}")
    assert app.test_client().get("/nowhere").text == "404 7"
    assert [event[0] for event in interface.seen] == ["open", "save"]


def test_a_session_that_cannot_be_opened_is_a_500(app: Quaff) -> None:
    """An error of the interface is answered, and the teardown functions see it."""
    seen: list[Any] = []

    class Broken(SessionInterface):
        def open_session(self, app: Any, request: Request) -> None:
            raise LookupError("no store")

    app.session_interface = Broken()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.teardown_request(lambda error: seen.append(repr(error)))
    with pytest.raises(LookupError):
        app.test_client().get("/1")
    assert seen == ["LookupError('no store')"]


def test_g_of_ones_own_is_made_at_once(app: Quaff) -> None:
    """A class for `g` that does something when made is made for each request, used or not, before anything is bound."""
    made: list[Any] = []

    class Globals(_AppCtxGlobals):
        def __init__(self) -> None:
            made.append((has_app_context(), has_request_context()))

    app.app_ctx_globals_class = Globals
    app.test_client().get("/1")
    app.test_client().get("/nowhere")
    assert made == [(False, False)] * 2


def test_a_request_of_ones_own_is_made_outside(app: Quaff) -> None:
    """A request class that does something when it is made does it before any context is bound; its error is the server's."""
    seen: list[Any] = []

    class OwnRequest(Request):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            seen.append((has_app_context(), has_request_context()))
            super().__init__(*args, **kwargs)
            if self.path == "/2":
                raise LookupError

    app.request_class = OwnRequest
    assert app.test_client().get("/1").text == "1"
    with pytest.raises(LookupError):
        app.test_client().get("/2")
    assert seen == [(False, False), (False, False)]
