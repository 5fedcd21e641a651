"""The suites, their baselines and the known differences: the data of this folder, read."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
BASELINE = HERE / "baseline"
_BATTERY = " (battery)"


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
    battery: str = ""
    env: dict[str, str] = field(default_factory=dict)
    timeout: int = 420

    @property
    def tests(self) -> str:
        """Whose tests these are: the name of the baseline, which a battery shares with the extension."""
        return self.name.removesuffix(_BATTERY)

    @property
    def slug(self) -> str:
        """The name as a part of file names."""
        return self.name.replace(_BATTERY, ".battery")

    @property
    def replaces_extension(self) -> bool:
        """Whether a battery takes the place of the extension in this run."""
        return self.role == "battery"

    def with_battery(self) -> Suite:
        """Return the same suite with Quaff's battery in the place of the extension."""
        return replace(self, role="battery", name=self.tests + _BATTERY)

    @property
    def lock(self) -> Path:
        """The exact versions that the baseline was recorded with."""
        return BASELINE / f"{self.tests}.lock"

    def ids_file(self, kind: str = "") -> Path:
        """The file of a baseline: *kind* is "" or "services"."""
        return BASELINE / ".".join(filter(None, (self.tests, kind, "txt")))

    def baseline(self, *, services: bool) -> set[str]:
        """Return the ids that pass with the real Flask and the real extension; *services*: with those that need a server."""
        return read_ids(self.ids_file()) | (read_ids(self.ids_file("services")) if services else set())


@dataclass(frozen=True)
class Difference:
    """One row of `differences.toml`: a test of the baseline that Quaff does not pass, and why."""

    suite: str
    id: str
    reason: str
    pipeline: str = "both"
    unsteady: bool = False
    compat: str = ""

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
    """Return all suites, in the order of the file; those that have a battery a second time at the end, with it."""
    rows = [Suite(**row) for row in _load("suites.toml")["suite"]]
    plain = [suite for suite in rows if not suite.replaces_extension]
    return [*plain, *(suite.with_battery() for suite in rows if suite.battery)]


def common_requirements() -> list[str]:
    """Return what every suite needs when a baseline is recorded."""
    return list(_load("suites.toml")["common"])


def battery_requirements() -> list[str]:
    """Return what the suites with a battery need, in the versions of their baselines, and what the batteries need."""
    locks = [suite.lock for suite in load_suites() if suite.replaces_extension]
    pinned = {line for lock in locks if lock.exists() for line in lock.read_text(encoding="utf-8").split()}
    return [*sorted(pinned), *_load("suites.toml")["batteries"]]


def replaced_distributions() -> list[str]:
    """Return the distributions that batteries take the place of. None of them is left where a battery is measured."""
    rows = [suite for suite in load_suites() if suite.role == "extension" and suite.battery]
    return [suite.source.partition("==")[0] for suite in rows]


def load_differences() -> list[Difference]:
    """Return all known differences."""
    return [Difference(**row) for row in _load("differences.toml").get("difference", [])]
