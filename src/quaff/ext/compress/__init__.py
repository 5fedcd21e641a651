"""Compressed responses: zstd, Brotli, gzip and deflate, chosen by what the client accepts.

`Compress` is Flask-Compress's, and under the alias `flask_compress` is this package. Read first: `finisher.py`, which takes
a response through its steps; the decisions are in `negotiation.py`, `verdict.py` and `conditional.py`, which know no app.
"""

from .caches import CacheBackend, DictCache
from .extension import Compress
from .settings import CompressOptionError

# COMPAT: Flask-Compress's, for programs that compare versions.
__version__ = "1.25"

__all__ = ["CacheBackend", "Compress", "CompressOptionError", "DictCache"]
