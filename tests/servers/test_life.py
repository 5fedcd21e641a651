"""What is done before the first request and after the last: in order, and within its time."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from quaff import Quaff
from quaff.after_response import CallAfterResponse, run_after_response
from quaff.servers import life
from quaff.servers.life import AppLife
from tests.servers.process import PATIENCE


def test_an_app_begins_and_ends_on_its_loop(app: Quaff) -> None:
    """Its functions run once each, the async ones on the loop that calls."""
    events: list[object] = []

    @app.before_serving
    async def before() -> None:
        events.append(asyncio.get_running_loop())

    @app.after_serving
    async def after() -> None:
        events.append(asyncio.get_running_loop())

    async def live() -> None:
        loop = asyncio.get_running_loop()
        await AppLife(app).startup()
        assert events == [loop]
        await AppLife(app).shutdown()
        assert events == [loop, loop]

    asyncio.run(live())


def test_what_the_startup_raises_is_the_callers(app: Quaff) -> None:
    """Nothing is served then."""

    @app.before_serving
    def before() -> None:
        raise ValueError("no database")

    with pytest.raises(ValueError, match="no database"):
        asyncio.run(AppLife(app).startup())


def test_calls_after_responses_come_before_the_shutdown(app: Quaff) -> None:
    """They may need what the shutdown closes; those that are async need the loop, which goes on meanwhile."""
    events: list[str] = []

    async def late() -> None:
        await asyncio.sleep(0)
        events.append("late call")

    @app.after_serving
    def after() -> None:
        events.append("shutdown")

    async def live() -> None:
        await AppLife(app).startup()
        run_after_response(app, [CallAfterResponse(app, late, (), {})])
        await AppLife(app).shutdown()

    asyncio.run(live())
    assert events == ["late call", "shutdown"]


def test_calls_that_do_not_end_are_given_up(
    app: Quaff, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so, and the shutdown still runs."""
    monkeypatch.setattr(life, "_LAST_CALLS", 0.01)
    leave, left = threading.Event(), threading.Event()
    events: list[str] = []

    def endless() -> None:
        leave.wait(PATIENCE)
        left.set()

    @app.after_serving
    def after() -> None:
        events.append("shutdown")

    async def live() -> None:
        await AppLife(app).startup()
        run_after_response(app, [CallAfterResponse(app, endless, (), {})])
        await AppLife(app).shutdown()

    try:
        with caplog.at_level(logging.WARNING):
            asyncio.run(live())
        assert events == ["shutdown"]
        assert "Calls after responses were given up: they had 0.01 seconds." in caplog.text
    finally:
        leave.set()
    assert left.wait(PATIENCE)
