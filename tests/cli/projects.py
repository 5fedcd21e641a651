"""Importing from small projects in tests of the command line; `project.py` runs commands in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import write


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Work in *folder* for a while; what is imported from it is forgotten afterwards."""
    path, modules, here = list(sys.path), set(sys.modules), os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            origin = getattr(sys.modules[name], "__file__", None) or ""
            if origin.startswith(str(folder)):
                del sys.modules[name]


__all__ = ["importing_from", "write"]
