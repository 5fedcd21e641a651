"""A pytest plugin that writes one line of JSON for each report.

A line is flushed as soon as the test is over, so a suite that runs into its time limit leaves what it had done.
`CONFORMANCE_REPORT` names the file.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import IO, Any

import pytest

_files: list[IO[str]] = []


def _write(**row: object) -> None:
    for file in _files:
        file.write(json.dumps(row) + "\n")
        file.flush()


def _reason(report: Any) -> str:
    longrepr = getattr(report, "longrepr", None)
    crash = getattr(longrepr, "reprcrash", None)
    if crash is not None:
        text = f"{os.path.basename(crash.path)}:{crash.lineno}: {crash.message}"
    else:
        whole = str(longrepr[-1] if isinstance(longrepr, tuple) else longrepr or "")
        lines = [line for line in whole.splitlines() if line.strip()]
        text = ([line for line in lines if re.match(r"E\s", line)] or lines or [""])[-1]
    return " ".join(text.split())[:400]


def pytest_configure() -> None:
    """Open the file. Pytest runs inside of pytest, as in suites that test plugins, report there as well."""
    path = os.environ.get("CONFORMANCE_REPORT")
    if path and not _files:
        _files.append(Path(path).open("w", encoding="utf-8"))  # noqa: SIM115 - open until pytest ends


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write a line for each phase of a test."""
    row: dict[str, object] = {"id": report.nodeid, "when": report.when, "outcome": report.outcome}
    if hasattr(report, "wasxfail"):
        row["xfail"] = True
    if report.outcome != "passed":
        row["why"] = _reason(report)
    _write(**row)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Write a line for a file that cannot be collected."""
    if report.outcome != "passed":
        _write(id=report.nodeid or ".", when="collect", outcome=report.outcome, why=_reason(report))


def pytest_sessionfinish() -> None:
    """Write where Flask came from, and the module that `CONFORMANCE_MODULE` names."""
    _write(flask=_origin("flask"), extension=_origin(os.environ.get("CONFORMANCE_MODULE", "")))


def _origin(name: str) -> str:
    return str(getattr(sys.modules.get(name), "__file__", None))
