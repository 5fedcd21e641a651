"""Logs of moving windows: what they keep, how much they take, and what is left when parts of them are lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quaff.stores.counter_table import MOVING, STAMPS, CounterTable
from quaff.stores.moving_log import MovingLog

NOW = 1_000_000.0


@pytest.fixture
def table(tmp_path: Path) -> Iterator[CounterTable]:
    """Give a table of 1024 slots."""
    table = CounterTable(tmp_path / "private" / "counters", 1024)
    yield table
    table.close()


def _log(table: CounterTable, now: float = NOW, key: str = "key") -> MovingLog:
    return MovingLog(table, table.place(key, MOVING), now)


def _slots_in_use(table: CounterTable, now: float = NOW) -> int:
    buckets = range(512, 512 + 1024 // 8 * 64, 64)
    return sum(table.floats[bucket + 16 + way * 6] > now for bucket in buckets for way in range(8))


def test_hits_are_counted_until_the_limit(table: CounterTable) -> None:
    """A hit above the limit is refused and leaves no trace."""
    assert [_log(table, NOW + n).add(3, 60, 1) for n in range(5)] == [True, True, True, False, False]
    assert _log(table, NOW + 5).window(60) == (NOW, 3)


def test_the_oldest_hit_makes_room(table: CounterTable) -> None:
    """A window that moves forgets one hit after the other, at the very time that each is over."""
    for n in range(3):
        assert _log(table, NOW + n).add(3, 60, 1)
    assert not _log(table, NOW + 60).add(3, 60, 1)
    assert _log(table, NOW + 60).window(60) == (NOW + 1, 2)
    assert _log(table, NOW + 60.25).add(3, 60, 1)
    assert not _log(table, NOW + 60.5).add(3, 60, 1)
    assert _log(table, NOW + 61.25).add(3, 60, 1)


@pytest.mark.parametrize("amount", [1, 2, 3, 4, 5, 9, 31])
def test_amounts_are_taken_whole_or_not_at_all(table: CounterTable, amount: int) -> None:
    """Hits that count for several never exceed the limit, wherever the borders of the parts are."""
    limit, taken = 31, 0
    for n in range(40):
        fits = taken + amount <= limit
        assert _log(table, NOW + n / 8).add(limit, 60, amount) is fits
        taken += amount * fits
        assert _log(table, NOW + n / 8).window(60)[1] == taken


def test_nothing_is_not_a_hit(table: CounterTable) -> None:
    """An amount of 0 asks; a key that was only asked about takes no slot."""
    assert _log(table).add(1, 60, 0)
    assert _log(table).window(60) == (NOW, 0)
    assert _slots_in_use(table) == 0


def test_a_key_takes_a_slot_for_four_hits_in_its_window(table: CounterTable) -> None:
    """Memory follows the hits that count, not the limit and not how many there were before."""
    for n in range(40):
        _log(table, NOW + n).add(1000, 8, 1)
    # The last eight hits are in the window, one second of grace for each slot; and the key's own slot.
    assert _slots_in_use(table, NOW + 39) <= 1 + 4
    assert _log(table, NOW + 39).window(8)[1] == 8


def test_a_key_begins_anew_when_all_is_over(table: CounterTable) -> None:
    """After the window nothing is left in use."""
    assert _log(table).add(1, 60, 1)
    assert _slots_in_use(table, NOW + 62) == 0
    assert _log(table, NOW + 62).window(60) == (NOW + 62, 0)
    assert _log(table, NOW + 62).add(1, 60, 1)
    assert _log(table, NOW + 63).window(60) == (NOW + 62, 1)


def test_a_forgotten_key_does_not_meet_its_former_hits(table: CounterTable) -> None:
    """When the key's own slot is lost, the stamps that are left count for nobody, at the same second and later."""
    for _ in range(5):
        assert _log(table).add(5, 60, 1)
    _log(table).forget()
    assert _log(table).window(60) == (NOW, 0)
    assert [_log(table, NOW + 1).add(5, 60, 1) for _ in range(6)] == [True] * 5 + [False]


def test_lost_stamps_are_hits_that_are_over(table: CounterTable) -> None:
    """A log whose oldest part went to another key lets as many through as that part held."""
    for n in range(12):
        assert _log(table, NOW + n).add(12, 60, 1)
    place = table.place("key", MOVING)
    own = table.find(place.name, place.bucket)
    first = table.integers[own + 5]
    table.floats[table.find_part(place, first >> 2)] = 0.0
    assert _log(table, NOW + 20).window(60) == (NOW + 4, 8)
    assert [_log(table, NOW + 20).add(12, 60, 1) for _ in range(5)] == [True] * 4 + [False]


def test_when_the_newest_stamps_are_lost_nothing_fails(table: CounterTable) -> None:
    """Whatever part is lost, a key has no more hits than it made, and goes on."""
    for lost in range(3):
        key = f"key {lost}"
        for n in range(12):
            assert _log(table, NOW + n, key).add(12, 60, 1)
        place = table.place(key, MOVING)
        own = table.find(place.name, place.bucket)
        table.floats[table.find_part(place, (table.integers[own + 5] >> 2) + lost)] = 0.0
        assert _log(table, NOW + 20, key).window(60)[1] <= 12
        _log(table, NOW + 70, key).window(60)
        assert _log(table, NOW + 80, key).add(12, 60, 1)
        assert _log(table, NOW + 81, key).window(60)[1] == 1


def test_a_look_at_a_long_log_is_short(table: CounterTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand hits one is looked at, and some twenty when most of them have left the window at once."""
    for n in range(1000):
        assert _log(table, NOW + n).add(2000, 10_000, 1)
    looks = []
    find_part = CounterTable.find_part
    monkeypatch.setattr(CounterTable, "find_part", lambda *args: looks.append(args) or find_part(*args))
    assert _log(table, NOW + 1000).window(10_000) == (NOW, 1000)
    assert len(looks) == 1
    looks.clear()
    assert _log(table, NOW + 10_800).window(10_000) == (NOW + 801, 199)
    assert len(looks) <= 24
    looks.clear()
    assert _log(table, NOW + 10_800.5).window(10_000) == (NOW + 801, 199)
    assert len(looks) <= 4


def test_after_the_clock_was_set_back_time_goes_on_from_the_newest_hit(table: CounterTable) -> None:
    """The hits stay in the window as long as if the clock had stood still, and are told in the new time."""
    for n in range(3):
        assert _log(table, NOW + 10 * n).add(3, 60, 1)
    past = NOW - 86400
    assert not _log(table, past).add(3, 60, 1)
    assert _log(table, past + 1).window(60) == (past - 20, 3)
    assert not _log(table, past + 40).add(3, 60, 1)
    assert _log(table, past + 41).add(3, 60, 1)
    assert _log(table, past + 42).window(60) == (past - 10, 3)


def test_a_clock_that_comes_forward_again_ends_the_window(table: CounterTable) -> None:
    """The shift of the clock that was set back goes with the hits that needed it."""
    assert _log(table).add(1, 60, 1)
    assert not _log(table, NOW - 3600).add(1, 60, 1)
    assert _log(table, NOW + 100).add(1, 60, 1)
    assert _log(table, NOW + 101).window(60) == (NOW + 100, 1)


def test_the_kind_of_parts_is_not_that_of_keys(table: CounterTable) -> None:
    """A part is never taken for the slot of a key."""
    assert MOVING != STAMPS
    _log(table).add(4, 60, 4)
    assert table.clear(NOW) == 1
