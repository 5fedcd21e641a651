"""`cached`: views by their path, and functions by a key of their own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from ...globals import current_context
from .arguments import get_arg_names
from .bound import CacheBase
from .engine import Engine, Look
from .keys import QueryArgs, digest, fill_prefix, path_of, query_digest, query_pairs
from .pages import Page, etag_of, freeze_response
from .privacy import Answered, Asked, Reads, Verdict, judge_function, judge_view, may_look_up
from .rules import Rules
from .signals import cache_view_hit, cache_view_miss
from .variants import is_known, value_of
from .watch import Watch

SHOWN: Final = "_quaff_cached"
"""The name of the note that tells the part of the route (`part.py`) about the page."""


Shown = tuple[Any, str | None, bool]
"""What the response says about the cache: the engine whose page it is, the entity tag, and whether it is a hit."""


class CachedEngine(Engine):
    """The caching of one function under `cached`."""

    is_view_like = True

    def __init__(self, cache: CacheBase, function: Callable[..., Any], rules: Rules) -> None:
        super().__init__(cache, function, rules)
        prefix = rules.key_prefix
        self.own_key = rules.make_cache_key
        self.is_of_path = self.own_key is None and isinstance(prefix, str) and "%s" in prefix
        """Whether the key is that of the request's path, so that the function is a view."""

        self.usual_key: Callable[..., str] = self.default_key
        """What the attribute `make_cache_key` of the decorated function is, unless somebody replaces it."""

    @property
    def has_own_key(self) -> bool:
        """Whether a function of the user's makes the key."""
        is_replaced = self.decorated.make_cache_key is not self.usual_key
        return self.own_key is not None or callable(self.rules.key_prefix) or is_replaced

    def _asked(self, look: Look) -> Asked:
        request = look.context.request
        name = look.bound.app.config["SESSION_COOKIE_NAME"]
        environ = look.context.environ
        return Asked(
            method=request.method,
            is_websocket=look.context.made_websocket is not None,
            has_authorization="HTTP_AUTHORIZATION" in environ,
            has_session_cookie="HTTP_COOKIE" in environ and request.find_cookie(name) is not None,
        )

    def _is_view(self, look: Look) -> bool:
        return look.context is not None and self.is_of_path and not self.has_own_key

    def may_look(self, look: Look) -> bool:
        """Tell whether the cache may be asked at all: a request with `Authorization`, or a POST, goes to the view."""
        if look.context is None or look.bound.settings.shares_anything:
            return True
        look.keyed = self._keyed()
        return not self._is_view(look) or may_look_up(self._asked(look), look.keyed)

    def _keyed(self) -> frozenset[str]:
        public = {"authorization", "cookie", "session", "user"} if self.rules.public else set()
        query = {"?"} if self.rules.query_string else set()
        return frozenset(public | query | set(self.rules.varies))

    # Keys -------------------------------------------------------------------------------------------------------------

    def key_for(self, look: Look) -> str:
        """Return the key of a call."""
        if look.context is None or not self.has_own_key or look.bound.settings.shares_anything:
            key = self._make_key(look.args, look.kwargs)
        else:
            watch = Watch(look.context)
            try:
                key = self._make_key(look.args, look.kwargs)
            finally:
                reads = watch.close()
            # Who the user is may have been found out by a hook, and left in `g`.
            through_g = {"session", "user"} if "g" in reads.now else set()
            look.keyed |= reads.now | through_g | {"*"}
        if look.context is not None and self.rules.varies:
            if "user" in self.rules.varies:
                # Who the user is, is read from there; what belongs to a user who is known may be in that user's page.
                look.keyed |= {"session", "cookie"} if is_known(look.context) else {"session"}
            key = f"{key}.{digest([*self.rules.varies, *(value_of(look.context, name) for name in self.rules.varies)])}"
        return key

    def _make_key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        if self.own_key is not None:
            return str(self.own_key(*args, **kwargs))
        make = self.decorated.make_cache_key
        if make is self.usual_key:
            return self._key_of_request()
        return str(make(*args, use_request=True, **kwargs))

    def _key_of_request(self, path: str | None = None, query_args: QueryArgs | None = None) -> str:
        rules = self.rules
        prefix = rules.key_prefix
        if callable(prefix):
            key = prefix()
        else:
            key = fill_prefix(prefix, self._path() if path is None else path_of(path)) if "%s" in prefix else prefix
        method = self.cache._get_hash_method(rules.hash_method)
        source = inspect.getsource(self.function) if self.cache._get_source_check(rules.source_check) else None
        if rules.query_string:
            pairs = (
                current_context.get().request.args.items(multi=True) if query_args is None else query_pairs(query_args)
            )
            return key + query_digest(pairs, method, source)
        return key if source is None else key + str(method(source.encode()).hexdigest())

    def _path(self) -> str:
        request = current_context.get().request
        rule = request.url_rule
        is_of_host = rule is not None and (rule.subdomain or rule.host)
        return path_of(request.path, request.host if is_of_host else None)

    def default_key(self, *args: Any, **kwargs: Any) -> str:
        """Return the key for a call with these arguments, for the current request or, with `path`, for another one.

        :param kwargs: the view's arguments; `path` and `query_args` say which request is meant.
        """
        kwargs = {**dict(zip(get_arg_names(self.function), args, strict=False)), **kwargs}
        if kwargs.pop("use_request", False):
            return self._key_of_request()
        path = kwargs.pop("path", None)
        query_args = kwargs.pop("query_args", None)
        prefix = self.rules.key_prefix
        if path is None and isinstance(prefix, str) and "%s" in prefix and not self.rules.query_string:
            # Not `request.path`: this may be asked in the request of another view.
            path = current_context.get().app.url_for(self.function.__name__, _external=False, **kwargs)
        return self._key_of_request(path, query_args)

    # Results ----------------------------------------------------------------------------------------------------------

    def judge(self, look: Look, reads: Reads, value: Any) -> Verdict:
        """Tell whether a result may be stored and given to others."""
        if look.bound.settings.shares_anything:
            return Verdict()
        answered = answered_by(value)
        verdict = (
            judge_view(self._asked(look), reads, answered or Answered(), look.keyed)
            if self._is_view(look)
            else judge_function(reads, answered, look.keyed)
        )
        if verdict.reason is None and look.context is not None and _holds_nonce(look.context, value):
            return Verdict("it holds the nonce of this response's Content-Security-Policy")
        return verdict

    def page_of(self, look: Look, value: Any) -> tuple[Any, str | None]:
        """Return what is stored for a result, and its entity tag."""
        if look.context is None or not self.is_of_path or not self.wants_etag(look.bound.settings.etag):
            return value, None
        return value, _etag(look.bound.app, value)

    def wants_etag(self, default: bool) -> bool:
        """Tell whether pages get an entity tag."""
        return default if self.rules.etag is None else self.rules.etag

    def show(self, look: Look, page: Page | None, value: Any, *, is_hit: bool) -> None:
        """Note on the context what the response has to say about the cache."""
        if look.context is None or not (self.is_of_path or self.rules.response_hit_indication):
            return
        if not is_hit and page is None:
            return
        etag = None if page is None else page.etag
        if etag is None and self.wants_etag(look.bound.settings.etag) and self.is_of_path:
            etag = _etag(look.bound.app, value)
        look.context.note(SHOWN, (self, etag, is_hit))

    def announce(self, look: Look) -> None:
        """Send the signal for a hit or a miss."""
        if self.cache.enable_signals:
            signal = cache_view_hit if look.found else cache_view_miss
            signal.send(cache=self.cache, cache_key=look.key, args=look.args, kwargs=look.kwargs)


def answered_by(value: Any) -> Answered | None:
    """Return what a result says about its answer; None for a result that says nothing, such as a text."""
    if isinstance(value, HTTPException):
        return answered_by(value.get_response())
    if isinstance(value, BaseResponse):
        is_whole = freeze_response(value) is not None
        return Answered(value.status_code, tuple(value.headers), is_whole)
    if isinstance(value, tuple) and 2 <= len(value) <= 3:
        return _answered_by_tuple(value)
    if hasattr(value, "__anext__") or hasattr(value, "__aiter__") or hasattr(value, "__next__"):
        return Answered(is_whole=False)
    return None


def _answered_by_tuple(value: tuple[Any, ...]) -> Answered:
    body, *rest = value
    inner = answered_by(body) or Answered()
    status, headers = inner.status, list(inner.headers)
    for item in rest:
        if isinstance(item, int):
            status = int(item)
        elif isinstance(item, str):
            status = int(item[:3]) if item[:3].isdecimal() else status
        elif item is not None:
            pairs = item.items() if hasattr(item, "items") else item
            headers += [
                (str(pair[0]), str(one))
                for pair in pairs
                for one in (pair[1] if isinstance(pair[1], list) else [pair[1]])
            ]
    return Answered(status, tuple(headers), inner.is_whole)


def _holds_nonce(context: Any, value: Any) -> bool:
    nonce = getattr(context.made_request, "csp_nonce", None)
    if not nonce:
        return False
    body = _body_of(value)
    return body is None or str(nonce).encode() in body


def _body_of(value: Any) -> bytes | None:
    if isinstance(value, tuple):
        value = value[0]
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return value
    if isinstance(value, BaseResponse):
        frozen = freeze_response(value)
        return None if frozen is None else frozen.body
    return repr(value).encode("utf-8", "surrogatepass")


def _etag(app: Any, value: Any) -> str | None:
    """Return the entity tag of the answer that a result becomes, or None for one that is not simply a body."""
    kind = type(value)
    if kind is str:
        return etag_of(value.encode())
    if kind is bytes:
        return etag_of(value)
    if isinstance(value, BaseResponse):
        frozen = freeze_response(value)
        if frozen is None or value.status_code != 200:
            return None
        own: str | None = value.headers.get("ETag")
        return etag_of(frozen.body) if own is None else own
    if kind is dict or kind is list:
        # What cannot be JSON is no answer, and an error of its own.
        with suppress(TypeError, ValueError):
            return etag_of(app.json.response(value).get_data())
    return None
