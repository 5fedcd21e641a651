"""The process that times: it calls the app as a server does, and notices when the answer changes."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks import worker
from benchmarks.contestants import ROOT, clean_environment
from benchmarks.scenarios import find


class Body:
    """A result that notes whether it was read to its end and closed."""

    def __init__(self) -> None:
        self.read, self.closed = 0, 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"one "
        yield b"two"
        self.read += 1

    def close(self) -> None:
        self.closed += 1


def app_with(body: Body, seen: list[dict[str, Any]]) -> Callable[..., Any]:
    """Give an app that answers *body* and notes the environs that it gets."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        seen.append(environ)
        start_response("200 OK", [("X-Calls", str(len(seen)))])
        return body

    return app


def test_call_once_keeps_the_whole_answer() -> None:
    """Status, headers and the joined body are kept, and the result is closed."""
    body = Body()
    reply = worker.call_once(app_with(body, []), {})
    assert (reply.status, reply.headers, reply.body) == ("200 OK", [("X-Calls", "1")], b"one two")
    assert body.closed == 1


def test_call_once_takes_what_is_written() -> None:
    """The `write` callable of WSGI goes into the body, before what is returned."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])(b"written ")
        return [b"returned"]

    assert worker.call_once(app, {}).body == b"written returned"


def test_time_calls_reads_and_closes_every_result() -> None:
    """Each call gets an environ and a stream of its own; each result is read to its end and closed."""
    body, seen = Body(), []  # type: ignore[var-annotated]
    template = {"PATH_INFO": "/"}
    seconds, status = worker.time_calls(app_with(body, seen), template, b"content", 5)
    assert seconds > 0
    assert status == "200 OK"
    assert (body.read, body.closed, len(seen)) == (5, 5, 5)
    assert len({id(environ) for environ in seen}) == 5
    assert [environ["wsgi.input"].read() for environ in seen] == [b"content"] * 5
    assert template == {"PATH_INFO": "/"}


def test_time_inner_returns_the_seconds_of_the_view() -> None:
    """An inner scenario is timed by its view, which is told how often."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [repr(environ["bench.number"] / 100).encode()]

    assert worker.time_inner(app, {}, 25) == (0.25, "200 OK")


def test_the_environ_is_what_a_server_gives() -> None:
    """A body brings its type and length; a GET has neither; the cookie is sent when there is one."""
    post = worker.build_environ(find("form"), cookie="a=b")
    assert (post["REQUEST_METHOD"], post["CONTENT_LENGTH"]) == ("POST", str(len(find("form").content)))
    assert post["CONTENT_TYPE"] == "application/x-www-form-urlencoded"
    assert post["HTTP_COOKIE"] == "a=b"
    get = worker.build_environ(find("args"))
    assert get["QUERY_STRING"] == "q=quaff&page=2"
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_COOKIE"} & get.keys()


def test_a_scenario_brings_its_own_headers() -> None:
    """They are in the environ under their CGI names, beside those that every request has."""
    environ = worker.build_environ(find("cors-preflight"))
    assert environ["HTTP_ACCESS_CONTROL_REQUEST_METHOD"] == "GET"
    assert environ["HTTP_ACCEPT"] == "*/*"


def test_a_compressed_body_is_compared_as_text() -> None:
    """Where a scenario says so, the answer that is reported is decoded; elsewhere it is what was sent."""
    data = gzip.compress(b"text")
    reply = worker.Reply("200 OK", [("content-encoding", "gzip")], data)
    assert worker.readable(find("compress-html"), reply) == b"text"
    assert worker.readable(find("compress-refused"), reply) == data


def test_falcon_is_refused_where_it_has_no_version() -> None:
    """A scenario that Falcon cannot play is a LookupError, not a wrong figure."""
    with pytest.raises(LookupError, match=r"'session' has no version for Falcon"):
        worker.build_app("falcon", find("session"))


def test_the_process_answers_then_times() -> None:
    """The first line is the answer, then every number of calls gets its seconds; the end of input ends it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker", "quaff", "hello"],
        input="10\n20\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment(),
        timeout=60,
        check=True,
    )
    first, *times = done.stdout.splitlines()
    status, headers, body = json.loads(first)
    assert (status, body) == ("200 OK", "Hello, World!")
    assert ["Content-Length", "13"] in headers
    assert [float(seconds) > 0 for seconds in times] == [True, True]


def test_an_answer_that_changes_stops_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that starts to fail while it is timed must not give a figure."""
    calls: list[int] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        calls.append(1)
        start_response("200 OK" if len(calls) < 3 else "500 INTERNAL SERVER ERROR", [])
        return [b""]

    monkeypatch.setattr(worker, "build_app", lambda framework, scenario: app)
    monkeypatch.setattr(sys, "stdin", io.StringIO("5\n"))
    with pytest.raises(RuntimeError, match=r"quaff answered '500 INTERNAL SERVER ERROR' while 'hello' was timed"):
        worker.main("quaff", "hello")
