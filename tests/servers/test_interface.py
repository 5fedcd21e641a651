"""The choice of the interface: the app's, unless somebody asks for another."""

from __future__ import annotations

import dataclasses
import http.client
import threading

import pytest

from quaff import Quaff
from quaff.servers import ServeSettings, SettingsError
from quaff.servers.interface import Choice, choose_interface, start_chosen
from quaff.servers.settings import Address
from quaff.servers.sockets import listen
from quaff.servers.wsgi import Environ
from tests.servers.process import PATIENCE, ask


class App:
    """What the choice looks at: whether it is an RSGI app, and whether it says that it needs a loop."""

    def __init__(self, reason: str | None) -> None:
        self._reason = reason

    def needs_loop(self) -> str | None:
        """Return why, or None."""
        return self._reason

    def __rsgi__(self, scope: object, protocol: object) -> None:
        """Be there."""


def wsgi(environ: object, start_response: object) -> list[bytes]:
    """Be an app of another framework."""
    return []


@pytest.mark.parametrize(
    "app,asked,choice",
    [
        (App("the view 'chat' is async"), None, Choice("rsgi", "the view 'chat' is async")),
        (App(None), None, Choice("wsgi", "every view and hook is sync")),
        (wsgi, None, Choice("wsgi", "a WSGI callable")),
        (App("the view 'chat' is async"), "wsgi", Choice("wsgi", "--interface wsgi")),
        (App(None), "rsgi", Choice("rsgi", "--interface rsgi")),
        (App("the view 'chat' is async"), "rsgi", Choice("rsgi", "--interface rsgi")),
        (wsgi, "wsgi", Choice("wsgi", "--interface wsgi")),
    ],
)
def test_the_app_chooses_unless_somebody_asks(app: object, asked: str | None, choice: Choice) -> None:
    """An app with async code gets an event loop, every other one threads; what is asked for counts before that."""
    assert choose_interface(app, asked) == choice


def test_rsgi_is_refused_for_what_speaks_wsgi_only() -> None:
    """The message says what the app is, and what to do."""
    with pytest.raises(SettingsError) as caught:
        choose_interface(wsgi, "rsgi")
    message = str(caught.value)
    assert message.startswith("interface='rsgi': the app is of the type 'function', which speaks WSGI only.")
    assert "app.wsgi_app = middleware(app.wsgi_app)" in message
    assert "leave the option out" in message


def test_a_choice_reads_as_a_line() -> None:
    """Interface and reason in one, as servers say it; and what was chosen stays chosen."""
    choice = Choice("rsgi", "the view 'chat' is async")
    assert str(choice) == "RSGI: the view 'chat' is async"
    with pytest.raises(dataclasses.FrozenInstanceError):
        choice.name = "wsgi"  # type: ignore[misc]


def make_app() -> Quaff:
    """Return a real app with an async view, which says in which thread it runs."""
    app = Quaff("tests.servers.interface")

    @app.get("/")
    async def where() -> str:
        return threading.current_thread().name

    return app


def test_the_view_decides() -> None:
    """A real app is served over RSGI from its first async view on."""
    app = Quaff("tests.servers.interface")
    app.add_url_rule("/sync", "sync", lambda: "sync")
    assert choose_interface(app) == Choice("wsgi", "every view and hook is sync")
    choice = choose_interface(make_app())
    assert choice.name == "rsgi"
    assert "'where'" in choice.reason


@pytest.mark.parametrize("asked,on_loop", [(None, True), ("rsgi", True), ("wsgi", False)])
def test_the_app_is_served_over_what_was_chosen(asked: str | None, on_loop: bool) -> None:
    """Over RSGI an async view runs on the loop of the worker; each request is logged, over either interface."""
    app = make_app()
    logged: list[tuple[str, int]] = []

    def log(environ: Environ, status: int, seconds: float) -> None:
        assert 0 <= seconds < PATIENCE
        logged.append((environ["PATH_INFO"], status))

    settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1)
    with listen(settings.bind) as listener:
        worker = start_chosen(choose_interface(app, asked), app, listener, settings, log=log)
        port = listener.getsockname()[1]
        answer = ask(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE))
        missing = ask(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE), "/missing")
        assert worker.stop(PATIENCE)
    assert (answer.text == "quaff-loop") is on_loop
    assert missing.status == 404
    assert sorted(logged) == [("/", 200), ("/missing", 404)]
