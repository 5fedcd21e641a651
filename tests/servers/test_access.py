"""Lines for requests: in the known forms, and with nothing in them that a client could forge."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from quaff.servers.access import LogRequest, clock_of_seconds, development_log, open_log, production_log, request_target
from quaff.servers.wsgi import Environ


def environ(path: str = "/", query: str = "", **more: Any) -> Environ:
    """Return what a server knows of a request."""
    return {
        "REMOTE_ADDR": "203.0.113.9",
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
    } | more


@pytest.fixture
def werkzeug_logger() -> Iterator[logging.Logger]:
    """Give the logger `werkzeug` as a fresh program has it."""
    logger = logging.getLogger("werkzeug")
    level, handlers = logger.level, list(logger.handlers)
    logger.setLevel(logging.NOTSET)
    yield logger
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.mark.parametrize(
    "path,target",
    [
        ("/", "/"),
        ("/a/b-c_d.e~f", "/a/b-c_d.e~f"),
        ("/a b", "/a%20b"),
        ("/a\r\n127.0.0.1 - - forged", "/a%0D%0A127.0.0.1%20-%20-%20forged"),
        ("/\x1b[31m", "/%1B%5B31m"),
        ('/"', "/%22"),
        ("/\\", "/%5C"),
        ("/\x00", "/%00"),
        ("/\x7f", "/%7F"),
        ("/caf\xc3\xa9", "/caf%C3%A9"),
        ("/\x85", "/%85"),
    ],
)
def test_paths_are_quoted(path: str, target: str) -> None:
    """No byte of a path can end the line, end the quotation, or colour the terminal."""
    assert request_target(environ(path), with_query=False) == target


@pytest.mark.parametrize(
    "query,target", [("a=1&b=%20", "/?a=1&b=%20"), ("", "/"), ('a="', "/?a=%22"), ("\x1b", "/?%1B")]
)
def test_queries_are_quoted(query: str, target: str) -> None:
    """The same holds for the query, which arrives as it was sent."""
    assert request_target(environ(query=query), with_query=True) == target


def test_the_query_can_be_left_out() -> None:
    """A query may hold secrets; where it is not wanted, it is not there."""
    assert request_target(environ("/reset", "token=hunter2"), with_query=False) == "/reset"


def test_the_prefix_of_an_app_is_part_of_the_path() -> None:
    """The line shows the path that was asked for, not the one that the app sees below its prefix."""
    assert request_target(environ("/a", SCRIPT_NAME="/prefix"), with_query=False) == "/prefix/a"


def test_development_lines_look_like_flasks(werkzeug_logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """Programs that read the lines of Flask's development server can read these."""
    log = development_log()
    assert log is not None
    with caplog.at_level(logging.INFO, "werkzeug"):
        log(environ("/a", "b=1%2F2"), 404, 0.5)
    line = caplog.records[-1].getMessage()
    assert re.fullmatch(
        r'203\.0\.113\.9 - - \[\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d:\d\d\] "GET /a\?b=1%2F2 HTTP/1\.1" 404 -', line
    )


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR])
def test_silencing_the_logger_silences_the_lines(werkzeug_logger: logging.Logger, level: int) -> None:
    """The well-known recipe works, and then there is not even a function to call."""
    werkzeug_logger.setLevel(level)
    assert development_log() is None


def test_a_client_without_an_address_is_a_dash(
    werkzeug_logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """Over a unix socket there is no client address."""
    log = development_log()
    assert log is not None
    with caplog.at_level(logging.INFO, "werkzeug"):
        log(environ(REMOTE_ADDR=""), 200, 0)
    assert caplog.records[-1].getMessage().startswith("- - - [")


@contextmanager
def logging_to(path: Path) -> Iterator[LogRequest]:
    """Give the function that logs into *path*."""
    handler = open_log(str(path))
    yield production_log(handler)
    handler.close()


PRODUCTION_LINE = re.compile(
    r'(\S+) - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "(\S+) (\S+) HTTP/1\.1" (\d{3}) - (\d+\.\d)ms\n'
)


def test_production_lines_have_time_and_duration(tmp_path: Path) -> None:
    """A line in the file names client, time, request, status and duration; not the query."""
    path = tmp_path / "access.log"
    with logging_to(path) as log:
        log(environ("/a", "secret=1", REQUEST_METHOD="POST"), 201, 0.0123)
    match = PRODUCTION_LINE.fullmatch(path.read_text())
    assert match is not None
    assert match.groups() == ("203.0.113.9", "POST", "/a", "201", "12.3")


def test_production_lines_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """A dash stands for standard output, where containers collect logs."""
    production_log(open_log("-"))(environ(), 200, 0.001)
    captured = capsys.readouterr()
    assert PRODUCTION_LINE.fullmatch(captured.out)
    assert captured.err == ""


def test_lines_are_appended(tmp_path: Path) -> None:
    """A restarted server adds to the file."""
    path = tmp_path / "access.log"
    path.write_text("earlier\n")
    with logging_to(path) as log:
        log(environ(), 200, 0)
    assert path.read_text().startswith("earlier\n203.0.113.9")


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be moved there")
def test_a_rotated_file_is_opened_anew(tmp_path: Path) -> None:
    """After log rotation moved the file away, lines go to the new one without a signal."""
    path = tmp_path / "access.log"
    with logging_to(path) as log:
        log(environ("/first"), 200, 0)
        path.rename(tmp_path / "access.log.1")
        log(environ("/second"), 200, 0)
    assert "/second" in path.read_text()
    assert "/second" not in (tmp_path / "access.log.1").read_text()


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    """A folder that does not exist is noticed when the server starts, not at the first request."""
    with pytest.raises(FileNotFoundError):
        open_log(str(tmp_path / "missing" / "access.log"))


def test_the_clock_is_right_and_moves_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Formatting once per second gives the same text as formatting each time."""
    clock = clock_of_seconds()
    for now in (1_700_000_000.1, 1_700_000_000.9, 1_700_000_001.0, 1_700_003_600.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert clock() == time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(int(now)))
