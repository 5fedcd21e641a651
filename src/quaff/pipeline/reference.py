"""The reference pipeline: Flask's way through the app's overridable methods, easy to read.

It serves every request of an app that is not compiled, and what the compiled pipeline leaves to it: redirects, hosts and
subdomains, WebSocket handshakes, and apps that override the dispatch methods.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def serve(app: Any, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Serve one request of *app*."""
    context = app.request_context(environ)
    error: BaseException | None = None
    try:
        try:
            context.push()
            response = app.full_dispatch_request()
        except Exception as exception:
            error = exception
            response = app.handle_exception(exception)
        except BaseException:
            error = sys.exc_info()[1]
            raise
        result: Iterable[bytes] = response(environ, start_response)
        return result
    finally:
        keep = environ.get("werkzeug.debug.preserve_context")
        if keep is not None:
            keep(context.app_context)
            keep(context)
        if error is not None and app.should_ignore_error(error):
            error = None
        context.pop(error)
        # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
        error = None
