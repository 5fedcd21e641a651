"""The settings of the production server, one frozen object, checked when it is made."""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .errors import SettingsError
from .machine import default_threads, default_workers

PROXY_HEADER_TIMEOUT: Final = 75.0
"""Seconds a kept-alive connection may idle where a proxy stands in front: longer than nginx (60) keeps its side open."""

DIRECT_HEADER_TIMEOUT: Final = 10.0
"""Seconds for the same where clients connect directly, so that silent ones do not fill the server."""

_LIMITS: Final[dict[str, tuple[float, float]]] = {
    "workers": (1, 1024),
    "threads": (1, 4096),
    "backpressure": (1, 1_000_000),
    "backlog": (128, 65_535),
    "header_limit": (8192, 1024 * 1024),
    "header_timeout": (0.1, 3600),
    "graceful_timeout": (0, 3600),
    "boot_timeout": (1, 3600),
}
"""Setting -> smallest and largest value. Granian refuses smaller buffers and backlogs, or ignores them."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host and a port, or the path of a unix socket."""

    host: str = ""
    """Host name or IP address; `0.0.0.0` and `::` for all addresses. Empty for a unix socket."""

    port: int = 0
    """0 for any free port."""

    path: str = ""
    """Path of the unix socket; empty for TCP."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `host:port`, `host`, `:port`, `port`, `[ipv6]:port` or `unix:path`.

        The host is 127.0.0.1 where it is left out, the port 8000.

        :raises SettingsError: for anything else.

        >>> Address.parse(":5001")
        Address(host='127.0.0.1', port=5001, path='')
        """
        text = text.strip()
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            path = path.removeprefix("//")
            if not path:
                raise SettingsError(f"bind={text!r}: there is no path after 'unix:'. Write unix:/run/app.sock.")
            return cls(path=path)
        if text.isascii() and text.isdigit():
            return cls("127.0.0.1", _port(text, text))
        if text.count(":") > 1 and not text.startswith("["):
            return cls(_ipv6(text, text), 8000)
        match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\w*))?", text)
        if match is None or not text:
            raise SettingsError(f"bind={text!r} is not an address. Write host:port, [ipv6]:port or unix:path.")
        host, port = match[1] or "127.0.0.1", match[2]
        if host.startswith("["):
            host = _ipv6(host[1:-1], text)
        return cls(host, 8000 if port is None else _port(port, text))

    @property
    def is_unix(self) -> bool:
        """Whether this is a unix socket."""
        return bool(self.path)

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can connect."""
        return self.is_unix or is_loopback(self.host)

    def __str__(self) -> str:
        if self.is_unix:
            return f"unix:{self.path}"
        return f"{bracket(self.host)}:{self.port}"


def bracket(host: str) -> str:
    """Return *host* as it stands in a URL: an IPv6 address in brackets.

    >>> bracket("::1")
    '[::1]'
    """
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Tell whether a server bound to *host* can be reached from this machine only.

    >>> is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65_535:
        raise SettingsError(f"bind={whole!r}: the port {text!r} is not a number from 0 to 65535.")
    return int(text)


def _ipv6(text: str, whole: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise SettingsError(
            f"bind={whole!r}: {text!r} is not an IPv6 address. Write [::1]:8000, for example."
        ) from None


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How `quaff serve` serves. Every default is one to go to production with.

    :raises SettingsError: for a value outside its limits, or values that contradict each other.

    >>> ServeSettings(workers=4, bind=Address.parse("0.0.0.0:80")).workers
    4
    """

    bind: Address = Address("127.0.0.1", 8000)
    """Where to listen. Give the whole world an address only behind a proxy, or with TLS."""

    workers: int = field(default_factory=default_workers)
    """Worker processes. Default: one per usable core, at least two, so that one answers while another is replaced."""

    threads: int = field(default_factory=default_threads)
    """Requests that one worker runs at once. Default: four per usable core, at least eight."""

    backpressure: int = 8192
    """Connections that one worker holds at once. Idle ones count: with too few, silent clients block the server."""

    backlog: int = 2048
    """Connections that the kernel keeps waiting while all workers are full."""

    header_limit: int = 32 * 1024
    """Largest request line and headers together, in bytes. Answered with 431 beyond."""

    header_timeout: float | None = None
    """Seconds a client may take to send its headers, and a kept-alive connection may idle (Granian has one clock for
    both). Default: 75 on a unix socket or a loopback address, where a proxy must not be hung up on; 10 elsewhere."""

    graceful_timeout: float = 30.0
    """Seconds that running requests get to finish when a worker stops. Then it is killed."""

    boot_timeout: float = 60.0
    """Seconds that a new worker gets to import the app in a reload before the old one is kept instead."""

    http: str | None = None
    """`1`, `2` or `auto`. Default: `1` without TLS (in `auto` Granian never closes silent connections), `auto` with."""

    interface: str | None = None
    """`wsgi` (a thread per running request), `rsgi` (an event loop) or `http1` (an event loop, for clients that stay
    connected). Default: the app's choice, `rsgi` where it has async views or hooks, `http1` where it has WebSockets."""

    certificate: Path | None = None
    """File with the TLS certificate and its chain, PEM. Needs `key`."""

    key: Path | None = None
    """File with the private key of `certificate`, PEM, without a password: Granian cannot open common encrypted keys."""

    client_ca: Path | None = None
    """File with the CA certificates that clients must present a certificate of (mutual TLS). Default: none asked for."""

    tls_minimum: str = "1.2"
    """Oldest TLS version that is spoken: `1.2` or `1.3`."""

    unix_permissions: int = 0o660
    """Permissions of a unix socket: by default the user and the group of the server may connect."""

    access_log: str | None = None
    """File for one line per request, `-` for standard output. Default: none. A reload opens the file anew."""

    pid_file: Path | None = None
    """File that holds the process id of the supervisor while it runs. Default: none."""

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SettingsError(f"{name}={value!r} is outside its limits: {low} to {high}.")
        if self.http not in {None, "1", "2", "auto"}:
            raise SettingsError(f"http={self.http!r} is not one of '1', '2', 'auto'.")
        if self.interface not in {None, "wsgi", "rsgi", "http1"}:
            raise SettingsError(f"interface={self.interface!r} is not one of 'wsgi', 'rsgi', 'http1'.")
        if self.tls_minimum not in {"1.2", "1.3"}:
            raise SettingsError(f"tls_minimum={self.tls_minimum!r} is not one of '1.2', '1.3'.")
        self._check_tls()

    def _check_tls(self) -> None:
        if (self.certificate is None) != (self.key is None):
            given, missing = ("key", "certificate") if self.certificate is None else ("certificate", "key")
            raise SettingsError(f"{given} is set without {missing}. TLS needs both.")
        if self.certificate is None and self.client_ca is not None:
            raise SettingsError("client_ca is for TLS: set certificate and key as well.")
        for name in ("certificate", "key", "client_ca"):
            path: Path | None = getattr(self, name)
            if path is not None and not path.is_file():
                raise SettingsError(f"{name}: there is no file {str(path)!r}.")

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.certificate is not None

    @property
    def http_mode(self) -> str:
        """The HTTP versions that are spoken, in Granian's words."""
        return self.http or ("auto" if self.uses_tls else "1")

    @property
    def header_seconds(self) -> float:
        """`header_timeout`, or its default for the address."""
        if self.header_timeout is not None:
            return self.header_timeout
        return PROXY_HEADER_TIMEOUT if self.bind.is_loopback else DIRECT_HEADER_TIMEOUT

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> ServeSettings:  # Any: each setting has its own type
        """Build settings from names and values, as from a configuration file; None stands for the default.

        :raises SettingsError: for an unknown name, with the nearest known one.

        >>> ServeSettings.from_mapping({"worker": 4})
        Traceback (most recent call last):
        ...
        quaff.servers.errors.SettingsError: 'worker' is not a setting of the server. Did you mean 'workers'?
        """
        known = [setting.name for setting in dataclasses.fields(cls)]
        given = {name: value for name, value in values.items() if value is not None}
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                guess = f" Did you mean {close[0]!r}?" if close else f" There are: {', '.join(known)}."
                raise SettingsError(f"{name!r} is not a setting of the server.{guess}")
        if isinstance(given.get("bind"), str):
            given["bind"] = Address.parse(given["bind"])
        for name in ("certificate", "key", "client_ca", "pid_file"):
            if isinstance(given.get(name), str):
                given[name] = Path(given[name])
        return cls(**given)
