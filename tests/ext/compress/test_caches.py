"""What is kept of compressed bodies."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.compress.caches import _SEEN, Bounded, DictCache, Memo, body_key, sample_of, through_cache
from quaff.ext.compress.encoders import make_coder
from quaff.ext.compress.settings import read_settings

BODY = b"<p>hello</p>" * 100


class Counting:
    """A coding that counts its work."""

    def __init__(self, key: str = "counting 1") -> None:
        self.name = "counting"
        self.key = key
        self.calls = 0

    def compress(self, data: bytes) -> bytes:
        self.calls += 1
        return self.key.encode() + data[:5]

    def begin(self) -> Any:
        raise NotImplementedError


def test_dict_cache() -> None:
    """What was set is there, and nothing else."""
    cache = DictCache()
    assert cache.get("a") is None
    cache.set("a", b"1")
    cache.set("a", b"2")
    assert (cache.get("a"), cache.data) == (b"2", {"a": b"2"})


def test_dict_cache_is_bounded() -> None:
    """SECURITY: a client that asks for a million URLs does not fill the memory; the oldest entries go."""
    cache = DictCache(threshold=3)
    for number in range(10):
        cache.set(str(number), b"")
    assert list(cache.data) == ["7", "8", "9"]
    cache.set("9", b"again")
    assert list(cache.data) == ["7", "8", "9"]
    assert DictCache().threshold == 1000


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=60))
def test_bounded_stays_within_its_limit(puts: list[tuple[int, int]]) -> None:
    """However entries come and are replaced, together they never take more than the limit, and the sum is right."""
    kept: Bounded[int, int] = Bounded(100)
    costs = {}
    for key, cost in puts:
        kept.put(key, cost, cost)
        costs[key] = cost
        assert kept.total <= 100
        assert kept.total == sum(kept.entries.values())
        assert all(kept.entries[found] == costs[found] for found in kept.entries)


def test_bounded_drops_the_oldest() -> None:
    """The oldest entries make room; what would take more than a quarter of the room is not taken."""
    kept: Bounded[str, bytes] = Bounded(100)
    for name in "abcde":
        kept.put(name, b"", 25)
    assert list(kept.entries) == ["b", "c", "d", "e"]
    kept.put("c", b"large", 26)
    assert list(kept.entries) == ["b", "d", "e"]
    assert kept.total == 75


def test_a_lower_limit_takes_effect() -> None:
    """A limit that was lowered is kept from the next entry on; 0 keeps nothing."""
    kept: Bounded[str, bytes] = Bounded(100)
    for name in "abcd":
        kept.put(name, b"", 25)
    kept.limit = 40
    kept.put("e", b"", 10)
    assert list(kept.entries) == ["d", "e"]
    kept.limit = 0
    kept.put("f", b"", 1)
    assert "f" not in kept.entries


def test_bounded_in_threads() -> None:
    """Threads that put at the same time leave a sum that is right."""
    kept: Bounded[int, int] = Bounded(1000)

    def work(seed: int) -> None:
        for number in range(2000):
            kept.put((seed * number) % 97, number, number % 250)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (3, 5, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.total == sum(kept._costs.values()) <= 1000
    assert kept.entries.keys() == kept._costs.keys()


def test_memo_keeps_what_is_sent_twice() -> None:
    """A body is compressed the first two times, and then remembered; one that is sent once is not kept."""
    memo, coder = Memo(100_000), Counting()
    results = {memo.compress(coder, bytes(bytearray(BODY))) for _ in range(5)}
    assert (len(results), coder.calls) == (1, 2)
    memo.compress(coder, b"once" * 100)
    assert [plain for plain, _ in memo.entries.values()] == [BODY]
    assert memo.find(coder, BODY) in results
    assert memo.find(coder, b"once" * 100) is None


def test_memo_tells_bodies_apart_that_differ_anywhere() -> None:
    """Bodies are looked up by a sample of their bytes and then compared: each gets its own compressed form."""
    memo, coder = Memo(10_000_000), Counting()
    first = b"0123456789" * 1000
    others = [first[:place] + b"x" + first[place + 1 :] for place in (*range(100), 5_001, len(first) - 1)]
    assert len({sample_of(body) for body in others}) < len(others)
    for body in (first, *others) * 3:
        assert memo.compress(coder, body) == Counting().compress(body)
        assert memo.find(coder, body) in (None, Counting().compress(body))


def test_memo_tells_forms_apart() -> None:
    """Another body, another coding or another level is another entry."""
    memo, one, two = Memo(100_000), Counting(), Counting("counting 2")
    for _ in range(3):
        assert memo.compress(one, BODY) != memo.compress(two, BODY)
        assert memo.compress(one, BODY + b".") == one.key.encode() + BODY[:5]
    assert (one.calls, two.calls) == (4, 2)


def test_memo_is_right_for_every_coding() -> None:
    """What the memo gives is what compressing gives."""
    memo = Memo(100_000)
    for name in ("zstd", "br", "gzip", "deflate"):
        coder = make_coder(name, read_settings({}))
        assert {memo.compress(coder, BODY) for _ in range(4)} == {coder.compress(BODY)}


@pytest.mark.parametrize("limit", [0, len(BODY)])
def test_memo_without_room(limit: int) -> None:
    """A memo of size 0 is off, and a body that would take a large part of the room is not hashed at all."""
    memo, coder = Memo(limit), Counting()
    for _ in range(4):
        memo.compress(coder, BODY)
    assert (coder.calls, memo.entries, memo._seen) == (4, {}, {})


def test_memo_forgets_whom_it_saw() -> None:
    """SECURITY: of bodies that are all different, a bounded number of hashes is kept, and no body."""
    memo, coder = Memo(1_000_000), Counting()
    for number in range(3 * _SEEN):
        memo.compress(coder, str(number).encode() * 10)
    assert len(memo._seen) <= _SEEN
    assert memo.entries == {}


KEYS = {
    (None, False): "br;digest",
    ("/page", False): "br;/page;digest",
    ("/page", True): "br;/page",
    (None, True): "br;digest",
}


@pytest.mark.parametrize("key, trusts", KEYS)
def test_keys(key: str | None, trusts: bool) -> None:
    """The key names the coding, what the user's function gave, and the body itself unless the old way is asked for."""
    made = body_key("br", key, BODY, trusts_key=trusts)
    pattern = KEYS[key, trusts]
    assert made.split(";")[:-1] == pattern.split(";")[:-1]
    assert (made == pattern) is (not pattern.endswith("digest"))


def test_two_bodies_have_two_keys() -> None:
    """SECURITY: pages of two users under one URL do not have one key; in the old way they have."""
    assert body_key("br", "/me", b"Ann", trusts_key=False) != body_key("br", "/me", b"Bob", trusts_key=False)
    assert body_key("br", "/me", b"Ann", trusts_key=True) == body_key("br", "/me", b"Bob", trusts_key=True)
    assert body_key("br", "/me", b"Ann", trusts_key=False) != body_key("gzip", "/me", b"Ann", trusts_key=False)


def test_through_cache() -> None:
    """What is not there is made and stored once."""
    cache, made = DictCache(), []

    def make() -> bytes:
        made.append(1)
        return b"coded"

    assert [through_cache(cache, "k", make) for _ in range(3)] == [b"coded"] * 3
    assert (len(made), cache.data) == (1, {"k": b"coded"})


@pytest.mark.parametrize("found", [None, b"", "text", 5, b"coded"])
def test_what_is_no_body_is_made_anew(found: Any) -> None:
    """What somebody else stored under the key and is no body is not sent."""
    cache = DictCache()
    cache.data["k"] = found
    assert through_cache(cache, "k", lambda: b"coded") == b"coded"
    assert cache.data["k"] == b"coded"


class Broken:
    """A cache whose server is gone."""

    def get(self, key: str) -> bytes | None:
        raise ConnectionError("no answer")

    def set(self, key: str, value: bytes) -> None:
        raise ConnectionError("no answer")


def test_a_broken_cache_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """A cache that fails costs no answer; the log says what failed."""
    with caplog.at_level(logging.ERROR, "quaff.compress"):
        assert through_cache(Broken(), "k", lambda: b"coded") == b"coded"
    assert "failed while it was read" in caplog.text
    assert "failed while it was written" in caplog.text
    assert "no answer" in caplog.text
