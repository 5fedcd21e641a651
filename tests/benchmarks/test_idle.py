"""Idle connections: they are kept, and the memory that they take is read from the right processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import idle, protocols
from benchmarks.contestants import ROOT, clean_environment
from benchmarks.idle import Idlers, Memory
from benchmarks.load import LoadError
from benchmarks.over_http import ServerProcess, free_port
from benchmarks.protocols import QUAFF_HTTP1

PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def quaff() -> Iterator[ServerProcess]:
    """Serve Quaff's app."""
    with protocols.start(sys.executable, QUAFF_HTTP1, {}) as server:
        yield server


def values(*numbers: int) -> Callable[[], int]:
    """Return a function that gives the numbers one after the other, and the last one for ever."""
    left = list(numbers)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_as_many_files_as_allowed() -> None:
    """The limit of open files is raised to what the system allows, in that process only."""
    program = (
        "import resource\n"
        "from benchmarks.idle import raise_file_limit\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))\n"
        "print(raise_file_limit() == hard == raise_file_limit())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"


@pytest.mark.parametrize("kind", idle.KINDS)
def test_connections_stay_open(quaff: ServerProcess, kind: str) -> None:
    """Quaff keeps every one of them; their end is not its end."""
    for count in (3, 5):
        with Idlers(quaff.port, kind, count) as idlers:
            assert idlers.still_open() == count
            assert idlers.still_open() == count
            process = idlers._process
        assert process.returncode is not None


def test_connections_that_cannot_be_opened_are_an_error() -> None:
    """The error holds what the client said: here, that nobody listens."""
    with pytest.raises(LoadError, match=r"2 connections could not be kept open:(.|\n)*refused"):
        Idlers(free_port(), "websockets", 2)


@pytest.mark.parametrize("sent", [b"d\r\ndata: hello\n\n\r\n0\r\n\r\n", b"", b"f\r\ndata: goodbye"])
def test_a_stream_that_does_not_wait_is_an_error(sent: bytes) -> None:
    """One that has ended would cost next to nothing."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + sent)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(LoadError, match="did not say hello and wait: b'"):
            idle.open_events(ours, 1)


def test_the_end_of_a_connection_is_noticed() -> None:
    """What the server sends is taken and does not matter; that it has closed the connection does."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert idle.is_open(ours)
        theirs.sendall(b":\n\n")
        assert idle.is_open(ours)
        theirs.close()
        assert not idle.is_open(ours)


@pytest.mark.parametrize("data", [b"0\r\n\r\n", b"3\r\n:\n\n\r\n0\r\n\r\n", b"\x88\x02\x03\xe8"])
def test_the_end_on_an_open_connection_is_noticed(data: bytes) -> None:
    """A stream that has ended, or a WebSocket that the server closes, is not idle but over."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        assert not idle.is_open(ours)


def test_many_connections_come_from_several_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """One address has not enough ports for all."""
    sources: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], timeout: float, source_address: tuple[str, int]) -> None:
        sources.append(source_address)

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(idle, "PER_ADDRESS", 2)
    monkeypatch.setitem(idle.OPENERS, "websockets", lambda connection, port: None)
    assert len(idle.open_all(1, "websockets", 3)) == 3
    assert sources == [("127.0.0.1", 0), ("127.0.0.1", 0), ("127.0.0.2", 0)]


def test_the_memory_of_the_group_is_added_up(tmp_path: Path) -> None:
    """The server and its worker count, whatever they are called; other processes do not."""
    for number, name, group, resident in ((10, "python", 10, 100), (11, "a (b) c", 10, 50), (12, "python", 12, 7)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "stat").write_text(f"{number} ({name}) S 1 {group} 1 0 -1\n")
        (folder / "statm").write_text(f"900 {resident} 30 1 0 400 0\n")
    (tmp_path / "13").mkdir()
    (tmp_path / "meminfo").touch()
    assert idle.resident_bytes(10, tmp_path) == 150 * PAGE
    with pytest.raises(LoadError, match="cannot be read"):
        idle.resident_bytes(99, tmp_path)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc")
def test_the_memory_is_that_of_real_processes(quaff: ServerProcess) -> None:
    """The server with its worker takes some megabytes, less than a machine has."""
    assert 10_000_000 < idle.resident_bytes(quaff.group) < 2_000_000_000


def test_a_figure_is_read_when_it_has_settled() -> None:
    """While the memory still changes nobody reads it; when it never settles it is read as it is."""
    assert idle.settled(values(1000, 1500, 1800, 1801, 5000), pause=0) == 1801
    assert idle.settled(values(1, 2, 4, 8, 16, 32), pause=0, patience=3) == 8


def test_connections_that_may_have_cost_nothing_do_not_count() -> None:
    """The memory of those that were closed before may have served again."""
    assert idle.growth_per_connection(1024, 1024 + 98 * 12 * 1024, 100, 2) == 12


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc")
def test_a_short_measurement(quaff: ServerProcess) -> None:
    """From the server to the figure, which is more than nothing and less than a megabyte each."""
    assert 0 < idle.measure_memory(quaff.port, quaff.group, "events", 40) < 1024


def test_a_server_that_drops_connections_is_not_measured(quaff: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory of connections that are gone would flatter."""
    monkeypatch.setattr(idle, "resident_bytes", lambda group: 1000)
    monkeypatch.setattr(Idlers, "still_open", lambda self: self.count - 1)
    with pytest.raises(LoadError, match="the server closed 1 of 3 idle connections"):
        idle.measure_memory(quaff.port, quaff.group, "websockets", 3)


def test_twelve_kilobytes_pass() -> None:
    """The bar is 12 KB; the bare handler has none."""
    row = Memory("Quaff", "events", 5000, 12.0, idle.BAR)
    assert (row.title, row.passed) == ("idle event streams, Quaff", True)
    assert replace(row, kilobytes=12.1).passed is False
    assert replace(row, kilobytes=99.0, bar=None).passed is None
    assert row.as_json() == {
        "bar": 12.0,
        "connections": 5000,
        "contestant": "Quaff",
        "kilobytes": 12.0,
        "kind": "events",
        "passed": True,
        "title": "idle event streams, Quaff",
    }
