"""What the whole package stands on, asked for first, so that its lack is one clear message."""

from __future__ import annotations

from typing import Final

from ..._internal.imports import need

CACHELIB: Final = need("cachelib", "caching", "quaff.ext.caching")
"""The library of stores."""
