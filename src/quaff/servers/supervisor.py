"""The production server: one process that keeps worker processes alive.

The supervisor holds the listening socket and never imports the app. Each worker imports it, and accepts from that one
socket. So a worker that dies takes only its own requests with it, connections that wait are taken by another, and a
reload serves new code without a moment in which nobody listens.

Granian has a supervisor of its own (`granian.server`). It was not taken because it ends the whole server when a worker
dies twice within five seconds, replaces good workers by ones that fail to import, and gives each worker a socket whose
waiting connections are lost with it.

Signals: SIGTERM and Ctrl-C stop (running requests get `graceful_timeout`; a second one kills), SIGHUP reloads.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..stores.private_files import SharedMemoryError
from ..stores.shared_dir import provide_shared_dir
from .errors import ServerError
from .pidfile import pid_file
from .process import HANDLED, READY, LoadApp, become_worker
from .settings import Address, ServeSettings
from .sockets import listen, unlinker
from .tls import check_certificate

FIRST_DELAY: Final = 0.5
"""Seconds before a dead worker is replaced. Doubled each time the replacement dies young, up to `LONGEST_DELAY`."""

LONGEST_DELAY: Final = 30.0
YOUNG: Final = 10.0
"""A worker that dies within this many seconds died young."""

logger: Final = logging.getLogger("quaff.serve")


def run_production(load: LoadApp, settings: ServeSettings) -> int:
    """Serve until a signal ends it, and return the exit code for the process.

    :param load: returns the app; called in each worker, never here. It prints what goes wrong, and raises SystemExit.
    :raises ServerError: when the address, a TLS file or the pid file is not usable.
    """
    _log_to_stderr()
    check_certificate(settings)
    other = Address(settings.bind.host, settings.bind.port + 1)
    hint = f"For example: quaff serve --bind {other}."
    with pid_file(settings.pid_file):
        listener = listen(
            settings.bind, backlog=settings.backlog, unix_permissions=settings.unix_permissions, hint=hint
        )
        unlink = unlinker(listener)
        try:
            if not hasattr(os, "fork"):
                return _serve_alone(load, settings, listener)
            with _shared_memory(settings):
                return Supervisor(load, settings, listener).run()
        finally:
            listener.close()
            unlink()


@contextlib.contextmanager
def _shared_memory(settings: ServeSettings) -> Iterator[None]:
    """Give several workers a directory for what they share, such as the counters of rate limits."""
    if settings.workers == 1:
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(provide_shared_dir())
        except SharedMemoryError as error:
            raise ServerError(str(error)) from error
        yield


def _log_to_stderr() -> None:
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("[%(asctime)s] [%(process)d] %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _serve_alone(load: LoadApp, settings: ServeSettings, listener: socket.socket) -> int:
    """Serve from this process, where the system cannot fork."""
    from .interface import choose_interface, start_chosen

    app = load()
    choice = choose_interface(app, settings.interface, http=settings.http)
    worker = start_chosen(choice, app, listener, settings)
    logger.info("Started the worker over %s", choice)
    _announce(settings, listener)
    try:
        worker.wait()
    except KeyboardInterrupt:
        worker.stop(settings.graceful_timeout)
    return 0


def _announce(settings: ServeSettings, listener: socket.socket) -> None:
    where = settings.bind
    if not where.is_unix:
        where = Address(where.host, listener.getsockname()[1])
    url = str(where) if where.is_unix else f"{'https' if settings.uses_tls else 'http'}://{where}"
    count = f"{settings.workers} worker{'s' if settings.workers > 1 else ''}"
    logger.info("Serving on %s with %s of %d threads", url, count, settings.threads)


@dataclass(eq=False, slots=True)
class Worker:
    """What the supervisor knows of one worker process."""

    number: int
    """Its place among the workers, from 1. A replacement has the number of the one that it replaces."""

    pid: int
    ready: int | None
    """Descriptor of the pipe on which it says that it serves; None once it has."""

    born: float
    in_reload: bool = False
    """Whether it was started to run new code in the place of an older worker."""

    deadline: float | None = None
    """When it is killed, while it is being stopped."""

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self.pid})"


class Supervisor:
    """Keeps the workers of one server alive. Single-threaded: everything happens in `run`, one event after another."""

    def __init__(self, load: LoadApp, settings: ServeSettings, listener: socket.socket) -> None:
        self._load = load
        self._settings = settings
        self._listener = listener
        self._workers: dict[int, Worker] = {}
        self._due: dict[int, float] = {}
        """Number of a worker -> when it is started."""
        self._young_deaths: dict[int, int] = {}
        self._to_reload: deque[int] = deque()
        """Numbers of workers that have yet to be replaced in a reload."""
        self._booted = False
        self._stopping = False
        self._code = 0
        self._signals: deque[int] = deque()
        self._wake_read, self._wake_write = os.pipe()

    def run(self) -> int:
        """Serve until a signal ends it, and return the exit code."""
        # The first worker shows whether the app can be imported at all; one message is enough.
        self._due[1] = 0.0
        with self._catch_signals():
            while True:
                self._handle_signals()
                self._reap()
                if self._stopping and not self._workers:
                    return self._code
                self._kill_overdue()
                self._start_due()
                self._sleep()

    # Signals and time ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _catch_signals(self) -> Iterator[None]:
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)
        former_wake = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        former = {
            number: signal.signal(number, lambda which, _frame: self._signals.append(which)) for number in HANDLED
        }
        try:
            yield
        finally:
            signal.set_wakeup_fd(former_wake)
            for number, handler in former.items():
                signal.signal(number, handler)
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _handle_signals(self) -> None:
        while self._signals:
            number = self._signals.popleft()
            if number in {signal.SIGTERM, signal.SIGINT}:
                self._stop()
            elif number == signal.SIGHUP and self._booted and not self._stopping:
                logger.info("Reloading")
                self._to_reload = deque(range(1, self._settings.workers + 1))
                self._reload_next()

    def _sleep(self) -> None:
        """Wait for a signal, for a worker to say that it serves, or for the next thing that is due."""
        times = [*self._due.values(), *(limit for worker in self._workers.values() if (limit := self._limit(worker)))]
        seconds = max(0.0, min(times) - time.monotonic()) if times else None
        booting = {worker.ready: worker for worker in self._workers.values() if worker.ready is not None}
        readable, _, _ = select.select([self._wake_read, *booting], [], [], seconds)
        for descriptor in readable:
            if descriptor == self._wake_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(descriptor, 4096)
            else:
                self._hear(booting[descriptor], descriptor)

    def _limit(self, worker: Worker) -> float | None:
        """Return when *worker* is killed if it does not move on, or None."""
        if worker.deadline is None and worker.in_reload and worker.ready is not None:
            return worker.born + self._settings.boot_timeout
        return worker.deadline

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for worker in self._workers.values():
            limit = self._limit(worker)
            if limit is not None and limit <= now:
                logger.warning("Killing %s: it did not %s in time", worker, "stop" if worker.deadline else "start")
                worker.deadline = now + 3600
                self._signal(worker, signal.SIGKILL)

    # Starting --------------------------------------------------------------------------------------------------------

    def _start_due(self) -> None:
        now = time.monotonic()
        for number in [number for number, when in self._due.items() if when <= now]:
            del self._due[number]
            self._start(number)

    def _start(self, number: int, *, in_reload: bool = False) -> None:
        ready_read, ready_write = os.pipe()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # Or the child would print it a second time.
        # A signal to the child must wait until the child has taken off the supervisor's handlers, or it would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        pid = os.fork()
        if pid == 0:
            os.close(ready_read)
            become_worker(self._load, self._listener, self._settings, number, ready_write)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        os.close(ready_write)
        self._workers[pid] = Worker(number, pid, ready_read, time.monotonic(), in_reload)

    def _hear(self, worker: Worker, pipe: int) -> None:
        """Take note of what *worker* says on its *pipe*: that it serves, or by closing the pipe that it never will."""
        said = os.read(pipe, 4096)
        os.close(pipe)
        worker.ready = None
        if not said.startswith(READY) or worker.deadline is not None:
            return
        logger.info("Started %s%s", worker, said.removeprefix(READY).decode(errors="replace"))
        if not self._booted:
            self._booted = True
            _announce(self._settings, self._listener)
            self._due.update(dict.fromkeys(range(2, self._settings.workers + 1), 0.0))
        if worker.in_reload:
            worker.in_reload = False
            for other in self._workers.values():
                if other.number == worker.number and other is not worker and other.deadline is None:
                    self._retire(other)
            self._reload_next()

    def _reload_next(self) -> None:
        """Start the next replacement of a reload, unless one is starting."""
        if self._to_reload and not any(worker.in_reload for worker in self._workers.values()):
            number = self._to_reload.popleft()
            # One that is due anyway starts with the new code anyway.
            self._due.pop(number, None)
            self._start(number, in_reload=True)

    # Ending ----------------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Take note of workers that have ended."""
        while self._workers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if worker := self._workers.pop(pid, None):
                self._mourn(worker, os.waitstatus_to_exitcode(status))

    def _mourn(self, worker: Worker, code: int) -> None:
        if worker.ready is not None:
            os.close(worker.ready)
        if worker.deadline is not None and not worker.in_reload:
            logger.info("Stopped %s", worker)
        elif self._stopping:
            return
        elif not self._booted:
            self._code = code if code > 0 else 1
            self._stop()
        elif worker.in_reload:
            self._to_reload.clear()
            logger.error("The reload was given up: the new %s did not start. The old code goes on serving.", worker)
            self._replace_if_missing(worker)
        else:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            self._schedule(worker, f"{worker} {how}")

    def _replace_if_missing(self, worker: Worker) -> None:
        """Start a worker for the place of *worker* if the one that it should have replaced is gone as well."""
        if not any(other.number == worker.number for other in self._workers.values()):
            self._schedule(worker, f"The old worker {worker.number} is gone as well")

    def _schedule(self, worker: Worker, what: str) -> None:
        now = time.monotonic()
        if any(other.in_reload and other.number == worker.number for other in self._workers.values()):
            logger.error("%s. Its replacement is starting.", what)
            return
        deaths = self._young_deaths.get(worker.number, 0) + 1 if now - worker.born < YOUNG else 0
        self._young_deaths[worker.number] = deaths
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** max(0, deaths - 1))
        self._due[worker.number] = now + delay
        logger.error("%s. A new one starts in %.1f seconds.", what, delay)

    def _retire(self, worker: Worker) -> None:
        worker.deadline = time.monotonic() + self._settings.graceful_timeout
        self._signal(worker, signal.SIGTERM)

    def _stop(self) -> None:
        """Stop all workers: the first time with grace, the second time without."""
        self._due.clear()
        self._to_reload.clear()
        workers = list(self._workers.values())
        if self._stopping:
            for worker in workers:
                self._signal(worker, signal.SIGKILL)
            return
        self._stopping = True
        if self._booted:
            logger.info("Stopping")
        # Once the workers have closed theirs, clients are refused instead of kept waiting.
        self._listener.close()
        for worker in workers:
            if worker.deadline is None:
                self._retire(worker)

    @staticmethod
    def _signal(worker: Worker, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, number)
