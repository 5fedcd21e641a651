"""The end of a request that has something to tear down, or that left something behind."""

from __future__ import annotations

from contextvars import Token

from ..ctx import RequestContext
from ..globals import NO_CONTEXT, BoundContext


def end_request(context: RequestContext, token: Token[BoundContext], error: BaseException | None) -> None:
    """Pop the context, which runs the teardown functions, as if it had been pushed.

    The compiled pipeline binds a context without pushing it. Here it gets what pushing would have noted, so that there is one
    way only in which a request with teardown functions ends: `RequestContext.pop`.

    :param token: from binding the context.
    :raises AssertionError: when the request left a context of its own pushed.
    """
    old = token.old_value
    outer: BoundContext = NO_CONTEXT if old is Token.MISSING else old
    own = None
    if context.owns_app_context:
        own = context.app_context
        own._cv_tokens.insert(0, outer.app_context)
    # In front of what the view may have pushed and left there.
    context._cv_tokens.insert(0, (outer.request_context, own))
    keep = context.environ.get("werkzeug.debug.preserve_context")
    if keep is not None:
        # COMPAT: the test client and the debugger push both again, in this order.
        keep(context.app_context)
        keep(context)
    if error is not None and context.app.should_ignore_error(error):
        error = None
    context.pop(error)
