"""A clock, and store servers, for the tests of the limiter."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ext.limiter.apps import Clock
from tests.ext.servers import Memcached, Redis, Server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a clock that stands still."""
    return Clock(monkeypatch)


def _run(kind: type[Server], folder: Path) -> Iterator[Server]:
    if shutil.which(kind.program) is None:
        message = f"there is no program {kind.program}; install it"
        if os.environ.get("QUAFF_REQUIRE_SERVICES") == "1":
            pytest.fail(message)
        pytest.skip(message)
    server = kind(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Server]:
    """Give a running Redis of the test's own."""
    yield from _run(Redis, tmp_path)


@pytest.fixture
def memcached_server(tmp_path: Path) -> Iterator[Server]:
    """Give a running Memcached of the test's own."""
    yield from _run(Memcached, tmp_path)


@pytest.fixture(autouse=True)
def no_shared_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test begin without a server that has several workers."""
    monkeypatch.delenv("QUAFF_SHARED_DIR", raising=False)
