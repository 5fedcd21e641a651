"""A hash table of counters in shared memory, of a size that never changes.

A stripe is an array of buckets of eight slots. A bucket of 512 bytes is eight names of 16 bytes, and then for each name
six words of eight bytes, native byte order:

====  =============  ===================  ========================  ==============
word  fixed window   sliding window       moving window: the key    ... its stamps
====  =============  ===================  ========================  ==============
0     when the slot is free for others, seconds since 1970 (float)
1     when it was used last (float)
2     count          of even windows      position of next hit      a stamp (float)
3     window, float  of odd windows       newest stamp, float       a stamp (float)
4                    number of window     shift of clock, float     a stamp (float)
5                                         position of first hit     a stamp (float)
====  =============  ===================  ========================  ==============

The name is a keyed hash (BLAKE2b, the secret is in the file), so nobody who chooses keys can choose buckets. The two
lowest bits of its first word tell the columns above apart.

A process may be killed between any two writes, with nobody to clean up after it. So every order of writes is such that
what was written so far is right, only without the hit that was being counted: a new slot is first free for everybody,
then gets its name and its words, and its word 0 last.

A bucket that is full gives the slot that was used least recently to a new name: its key is counted from zero again when
it comes back. No key ever gets the count of another.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import Final, NamedTuple

from .counter_file import SLOT, Stripe, close_counter_file, open_counter_file

FIXED: Final = 0
SLIDING: Final = 1
MOVING: Final = 2
STAMPS: Final = 3
"""The kinds of slots, in the two lowest bits of the first word of their names."""

WAYS: Final = 8
NAME: Final = 16
_NAMES: Final = WAYS * NAME
_WORDS: Final = 6
BUCKET: Final = 512

_PAIR: Final = struct.Struct("=QQ")
_REMEMBERED: Final = 2048
_LONGEST_REMEMBERED: Final = 256


class Place(NamedTuple):
    """Where one key is counted."""

    name: bytes
    bucket: int
    """Offset of the bucket in the file."""

    stripe: Stripe
    first: int
    """The name's two words."""

    second: int


class CounterTable:
    """Finds and gives out slots in one file.

    :param path: of the file; see `counter_file.open_counter_file` for what it must be.
    :param slots: of a new file.
    """

    def __init__(self, path: str | os.PathLike[str], slots: int) -> None:
        self.path = Path(path)
        self.file = open_counter_file(self.path, slots, self)
        self.memory = self.file.memory
        self.integers = self.file.integers
        self.floats = self.file.floats
        self.slots_of_stripe = self.file.slots // len(self.file.stripes)
        self._mask = self.slots_of_stripe // WAYS - 1
        self._known: list[dict[str, Place]] = [{}, {}, {}, {}]

    def close(self) -> None:
        """Give the memory back. Nobody may be counting."""
        del self.memory, self.integers, self.floats
        close_counter_file(self.file, self)

    def place(self, key: str, kind: int) -> Place:
        """Return where *key* is counted in windows of *kind*."""
        known = self._known[kind]
        place = known.get(key)
        if place is None:
            place = self._place(key, kind)
            # PERF: half of the time of a hit is the hash. SECURITY: clients choose keys, so what is kept is bounded.
            if len(key) <= _LONGEST_REMEMBERED:
                if len(known) >= _REMEMBERED:
                    known.clear()
                known[key] = place
        return place

    def _place(self, key: str, kind: int) -> Place:
        text = key.encode("utf-8", "surrogatepass")
        first, second = _PAIR.unpack(hashlib.blake2b(text, key=self.file.secret, digest_size=NAME).digest())
        first = first & ~3 | kind
        stripes = self.file.stripes
        stripe = stripes[second % len(stripes)]
        bucket = stripe.offset + (first >> 2 & self._mask) * BUCKET
        return Place(_PAIR.pack(first, second), bucket, stripe, first, second)

    def find(self, name: bytes, bucket: int) -> int:
        """Return the index of the first word of slot *name*, or -1. The stripe must be held."""
        at = self.memory.find(name, bucket, bucket + _NAMES)
        # -1 has all bits set. That two other names, end to beginning, look like this one does not happen: 128 bits.
        return -1 if at & (NAME - 1) else (bucket + _NAMES >> 3) + (at - bucket >> 4) * _WORDS

    def claim(self, name: bytes, bucket: int, now: float, keep: int = -1) -> int:
        """Return the index of the first word of a slot that is now *name*'s; all its words are 0 but the second.

        The caller writes its words and then, last, when it is free again. The stripe must be held, and no slot that is
        not free may have that name. One that is free may: it comes after the new one, where nobody finds it.

        :param keep: the slot that is not to be given away, free or not.
        """
        floats = self.floats
        first = bucket + _NAMES >> 3
        chosen, oldest = first, float("inf")
        for slot in range(first, first + WAYS * _WORDS, _WORDS):
            if slot == keep:
                continue
            if floats[slot] <= now:
                chosen = slot
                break
            used = floats[slot + 1]
            # Used in the future: before the clock was set back. Nobody has come for it since.
            used = used if used <= now else 0.0
            if used < oldest:
                chosen, oldest = slot, used
        floats[chosen] = 0.0
        at = bucket + (chosen - first) // _WORDS * NAME
        self.memory[at : at + NAME] = name
        start = (chosen + 1) * 8
        self.memory[start : start + 40] = bytes(40)
        floats[chosen + 1] = now
        return chosen

    def find_part(self, place: Place, number: int) -> int:
        """Return the index of the first word of part *number* of what belongs to *place*, or -1.

        It is in the same stripe, which must be held. Parts with numbers in a row are in buckets in a row, so that many
        parts fill all buckets evenly.
        """
        # PERF: as `find`; a search in a log calls it for each look.
        name = _PAIR.pack(place.first | STAMPS, place.second ^ number + 1)
        bucket = place.stripe.offset + ((place.first >> 2) + number & self._mask) * BUCKET
        at = self.memory.find(name, bucket, bucket + _NAMES)
        return -1 if at & (NAME - 1) else (bucket + _NAMES >> 3) + (at - bucket >> 4) * _WORDS

    def claim_part(self, place: Place, number: int, now: float, keep: int) -> int:
        """Return the index of the first word of a slot that is now part *number* of *place*; see `claim`."""
        name = _PAIR.pack(place.first | STAMPS, place.second ^ number + 1)
        bucket = place.stripe.offset + ((place.first >> 2) + number & self._mask) * BUCKET
        return self.claim(name, bucket, now, keep)

    def clear(self, now: float) -> int:
        """Free all slots, and return how many keys were counted in them."""
        count = 0
        length = self.slots_of_stripe * SLOT
        for stripe in self.file.stripes:
            with stripe:
                buckets = range(stripe.offset, stripe.offset + length, BUCKET)
                count += sum(self._clear_bucket(bucket, now) for bucket in buckets)
        return count

    def _clear_bucket(self, bucket: int, now: float) -> int:
        count = 0
        first = bucket + _NAMES >> 3
        for way in range(WAYS):
            slot = first + way * _WORDS
            if self.floats[slot] > now:
                count += self.integers[(bucket >> 3) + way * 2] & 3 != STAMPS
            # Also what is over by this clock: the clock may be set back.
            self.floats[slot] = 0.0
        return count
