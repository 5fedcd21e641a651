"""Which interface an app is served over: WSGI with its threads, or RSGI with its event loop.

An app without async code is faster over WSGI. One with async views wants a loop, so that they can wait without a thread.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from .access import LogRequest
from .errors import SettingsError
from .settings import ServeSettings
from .worker import RunningWorker, start_rsgi_worker, start_worker
from .wsgi import WSGIApp, build_runner

logger: Final = logging.getLogger("quaff.serve")


@dataclass(frozen=True, slots=True)
class Choice:
    """The interface that was chosen for an app, and why."""

    name: Literal["wsgi", "rsgi"]
    reason: str
    """In words, for the line that says it: `the view 'chat' is async`."""

    def __str__(self) -> str:
        return f"{self.name.upper()}: {self.reason}"


def choose_interface(app: object, asked: str | None = None) -> Choice:
    """Return the interface to serve *app* over.

    An app chooses by its method `needs_loop`, which returns why it needs an event loop, or None when it needs none.

    :param asked: `wsgi` or `rsgi` to decide it; None to let the app choose.
    :raises SettingsError: when `rsgi` is asked for and *app* is no RSGI app.

    >>> choose_interface(lambda environ, start_response: [])
    Choice(name='wsgi', reason='a WSGI callable')
    """
    if asked == "rsgi":
        if not hasattr(app, "__rsgi__"):
            raise SettingsError(
                f"interface='rsgi': the app is of the type {type(app).__name__!r}, which speaks WSGI only. Name the Quaff"
                " app itself rather than one inside of WSGI middleware (app.wsgi_app = middleware(app.wsgi_app) keeps"
                " it), or leave the option out."
            )
        return Choice("rsgi", "--interface rsgi")
    if asked == "wsgi":
        return Choice("wsgi", "--interface wsgi")
    needs_loop: Callable[[], str | None] | None = getattr(app, "needs_loop", None)
    if needs_loop is None:
        return Choice("wsgi", "a WSGI callable")
    reason = needs_loop()
    return Choice("wsgi", "every view and hook is sync") if reason is None else Choice("rsgi", reason)


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
    module = sys.modules.get("quaff.lifespan")
    if module is not None and not module.drain_after_response(seconds):
        logger.warning("Calls after responses were given up: they had %g seconds.", seconds)
    try:
        if lifespan is not None:
            lifespan.stop_sync()
    except Exception:
        logger.exception("The shutdown of the app failed.")
