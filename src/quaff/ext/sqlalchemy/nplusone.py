"""Finds the N+1 problem: one query for a list, and then one more for each object in it.

It looks at sessions while an app is in debug mode, or where `SQLALCHEMY_N_PLUS_ONE` says so; elsewhere no session has a
listener and nothing is counted. What counts is a load that reading an attribute set off: of a relationship, or of columns
that were deferred or expired. Queries that the program writes in a loop are its own business and are not counted.
"""

from __future__ import annotations

import linecache
import sys
import warnings
from types import FrameType
from typing import Any, Final, Literal, NamedTuple, cast

from sqlalchemy import event
from sqlalchemy.orm import Mapper, ORMExecuteState, RelationshipProperty, Session

from ...errors import QuaffError

Mode = Literal["off", "warn", "raise"]

MODES: Final[tuple[Mode, ...]] = ("off", "warn", "raise")
"""The values of `SQLALCHEMY_N_PLUS_ONE`."""

DEFAULT_THRESHOLD: Final = 3
"""How many loads of one attribute are too many. More than two, as two objects are often named in the code one by one."""

_NOT_THE_PROGRAM: Final = frozenset({"sqlalchemy", "quaff", "jinja2", "greenlet", "flask", "flask_sqlalchemy"})
"""Packages whose lines are not where the program reads an attribute."""


class NPlusOneWarning(UserWarning):
    """The same attribute was loaded for one object after another, with a query for each."""


class NPlusOneError(QuaffError, RuntimeError):
    """What `NPlusOneWarning` warns of, with `SQLALCHEMY_N_PLUS_ONE = "raise"`."""

    code = "Q820"


class Place(NamedTuple):
    """Where the program read the attribute."""

    filename: str
    line: int
    module: str
    registry: Any
    """The module's record of the warnings that were shown, or None. Any: its type is the module `warnings`' own business."""

    def __str__(self) -> str:
        source = linecache.getline(self.filename, self.line).strip()
        return f"{self.filename}:{self.line}" + (f" ({source})" if source else "")


def mode_for(wanted: str | None, *, debug: bool) -> Mode:
    """Return what `SQLALCHEMY_N_PLUS_ONE` stands for; None means `warn` in debug mode, else `off`.

    :raises ValueError: for another text.
    """
    if wanted is None:
        return "warn" if debug else "off"
    if wanted not in MODES:
        raise ValueError(f"SQLALCHEMY_N_PLUS_ONE is one of {', '.join(map(repr, MODES))}, not {wanted!r}.")
    return wanted


def watch(session: Session, mode: Mode, threshold: int = DEFAULT_THRESHOLD) -> None:
    """Count the loads of one session, and warn or raise when an attribute is loaded for the *threshold*-th object.

    :param session: one that lives as long as a request; of an `AsyncSession`, its `sync_session`.
    """
    if mode != "off":
        event.listen(session, "do_orm_execute", LoadCounter(threshold, raises=mode == "raise").look)


class LoadCounter:
    """Counts the loads of each attribute.

    :param threshold: at how many there is a warning; there is one for each attribute.
    :param raises: whether there is an error instead.
    """

    __slots__ = ("counts", "raises", "threshold")

    def __init__(self, threshold: int, *, raises: bool = False) -> None:
        self.threshold = threshold
        self.raises = raises
        self.counts: dict[object, int] = {}

    def look(self, state: ORMExecuteState) -> None:
        """Count a statement if reading an attribute set it off.

        :raises NPlusOneError: when it is one too many and `raises` is true.
        """
        if state.lazy_loaded_from is not None:
            path = state.loader_strategy_path
            prop = cast("RelationshipProperty[Any] | None", path[-1] if path else None)
            if prop is not None and self._is_too_often(prop):
                self._report(describe_relationship(prop, self.threshold))
        elif state.is_column_load:
            mapper = state.bind_mapper
            if mapper is not None and self._is_too_often(mapper):
                self._report(describe_columns(mapper, self.threshold))

    def _is_too_often(self, key: object) -> bool:
        count = self.counts[key] = self.counts.get(key, 0) + 1
        return count == self.threshold

    def _report(self, texts: tuple[str, str]) -> None:
        place = find_place(sys._getframe(2))
        what, advice = texts
        message = f"N+1 queries: {what}{f', at {place}' if place else ''}. {advice}"
        if self.raises:
            raise NPlusOneError(message)
        if place is None:
            warnings.warn(message, NPlusOneWarning, stacklevel=3)
        else:
            warnings.warn_explicit(message, NPlusOneWarning, *place)


def describe_relationship(prop: RelationshipProperty[Any], count: int) -> tuple[str, str]:
    """Return what happened and what to do about it, for a relationship."""
    model = prop.parent.class_.__name__
    name = f"{model}.{prop.key}"
    return (
        f"{name} was loaded {count} times in one request, with a query for each {model}",
        f"Load it together with the objects: select({model}).options(selectinload({name})).",
    )


def describe_columns(mapper: Mapper[Any], count: int) -> tuple[str, str]:
    """Return what happened and what to do about it, for columns."""
    model = mapper.class_.__name__
    return (
        f"columns of {model} were loaded {count} times in one request, with a query for each object",
        (
            f"If they are deferred: select({model}).options(undefer(...)). If a commit expired them: read what you need"
            f" before it, select the objects again after it, or set session_options={{'expire_on_commit': False}}."
        ),
    )


def find_place(frame: FrameType | None) -> Place | None:
    """Return the innermost line, from *frame* outwards, that is the program's own: of its Python or of a template."""
    while frame is not None:
        names = frame.f_globals
        template = names.get("__jinja_template__")
        if template is not None:
            # What Jinja compiled has its own line numbers.
            line = template.get_corresponding_lineno(frame.f_lineno)
            return Place(frame.f_code.co_filename, line, template.name or "template", None)
        module = names.get("__name__", "")
        if module.partition(".")[0] not in _NOT_THE_PROGRAM:
            return Place(frame.f_code.co_filename, frame.f_lineno, module, names.setdefault("__warningregistry__", {}))
        frame = frame.f_back
    return None
