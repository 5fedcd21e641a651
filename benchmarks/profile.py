"""Prints every Python call that one request of a scenario makes, in order: `python benchmarks/profile.py user`.

Uses `sys.setprofile`, so the count is exact and the same on any machine; it says where the calls go, not the time.
Run it with an interpreter that has the framework installed (`--framework flask` to compare).
"""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

# Run as a script, the first entry is this folder, and this very file would hide the standard library's `profile`.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import scenarios, worker
from benchmarks.flask_apps import LOOP_KEY


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made: how deep, which function, and where it is defined (empty for a built-in)."""

    depth: int
    function: str
    place: str


def record_calls(function: Any, *arguments: Any, builtins: bool = False) -> list[Call]:
    """Return the Python calls (and with *builtins* those into C) that `function(*arguments)` makes, in order.

    The call of *function* itself is the first if it is written in Python. Resuming a generator counts, as CPython
    reports it.
    """
    calls: list[Call] = []
    depth = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal depth
        if event == "call":
            code = frame.f_code
            calls.append(Call(depth, code.co_qualname, f"{code.co_filename}:{code.co_firstlineno}"))
            depth += 1
        elif event == "return":
            depth -= 1
        elif event == "c_call" and builtins:
            calls.append(Call(depth, getattr(argument, "__qualname__", repr(argument)), ""))

    sys.setprofile(note)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    # `setprofile(None)` is itself a call into C, made here.
    return [call for call in calls if call.function != "setprofile"]


def calls_of(framework: str, name: str, *, builtins: bool = False) -> list[Call]:
    """Return the calls of one request of the scenario *name*, the third, when everything is warm."""
    scenario = scenarios.find(name)
    app = worker.build_app(framework, scenario)
    environ = worker.build_environ(scenario, cookie=worker.cookie_of(app, scenario))
    if scenario.inner:
        environ[LOOP_KEY] = 1
    for _ in range(2):
        worker.call_once(app, environ, scenario.content)
    ready = {**environ, "wsgi.input": io.BytesIO(scenario.content)}
    # `setdefault` takes the status and the headers and is written in C: the harness adds no Python call of its own.
    start_response: Any = {}.setdefault
    calls = record_calls(lambda: list(app(ready, start_response)), builtins=builtins)[1:]
    return [replace(call, depth=call.depth - 1) for call in calls]


def shorten(place: str) -> str:
    """Return a place without the folders above the package."""
    for mark in ("/site-packages/", "/src/"):
        if mark in place:
            return place.rpartition(mark)[2]
    return Path(place).name if place.startswith("/") else place


def main(arguments: list[str] | None = None) -> int:
    """Print the calls of a scenario and their number."""
    parser = argparse.ArgumentParser(prog="benchmarks/profile.py", description="List the calls of one request.")
    parser.add_argument("scenario", help=f"one of: {', '.join(scenarios.SCENARIOS)}, static:N, dynamic:N")
    parser.add_argument("--framework", default="quaff", help="the module to import: quaff, flask or falcon")
    parser.add_argument("--builtins", action="store_true", help="list the calls into C as well")
    options = parser.parse_args(arguments)
    try:
        calls = calls_of(options.framework, options.scenario, builtins=options.builtins)
    except LookupError as error:
        parser.error(str(error.args[0]))
    for call in calls:
        print(f"{'  ' * call.depth}{call.function}  {shorten(call.place)}".rstrip())
    python = sum(1 for call in calls if call.place)
    print(f"\n{python} Python calls" + (f", {len(calls) - python} into C" if options.builtins else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
