"""The command line changes the environment and the import path; tests give both back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from quaff.cli import failures


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before, path, verbose = dict(os.environ), list(sys.path), failures._verbose
    for name in list(os.environ):
        if name.startswith(("FLASK_", "WERKZEUG_")) or (name.startswith("QUAFF_") and name != "QUAFF_COMPILED"):
            monkeypatch.delenv(name)
    yield
    monkeypatch.undo()
    os.environ.clear()
    os.environ.update(before)
    sys.path[:] = path
    failures.set_verbose(verbose)
