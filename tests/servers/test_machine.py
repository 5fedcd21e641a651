"""Defaults follow from the machine, and from what a container may use of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quaff.servers import machine
from quaff.servers.machine import default_threads, default_workers, usable_cores


def quota(folder: Path, text: str) -> Path:
    """Write a cgroup file."""
    path = folder / "cpu.max"
    path.write_text(text)
    return path


def allow_cores(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let this process run on *count* cores, as far as it can see."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(count)), raising=False)


def test_cores_are_those_the_process_may_run_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that is bound to some cores counts only those."""
    allow_cores(monkeypatch, 3)
    assert usable_cores(tmp_path / "none") == 3


def test_cores_without_affinity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the system knows no affinity, all cores count."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores(tmp_path / "none") == 6


def test_unknown_number_of_cores_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A system that does not say how many cores there are has at least one."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path / "none") == 1


@pytest.mark.parametrize(
    "text,cores",
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("6400000 100000", 8),
        ("max 100000", 8),
        ("", 8),
        ("nonsense", 8),
        ("100000 0", 8),
    ],
)
def test_a_container_counts_its_quota(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, cores: int) -> None:
    """The quota limits the cores, rounded up; a missing or unreadable one does not."""
    allow_cores(monkeypatch, 8)
    assert usable_cores(quota(tmp_path, text)) == cores


@pytest.mark.parametrize("cores,workers", [(1, 2), (2, 2), (3, 3), (64, 64)])
def test_workers_are_one_per_core_and_at_least_two(monkeypatch: pytest.MonkeyPatch, cores: int, workers: int) -> None:
    """Also one core gets two workers, so that one answers while the other is replaced."""
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    assert default_workers() == workers


@pytest.mark.parametrize("cores,threads", [(1, 8), (2, 8), (3, 12), (16, 64)])
def test_threads_are_four_per_core_and_at_least_eight(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    """The number of threads grows with the cores from eight on."""
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    assert default_threads() == threads
