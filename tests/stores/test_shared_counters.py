"""Counters that processes share: exact, like the library's own in memory, and right after whatever death or clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from math import floor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import limits
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits import strategies
from limits.errors import StorageError
from limits.storage import MemoryStorage, memory
from limits.strategies import STRATEGIES, RateLimiter

from quaff.stores import shared_counters
from quaff.stores.private_files import SharedMemoryError
from quaff.stores.shared_counters import SharedCounters
from tests.stores.processes import answer, process, run

NOW = 1_700_000_000.0
"""A whole number of windows of 10 and of 100 seconds."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a file in a private directory, which is not there yet."""
    return tmp_path / "private" / "counters"


@pytest.fixture
def counters(path: Path) -> Iterator[SharedCounters]:
    """Give a small table."""
    counters = SharedCounters(path, slots=1024)
    yield counters
    counters.close()


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def time(self) -> float:
        """Return seconds since 1970."""
        return self.now


@contextmanager
def _standing_clock() -> Iterator[Clock]:
    clock = Clock()
    stand_in = SimpleNamespace(time=clock.time)
    with ExitStack() as stack:
        for module in (shared_counters, memory, strategies):
            stack.enter_context(mock.patch.object(module, "time", stand_in))
        yield clock


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Give a clock for the counters and for the library's storage in memory."""
    with _standing_clock() as clock:
        yield clock


# The same as the library's storage in memory -------------------------------------------------------------------------


class Oracle(MemoryStorage):
    """The library's storage in memory, without the thread that tidies it up at its own times."""

    def __init__(self) -> None:
        with mock.patch.object(memory.threading, "Timer"):
            super().__init__()
        self._MemoryStorage__schedule_expiry = lambda: None  # type: ignore[assignment]


LIMITS = {"one": (1, 1), "three": (3, 10), "ten": (10, 10), "many": (70, 100)}
"""Key -> its limit and its window in seconds."""

keys = st.sampled_from(sorted(LIMITS))
amounts = st.integers(0, 4)
steps = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([1, 1, 7, 64, 128, 600, 640, 641, 1280, 6400, 20000])),
    st.tuples(st.sampled_from(["fixed", "moving", "sliding"]), keys, amounts),
    st.tuples(st.sampled_from(["moving", "sliding"]), keys, st.sampled_from([10, 35, 70, 71])),
    st.tuples(st.sampled_from(["look", "clear", "clear sliding"]), keys),
    st.tuples(st.just("reset")),
)


def _act(storage: Any, step: tuple[Any, ...]) -> Any:
    """Do one step, and return what can be seen of it."""
    name, *rest = step
    if name == "reset":
        storage.reset()
        return None
    key = rest[0]
    limit, expiry = LIMITS[key]
    if name == "fixed":
        return storage.incr(key, expiry, rest[1])
    if name == "moving":
        return storage.acquire_entry(key, limit, expiry, rest[1])
    if name == "sliding":
        return storage.acquire_sliding_window_entry(f"{key} sliding", limit, expiry, rest[1])
    if name == "clear":
        storage.clear(key)
    elif name == "clear sliding":
        storage.clear_sliding_window(f"{key} sliding", expiry)
    start, entries = storage.get_moving_window(key, limit, expiry)
    # Without entries the library tells the time of one that is over, if it still has one.
    return (
        storage.get(key),
        storage.get_expiry(key),
        start if entries else None,
        entries,
        storage.get_sliding_window(f"{key} sliding", expiry),
    )


@given(sequence=st.lists(steps, max_size=60))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_answer_is_the_one_of_the_library(counters: SharedCounters, sequence: list[tuple[Any, ...]]) -> None:
    """All strategies, amounts and times between hits: what the library's storage in memory says, these counters say."""
    with _standing_clock() as clock:
        counters.reset()
        oracle = Oracle()
        for step in sequence:
            if step[0] == "wait":
                clock.now += step[1] / 64
                continue
            # `get` makes the library drop what is over, whose end it would tell otherwise.
            oracle.get(step[-1] if len(step) == 2 else "one")
            assert _act(counters, step) == _act(oracle, step), step
        for key in LIMITS:
            oracle.get(key)
            assert _act(counters, ("look", key)) == _act(oracle, ("look", key))


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_strategies_of_the_library_work_with_it(counters: SharedCounters, clock: Clock, strategy: str) -> None:
    """`hit`, `test`, `get_window_stats` and `clear` of each strategy answer as with the library's storage."""
    item = limits.parse("5/minute")
    mine, theirs = STRATEGIES[strategy](counters), STRATEGIES[strategy](Oracle())

    def observe(limiter: RateLimiter) -> list[Any]:
        clock.now = NOW
        seen: list[Any] = []
        for n in range(20):
            clock.now += 7
            seen.append((limiter.test(item, "a"), limiter.hit(item, "a", cost=1 + n % 2), limiter.test(item, "b")))
            seen.append(limiter.get_window_stats(item, "a"))
        limiter.clear(item, "a")
        return [*seen, limiter.get_window_stats(item, "a").remaining]

    assert observe(mine) == observe(theirs)


@given(sequence=st.lists(st.tuples(st.integers(0, 900), keys, st.integers(1, 3)), max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_combined_calls_are_the_two_they_combine(
    counters: SharedCounters, sequence: list[tuple[int, str, int]]
) -> None:
    """`count_fixed`, `count_moving` and `count_sliding` say what the hit and then the look say."""
    with _standing_clock() as clock:
        counters.reset()
        oracle = Oracle()
        for wait, key, amount in sequence:
            clock.now += wait / 64
            limit, expiry = LIMITS[key]
            hits = oracle.incr(key, expiry, amount)
            assert counters.count_fixed(key, expiry, amount) == (hits, oracle.get_expiry(key))
            allowed = oracle.acquire_entry(key, limit, expiry, amount)
            added, start, entries = counters.count_moving(key, limit, expiry, amount)
            assert (added, entries) == (allowed, oracle.get_moving_window(key, limit, expiry)[1])
            assert not entries or start == oracle.get_moving_window(key, limit, expiry)[0]
            allowed = oracle.acquire_sliding_window_entry(f"{key} s", limit, expiry, amount)
            assert counters.count_sliding(f"{key} s", limit, expiry, amount) == (
                allowed,
                *oracle.get_sliding_window(f"{key} s", expiry),
            )


# Many at once --------------------------------------------------------------------------------------------------------

HAMMER = """
    import sys, threading
    from quaff.stores.shared_counters import SharedCounters

    counters = SharedCounters(sys.argv[1], slots=1024)
    allowed = {"fixed": 0, "moving": 0, "sliding": 0}
    lock = threading.Lock()

    def hammer():
        mine = dict.fromkeys(allowed, 0)
        for _ in range(20):
            mine["fixed"] += counters.incr("key", 10**9) <= 100
            mine["moving"] += counters.acquire_entry("key", 100, 10**9)
            mine["sliding"] += counters.acquire_sliding_window_entry("key", 100, 10**9)
        with lock:
            for name in mine:
                allowed[name] += mine[name]

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    sys.stdin.readline()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*allowed.values())
"""


def test_a_limit_of_a_hundred_lets_exactly_a_hundred_through(path: Path, counters: SharedCounters) -> None:
    """4 processes with 8 threads each try 640 times together, in each strategy."""
    with ExitStack() as stack:
        children = [stack.enter_context(process(HAMMER, path)) for _ in range(4)]
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        answers = [[int(word) for word in answer(child).split()] for child in children]
    assert [sum(column) for column in zip(*answers, strict=True)] == [100, 100, 100]
    assert counters.get("key") == 640
    assert counters.get_moving_window("key", 100, 10**9)[1] == 100
    assert counters.get_sliding_window("key", 10**9)[2] == 100


def test_two_objects_of_one_process_count_together(path: Path, counters: SharedCounters) -> None:
    """Two limiters of one app, in 8 threads, exclude each other although record locks would not."""
    others = [counters, SharedCounters(path)]

    def hammer(one: SharedCounters) -> None:
        for _ in range(200):
            one.incr("key", 3600)

    threads = [threading.Thread(target=hammer, args=(others[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.get("key") == 1600
    others[1].close()
    assert counters.incr("key", 3600) == 1601


FORK = """
    import os, sys, threading, warnings
    from quaff.stores.shared_counters import SharedCounters

    # Python warns of what is tested here.
    warnings.simplefilter("ignore", DeprecationWarning)
    counters = SharedCounters(sys.argv[1], slots=1024)
    stop = threading.Event()
    hits = []

    def hammer():
        count = 0
        while not stop.is_set():
            counters.incr("key", 3600)
            count += 1
        hits.append(count)

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(10):
        pid = os.fork()
        if pid == 0:
            for _ in range(50):
                counters.incr("key", 3600)
            again = SharedCounters(sys.argv[1])
            again.incr("key", 3600)
            os._exit(0)
        children.append(pid)
    codes = [os.waitpid(pid, 0)[1] for pid in children]
    stop.set()
    for thread in threads:
        thread.join()
    print(codes == [0] * 10, sum(hits) + 10 * 51 == counters.get("key"))
"""


def test_children_of_a_busy_process_count_on(path: Path) -> None:
    """A fork at any moment, with other threads in the middle of a hit, leaves the child neither stuck nor wrong."""
    assert run(FORK, path) == "True True"


# Processes that die --------------------------------------------------------------------------------------------------

COUNT_AND_TELL = """
    import os, sys
    from quaff.stores.shared_counters import SharedCounters

    counters = SharedCounters(sys.argv[1], slots=1024)
    while True:
        counters.incr("key", 10**9)
        counters.acquire_entry("key", 2000, 10**9)
        counters.acquire_sliding_window_entry("key", 10**9, 10**9)
        os.write(1, b".")
"""


def test_killed_processes_leave_nothing_locked_and_nothing_wrong(path: Path, counters: SharedCounters) -> None:
    """Of 15 processes that are killed while they count, each loses at most the hit that it was counting."""
    told = 0
    for n in range(15):
        with process(COUNT_AND_TELL, path) as child:
            assert child.stdout is not None
            told += len(child.stdout.read(10 + n))
            child.kill()
            told += len(child.stdout.read())
        assert told <= counters.get("key") <= told + n + 1
        assert min(told, 2000) <= counters.get_moving_window("key", 2000, 10**9)[1] <= told + n + 1
        assert told <= counters.get_sliding_window("key", 10**9)[2] <= told + n + 1


class Death(BaseException):
    """The end of a process, as seen from outside: nothing after it happens."""


class Dying:
    """Memory that ends its process at a given write."""

    def __init__(self, memory: Any, writes: Iterator[int], last: int) -> None:
        self._memory = memory
        self._writes = writes
        self._last = last

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)

    def __getitem__(self, index: Any) -> Any:
        return self._memory[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        if next(self._writes) == self._last:
            raise Death
        self._memory[index] = value


def _die_at(counters: SharedCounters, last: int, act: Callable[[], object]) -> bool:
    """Do something that ends before write number *last*, and return whether it ended by that."""
    table = counters._table
    alive = table.memory, table.integers, table.floats
    writes = count()
    table.memory, table.integers, table.floats = (Dying(part, writes, last) for part in alive)  # type: ignore[assignment]
    try:
        act()
    except Death:
        return True
    finally:
        table.memory, table.integers, table.floats = alive
    return False


HITS: dict[str, Callable[[SharedCounters, str], bool]] = {
    "fixed": lambda counters, key: counters.incr(key, 10) <= 6,
    "moving": lambda counters, key: counters.acquire_entry(key, 6, 10),
    "sliding": lambda counters, key: counters.acquire_sliding_window_entry(key, 6, 10),
}


def _counted(counters: SharedCounters, strategy: str, key: str) -> int:
    if strategy == "fixed":
        return counters.get(key)
    if strategy == "moving":
        return counters.get_moving_window(key, 6, 10)[1]
    previous, _, current, _ = counters.get_sliding_window(key, 10)
    return previous + current


def _room(counters: SharedCounters, strategy: str, key: str) -> int:
    """Return how many hits are left of the limit by what is counted."""
    if strategy == "sliding":
        previous, left, current, _ = counters.get_sliding_window(key, 10)
        return 6 - floor(previous * left / 10 + current)
    return 6 - _counted(counters, strategy, key)


@pytest.mark.parametrize("strategy", sorted(HITS))
@pytest.mark.parametrize(
    "waits", [[], [0, 0], [0] * 6, [0, 12], [0, 0, 25], [0, 11, 8], [0, 0, 11], [0, 11, 10.5], [0, 0, -3600], [5, -7]]
)
def test_a_death_between_any_two_writes_costs_at_most_its_own_hit(
    counters: SharedCounters, clock: Clock, strategy: str, waits: list[float]
) -> None:
    """The first hit of a key, another, one in a new window, one after the clock was set back: killed at each write.

    Afterwards the hit is counted or not, and the key goes on as if it had been or had not.
    """
    hit, other = HITS[strategy], f"other {strategy}"
    for last in count():
        key = f"{strategy} {last}"
        # A bucket that is full, so that a slot of another key is taken.
        clock.now = NOW - 1
        for n in range(3000 if last == 0 and not waits else 0):
            counters.incr(f"filler {n}", 10)
        clock.now = NOW
        twin = f"twin {key}"
        for wait in waits[:-1]:
            clock.now += wait
            assert hit(counters, key)
            assert hit(counters, twin)
        clock.now += sum(waits[-1:])
        # A look would already bring the key's own slot to this window.
        before = _counted(counters, strategy, twin)
        died = _die_at(counters, last, lambda key=key: hit(counters, key))
        after = _counted(counters, strategy, key)
        assert after in {before, before + 1}
        room = _room(counters, strategy, key)
        assert hit(counters, other)
        counters.clear(other)
        counters.clear_sliding_window(other, 10)
        # What was before still counts, and no more than that: so many hits are left.
        left = 0
        while hit(counters, key):
            left += 1
        assert left == room
        if not died:
            break
    assert last >= 2


# Clocks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", sorted(HITS))
@pytest.mark.parametrize("jump", [-3.0, -60.0, -86400.0, -1e9])
def test_a_clock_that_is_set_back_locks_nobody_out_for_long(
    counters: SharedCounters, clock: Clock, strategy: str, jump: float
) -> None:
    """No free hit at once, and the next one no later than with the longest wait that the strategy ever demands."""
    hit = HITS[strategy]
    while hit(counters, "key"):
        clock.now += 0.125
    clock.now += jump
    assert not hit(counters, "key")
    # A sliding window wants a sixth of the next window to pass as well.
    clock.now += 10 + (10 / 6 if strategy == "sliding" else 0) + 0.25
    assert hit(counters, "key")


@pytest.mark.parametrize("strategy", ["fixed", "moving"])
def test_looking_at_a_count_mends_it_as_well(counters: SharedCounters, clock: Clock, strategy: str) -> None:
    """Who only looks, and hits no more while refused, sees the end of the window after the clock was set back."""
    while HITS[strategy](counters, "key"):
        pass
    clock.now -= 3600
    full = _counted(counters, strategy, "key")
    assert full >= 6
    assert counters.get_expiry("key") <= clock.now + 10
    clock.now += 10.5
    assert _counted(counters, strategy, "key") == 0


@given(jumps=st.lists(st.tuples(st.sampled_from([-7200, -11, -1, 9, 4000]), st.integers(1, 30)), max_size=8))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("strategy", sorted(HITS))
def test_jumps_of_the_clock_give_at_most_a_window_each(
    counters: SharedCounters, strategy: str, jumps: list[tuple[int, int]]
) -> None:
    """Whoever hits all the time gets the limit for each window that really passed, and once more for each jump."""
    with _standing_clock() as clock:
        counters.reset()
        passed, allowed = 0.0, 0
        for jump, seconds in [(0, 15), *jumps]:
            clock.now += jump
            for _ in range(seconds * 4):
                clock.now += 0.25
                passed += 0.25
                allowed += HITS[strategy](counters, "key") is True
        windows = int(passed // 10) + 1
        assert allowed <= 6 * (windows + len(jumps) + (strategy == "sliding"))
        refused = 0.0
        while not HITS[strategy](counters, "key"):
            clock.now += 0.25
            refused += 0.25
            assert refused <= 12


# Size ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_million_keys_leave_the_file_as_it_is(path: Path, counters: SharedCounters) -> None:
    """New keys push out what was used least: a key that is in use stays exact, and no key gets another's hits."""
    size = path.stat().st_size
    for n in range(1_000_000):
        assert counters.incr(str(n), 3600) == 1
        if n % 100 == 0:
            assert counters.incr("in use", 3600) == n // 100 + 1
    assert path.stat().st_size == size == 4096 + 1024 * 64


@pytest.mark.parametrize("strategy", sorted(HITS))
def test_in_a_full_table_nobody_gets_the_hits_of_another(counters: SharedCounters, strategy: str) -> None:
    """Whatever is pushed out, a key's first hits are allowed."""
    for n in range(3000):
        for _ in range(2):
            assert HITS[strategy](counters, str(n))
        assert _counted(counters, strategy, str(n)) <= 2


def test_windows_that_are_over_make_room_first(counters: SharedCounters, clock: Clock) -> None:
    """Old keys cost the new ones nothing."""
    for n in range(400):
        counters.incr(f"old {n}", 10)
    clock.now += 11
    for n in range(400):
        counters.incr(f"new {n}", 10)
        counters.incr(f"new {n}", 10)
    assert sum(counters.get(f"new {n}") == 2 for n in range(400)) >= 390


def test_a_moving_limit_that_cannot_fit_is_refused(counters: SharedCounters) -> None:
    """It would never be reached. The message says which size would do, and with that size it works."""
    assert counters.largest_moving_limit == 2048
    with pytest.raises(
        ValueError, match=r"A moving window of 2049 hits does not fit .* slots=\d+, or use .*sliding-win"
    ):
        counters.acquire_entry("key", 2049, 60)
    with pytest.raises(ValueError, match="does not fit"):
        counters.count_moving("key", 2049, 60)


def test_the_largest_moving_limit_is_exact(counters: SharedCounters) -> None:
    """In a table with nothing else in it, the largest limit is counted to its last hit."""
    largest = counters.largest_moving_limit
    assert counters.acquire_entry("key", largest, 3600, largest - 3)
    assert [counters.acquire_entry("key", largest, 3600) for _ in range(4)] == [True, True, True, False]
    assert counters.get_moving_window("key", largest, 3600)[1] == largest


@pytest.mark.parametrize("limit", [3000, 100_000])
def test_the_size_that_the_message_names_is_enough(path: Path, counters: SharedCounters, limit: int) -> None:
    """Following the advice helps."""
    with pytest.raises(ValueError, match="does not fit") as caught:
        counters.acquire_entry("key", limit, 60)
    slots = int(str(caught.value).split("slots=")[1].split(",")[0])
    larger = SharedCounters(path.with_name("larger"), slots=slots)
    assert larger.largest_moving_limit >= limit
    larger.close()


def test_counts_do_not_overflow(counters: SharedCounters) -> None:
    """Enormous costs stay enormous."""
    for _ in range(3):
        assert counters.incr("key", 60, 2**62) > 2**61
    assert counters.get("key") == 2**62


# The rest of the interface -------------------------------------------------------------------------------------------


def test_reset_says_how_many_keys_it_cleared(path: Path, counters: SharedCounters) -> None:
    """Keys of all strategies are gone, for all objects."""
    for n in range(5):
        counters.incr(str(n), 60)
        counters.acquire_entry(str(n), 10, 60)
        counters.acquire_sliding_window_entry(str(n), 10, 60)
    assert counters.reset() == 15
    assert counters.reset() == 0
    assert counters.get("0") == 0
    assert counters.get_moving_window("0", 10, 60)[1] == 0


def test_what_is_not_there_is_zero(counters: SharedCounters, clock: Clock) -> None:
    """Looking at and clearing unknown keys is no error, and makes no entry."""
    counters.clear("nobody")
    counters.clear_sliding_window("nobody", 10)
    assert counters.get("nobody") == 0
    assert counters.get_expiry("nobody") == NOW
    assert counters.get_moving_window("nobody", 1, 10) == (NOW, 0)
    assert counters.get_sliding_window("nobody", 10) == (0, 0.0, 0, 20.0)
    assert counters.reset() == 0


def test_check_tells_whether_the_file_is_still_there(path: Path, counters: SharedCounters) -> None:
    """When it is removed, who starts later counts in another one."""
    assert counters.check()
    path.unlink()
    assert not counters.check()
    assert counters.incr("key", 60) == 1


def test_counters_outlive_the_object(path: Path, counters: SharedCounters) -> None:
    """Closing gives memory back; the counts stay in the file for those who open it later."""
    counters.incr("key", 3600)
    other = SharedCounters(path)
    assert other.incr("key", 3600) == 2
    other.close()
    code = "import sys\nfrom quaff.stores.shared_counters import SharedCounters\n"
    assert run(code + "print(SharedCounters(sys.argv[1]).get('key'))", path) == "2"


def test_the_real_clock_is_used(counters: SharedCounters) -> None:
    """Windows go by the wall clock."""
    begin = time.time()
    _, ends = counters.count_fixed("key", 60)
    assert begin + 60 <= ends <= time.time() + 60


def test_errors_of_the_system_can_be_wrapped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`wrap_exceptions` does what it does for each storage of the library."""
    counters = SharedCounters(path, wrap_exceptions=True)

    def fail(*_: object) -> int:
        raise OSError("no locks")

    monkeypatch.setattr(type(counters._table), "find", fail)
    with pytest.raises(StorageError, match="no locks"):
        counters.incr("key", 60)
    counters.close()


def test_a_path_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """The error is the one of the file, with its message."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(SharedMemoryError, match="open to other users"):
        SharedCounters(tmp_path / "open" / "counters")


def test_without_the_library_the_extra_is_named() -> None:
    """`limits` is optional; without it the import says how to get it. No other battery is loaded."""
    code = """
        import sys

        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "limits":
                    raise ModuleNotFoundError(f"No module named {name!r}", name="limits")

        sys.meta_path.insert(0, Missing())
        try:
            import quaff.stores.shared_counters
        except ImportError as error:
            print(error)
        print([name for name in sys.modules if name.startswith("quaff.ext")])
    """
    assert run(code).splitlines() == [
        "Counting rate limits needs 'limits', which is not installed. Install it with: pip install 'quaff[limiter]'",
        "[]",
    ]
