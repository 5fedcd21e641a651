"""A worker process of the production server, from its fork to its end."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

from .access import open_log, production_log
from .errors import ServerError
from .interface import Choice, choose_interface, start_chosen
from .settings import ServeSettings
from .worker import SETTLE, RunningWorker
from .wsgi import WSGIApp

LoadApp = Callable[[], WSGIApp]
"""Imports the app and returns it. What it has to say about a failure it prints itself, and raises SystemExit."""

READY: Final = b"+"
"""What a worker writes to its pipe when it serves. `how_it_serves` may follow."""

HANDLED: Final = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGCHLD") if hasattr(signal, name)
)
"""The signals that the supervisor handles. They are blocked while it forks; a worker lifts that."""

_LOOK_UP: Final = 0.5
_LONGEST_LINE: Final = 400
"""Bytes. A pipe takes this much at once, so the supervisor reads all of it at once."""


def become_worker(load: LoadApp, listener: socket.socket, settings: ServeSettings, number: int, ready: int) -> NoReturn:
    """Be worker *number* until told to stop, and end the process; for a process that was just forked.

    :param load: gives the app. It is called here, so that a reload runs new code.
    :param ready: descriptor of the pipe that tells the supervisor when this worker serves.
    """
    code = 1
    parent = os.getppid()
    try:
        _reset_signals()
        worker, choice = _boot(load, listener, settings, number)
        os.write(ready, READY + how_it_serves(number, choice))
        os.close(ready)
        _serve_until_stopped(worker, parent)
        if settings.access_log:
            # A thread writes its line after the answer is sent, and nobody waits for it.
            time.sleep(0.05)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except ServerError as error:
        print(f"Error: {error}", file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(code)


def _reset_signals() -> None:
    """Give up what the supervisor set up for itself.

    Until the app is imported, SIGTERM ends the process at once. Ctrl-C reaches every process of the terminal; only the
    supervisor acts on it.
    """
    signal.set_wakeup_fd(-1)
    for number in HANDLED:
        signal.signal(number, signal.SIG_IGN if number in {signal.SIGINT, signal.SIGHUP} else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def _boot(load: LoadApp, listener: socket.socket, settings: ServeSettings, number: int) -> tuple[RunningWorker, Choice]:
    app = load()
    choice = choose_interface(app, settings.interface, http=settings.http)
    log = production_log(open_log(settings.access_log)) if settings.access_log else None
    worker = start_chosen(choice, app, listener, settings, number=number, log=log)
    signal.signal(signal.SIGTERM, lambda *_: stop_soon(worker))
    return worker, choice


def how_it_serves(number: int, choice: Choice) -> bytes:
    """Return the end of the line that says that worker *number* was started: over which interface, and why.

    Only the workers know the app, and all of them know the same, so the first one alone says it.
    """
    return f" over {choice}".encode()[:_LONGEST_LINE] if number == 1 else b""


def stop_soon(worker: RunningWorker) -> None:
    """Stop *worker* so that no client is lost: first no new connections, a moment later none at all."""
    worker.turn_away()
    timer = threading.Timer(SETTLE, worker.stop, (0,))
    timer.daemon = True
    timer.start()


def _serve_until_stopped(worker: RunningWorker, parent: int) -> None:
    while not worker.wait(_LOOK_UP):
        # A supervisor that was killed can no longer stop or replace anybody, and its port must become free.
        if os.getppid() != parent:
            stop_soon(worker)


def _leave(code: int) -> NoReturn:
    """End the process as the interpreter would, without unwinding the frames that the fork copied."""
    with contextlib.suppress(BaseException):
        # Waits for threads of the app that are no daemons, among them those of thread pools.
        threading._shutdown()  # type: ignore[attr-defined]
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)
