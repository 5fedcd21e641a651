"""The project's files name no package registry and no path of a developer's machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.source import ROOT

# Written in pieces, so that this file does not hold what it forbids.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("crates", "io"),
        ("deb", "debian", "org"),
        ("conda", "anaconda", "org"),
    )
]
MACHINE = [
    re.compile(rf"(?<![\w.]){prefix}") for prefix in ("/" + "root/", "/" + "work/", "/tmp/" + "dev/", "/tmp/" + "ref/")
]
LEFT_OUT = {"__pycache__", "_build", "_generated", "build", "dist", "node_modules"}
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".html",
    ".cfg",
    ".json",
    ".css",
    ".svg",
    ".ini",
    ".jinja",
    ".service",
    ".conf",
    "",
}


def _files(folder: Path = ROOT) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT or path.name.endswith(".egg-info"):
            continue
        if path.is_dir() and (path.name == ".ci" or not path.name.startswith(".")):
            yield from _files(path)
        elif path.is_file() and path.suffix in TEXT:
            yield path


def _lines() -> Iterator[tuple[str, str]]:
    for path in _files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{number}", line


@pytest.fixture(scope="module")
def lines() -> list[tuple[str, str]]:
    """Give every line of the project's text files with its place."""
    return list(_lines())


def test_no_registry_host(lines: list[tuple[str, str]]) -> None:
    """Packages are named, never the host that they come from: that is the business of the machine that installs."""
    assert [where for where, line in lines if any(host in line for host in HOSTS)] == []


def test_no_path_of_one_machine(lines: list[tuple[str, str]]) -> None:
    """No file holds an absolute path that exists on one developer's machine only."""
    assert [where for where, line in lines if any(pattern.search(line) for pattern in MACHINE)] == []


def test_files_are_seen(lines: list[tuple[str, str]]) -> None:
    """The search reads the sources, the documents and the scripts without a suffix."""
    seen = {where.partition(":")[0] for where, _line in lines}
    assert {"Makefile", "README.md", "pyproject.toml", ".ci/run", "src/quaff/__init__.py"} <= seen
