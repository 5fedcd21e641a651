"""Rate limits: how often a client may do something, by address or user, for a route, a blueprint or the application.

The names are those of Flask-Limiter 4.1, which this takes the place of. Counting is done by the library `limits`, in memory,
in memory that the workers of a machine share, in Redis or Valkey, or in Memcached.
"""

from __future__ import annotations

from .constants import ExemptionScope, HeaderNames
from .context import RequestLimit
from .decorator import RouteLimit
from .errors import RateLimitExceeded, RateLimitUnavailable
from .extension import Limiter
from .rules import ApplicationLimit, Limit, MetaLimit

__all__ = [
    "ApplicationLimit",
    "ExemptionScope",
    "HeaderNames",
    "Limit",
    "Limiter",
    "MetaLimit",
    "RateLimitExceeded",
    "RateLimitUnavailable",
    "RequestLimit",
    "RouteLimit",
]

__version__ = "4.1.1"
"""The version of Flask-Limiter whose API this is."""
