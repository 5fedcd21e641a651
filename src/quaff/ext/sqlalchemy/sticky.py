"""Read-your-writes over several requests: who has just written reads from the primary for a few seconds.

A replica lags behind. Within a request, everything after a write goes to the primary anyway; but a form is usually answered
with a redirect, and the page that it leads to is the next request. So a response to a request that wrote sets a cookie,
and while it is valid the requests of this client read from the primary. It says nothing but when it was set.

Read first: `tests/ext/sqlalchemy/test_sticky.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from itsdangerous import BadSignature, TimestampSigner
from werkzeug.http import parse_cookie

from ...globals import active_request_context

SALT: Final = "quaff.ext.sqlalchemy.sticky"
VALUE: Final = b"1"


@dataclass(frozen=True, kw_only=True)
class Stickiness:
    """How long a client that wrote reads from the primary, and how it is known again."""

    seconds: int = 5
    """0 ends it with the request. Signatures count in whole seconds, so it may be one more."""

    cookie: str = "db_primary"
    """The name of the cookie."""


def has_just_written(stickiness: Stickiness) -> bool:
    """Tell whether the client of the current request has a cookie that is still valid."""
    context: Any = active_request_context()
    if context is None or not stickiness.seconds or not context.app.secret_key:
        return False
    # Not `request.cookies`: a view that reads those is for one person, and `quaff.ext.caching` would not share its page.
    header = context.environ.get("HTTP_COOKIE", "")
    if stickiness.cookie not in header:
        return False
    value = parse_cookie(header).get(stickiness.cookie, "")
    try:
        # SECURITY: signed, for who could make it up would move the load of reading to the primary for good.
        return _signer(context.app).unsign(value, max_age=stickiness.seconds) == VALUE
    except BadSignature:
        return False


def remember_writing(stickiness: Stickiness) -> None:
    """Have the response to the current request, if there is one, set the cookie.

    Without a `SECRET_KEY` there is none: nothing could be signed.
    """
    context: Any = active_request_context()
    if context is None or not stickiness.seconds or not context.app.secret_key or context.made_websocket is not None:
        return
    app = context.app

    def set_cookie(response: Any) -> Any:
        response.set_cookie(
            stickiness.cookie,
            _signer(app).sign(VALUE).decode(),
            # One more: the signature is what counts.
            max_age=stickiness.seconds + 1,
            path=app.session_interface.get_cookie_path(app),
            domain=app.session_interface.get_cookie_domain(app),
            secure=app.session_interface.get_cookie_secure(app),
            httponly=True,
            samesite="Lax",
        )
        return response

    context._after_request_functions.append(set_cookie)


def _signer(app: Any) -> TimestampSigner:
    return TimestampSigner([*(app.config["SECRET_KEY_FALLBACKS"] or ()), app.secret_key], salt=SALT)
