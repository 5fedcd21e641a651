"""What the package stands on."""

from __future__ import annotations

import subprocess
import sys

import cachelib

from quaff.ext.caching import _needs


def test_it_is_there() -> None:
    """The library of stores is loaded first."""
    assert _needs.CACHELIB is cachelib


def test_it_is_missing() -> None:
    """Without it the message says what to install."""
    program = "import sys; sys.modules['cachelib'] = None\nimport quaff.ext.caching"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "quaff.ext.caching needs 'cachelib'" in done.stderr
    assert "pip install 'quaff[caching]'" in done.stderr
