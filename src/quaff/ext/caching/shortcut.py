"""The short way to a cached page: a function in the place of the decorated view that finds hits in our own memory.

A hit is answered in one of two ways: with what is in the store, which the pipeline sends as it sends what a view returns,
or, where nothing else has a say in the response, with a finished `Answer` that was made from the same entry before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...globals import current_context
from ...pipeline.parts import Target
from ...pipeline.results import HTML, Answer
from .bound import Bound
from .cached import SHOWN, CachedEngine
from .clock import simple
from .keys import fill_prefix, path_of
from .pages import Page

View = Callable[..., Any]

Made = tuple[str, Any, float, Answer | None]
"""The key, what is in the store there, the time when it expires, and the finished answer with it."""

LARGEST_ANSWER: Final = 65_536
"""The bytes of a page's body up to which its finished answer is kept."""

_LONGEST_PATH: Final = 31
"""Shorter than a hash, so that a path cannot look like one."""


def shorten(engine: CachedEngine, target: Target, bound: Bound, view: View, *, answers: bool = False) -> View:
    """Return a function that does what *view* does, quicker where it is a hit; *view* itself where that cannot be.

    It is made anew after every change of the app, so what is decided here holds.

    :param answers: whether a hit may be an `Answer`, with its entity tag.
    """
    memory: Any = bound.store.memory
    rule = target.rule
    is_ours: bool = view is engine.decorated
    if not is_ours or memory is None or rule is None or target.method not in {"GET", "HEAD"}:
        return view
    if rule.subdomain or rule.host or not _is_simple(engine, bound):
        return view
    before, _, behind = str(engine.rules.key_prefix).partition("%s")
    constant = None
    if not rule.arguments and rule.rule.isascii() and rule.strict_slashes is not False:
        constant = fill_prefix(f"{before}%s{behind}", path_of(rule.rule))
    made = Answers(wants_etag=engine.wants_etag(bound.settings.etag))
    hit_or_call = _find_values(engine, memory._cache.get, (constant, before, behind), made)
    if not answers or engine.rules.response_hit_indication:
        return hit_or_call
    if constant is not None and not rule.defaults:
        return _find_answer(engine, memory._cache.get, constant, made, hit_or_call)
    return _find_answers(engine, memory._cache.get, made, hit_or_call)


def _find_values(
    engine: CachedEngine, find: Callable[[str], Any], keys: tuple[str | None, str, str], made: Answers
) -> View:
    """Return the function that returns what is in the store.

    :param keys: the key of all requests, or None and what stands before and behind the path.
    """
    # PERF: all of this is local to the function, where names cost nothing.
    constant, before, behind = keys
    decorated, usual_key = engine.decorated, engine.usual_key
    get_context, clock = current_context.get, simple

    def hit_or_call(**kwargs: Any) -> Any:
        context: Any = get_context()
        environ = context.environ
        path, key = environ["PATH_INFO"], constant
        if key is None:
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
                made.keep(path, key, entry)
                context.note(SHOWN, (engine, page.etag, True))
                return page.value
        return decorated(**kwargs)

    return hit_or_call


def _find_answers(engine: CachedEngine, find: Callable[[str], Any], made: Answers, hit_or_call: View) -> View:
    """Return the function that returns answers which were made before, and asks *hit_or_call* for everything else."""
    # PERF: as above. Of a hit nothing is looked at but what can have changed since the answer was made.
    decorated, usual_key = engine.decorated, engine.usual_key
    get_context, find_made, clock = current_context.get, made.get, simple

    def answer_or_call(**kwargs: Any) -> Any:
        context: Any = get_context()
        environ = context.environ
        known = find_made(environ["PATH_INFO"])
        if known is not None:
            key, entry, expires, answer = known
            if (
                find(key) is entry
                and (expires == 0 or expires > clock.time())
                and "HTTP_AUTHORIZATION" not in environ
                and "HTTP_IF_NONE_MATCH" not in environ
                and decorated.make_cache_key is usual_key
                # What changes the response has to come before the entity tag.
                and context.after_functions is context.opened_session is None
            ):
                return answer
        return hit_or_call(**kwargs)

    return answer_or_call


def _find_answer(engine: CachedEngine, find: Callable[[str], Any], key: str, made: Answers, hit_or_call: View) -> View:
    """Return what `_find_answers` does for a view that has one page and takes no arguments."""
    decorated, usual_key = engine.decorated, engine.usual_key
    get_context, kept, clock = current_context.get, made.last, simple

    def answer_or_call() -> Any:
        _, entry, expires, answer = kept[0]
        if find(key) is entry and (expires == 0 or expires > clock.time()):
            context: Any = get_context()
            environ = context.environ
            if (
                "HTTP_AUTHORIZATION" not in environ
                and "HTTP_IF_NONE_MATCH" not in environ
                and decorated.make_cache_key is usual_key
                and context.after_functions is context.opened_session is None
            ):
                return answer
        return hit_or_call()

    return answer_or_call


class Answers(dict[str, Made]):
    """Finished answers by path.

    What the store has is compared by its identity: a page that was deleted or replaced is not answered any more. The
    number of pages is bounded and so is their size; when it is full it empties itself.
    """

    limit: Final = 64

    def __init__(self, *, wants_etag: bool) -> None:
        super().__init__()
        self._wants_etag = wants_etag
        self.last: Final[list[Made]] = [("", object(), 0, None)]
        """What was kept last, so that a view with one page needs no path to find it."""

    def keep(self, path: str, key: str, entry: tuple[float, Page]) -> None:
        """Make the answer of a page of text or bytes, unless it is too large or its entity tag is not known."""
        expires, page = entry
        body = page.value if type(page.value) is bytes else page.value.encode()
        if len(body) > LARGEST_ANSWER or (self._wants_etag and page.etag is None):
            return
        if len(self) >= self.limit:
            self.clear()
        etag = [("ETag", page.etag)] if self._wants_etag and page.etag is not None else []
        made = key, entry, expires, Answer.of("200 OK", body, [HTML, *etag])
        self[path] = self.last[0] = made


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
