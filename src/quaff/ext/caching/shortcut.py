"""The short way to a cached page: functions in the place of the decorated view that find hits in our own memory.

A hit is answered in one of two ways: with what is in the store, which the pipeline sends as it sends what a view returns,
or, where nothing else has a say in the response, with a finished `Answer` that was made from the same entry before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...globals import current_context
from ...pipeline.parts import AnswerFunction, Target
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


class Shortcut:
    """The short way of one route and method.

    It is made anew after every change of the app, so what is decided here holds.
    """

    def __init__(self, engine: CachedEngine, target: Target, bound: Bound) -> None:
        self._engine = engine
        self._target = target
        self._bound = bound
        self._made = Answers(wants_etag=engine.wants_etag(bound.settings.etag))
        self._answers = False

    def wrap_view(self, view: View) -> View:
        """Return a function that does what *view* does, quicker where it is a hit; *view* itself where that cannot be.

        Its hits become the answers of `answer_view`, if that was asked before.
        """
        find = self._find_function(view)
        return view if find is None else self._find_values(find)

    def answer_view(self, view: View, first: bool) -> AnswerFunction | None:
        """Return what answers with pages that were hits before; None where that cannot be.

        :param first: whether nothing runs before the view, so that nobody can want a response object yet.
        """
        find = self._find_function(view)
        if find is None or self._engine.rules.response_hit_indication:
            return None
        self._answers = True
        key = self._constant_key()
        rule: Any = self._target.rule
        return self._find_answers(find, first) if key is None or rule.defaults else self._find_answer(find, key, first)

    def _find_function(self, view: View) -> Callable[[str], Any] | None:
        """Return what looks a key up in our own memory; None where there is more to a hit than that."""
        memory: Any = self._bound.store.memory
        rule = self._target.rule
        is_ours: bool = view is self._engine.decorated
        if not is_ours or memory is None or rule is None or self._target.method not in {"GET", "HEAD"}:
            return None
        if rule.subdomain or rule.host or not _is_simple(self._engine, self._bound):
            return None
        find: Callable[[str], Any] = memory._cache.get
        return find

    def _constant_key(self) -> str | None:
        """Return the key of all requests of the route, or None when it depends on their path."""
        rule: Any = self._target.rule
        if rule.arguments or not rule.rule.isascii() or rule.strict_slashes is False:
            return None
        before, _, behind = str(self._engine.rules.key_prefix).partition("%s")
        return fill_prefix(f"{before}%s{behind}", path_of(rule.rule))

    def _find_values(self, find: Callable[[str], Any]) -> View:
        """Return the function that returns what is in the store."""
        # PERF: all of this is local to the function, where names cost nothing.
        engine, constant = self._engine, self._constant_key()
        keep = self._made.keep if self._answers else None
        before, _, behind = str(engine.rules.key_prefix).partition("%s")
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
                    if keep is not None:
                        keep(path, key, entry)
                    context.note(SHOWN, (engine, page.etag, True))
                    return page.value
            return decorated(**kwargs)

        return hit_or_call

    def _find_answers(self, find: Callable[[str], Any], first: bool) -> AnswerFunction:
        """Return the function that finds answers by path."""
        # PERF: as above. Of a hit nothing is looked at but what can have changed since the answer was made.
        decorated, usual_key = self._engine.decorated, self._engine.usual_key
        find_made, clock = self._made.get, simple

        def answer(context: Any) -> Answer | None:
            environ = context.environ
            made = find_made(environ["PATH_INFO"])
            if made is None:
                return None
            key, entry, expires, answer = made
            if (
                find(key) is entry
                and (expires == 0 or expires > clock.time())
                and "HTTP_AUTHORIZATION" not in environ
                and "HTTP_IF_NONE_MATCH" not in environ
                and decorated.make_cache_key is usual_key
                # What changes the response has to come before the entity tag.
                and (first or context.after_functions is context.opened_session is None)
            ):
                return answer
            return None

        return answer

    def _find_answer(self, find: Callable[[str], Any], key: str, first: bool) -> AnswerFunction:
        """Return what `_find_answers` does for a view that has one page."""
        decorated, usual_key = self._engine.decorated, self._engine.usual_key
        last, clock = self._made.last, simple

        def answer(context: Any) -> Answer | None:
            _, entry, expires, answer = last[0]
            if find(key) is entry and (expires == 0 or expires > clock.time()):
                environ = context.environ
                if (
                    "HTTP_AUTHORIZATION" not in environ
                    and "HTTP_IF_NONE_MATCH" not in environ
                    and decorated.make_cache_key is usual_key
                    and (first or context.after_functions is context.opened_session is None)
                ):
                    return answer
            return None

        return answer


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
        """Make the answer of a page of text or bytes, unless it is there, too large, or its entity tag is not known."""
        known = self.get(path)
        if known is not None and known[1] is entry:
            # The request was one that an answer does not suit.
            return
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
