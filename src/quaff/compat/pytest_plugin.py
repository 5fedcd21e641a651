"""The alias for a test-suite: `pytest -p quaff.compat.pytest_plugin`.

With `-p` the plugin loads before `conftest.py` files and before installed plugins, so before anything imports Flask.
"""

from __future__ import annotations

from importlib.metadata import version

from .aliases import FLASK_VERSION
from .install import install_as_flask

install_as_flask()


def pytest_report_header() -> str:
    """Say in pytest's header who answers for Flask."""
    return f"flask: {FLASK_VERSION}, which is Quaff {version('quaff')}"
