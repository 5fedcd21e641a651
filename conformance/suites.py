"""The suites, their baselines and the known differences: the data of this folder, read."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
BASELINE = HERE / "baseline"


class Unavailable(Exception):
    """A suite cannot be run here: its tests or its requirements are not to be had."""


@dataclass(frozen=True)
class Suite:
    """One row of `suites.toml`, where each field is explained."""

    name: str
    role: str
    source: str
    paths: list[str]
    pytest: list[str]
    requirements: list[str] = field(default_factory=list)
    workdir: str = "."
    pythonpath: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    subprocess: bool = False
    deselect: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    timeout: int = 420

    @property
    def lock(self) -> Path:
        """The exact versions that the baseline was recorded with."""
        return BASELINE / f"{self.name}.lock"

    def ids_file(self, kind: str = "") -> Path:
        """The file of a baseline: *kind* is "" or "services"."""
        return BASELINE / ".".join(filter(None, (self.name, kind, "txt")))

    def baseline(self, *, services: bool) -> set[str]:
        """Return the ids that pass with the real Flask; *services*: with those that need a server."""
        return read_ids(self.ids_file()) | (read_ids(self.ids_file("services")) if services else set())


@dataclass(frozen=True)
class Difference:
    """One row of `differences.toml`: a test of the baseline that Quaff does not pass, and why."""

    suite: str
    id: str
    reason: str
    pipeline: str = "both"
    unsteady: bool = False

    def concerns(self, suite: str, pipeline: str) -> bool:
        """Tell whether the row is about this run."""
        return self.suite == suite and self.pipeline in ("both", pipeline)


def read_ids(path: Path) -> set[str]:
    """Return the ids of a baseline file; none when there is no such file."""
    if not path.exists():
        return set()
    return {line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")}


def write_ids(path: Path, heading: str, ids: set[str]) -> None:
    """Write a baseline file."""
    path.write_text(heading + "".join(f"{node}\n" for node in sorted(ids)), encoding="utf-8")


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def load_suites() -> list[Suite]:
    """Return all suites, in the order of the file."""
    return [Suite(**row) for row in _load("suites.toml")["suite"]]


def common_requirements() -> list[str]:
    """Return what every suite needs when a baseline is recorded."""
    return list(_load("suites.toml")["common"])


def load_differences() -> list[Difference]:
    """Return all known differences."""
    return [Difference(**row) for row in _load("differences.toml").get("difference", [])]
