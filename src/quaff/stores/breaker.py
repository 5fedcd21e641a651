"""A circuit breaker for stores over the network: a store that is down costs a deadline once, not once per request.

Closed, calls go through. After `failures` errors in a row it opens: calls are refused at once with `StoreUnavailable`
until `retry_after` seconds have passed; then one call at a time is let through to find out, and the first that succeeds
closes it. Each change is logged once, so that an outage is two lines in the log and not two per request.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ..errors import QuaffError

T = TypeVar("T")

DEADLINE: Final = 0.25
"""Seconds that a remote store gets for an answer unless its battery says otherwise."""


def _monotonic() -> float:
    # Looked up anew each time: tests that move the clock replace it in its module.
    return time.monotonic()


class StoreUnavailable(QuaffError, ConnectionError):
    """A store did not answer, or was not asked because it has not answered lately."""

    code = "Q600"


class Breaker:
    """Guards the calls to one store. Safe for threads.

    :param name: of the store, for the log and messages: `rate limits in redis://...`, without a password.
    :param failures: so many errors in a row open it.
    :param retry_after: seconds until it is tried again.
    :param errors: what counts as the store's fault; everything else passes through and counts as an answer.
    :param logger: what the changes are logged to.
    :param clock: returns seconds, monotonic.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = 3,
        retry_after: float = 1.0,
        errors: tuple[type[BaseException], ...] = (OSError,),
        logger: logging.Logger | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.name = name
        self.failures = failures
        self.retry_after = retry_after
        self._errors = errors
        self._logger = logger or logging.getLogger("quaff.stores")
        self._clock = clock or _monotonic
        self._lock = threading.Lock()
        self._failed = 0
        self._is_open = False
        self._next_try = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the store counts as unavailable."""
        return self._is_open

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Return what *function* returns.

        :raises StoreUnavailable: when the store failed, with its error as the cause, or was not asked.
        """
        was_open = self._is_open
        if was_open and not self._may_try():
            raise StoreUnavailable(f"{self.name} is unavailable; it is tried again every {self.retry_after:g} seconds.")
        try:
            result = function(*args, **kwargs)
        except self._errors as error:
            self._note_failure(error)
            raise StoreUnavailable(f"{self.name} is unavailable: {type(error).__name__}: {error}") from error
        # An answer that was on its way when the breaker opened says nothing about the store now.
        if self._failed and (was_open or not self._is_open):
            self._note_success()
        return result

    def _may_try(self) -> bool:
        with self._lock:
            now = self._clock()
            if now < self._next_try:
                return False
            # One caller finds out; the others go on without until it knows.
            self._next_try = now + self.retry_after
            return True

    def _note_failure(self, error: BaseException) -> None:
        with self._lock:
            self._failed += 1
            self._next_try = self._clock() + self.retry_after
            opens = not self._is_open and self._failed >= self.failures
            self._is_open = self._is_open or opens
        if opens:
            self._logger.error("%s is unavailable: %s: %s", self.name, type(error).__name__, error)

    def _note_success(self) -> None:
        with self._lock:
            closes = self._is_open
            self._failed = 0
            self._is_open = False
        if closes:
            self._logger.warning("%s is available again", self.name)
