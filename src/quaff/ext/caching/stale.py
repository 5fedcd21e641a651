"""Stale while revalidate (RFC 5861 section 3): a value that has expired is given once more while it is made anew.

It is made in a background thread, beside the response. For a view that is a request of its own: of the same URL with the
same hooks before it, and without cookies and `Authorization`, so that nobody's own values can get into the page. When it
fails, the log says so and the stale value stays until its time is over.
"""

from __future__ import annotations

import threading
from io import BytesIO
from typing import Any, Final

from ...after_response import CallAfterResponse, run_after_response

_LEFT_OUT: Final = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_RANGE")

_lock: Final = threading.Lock()


def refresh_later(engine: Any, look: Any) -> bool:
    """Have a stale value made anew; tell whether it may be given meanwhile. Only one caller at a time has it made."""
    bound = look.bound
    with _lock:
        if look.key in bound.refreshing:
            return True
        bound.refreshing.add(look.key)
    context = look.context if engine.is_view_like else None
    environ = None if context is None else environ_for_refresh(context.environ)
    call = CallAfterResponse(bound.app, refresh, (engine, bound, look.key, environ, look.args, look.kwargs), {})
    # At once: `app.after_response` would make a response object for each stale page, and count as a hook of the view's.
    run_after_response(bound.app, [call])
    return True


def environ_for_refresh(environ: dict[str, Any]) -> dict[str, Any]:
    """Return the environ of a GET request for the same thing, by nobody."""
    kept = {
        name: value for name, value in environ.items() if type(value) in (str, bool, tuple) and name not in _LEFT_OUT
    }
    return {
        **kept,
        "REQUEST_METHOD": "GET",
        "CONTENT_LENGTH": "0",
        "wsgi.input": BytesIO(),
        "wsgi.errors": environ.get("wsgi.errors"),
    }


def refresh(
    engine: Any, bound: Any, key: str, environ: dict[str, Any] | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Make a value anew, in a request of its own if there was one."""
    remake = bound.app.ensure_sync(engine.remake_async) if engine.is_async else engine.remake
    try:
        if environ is None:
            remake(args, kwargs)
            return
        with bound.app.request_context(environ):
            # A hook that answers, as a login does, does so because this is nobody.
            if bound.app.preprocess_request() is None:
                remake(args, kwargs)
    finally:
        with _lock:
            bound.refreshing.discard(key)
