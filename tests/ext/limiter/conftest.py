"""A clock, and store servers, for the tests of the limiter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ext.limiter.apps import Clock
from tests.ext.servers import Memcached, Redis, Server, running


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give a clock that stands still."""
    return Clock(monkeypatch)


@pytest.fixture
def redis_server(tmp_path: Path, require_service: Callable[[str], str]) -> Iterator[Server]:
    """Give a running Redis of the test's own."""
    require_service("redis-server")
    with running(Redis(tmp_path)) as server:
        yield server


@pytest.fixture
def memcached_server(tmp_path: Path, require_service: Callable[[str], str]) -> Iterator[Server]:
    """Give a running Memcached of the test's own."""
    require_service("memcached-server")
    with running(Memcached(tmp_path)) as server:
        yield server


@pytest.fixture(autouse=True)
def no_shared_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test begin without a server that has several workers."""
    monkeypatch.delenv("QUAFF_SHARED_DIR", raising=False)
