"""Addresses from headers of a particular proxy."""

from __future__ import annotations

from quaff import Quaff
from quaff.ext.limiter.contrib.util import get_remote_address_cloudflare
from tests.ext.limiter.apps import from_address


def test_the_header_is_taken(app: Quaff) -> None:
    """Where the header is, it says who the client is."""
    with app.test_request_context("/", headers={"CF-Connecting-IP": "203.0.113.9"}, **from_address("192.0.2.7")):
        assert get_remote_address_cloudflare() == "203.0.113.9"


def test_without_the_header(app: Quaff) -> None:
    """Without it, as for a health check, the connection does, and there is no error."""
    with app.test_request_context("/", **from_address("192.0.2.7")):
        assert get_remote_address_cloudflare() == "192.0.2.7"
    with app.test_request_context("/", environ_overrides={"REMOTE_ADDR": ""}):
        assert get_remote_address_cloudflare() == "127.0.0.1"
