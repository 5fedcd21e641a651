"""The values of what a result depends on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from quaff import Quaff, g, session
from quaff.ext.caching.variants import is_known, new_token, user_of, value_of, values_of


@pytest.fixture
def app() -> Quaff:
    """Give an app with a secret key."""
    app = Quaff("variants", static_folder=None)
    app.secret_key = "a key for tests"
    return app


def test_values(app: Quaff) -> None:
    """Headers, the query in any order, and the address; what is missing is not what is empty."""
    with app.test_request_context("/?b=2&a=1", headers={"X-A": "1", "X-Empty": ""}) as context:
        assert values_of(context, ("x-a", "x-empty", "x-missing")) == ["=1", "=", "-"]
        query = value_of(context, "?")
        assert value_of(context, "remote_addr") == "=None"
    with app.test_request_context("/?a=1&b=2", environ_overrides={"REMOTE_ADDR": "10.0.0.1"}) as context:
        assert value_of(context, "?") == query
        assert value_of(context, "remote_addr") == "=10.0.0.1"
        assert values_of(context, ("*",)) is None
    assert values_of(None, ("x-a",)) is None


def test_the_session(app: Quaff) -> None:
    """Its content counts, and asking for it counts as reading it."""
    texts = set()
    for content in ({}, {"user": "a"}, {"user": "b"}, {"user": "a", "cart": [1]}):
        with app.test_request_context("/") as context:
            session.update(content)
            context.opened_session.accessed = False
            texts.add(value_of(context, "session"))
            assert context.opened_session.accessed
    assert len(texts) == 4


class User(SimpleNamespace):
    """A user of a login extension."""

    def get_id(self) -> Any:
        return self.id


def test_the_user(app: Quaff) -> None:
    """Whom a login extension put into `g`; an anonymous one, or none, is the content of the session."""
    with app.test_request_context("/") as context:
        anonymous = user_of(context)
        assert not is_known(context)
        g._login_user = User(id=None)
        assert user_of(context) == anonymous
        g._login_user = User(id="5")
        assert user_of(context) == "User:'5'"
        assert is_known(context)
        g._login_user = User(id=5)
        assert user_of(context) == "User:5"
        g._login_user = "alice"
        assert user_of(context) == "str:'alice'"


def test_the_user_is_loaded(app: Quaff) -> None:
    """A login manager that has not been asked yet is asked."""

    def load() -> None:
        g._login_user = User(id="7")

    app.login_manager = SimpleNamespace(_load_user=load)  # type: ignore[attr-defined]
    with app.test_request_context("/") as context:
        assert value_of(context, "user") == "User:'7'"


def test_tokens() -> None:
    """No two are the same."""
    assert len({new_token() for _ in range(100)}) == 100
