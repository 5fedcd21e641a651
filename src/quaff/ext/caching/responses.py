"""The response that says how long it is kept."""

# COMPAT: annotations are objects here, not texts: Flask-Caching's suite looks at them.

from datetime import timedelta

from werkzeug.wrappers import Response as BaseResponse

from ...wrappers import Response
from .settings import seconds_of


class CachedResponse(Response):
    """A response that says itself how long it is kept: `return CachedResponse(make_response(...), timeout=60)`.

    :param response: what it takes the place of; the two share their content.
    :param timeout: seconds, or a timedelta; None is what the decorator says.
    """

    timeout: int | None = None

    def __init__(self, response: BaseResponse, timeout: int | timedelta | None) -> None:
        self.__dict__ = response.__dict__
        self.timeout = seconds_of(timeout)
