"""The clocks of cachelib's stores, by which everything here expires.

COMPAT: looked up each time, because tests put another `time` into these modules to let it pass.
"""

from __future__ import annotations

from typing import Any, Final

import cachelib.file
import cachelib.simple

# Any: modules, of which a name is read that they do not export.
simple: Final[Any] = cachelib.simple
file: Final[Any] = cachelib.file


def now() -> float:
    """Return the time in seconds since the epoch."""
    seconds: float = simple.time()
    return seconds
