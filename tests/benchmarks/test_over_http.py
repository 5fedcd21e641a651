"""The servers come up with equal pages, are asked in turns, and always stop."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace

import pytest

from benchmarks import over_http
from benchmarks.contestants import FALCON, QUAFF, ROOT, Contestant, clean_environment
from benchmarks.load import Generator
from benchmarks.over_http import HttpPlan, PageRates, ServerFailedError, ServerProcess

SHORT = HttpPlan(rounds=1, seconds=0.3, sweep_seconds=0)


def is_up(port: int) -> bool:
    """Tell whether somebody answers there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def alive(group: int) -> bool:
    """Tell whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("contestant", [over_http.RAW, QUAFF], ids=lambda one: one.name)
def test_a_server_serves_both_pages_and_stops(contestant: Contestant) -> None:
    """Inside the block the pages are there, checked; after it neither the server nor its worker is left."""
    with ServerProcess(sys.executable, contestant) as server:
        assert is_up(server.port)
        assert server.url("json") == f"http://127.0.0.1:{server.port}/json"
        group = server._process.pid
    assert not is_up(server.port)
    assert not alive(group)


def test_falcon_serves_the_same_pages(real_falcon: str) -> None:
    """Falcon's pages pass the check for equal content."""
    with ServerProcess(sys.executable, FALCON) as server:
        assert is_up(server.port)


def test_a_server_that_cannot_start_says_why() -> None:
    """The error holds what the server wrote, and nothing is left running."""
    with pytest.raises(ServerFailedError, match="the server of 'nobody' did not come up; it said:"):
        ServerProcess(sys.executable, Contestant("nobody", "no_such_app"))


def test_a_wrong_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers something else is not loaded."""
    monkeypatch.setitem(over_http.PAGES, "hello", ("/", b"Good morning"))
    with pytest.raises(ServerFailedError, match="'raw' answered 200 b'Hello, World!' for /, not b'Good morning'"):
        ServerProcess(sys.executable, over_http.RAW)


def test_the_server_ends_with_its_parent() -> None:
    """When the measurement dies without a word, the end of the standard input stops the server."""
    port = over_http.free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.serve", "raw", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=clean_environment(),
        start_new_session=True,
    )
    assert server.stdin is not None
    try:
        deadline = time.monotonic() + 20
        while not is_up(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert is_up(port)
    finally:
        server.stdin.close()
        server.wait(20)
    assert not is_up(port)


def test_both_pages_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The raw function is added, every page has a rate for everyone, and the share is Quaff's over the raw one's."""
    monkeypatch.setattr(over_http, "load_generator", lambda: Generator(None, None, connections=2))
    result = over_http.measure(sys.executable, [QUAFF], SHORT)
    assert [page.page for page in result.pages] == ["hello", "json"]
    for page in result.pages:
        assert list(page.rates) == ["raw", "quaff"]
        assert page.share == pytest.approx(page.rates["quaff"] / page.rates["raw"])
    assert result.sweep == {}
    assert result.as_json()["load"] == "the built-in client, 2 connections"


def test_the_sweep_tries_numbers_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number of blocking threads has a rate; the default is among them."""
    monkeypatch.setattr(over_http, "SWEEP", ("", "1"))
    generator = Generator(None, None, connections=2)
    sweep = over_http.measure_sweep(sys.executable, [over_http.RAW], generator, 0.2)
    assert list(sweep) == ["default", "1"]
    assert all(rates["raw"] > 0 for rates in sweep.values())


def test_passing_needs_the_share_and_falcon_behind() -> None:
    """85 % of the raw function is not enough when Falcon is faster."""
    row = PageRates("hello", {"raw": 1000.0, "quaff": 900.0, "falcon": 800.0}, 0.9)
    assert row.passed is True
    assert replace(row, share=0.84).passed is False
    assert replace(row, rates={**row.rates, "falcon": 950.0}).passed is False
    assert replace(row, rates={"raw": 1000.0, "quaff": 900.0}).passed is True
    assert over_http.describe(row).endswith("share 0.90  bar 0.85: pass")
    assert row.as_json()["passed"] is True
