"""Which queries a context made, how long they took and where they were made from; for `SQLALCHEMY_RECORD_QUERIES`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from time import perf_counter
from types import FrameType
from typing import Any

import sqlalchemy as sa
import sqlalchemy.event as sa_event

from ...globals import NO_CONTEXT, current_context


@dataclass
class _QueryInfo:
    """A query that was made."""

    statement: str | None
    """The SQL, with placeholders."""

    parameters: Any
    """What the placeholders stand for."""

    start_time: float
    """When it was sent, in seconds of `time.perf_counter`."""

    end_time: float
    """When the answer was there."""

    location: str
    """Where in the app it was made: the file, the line and the function; not a format to rely on."""

    @property
    def duration(self) -> float:
        """How many seconds it took."""
        return self.end_time - self.start_time


def get_recorded_queries() -> list[_QueryInfo]:
    """Return the queries of the current app context, in their order; with `SQLALCHEMY_RECORD_QUERIES` only.

    :raises RuntimeError: outside of an app context.
    """
    queries: list[_QueryInfo] = current_context.get().g.get("_sqlalchemy_queries", [])
    return queries


def _listen(engine: sa.Engine) -> None:
    """Record the queries of an engine."""
    sa_event.listen(engine, "before_cursor_execute", _record_start, named=True)
    sa_event.listen(engine, "after_cursor_execute", _record_end, named=True)


def _record_start(context: Any, **kwargs: Any) -> None:
    if current_context.get() is not NO_CONTEXT:
        context._fsa_start_time = perf_counter()


def _record_end(context: Any, **kwargs: Any) -> None:
    bound = current_context.get()
    started = getattr(context, "_fsa_start_time", None)
    if bound is NO_CONTEXT or started is None:
        return
    info = _QueryInfo(
        statement=context.statement,
        parameters=context.parameters,
        start_time=started,
        end_time=perf_counter(),
        location=_locate(bound.app.import_name.partition(".")[0]),
    )
    bound.g.setdefault("_sqlalchemy_queries", []).append(info)


def _locate(package: str) -> str:
    """Return the innermost line of the app's package that is being run."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name == package or name.startswith(f"{package}."):
            return f"{frame.f_code.co_filename}:{frame.f_lineno} ({frame.f_code.co_name})"
        frame = frame.f_back
    return "<unknown>"
