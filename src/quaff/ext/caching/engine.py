"""What `cached` and `memoize` do around a function: look, call, judge, keep.

An `Engine` belongs to one decorated function. Looking and keeping are plain functions. Between them stands `_steps`, a
generator that yields what has to be waited for, so that synchronous and async functions have one description of it, and two
short drivers. PERF: a hit never gets there.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Final

from werkzeug.exceptions import HTTPException

from ...globals import current_context
from .arguments import join_generator, wants_args, wants_extra_args
from .bound import Bound, CacheBase
from .clock import now
from .flights import POLL, Flight, StoreLock
from .keys import variant_key
from .pages import Page, Variants
from .privacy import PrivateResult, Reads, Verdict
from .rules import Rules
from .serializers import NotStorable
from .settings import seconds_of
from .stale import refresh_later
from .tags import are_current, current_versions, tags_for
from .variants import new_token, values_of
from .watch import Watch

logger: Final = logging.getLogger("quaff.caching")

Step = Generator[tuple[Any, ...], Any, Any]
"""Yields what is to be done: `("call", function, *args, kwargs)`, `("work", function, *args, kwargs)`, or a pause.

A pause is `("wait", flight, seconds)` or `("poll", nothing, seconds)`.
"""

_PAUSES: Final = frozenset({"wait", "poll"})


@dataclass(slots=True)
class Look:
    """One look into the store, and what is known of the call."""

    bound: Bound
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    context: Any
    """The request context, or None."""

    key: str = ""
    keyed: frozenset[str] = frozenset()
    ticket: int = 0
    found: bool = False
    value: Any = None
    page: Page | None = None
    is_stale: bool = False
    index: Variants | None = None
    """What stands at the key, when it has variants."""


class Engine:
    """The caching of one function.

    :param cache: the `Cache`.
    :param function: what is called when nothing is found.
    """

    is_view_like = False
    """Whether HTTP errors are results, and results may be responses."""

    def __init__(self, cache: CacheBase, function: Callable[..., Any], rules: Rules) -> None:
        self.cache = cache
        self.function = function
        self.rules = rules
        self.is_async = inspect.iscoroutinefunction(function)
        self.decorated: Any = None
        self.timeout_of: Callable[[], Any] = lambda: rules.timeout
        self._noted: set[str] = set()
        self._may_share = True
        """Whether others may wait for a value that is being made: False once one turned out to be for one caller only."""

    # What `cached` and `memoize` do in their own ways --------------------------------------------------------------

    def key_for(self, look: Look) -> str:
        """Return the key of a call, and note in *look* what it varies on."""
        raise NotImplementedError

    def may_look(self, look: Look) -> bool:
        """Tell whether the cache may be asked at all."""
        return True

    def judge(self, look: Look, reads: Reads, value: Any) -> Verdict:
        """Tell whether a value may be stored."""
        raise NotImplementedError

    def announce(self, look: Look) -> None:
        """Send the signal for a hit or a miss."""

    def kept(self, look: Look, timeout: int | None) -> None:
        """Do what is to be done after a value was stored."""

    def page_of(self, look: Look, value: Any) -> tuple[Any, str | None]:
        """Return what is stored for a value, and its entity tag."""
        return value, None

    def show(self, look: Look, page: Page | None, value: Any, *, is_hit: bool) -> None:
        """Note on the request what its response has to say about the cache."""

    # Calls ------------------------------------------------------------------------------------------------------------

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call, from the store or by calling the function."""
        look = self._try_look(args, kwargs)
        if look is None:
            return self.function(*args, **kwargs)
        if look.found:
            return self.give(look)
        return self._run(self._steps(look))

    def remake(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Make a value anew although there is one."""
        look = self._fresh_look(args, kwargs)
        if look is not None:
            with suppress(HTTPException):
                self._run(self._steps(look))

    def _run(self, steps: Step) -> Any:
        resume: Callable[[Any], Any] = steps.send
        given: Any = None
        while True:
            try:
                kind, *rest = resume(given)
            except StopIteration as stop:
                return stop.value
            try:
                given = rest[0].wait(rest[1]) if kind in _PAUSES else rest[0](*rest[1:-1], **rest[-1])
                resume = steps.send
            except BaseException as error:
                # Whatever it is: a flight has to land and a lock to be given back.
                resume, given = steps.throw, error

    async def call_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call of an async function; what waits for a store runs in a thread."""
        bound = self.cache.bound()
        look = await self._work(bound, self._try_look, args, kwargs)
        if look is None:
            return await self.function(*args, **kwargs)
        if look.found:
            return self.give(look)
        return await self._run_async(self._steps(look), bound)

    async def remake_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Make a value of an async function anew although there is one."""
        look = self._fresh_look(args, kwargs)
        if look is not None:
            with suppress(HTTPException):
                await self._run_async(self._steps(look), look.bound)

    def _fresh_look(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Look | None:
        bound = self.cache.bound()
        look = Look(bound, args, kwargs, current_context.get().request_context)
        if self._is_bypassed(args, kwargs) or not self.may_look(look):
            return None
        look.key = self.key_for(look)
        look.ticket = bound.flights.count
        return look

    async def _run_async(self, steps: Step, bound: Bound) -> Any:
        resume: Callable[[Any], Any] = steps.send
        given: Any = None
        while True:
            try:
                action = resume(given)
            except StopIteration as stop:
                return stop.value
            try:
                given = await self._act(action, bound)
                resume = steps.send
            except BaseException as error:
                resume, given = steps.throw, error

    async def _act(self, action: tuple[Any, ...], bound: Bound) -> Any:
        kind, *rest = action
        if kind == "wait":
            return await rest[0].wait_async(rest[1])
        if kind == "poll":
            import asyncio

            return await asyncio.sleep(rest[1])
        if kind == "call":
            return await rest[0](*rest[1:-1], **rest[-1])
        return await self._work(bound, rest[0], *rest[1:-1], **rest[-1])

    async def _work(self, bound: Bound, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not (bound.store.is_remote or bound.store.is_shared):
            return function(*args, **kwargs)
        from ..._internal.threads import run_in_thread

        return await run_in_thread(function, *args, **kwargs)

    # Looking ----------------------------------------------------------------------------------------------------------

    def _try_look(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Look | None:
        """Look into the store; None when the function is to be called without the cache."""
        if self._is_bypassed(args, kwargs):
            return None
        bound = self.cache.bound()
        context = current_context.get().request_context
        look = Look(bound, args, kwargs, context)
        try:
            if not self.may_look(look):
                return None
            look.key = self.key_for(look)
            look.ticket = bound.flights.count
            if not self._is_forced(args, kwargs):
                self.fetch(look)
                if look.found and self._is_stale(look):
                    look.found, look.value = False, None
        except Exception:
            if bound.app.debug:
                raise
            logger.exception("The cache could not be asked for %s; it is called.", self._name())
            return None
        self.announce(look)
        return look

    def fetch(self, look: Look) -> None:
        """Look for a value at the look's key, or at that of the variant for this request."""
        found = self.cache.fetch(look.bound, look.key)
        if type(found) is Variants:
            look.index = found
            values = values_of(look.context, found.names)
            found = None
            if values is not None:
                found = self.cache.fetch(look.bound, variant_key(look.key, look.index.token, values))
                self._tell_outer(look, look.index)
        page = found if type(found) is Page else None
        if page is not None:
            found = page.value
            if not are_current(look.bound.store, page.tags):
                return
            look.is_stale = 0 < page.fresh_until <= now()
        look.page, look.value = page, found
        look.found = found is not None or (self.rules.cache_none and self.cache.has(look.key))
        if look.found and look.is_stale:
            look.found = refresh_later(self, look)

    def _tell_outer(self, look: Look, index: Variants) -> None:
        """Let a watch around this call know what the value depends on."""
        names = getattr(look.context.request.__dict__.get("headers"), "names", None)
        if names is not None:
            names.update(index.names)

    def _is_bypassed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        unless = self.rules.unless
        if unless is None:
            return False
        return (unless(self.function, *args, **kwargs) if wants_args(unless) else unless()) is True

    def _is_forced(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        forced = self.rules.forced_update
        if forced is None:
            return False
        return (forced(*args, **kwargs) if wants_args(forced) else forced()) is True

    def _is_stale(self, look: Look) -> bool:
        stale = self.rules.is_stale
        if stale is None:
            return False
        result = stale(look.value, *look.args, **look.kwargs) if wants_extra_args(stale) else stale(look.value)
        return result is True

    def give(self, look: Look) -> Any:
        """Return what was found; raise it when it is an HTTP error."""
        value = look.value
        if look.bound.app.debug:
            logger.info("Cache used for key: %s", look.key)
        if self.is_view_like and isinstance(value, HTTPException):
            raise value
        self.show(look, look.page, value, is_hit=True)
        return value

    # Making -----------------------------------------------------------------------------------------------------------

    def _steps(self, look: Look) -> Step:
        bound = look.bound
        flight: Flight | None = None
        if bound.settings.single_flight and self._may_share and not bound.store.is_down and bound.keeps_anything:
            flight, leads, again = bound.flights.board(look.key, look.ticket)
            if not leads:
                yield ("wait", flight, bound.settings.lock_timeout)
                flight = None
            if again and (yield ("work", self._look_again, look, {})):
                if flight is not None:
                    bound.flights.land(flight)
                return self.give(look)
        try:
            return (yield from self._make(look, flight))
        finally:
            if flight is not None:
                bound.flights.land(flight)

    def _look_again(self, look: Look) -> bool:
        look.is_stale = False
        self.fetch(look)
        return look.found

    def _make(self, look: Look, flight: Flight | None) -> Step:
        lock: StoreLock | None = None
        if flight is not None and look.bound.store.is_shared:
            lock = StoreLock(look.bound.store, look.key, look.bound.settings.lock_timeout)
            if not (yield ("work", lock.acquire, {})) and (yield from self._wait_for_others(look, lock)):
                return self.give(look)
        try:
            watch = None if look.context is None or look.bound.settings.shares_anything else Watch(look.context)
            reads = Reads()
            try:
                value = yield ("call", self.function, *look.args, look.kwargs)
                if inspect.isgenerator(value):
                    value = join_generator(value)
            except HTTPException as error:
                if not self.is_view_like:
                    raise
                value = error
            finally:
                if watch is not None:
                    reads = watch.close()
            kept = yield ("work", self.settle, look, reads, value, {})
        finally:
            if lock is not None:
                yield ("work", lock.release, {})
        if isinstance(value, HTTPException) and self.is_view_like:
            raise value
        self.show(look, kept, value, is_hit=False)
        return value

    def _wait_for_others(self, look: Look, lock: StoreLock) -> Step:
        """Wait while another process makes the value; tell whether it is there."""
        waited = 0.0
        while waited < look.bound.settings.lock_timeout:
            yield ("poll", _NEVER, POLL)
            waited += POLL
            if (yield ("work", self._look_again, look, {})):
                return True
            if (yield ("work", lock.acquire, {})):
                # Who had the lock is done and kept nothing, or is gone.
                return (yield ("work", self._look_again, look, {}))
        return False

    def settle(self, look: Look, reads: Reads, value: Any) -> Page | None:
        """Store a value if it may be; return it as a page if it was."""
        try:
            if not self._is_wanted(value):
                return None
            verdict = self.judge(look, reads, value)
            self._may_share = verdict.reason is None
            if verdict.reason is not None:
                self._refuse(look, verdict)
                return None
            return self._keep(look, verdict, value)
        except PrivateResult:
            raise
        except NotStorable as error:
            self._note(str(error))
        except Exception:
            if look.bound.app.debug:
                raise
            logger.exception("What %s returned could not be cached.", self._name())
        return None

    def _is_wanted(self, value: Any) -> bool:
        wanted = self.rules.response_filter
        if wanted is None:
            return True
        return bool(wanted(value.get_response() if isinstance(value, HTTPException) else value))

    def _refuse(self, look: Look, verdict: Verdict) -> None:
        if verdict.is_private and look.bound.app.debug:
            raise PrivateResult(
                f"What {self._name()} returned must not be cached for others: {verdict.reason}. Let the key vary on that"
                " (vary_on=[...], or a make_cache_key that reads it), or say public=True if the result is the same for"
                " everybody. In debug mode this is an error; otherwise the result is given and not cached. COMPAT"
                ' "cache-anything" brings the old way back.'
            )
        self._note(f"{verdict.reason}.")

    def _note(self, reason: str) -> None:
        """Say once for each reason why nothing is cached."""
        if reason not in self._noted and len(self._noted) < 20:
            self._noted.add(reason)
            logger.info("%s is not cached: %s", self._name(), reason)

    def _keep(self, look: Look, verdict: Verdict, value: Any) -> Page | None:
        bound = look.bound
        timeout = seconds_of(self.timeout_of())
        own = getattr(value, "timeout", None) if self.is_view_like else None
        timeout = own if isinstance(own, int) and own else timeout
        stored, etag = self.page_of(look, value)
        page = self._page(look, stored, etag, timeout)
        kept_for = timeout
        if page.fresh_until:
            kept_for = (bound.settings.default_timeout if timeout is None else timeout) + self._stale_for(bound)
        key = self._key_to_keep(look, verdict, kept_for)
        plain = not (page.etag or page.fresh_until or page.tags)
        content: Any = (
            stored if plain or (not bound.store.keeps_pages and not (page.fresh_until or page.tags)) else page
        )
        self.cache.set(key, content, timeout=kept_for)
        self.kept(look, kept_for)
        return page

    def _stale_for(self, bound: Bound) -> int:
        own = seconds_of(self.rules.stale_for)
        return bound.settings.stale_for if own is None else own

    def _page(self, look: Look, stored: Any, etag: str | None, timeout: int | None) -> Page:
        bound = look.bound
        seconds = bound.settings.default_timeout if timeout is None else timeout
        fresh_until = 0.0
        if seconds > 0 and self._stale_for(bound) > 0:
            fresh_until = now() + seconds
        tags = current_versions(bound.store, tags_for(self.rules.tags, look.args, look.kwargs))
        return Page(stored, etag, fresh_until, tags)

    def _key_to_keep(self, look: Look, verdict: Verdict, timeout: int | None) -> str:
        if not verdict.names and look.index is None:
            return look.key
        names = tuple(sorted(verdict.names | frozenset(look.index.names if look.index else ())))
        values = values_of(look.context, names)
        if values is None:
            raise NotStorable("It was made from headers without naming them: all were looked at.")
        index = look.index
        if index is None or index.names != names:
            index = Variants(names, new_token())
        # Stored each time, so that it lives as long as the youngest variant.
        self.cache.set(look.key, index, timeout=timeout)
        return variant_key(look.key, index.token, values)

    def _name(self) -> str:
        return f"{self.function.__module__}.{self.function.__qualname__}()"


class _Never:
    """Something to wait for that does not come: a pause."""

    @staticmethod
    def wait(seconds: float) -> bool:
        """Wait so long."""
        time.sleep(seconds)
        return False


_NEVER: Final = _Never()


def decorate(engine: Engine) -> Any:
    """Return the function that stands in the place of the engine's: async if that is."""
    decorated: Any
    if engine.is_async:

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            return await engine.call_async(args, kwargs)

        decorated = call_async
    else:

        def call(*args: Any, **kwargs: Any) -> Any:
            return engine.call(args, kwargs)

        decorated = call
    update_wrapper(decorated, engine.function)
    decorated.uncached = engine.function
    decorated.cache_timeout = engine.rules.timeout
    engine.timeout_of = lambda: decorated.cache_timeout
    engine.decorated = decorated
    return decorated
