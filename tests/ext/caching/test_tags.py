"""Tags."""

from __future__ import annotations

from typing import Any

import pytest

from quaff.ext.caching.backends import SimpleCache
from quaff.ext.caching.store import Store
from quaff.ext.caching.tags import are_current, current_versions, forget, tag_key, tags_for
from tests.ext.caching.apps import PIPELINES, Counted, make_app


@pytest.fixture
def store() -> Store:
    """Give the store under test."""
    return Store(SimpleCache(), is_remote=False, is_shared=False, name="memory")


def test_which_tags() -> None:
    """They are given, or made from the arguments; a text alone is a mistake."""
    assert tags_for(["a", "b", "a"], (), {}) == ("a", "b")
    assert tags_for(lambda user, **rest: [f"user:{user}"], (5,), {"a": 1}) == ("user:5",)
    assert tags_for(None, (), {}) == ()
    for tags in ("news", lambda: "news"):
        with pytest.raises(TypeError, match="Write tags="):
            tags_for(tags, (), {})


def test_versions(store: Store) -> None:
    """A tag keeps its version until it is forgotten; one that is lost counts as forgotten."""
    versions = current_versions(store, ["a", "b"])
    assert current_versions(store, ["a", "b"]) == versions
    assert are_current(store, versions)
    forget(store, ["b"])
    assert not are_current(store, versions)
    assert are_current(store, {"a": versions["a"]})
    store.delete(tag_key("a"))
    assert not are_current(store, {"a": versions["a"]})
    assert are_current(store, {})
    assert current_versions(store, []) == {}


@pytest.mark.parametrize("compiled", PIPELINES)
def test_views_and_functions(compiled: bool) -> None:
    """What has a tag is forgotten with it, views and functions alike, and nothing else."""
    app, cache = make_app(compiled)
    count = Counted()
    app.add_url_rule("/news", "news", cache.cached(tags=["news"])(lambda: f"{count()}"))
    user = cache.cached(tags=lambda name: ["users", f"user:{name}"])(lambda name: f"{name} {count()}")
    app.add_url_rule("/user/<name>", "user", user)
    total = cache.memoize(tags=["news", "users"])(lambda: count())
    client = app.test_client()

    def ask() -> list[Any]:
        return [client.get(path).text for path in ("/news", "/user/a", "/user/b")] + [total()]

    with app.app_context():
        first = ask()
        assert ask() == first == ["1", "a 2", "b 3", 4]
        cache.delete_tagged("user:a")
        assert ask() == ["1", "a 5", "b 3", 4]
        cache.delete_tagged("news")
        assert ask() == ["6", "a 5", "b 3", 7]
        cache.delete_tagged("users", "nothing")
        assert ask() == ["6", "a 8", "b 9", 10]


def test_a_tag_that_cannot_be_asked() -> None:
    """When the versions are gone, the store's memory being full for example, the value is made anew."""
    app, cache = make_app()
    count = Counted()
    f = cache.memoize(tags=["t"])(lambda: count())
    with app.app_context():
        assert [f(), f()] == [1, 1]
        cache.delete(tag_key("t"))
        assert [f(), f()] == [2, 2]
