"""The measured processes: a clean environment, one core, one clear error, and an end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.contestants import (
    QUAFF,
    REFERENCE,
    Answer,
    Contestant,
    Worker,
    WorkerFailedError,
    clean_environment,
    cores,
    measuring_core,
    pin_to,
)


def test_the_callers_switches_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that change how Python, Flask or Quaff behave do not reach what is measured."""
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "QUAFF_COMPILED", "FLASK_DEBUG"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("LANG", "C.UTF-8")
    kept = clean_environment({"QUAFF_EXTRA": "yes"})
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "QUAFF_COMPILED", "FLASK_DEBUG"} & kept.keys()
    assert kept["LANG"] == "C.UTF-8"
    assert kept["QUAFF_EXTRA"] == "yes"
    assert kept["PYTHONHASHSEED"] == "0"


def test_the_reference_contestant_runs_the_reference_pipeline() -> None:
    """The contestant `reference` is Quaff with its compiled pipeline switched off."""
    assert (REFERENCE.module, REFERENCE.environment) == ("quaff", {"QUAFF_COMPILED": "0"})


def test_answer_finds_headers_whatever_their_case() -> None:
    """Header names compare without case, and a header may come twice."""
    answer = Answer(200, [("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("Allow", "GET")], b"")
    assert answer.values("Set-Cookie") == ["a=1", "b=2"]
    assert answer.values("allow") == ["GET"]
    assert answer.values("vary") == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_a_process_is_bound_to_its_core() -> None:
    """`pin_to` leaves the new process one core and the caller all of its own."""
    before, core = cores(), cores()[-1]
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=pin_to(core),
    )
    assert done.stdout.strip() == repr({core})
    assert cores() == before


def test_nothing_is_pinned_without_a_core() -> None:
    """On a machine with one core, or a system that cannot bind, the process runs where it may."""
    assert pin_to(None) is None
    assert measuring_core() is None or len(cores()) > 1


def test_a_worker_answers_and_times() -> None:
    """The process gives its answer at once and seconds on demand, and is gone after the block."""
    with Worker(sys.executable, QUAFF, "hello") as worker:
        assert (worker.answer.status, worker.answer.body) == (200, b"Hello, World!")
        assert worker.time(100) > 0
        process = worker._process
    assert process.returncode is not None


def test_a_worker_that_cannot_start_says_why() -> None:
    """A framework that cannot be imported gives one error whose first line names the reason."""
    with pytest.raises(WorkerFailedError) as caught:
        Worker(sys.executable, Contestant("nobody", "no_such_framework"), "hello")
    first = str(caught.value).splitlines()[0]
    assert first == (
        "the process of nobody on 'hello' ended early: ModuleNotFoundError: No module named 'no_such_framework'"
    )


def test_a_worker_that_dies_while_timing_says_so() -> None:
    """A process that is killed between two batches is reported, not waited for."""
    with Worker(sys.executable, QUAFF, "hello") as worker:
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(WorkerFailedError, match="ended early: without a word"):
            worker.time(1)
