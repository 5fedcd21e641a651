"""Every public name of Flask 3.1.3 exists here, with parameters that the same calls fit.

`flask_api.txt` is made by `list_flask_api.py` from the real Flask.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import pytest

from tests.contracts.source import TESTS

MODULES = {
    "flask": "quaff",
    "flask.sansio.app": "quaff.appbase",
    "flask.sansio.blueprints": "quaff.blueprints",
    "flask.sansio.scaffold": "quaff.scaffold",
}
"""Where the alias leads for modules that have another name here; the rest is `flask.x` -> `quaff.x`."""

ABSENT = {
    "flask sansio": "the folder is not needed: quaff.appbase, quaff.scaffold and quaff.blueprints take its place",
}
"""Names of Flask that Quaff leaves out, and why. Documented in docs/from-flask.md."""

OWN_SIGNATURE: dict[str, str] = {}
"""Functions whose parameters differ, and why the same calls still work."""


class Entry(NamedTuple):
    """One line of flask_api.txt."""

    module: str
    name: str
    parameters: str | None

    @property
    def key(self) -> str:
        return f"{self.module} {self.name}"


def _entries() -> Iterator[Entry]:
    for line in (TESTS / "contracts" / "flask_api.txt").read_text(encoding="utf-8").splitlines():
        found = re.fullmatch(r"(\S+) (\S+)(?: \((.*)\))?", line)
        assert found, line
        yield Entry(found[1], found[2], found[3])


ENTRIES = list(_entries())
GROUPS = {
    key: list(lines) for key, lines in groupby(ENTRIES, key=lambda entry: f"{entry.module}:{entry.name.split('.')[0]}")
}
MISSING = object()


def find(entry: Entry) -> object:
    """Return the object that the alias gives under this name, or MISSING."""
    value: object = importlib.import_module(MODULES.get(entry.module, entry.module.replace("flask", "quaff", 1)))
    parts = entry.name.split(".")
    for depth, part in enumerate(parts):
        declared = inspect.isclass(value) and any(part in vars(c).get("__annotations__", {}) for c in value.__mro__)
        if declared and not hasattr(value, part):
            # An attribute that only instances have, declared as a type in the class body.
            return None
        if not hasattr(value, part):
            return _instance_attribute(value, part) if depth == len(parts) - 1 else MISSING
        value = inspect.getattr_static(value, part) if inspect.isclass(value) else getattr(value, part)
    return value.__func__ if isinstance(value, staticmethod | classmethod) else value


def _instance_attribute(owner: object, name: str) -> object:
    """Accept a name that `owner`'s constructor sets, found in the source of the class and its bases."""
    if not inspect.isclass(owner):
        return MISSING
    for cls in owner.__mro__:
        if cls.__module__.startswith("quaff") and re.search(rf"self\.{name}\b.*=", inspect.getsource(cls)):
            return None
    return MISSING


def misfit(words: list[str], signature: inspect.Signature) -> str:
    """Say why a call that fits Flask's parameters may not fit *signature*, or return an empty string."""
    ours = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    by_name = {p.name: p for p in ours}
    kinds = {p.kind for p in ours}
    takes_any_keyword = inspect.Parameter.VAR_KEYWORD in kinds
    takes_any_position = inspect.Parameter.VAR_POSITIONAL in kinds
    positional = [p.name for p in ours if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    keyword_only = False
    for place, word in enumerate(words):
        if word.startswith("**"):
            if not takes_any_keyword:
                return f"{word} is not taken"
        elif word.startswith("*"):
            if word != "*" and not takes_any_position:
                return f"{word} is not taken"
            keyword_only = True
        else:
            problem = _misfit_of_one(word, None if keyword_only else place, by_name, positional, takes_any_keyword)
            if problem and not (takes_any_position and not keyword_only):
                return problem
    known = {word.removesuffix("=?") for word in words}
    for parameter in ours:
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if required and parameter.name not in known:
            return f"{parameter.name} is required here and unknown to Flask"
    return ""


def _misfit_of_one(
    word: str, place: int | None, by_name: dict[str, inspect.Parameter], positional: list[str], takes_any_keyword: bool
) -> str:
    name = word.removesuffix("=?")
    if name not in by_name:
        return "" if takes_any_keyword and place is None else f"{name} is not taken"
    if word.endswith("=?") and by_name[name].default is inspect.Parameter.empty:
        return f"{name} may be left out in Flask"
    if place is not None and positional[place : place + 1] != [name]:
        return f"{name} is not parameter {place + 1}"
    return ""


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_names_and_parameters(group: str) -> None:
    """Each name of this class or module is there, and each call that Flask's parameters allow is allowed here."""
    problems = []
    for entry in GROUPS[group]:
        if entry.key in ABSENT:
            continue
        value = find(entry)
        if value is MISSING:
            problems.append(f"{entry.key}: missing")
        elif entry.parameters is not None and callable(value) and entry.key not in OWN_SIGNATURE:
            problem = misfit(entry.parameters.split(), inspect.signature(value))
            if problem:
                problems.append(f"{entry.key}{inspect.signature(value)}: {problem}")
    assert problems == []


@pytest.mark.parametrize("key", sorted({**ABSENT, **OWN_SIGNATURE}))
def test_exceptions_are_still_needed(key: str) -> None:
    """A name excused here is one that Flask really has and that really differs."""
    entry = next((entry for entry in ENTRIES if entry.key == key), None)
    assert entry is not None, "Flask has no such name: delete the row"
    value = find(entry)
    if key in ABSENT:
        assert value is MISSING, "it exists by now: delete the row"
    else:
        assert callable(value)
        assert misfit((entry.parameters or "").split(), inspect.signature(value)), "it fits by now: delete the row"


def _given(first: int, second: str = "", *, third: bool = False) -> None:
    """Serve as the signature of the next test."""


@pytest.mark.parametrize(
    "words, expected",
    [
        ("first second=? * third=?", ""),
        ("first", ""),
        ("first=?", "first may be left out in Flask"),
        ("first other=?", "other is not taken"),
        ("second=?", "second is not parameter 1"),
        ("first third=?", "third is not parameter 2"),
        ("first **options", "**options is not taken"),
        ("", "first is required here and unknown to Flask"),
    ],
)
def test_misfits_are_found(words: str, expected: str) -> None:
    """The comparison of parameters accepts what fits and names what does not."""
    assert misfit(words.split(), inspect.signature(_given)) == expected
