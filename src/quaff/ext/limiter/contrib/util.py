"""Addresses from headers of a particular proxy."""

from __future__ import annotations

from ....globals import request
from ..util import NO_ADDRESS


def get_remote_address_cloudflare() -> str:
    """Return the address in `CF-Connecting-IP`, which Cloudflare sets, or the address of the connection without it.

    Use it only where nobody can reach the server but through Cloudflare: everybody else writes into the header what they
    like, and so gets as many limits as they like.
    """
    # SECURITY: the extension raises for a request without the header, which is a 400 for health checks.
    return request.headers.get("CF-Connecting-IP") or request.remote_addr or NO_ADDRESS
