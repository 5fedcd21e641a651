"""Getting the tests: source distributions from the package index, by name and version."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from suites import Suite, Unavailable


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _find(folder: Path, name: str, version: str) -> Path | None:
    for path in sorted(folder.glob("*.tar.gz")):
        stem, _, found = path.name.removesuffix(".tar.gz").rpartition("-")
        if _normal(stem) == _normal(name) and found == version:
            return path
    return None


def source_distribution(source: str, cache: Path) -> Path:
    """Return the archive of *source* (NAME==VERSION), downloading it once.

    :raises Unavailable: when the package index does not give it.
    """
    name, version = source.split("==")
    folder = cache / "sdist"
    folder.mkdir(parents=True, exist_ok=True)
    if _find(folder, name, version) is None:
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"]
        done = subprocess.run([*argv, str(folder), source], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"cannot download {source}: {' '.join(done.stderr.split())[-300:]}")
    path = _find(folder, name, version)
    if path is None:
        raise Unavailable(f"{source} has no source distribution in tar.gz")
    return path


def _wanted(member: str, paths: list[str]) -> bool:
    return any(member == path or member.startswith(path.rstrip("/") + "/") for path in paths)


def unpack(suite: Suite, cache: Path, into: Path) -> None:
    """Lay the suite's own files, and nothing else of the distribution, under *into*.

    :raises Unavailable: when they are not to be had.
    """
    archive = source_distribution(suite.source, cache)
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            inner = member.name.partition("/")[2]
            if inner and (member.isfile() or member.isdir()) and _wanted(inner, suite.paths):
                member.name = inner
                tar.extract(member, into, filter="data")
    if not any(into.iterdir()):
        raise Unavailable(f"{suite.source} has none of {', '.join(suite.paths)}")
    _settle(into / suite.workdir)


def _settle(folder: Path) -> None:
    """Give the suite a configuration of pytest, so that pytest does not go up and find that of Quaff."""
    for name in ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini"):
        file = folder / name
        if file.exists() and "pytest" in file.read_text(encoding="utf-8"):
            return
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
