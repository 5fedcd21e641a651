"""A cache as it is bound to one app."""

from __future__ import annotations

from quaff.ext.caching import Cache
from tests.ext.caching.apps import make_app


def test_binding() -> None:
    """It knows app, settings and store, and whether anything is kept at all."""
    app, cache = make_app()
    bound = cache.bound_to(app)
    assert bound.app is app
    assert bound.store.backend is app.extensions["cache"][cache]
    assert bound.keeps_anything
    nothing = Cache(app, config={"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True})
    assert not nothing.bound_to(app).keeps_anything
    assert cache.bound_to(app) is bound
