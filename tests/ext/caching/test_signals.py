"""The signals of the cache."""

from __future__ import annotations

from typing import Any

from quaff.ext.caching import cache_memoize_hit, cache_memoize_miss, cache_view_hit, cache_view_miss
from tests.ext.caching.apps import make_app

SIGNALS = {
    "view miss": cache_view_miss,
    "view hit": cache_view_hit,
    "miss": cache_memoize_miss,
    "hit": cache_memoize_hit,
}


def listen(heard: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Note what the signals say; the receivers have to be kept."""

    def receiver(name: str) -> Any:
        def receive(sender: Any, **values: Any) -> None:
            heard.append((name, values))

        SIGNALS[name].connect(receive)
        return receive

    return [receiver(name) for name in SIGNALS]


def test_hits_and_misses() -> None:
    """Each call is one signal, with the cache, the key and the arguments."""
    app, cache = make_app(CACHE_ENABLE_SIGNALS=True)
    add = cache.memoize()(lambda a, b=0: a + b)
    app.add_url_rule("/<name>", "view", cache.cached()(lambda name: name))
    heard: list[tuple[str, dict[str, Any]]] = []
    receivers = listen(heard)
    client = app.test_client()
    for _ in range(2):
        client.get("/a")
        add(1, b=2)
    assert [name for name, _ in heard] == ["view miss", "miss", "view hit", "hit"]
    assert all(values["cache"] is cache for _, values in heard)
    assert heard[0][1]["cache_key"] == heard[2][1]["cache_key"] == "view//a"
    assert heard[1][1]["f"] is add.uncached
    assert (heard[1][1]["args"], heard[1][1]["kwargs"]) == ((1,), {"b": 2})
    assert receivers


def test_silence() -> None:
    """Without the setting nothing is sent."""
    app, cache = make_app()
    app.add_url_rule("/", "view", cache.cached()(lambda: "page"))
    heard: list[tuple[str, dict[str, Any]]] = []
    receivers = listen(heard)
    app.test_client().get("/")
    cache.memoize()(lambda: 1)()
    assert heard == []
    assert receivers
