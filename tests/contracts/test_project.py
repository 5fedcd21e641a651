"""The project's own files hold together: pins, entry points, changes, licence."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import quaff.cli
from tests.contracts.source import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("path", PINS, ids=lambda path: path.name)
def test_pins_are_exact_and_hashed(path: Path) -> None:
    """Each pinned requirement has one exact version and a hash, and the file names no index."""
    text = path.read_text(encoding="utf-8")
    requirements = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    assert requirements
    assert all(re.match(r"[a-z0-9._\[\]-]+==[^ ]+ ", line) for line in requirements)
    assert text.count("--hash=sha256:") >= len(requirements)
    assert not re.search(r"^--?\w", text, re.MULTILINE)


def _versions(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)(?:\[\w+\])?==([^ ;]+)", path.read_text("utf-8"), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def test_one_version_everywhere() -> None:
    """A package pinned in several files is pinned alike, so that all sets fit into one environment.

    Several versions in one file are for different Pythons.
    """
    pinned: dict[str, list[set[str]]] = {}
    for path in PINS:
        for name, versions in _versions(path).items():
            pinned.setdefault(name, []).append(versions)
    assert {name: sets for name, sets in pinned.items() if any(versions != sets[0] for versions in sets)} == {}


def test_console_script() -> None:
    """The installed script `quaff` is the command line, and no script called `flask` is ours."""
    scripts = {script.name: script for script in entry_points(group="console_scripts")}
    assert scripts["quaff"].load() is quaff.cli.main
    assert set(PROJECT["project"]["scripts"]) == {"quaff"}


def test_license_is_what_the_metadata_says() -> None:
    """The licence file is the BSD licence with three clauses."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["project"]["license"] == "BSD-3-Clause"
    assert "Quaff contributors" in text
    assert "Neither the name" in text


def test_types_are_shipped() -> None:
    """The package says that it is typed (PEP 561)."""
    assert (ROOT / "src" / "quaff" / "py.typed").is_file()


def test_make_help_lists_the_targets() -> None:
    """`make help` names every target of the Makefile."""
    done = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert targets <= set(re.findall(r"^  make (\w+)", done.stdout, re.MULTILINE))


def test_change_fragments_are_named_right() -> None:
    """A change fragment is called NAME.KIND.md, with one of the kinds that changes/README.md lists."""
    kinds = set(re.findall(r"^\| `(\w+)`", (ROOT / "changes" / "README.md").read_text("utf-8"), re.MULTILINE))
    assert kinds
    for path in (ROOT / "changes").iterdir():
        if path.name not in ("README.md", "check.py"):
            assert re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(sorted(kinds))})\.md", path.name), path.name
            assert path.read_text(encoding="utf-8").strip().endswith("."), f"{path.name} is not a sentence"


def test_supported_pythons() -> None:
    """These tests run on a Python that the metadata allows."""
    floor = re.fullmatch(r">=3\.(\d+)", PROJECT["project"]["requires-python"])
    assert floor
    assert sys.version_info >= (3, int(floor[1]))
