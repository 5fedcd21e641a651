"""Listening sockets, and messages about those that cannot be made."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from quaff.servers import BindError
from quaff.servers import sockets as sockets_module
from quaff.servers.settings import Address
from quaff.servers.sockets import listen, outside_address, unlinker


def connect(address: tuple[str, int] | str) -> None:
    """Connect once, and hang up."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(address)


def test_a_free_port_is_found() -> None:
    """Port 0 gives a socket that listens on a port of the system's choice."""
    with listen(Address("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        connect((host, port))


def test_small_answers_are_not_held_back() -> None:
    """Accepted connections inherit from the listener that nothing is delayed for the sake of larger packets."""
    with listen(Address("127.0.0.1", 0)) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_listener_is_not_inherited_by_programs() -> None:
    """A program that the app starts must not keep the port."""
    with listen(Address("127.0.0.1", 0)) as listener:
        assert not listener.get_inheritable()


def test_ipv6() -> None:
    """An IPv6 address is listened on as such."""
    try:
        listener = listen(Address("::1", 0))
    except BindError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    with listener:
        assert listener.family == socket.AF_INET6


def test_a_port_in_use_is_named_with_a_way_out() -> None:
    """The message says which port, and carries the hint how to choose another."""
    with listen(Address("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(BindError) as caught:
            listen(Address("127.0.0.1", port), hint="Try --port 5002.")
    message = str(caught.value)
    assert message == (
        f"Port {port} is in use by another program. Either identify and stop that program, or start the server with a"
        " different port. Try --port 5002."
    )


def test_a_port_in_use_is_noticed_although_its_owner_shares_it() -> None:
    """A server that lets others share its port does not make ours serve every other request."""
    if not hasattr(socket, "SO_REUSEPORT"):
        pytest.skip("this system does not share ports")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BindError, match="is in use"):
            listen(Address("127.0.0.1", other.getsockname()[1]))


def test_a_port_is_free_again_at_once() -> None:
    """Stopping a server and starting it again works without a pause, also when connections were just closed."""
    with listen(Address("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            listener.setblocking(True)
            accepted, _ = listener.accept()
            accepted.close()
            assert client.recv(1) == b""
    with listen(Address("127.0.0.1", port)) as again:
        assert again.getsockname()[1] == port


@pytest.mark.parametrize(
    "number,message",
    [
        (errno.EACCES, "Port 80 may not be used by this user: ports below 1024 need rights that it does not have."),
        (errno.EADDRNOTAVAIL, "10.0.0.9 is not an address of this machine. Use 127.0.0.1, or 0.0.0.0 for all"),
        (errno.ENOBUFS, "10.0.0.9:80 cannot be listened on: No buffer space available."),
    ],
)
def test_other_reasons_are_told_apart(monkeypatch: pytest.MonkeyPatch, number: int, message: str) -> None:
    """Rights, foreign addresses and everything else have messages of their own."""

    class Refusing(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sockets_module.socket, "socket", Refusing)
    with pytest.raises(BindError) as caught:
        listen(Address("10.0.0.9", 80))
    assert str(caught.value).startswith(message)


def test_an_unknown_host_is_named() -> None:
    """A host name that does not resolve is no traceback."""
    with pytest.raises(BindError, match=r"The host 'no-such-host\.invalid' cannot be resolved"):
        listen(Address("no-such-host.invalid", 0))


@pytest.mark.parametrize("port", [-1, 65536, 70000])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    """A port outside of 0 to 65535 is refused instead of being cut down to one inside."""
    with pytest.raises(BindError, match=f"{port} is not a port"):
        listen(Address("127.0.0.1", port))


@pytest.mark.parametrize("permissions", [0o600, 0o660, 0o666])
def test_a_unix_socket_has_its_permissions(tmp_path: Path, permissions: int) -> None:
    """A unix socket can be reached, and by whom is as it was asked for, whatever the umask."""
    path = tmp_path / "app.sock"
    previous = os.umask(0)
    try:
        with listen(Address(path=str(path)), unix_permissions=permissions):
            assert stat.S_IMODE(path.stat().st_mode) == permissions
            connect(str(path))
        assert os.umask(0) == 0, "the umask of the process was changed"
    finally:
        os.umask(previous)


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    """The file that a killed server left does not keep the next one from starting."""
    path = tmp_path / "app.sock"
    listen(Address(path=str(path))).close()
    assert path.exists()
    with listen(Address(path=str(path))):
        connect(str(path))


def test_a_unix_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    """A socket that answers belongs to somebody."""
    path = tmp_path / "app.sock"
    with listen(Address(path=str(path))):
        with pytest.raises(BindError, match=r"app\.sock' is in use by another program"):
            listen(Address(path=str(path)))
        connect(str(path))


def test_a_file_is_not_taken_for_a_stale_socket(tmp_path: Path) -> None:
    """A file that is no socket is never removed."""
    path = tmp_path / "notes.txt"
    path.write_text("keep")
    with pytest.raises(BindError, match="exists and is not a socket"):
        listen(Address(path=str(path)))
    assert path.read_text() == "keep"


def test_a_unix_socket_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """A missing folder is named with the path."""
    with pytest.raises(BindError, match=r"missing/app\.sock' cannot be made: No such file or directory"):
        listen(Address(path=str(tmp_path / "missing" / "app.sock")))


def test_the_file_of_a_unix_socket_is_removed(tmp_path: Path) -> None:
    """When a server ends, its socket file goes with it."""
    path = tmp_path / "app.sock"
    with listen(Address(path=str(path))) as listener:
        unlink = unlinker(listener)
    unlink()
    assert not path.exists()
    unlink()


def test_the_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    """A server that ends late leaves the file that the next one has made in the same place."""
    path = tmp_path / "app.sock"
    with listen(Address(path=str(path))) as listener:
        unlink = unlinker(listener)
        path.unlink()
        with listen(Address(path=str(path))):
            unlink()
            assert path.exists()


def test_nothing_is_removed_for_tcp() -> None:
    """A TCP socket has no file."""
    with listen(Address("127.0.0.1", 0)) as listener:
        assert unlinker(listener)() is None


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_outside_address_is_an_address(family: socket.AddressFamily) -> None:
    """There always is an address to print, also on a machine without a network."""
    socket.inet_pton(family, outside_address(family))


def test_the_outside_address_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a route to anywhere the loopback address is printed."""

    class Unconnected(socket.socket):
        def connect(self, address: object) -> None:
            raise OSError(errno.ENETUNREACH, "unreachable")

    monkeypatch.setattr(sockets_module.socket, "socket", Unconnected)
    assert outside_address(socket.AF_INET) == "127.0.0.1"
    assert outside_address(socket.AF_INET6) == "::1"
