"""Counting in a store that may be down: a breaker before it, and memory beside it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from limits.errors import ConfigurationError
from limits.storage import Storage

from ...stores.breaker import Breaker, StoreUnavailable
from ...stores.shared_dir import VARIABLE
from .constants import ConfigVars
from .counting import Counting
from .memory import MemoryStorage
from .settings import Settings
from .storage import build_storage, is_remote, safe_name, shared_path

T = TypeVar("T")

RETRY_AFTER: Final = 1.0
"""Seconds after which a store that is down is asked again."""


class Backend:
    """Where an app's limits are counted.

    :param logger: for one line when the store goes down, and one when it is back.
    :param name: of the limiter, the same in all processes of a server.
    :raises ConfigurationError: for settings that cannot be right. A store that does not answer is not one of them.
    """

    def __init__(self, settings: Settings, logger: logging.Logger, name: str = "") -> None:
        self._settings = settings
        self._name = name
        self._counting: Counting | None = None
        self._local: Counting | None = None
        self.timeout = settings.storage_timeout
        self.is_remote = is_remote(settings.storage_uri)
        self.is_plain_memory = not self.is_remote and shared_path(settings.storage_uri, name) is None
        self.name = safe_name(settings.storage_uri or "memory://")
        self.breaker = Breaker(
            f"The store of the rate limits, {self.name},",
            retry_after=RETRY_AFTER,
            # Clients raise errors of their own families, and a script that fails is as bad as a socket that does.
            errors=(Exception,),
            logger=logger,
        )
        self._build()

    def _build(self) -> None:
        try:
            self._counting = self._make_counting()
        except (ConfigurationError, ImportError, TypeError, ValueError):
            raise
        except Exception:
            # A cluster is asked for its nodes here. It is tried again, through the breaker, with the first request.
            if not self.is_remote:
                raise

    def _make_counting(self) -> Counting:
        settings = self._settings
        storage = build_storage(
            settings.storage_uri,
            settings.storage_options,
            name=self._name,
            timeout=settings.storage_timeout,
            max_keys=settings.max_keys,
        )
        return Counting(storage, settings.strategy)

    @property
    def counting(self) -> Counting:
        """Counting in the store itself; what it raises is the store's own error."""
        made = self._counting
        if made is None:
            made = self._counting = self._make_counting()
        return made

    @property
    def local(self) -> Counting:
        """Counting in memory, for while the store is down."""
        made = self._local
        if made is None:
            storage: Storage = MemoryStorage(max_keys=self._settings.max_keys)
            made = Counting(storage, self._settings.strategy)
            self._local = made
        return made

    @property
    def counts_fixed_in_one_step(self) -> bool:
        """Whether windows are fixed, and the storage is here and counts them in one call."""
        return not self.is_remote and self.counting.counts_fixed_in_one_step

    def refresh(self) -> None:
        """Look again at what may have been replaced since."""
        for counting in (self._counting, self._local):
            if counting is not None:
                counting.choose()

    def multiprocess_warning(self, environ: dict[str, Any]) -> str | None:
        """Return what is wrong when each of several processes counts for itself, or None."""
        if not self.is_plain_memory or not environ.get("wsgi.multiprocess"):
            return None
        return (
            "Rate limits are counted in the memory of each process, and this server has several, so that each limit is"
            f" that many times as high. Set {ConfigVars.STORAGE_URI} to 'shared:///path/of/a/file' or to a store such as"
            f" 'redis://...', or serve with 'quaff serve', which sets {VARIABLE}."
        )


class Guarded:
    """The store for the limits of one request: all of them together wait for no longer than the timeout, or little more."""

    __slots__ = ("_backend", "_deadline")

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._deadline = time.monotonic() + backend.timeout

    @property
    def windows(self) -> int:
        """For how many windows a hit counts at most; see `Counting`."""
        return self._backend.counting.windows

    def hit(self, item: Any, key: str, args: tuple[str, ...], cost: int) -> Any:
        """Count a hit.

        :raises StoreUnavailable: when the store does not answer in time, or has not lately.
        """
        return self._call(lambda: self._backend.counting.hit(item, key, args, cost))

    def test(self, item: Any, args: tuple[str, ...], cost: int) -> Any:
        """Tell whether a hit would be allowed; it raises like `hit`."""
        return self._call(lambda: self._backend.counting.test(item, args, cost))

    def look(self, item: Any, args: tuple[str, ...]) -> Any:
        """Tell how much is left; it raises like `hit`."""
        return self._call(lambda: self._backend.counting.look(item, args))

    def _call(self, function: Callable[[], T]) -> T:
        if time.monotonic() > self._deadline:
            # No failure of the store: one that answers each time, but slowly, is still asked by the next request.
            seconds = f"{self._backend.timeout:g} seconds"
            raise StoreUnavailable(f"{self._backend.breaker.name} is slow: the limits of one request took {seconds}.")
        return self._backend.breaker.call(function)
