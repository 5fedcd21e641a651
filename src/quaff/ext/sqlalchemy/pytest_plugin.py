"""Fixtures for pytest: a database that forgets each test.

::

    # conftest.py
    pytest_plugins = ["quaff.ext.sqlalchemy.pytest_plugin"]


    @pytest.fixture(scope="session")
    def app():
        app = create_app({"SQLALCHEMY_DATABASE_URI": "sqlite://", "TESTING": True})
        with app.app_context():
            db.create_all()
        return app

They take the app from a fixture called `app`, and `db` from the app.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .session import Session
from .testing import own_session, rolled_back


@pytest.fixture
def rolled_back_db(app: Any) -> Iterator[Any]:
    """Give `db`, whose sessions leave nothing behind: those of the test and those of requests of the test client.

    Any: its class has a parameter that depends on the app.
    """
    with rolled_back(app.extensions["sqlalchemy"], app) as db:
        yield db


@pytest.fixture
def db_session(rolled_back_db: Any) -> Iterator[Session]:
    """Give a session for the test itself, which leaves nothing behind either.

    Outside of an app context it is what `db.session` stands for in the test. Requests of the test client have sessions of
    their own, and see what is committed.
    """
    with own_session(rolled_back_db) as session:
        yield session
