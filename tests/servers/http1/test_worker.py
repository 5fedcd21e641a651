"""Quaff's own server inside this process: started once its app has started, and stopped without a trace."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from quaff import Quaff, request
from quaff._internal.threads import worker_threads
from quaff.servers import SettingsError
from quaff.servers.http1.worker import start_http1_worker
from quaff.servers.settings import Address, ServeSettings
from tests.protocols.harness import until
from tests.servers import certificates
from tests.servers.http1.conftest import Serve
from tests.servers.http1.serving import Client
from tests.servers.process import PATIENCE

GET = "GET / HTTP/1.1\nHost: a\n\n"


def settings(**values: object) -> ServeSettings:
    """Return settings for one worker on a free port."""
    return ServeSettings(**({"bind": Address("127.0.0.1", 0), "workers": 1} | values))  # type: ignore[arg-type]


def add_views(app: Quaff) -> list[str]:
    """Give *app* a sync and an async view, and note when it starts and stops."""
    events: list[str] = []

    @app.before_serving
    async def before() -> None:
        events.append("startup")

    @app.after_serving
    async def after() -> None:
        events.append("shutdown")

    @app.route("/", methods=["GET", "POST"])
    async def index() -> str:
        events.append(threading.current_thread().name)
        return f"{request.method} {len(await request.load_body())}"

    @app.get("/sync")
    def sync() -> str:
        events.append(threading.current_thread().name)
        return "sync"

    return events


def loop_threads() -> list[threading.Thread]:
    """Return the threads of event loops that run; one that is just ending is waited for."""
    for thread in threading.enumerate():
        if thread.name == "quaff-loop":
            thread.join(PATIENCE)
    return [thread for thread in threading.enumerate() if thread.name == "quaff-loop"]


def descriptors() -> int:
    """Return how many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


def test_an_app_lives_as_long_as_its_worker(app: Quaff, serve: Serve) -> None:
    """Startup before the first request, shutdown after the last; async views on the loop, others in worker threads."""
    events = add_views(app)
    server = serve(app)
    assert events == ["startup"]
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=PATIENCE) as client:
        assert client.get("/").text == "GET 0"
        assert client.post("/", content=b"x" * 100_000).text == "POST 100000"
        assert client.get("/sync").text == "sync"
    assert server.worker.stop(PATIENCE)
    assert server.worker.stop(0), "a second order is harmless"
    assert events[1:3] == ["quaff-loop"] * 2
    assert events[3].startswith("quaff-worker-")
    assert events[4:] == ["shutdown"]
    assert loop_threads() == []


def test_many_requests_wait_at_once(app: Quaff, serve: Serve) -> None:
    """However few threads there are, async views that wait do not keep others from being answered."""
    gate = asyncio.Event()

    @app.get("/wait")
    async def wait() -> str:
        await gate.wait()
        return "waited"

    @app.get("/open")
    async def let_go() -> str:
        gate.set()
        return "opened"

    server = serve(app, threads=1)
    clients = [server.send("GET /wait HTTP/1.1\nHost: a\n\n") for _ in range(30)]
    until(lambda: len(server.service._tasks) == 30)
    assert server.get("/open").text == "opened"
    assert [client.answer().text for client in clients] == ["waited"] * 30


def test_threads_beside_the_loop_are_as_many_as_were_asked_for(app: Quaff, serve: Serve) -> None:
    """Sync code runs in worker threads, within the limit of the settings."""
    limit = worker_threads.limit
    try:
        serve(app, threads=7)
        assert worker_threads.limit == 7
    finally:
        worker_threads.limit = limit


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_what_the_startup_raises_is_raised(app: Quaff) -> None:
    """Nothing was accepted, and nothing is left open; a client that waits meanwhile is served by the next worker."""
    broken = Quaff("broken", static_folder=None)

    @broken.before_serving
    async def before() -> None:
        raise ValueError("no database")

    add_views(app)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as early:
        early.settimeout(PATIENCE)
        client = Client(early).send(GET)
        before_it = descriptors()
        with pytest.raises(ValueError, match="no database"):
            start_http1_worker(broken, listener, settings())
        assert loop_threads() == []
        assert descriptors() == before_it
        worker = start_http1_worker(app, listener, settings())
        try:
            assert client.answer().text == "GET 0"
        finally:
            assert worker.stop(PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_bad_certificate_is_refused_before_anything_starts(app: Quaff, tmp_path: Path) -> None:
    """The error names the files; no loop is left behind."""
    events = add_views(app)
    one, two = certificates.make(tmp_path, "one"), certificates.make(tmp_path, "two")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        before = descriptors()
        with pytest.raises(SettingsError, match=r"two\.key"):
            start_http1_worker(app, listener, settings(certificate=one.certificate, key=two.key))
        assert descriptors() == before
    assert events == []
    assert loop_threads() == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_nothing_is_left_of_a_worker(app: Quaff, serve: Serve) -> None:
    """After the stop its sockets are closed and its thread is gone; the listener is the caller's and stays open."""
    add_views(app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        counts = []
        for _ in range(3):
            worker = start_http1_worker(app, listener, settings())
            with socket.create_connection(listener.getsockname(), timeout=PATIENCE) as connection:
                assert Client(connection).send(GET).answer().text == "GET 0"
            with socket.create_connection(listener.getsockname(), timeout=PATIENCE) as connection:
                Client(connection).send(GET).answer()
                assert worker.stop(PATIENCE)
            assert loop_threads() == []
            counts.append(descriptors())
        assert counts[0] == counts[1] == counts[2]
        assert listener.fileno() > 0
        assert not os.get_blocking(listener.fileno())


def test_workers_share_a_listener(app: Quaff) -> None:
    """When one turns away and stops, the other takes every new client."""
    old, new = Quaff("old", static_folder=None), Quaff("new", static_folder=None)
    for each in (old, new):

        @each.get("/")
        async def index(name: str = each.import_name) -> str:
            return name

    def ask() -> str:
        with socket.create_connection(listener.getsockname(), timeout=PATIENCE) as connection:
            return Client(connection).send("GET / HTTP/1.1\nHost: a\nConnection: close\n\n").answer().text

    with socket.create_server(("127.0.0.1", 0)) as listener:
        first = start_http1_worker(old, listener, settings())
        assert ask() == "old"
        first.turn_away()
        second = start_http1_worker(new, listener, settings())
        acceptor = until(lambda: first._order_stop.__self__._acceptor)  # type: ignore[attr-defined]
        until(lambda: acceptor._task is None)
        try:
            # One that was asked to wait for the next client at that very moment may still get it.
            ask()
            assert {ask() for _ in range(10)} == {"new"}
            assert first.stop(PATIENCE)
            assert {ask() for _ in range(10)} == {"new"}
        finally:
            assert first.stop(PATIENCE)
            assert second.stop(PATIENCE)


def test_stopping_waits_for_as_long_as_it_may(app: Quaff, serve: Serve) -> None:
    """The worker tells whether it is through; it never takes much longer than its time for stopping."""
    began = threading.Event()

    @app.get("/forever")
    async def forever() -> str:
        began.set()
        await asyncio.Event().wait()
        return ""

    server = serve(app, graceful_timeout=0.2)
    with server.send("GET /forever HTTP/1.1\nHost: a\n\n") as client:
        assert began.wait(PATIENCE)
        started = time.monotonic()
        assert server.worker.stop(0) is False
        assert not server.worker.drained
        assert server.worker.wait(PATIENCE)
        assert time.monotonic() - started >= 0.15, "it gets its time first"
        assert client.answer().status == 503


def test_a_quiet_stop_logs_nothing(app: Quaff, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Clients that come and go, and a worker that stops, are no news."""
    add_views(app)
    server = serve(app)
    with caplog.at_level(logging.INFO):
        with server.send(GET) as client:
            client.answer()
            assert server.worker.stop(PATIENCE)
    assert [record for record in caplog.records if record.name.startswith(("quaff", "asyncio"))] == []
