"""Values in uWSGI's memory. uWSGI's module exists only inside uWSGI, so a stand-in with its functions is used."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from quaff.ext.caching.backends.base import StoreMissing
from quaff.ext.caching.contrib.uwsgicache import UWSGICache
from quaff.ext.caching.settings import read_settings


@pytest.fixture
def uwsgi(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a stand-in for uWSGI's module."""
    values: dict[str, bytes] = {}

    def update(key: str, value: bytes, timeout: int, name: str) -> bool:
        assert isinstance(value, bytes)
        values[key] = value
        return True

    module = SimpleNamespace(
        opt={"cache2": b"name=x"},
        values=values,
        cache_get=lambda key, name: values.get(key),
        cache_update=update,
        cache_set=lambda key, value, timeout, name: key not in values and update(key, value, timeout, name),
        cache_del=lambda key, name: values.pop(key, None) is not None,
        cache_exists=lambda key, name: True if key in values else None,
        cache_clear=lambda name: values.clear() or True,
    )
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    return module


def test_values(uwsgi: Any) -> None:
    """They are stored as plain data under plain keys."""
    store = UWSGICache.factory(None, read_settings({"CACHE_UWSGI_NAME": "mine"}).config, [], {"default_timeout": 5})
    assert (store.cache, store.default_timeout, store.is_shared) == ("mine", 5, True)
    assert store.get("a b") is None
    store.set("a b", [1, (2,)])
    assert store.get("a b") == [1, (2,)]
    assert store.has("a b")
    assert all(key.isascii() and " " not in key for key in uwsgi.values)
    assert not store.add("a b", 3)
    assert store.add("c", 3)
    assert store.delete("a b")
    uwsgi.values["c"] = b"\x80\x04N."
    assert store.get("c") is None


def test_outside_of_uwsgi() -> None:
    """The message says so."""
    with pytest.raises(StoreMissing, match="are you running under uWSGI"):
        UWSGICache()


def test_without_its_cache(uwsgi: Any) -> None:
    """UWSGI has to be told to have one."""
    uwsgi.opt.clear()
    with pytest.raises(StoreMissing, match="enable cache2"):
        UWSGICache()
