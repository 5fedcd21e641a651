"""Validators of compressed responses, and the requests that ask with them: RFC 9110 sections 8.8 and 13."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.http import is_resource_modified, parse_etags

from ...streaming import AsyncBody


def has_conditions(environ: Mapping[str, Any]) -> bool:
    """Tell whether a request has validators, so that its answer may be 304 or 412."""
    return "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MODIFIED_SINCE" in environ or "HTTP_IF_MATCH" in environ


def coded_etag(etag: str, coding: str) -> str:
    """Return the `ETag` header of a response in its compressed form.

    RFC: 9110 section 8.8.3.3: a strong one belongs to the bytes, so each coding needs its own; a weak one stays.

    >>> coded_etag('"abc"', "gzip"), coded_etag('W/"abc"', "gzip")
    ('"abc:gzip"', 'W/"abc"')
    """
    text = etag.strip()
    if text[:2] in {"W/", "w/"}:
        return etag
    inner = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    return f'"{inner}:{coding}"'


def judge_conditions(environ: Mapping[str, Any], etag: str | None, last_modified: str | None) -> int | None:
    """Return the status that a GET or HEAD gets instead of a body, or None when it gets the body.

    304 when the client has it already; 412 when the client wants another one only (`If-Match`).

    :param etag: the `ETag` header of the response as it would be sent.
    :param last_modified: its `Last-Modified` header.
    """
    if not has_conditions(environ):
        return None
    if environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
        return None
    if is_resource_modified(dict(environ), etag, last_modified=last_modified):
        return None
    return 412 if parse_etags(environ.get("HTTP_IF_MATCH")) else 304


def answer_condition(response: Any, status: int) -> None:
    """Give a response the status 304 or 412. What it would have sent stays in it, and is closed instead of sent.

    RFC: 9110 section 15.4.5: a 304 keeps Cache-Control, Content-Location, Date, ETag, Expires and Vary. All that is not
    about the body stays as well: a security header that is missing is lost for the page in the browser's cache.
    """
    response.status_code = status
    if status == 304 or isinstance(response.response, AsyncBody):
        # Sending leaves out a 304's body, and what is said about that. An async one is closed on its loop only.
        return
    body = response.response
    response.response = []
    response.direct_passthrough = False
    response.headers["Content-Length"] = "0"
    close = getattr(body, "close", None)
    if close is not None:
        close()
