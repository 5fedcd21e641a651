"""HTTPS and security headers: `SecurityHeaders`, and `Talisman` and `SSLify` with the defaults of those extensions."""

from .csp import STRICT_CSP_POLICY, source_hash
from .extension import SecurityHeaders
from .problems import SecurityOptionError
from .reports import Violation, csp_violation
from .sslify import SSLify
from .talisman import Talisman

__all__ = [
    "STRICT_CSP_POLICY",
    "SSLify",
    "SecurityHeaders",
    "SecurityOptionError",
    "Talisman",
    "Violation",
    "csp_violation",
    "source_hash",
]
