"""Which interface an app is served over: WSGI with its threads, RSGI with its event loop, or HTTP/1.1 with nothing between.

An app without async code is fastest over WSGI. One with async views wants a loop, so that they can wait without a thread.
One whose clients stay connected, with WebSockets or event streams, is served by Quaff's own server (`http1/`), to which they
are cheap.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, Final, Literal, cast

from .access import LogRequest
from .errors import SettingsError
from .settings import ServeSettings
from .worker import RunningWorker, start_rsgi_worker, start_worker
from .wsgi import WSGIApp, build_runner

logger: Final = logging.getLogger("quaff.serve")


Interface = Literal["wsgi", "rsgi", "http1"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The interface that was chosen for an app, and why."""

    name: Interface
    reason: str
    """In words, for the line that says it: `the view 'chat' is async`."""

    def __str__(self) -> str:
        return f"{self.name.upper()}: {self.reason}"


NEEDED: Final = ("httptools", "websockets")
"""What Quaff's own server is built on; the extra `websocket` installs it."""


def missing_packages() -> list[str]:
    """Return what Quaff's own server needs and is not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def choose_interface(app: object, asked: str | None = None, *, http: str | None = None) -> Choice:
    """Return the interface to serve *app* over.

    An app chooses by its methods `needs_loop`, which returns why it needs an event loop, or None when it needs none, and
    `holds_connections`, which tells whether clients stay connected.

    :param asked: `wsgi`, `rsgi` or `http1` to decide it; None to let the app choose.
    :param http: the HTTP version that is asked for, as in the settings.
    :raises SettingsError: when *app* or what is installed does not allow what is asked for.

    >>> choose_interface(lambda environ, start_response: [])
    Choice(name='wsgi', reason='a WSGI callable')
    """
    if asked is not None:
        if asked != "wsgi":
            _check_possible(app, asked, http)
        return Choice(cast(Interface, asked), f"--interface {asked}")
    needs_loop: Callable[[], str | None] | None = getattr(app, "needs_loop", None)
    if needs_loop is None:
        return Choice("wsgi", "a WSGI callable")
    reason = needs_loop()
    if reason is None:
        return Choice("wsgi", "every view and hook is sync")
    holds_connections: Callable[[], bool] | None = getattr(app, "holds_connections", None)
    if holds_connections is None or not holds_connections() or http == "2":
        return Choice("rsgi", reason)
    if missing_packages():
        return Choice("rsgi", f"{reason} (better served with: pip install quaff[websocket])")
    return Choice("http1", reason)


def _check_possible(app: object, asked: str, http: str | None) -> None:
    if not hasattr(app, "__rsgi__"):
        raise SettingsError(
            f"interface={asked!r}: the app is of the type {type(app).__name__!r}, which speaks WSGI only. Name the Quaff"
            " app itself rather than one inside of WSGI middleware (app.wsgi_app = middleware(app.wsgi_app) keeps"
            " it), or leave the option out."
        )
    if asked == "http1":
        if http == "2":
            raise SettingsError(
                "interface='http1' and http='2' contradict each other. For HTTP/2 there is interface='rsgi'."
            )
        if missing := missing_packages():
            raise SettingsError(
                f"interface='http1' needs {' and '.join(missing)}. Install what it takes: pip install quaff[websocket]"
            )


def start_chosen(
    choice: Choice,
    app: WSGIApp,
    listener: socket.socket,
    settings: ServeSettings,
    *,
    number: int = 1,
    log: LogRequest | None = None,
) -> RunningWorker:
    """Serve *app* over the interface of *choice* from threads of this process, between its startup and its shutdown.

    What the startup raises is raised here, and nothing was accepted then.

    :param number: of this worker among its siblings.
    :param log: called after each request with the environ, the status and the seconds that it took.
    """
    check_batteries: Callable[[], None] | None = getattr(app, "check_batteries", None)
    if check_batteries is not None:
        check_batteries()
    if choice.name == "http1":
        from .http1.worker import start_http1_worker

        return start_http1_worker(app, listener, settings, log=log)
    if choice.name == "rsgi":
        from .rsgi import build_rsgi

        return start_rsgi_worker(build_rsgi(app, log=log), listener, settings, number=number)
    lifespan = getattr(app, "lifespan", None)
    if lifespan is not None:
        lifespan.start_sync()
    run = build_runner(app, multiprocess=settings.workers > 1, log=log)
    worker = start_worker(run, listener, settings, number=number)
    worker.when_drained = partial(_shut_down, lifespan, settings.graceful_timeout)
    return worker


def _shut_down(lifespan: Any, seconds: float) -> None:
    """Do what is left after the last request of a WSGI worker: calls after responses, and the app's shutdown."""
    # What nobody used was never imported.
    module = sys.modules.get("quaff.after_response")
    if module is not None and not module.drain_after_response(seconds):
        logger.warning("Calls after responses were given up: they had %g seconds.", seconds)
    try:
        if lifespan is not None:
            lifespan.stop_sync()
    except Exception:
        logger.exception("The shutdown of the app failed.")
