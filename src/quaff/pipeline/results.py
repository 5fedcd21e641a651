"""Turning what views return into responses, and responses into what the server gets."""

from __future__ import annotations

from typing import Any, Final

from werkzeug.exceptions import HTTPException

from ..headers import Headers
from ..wrappers import Response

HTML: Final = ("Content-Type", "text/html; charset=utf-8")
JSON: Final = ("Content-Type", "application/json")


LENGTHS: Final = tuple(("Content-Length", str(length)) for length in range(2048))
"""Headers for short bodies. PERF: made once, for most answers of an API are short."""


class Answer:
    """A finished response: status line, headers and body are worked out already, and no response object is needed for it.

    A guard may return one (`parts.py`), and so are errors of routing answered.

    :param exception: the HTTP error that it answers.
    """

    __slots__ = ("body", "code", "headers", "status")

    def __init__(self, exception: HTTPException) -> None:
        response = exception.get_response()
        self.code: int = response.status_code
        self.status: str = response.status
        self.body: bytes = response.get_data()
        self.headers: list[tuple[str, str]] = list(response.headers)

    @classmethod
    def of(cls, status: str, body: bytes, headers: list[tuple[str, str]]) -> Answer:
        """Return one that is made of its parts, unchecked.

        :param status: with its words, `302 FOUND`; `quaff.wrappers.STATUS_LINES` has them.
        :param headers: all that are sent, `Content-Type` first; `Content-Length` is added.
        """
        self = cls.__new__(cls)
        self.code = int(status[:3])
        self.status = status
        self.body = body
        self.headers = [headers[0], ("Content-Length", str(len(body))), *headers[1:]]
        return self

    def response(self, cls: Any) -> Any:  # Any: an app's response class need not be one of Quaff's
        """Return a response object of its own for one request."""
        if not issubclass(cls, Response):
            return cls(self.body, self.status, list(self.headers))
        response = cls.of_body(self.body, "")
        response.headers = Headers.wrap(list(self.headers))
        response._status, response._status_code = self.status, self.code
        return response


def make_plain_response(app: Any, result: Any) -> Any:
    """Return `app.make_response(result)`, in the short way for the usual results.

    Only for apps whose response class and `make_response` are not overridden (`Plan.plain_responses`).
    """
    kind = type(result)
    cls = app.response_class
    if kind is cls:
        return result
    if kind is str:
        return cls.of_body(result.encode(), HTML[1])
    if kind is Answer:
        return result.response(cls)
    if kind is bytes:
        return cls.of_body(result, HTML[1])
    return app.make_response(result)


def run_after_functions(context: Any, response: Any) -> Any:
    """Call what `after_this_request` registered; a function may register more."""
    sync = context.app.ensure_sync
    for function in context.after_functions:
        response = sync(function)(response)
    return response


def finish_anew(app: Any, result: Any) -> Any:
    """Finish a request during which the app changed, in the reference pipeline.

    COMPAT: extensions append to `app.after_request_funcs` and filter it while a request runs, and mean that request.
    """
    return app.finalize_request(result.response(app.response_class) if type(result) is Answer else result)


def save_session(context: Any, response: Any) -> None:
    """Let the session interface save the session, unless it is a null session."""
    app = context.app
    interface = app.session_interface
    session = context.opened_session
    if not interface.is_null_session(session):
        interface.save_session(app, session, response)


def opens_session_to_refresh(context: Any) -> bool:
    """Open the session if its cookie has to be sent again although nobody asked for the session; tell whether it did."""
    app = context.app
    interface = app.session_interface
    cookie = context.request.find_cookie(interface.get_cookie_name(app))
    if not cookie or not interface.may_be_permanent(cookie):
        return False
    return bool(context.open_session().permanent)
