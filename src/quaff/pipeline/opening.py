"""The start of a request, for apps that look: receivers of `appcontext_pushed`, session interfaces and `g` of their own."""

from __future__ import annotations

from typing import Any

from ..ctx import RequestContext
from ..globals import BoundContext, bind, current_context
from ..routing.router import Route
from ..signals import appcontext_pushed


def announce_app_context(context: RequestContext, bound: BoundContext) -> None:
    """Send `appcontext_pushed`. Its receivers find the app context bound and the request not yet, as in Flask.

    :param bound: what was bound before the request.
    """
    app = context.app
    token = current_context.set(bind(context.app_context, bound.request_context))
    try:
        appcontext_pushed.send(app, _async_wrapper=app.ensure_sync)
    finally:
        current_context.reset(token)


def open_session_first(context: RequestContext, route: Route | None, values: dict[str, Any] | None) -> None:
    """Open the session, and only then let the request know what it matched.

    COMPAT: in Flask `open_session` gets a request without rule, endpoint and values.
    """
    context.open_session()
    if route is not None:
        context.route, context.values = route, values
        request = context.request
        request.url_rule, request.view_args = route.rule, values
