"""Requests leave nothing behind: after 200,000 of them the process has the size that it had before.

The requests run in processes of their own (every_kind.py, on_a_loop.py), so that nothing else of the test run is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

PROGRAM = "every_kind.py"
ON_A_LOOP = "on_a_loop.py"
REQUESTS = 200_000
REQUESTS_ON_A_LOOP = 20_000
# A run of the suite with the reference pipeline everywhere has nothing to say about the compiled one.
PIPELINES = ["reference"] if os.environ.get("QUAFF_COMPILED") == "0" else ["compiled", "reference"]


@cache
def grow(total: int, *arguments: str, program: str = PROGRAM) -> dict[str, Any]:
    """Send *total* requests of every kind in a process of their own; return by how much it grew."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(Path(__file__).with_name(program)), str(total), *arguments],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # "Exception ignored in ..." and ResourceWarning of forgotten files go there without failing the program.
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def leaking_kinds(result: dict[str, Any]) -> list[str]:
    """Return the kinds of which at least one request in ten left a tracked object, or one in four any object at all.

    A kind may leave 50 objects and 1,500 blocks whatever its number: tables that grow in steps, free lists, and
    CPython's cache of method look-ups, whose 4,096 entries keep the names that Jinja's compiler makes up.
    """
    found = []
    for name, kind in result["kinds"].items():
        objects, blocks = kind["growth"]["objects"], kind["growth"]["blocks"]
        if objects > max(50, kind["requests"] // 10) or blocks > max(1500, kind["requests"] // 4):
            found.append(f"{name}: {objects} objects and {blocks} blocks in {kind['requests']} requests")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", PIPELINES)
class TestTwoHundredThousandRequests:
    """One run per pipeline; every test looks at another measure of it."""

    def test_all_of_them_are_sent(self, pipeline: str) -> None:
        """The run is as long as the promise says, and no kind is left out."""
        result = grow(REQUESTS, pipeline)
        assert result["requests"] == REQUESTS
        assert all(kind["requests"] > 0 for kind in result["kinds"].values())

    def test_no_kind_leaves_objects(self, pipeline: str) -> None:
        """No kind of request leaves something behind each time; the failure names the kind."""
        assert leaking_kinds(grow(REQUESTS, pipeline)) == []

    def test_the_number_of_objects_stays(self, pipeline: str) -> None:
        """The whole leaves at most one tracked object in a thousand requests, and one allocation in fifty."""
        growth = grow(REQUESTS, pipeline)["growth"]
        assert growth["objects"] <= REQUESTS // 1000
        assert growth["blocks"] <= REQUESTS // 50

    def test_no_file_stays_open(self, pipeline: str) -> None:
        """Files sent, uploads in temporary files and abandoned streams are closed."""
        assert grow(REQUESTS, pipeline)["growth"]["handles"] <= 0

    def test_the_memory_stays(self, pipeline: str) -> None:
        """The resident memory grows by less than 4 MiB: twenty bytes a request, the noise of the allocator."""
        assert grow(REQUESTS, pipeline)["growth"]["kilobytes"] < 4096


@pytest.mark.slow
class TestTwentyThousandRequestsOnALoop:
    """One run over ASGI with async views, hooks and streams, clients that leave among them."""

    def test_all_of_them_are_sent(self) -> None:
        """The run is as long as the promise says, and no kind is left out."""
        result = grow(REQUESTS_ON_A_LOOP, program=ON_A_LOOP)
        assert result["requests"] >= REQUESTS_ON_A_LOOP
        assert all(kind["requests"] > 0 for kind in result["kinds"].values())

    def test_no_kind_leaves_objects(self) -> None:
        """No kind of request leaves something behind each time; the failure names the kind."""
        assert leaking_kinds(grow(REQUESTS_ON_A_LOOP, program=ON_A_LOOP)) == []

    def test_the_number_of_objects_stays(self) -> None:
        """The whole leaves at most one tracked object in a hundred requests, and one allocation in ten."""
        growth = grow(REQUESTS_ON_A_LOOP, program=ON_A_LOOP)["growth"]
        assert growth["objects"] <= REQUESTS_ON_A_LOOP // 100
        assert growth["blocks"] <= REQUESTS_ON_A_LOOP // 10

    def test_no_file_thread_or_task_is_left(self) -> None:
        """Files are closed, worker threads are used again, and no task waits for a client that is long gone."""
        result = grow(REQUESTS_ON_A_LOOP, program=ON_A_LOOP)
        assert result["growth"]["handles"] <= 0
        assert result["growth"]["threads"] <= 0
        assert result["tasks"] == 0


class TestTheMeasurement:
    """A leak test that cannot fail proves nothing."""

    @pytest.mark.parametrize("pipeline", PIPELINES)
    def test_a_leak_is_noticed_and_named(self, pipeline: str) -> None:
        """An app that keeps the environ of one kind of request is caught, and only that kind is blamed."""
        found = leaking_kinds(grow(5_000, pipeline, "--leak"))
        assert [line.partition(":")[0] for line in found] == ["args"]

    def test_a_leak_on_a_loop_is_noticed_and_named(self) -> None:
        """The other program measures as well."""
        found = leaking_kinds(grow(3_000, "--leak", program=ON_A_LOOP))
        assert [line.partition(":")[0] for line in found] == ["args"]

    def test_few_leftovers_in_many_requests_are_noticed(self) -> None:
        """The limit per kind is one object in ten requests, for tracked objects and for plain memory."""
        clean = {"requests": 1000, "growth": {"objects": 100, "blocks": 1500}}
        objects = {"requests": 1000, "growth": {"objects": 101, "blocks": 0}}
        blocks = {"requests": 8000, "growth": {"objects": 0, "blocks": 2001}}
        found = leaking_kinds({"kinds": {"clean": clean, "objects": objects, "blocks": blocks}})
        assert [line.partition(":")[0] for line in found] == ["objects", "blocks"]
