"""The servers of the protocol measurements: the same loop for all, one clear error, and an end."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from benchmarks import async_serve
from benchmarks.contestants import ROOT, clean_environment
from benchmarks.over_http import free_port


def start(*command: str) -> subprocess.Popen[str]:
    """Start Python in the folder of the benchmarks, with pipes."""
    return subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=clean_environment(),
        start_new_session=True,
    )


def is_up(port: int) -> bool:
    """Tell whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("there, name", [(True, "uvloop"), (False, "asyncio")])
def test_uvloop_is_for_everybody(monkeypatch: pytest.MonkeyPatch, there: bool, name: str) -> None:
    """Where it is installed every server gets it, and where it is not, none."""
    monkeypatch.setattr(async_serve, "is_installed", lambda package: there)
    assert async_serve.loop_name() == name


def test_a_package_is_found_without_being_imported() -> None:
    """The question costs no import, and what is not there is no error."""
    assert async_serve.is_installed("quaff")
    assert not async_serve.is_installed("no_such_framework")


@pytest.mark.parametrize("arguments", [("no_such_framework", "asgi"), ("raw", "no_such_server")])
def test_what_is_not_installed_is_named(arguments: tuple[str, str]) -> None:
    """One line, no traceback: the report quotes it."""
    app, server = arguments
    process = start("-m", "benchmarks.async_serve", app, "1", server)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.strip() in {"no_such_framework is not installed", "no_such_server is not installed"}


def test_the_server_ends_with_its_parent() -> None:
    """When the measurement dies without a word, the end of the standard input stops the server."""
    port = free_port()
    process = start("-m", "benchmarks.async_serve", "quaff", str(port), "rsgi")
    try:
        deadline = time.monotonic() + 20
        while not is_up(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert is_up(port)
    finally:
        process.communicate(timeout=20)
    assert not is_up(port)


def test_a_server_that_takes_no_notice_ends_too() -> None:
    """One that ignores the order to stop is ended after the time that it has for it."""
    program = (
        "import signal, threading, time\n"
        "from benchmarks import async_serve\n"
        "async_serve.PATIENCE = 0.1\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "threading.Thread(target=async_serve.stop_surely, daemon=True).start()\n"
        "time.sleep(600)\n"
    )
    process = start("-c", program)
    process.communicate(timeout=30)
    assert process.returncode == 1
