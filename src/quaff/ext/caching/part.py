"""What the cache does in the pipeline: a shorter way to a hit, and the entity tag of a cached page.

The decorated function says what is right; `shortcut.py` gives the compiled pipeline one that finds text and bytes in our own
memory with a single call, and asks the decorated function for everything else. `tests/ext/caching/test_part.py` compares the
two.
"""

from __future__ import annotations

from typing import Any

from ...headers import Headers
from ...pipeline.parts import Part, Target
from ...pipeline.phases import Stage
from .bound import Bound
from .cached import SHOWN, CachedEngine, Shown
from .pages import etag_of
from .shortcut import Shortcut


def part_for(engine: CachedEngine, target: Target, bound: Bound) -> Part:
    """Return the cache's part in one route whose view is under `cached`."""
    finisher = Finisher(engine, wants_etag=engine.is_of_path and engine.wants_etag(bound.settings.etag))
    shortcut = Shortcut(engine, target, bound)
    return Part(
        stage=Stage.CACHE,
        add_headers=finisher.add_headers,
        acts_on=finisher.acts_on,
        finish=finisher.finish,
        noted=SHOWN,
        wrap_view=shortcut.wrap_view,
        answer_view=shortcut.answer_view,
    )


class Finisher:
    """Gives the response of a cached page its entity tag, and answers conditional requests (RFC 9110 section 13)."""

    def __init__(self, engine: CachedEngine, *, wants_etag: bool) -> None:
        self._engine = engine
        self._wants_etag = wants_etag
        self._shows_hits = engine.rules.response_hit_indication

    def add_headers(self, context: Any, code: int, headers: Headers) -> None:
        """Add the entity tag that is known of the page, and say that it is a hit if that is wanted."""
        shown: Shown | None = context.noted(SHOWN)
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
        return "HTTP_IF_NONE_MATCH" in context.environ

    def finish(self, context: Any, response: Any) -> Any:
        """Give a response object its entity tag, and make it 304 Not Modified when the client has that one."""
        shown: Shown | None = context.noted(SHOWN)
        if shown is None or shown[0] is not self._engine:
            return response
        if not self._wants_etag or response.status_code != 200 or response.is_streamed:
            context.note(SHOWN, (self._engine, None, shown[2]))
            return response
        if "ETag" not in response.headers:
            # Of this body: an after_request function may have changed it.
            response.headers["ETag"] = etag_of(response.get_data())
        if "HTTP_IF_NONE_MATCH" in context.environ:
            response.make_conditional(context.environ)
        return response
