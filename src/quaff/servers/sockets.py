"""Listening sockets, with errors that say which port and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable

from .errors import BindError
from .settings import Address, bracket


def listen(address: Address, *, backlog: int = 2048, unix_permissions: int = 0o660, hint: str = "") -> socket.socket:
    """Return a socket that listens on *address*.

    One socket serves all workers, and outlives each of them: connections that wait when a worker dies or is replaced
    are taken by another.

    :param hint: how to choose another port, as a sentence for the message.
    :raises BindError: when the address is in use, not allowed, or not of this machine.
    """
    if address.is_unix:
        listener = _listen_unix(address.path, backlog, unix_permissions)
    else:
        listener = _listen_tcp(address.host, address.port, backlog, hint)
    # Several workers are woken for one connection. Where accept() blocks, all but the first hang in it.
    listener.setblocking(False)
    return listener


def _listen_tcp(host: str, port: int, backlog: int, hint: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not 0 <= port <= 65535:
        raise BindError(f"{port} is not a port: ports are numbers from 0 to 65535.")
    try:
        target = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, socket.IPPROTO_TCP)[0][4]
    except socket.gaierror as error:
        raise BindError(
            f"The host {host!r} cannot be resolved ({error.strerror}). Use 127.0.0.1 for this machine."
        ) from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            # There it would let a second program take over a port that is in use.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit it on Linux; without, small answers wait for the client's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(target)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise BindError(_explain_tcp(error, host, port, hint)) from None
    return listener


def _explain_tcp(error: OSError, host: str, port: int, hint: str) -> str:
    if error.errno == errno.EADDRINUSE:
        # COMPAT: the first two sentences are those of Werkzeug's server; scripts look for them.
        message = (
            f"Port {port} is in use by another program. Either identify and stop that program, or start the server with"
            " a different port."
        )
        if sys.platform == "darwin" and port == 5000:
            hint += " On macOS that program may be 'AirPlay Receiver': see System Settings."
    elif error.errno == errno.EACCES:
        message = f"Port {port} may not be used by this user: ports below 1024 need rights that it does not have."
    elif error.errno == errno.EADDRNOTAVAIL:
        return f"{bracket(host)} is not an address of this machine. Use 127.0.0.1, or 0.0.0.0 for all of its addresses."
    else:
        return f"{bracket(host)}:{port} cannot be listened on: {error.strerror}."
    return f"{message} {hint}".strip()


def _listen_unix(path: str, backlog: int, permissions: int) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise BindError("This system has no unix sockets. Bind to host:port.")
    path = os.path.abspath(path)
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # SECURITY: made with no rights for others at all, then opened as far as asked for; never the other way round.
        previous = os.umask(0o777 & ~permissions)
        try:
            listener.bind(path)
        finally:
            os.umask(previous)
        os.chmod(path, permissions)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise BindError(f"The unix socket {path!r} cannot be made: {error.strerror or error}.") from None
    return listener


def _remove_stale(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindError(f"{path!r} exists and is not a socket. Remove it, or choose another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(path)
        else:
            raise BindError(f"The unix socket {path!r} is in use by another program. Stop it, or choose another path.")


def unlinker(listener: socket.socket) -> Callable[[], None]:
    """Return a function that removes the file of a unix socket, if it is still the one that *listener* made.

    For a TCP socket the function does nothing.
    """
    path = listener.getsockname()
    if not isinstance(path, str) or not path:
        return lambda: None
    made = os.stat(path).st_ino

    def unlink() -> None:
        with contextlib.suppress(OSError):
            if os.stat(path).st_ino == made:
                os.unlink(path)

    return unlink


def outside_address(family: socket.AddressFamily) -> str:
    """Return the address under which other machines see this one, or the loopback address when there is none.

    Nothing is sent: a UDP socket that is connected only asks the kernel for the route.
    """
    there = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((there, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "::1" if family == socket.AF_INET6 else "127.0.0.1"
