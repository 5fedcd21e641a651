"""What a development server says when it starts."""

from __future__ import annotations

import socket
import sys

from werkzeug._internal import _log

from .interface import Choice
from .reloader import is_child
from .settings import bracket, is_loopback
from .sockets import outside_address

WARNING = "WARNING: This is a development server. Do not use it in a production deployment. Use 'quaff serve' instead."


def say_what(debug: bool | None, name: str | None) -> None:
    """Say which app is served and whether debug mode is on; nothing in the child of a reloader.

    :param debug: None leaves the line out.
    :param name: of the app, or where it was found; None leaves the line out.
    """
    if is_child():
        return
    if name is not None:
        print(f" * Serving Quaff app {name!r}", flush=True)
    if debug is not None:
        print(f" * Debug mode: {'on' if debug else 'off'}", flush=True)


def addresses(scheme: str, host: str, port: int) -> list[str]:
    """Return the URLs that answer for a server bound to *host*.

    >>> addresses("http", "127.0.0.1", 5001)
    ['http://127.0.0.1:5001/']
    """
    if host not in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return [f"{scheme}://{bracket(host)}:{port}/"]
    family, local = (socket.AF_INET6, "::1") if host == "::" else (socket.AF_INET, "127.0.0.1")
    hosts = dict.fromkeys((local, outside_address(family)))
    return [f"{scheme}://{bracket(each)}:{port}/" for each in hosts]


def say_where(scheme: str, host: str, port: int) -> None:
    """Say under which URLs the server answers, and how to stop it, through the logger `werkzeug` as Flask does."""
    lines = [style(WARNING, "1;31")]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        lines.append(f" * Running on all addresses ({host})")
    lines += [f" * Running on {url}" for url in addresses(scheme, host, port)]
    _log("info", "%s", "\n".join(lines))
    _log("info", "%s", style("Press CTRL+C to quit", "33"))


def say_interface(choice: Choice) -> None:
    """Say over what the app is served, and why; nothing for WSGI, and nothing in the child of a reloader."""
    if choice.name != "wsgi" and not is_child():
        print(f" * Interface: {choice}", flush=True)


def say_no_debugger(choice: Choice) -> None:
    """Say that errors are not shown in the browser, because the debugger is for WSGI; nothing in the child of a reloader."""
    if not is_child():
        words = f"off, because {choice.reason}; tracebacks are in the log. --interface wsgi brings it back."
        print(f" * Debugger: {words}", flush=True)


def say_no_console(host: str) -> None:
    """Say that the debugger shows tracebacks and takes no input, because other machines can reach it."""
    if not is_child() and not is_loopback(host):
        _log("warning", "%s", f" * Debugger console: off, because {host} can be reached from other machines.")


def style(text: str, code: str) -> str:
    """Return *text* in the terminal style *code*, or as it is when the output is not a terminal."""
    return f"\033[{code}m{text}\033[0m" if sys.stderr is not None and sys.stderr.isatty() else text
