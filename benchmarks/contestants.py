"""Who takes part, and the child processes in which they run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Contestant:
    """A framework under the name that it has in the report."""

    name: str
    module: str
    """What its process imports: `flask`, `quaff` or `falcon`."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables added for its process."""


FLASK = Contestant("flask", "flask")
QUAFF = Contestant("quaff", "quaff")
FALCON = Contestant("falcon", "falcon")
REFERENCE = Contestant("reference", "quaff", {"QUAFF_COMPILED": "0"})
"""Quaff with its reference pipeline: what compiling the routes is worth."""


def clean_environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's variables without those that change how Python, Flask or Quaff behave."""
    # A caller's PYTHONDONTWRITEBYTECODE would make every import compile its source, QUAFF_COMPILED=0 would measure
    # the wrong pipeline.
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "QUAFF_", "FLASK_"))}
    return {**kept, "PYTHONHASHSEED": "0", **(added or {})}


def cores() -> list[int]:
    """Return the numbers of the cores that this process may use; empty where the system cannot say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pin_to(core: int | None) -> Callable[[], None] | None:
    """Return the function that a new process calls to bind itself to *core*; None when that cannot be done."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        return None
    return lambda: os.sched_setaffinity(0, {core})


def measuring_core() -> int | None:
    """Return the core on which the measured process runs: the last, for the system prefers the first for itself."""
    return cores()[-1] if len(cores()) > 1 else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a contestant answered to a scenario's request."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Return the values of the header *name*, whatever its case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


class WorkerFailedError(RuntimeError):
    """A measured process ended before it answered; the message holds its last line, then the end of what it wrote."""


class Worker:
    """A process that runs one scenario on one contestant (see `worker.py`). Ends with the `with` block."""

    def __init__(self, python: str, contestant: Contestant, scenario: str) -> None:
        self._label = f"{contestant.name} on {scenario!r}"
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", contestant.module, scenario],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=clean_environment(contestant.environment),
            preexec_fn=pin_to(measuring_core()),  # noqa: PLW1509 - no threads in the caller
        )
        try:
            status, headers, body = json.loads(self._read())
        except BaseException:
            self.close()
            raise
        self.answer = Answer(int(status.split()[0]), [(key, value) for key, value in headers], body.encode("latin-1"))

    def time(self, number: int) -> float:
        """Let it make *number* calls; return the seconds that they took."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{number}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            # What it has to say about its end is on its error stream: `_read` reports it.
            pass
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._process.stderr.read().strip()[-1500:]
            why = said.splitlines()[-1] if said else "without a word"
            raise WorkerFailedError(f"the process of {self._label} ended early: {why}\n{said}")
        return line

    def close(self) -> None:
        """End the process and wait for it."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
