"""One storage with one strategy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import parse
from limits.errors import ConfigurationError
from limits.storage import MemcachedStorage, RedisStorage
from limits.storage import MemoryStorage as TheirStorage
from limits.strategies import FixedWindowRateLimiter

from quaff.ext.limiter.counting import Counting
from quaff.ext.limiter.memory import MemoryStorage
from quaff.ext.limiter.verdict import Outcome
from quaff.stores.shared_counters import SharedCounters
from tests.ext.limiter.apps import Clock, every_strategy
from tests.ext.servers import Server

ITEM = parse("3/minute")
ARGS = ("someone", "somewhere")
KEY = ITEM.key_for(*ARGS)


@pytest.fixture(params=["memory", "shared", "theirs"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Give each storage that needs no server."""
    if request.param == "memory":
        yield MemoryStorage()
    elif request.param == "theirs":
        yield TheirStorage()
    else:
        tmp_path.chmod(0o700)
        yield SharedCounters(tmp_path / "counters")


@every_strategy
def test_hits(strategy: str, storage: Any) -> None:
    """Each storage allows as many hits as the limit, with each strategy."""
    counting = Counting(storage, strategy)
    assert [counting.hit(ITEM, KEY, ARGS, 1).allowed for _ in range(5)] == [True] * 3 + [False] * 2


@every_strategy
def test_test_does_not_count(strategy: str, storage: Any) -> None:
    """Looking whether there is room takes none."""
    counting = Counting(storage, strategy)
    for _ in range(5):
        assert counting.test(ITEM, ARGS, 1).allowed
    assert counting.test(ITEM, ARGS, 3).allowed
    assert not counting.test(ITEM, ARGS, 4).allowed
    counting.hit(ITEM, KEY, ARGS, 3)
    assert not counting.test(ITEM, ARGS, 1).allowed


@every_strategy
def test_look(strategy: str, storage: Any) -> None:
    """What is left, and until when, can be asked for."""
    counting = Counting(storage, strategy)
    assert counting.look(ITEM, ARGS).remaining == 3
    counting.hit(ITEM, KEY, ARGS, 2)
    outcome = counting.look(ITEM, ARGS)
    assert (outcome.allowed, outcome.remaining) == (True, 1)
    counting.hit(ITEM, KEY, ARGS, 1)
    assert not counting.look(ITEM, ARGS).allowed


@every_strategy
@settings(max_examples=50, deadline=None)
@given(
    hits=st.lists(st.tuples(st.sampled_from([0.0, 0.4, 7.3, 31.7]), st.integers(0, 3)), max_size=30),
)
def test_one_step_says_what_three_say(strategy: str, hits: list[tuple[float, int]]) -> None:
    """A hit in one step has the outcome that the strategy of `limits` and a look afterwards have."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        quick, slow = Counting(MemoryStorage(), strategy), Counting(MemoryStorage(), strategy)
        slow.hit = slow._by_strategy
        assert quick.hit != quick._by_strategy
        for pause, cost in hits:
            clock.forward(pause)
            outcome = quick.hit(ITEM, KEY, ARGS, cost)
            assert outcome.allowed == slow.hit(ITEM, KEY, ARGS, cost).allowed
            looked = slow.look(ITEM, ARGS)
            assert outcome.remaining == looked.remaining
            if looked.remaining < ITEM.amount:
                assert outcome.reset_at == pytest.approx(looked.reset_at, abs=1e-3)


def test_which_storages_count_in_one_step(storage: Any) -> None:
    """Quaff's own storages count in one step; all others through the strategies of `limits`."""
    is_own = not isinstance(storage, TheirStorage)
    for strategy in ("fixed-window", "moving-window", "sliding-window-counter"):
        counting = Counting(storage, strategy)
        assert (counting.hit != counting._by_strategy) == is_own
        assert counting.counts_fixed_in_one_step == (is_own and strategy == "fixed-window")


def test_what_is_not_known_is_not_told(storage: Any) -> None:
    """Through the strategies, what is left is not looked at with each hit: it would be another round trip."""
    counting = Counting(storage, "fixed-window")
    counting.hit = counting._by_strategy
    assert counting.hit(ITEM, KEY, ARGS, 1) == Outcome(True, -1, 0.0)


@pytest.mark.parametrize("where", ["class", "object"])
def test_a_strategy_that_is_replaced_is_called(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """COMPAT: tests and tracing tools that replace a method of the strategy see each hit."""
    counting = Counting(MemoryStorage(), "fixed-window")
    seen: list[tuple[Any, ...]] = []

    def hit(*args: Any, **kwargs: Any) -> bool:
        seen.append(args)
        return False

    monkeypatch.setattr(FixedWindowRateLimiter if where == "class" else counting.strategy, "hit", hit)
    counting.choose()
    assert not counting.hit(ITEM, KEY, ARGS, 1).allowed
    assert seen[0][-2:] == ARGS
    monkeypatch.undo()
    counting.choose()
    assert counting.hit(ITEM, KEY, ARGS, 1).allowed


def test_what_a_storage_cannot() -> None:
    """A strategy that the storage has not is refused, with what to do."""
    with pytest.raises(ConfigurationError, match="MemcachedStorage cannot count by 'moving-window'") as caught:
        Counting(MemcachedStorage("memcached://127.0.0.1:1"), "moving-window")
    assert "sliding-window-counter" in str(caught.value)


@pytest.mark.parametrize(
    "strategy, windows", [("fixed-window", 0), ("moving-window", 1), ("sliding-window-counter", 2)]
)
def test_how_long_a_hit_counts(strategy: str, windows: int) -> None:
    """A strategy says for how many windows a hit counts at most."""
    assert Counting(MemoryStorage(), strategy).windows == windows


@every_strategy
def test_redis(strategy: str, redis_server: Server) -> None:
    """A real Redis counts as memory does, with each strategy."""
    counting = Counting(RedisStorage(redis_server.uri), strategy)
    assert [counting.hit(ITEM, KEY, ARGS, 1).allowed for _ in range(4)] == [True] * 3 + [False]
    assert counting.look(ITEM, ARGS).remaining == 0
    assert counting.test(ITEM, ("someone else", "somewhere"), 3).allowed


@pytest.mark.parametrize("strategy", ["fixed-window", "sliding-window-counter"])
def test_memcached(strategy: str, memcached_server: Server) -> None:
    """A real Memcached counts as memory does, with the strategies that it has."""
    counting = Counting(MemcachedStorage(memcached_server.uri), strategy)
    assert [counting.hit(ITEM, KEY, ARGS, 1).allowed for _ in range(4)] == [True] * 3 + [False]
    assert counting.look(ITEM, ARGS).remaining == 0
    counting.storage.storage.close()
