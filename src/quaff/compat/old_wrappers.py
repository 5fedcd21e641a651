"""The parts that Werkzeug's request and response were once put together from.

The bases are today's whole classes, so that `isinstance(rv, BaseResponse)` is still true of every response. The mixins are
empty: what they brought is in the bases.
"""

from __future__ import annotations

from typing import Final

from werkzeug.wrappers import Request, Response

BaseRequest: Final = Request
PlainRequest: Final = Request
BaseResponse: Final = Response


class AcceptMixin:
    """Was `accept_mimetypes` and its kind."""


class AuthorizationMixin:
    """Was `authorization`."""


class CommonRequestDescriptorsMixin:
    """Was `content_type`, `referrer` and other headers of a request."""


class CommonResponseDescriptorsMixin:
    """Was `location`, `last_modified` and other headers of a response."""


class CORSRequestMixin:
    """Was `origin` and `access_control_request_method`."""


class CORSResponseMixin:
    """Was `access_control_allow_origin` and its kind."""


class ETagRequestMixin:
    """Was `if_match`, `if_none_match` and their kind."""


class ETagResponseMixin:
    """Was `make_conditional`, `set_etag` and their kind."""


class JSONMixin:
    """Was `json` and `get_json`."""


class ResponseStreamMixin:
    """Was the response's `stream`."""


class StreamOnlyMixin:
    """Was a request that parses no form."""


class UserAgentMixin:
    """Was `user_agent`."""


class WWWAuthenticateMixin:
    """Was `www_authenticate`."""
