"""Every test that takes `serve` runs over each protocol and in each pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from quaff import Quaff
from tests.protocols.harness import INTERFACES, Served

Serve = Callable[[Quaff], Served]


@pytest.fixture(params=INTERFACES)
def interface(request: pytest.FixtureRequest) -> str:
    """Give how the server calls the app."""
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app with a secret key and nothing registered."""
    app = Quaff("protocols", static_folder=None, compiled=request.param)
    app.secret_key = "a key for tests"
    return app


@pytest.fixture
def serve(interface: str) -> Iterator[Serve]:
    """Give what serves an app until the end of the test."""
    with ExitStack() as stack:

        def start(app: Quaff) -> Served:
            served = Served(interface, stack.enter_context(INTERFACES[interface](app)))
            stack.callback(served.client.close)
            return served

        yield start
