"""Apps for the tests of the cache: in both pipelines, asked in every way that a request may be served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from quaff import Quaff
from quaff.after_response import drain_after_response
from quaff.ext.caching import Cache

PIPELINES = (True, False)
"""The values for `compiled`."""


def make_app(compiled: bool | None = None, **config: Any) -> tuple[Quaff, Cache]:
    """Return an app with a cache in memory; *config* adds settings."""
    app = Quaff("cached", static_folder=None, **({} if compiled is None else {"compiled": compiled}))
    app.config.update(TESTING=True, SECRET_KEY="a key for tests", CACHE_TYPE="SimpleCache")
    app.config.update(config)
    return app, Cache(app)


class Counted:
    """Counts the calls of a view."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


def get_over_wsgi(app: Quaff, path: str, **options: Any) -> Any:
    """Answer a GET through the WSGI interface."""
    return app.test_client().get(path, **options)


def get_over_asgi(app: Quaff, path: str, **options: Any) -> Any:
    """Answer a GET on an event loop."""

    async def ask() -> Any:
        answer = await app.test_async_client().get(path, **options)
        # What is done in the background is done on this loop.
        await asyncio.to_thread(drain_after_response, 60)
        return answer

    return asyncio.run(ask())


WAYS: tuple[Callable[..., Any], ...] = (get_over_wsgi, get_over_asgi)
