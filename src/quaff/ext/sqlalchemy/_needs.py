"""What the whole package stands on, asked for first, so that its lack is one clear message."""

from __future__ import annotations

from typing import Final

from ..._internal.imports import need

SQLALCHEMY: Final = need("sqlalchemy", "sqlalchemy", "quaff.ext.sqlalchemy")
"""The library."""
