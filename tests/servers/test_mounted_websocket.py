"""WebSockets to mounted applications, over uvicorn, Granian RSGI and Quaff's own server, with a real client."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from quaff import Quaff, websocket
from tests.protocols.harness import INTERFACES, Served, until
from tests.servers.applications import BareWSGI, Events, build_fastapi, build_quaff
from tests.servers.process import PATIENCE

events: list[Any] = []


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """Do by the path what is wrong or rare, and note what comes."""
    if scope["type"] != "websocket":
        raise ValueError(scope["type"])
    events[:] = [scope, await receive()]
    what = scope["path"].rpartition("/")[2]
    if what == "refuse":
        await send({"type": "websocket.close", "code": 4000})
        return
    if what == "early":
        await send({"type": "websocket.send", "text": "before accepting"})
    await send({"type": "websocket.accept"})
    if what == "raise":
        raise ZeroDivisionError("in a WebSocket")
    if what == "return":
        return
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"] or b""})
    events.append(message)
    events.append(await receive())


@pytest.fixture(scope="module", params=["asgi", "rsgi", "http1"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Give a server with everything mounted."""
    app, middle = Quaff("host"), Quaff("middle")

    @app.websocket("/own")
    async def own() -> None:
        await websocket.send("own")

    @app.websocket("/api/ws")
    async def hidden() -> None:
        await websocket.send("hidden")

    app.mount("/legacy", BareWSGI(Events()))
    app.mount("/api", build_fastapi(Events()))
    app.mount("/inner", build_quaff(Events()))
    app.mount("/raw", raw)
    middle.mount("/inner", build_quaff(Events()))
    middle.mount("/api", build_fastapi(Events()))
    app.mount("/middle", middle)
    app.config["TRUSTED_HOSTS"] = ["127.0.0.1"]
    with INTERFACES[request.param](app) as port:
        found = Served(request.param, port)
        yield found
        found.client.close()


def open_socket(served: Served, path: str, **options: Any) -> ClientConnection:
    """Open a WebSocket to a path."""
    return connect(f"ws://127.0.0.1:{served.port}{path}", open_timeout=PATIENCE, proxy=None, **options)


@pytest.mark.parametrize("path", ["/api", "/inner", "/middle/api", "/middle/inner"])
def test_a_mounted_application_talks(served: Served, path: str) -> None:
    """It has its prefix, hears and answers, and closes; a route of the app at the same place does not hide it."""
    with open_socket(served, f"{path}/ws") as client:
        client.send("hi")
        assert client.recv(PATIENCE) == f"{path} said hi"
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE)


def test_the_apps_own_websockets_are_served(served: Served) -> None:
    """Those beside the mounts are the app's."""
    with open_socket(served, "/own") as client:
        assert client.recv(PATIENCE) == "own"


@pytest.mark.parametrize(
    "path,status", [("/legacy/ws", 400), ("/api/nothing", 403), ("/inner/nothing", 404), ("/nothing", 404)]
)
def test_refused(served: Served, path: str, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """WSGI applications have no WebSockets, and others refuse what they do not know; none of it is an error."""
    with pytest.raises(InvalidStatus) as caught:
        open_socket(served, path)
    assert caught.value.response.status_code == status
    messages = {record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR}
    # uvicorn says this when the application returns before it has got round to closing the refused connection.
    assert messages <= {"ASGI callable returned without completing handshake."}


def test_bad_hosts_are_refused(served: Served) -> None:
    """A host that the app does not trust gets to no mounted application."""
    with pytest.raises(InvalidStatus) as caught:
        # The client library would add a header to the one that it makes of the address, and two are refused anyway.
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE) as raw_socket:
            connect("ws://bad.example/raw/x", sock=raw_socket, open_timeout=PATIENCE, proxy=None)
    assert caught.value.response.status_code == 400


def test_what_an_asgi_application_sees(served: Served) -> None:
    """The scope is that of a WebSocket at its place, and the events are those of ASGI, to the end."""
    with open_socket(served, "/raw/echo?q=1", subprotocols=["a", "b"]) as client:
        client.send(b"\x00\xff")
        assert client.recv(PATIENCE) == b"\x00\xff"
    until(lambda: len(events) == 4)
    scope, first, last, again = events
    assert (scope["root_path"], scope["path"], scope["query_string"]) == ("/raw", "/raw/echo", b"q=1")
    assert (scope["scheme"], list(scope["subprotocols"])) == ("ws", ["a", "b"])
    assert "method" not in scope
    assert first == {"type": "websocket.connect"}
    assert (last["type"], again["type"]) == ("websocket.disconnect", "websocket.disconnect")


def test_refusing(served: Served) -> None:
    """To close before accepting is a 403."""
    with pytest.raises(InvalidStatus) as caught:
        open_socket(served, "/raw/refuse")
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/raw/raise", "/raw/return"])
def test_an_application_that_ends_closes_the_connection(
    served: Served, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """When it returns or raises, the client is not left waiting; an error is logged once."""
    with open_socket(served, path) as client, pytest.raises(ConnectionClosed):
        client.recv(PATIENCE)
    expected = 1 if path == "/raw/raise" else 0
    if expected:
        until(lambda: "ZeroDivisionError" in caplog.text)
        assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1
    assert served.get("/nothing").status_code == 404


def test_sending_before_accepting_is_an_error(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """The application gets an exception, and the client a refusal."""
    with pytest.raises(InvalidStatus):
        open_socket(served, "/raw/early")
    until(lambda: any(record.levelno >= logging.ERROR for record in caplog.records))
