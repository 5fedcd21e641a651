"""The suites, their baselines and the known differences: the data of this folder, read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
BASELINE = HERE / "baseline"
_BATTERY = " (battery"


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
    again: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    timeout: int = 420

    @property
    def tests(self) -> str:
        """Whose tests these are: the name of the baseline, which a battery shares with the extension."""
        return self.name.partition(_BATTERY)[0]

    @property
    def slug(self) -> str:
        """The name as a part of file names."""
        return re.sub("[^a-z0-9.-]+", "-", self.name.replace(_BATTERY, ".battery")).rstrip("-")

    @property
    def replaces_extension(self) -> bool:
        """Whether a battery takes the place of the extension in this run."""
        return self.role == "battery"

    def with_battery(self, *again: str) -> Suite:
        """Return the same suite with Quaff's battery in the place of the extension.

        :param again: other versions than those of the baseline.
        """
        return replace(self, role="battery", name=", ".join([self.tests + _BATTERY, *again]) + ")", again=list(again))

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
        # A difference of a battery is one with other versions as well.
        is_same = self.suite == suite or suite.startswith(f"{self.suite.removesuffix(')')}, ")
        return is_same and self.pipeline in ("both", pipeline)


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
    with_battery = [suite for suite in rows if suite.battery]
    again = [suite.with_battery(*suite.again) for suite in with_battery if suite.again]
    return [*plain, *(suite.with_battery() for suite in with_battery), *again]


def common_requirements() -> list[str]:
    """Return what every suite needs when a baseline is recorded."""
    return list(_load("suites.toml")["common"])


def battery_requirements(again: Collection[str] = ()) -> list[str]:
    """Return what the suites with a battery need, in the versions of their baselines, and what the batteries need.

    :param again: what is needed in another version than that.
    """
    locks = [suite.lock for suite in load_suites() if suite.replaces_extension]
    pinned = {line for lock in locks if lock.exists() for line in lock.read_text(encoding="utf-8").split()}
    others = {line.partition("==")[0] for line in again}
    needed = [*sorted(pinned), *_load("suites.toml")["batteries"]]
    return [*(line for line in needed if line.partition("==")[0].lower() not in others), *again]


def replaced_distributions() -> list[str]:
    """Return the distributions that batteries take the place of. None of them is left where a battery is measured."""
    rows = [suite for suite in load_suites() if suite.role == "extension" and suite.battery]
    return [suite.source.partition("==")[0] for suite in rows]


def load_differences() -> list[Difference]:
    """Return all known differences."""
    return [Difference(**row) for row in _load("differences.toml").get("difference", [])]
