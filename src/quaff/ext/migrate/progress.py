"""What is said while migrations run: a line for each revision with the time it took, and a sign of life in long ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

HEARTBEAT: Final = 10.0
"""Seconds after which a revision that still runs is mentioned, again and again."""


def format_duration(seconds: float) -> str:
    """Return a time as people say it: `12 ms`, `3.4 s`, `2 min 5 s`, `1 h 3 min`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def shorten(statement: str, width: int = 100) -> str:
    """Return *statement* as one line of at most *width* characters."""
    line = " ".join(statement.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


class Progress:
    """Tells how far an upgrade or a downgrade is. A context manager: leaving it ends the signs of life.

    :param tell: called with each line; from another thread too.
    :param quiet: say nothing at all.
    :param heartbeat: seconds between two signs of life; 0 for none.
    :param clock: gives the time in seconds.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        *,
        quiet: bool = False,
        heartbeat: float = HEARTBEAT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._quiet = quiet
        self._heartbeat = heartbeat
        self._clock = clock
        self._label = ""
        self._started = 0.0
        self._began = clock()
        self._statement = ""
        self._count = 0
        self._wake: threading.Event | None = None

    def __enter__(self) -> Progress:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the signs of life, and say how long everything took when it was more than one revision."""
        self._rest()
        if error is None and self._count > 1:
            self.say(f"{self._count} revisions in {format_duration(self._clock() - self._began)}")

    def say(self, line: str) -> None:
        """Tell one line, unless quiet."""
        if not self._quiet:
            self._tell(line)

    def begin(self, label: str, number: int, total: int) -> None:
        """Note that a revision begins; nothing is told yet but in long ones."""
        self._label = f"[{number}/{total}] {label}"
        self._statement = ""
        self._started = self._clock()
        if self._heartbeat > 0 and not self._quiet:
            self._wake = threading.Event()
            threading.Thread(target=self._beat, args=(self._wake,), name="quaff-migrate-progress", daemon=True).start()

    def executing(self, statement: str) -> None:
        """Note the statement that runs, for the signs of life."""
        self._statement = statement

    def finish(self) -> None:
        """Tell that the revision is done and how long it took."""
        self._rest()
        self._count += 1
        self.say(f"{self._label}: done in {format_duration(self._clock() - self._started)}")

    def fail(self) -> None:
        """Tell that the revision failed and after how long."""
        self._rest()
        self.say(f"{self._label}: failed after {format_duration(self._clock() - self._started)}")

    def _rest(self) -> None:
        if self._wake is not None:
            self._wake.set()
            self._wake = None

    def _beat(self, wake: threading.Event) -> None:
        while not wake.wait(self._heartbeat):
            at = f", at: {shorten(self._statement)}" if self._statement else ""
            self.say(f"{self._label}: running for {format_duration(self._clock() - self._started)}{at}")
