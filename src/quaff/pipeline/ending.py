"""The end of a request that has something to tear down or to close, or that left something behind."""

from __future__ import annotations

from contextvars import Token
from typing import Any

from .._internal.sentinels import UNSET
from ..ctx import RequestContext
from ..globals import NO_CONTEXT, BoundContext


def end_request(context: RequestContext, token: Token[BoundContext], error: BaseException | None) -> None:
    """Pop the context, which runs the teardown functions, as if it had been pushed.

    The compiled pipeline binds a context without pushing it. Here it gets what pushing would have noted, so that there is
    one way only in which a request with teardown functions ends: `RequestContext.pop`.

    :param token: from binding the context.
    :raises AssertionError: when the request left a context of its own pushed.
    """
    old = token.old_value
    outer: Any = NO_CONTEXT if old is Token.MISSING else old
    own = None
    if context.owns_app_context:
        own = context.app_context
        _note_first_push(own._cv_tokens, outer.app_context)
    _note_first_push(context._cv_tokens, (outer.request_context, own))
    keep = context.environ.get("werkzeug.debug.preserve_context")
    if keep is not None:
        # COMPAT: the test client and the debugger push both again, in this order.
        keep(context.app_context)
        keep(context)
    if error is not None and context.app.should_ignore_error(error):
        error = None
    context.pop(error)


def close_app_context(context: RequestContext, error: BaseException | None) -> None:
    """Call what `call_on_close` registered, for a request that has nothing else to tear down.

    PERF: a request that used a database ends so; `end_request` costs it twenty calls more.
    """
    if context.owns_app_context:
        context.app_context.close(error)


def _note_first_push(tokens: list[Any], noted: object) -> None:
    """Put what the first push would have noted below whatever was pushed since, where `ctx.py` may keep its place."""
    if tokens and tokens[0] is UNSET:
        tokens[0] = noted
    else:
        tokens.insert(0, noted)
