"""New connections: as many as there is room for, with TLS where that is wanted, over TCP or a unix socket."""

from __future__ import annotations

import errno
import logging
import os
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from quaff import Quaff, request
from quaff.servers.http1 import acceptor
from quaff.servers.settings import Address
from quaff.servers.sockets import listen
from tests.protocols.harness import until
from tests.servers import certificates
from tests.servers.http1.conftest import Serve
from tests.servers.http1.serving import Client, Server
from tests.servers.process import PATIENCE

GET = "GET / HTTP/1.1\nHost: a\n\n"


@pytest.fixture
def app() -> Quaff:
    """Give an app that says how it was asked."""
    app = Quaff("http1", static_folder=None)

    @app.get("/")
    async def index() -> str:
        return f"{request.scheme} {request.remote_addr}"

    return app


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certificates.Pair:
    """Give a certificate authority."""
    return certificates.make(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture
def pair(tmp_path: Path, authority: certificates.Pair) -> certificates.Pair:
    """Give the certificate of the server."""
    return certificates.make(tmp_path, "server", issuer=authority)


def test_a_full_worker_lets_clients_wait(app: Quaff, serve: Serve) -> None:
    """The next one is served when another has left, and nobody is turned down."""
    server = serve(app, backpressure=2)
    one, two, three = (server.send(GET) for _ in range(3))
    assert [one.answer().status, two.answer().status] == [200, 200]
    assert server.service.count == 2
    three.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        three.socket.recv(1)
    three.socket.settimeout(PATIENCE)
    one.socket.close()
    assert three.answer().status == 200
    assert two.send(GET).answer().status == 200


class FullListener(socket.socket):
    """A listening socket in a process that has no descriptors left for a while."""

    failures: list[int]

    def accept(self) -> tuple[socket.socket, Any]:
        """Take a client, or fail."""
        if self.failures:
            number = self.failures.pop()
            raise OSError(number, os.strerror(number))
        return super().accept()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPERM])
def test_without_room_for_connections_it_waits(
    app: Quaff, serve: Serve, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log each time, and a pause; then it goes on."""
    monkeypatch.setattr(acceptor, "_PAUSE", 0.01)
    listener = FullListener()
    listener.failures = [number]
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = serve(app, listener=listener)
    assert server.get().status == 200
    assert listener.failures == []
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("quaff.serve", logging.ERROR)
    assert record.getMessage() == f"No new connections for a moment: {os.strerror(number)}"


def test_a_client_that_was_too_fast_is_no_error(app: Quaff, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """It was gone before it was its turn; the next one is served."""
    listener = FullListener()
    listener.failures = [errno.ECONNABORTED, errno.EINTR]
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    assert serve(app, listener=listener).get().status == 200
    assert caplog.records == []


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no unix sockets")
def test_a_unix_socket_is_served(app: Quaff, serve: Serve, tmp_path: Path) -> None:
    """Its clients have no address; each request has the answer that it has over TCP."""
    path = tmp_path / "app.sock"
    serve(app, listener=listen(Address(path=str(path))))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(path))
        client = Client(connection)
        assert client.send(GET).answer().text.startswith("http ")
        assert client.send(GET).answer().status == 200


# TLS -------------------------------------------------------------------------------------------------------------------


def encrypted(server: Server, context: ssl.SSLContext) -> Client:
    """Return a connection with TLS."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    try:
        return Client(context.wrap_socket(connection, server_hostname="127.0.0.1"))
    except BaseException:
        connection.close()
        raise


def test_tls_is_spoken(app: Quaff, serve: Serve, authority: certificates.Pair, pair: certificates.Pair) -> None:
    """With the certificate of the settings and HTTP/1.1 as the protocol; the app sees `https`."""
    server = serve(app, certificate=pair.certificate, key=pair.key)
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with encrypted(server, context) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == "http/1.1"
        assert client.send(GET).answer().text == "https 127.0.0.1"
        assert client.send("GET / HTTP/1.1\nHost: a\nConnection: close\n\n").answer().text == "https 127.0.0.1"
        assert client.rest() == b""


def test_clients_need_a_certificate_where_that_is_asked_for(
    app: Quaff, serve: Serve, authority: certificates.Pair, pair: certificates.Pair, tmp_path: Path
) -> None:
    """One of the given authority's; without one, or with one of another's, no request is read."""
    server = serve(app, certificate=pair.certificate, key=pair.key, client_ca=authority.certificate)
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with pytest.raises((ssl.SSLError, ConnectionError, http_error())), encrypted(server, context) as client:
        client.send(GET).answer()
    stranger = certificates.make(tmp_path, "stranger")
    context.load_cert_chain(stranger.certificate, stranger.key)
    with pytest.raises((ssl.SSLError, ConnectionError, http_error())), encrypted(server, context) as client:
        client.send(GET).answer()
    known = certificates.make(tmp_path, "known", issuer=authority)
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(known.certificate, known.key)
    with encrypted(server, context) as client:
        assert client.send(GET).answer().text == "https 127.0.0.1"


def http_error() -> type[Exception]:
    """Return what `http.client` raises when the other side closes without an answer."""
    from http.client import RemoteDisconnected

    return RemoteDisconnected


def test_what_is_no_tls_is_dropped(
    app: Quaff, serve: Serve, authority: certificates.Pair, pair: certificates.Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """Quietly, for anybody can send it: port scanners do. The next client is served."""
    server = serve(app, certificate=pair.certificate, key=pair.key)
    with server.send(GET) as client:
        assert not client.rest().startswith(b"HTTP")
    server.connect().socket.close()
    with encrypted(server, ssl.create_default_context(cafile=str(authority.certificate))) as client:
        assert client.send(GET).answer().status == 200
    assert caplog.records == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_handshake_that_never_ends_keeps_no_worker(app: Quaff, serve: Serve, pair: certificates.Pair) -> None:
    """A client that has begun TLS and says nothing more is dropped when the worker stops, and counts until then."""
    server = serve(app, certificate=pair.certificate, key=pair.key, backpressure=2)
    with server.connect() as silent:
        until(lambda: server.acceptor._connecting)
        assert server.worker.stop(PATIENCE)
        assert silent.rest() == b""
