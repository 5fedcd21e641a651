"""What this machine can do: the defaults of the production server follow from it."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where a Linux container reads its share of the processors: `quota period` in microseconds, or `max period`."""


def usable_cores(quota_file: Path = CGROUP_QUOTA) -> int:
    """Return how many processor cores this process may use, at least 1.

    Counts the cores that the process is allowed to run on, and no more than a container's quota gives: 64 workers on a
    machine of 64 cores are of no use to a container that may use two of them.

    :param quota_file: the cgroup v2 file with the quota; one that does not exist means no quota.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        pass  # No such file outside a container, and the word `max` where there is no quota.
    return max(1, cores)


def default_workers() -> int:
    """Return how many worker processes suit this machine: one per core, at least two.

    Two on a single core as well: while one is replaced or dies, the other answers.
    """
    return max(2, usable_cores())


def default_threads() -> int:
    """Return how many requests a worker should run at once: four per core, at least eight.

    Views mostly wait for databases and other services; more threads than this make each of them slower instead.
    """
    return max(8, 4 * usable_cores())
