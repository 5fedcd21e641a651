"""The hash table: where keys are counted, and which slot is given up for a new one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quaff.stores.counter_file import FIRST_STRIPE, SLOT
from quaff.stores.counter_table import BUCKET, FIXED, MOVING, NAME, SLIDING, STAMPS, WAYS, CounterTable, Place

NOW = 1_000_000.0


@pytest.fixture
def table(tmp_path: Path) -> Iterator[CounterTable]:
    """Give a table of 4096 slots in four stripes."""
    table = CounterTable(tmp_path / "private" / "counters", 4096)
    yield table
    table.close()


def _fill(table: CounterTable, place: Place, *, free_at: float = NOW + 60, used: float = NOW) -> list[int]:
    """Give all slots of a bucket away, and return them."""
    slots = []
    for number in range(WAYS):
        name = bytes([number + 1]) * NAME
        slot = table.claim(name, place.bucket, NOW)
        table.floats[slot] = free_at
        table.floats[slot + 1] = used
        slots.append(slot)
    return slots


def test_a_key_has_one_place_for_each_kind_of_window(table: CounterTable) -> None:
    """A place lies in its stripe, and the kinds of one key do not meet."""
    places = [table.place("key", kind) for kind in (FIXED, SLIDING, MOVING)]
    assert [table.place("key", kind) for kind in (FIXED, SLIDING, MOVING)] == places
    assert len({place.name for place in places}) == 3
    for place in places:
        assert (place.bucket - FIRST_STRIPE) % BUCKET == 0
        assert 0 <= place.bucket - place.stripe.offset < table.slots_of_stripe * SLOT


def test_places_are_spread_over_all_buckets(table: CounterTable) -> None:
    """Keys that differ in little are as far apart as any: with 20 keys for each of 512 buckets, none stays empty."""
    assert len({table.place(f"192.0.2.{number}", FIXED).bucket for number in range(10240)}) == 512


def test_nobody_can_tell_places_without_the_secret(table: CounterTable, tmp_path: Path) -> None:
    """Of keys that share a bucket in one file, few share one in another."""
    other = CounterTable(tmp_path / "private" / "other", 4096)
    bucket = table.place("0", FIXED).bucket
    together = [str(n) for n in range(20000) if table.place(str(n), FIXED).bucket == bucket]
    assert len(together) > 10
    assert len({other.place(key, FIXED).bucket for key in together}) > len(together) / 2
    other.close()


def test_keys_may_be_any_text(table: CounterTable) -> None:
    """Keys come from clients: empty ones, lone surrogates and zeros are keys as others."""
    keys = ["", "\0", "\udc80", "é", "e\u0301", "x" * 100_000]
    assert len({table.place(key, FIXED).name for key in keys}) == len(keys)


def test_remembered_places_are_bounded(table: CounterTable) -> None:
    """Clients that send ever new keys, or long ones, do not fill the memory of the process."""
    for number in range(5000):
        table.place(str(number), FIXED)
    table.place("x" * 1000, FIXED)
    assert len(table._known[FIXED]) <= 2048
    assert "x" * 1000 not in table._known[FIXED]


def test_what_was_claimed_is_found(table: CounterTable) -> None:
    """A slot is found by its name only, and its words begin at 0."""
    place, other = table.place("key", FIXED), table.place("other", FIXED)
    assert table.find(place.name, place.bucket) == -1
    slot = table.claim(place.name, place.bucket, NOW)
    assert table.find(place.name, place.bucket) == slot
    assert table.find(other.name, place.bucket) == -1
    assert table.floats[slot : slot + 6].tolist() == [0.0, NOW, 0.0, 0.0, 0.0, 0.0]


def test_slots_do_not_overlap(table: CounterTable) -> None:
    """What is written to one slot is seen in no other, neither in its words nor in its name."""
    place = table.place("key", FIXED)
    slots = _fill(table, place)
    for slot in slots:
        for word in range(1, 6):
            table.integers[slot + word] = slot * 10 + word
    for number, slot in enumerate(slots):
        assert table.find(bytes([number + 1]) * NAME, place.bucket) == slot
        assert [table.integers[slot + word] - slot * 10 for word in range(1, 6)] == [1, 2, 3, 4, 5]


def test_a_free_slot_is_taken_first(table: CounterTable) -> None:
    """One whose window is over goes before one that is in use, however recently it was used."""
    place = table.place("key", FIXED)
    slots = _fill(table, place, used=NOW - 50)
    table.floats[slots[5]] = NOW
    table.floats[slots[5] + 1] = NOW
    assert table.claim(place.name, place.bucket, NOW) == slots[5]


def test_otherwise_the_least_recently_used_goes(table: CounterTable) -> None:
    """The key that nobody has come with for longest is forgotten, and only that one."""
    place = table.place("key", FIXED)
    slots = _fill(table, place)
    table.floats[slots[3] + 1] = NOW - 1
    table.floats[slots[4] + 1] = NOW - 2
    assert table.claim(place.name, place.bucket, NOW) == slots[4]
    assert table.find(bytes([5]) * NAME, place.bucket) == -1
    assert all(table.find(bytes([n + 1]) * NAME, place.bucket) == slots[n] for n in range(WAYS) if n != 4)


def test_use_in_the_future_counts_as_long_ago(table: CounterTable) -> None:
    """After the clock was set back, what was used before does not push out what is used since."""
    place = table.place("key", FIXED)
    slots = _fill(table, place)
    table.floats[slots[6] + 1] = NOW + 3600
    assert table.claim(place.name, place.bucket, NOW) == slots[6]


@pytest.mark.parametrize("free", [True, False])
def test_a_slot_can_be_kept(table: CounterTable, free: bool) -> None:
    """The slot that the caller is working on is not given away, even if it is free or was used least."""
    place = table.place("key", FIXED)
    slots = _fill(table, place)
    table.floats[slots[0]] = 0.0 if free else NOW + 60
    table.floats[slots[0] + 1] = NOW - 100
    table.floats[slots[1] + 1] = NOW - 1
    assert table.claim(place.name, place.bucket, NOW, keep=slots[0]) == slots[1]


def test_a_new_slot_is_free_until_its_owner_says(table: CounterTable) -> None:
    """A process that dies after it claimed a slot takes it from nobody."""
    place = table.place("key", FIXED)
    _fill(table, place)
    slot = table.claim(place.name, place.bucket, NOW)
    assert table.floats[slot] == 0.0
    assert table.claim(b"n" * NAME, place.bucket, NOW) == slot


def test_parts_of_a_key_are_in_its_stripe(table: CounterTable) -> None:
    """Parts in a row fill the buckets of the stripe evenly, and one lock holds them all."""
    place = table.place("key", MOVING)
    buckets = table.slots_of_stripe // WAYS
    slots = [table.claim_part(place, number, NOW, -1) for number in range(2 * buckets)]
    for slot in slots:
        table.floats[slot] = NOW + 60
    assert len({slot * 8 // BUCKET for slot in slots}) == buckets
    assert all(place.stripe.offset <= slot * 8 < place.stripe.offset + table.slots_of_stripe * SLOT for slot in slots)


def test_parts_are_found_by_their_number(table: CounterTable) -> None:
    """Each part has its own slot, also those with very large numbers."""
    place = table.place("key", MOVING)
    numbers = [0, 1, 2, 2**30, 2**60, 2**60 + 1]
    slots = {}
    for number in numbers:
        slots[number] = table.claim_part(place, number, NOW, -1)
        table.floats[slots[number]] = NOW + 60
    assert {number: table.find_part(place, number) for number in numbers} == slots
    assert table.find_part(place, 3) == -1
    assert table.find_part(table.place("other", MOVING), 0) == -1


def test_clear_counts_keys_and_frees_all(table: CounterTable) -> None:
    """Parts are no keys, and what is over is no key; all slots are free afterwards, by any clock."""
    for number in range(10):
        place = table.place(str(number), FIXED)
        table.floats[table.claim(place.name, place.bucket, NOW)] = NOW + 60
    over = table.place("over", SLIDING)
    slot = table.claim(over.name, over.bucket, NOW)
    table.floats[slot] = NOW - 1
    part = table.claim_part(table.place("moving", MOVING), 0, NOW, -1)
    table.floats[part] = NOW + 60
    assert table.integers[part * 8 // BUCKET * (BUCKET // 8) + (part * 8 % BUCKET - 128) // 48 * 2] & 3 == STAMPS
    assert table.clear(NOW) == 10
    assert table.clear(0.0) == 0
    assert table.floats[slot] == 0.0
