"""What every store promises. The test of each store takes these over and gives the fixture `store`."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

VALUES: tuple[Any, ...] = (
    1,
    0,
    -5,
    1.5,
    True,
    False,
    "",
    "text",
    "é\N{SNOWMAN}\n",
    b"",
    b"\x00\xff",
    [],
    [1, [2, "3"]],
    {},
    {"a": 1},
    {"tuple": (1, 2), "b": b"x"},
    {1: "one", (1, 2): None},
    (1, (2,)),
    datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
)
"""Values that every store keeps as they are, with their types."""

STRANGE_KEYS = (
    "",
    "a b",
    "a\nb",
    "a\r\nset x 0 0 1\r\ny",
    "\x00\x01\x7f",
    "é",
    "\N{KELVIN SIGN}",
    "K",
    "k",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "k-",
    "k45",
    "x" * 251,
    "x" * 252,
    "x" * 10_000,
    "../../etc/passwd",
    "h:abc",
    "%s",
    "*",
)
"""Keys that a protocol, a file system or a column might take for another one, or for a command."""


class StoreTests:
    """The promises of a store."""

    def test_values(self, store: Any) -> None:
        """A value comes back equal and of the same type."""
        for number, value in enumerate(VALUES):
            assert store.set(f"key{number}", value)
        for number, value in enumerate(VALUES):
            found = store.get(f"key{number}")
            assert found == value
            assert type(found) is type(value)
            assert store.has(f"key{number}")

    def test_what_is_not_there(self, store: Any) -> None:
        """There is None where nothing is."""
        assert store.get("nothing") is None
        assert not store.has("nothing")
        assert store.get_many("nothing", "either") == [None, None]
        assert store.get_dict("nothing") == {"nothing": None}

    def test_strange_keys(self, store: Any) -> None:
        """Keys with control characters, of any length, in any alphabet, are keys, and no two of them are one."""
        for key in STRANGE_KEYS:
            assert store.set(key, f"value of {key!r}")
        for key in STRANGE_KEYS:
            assert store.get(key) == f"value of {key!r}", key
        assert store.get_many(*STRANGE_KEYS) == [f"value of {key!r}" for key in STRANGE_KEYS]
        assert store.delete(STRANGE_KEYS[3])
        assert store.get(STRANGE_KEYS[3]) is None
        assert store.get(STRANGE_KEYS[2]) == f"value of {STRANGE_KEYS[2]!r}"

    def test_many(self, store: Any) -> None:
        """Several values are stored, found and deleted at once."""
        assert sorted(store.set_many({"a": 1, "b b": "2"})) == ["a", "b b"]
        assert store.get_many("b b", "c", "a") == ["2", None, 1]
        assert store.get_dict("a", "c") == {"a": 1, "c": None}
        assert sorted(store.delete_many("a", "b b")) == ["a", "b b"]
        assert store.get_many("a", "b b") == [None, None]

    def test_add(self, store: Any) -> None:
        """Only the first one adds."""
        assert store.add("key", "first")
        assert not store.add("key", "second")
        assert store.get("key") == "first"

    def test_one_of_many_adds(self, store: Any) -> None:
        """Of many threads that add at once, one succeeds."""
        barrier = threading.Barrier(8)
        added = []

        def add() -> None:
            barrier.wait()
            if store.add("lock", "mine"):
                added.append(1)

        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(added) == 1

    def test_overwrite_and_delete(self, store: Any) -> None:
        """The last value counts, until it is deleted."""
        store.set("key", "old")
        store.set("key", "new")
        assert store.get("key") == "new"
        assert store.delete("key")
        assert store.get("key") is None

    def test_numbers(self, store: Any) -> None:
        """Numbers are counted up and down, from nothing too."""
        store.set("n", 5)
        assert store.inc("n") == 6
        assert store.inc("n", 4) == 10
        assert store.dec("n", 3) == 7
        assert store.get("n") == 7
        assert store.inc("new") == 1
        assert store.dec("down") == -1

    def test_timeouts(self, store: Any) -> None:
        """0 is for ever; a timedelta is as good as seconds."""
        assert store.set("for ever", "x", 0)
        assert store.set("short", "x", timedelta(minutes=1))
        assert store.set("default", "x", None)
        assert store.get_many("for ever", "short", "default") == ["x", "x", "x"]

    def test_clear(self, store: Any) -> None:
        """Nothing is left."""
        store.set_many({"a": 1, "a b": 2})
        store.clear()
        assert store.get_many("a", "a b") == [None, None]

    def test_values_are_copies(self, store: Any) -> None:
        """Who changes what was stored, or what was found, changes nothing in the store."""
        value = {"list": [1]}
        store.set("key", value)
        value["list"].append(2)
        found = store.get("key")
        found["list"].append(3)
        assert store.get("key") == {"list": [1]}

    def test_what_cannot_be_stored(self, store: Any) -> None:
        """An object that cannot be written is refused with a `TypeError`, and the old value stays."""
        store.set("key", "old")
        with pytest.raises(TypeError):
            store.set("key", lambda: None)
        assert store.get("key") == "old"
