"""The errors that end a request."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.exceptions import HTTPException, ServiceUnavailable, TooManyRequests

from quaff import Response
from quaff.ext.limiter import RateLimitExceeded, RateLimitUnavailable
from quaff.ext.limiter.notation import parse_limits
from quaff.ext.limiter.rules import RuntimeLimit
from tests.ext.limiter.apps import both_pipelines, limited_app


def _limit(**options: Any) -> RuntimeLimit:
    return RuntimeLimit(parse_limits("2/minute")[0], lambda: "key", None, **options)


@pytest.mark.parametrize(
    "message, description", [(None, "2 per 1 minute"), ("slow down", "slow down"), (lambda: "made", "made")]
)
def test_description(message: Any, description: str) -> None:
    """The description is the error message, which may be a function, or the limit in words."""
    error = RateLimitExceeded(_limit(error_message=message))
    assert (error.code, error.description) == (429, description)
    assert error.limit.limit.amount == 2


def test_response() -> None:
    """A response that a callback made takes the place of the page."""
    response = Response("tea", 418)
    assert RateLimitExceeded(_limit(), response=response).get_response() is response


def test_kinds() -> None:
    """Both are HTTP errors of the kind that their code has."""
    assert issubclass(RateLimitExceeded, TooManyRequests)
    assert issubclass(RateLimitUnavailable, ServiceUnavailable)
    assert RateLimitUnavailable(retry_after=3).get_response().headers["Retry-After"] == "3"


@both_pipelines
@pytest.mark.parametrize("what", [429, RateLimitExceeded, TooManyRequests, HTTPException])
def test_error_handlers(compiled: bool, what: Any) -> None:
    """Handlers for the code, for the class and for its bases answer a request that is refused."""
    app, _ = limited_app(compiled, "1/minute")

    @app.errorhandler(what)
    def answer(error: RateLimitExceeded) -> tuple[str, int]:
        return f"handled {error.description}", 429

    client = app.test_client()
    assert client.get("/").status_code == 200
    refused = client.get("/")
    assert (refused.status_code, refused.text) == (429, "handled 1 per 1 minute")


@both_pipelines
def test_without_a_handler(compiled: bool) -> None:
    """Without a handler the page of the error names the limit, with HTML escaped."""
    app, limiter = limited_app(compiled)
    app.add_url_rule("/t", "t", limiter.limit("1/minute", error_message="<b>")(lambda: "t"))
    client = app.test_client()
    client.get("/t")
    assert "&lt;b&gt;" in client.get("/t").text
