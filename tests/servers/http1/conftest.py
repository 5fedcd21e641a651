"""Tests that take `serve` run on each kind of event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from quaff import Quaff
from tests.servers.http1.serving import Server, serving

Serve = Callable[..., Server]


@pytest.fixture(params=["uvloop", "asyncio"])
def serve(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Give what serves an app until the end of the test, with the arguments of `serving`."""
    if request.param == "asyncio":
        monkeypatch.setattr("quaff.servers.loop.new_event_loop", asyncio.new_event_loop)
    with ExitStack() as stack:

        def start(app: Quaff, **values: Any) -> Server:
            return stack.enter_context(serving(app, **values))

        yield start


@pytest.fixture
def app() -> Quaff:
    """Give an app with nothing registered, whose async views run on the loop in every run of the suite."""
    return Quaff("http1", static_folder=None, compiled=True)
