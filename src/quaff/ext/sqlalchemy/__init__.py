"""SQLAlchemy: models, sessions and engines for an app's databases.

The names are those of Flask-SQLAlchemy 3.1, which this takes the place of.
"""

from __future__ import annotations

from typing import Any

from ._needs import SQLALCHEMY as _SQLALCHEMY
from .extension import SQLAlchemy

__all__ = ["SQLAlchemy"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        import warnings

        warnings.warn(
            "'__version__' is deprecated. Use importlib.metadata.version().", DeprecationWarning, stacklevel=2
        )
        return "3.1.1"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
