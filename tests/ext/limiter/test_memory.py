"""Counting in the memory of one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import floor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute, parse
from limits.storage import MemoryStorage as TheirStorage
from limits.storage import Storage
from limits.strategies import STRATEGIES as THEIR_STRATEGIES

from quaff.ext.limiter.memory import MemoryStorage
from tests.ext.limiter.apps import Clock, every_strategy

HITS = st.lists(st.tuples(st.sampled_from([0, 0.25, 1, 3, 7, 20]), st.integers(0, 3)), max_size=60)
"""Pauses, each with the cost of the request that follows."""


def _count(storage: MemoryStorage, strategy: str, key: str, limit: int, window: int, cost: int = 1) -> bool:
    if strategy == "fixed-window":
        return storage.count_fixed(key, window, cost)[0] <= limit
    if strategy == "moving-window":
        return storage.count_moving(key, limit, window, cost)[0]
    return storage.count_sliding(key, limit, window, cost)[0]


# One key ---------------------------------------------------------------------------------------------------------------


@every_strategy
def test_as_many_as_allowed(strategy: str, clock: Clock) -> None:
    """As many hits as the limit are allowed in a window, and as many again when it is over."""
    storage = MemoryStorage()
    for _ in range(3):
        assert [_count(storage, strategy, "key", 2, 10) for _ in range(4)] == [True, True, False, False]
        clock.forward(20)


def test_fixed_window_begins_with_the_first_hit(clock: Clock) -> None:
    """A fixed window lasts from its first hit, whatever follows."""
    storage = MemoryStorage()
    clock.forward(3)
    assert storage.count_fixed("key", 10) == (1, clock.wall + 10)
    clock.forward(9)
    assert storage.count_fixed("key", 10) == (2, clock.wall + 1)
    clock.forward(1)
    assert storage.count_fixed("key", 10, 5) == (5, clock.wall + 10)


def test_moving_window_forgets_one_at_a_time(clock: Clock) -> None:
    """A moving window has room when the oldest hit is older than the window, and tells when that was."""
    storage = MemoryStorage()
    start = clock.wall
    for second in range(3):
        assert storage.count_moving("key", 3, 10) == (True, start, second + 1)
        clock.forward(1)
    assert storage.count_moving("key", 3, 10) == (False, start, 3)
    clock.forward(7.5)
    assert storage.count_moving("key", 3, 10) == (True, start + 1, 3)
    assert storage.count_moving("key", 3, 10) == (False, start + 1, 3)


def test_sliding_window_weighs(clock: Clock) -> None:
    """A sliding window lets in what the previous window leaves room for."""
    storage = MemoryStorage()
    assert [storage.count_sliding("key", 4, 10)[0] for _ in range(5)] == [True] * 4 + [False]
    clock.forward(10)
    # Four in the previous window, all of which count still.
    assert not storage.count_sliding("key", 4, 10)[0]
    clock.forward(5)
    assert [storage.count_sliding("key", 4, 10)[0] for _ in range(3)] == [True, True, False]
    assert storage.get_sliding_window("key", 10) == (4, 5.0, 2, 15.0)


@every_strategy
def test_cost(strategy: str, clock: Clock) -> None:
    """A request may cost more than one, or nothing; one that costs more than there is is refused."""
    storage = MemoryStorage()
    assert _count(storage, strategy, "key", 10, 60, 7)
    assert _count(storage, strategy, "key", 10, 60, 0)
    assert _count(storage, strategy, "key", 10, 60, 3)
    assert not _count(storage, strategy, "key", 10, 60, 1)
    assert not _count(storage, strategy, "other", 10, 60, 11)


@every_strategy
def test_a_hit_of_no_cost_leaves_nothing(strategy: str) -> None:
    """Looking does not count."""
    storage = MemoryStorage()
    for _ in range(5):
        assert _count(storage, strategy, "key", 1, 60, 0)
    assert _count(storage, strategy, "key", 1, 60)


@every_strategy
def test_keys_are_apart(strategy: str, clock: Clock) -> None:
    """What one key has used up, another has not."""
    storage = MemoryStorage()
    assert [_count(storage, strategy, key, 1, 60) for key in ("a", "b", "a", "b")] == [True, True, False, False]


# Against a model, and against the library --------------------------------------------------------------------------------


def _drive(hits: list[tuple[float, int]], step: Callable[[float, int], None]) -> None:
    now = 0.0
    for pause, cost in hits:
        now += pause
        step(now, cost)


@settings(max_examples=150)
@given(HITS, st.integers(1, 6))
def test_fixed_window_against_a_model(hits: list[tuple[float, int]], limit: int) -> None:
    """Of any sequence of hits, those of each window are counted, and nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        storage = MemoryStorage()
        ends, count = -1.0, 0

        def step(now: float, cost: int) -> None:
            nonlocal ends, count
            clock.forward(now - (clock.now - start))
            if now >= ends:
                ends, count = now + 10, 0
            count += cost
            assert storage.count_fixed("key", 10, cost)[0] == count

        start = clock.now
        _drive(hits, step)


@settings(max_examples=150)
@given(HITS, st.integers(1, 6))
def test_moving_window_against_a_model(hits: list[tuple[float, int]], limit: int) -> None:
    """In no ten seconds are there more hits than the limit, and none is refused for which there was room."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        storage = MemoryStorage()
        allowed: list[tuple[float, int]] = []

        def step(now: float, cost: int) -> None:
            clock.forward(now - (clock.now - start))
            inside = sum(other for at, other in allowed if at >= now - 10)
            passes = storage.count_moving("key", limit, 10, cost)[0]
            assert passes == (inside + cost <= limit)
            if passes:
                allowed.append((now, cost))

        start = clock.now
        _drive(hits, step)


@settings(max_examples=150)
@given(HITS, st.integers(1, 6))
def test_sliding_window_against_a_model(hits: list[tuple[float, int]], limit: int) -> None:
    """Hits are weighed as the two windows say in which they were allowed."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        storage = MemoryStorage()
        windows: dict[int, int] = {}

        def step(now: float, cost: int) -> None:
            clock.forward(now - (clock.now - start))
            index = int(now // 10)
            weight = floor(windows.get(index - 1, 0) * (10 - now % 10) / 10 + windows.get(index, 0))
            passes = storage.count_sliding("key", limit, 10, cost)[0]
            assert passes == (weight + cost <= limit)
            if passes:
                windows[index] = windows.get(index, 0) + cost

        start = clock.now
        _drive(hits, step)


@every_strategy
@settings(max_examples=60, deadline=None)
@given(
    hits=st.lists(st.tuples(st.sampled_from([0.3, 1.7, 7.9, 23.1]), st.integers(1, 3)), max_size=60),
    amount=st.integers(1, 6),
)
def test_as_the_library(strategy: str, hits: list[tuple[float, int]], amount: int) -> None:
    """The strategies of `limits` say the same with this storage as with the library's own, and as one step does."""
    item = RateLimitItemPerMinute(amount)
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        # The library's windows go by the wall clock.
        clock.wall = clock.now
        theirs: Storage = TheirStorage()
        ours, step = MemoryStorage(), MemoryStorage()
        their_limiter, our_limiter = THEIR_STRATEGIES[strategy](theirs), THEIR_STRATEGIES[strategy](ours)
        for pause, cost in hits:
            clock.forward(pause)
            assert their_limiter.test(item, "a", cost=cost) == our_limiter.test(item, "a", cost=cost)
            said = their_limiter.hit(item, "a", cost=cost)
            assert said == our_limiter.hit(item, "a", cost=cost)
            assert said == _count(step, strategy, "a", amount, 60, cost)
            expected = their_limiter.get_window_stats(item, "a")
            found = our_limiter.get_window_stats(item, "a")
            assert found.remaining == max(0, expected.remaining)
            if found.remaining < amount:
                assert found.reset_time == pytest.approx(expected.reset_time, abs=1e-3)


@every_strategy
def test_the_library_clears(strategy: str) -> None:
    """`clear` of a strategy gives a key all of its limit back."""
    limiter = THEIR_STRATEGIES[strategy](MemoryStorage())
    item = parse("1/minute")
    assert [limiter.hit(item, "a"), limiter.hit(item, "a")] == [True, False]
    limiter.clear(item, "a")
    assert limiter.hit(item, "a")


# Clocks ------------------------------------------------------------------------------------------------------------------


@every_strategy
@pytest.mark.parametrize("jump", [-315_360_000, -3600, -60, -1, 1, 3600, 315_360_000])
def test_the_wall_clock_may_be_set(strategy: str, jump: float, clock: Clock) -> None:
    """Setting the clock neither opens a window early nor locks anybody out: the limit holds for the true time."""
    storage = MemoryStorage()
    clock.forward(2)
    assert _count(storage, strategy, "key", 1, 10)
    clock.set_wall(jump)
    assert not _count(storage, strategy, "key", 1, 10)
    clock.forward(7.9)
    assert not _count(storage, strategy, "key", 1, 10)
    clock.forward(12.1)
    assert _count(storage, strategy, "key", 1, 10)


def test_what_is_told_is_wall_time(clock: Clock) -> None:
    """Ends of windows are told in seconds since 1970, as the clock is now."""
    storage = MemoryStorage()
    storage.count_fixed("key", 10)
    clock.set_wall(-500)
    assert storage.get_expiry("key") == clock.wall + 10
    assert storage.get_expiry("unknown") == clock.wall


@every_strategy
def test_a_test_may_let_its_clock_go(strategy: str, clock: Clock) -> None:
    """A window from a time that is not there yet, left by a test that has moved its clock back, holds nobody up."""
    storage = MemoryStorage()
    clock.forward(10_000_000)
    assert _count(storage, strategy, "key", 1, 10)
    clock.forward(-10_000_000)
    assert _count(storage, strategy, "key", 1, 10)


# Bounds ------------------------------------------------------------------------------------------------------------------


@every_strategy
def test_windows_that_are_over_go(strategy: str, clock: Clock) -> None:
    """Keys that come once and never again do not stay."""
    storage = MemoryStorage()
    for number in range(1000):
        _count(storage, strategy, str(number), 5, 10)
        clock.forward(1)
    assert len(storage) <= 30
    assert len(storage._ends) <= 60


@every_strategy
def test_bound_of_keys(strategy: str, clock: Clock) -> None:
    """SECURITY: a flood of keys leaves as many as are allowed, and notes about no more."""
    storage = MemoryStorage(max_keys=100)
    for number in range(5000):
        assert _count(storage, strategy, str(number), 5, 10)
        assert len(storage) <= 100
    assert len(storage._ends) <= 200


@pytest.mark.parametrize("flood", [1_000_000])
def test_a_million_keys(flood: int) -> None:
    """SECURITY: a million addresses leave no more than the bound."""
    storage = MemoryStorage(max_keys=1000)
    for number in range(flood):
        storage.count_fixed(f"LIMITER/{number}/index/100/1/minute", 60)
    assert len(storage) == 1000
    assert len(storage._ends) == 1000


def test_the_shortest_goes_first(clock: Clock) -> None:
    """When there is no room, the window that would end first goes: long limits outlive a flood of short ones."""
    storage = MemoryStorage(max_keys=10)
    storage.count_fixed("a day", 86_400, 7)
    for number in range(1000):
        storage.count_fixed(str(number), 10)
    assert storage.get("a day") == 7
    assert storage.get("0") == 0


def test_a_key_in_use_is_not_the_oldest(clock: Clock) -> None:
    """A key that goes on being used does not count as old because it began early."""
    storage = MemoryStorage(max_keys=2)
    storage.count_moving("used", 100, 100, 50)
    clock.forward(10)
    storage.count_moving("other", 100, 100)
    clock.forward(80)
    storage.count_moving("used", 100, 100, 50)
    storage.count_moving("third", 100, 100)
    assert storage.get_moving_window("used", 100, 100)[1] == 100
    assert storage.get_moving_window("other", 100, 100)[1] == 0


def test_bound_of_hits(clock: Clock) -> None:
    """SECURITY: the hits of moving windows are bounded together, however large the limits are."""
    storage = MemoryStorage(max_keys=10)
    for number in range(1000):
        storage.count_moving(str(number % 5), 10**9, 10**6)
    assert storage._logged <= 100
    assert storage._logged == sum(len(log.entries) for log in storage._logs.values())


def test_a_hit_of_great_cost_is_one_entry() -> None:
    """A request that costs a million takes as much memory as one that costs one."""
    storage = MemoryStorage()
    assert storage.count_moving("key", 10**9, 60, 10**6)[::2] == (True, 10**6)
    assert storage._logged == 1


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 2), st.sampled_from([0, 1, 5, 30]), st.booleans()),
        max_size=80,
    )
)
def test_the_books_are_right(steps: list[tuple[str, int, int, bool]]) -> None:
    """Whatever happens, there are no more keys than allowed, each has a note, and hits are counted right."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        storage = MemoryStorage(max_keys=5)
        for key, kind, pause, clears in steps:
            clock.forward(pause)
            if clears:
                storage.clear(key)
            else:
                (storage.count_fixed, _moving(storage), _sliding(storage))[kind](key, 20)
            assert len(storage) <= 5
            noted = {(id(where), name) for _, _, name, where in storage._ends}
            assert all((id(where), name) in noted for where in storage._all for name in where)
            assert storage._logged == sum(len(log.entries) for log in storage._logs.values())


def _moving(storage: MemoryStorage) -> Callable[[str, int], Any]:
    return lambda key, window: storage.count_moving(key, 3, window)


def _sliding(storage: MemoryStorage) -> Callable[[str, int], Any]:
    return lambda key, window: storage.count_sliding(key, 3, window)


def test_reset_and_check() -> None:
    """`reset` forgets all kinds of windows, and says how many keys there were."""
    storage = MemoryStorage("memory://")
    assert storage.check()
    storage.count_fixed("a", 60)
    storage.count_moving("b", 5, 60)
    storage.count_sliding("c", 5, 60)
    assert storage.reset() == 3
    assert (len(storage), storage._logged, storage._ends) == (0, 0, [])
    assert storage.get("a") == 0
    assert storage.base_exceptions is ValueError


def test_the_library_keeps_its_own() -> None:
    """The scheme `memory://` of `limits` itself still means the library's storage, for other users of it."""
    from limits.storage import storage_from_string

    assert type(storage_from_string("memory://")) is TheirStorage


# Threads -----------------------------------------------------------------------------------------------------------------


@every_strategy
@pytest.mark.parametrize("attempt", range(3))
def test_exact_under_threads(strategy: str, attempt: int) -> None:
    """SECURITY: of 400 hits from eight threads at a limit of 100, exactly 100 are allowed."""
    storage = MemoryStorage()
    start = threading.Barrier(8)
    allowed: list[int] = []

    def hit() -> None:
        start.wait()
        allowed.append(sum(_count(storage, strategy, "key", 100, 3600) for _ in range(50)))

    threads = [threading.Thread(target=hit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 100


def test_the_clock_is_read_while_nobody_else_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """SECURITY: a thread that had read the clock before it waited for its turn would take a window for one of the future."""
    storage = MemoryStorage()
    held: list[bool] = []

    def monotonic() -> float:
        held.append(storage._lock.locked())
        return 1000.0

    monkeypatch.setattr(time, "monotonic", monotonic)
    storage.count_fixed("key", 60)
    storage.count_moving("key", 5, 60)
    storage.count_sliding("key", 5, 60)
    storage.get("key")
    storage.get_expiry("key")
    assert held == [True] * 5
