"""Flask's ten signals, and their effect on compiled routes."""

from __future__ import annotations

from typing import Any

import blinker
import pytest

import quaff
from quaff import Quaff, abort, flash, render_template_string, signals
from quaff.signals import CoreSignal, Namespace

NAMES = {
    "appcontext_popped": "appcontext-popped",
    "appcontext_pushed": "appcontext-pushed",
    "appcontext_tearing_down": "appcontext-tearing-down",
    "before_render_template": "before-render-template",
    "got_request_exception": "got-request-exception",
    "message_flashed": "message-flashed",
    "request_finished": "request-finished",
    "request_started": "request-started",
    "request_tearing_down": "request-tearing-down",
    "template_rendered": "template-rendered",
}


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline."""
    app = Quaff(__name__, compiled=request.param)
    app.config.update(TESTING=True, SECRET_KEY="a key for tests")
    return app


@pytest.fixture
def heard() -> Any:
    """Give a list of what each signal was sent with, in order, while the test runs."""
    heard: list[tuple[str, dict[str, Any]]] = []
    receivers = []
    for name in NAMES:

        def receive(sender: Any, name: str = name, **values: Any) -> None:
            values.pop("_async_wrapper", None)
            heard.append((name, values))

        receivers.append((getattr(signals, name), receive))
        getattr(signals, name).connect(receive)
    yield heard
    for signal, receive in receivers:
        signal.disconnect(receive)


def names_of(heard: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return the names of the signals in the order in which they were sent."""
    return [name for name, _ in heard]


@pytest.mark.parametrize("attribute, name", NAMES.items())
def test_each_signal_is_a_named_blinker_signal(attribute: str, name: str) -> None:
    """The ten objects are blinker's, have Flask's names, and are the same on the package's door."""
    signal = getattr(signals, attribute)
    assert isinstance(signal, blinker.NamedSignal)
    assert signal.name == name
    assert getattr(quaff, attribute) is signal


def test_there_are_ten_of_them() -> None:
    """No signal is missing from this file, and none was added unnoticed."""
    assert {name for name, value in vars(signals).items() if isinstance(value, CoreSignal)} == set(NAMES)


def test_old_names() -> None:
    """`signals_available` is true, and `Namespace` is blinker's own for signals of extensions."""
    assert signals.signals_available is True
    assert Namespace is blinker.Namespace
    assert signals._signals.signal("request-started") is signals.request_started


def test_the_order_in_a_request(app: Quaff, heard: list[Any]) -> None:
    """A request sends pushed, started, finished, tearing down (twice) and popped, in Flask's order."""
    app.add_url_rule("/", view_func=lambda: "hello")
    response = app.test_client().get("/")
    assert names_of(heard) == [
        "appcontext_pushed",
        "request_started",
        "request_finished",
        "request_tearing_down",
        "appcontext_tearing_down",
        "appcontext_popped",
    ]
    assert heard[2][1]["response"].get_data() == response.data == b"hello"
    assert heard[3][1] == {"exc": None}


def test_an_unhandled_error(app: Quaff, heard: list[Any]) -> None:
    """An error goes to got_request_exception before the response is finished, and the teardown signals see it."""
    app.testing = False
    problem = KeyError("gone")

    @app.get("/")
    def index() -> str:
        raise problem

    assert app.test_client().get("/").status_code == 500
    assert names_of(heard)[1:5] == [
        "request_started",
        "got_request_exception",
        "request_finished",
        "request_tearing_down",
    ]
    assert heard[2][1] == {"exception": problem}
    assert heard[4][1] == {"exc": problem}


def test_a_handled_error_is_no_exception(app: Quaff, heard: list[Any]) -> None:
    """HTTP errors and errors with a handler send no got_request_exception."""
    app.register_error_handler(KeyError, lambda error: "handled")

    @app.get("/handled")
    def handled() -> str:
        raise KeyError

    @app.get("/gone")
    def gone() -> None:
        abort(410)

    client = app.test_client()
    assert [client.get(path).status_code for path in ("/handled", "/gone", "/none")] == [200, 410, 404]
    assert "got_request_exception" not in names_of(heard)


def test_templates_and_messages(app: Quaff, heard: list[Any]) -> None:
    """Rendering and flashing send their signals with the template, its context and the message."""

    @app.get("/")
    def index() -> str:
        flash("saved", "good")
        return render_template_string("{{ name }}", name="World")

    assert app.test_client().get("/").text == "World"
    sent = dict(heard)
    assert sent["message_flashed"] == {"message": "saved", "category": "good"}
    assert sent["before_render_template"]["template"] is sent["template_rendered"]["template"]
    assert sent["template_rendered"]["context"]["name"] == "World"


def test_an_app_context_alone(app: Quaff, heard: list[Any]) -> None:
    """Pushing and popping an app context sends its three signals and none of a request's."""
    with app.app_context():
        assert names_of(heard) == ["appcontext_pushed"]
    assert names_of(heard) == ["appcontext_pushed", "appcontext_tearing_down", "appcontext_popped"]


def test_a_receiver_may_come_and_go_between_requests(app: Quaff) -> None:
    """A receiver that connects after the first request is heard, and one that left is not asked."""
    app.add_url_rule("/", view_func=lambda: "hello")
    client, seen = app.test_client(), []
    client.get("/")

    def receive(sender: Quaff, **values: Any) -> None:
        seen.append(sender)

    signals.request_started.connect(receive, app)
    client.get("/")
    signals.request_started.disconnect(receive, app)
    client.get("/")
    assert seen == [app]


def test_connected_to_is_a_receiver_for_a_block(app: Quaff) -> None:
    """`connected_to`, which tests use, listens within its block only."""
    app.add_url_rule("/", view_func=lambda: "hello")
    client, seen = app.test_client(), []

    def receive(sender: Quaff, response: Any, **values: Any) -> None:
        seen.append(response.status_code)

    client.get("/")
    with signals.request_finished.connected_to(receive, app):
        client.get("/")
    client.get("/")
    assert seen == [200]


def test_a_receiver_of_another_app_is_not_asked(app: Quaff) -> None:
    """A receiver hears only the sender that it connected to."""
    other, seen = Quaff("other"), []
    app.add_url_rule("/", view_func=lambda: "hello")

    def receive(sender: Quaff, **values: Any) -> None:
        seen.append(sender)

    with signals.request_started.connected_to(receive, other):
        app.test_client().get("/")
    assert seen == []


def test_a_receiver_may_be_async(app: Quaff) -> None:
    """A coroutine function hears signals too, through the app's `ensure_sync`."""
    app.add_url_rule("/", view_func=lambda: "hello")
    seen = []

    async def receive(sender: Quaff, **values: Any) -> None:
        seen.append(sender)

    with signals.request_started.connected_to(receive, app):
        app.test_client().get("/")
    assert seen == [app]


def test_an_error_in_request_started_is_handled(app: Quaff) -> None:
    """An error of a receiver of request_started goes to the error handlers, as one of a hook does."""
    app.register_error_handler(LookupError, lambda error: ("no", 503))
    app.add_url_rule("/", view_func=lambda: "hello")

    def refuse(sender: Quaff, **values: Any) -> None:
        raise LookupError

    with signals.request_started.connected_to(refuse, app):
        assert app.test_client().get("/").status_code == 503
