"""What the tests of the benchmarks share: the package on the path, and the real Flask and Falcon where there are any."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The benchmarks are no part of the installed package.
sys.path.append(str(Path(__file__).resolve().parent.parent.parent))

from benchmarks import environment


def installed(name: str) -> str | None:
    """Return the version of *name* that a fresh interpreter of this environment sees."""
    version: str | None = environment.ask(sys.executable)["packages"][name]
    return version


@pytest.fixture(scope="session")
def real_flask() -> str:
    """Give the version of the real Flask, or skip: without it there is nothing to compare with."""
    version = installed("flask")
    if version is None:
        pytest.skip("the real Flask is not installed in this environment")
    return version


@pytest.fixture(scope="session")
def real_falcon() -> str:
    """Give the version of Falcon, or skip."""
    version = installed("falcon")
    if version is None:
        pytest.skip("Falcon is not installed in this environment")
    return version


@pytest.fixture(scope="session")
def real_extensions(real_flask: str) -> None:
    """Skip without the extensions that batteries are held against."""
    missing = [name for name in environment.EXTENSIONS if installed(name) is None]
    if missing:
        pytest.skip(f"not installed in this environment: {', '.join(missing)}")
