"""The end of a request that has something to tear down."""

from __future__ import annotations

from contextvars import Token
from typing import Any

from ..ctx import RequestContext
from ..globals import BoundContext, current_context
from ..signals import appcontext_popped


def end_request(context: RequestContext, token: Token[BoundContext], error: BaseException | None) -> None:
    """Run the teardown functions in Flask's order and unbind the context, which is unbound even when one of them raises.

    :raises AssertionError: when the request left a context of its own pushed.
    """
    app = context.app
    keep = context.environ.get("werkzeug.debug.preserve_context")
    if keep is not None:
        # COMPAT: the test client and the debugger push both again, in this order.
        keep(context.app_context)
        keep(context)
    if error is not None and app.should_ignore_error(error):
        error = None
    left_behind: Any = None
    try:
        app.do_teardown_request(error)
        if context.made_request is not None:
            context.made_request.close()
    finally:
        bound = current_context.get()
        if bound is not context:
            left_behind = bound
        context.environ["werkzeug.request"] = None
        try:
            if context.owns_app_context:
                current_context.set(context.app_context)
                app.do_teardown_appcontext(error)
        finally:
            current_context.reset(token)
    if left_behind is not None:
        _complain(context, left_behind)
    if context.owns_app_context:
        appcontext_popped.send(app, _async_wrapper=app.ensure_sync)


def _complain(context: RequestContext, bound: BoundContext) -> None:
    if bound.request_context is not context:
        raise AssertionError(f"Popped wrong request context. ({bound.request_context!r} instead of {context!r})")
    raise AssertionError(f"Popped wrong app context. ({bound.app_context!r} instead of {context.app_context!r})")
