"""Puts Quaff's `ProxyFix` where the tests of Werkzeug look for Werkzeug's.

The alias leaves Werkzeug's own as it is, so this measures the battery's class, on Werkzeug's requests.
"""

from __future__ import annotations

import sys

import werkzeug.middleware

try:
    from quaff.ext import proxy
except ImportError:
    # With the real Flask, to check or record the baseline, there is no Quaff.
    pass
else:
    sys.modules["werkzeug.middleware.proxy_fix"] = proxy
    werkzeug.middleware.proxy_fix = proxy  # type: ignore[attr-defined]
