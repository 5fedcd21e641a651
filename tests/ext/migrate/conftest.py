"""A project in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ext.migrate.projects import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Give a project with one model, on SQLite."""
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    yield project
    project.close()
