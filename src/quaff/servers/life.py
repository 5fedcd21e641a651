"""What an app wants done before the first request and after the last, on the event loop that serves it."""

from __future__ import annotations

from typing import Any, Final

from .._internal.threads import run_in_new_thread
from ..after_response import drain_after_response

_LAST_CALLS: Final = 2.5
"""Seconds for calls after responses when a worker stops: less than what `loop.py` leaves for the shutdown of the app."""


class AppLife:
    """The beginning and the end of *app*, a Quaff app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def startup(self) -> None:
        """Run what the app wants done before it serves; the loop of the worker is running."""
        await self._app.lifespan.startup()

    async def shutdown(self) -> None:
        """Run what the app wants done after the last request: calls after responses, then its shutdown."""
        if not await run_in_new_thread(drain_after_response, _LAST_CALLS):
            self._app.logger.warning("Calls after responses were given up: they had %g seconds.", _LAST_CALLS)
        await self._app.lifespan.shutdown()
