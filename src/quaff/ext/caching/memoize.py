"""`memoize`: functions by their arguments.

A function has a version in the store, and a method one more for each object. They are part of the keys, so that all values
of a function, or of one object's method, are forgotten by giving it another version. COMPAT: the calls of the store, their
order and the names of the version keys are those of Flask-Caching; the keys of values are our own, because its are not
injective.
"""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable, Collection
from secrets import token_bytes
from typing import Any, Final

from werkzeug.wrappers import Response as BaseResponse

from .arguments import describe, function_namespace, get_arg_names, normalize_call, shape_of
from .bound import CacheBase
from .cached import answered_by
from .engine import Engine, Look
from .hits import NOT_FOUND, Hits, call_of, remember
from .keys import Hash, encode_parts
from .privacy import Reads, Verdict, judge_function
from .rules import Rules
from .signals import cache_memoize_hit, cache_memoize_miss

FOREVER: Final = 0


def new_version() -> str:
    """Return a version that a function has not had before: 48 random bits in six characters."""
    return base64.b64encode(token_bytes(6))[:6].decode()


def versions_of(
    cache: CacheBase,
    f: Callable[..., Any],
    args: Any = None,
    *,
    reset: bool = False,
    delete: bool = False,
    refresh: bool = False,
    timeout: int | None = FOREVER,
    ignored: Collection[str] = (),
) -> tuple[str, str | None]:
    """Return the name of a function and its current version, which is made if there is none.

    :param reset: give it, or the method of one object, another version.
    :param delete: delete the version.
    :param refresh: store it again, so that it lives as long as the values.
    """
    name, name_of_object = function_namespace(f, args=args)
    keys = [cache._memvname(name)]
    if name_of_object and "self" not in ignored:
        keys.append(cache._memvname(name_of_object))
    if delete:
        cache.delete_many(keys[-1])
        return name, None
    if reset:
        version = new_version()
        cache.set_many({keys[-1]: version}, timeout=timeout)
        return name, version
    ticket = cache.bound().flights.count
    found = list(cache.get_many(*keys))
    if None in found:
        return name, "".join(_make_versions(cache, keys, ticket, found, timeout))
    if refresh:
        cache.set_many(dict(zip(keys, found, strict=True)), timeout=timeout)
    return name, "".join(found)


def _make_versions(cache: CacheBase, keys: list[str], ticket: int, found: list[Any], timeout: int | None) -> list[str]:
    """Give a function a version. Of several callers that miss it at once, one does: else their values would be lost."""
    bound = cache.bound()
    flight, leads, again = bound.flights.board(f"version:{keys[-1]}", ticket)
    try:
        if not leads:
            flight.wait(bound.settings.lock_timeout)
        if again:
            found = list(cache.get_many(*keys))
        versions = [version or new_version() for version in found]
        if None in found:
            cache.set_many(dict(zip(keys, versions, strict=True)), timeout=timeout)
        return versions
    finally:
        if leads:
            bound.flights.land(flight)


def key_maker(
    cache: CacheBase,
    make_name: Callable[[str], str] | None = None,
    hash_method: Hash | None = None,
    source_check: bool | None = None,
    ignored: Collection[str] = (),
) -> Callable[..., str]:
    """Return the function that makes keys: of the function and the arguments of a call."""

    def make_cache_key(f: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
        name, version = versions_of(cache, f, args, ignored=ignored)
        if make_name is not None:
            name = make_name(name)
        method = cache._get_hash_method(hash_method)
        is_checked = bool(cache._get_source_check(source_check))
        return digest_of(f, str(name), args, kwargs, ignored, method, is_checked) + (version or "")

    return make_cache_key


def digest_of(
    f: Callable[..., Any],
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    ignored: Collection[str],
    hash_method: Hash,
    source_check: bool,
) -> str:
    """Return the hash of a call: its key without the version."""
    positional, named = normalize_call(f, args, kwargs, ignored)
    # `self` and `cls` are texts by now, which must not be taken for texts that were given.
    has_owner = shape_of(f).owner is not None and "self" not in ignored
    parts = [name, _mark_of(f), str(has_owner), str(len(positional)), *map(describe, positional)]
    parts += [text for key, value in named.items() for text in (key, describe(value))]
    hashed = hash_method()
    hashed.update(encode_parts(parts))
    if source_check:
        hashed.update(inspect.getsource(f).encode())
    return base64.urlsafe_b64encode(hashed.digest())[:32].decode()


def _mark_of(f: Callable[..., Any]) -> str:
    """Return what tells lambdas apart, which all have one name; nothing for a function with a name of its own."""
    code: Any = getattr(f, "__code__", None)
    if code is None or getattr(f, "__name__", "") != "<lambda>":
        return ""
    constants = [value for value in code.co_consts if not hasattr(value, "co_code")]
    return f"{code.co_filename}:{code.co_firstlineno} {code.co_code!r} {code.co_names!r} {constants!r}"


class MemoizedEngine(Engine):
    """The caching of one function under `memoize`."""

    def __init__(self, cache: CacheBase, function: Callable[..., Any], rules: Rules) -> None:
        super().__init__(cache, function, rules)
        self.hits = Hits(cache, function, rules)
        self._make_key = key_maker(cache, rules.make_name, rules.hash_method, rules.source_check, rules.args_to_ignore)

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call, from the store or by calling the function."""
        found = self.hits.find(args, kwargs)
        return super().call(args, kwargs) if found is NOT_FOUND else found

    async def call_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call of an async function."""
        found = self.hits.find(args, kwargs)
        return await super().call_async(args, kwargs) if found is NOT_FOUND else found

    def key_for(self, look: Look) -> str:
        """Return the key of a call, arguments included."""
        if self.rules.public:
            look.keyed = frozenset({"authorization", "cookie", "session", "user"})
        known = self.hits.digests(look.bound)
        call = None if known is None else call_of(look.args, look.kwargs)
        if known is None or call is None:
            return self._make_key(self.function, *look.args, **look.kwargs)
        name, version = versions_of(self.cache, self.function, look.args)
        method, digests = known
        digest = digests.get(call)
        if digest is None:
            digest = digest_of(self.function, name, look.args, look.kwargs, (), method, source_check=False)
            remember(digests, call, digest)
        return digest + (version or "")

    def judge(self, look: Look, reads: Reads, value: Any) -> Verdict:
        """Tell whether a result may be stored and given to others."""
        if look.bound.settings.shares_anything:
            return Verdict()
        is_answer = isinstance(value, BaseResponse) or hasattr(value, "__anext__")
        return judge_function(reads, answered_by(value) if is_answer else None, look.keyed)

    def kept(self, look: Look, timeout: int | None) -> None:
        """Let the versions live as long as the value."""
        ignored = self.rules.args_to_ignore
        versions_of(self.cache, self.function, look.args, refresh=True, timeout=timeout, ignored=ignored)

    def announce(self, look: Look) -> None:
        """Send the signal for a hit or a miss."""
        if self.cache.enable_signals:
            signal = cache_memoize_hit if look.found else cache_memoize_miss
            signal.send(cache=self.cache, cache_key=look.key, f=self.function, args=look.args, kwargs=look.kwargs)


def with_owner(f: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments of a method with its object in front, unless that is there."""
    owner = getattr(f, "__self__", None)
    if owner is None or inspect.isclass(owner) or get_arg_names(f.uncached)[:1] != ["self"]:
        return args
    return args if args and args[0] is owner else (owner, *args)
