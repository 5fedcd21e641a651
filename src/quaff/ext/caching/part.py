"""What the cache does in the pipeline: a shorter way to a hit, and the entity tag of a cached page.

The decorated function says what is right; `wrap_view` gives the compiled pipeline one that finds text and bytes in our own
memory with a single call, and asks the decorated function for everything else. `tests/ext/caching/test_part.py` compares the
two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...globals import current_context
from ...headers import Headers
from ...pipeline.parts import Part, Target
from ...pipeline.phases import Stage
from .bound import Bound
from .cached import SHOWN, CachedEngine, Shown
from .clock import simple
from .keys import fill_prefix, path_of
from .pages import Page, etag_of

View = Callable[..., Any]

_LONGEST_PATH: Final = 31
"""Shorter than a hash, so that a path cannot look like one."""


def part_for(engine: CachedEngine, target: Target, bound: Bound) -> Part:
    """Return the cache's part in one route whose view is under `cached`."""
    finisher = Finisher(engine, wants_etag=engine.is_of_path and engine.wants_etag(bound.settings.etag))
    return Part(
        stage=Stage.CACHE,
        add_headers=finisher.add_headers,
        acts_on=finisher.acts_on,
        finish=finisher.finish,
        wrap_view=lambda view: shorten(engine, target, bound, view),
    )


class Finisher:
    """Gives the response of a cached page its entity tag, and answers conditional requests (RFC 9110 section 13)."""

    def __init__(self, engine: CachedEngine, *, wants_etag: bool) -> None:
        self._engine = engine
        self._wants_etag = wants_etag
        self._shows_hits = engine.rules.response_hit_indication

    def add_headers(self, context: Any, code: int, headers: Headers) -> None:
        """Add the entity tag that is known of the page, and say that it is a hit if that is wanted."""
        shown: Shown | None = context.__dict__.get(SHOWN)
        if shown is None or shown[0] is not self._engine:
            return
        etag = shown[1]
        if etag is not None and code == 200 and self._wants_etag:
            pairs = headers._list
            for name, _ in pairs:
                if name == "ETag":
                    break
            else:
                pairs.append(("ETag", etag))
        if self._shows_hits and shown[2]:
            headers.add("hit_cache", "True")

    def acts_on(self, context: Any, body: bytes) -> bool:
        """Tell whether the answer may be 304 Not Modified."""
        return SHOWN in context.__dict__ and "HTTP_IF_NONE_MATCH" in context.environ

    def finish(self, context: Any, response: Any) -> Any:
        """Give a response object its entity tag, and make it 304 Not Modified when the client has that one."""
        shown: Shown | None = context.__dict__.get(SHOWN)
        if shown is None or shown[0] is not self._engine:
            return response
        if not self._wants_etag or response.status_code != 200 or response.is_streamed:
            context.__dict__[SHOWN] = (self._engine, None, shown[2])
            return response
        if "ETag" not in response.headers:
            # Of this body: an after_request function may have changed it.
            response.headers["ETag"] = etag_of(response.get_data())
        if "HTTP_IF_NONE_MATCH" in context.environ:
            response.make_conditional(context.environ)
        return response


def shorten(engine: CachedEngine, target: Target, bound: Bound, view: View) -> View:
    """Return a function that does what *view* does, quicker where it is a hit; *view* itself where that cannot be.

    It is made anew after every change of the app, so what is decided here holds.
    """
    memory = bound.store.memory
    rule = target.rule
    is_ours: bool = view is engine.decorated
    if not is_ours or memory is None or rule is None or target.method not in {"GET", "HEAD"}:
        return view
    if rule.subdomain or rule.host or not _is_simple(engine, bound):
        return view
    # PERF: all of this is local to the function, where names cost nothing.
    decorated: Any = engine.decorated
    usual_key: Any = engine.usual_key
    find, get_context, clock = memory._cache.get, current_context.get, simple
    before, _, behind = str(engine.rules.key_prefix).partition("%s")
    constant = None
    if not rule.arguments and rule.rule.isascii() and rule.strict_slashes is not False:
        constant = fill_prefix(f"{before}%s{behind}", path_of(rule.rule))

    def hit_or_call(**kwargs: Any) -> Any:
        context: Any = get_context()
        environ = context.environ
        key = constant
        if key is None:
            path = environ["PATH_INFO"]
            if not path.isascii() or len(path) > _LONGEST_PATH or path[:1] != "/" or path[1:2] == "/":
                return decorated(**kwargs)
            key = before + path + behind
        entry = find(key)
        if entry is not None:
            expires, page = entry
            if (
                type(page) is Page
                and (type(page.value) is str or type(page.value) is bytes)
                and (expires == 0 or expires > clock.time())
                and not page.fresh_until
                and not page.tags
                and decorated.make_cache_key is usual_key
                and "HTTP_AUTHORIZATION" not in environ
            ):
                context.__dict__[SHOWN] = (engine, page.etag, True)
                return page.value
        return decorated(**kwargs)

    return hit_or_call


def _is_simple(engine: CachedEngine, bound: Bound) -> bool:
    """Tell whether a hit depends on nothing but the path."""
    rules = engine.rules
    cache: Any = engine.cache
    if engine.is_async or not engine.is_of_path or str(rules.key_prefix).count("%") != 1:
        return False
    if rules.unless is not None or rules.forced_update is not None or rules.is_stale is not None:
        return False
    if rules.query_string or rules.varies or rules.tags is not None or rules.public:
        return False
    if bound.app.debug or bound.settings.shares_anything:
        return False
    return bool(cache.reads_directly and not cache.enable_signals and not cache._get_source_check(rules.source_check))
