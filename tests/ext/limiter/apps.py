"""Apps, clients and a clock for the tests of the limiter."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from quaff import Quaff, request
from quaff.ext.limiter import Limiter
from quaff.ext.limiter.util import get_remote_address

both_pipelines = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "reference"])

STRATEGIES = ("fixed-window", "moving-window", "sliding-window-counter")

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


class Clock:
    """Stands for the clocks of `time`: it goes only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # A multiple of most windows, so that sliding ones begin now.
        self.now = 86_400.0 * 1000
        self.wall = 1_700_000_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: self.wall)

    def forward(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.wall += seconds

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock, by so many seconds forward or back, as an administrator does."""
        self.wall += seconds


def make_app(compiled: bool = True, **config: Any) -> Quaff:
    """Return an app in testing mode."""
    app = Quaff("tests.ext.limiter.apps", compiled=compiled)
    app.config.update(TESTING=True, SECRET_KEY="a key for tests", **config)
    return app


def limited_app(compiled: bool = True, *limits: str, **options: Any) -> tuple[Quaff, Limiter]:
    """Return an app with `/` and `/other`, and its limiter with default *limits*."""
    app = make_app(compiled, **options.pop("config", {}))
    limiter = Limiter(options.pop("key_func", get_remote_address), app=app, default_limits=list(limits), **options)
    app.add_url_rule("/", "index", lambda: "index", methods=["GET", "POST"])
    app.add_url_rule("/other", "other", lambda: "other")
    return app, limiter


def statuses(app: Any, path: str = "/", times: int = 1, **options: Any) -> list[int]:
    """Return the status codes of requests for *path*, one after the other."""
    method = options.pop("method", "GET")
    client = app.test_client()
    return [client.open(path, method=method, **options).status_code for _ in range(times)]


def statuses_on_loop(app: Any, path: str = "/", times: int = 1, **options: Any) -> list[int]:
    """Return the same for an app that is served on an event loop."""

    async def go() -> list[int]:
        client = app.test_async_client()
        return [(await client.get(path, **options)).status_code for _ in range(times)]

    return asyncio.run(go())


def user_name() -> str:
    """Return for whom a request counts: what it says in a header."""
    return request.headers.get("User", "")


def from_address(address: str) -> dict[str, Any]:
    """Return the options of a request from an address."""
    return {"environ_base": {"REMOTE_ADDR": address}}
