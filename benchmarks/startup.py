"""How long `import quaff` takes beside `import flask`, each in a fresh interpreter.

Measured from outside: the whole run of `python -I -c "import NAME"` minus that of `python -I -c pass`, because
`-X importtime` slows down what it measures. The byte code is on disk before the first timed run.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.contestants import clean_environment, measuring_core, pin_to

BAR = 0.60
"""The share of Flask's import time that Quaff may take."""

HEAVY = ("jinja2", "click", "werkzeug.serving", "werkzeug.test", "granian", "itsdangerous", "asyncio", "http.server")
"""Modules that a program which only imports the framework has no use for."""


@dataclass(frozen=True, slots=True)
class Startup:
    """The import of one module."""

    module: str
    milliseconds: float
    """The median over the runs, without the bare interpreter."""

    modules: int
    """How many modules the import adds to those of the bare interpreter."""

    heavy: list[str]
    """Which of `HEAVY` it loads."""


@dataclass(frozen=True, slots=True)
class Result:
    """Flask's import and Quaff's."""

    flask: Startup
    quaff: Startup
    interpreter: float
    """Milliseconds of the bare interpreter."""

    bar: float = BAR

    @property
    def share(self) -> float:
        """Quaff's time as a share of Flask's."""
        return self.quaff.milliseconds / self.flask.milliseconds

    @property
    def passed(self) -> bool:
        """Whether Quaff's import is within the bar."""
        return self.share <= self.bar

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {**asdict(self), "share": self.share, "passed": self.passed}


def run_once(python: str, statement: str) -> float:
    """Run *statement* in a fresh interpreter; return the milliseconds from outside. RuntimeError when it fails."""
    started = perf_counter()
    done = subprocess.run(
        [python, "-I", "-c", statement],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=pin_to(measuring_core()),
    )
    took = (perf_counter() - started) * 1000
    if done.returncode:
        raise RuntimeError(f"`python -c {statement!r}` failed:\n{done.stderr.strip()[-2000:]}")
    return took


def loaded_modules(python: str, statement: str) -> set[str]:
    """Return the names in `sys.modules` after *statement*."""
    done = subprocess.run(
        [python, "-I", "-c", f"import sys\n{statement}\nprint(*sys.modules)"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def measure(python: str, runs: int, modules: Sequence[str] = ("flask", "quaff")) -> Result:
    """Import Flask and Quaff alternately, *runs* times each; *modules* are the names of the two."""
    statements = {"": "pass", **{name: f"import {name}" for name in modules}}
    for statement in statements.values():
        # PERF: writes the byte code and brings the files into the system's cache, as after an installation.
        run_once(python, statement)
    times: dict[str, list[float]] = {name: [] for name in statements}
    for _ in range(runs):
        for name, statement in statements.items():
            times[name].append(run_once(python, statement))
    bare = loaded_modules(python, "pass")
    rows = []
    for name in modules:
        added = loaded_modules(python, f"import {name}") - bare
        extra = median(one - base for one, base in zip(times[name], times[""], strict=True))
        rows.append(Startup(name, extra, len(added), [module for module in HEAVY if module in added]))
    result = Result(rows[0], rows[-1], median(times[""]))
    print(f"  {describe(result)}", flush=True)
    return result


def describe(result: Result) -> str:
    """Return the result as one line for the terminal."""
    parts = [f"{row.module} {row.milliseconds:.1f} ms, {row.modules} modules" for row in (result.flask, result.quaff)]
    verdict = "pass" if result.passed else "MISSED"
    return f"{'; '.join(parts)}; share {result.share:.2f}  bar {result.bar:g}: {verdict}"
