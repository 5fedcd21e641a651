"""Moving windows in a table of counters: the time of each hit, four to a slot.

The hits of a key have positions, counted up for ever. Hit number n is in part n // 4 of the key; a part is a slot of its
own, which is free for others when its newest stamp has left the window. So a key takes as much memory as it has hits in
its window, whatever its limit is.

Only positions before the next one are read, and each was written since the key's own slot was begun. So what is left of
an earlier log of the key, or of a hit that died half-way, misleads nobody. A part that is lost to a newer key counts as
hits that have left the window.

A key must be used with windows of one length only, as the strategies of `limits` do.
"""

from __future__ import annotations

from typing import Final

from .counter_table import CounterTable, Place

_LAST_USED: Final = 1
_NEXT: Final = 2
_NEWEST: Final = 3
_SHIFT: Final = 4
_FIRST: Final = 5
"""Words of a key's own slot."""

_STAMPS: Final = 2
"""The first of the four words with stamps in a part."""

_START: Final = 4
"""The first position. Not 0, which says that there is none."""

_SLACK: Final = 1.0
"""Seconds that slots are kept longer than needed, so that it is the stamps that decide, to the last bit."""


class MovingLog:
    """The log of one key while its stripe is held. Times in it are seconds of the key's own clock.

    That is the wall clock, until the wall clock is set back: from then on the key's clock goes on from its newest hit.

    :param now: seconds since 1970, taken while the stripe is held.
    """

    __slots__ = ("_first", "_floats", "_integers", "_newest", "_next", "_now", "_place", "_shift", "_slot", "_table")

    def __init__(self, table: CounterTable, place: Place, now: float) -> None:
        self._table = table
        self._place = place
        self._integers = integers = table.integers
        self._floats = floats = table.floats
        self._now = now
        self._slot = slot = table.find(place.name, place.bucket)
        if slot < 0 or floats[slot] <= now:
            self._first = self._next = 0
            self._shift = self._newest = 0.0
            return
        self._next = integers[slot + _NEXT]
        self._first = integers[slot + _FIRST]
        self._newest = floats[slot + _NEWEST]
        self._shift = floats[slot + _SHIFT]
        if self._newest > now + self._shift:
            floats[slot + _SHIFT] = self._shift = self._newest - now
        floats[slot + _LAST_USED] = now

    def add(self, limit: int, expiry: float, amount: int) -> bool:
        """Write *amount* hits down, unless there would be more than *limit* in the last *expiry* seconds."""
        time = self._now + self._shift
        rival = self._next - 1 - limit + amount
        # PERF: the newest hit needs no look-up, and mostly tells that all have left the window.
        if rival >= self._first and self._newest >= time - expiry and self._stamp(rival) >= time - expiry:
            return False
        if amount <= 0:
            return True
        until = self._now + expiry + _SLACK
        floats, integers = self._floats, self._integers
        if not self._next:
            self._begin()
        slot = self._slot
        for number in range(self._next >> 2, (self._next + amount - 1 >> 2) + 1):
            self._write(number, self._next + amount, time, until)
        floats[slot + _NEWEST] = self._newest = time
        floats[slot] = until
        # With this, and not before, the hits are there.
        integers[slot + _NEXT] = self._next = self._next + amount
        return True

    def window(self, expiry: float) -> tuple[float, int]:
        """Return when the oldest hit of the last *expiry* seconds was (now, without any), and how many there are.

        The time is of the wall clock as it is now.
        """
        edge = self._now + self._shift - expiry
        if self._next == self._first or self._newest <= edge:
            return self._now, 0
        position = self._first
        oldest = self._stamp(position)
        if oldest < edge:
            # PERF: what has left the window is not looked at again.
            self._first = self._integers[self._slot + _FIRST] = position = self._leave_behind(position, edge)
            oldest = self._stamp(position)
        # At the very edge hits still keep others out, but are not counted.
        while oldest <= edge and position < self._next:
            position += 1
            oldest = self._stamp(position)
        count = self._next - position
        return (oldest - self._shift, count) if count else (self._now, 0)

    def _leave_behind(self, before: int, edge: float) -> int:
        """Return the position of the first hit that is not before *edge*, where the one at *before* is."""
        step = 1
        while before + step < self._next and self._stamp(before + step) < edge:
            before += step
            step *= 2
        after = min(before + step, self._next)
        while after - before > 1:
            middle = (before + after) // 2
            if self._stamp(middle) < edge:
                before = middle
            else:
                after = middle
        return after

    def forget(self) -> None:
        """Free the key's own slot. Nobody finds the parts any more; they are free when their time has come."""
        if self._slot >= 0:
            self._floats[self._slot] = 0.0

    def _begin(self) -> None:
        table, place = self._table, self._place
        if self._slot >= 0:
            self._floats[self._slot] = 0.0
        else:
            self._slot = table.claim(place.name, place.bucket, self._now)
        self._first = self._next = _START
        slot = self._slot
        self._integers[slot + _FIRST] = self._integers[slot + _NEXT] = self._first
        self._floats[slot + _SHIFT] = self._floats[slot + _NEWEST] = 0.0
        self._floats[slot + _LAST_USED] = self._now

    def _write(self, number: int, end: int, time: float, until: float) -> None:
        """Write the hits down that are in part *number*, up to but without position *end*."""
        floats = self._floats
        slot = self._table.find_part(self._place, number)
        if slot < 0 or floats[slot] <= self._now:
            slot = self._table.claim_part(self._place, number, self._now, self._slot)
        begin = number << 2
        for position in range(max(begin, self._next), min(begin + 4, end)):
            floats[slot + _STAMPS + (position & 3)] = time
        floats[slot + _LAST_USED] = self._now
        floats[slot] = until

    def _stamp(self, position: int) -> float:
        """Return when the hit at *position* was; 0 when that is no longer known."""
        slot = self._table.find_part(self._place, position >> 2)
        if slot < 0 or self._floats[slot] <= self._now:
            return 0.0
        return self._floats[slot + _STAMPS + (position & 3)]
