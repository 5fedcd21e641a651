"""The development server: what `app.run()` and `quaff run` start.

It serves the very object that it is given, from this process: a script that calls `app.run()` is not imported a second
time, except by the reloader. Ctrl-C ends it at once; a request that is still running then gets a moment, no more.
"""

from __future__ import annotations

import atexit
import contextlib
import difflib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from .banner import say_interface, say_no_console, say_no_debugger, say_what, say_where
from .errors import ServerError, SettingsError
from .fallback import OWN_OPTIONS, needs_werkzeug, replaced_run_simple, run_werkzeug
from .interface import Choice, choose_interface, start_chosen
from .machine import default_threads
from .reloader import is_child, run_with_reloader
from .settings import Address, ServeSettings, is_loopback
from .sockets import listen
from .tls import check_certificate
from .worker import RunningWorker
from .wsgi import WSGIApp

GRACE: Final = 0.4
"""Seconds that running requests get when the server is stopped by hand."""


def run_development(app: WSGIApp, host: str, port: int, *, banner: bool = True, **options: Any) -> None:
    """Serve *app* for development until Ctrl-C.

    :param host: name or address to listen on. `unix://path` and everything else that only Werkzeug's server knows goes
        there (`fallback.py`).
    :param port: 0 picks a free one, which the banner names.
    :param banner: whether to say which app is served and whether debug mode is on.
    :param options: those of `werkzeug.serving.run_simple` (`use_reloader`, `use_debugger`, `threaded`, `ssl_context`,
        `extra_files`, `exclude_patterns`, ...), and Quaff's own: `threads`, how many requests run at once;
        `access_log`, False for no line per request; and `interface`, `"wsgi"`, `"rsgi"` or `"http1"` instead of the app's
        choice.
    :raises TypeError: for an option that neither knows.
    :raises SystemExit: with code 1 and one message when the address cannot be listened on.
    """
    if banner:
        say_what(getattr(app, "debug", None), getattr(app, "name", None))
    replaced = replaced_run_simple()
    if replaced is not None:
        replaced(host, port, app, **{name: value for name, value in options.items() if name not in OWN_OPTIONS})
        return
    check_options(options)
    try:
        if reason := needs_werkzeug(host, options):
            run_werkzeug(app, host, port, options, reason)
        else:
            _run_granian(app, host, port, options)
    except ServerError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)


def check_options(options: dict[str, Any]) -> None:
    """Refuse options that no server knows.

    :raises TypeError: with the nearest name that one knows.
    """
    known = OWN_OPTIONS | WERKZEUG_OPTIONS
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            guess = f" Did you mean {close[0]!r}?" if close else f" There are: {', '.join(sorted(known))}."
            raise TypeError(f"run() has no option {name!r}.{guess}")


WERKZEUG_OPTIONS: Final = frozenset(
    {
        "exclude_patterns",
        "extra_files",
        "passthrough_errors",
        "processes",
        "reloader_interval",
        "reloader_type",
        "request_handler",
        "ssl_context",
        "static_files",
        "threaded",
        "use_debugger",
        "use_evalex",
        "use_reloader",
    }
)
"""Options of `werkzeug.serving.run_simple`; a test compares them with its signature."""


def _run_granian(app: WSGIApp, host: str, port: int, options: dict[str, Any]) -> None:
    settings = development_settings(host, port, options)
    choice = development_choice(app, options)
    is_debugger_off = bool(options.get("use_debugger")) and choice.name != "wsgi"
    if is_debugger_off:
        options = {**options, "use_debugger": False}
    check_certificate(settings)
    listener = _inherited_listener() or listen(
        settings.bind,
        backlog=settings.backlog,
        hint=f"For example: app.run(port={port + 1}), or quaff run --port {port + 1}.",
    )
    with listener:
        os.environ["WERKZEUG_SERVER_FD"] = str(listener.fileno())
        if not is_child():
            say_interface(choice)
            if is_debugger_off:
                say_no_debugger(choice)
            say_where("https" if settings.uses_tls else "http", host, listener.getsockname()[1])
        serve = _Serving(app, choice, listener, settings, options)
        if options.get("use_reloader"):
            listener.set_inheritable(True)
            serve.under_reloader()
        else:
            serve.in_this_thread()


def development_settings(host: str, port: int, options: dict[str, Any]) -> ServeSettings:
    """Return the settings of the worker for *options*.

    :raises ServerError: when the port or a file of `ssl_context` is not usable.
    """
    certificate, key = options.get("ssl_context") or (None, None)
    return ServeSettings(
        bind=Address(host, port),
        workers=1,
        threads=options.get("threads") or default_threads(),
        graceful_timeout=GRACE,
        header_timeout=60,
        interface=options.get("interface"),
        certificate=Path(certificate) if certificate else None,
        key=Path(key) if key else None,
    )


def development_choice(app: WSGIApp, options: dict[str, Any]) -> Choice:
    """Return the interface to serve *app* over: WSGI under the debugger, which is made for it.

    An app with WebSockets, which WSGI has not, chooses for itself; the debugger is then left off.

    :raises SettingsError: when an event loop and the debugger are both asked for.
    """
    asked = options.get("interface")
    if not options.get("use_debugger"):
        return choose_interface(app, asked)
    if asked in {"rsgi", "http1"}:
        raise SettingsError(
            f"interface={asked!r} cannot be had with the debugger, which is WSGI middleware. Turn it off: --no-debugger, or"
            " app.run(use_debugger=False)."
        )
    first_websocket: Callable[[], str | None] | None = getattr(app, "first_websocket", None)
    if asked is None and first_websocket is not None and first_websocket() is not None:
        return choose_interface(app)
    return Choice("wsgi", "the debugger is on")


def _inherited_listener() -> socket.socket | None:
    """Return the socket that the reloader's parent listens on, in its child."""
    if not is_child():
        return None
    # The parent keeps it open while the child restarts: connections wait instead of being refused.
    with contextlib.suppress(KeyError, ValueError, OSError):
        return socket.socket(fileno=os.dup(int(os.environ["WERKZEUG_SERVER_FD"])))
    return None


class _Serving:
    """One run of the development server."""

    def __init__(
        self, app: WSGIApp, choice: Choice, listener: socket.socket, settings: ServeSettings, options: dict[str, Any]
    ) -> None:
        self._app = app
        self._choice = choice
        self._listener = listener
        self._settings = settings
        self._options = options
        self._worker: RunningWorker | None = None
        self._is_starting = False
        self._is_over = False

    def start(self) -> RunningWorker:
        """Start serving, in threads of Granian's."""
        from .access import development_log

        app = self._app
        if self._options.get("use_debugger"):
            app = debugged(app, self._settings.bind.host, evalex=self._options.get("use_evalex", True))
        log = development_log() if self._options.get("access_log", True) else None
        self._is_starting = True
        try:
            self._worker = start_chosen(self._choice, app, self._listener, self._settings, log=log)
        except Exception:
            if self._is_over:
                # In a thread of the reloader's: it saw a change, and the socket is closed already. This ends the thread.
                raise SystemExit from None
            raise
        finally:
            self._is_starting = False
        return self._worker

    def in_this_thread(self) -> None:
        """Serve until Ctrl-C or SIGTERM."""
        with _stop_signals():
            try:
                self.start().wait()
            except KeyboardInterrupt:
                pass
            finally:
                self._finish()

    def under_reloader(self) -> None:
        """Serve in a child process that starts again when a file changes."""
        options = {
            "extra_files": self._options.get("extra_files"),
            "exclude_patterns": self._options.get("exclude_patterns"),
            "interval": self._options.get("reloader_interval", 1),
        }
        code: object = None
        try:
            run_with_reloader(self.start, self._options.get("reloader_type", "auto"), **options)
        except SystemExit as stop:
            code = stop.code
            raise
        finally:
            self._finish(code if isinstance(code, int) else 0)

    def _finish(self, code: int = 0) -> None:
        self._is_over = True
        worker = self._worker
        if worker is not None:
            with contextlib.suppress(KeyboardInterrupt):
                worker.stop(GRACE)
        # The reloader starts the worker in a thread, and may see a change before that is done.
        if self._is_starting or (worker is not None and not worker.drained):
            atexit.register(_leave_without_waiting, worker, code)


def _leave_without_waiting(worker: RunningWorker | None, code: int) -> None:
    """End the process although a request is still running in one of Granian's threads, or is about to.

    The interpreter ends such threads by unwinding them, and Rust code answers that with an abort and a message.
    """
    if worker is not None and worker.drained:
        return
    atexit.unregister(_leave_without_waiting)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


@contextlib.contextmanager
def _stop_signals() -> Iterator[None]:
    """Let SIGTERM end the process as cleanly as Ctrl-C, and Ctrl-C work in a process started in the background.

    A handler that the program set itself stays. Outside the main thread nothing can be set, and nothing is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = {
        signal.SIGTERM: (signal.SIG_DFL, _exit_quietly),
        signal.SIGINT: (signal.SIG_IGN, signal.default_int_handler),
    }
    previous = {}
    for number, (when, handler) in wanted.items():
        if signal.getsignal(number) == when:
            previous[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, former in previous.items():
            signal.signal(number, former)


def _exit_quietly(number: int, frame: object) -> None:
    sys.exit(0)


def debugged(app: WSGIApp, host: str, *, evalex: bool = True) -> WSGIApp:
    """Return *app* inside Werkzeug's debugger, which answers an error with its traceback.

    :param host: what the server listens on. The console, which runs any code that is typed in, needs an address that
        only this machine can reach.
    :param evalex: whether to offer the console there.
    """
    from .debugger import Debugger

    # SECURITY: Werkzeug guards the console with a PIN alone; on an address of the network that is too little.
    console = evalex and is_loopback(host)
    application = Debugger(app, evalex=console)
    application.trusted_hosts.append(host)
    if evalex and not console:
        say_no_console(host)
    return application
