"""What the tests of databases share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quaff.ext.sqlalchemy import engines


@pytest.fixture(autouse=True)
def engines_are_closed() -> Iterator[None]:
    """Close the connections of each test's engines: Python warns of those of SQLite that are left open."""
    yield
    for engine in list(engines._made):
        engine.dispose()
