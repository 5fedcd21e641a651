"""The production server and an app with a WebSocket: who is connected is told when it stops or reloads."""

from __future__ import annotations

import os
import re
import signal
import ssl
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.servers import certificates
from tests.servers.process import PATIENCE, ServerProcess, write
from tests.servers.supervised import serving, start, workers

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")

CHAT = """\
from quaff import Quaff, websocket

VERSION = "one"
app = Quaff(__name__, static_folder=None)


@app.get("/")
def index():
    return VERSION


@app.websocket("/ws")
async def chat():
    async for message in websocket:
        await websocket.send(f"{VERSION} {message}")


@app.websocket("/blocking")
def blocking():
    for message in websocket:
        websocket.send(f"{VERSION} {message}")
"""

GOING_AWAY = 1001


def join(server: ServerProcess, path: str = "/ws") -> ClientConnection:
    """Connect a WebSocket."""
    return connect(f"ws://127.0.0.1:{server.port}{path}", open_timeout=PATIENCE, proxy=None)


def say(client: ClientConnection, message: str) -> str | bytes:
    """Send a message, and return the answer to it."""
    client.send(message)
    return client.recv(PATIENCE)


def is_sent_away(client: ClientConnection) -> None:
    """Wait until the server closes the WebSocket, and check how it does."""
    with pytest.raises(ConnectionClosed):
        client.recv(PATIENCE)
    assert client.close_code == GOING_AWAY


def test_it_is_served_and_why_is_said(tmp_path: Path) -> None:
    """Over Quaff's own server, once in the log however many workers there are; pages beside it are served as well."""
    with serving(tmp_path, CHAT, workers=2) as server:
        assert re.search(r"Started worker 1 \(pid \d+\) over HTTP1: '/ws' is a WebSocket$", server.output, re.MULTILINE)
        assert server.output.count("over HTTP1") == 1
        assert server.get().text == "one"
        for _ in range(4):
            with join(server) as client, join(server, "/blocking") as other:
                assert (say(client, "a"), say(other, "b")) == ("one a", "one b")
        assert server.stop(signal.SIGTERM, group=False) == 0
        assert "Traceback" not in server.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_says_goodbye(tmp_path: Path, number: signal.Signals) -> None:
    """Each client gets a closing frame that says why, and nobody waits for the graceful time-out."""
    with serving(tmp_path, CHAT, workers=1, graceful_timeout=PATIENCE * 2) as server:
        with join(server) as client, join(server, "/blocking") as other:
            assert (say(client, "a"), say(other, "b")) == ("one a", "one b")
            server.send(number, group=True)
            is_sent_away(client)
            is_sent_away(other)
        assert server.wait() == 0
        assert "Stopped worker 1" in server.output
        assert "Killing" not in server.output
        assert "Traceback" not in server.output


def test_a_reload_sends_clients_to_the_new_code(tmp_path: Path) -> None:
    """They are told to go away once the new worker serves; who connects again, and who knocks meanwhile, is served by it."""
    with serving(tmp_path, CHAT, workers=1) as server:
        old = workers(server)[1]
        with join(server) as client, join(server, "/blocking") as other:
            assert (say(client, "a"), say(other, "b")) == ("one a", "one b")
            write(tmp_path, "service.py", CHAT.replace('"one"', '"two"'))
            server.send(signal.SIGHUP)
            is_sent_away(client)
            is_sent_away(other)
            with join(server) as again:
                assert say(again, "c") == "two c"
                server.wait_for(rf"Stopped worker 1 \(pid {old}\)")
                assert say(again, "d") == "two d"
        assert workers(server)[1] != old
        assert server.get().text == "two"
        assert server.stop(signal.SIGTERM, group=False) == 0
        assert "Killing" not in server.output
        assert "Traceback" not in server.output


def test_code_that_is_bad_sends_nobody_away(tmp_path: Path) -> None:
    """When the new code does not start, clients stay connected to the old one."""
    with serving(tmp_path, CHAT, workers=1) as server, join(server) as client:
        assert say(client, "a") == "one a"
        write(tmp_path, "service.py", "def broken(:\n")
        server.send(signal.SIGHUP)
        server.wait_for("The reload was given up")
        assert say(client, "b") == "one b"


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    """Its clients are cut off, and can connect again at once: the connection waits for the next worker."""
    with serving(tmp_path, CHAT, workers=1) as server:
        with join(server) as client:
            assert say(client, "a") == "one a"
            os.kill(workers(server)[1], signal.SIGKILL)
            with pytest.raises(ConnectionClosed):
                client.recv(PATIENCE)
        with join(server) as again:
            assert say(again, "b") == "one b"


def test_over_tls(tmp_path: Path) -> None:
    """`wss://` works with the certificate of the settings."""
    authority = certificates.make(tmp_path, "authority")
    pair = certificates.make(tmp_path, "server", issuer=authority)
    values = {"certificate": str(pair.certificate), "key": str(pair.key)}
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    with serving(tmp_path, CHAT, workers=1, **values) as server:
        url = f"wss://127.0.0.1:{server.port}/ws"
        with connect(url, ssl=trust, open_timeout=PATIENCE, proxy=None) as client:
            assert say(client, "a") == "one a"
            server.send(signal.SIGTERM)
            is_sent_away(client)
        assert server.wait() == 0


def test_another_interface_may_be_asked_for(tmp_path: Path) -> None:
    """Granian has WebSockets too, over RSGI, without the codes; HTTP/2 is a reason for it."""
    with serving(tmp_path, CHAT, workers=1, interface="rsgi") as server:
        assert "over RSGI: --interface rsgi" in server.output
        with join(server) as client:
            assert say(client, "a") == "one a"
    with serving(tmp_path, CHAT, workers=1, http="2") as server:
        assert "over RSGI: '/ws' is a WebSocket" in server.output


def test_contradictions_end_the_start(tmp_path: Path) -> None:
    """HTTP/2 over Quaff's own server is one message and no traceback."""
    with start(tmp_path, CHAT, workers=1, http="2", interface="http1") as server:
        assert server.wait() == 1
    assert "Error: interface='http1' and http='2' contradict each other." in server.output
    assert "Traceback" not in server.output
