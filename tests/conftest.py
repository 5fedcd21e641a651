"""What every test can use, and what no test may leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from glob import glob
from typing import TYPE_CHECKING

import pytest

from quaff import Quaff
from quaff.globals import NO_CONTEXT, active_context, current_context

if TYPE_CHECKING:
    from quaff.testing import FlaskClient

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs pytest in the background ignores Ctrl-C for it and all its children; servers under test must hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


SERVICES = {
    "memcached": ("QUAFF_TEST_MEMCACHED", "127.0.0.1:11211"),
    "redis": ("QUAFF_TEST_REDIS", "127.0.0.1:6379"),
}
"""Name -> the variable that says where the service listens, and where it is looked for otherwise."""

PROGRAMS = {
    "chromium": ("QUAFF_TEST_CHROMIUM", ("chromium", "chromium-browser", "google-chrome")),
    "redis-server": ("QUAFF_TEST_REDIS_SERVER", ("redis-server", "valkey-server")),
    "memcached-server": ("QUAFF_TEST_MEMCACHED_SERVER", ("memcached",)),
    "mariadb-server": ("QUAFF_TEST_MARIADB_SERVER", ("mariadbd", "mysqld")),
    "postgresql": ("QUAFF_TEST_POSTGRESQL", ("postgres", "/usr/lib/postgresql/*/bin/postgres")),
}
"""Name -> the variable that says which program to start, and which ones are looked for otherwise."""


def pytest_report_header() -> str:
    """Say which pipeline the apps of this run use."""
    return f"quaff pipeline: {'reference' if os.environ.get('QUAFF_COMPILED') == '0' else 'compiled'}"


@pytest.fixture(autouse=True)
def no_context_left_behind() -> Iterator[None]:
    """Fail a test that leaves an app or request context behind, and clear it for the tests after it."""
    yield
    left = active_context()
    if left is not None:
        current_context.set(NO_CONTEXT)
        pytest.fail(f"the test left a context behind: {left!r}")


@pytest.fixture
def app() -> Quaff:
    """Give an app in testing mode with a secret key and nothing registered."""
    app = Quaff("tests.conftest", root_path=os.path.dirname(__file__))
    app.config.update(TESTING=True, SECRET_KEY="a key for tests")
    return app


@pytest.fixture
def client(app: Quaff) -> FlaskClient:
    """Give a test client of the `app` fixture."""
    return app.test_client()


@pytest.fixture
def free_port() -> int:
    """Give a TCP port on 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def _find_service(name: str) -> tuple[str | None, str]:
    """Return where a service listens, or the path of a program, or None; and what to do about None."""
    if name in PROGRAMS:
        variable, names = PROGRAMS[name]
        wanted = os.environ.get(variable)
        tried = (wanted,) if wanted else names
        found = next((path for name in tried for path in [shutil.which(name), *glob(name)] if path), None)
        return found, f"there is no program {' or '.join(tried)}; install it, or set {variable}=PATH"
    variable, usual = SERVICES[name]
    address = os.environ.get(variable, usual)
    hint = f"{name} does not answer at {address}; start it, or set {variable}=HOST:PORT"
    return address if _listens(address) else None, hint


def _require(name: str) -> str:
    found, message = _find_service(name)
    if found is not None:
        return found
    if os.environ.get("QUAFF_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def require_service() -> Callable[[str], str]:
    """Give a function that returns where a service listens, or which program is one, or ends the test.

    Without the service the test is skipped; with `QUAFF_REQUIRE_SERVICES=1`, as in CI, it fails.
    """
    return _require


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for the services of a test before its fixtures are made, some of which start them."""
    for marker in item.iter_markers("service"):
        _require(marker.args[0])
