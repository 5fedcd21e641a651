"""Registries that tell a revision of each change, and behave like the built-in containers otherwise."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import weakref
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from quaff._internal.tracking import Revision, TrackedDict, TrackedList, bump_all, track


def _iadd(values: list[int]) -> None:
    values += [1]


def _imul(values: list[int]) -> None:
    values *= 2


def _ior(values: dict[str, Any]) -> None:
    values |= {"z": 1}


LIST_CHANGES: dict[str, Callable[[list[int]], object]] = {
    "append": lambda values: values.append(1),
    "clear": lambda values: values.clear(),
    "del index": lambda values: values.__delitem__(0),
    "del slice": lambda values: values.__delitem__(slice(0, 2)),
    "extend": lambda values: values.extend([4]),
    "iadd": _iadd,
    "imul": _imul,
    "insert": lambda values: values.insert(0, 9),
    "pop": lambda values: values.pop(),
    "remove": lambda values: values.remove(2),
    "reverse": lambda values: values.reverse(),
    "set index": lambda values: values.__setitem__(0, 7),
    "set slice": lambda values: values.__setitem__(slice(None), [3]),
    "sort": lambda values: values.sort(reverse=True),
}

DICT_CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "clear": lambda values: values.clear(),
    "del": lambda values: values.__delitem__("a"),
    "ior": _ior,
    "missing": lambda values: values["new"],
    "pop": lambda values: values.pop("a"),
    "popitem": lambda values: values.popitem(),
    "set": lambda values: values.__setitem__("a", [5]),
    "setdefault": lambda values: values.setdefault("new", [5]),
    "update": lambda values: values.update(b=2),
    "update pairs": lambda values: values.update([("c", 3)]),
}


@pytest.mark.parametrize("change", LIST_CHANGES)
def test_each_change_of_a_list(change: str) -> None:
    """Each method that changes a list bumps the revision, and does what it does to a plain list."""
    revision = Revision()
    tracked, plain = TrackedList(revision, [1, 2, 3]), [1, 2, 3]
    before = revision.value
    assert LIST_CHANGES[change](tracked) == LIST_CHANGES[change](plain)
    assert tracked == plain
    assert revision.value > before


@pytest.mark.parametrize("change", DICT_CHANGES)
def test_each_change_of_a_dict(change: str) -> None:
    """Each method that changes a dict bumps the revision, and does what it does to a defaultdict."""
    revision = Revision()
    tracked = TrackedDict(revision, [("a", [1])], make=list)
    plain: dict[str, Any] = defaultdict(list, a=[1])
    before = revision.value
    assert DICT_CHANGES[change](tracked) == DICT_CHANGES[change](plain)
    assert tracked == plain
    assert revision.value > before


def test_no_change_method_is_forgotten() -> None:
    """The lists above hold every method of the built-ins that can change one; a new Python may bring new ones."""
    reading = {
        "__class_getitem__", "__contains__", "__getitem__", "__iter__", "__len__", "__reversed__", "copy", "count",
        "fromkeys", "get", "index", "items", "keys", "values", "__add__", "__mul__", "__rmul__", "__or__", "__ror__",
    }  # fmt: skip
    for tracked, plain in ((TrackedList, list), (TrackedDict, dict)):
        own = set(plain.__dict__) - set(object.__dict__) - reading
        assert {name for name in own if getattr(tracked, name) is getattr(plain, name)} == set()


def test_a_change_that_fails_half_way_counts() -> None:
    """`extend` with an iterator that raises has added something by then; that must not go unnoticed."""
    revision = Revision()
    tracked: TrackedList[int] = TrackedList(revision)
    before = revision.value

    def items() -> Any:
        yield 1
        raise LookupError

    with pytest.raises(LookupError):
        tracked.extend(items())
    assert tracked == [1]
    assert revision.value > before


def test_reading_is_no_change() -> None:
    """Looking, copying and iterating leave the revision alone; so does a look-up that misses without a default."""
    revision = Revision()
    tracked = TrackedDict(revision, [("a", [1, 2])])
    before = revision.value
    assert tracked.get("b") is None
    with pytest.raises(KeyError):
        _ = tracked["b"]
    assert (list(tracked), "a" in tracked, len(tracked["a"]), tracked["a"][::-1]) == (["a"], True, 2, [2, 1])
    assert tracked.setdefault("a", []) == [1, 2]
    assert revision.value == before


@pytest.mark.parametrize("put", ["given", "set", "setdefault", "update", "ior", "missing"])
def test_values_are_tracked_in_turn(put: str) -> None:
    """A list that gets into a tracked dict, whichever way, is tracked from then on, and so are dicts in dicts."""
    revision = Revision()
    tracked: Any = TrackedDict(revision, [("k", [1])] if put == "given" else [], make=lambda: [1])
    if put == "set":
        tracked["k"] = [1]
    elif put == "setdefault":
        tracked.setdefault("k", [1])
    elif put == "update":
        tracked.update(k=[1])
    elif put == "ior":
        tracked |= {"k": [1]}
    before = revision.value
    tracked["k"].append(2)
    assert tracked["k"] == [1, 2]
    assert revision.value > before


def test_error_handlers_shape() -> None:
    """The shape of `error_handler_spec`, dicts made by dicts made by dicts, is tracked at each depth."""
    revision = Revision()
    spec: Any = TrackedDict(revision, make=lambda: defaultdict(dict))
    spec["bp"][404][LookupError] = "handler"
    assert spec == {"bp": {404: {LookupError: "handler"}}}
    before = revision.value
    spec["bp"][404][ValueError] = "another"
    assert revision.value > before


def test_a_parent_changes_too() -> None:
    """A revision under another, as the URL map's under the app's, tells its parent, and not the other way round."""
    parent = Revision()
    child = Revision(parent)
    of_parent, of_child = parent.value, child.value
    child.bump()
    assert parent.value > of_parent
    assert child.value > of_child
    of_child = child.value
    parent.bump()
    assert child.value == of_child


def test_values_never_come_again() -> None:
    """Two revisions never have the same number, so a table of one can never pass for the other's."""
    revisions = [Revision() for _ in range(10)]
    for revision in revisions:
        revision.bump()
    assert len({revision.value for revision in revisions}) == 10


def test_bump_all() -> None:
    """What concerns every app bumps every top revision that is alive."""
    first, second = Revision(), Revision()
    before = first.value, second.value
    bump_all()
    assert first.value > before[0]
    assert second.value > before[1]


def test_revisions_are_not_kept() -> None:
    """The list of all revisions holds none of them alive."""
    revision = Revision()
    reference = weakref.ref(revision)
    del revision
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value)), lambda v: v.copy()]
)
def test_copies_are_plain(copied: Callable[[Any], Any]) -> None:
    """A copy belongs to nobody: it is a plain container that bumps nothing."""
    revision = Revision()
    for tracked, kind in ((TrackedList(revision, [1]), list), (TrackedDict(revision, [("a", 1)]), dict)):
        made = copied(tracked)
        assert type(made) is kind
        assert made == tracked


def test_behave_like_the_built_ins() -> None:
    """They are lists and dicts for whoever asks: `isinstance`, equality, JSON, sums."""
    revision = Revision()
    values, pairs = TrackedList(revision, [1]), TrackedDict(revision, [("a", 1)])
    assert isinstance(values, list)
    assert isinstance(pairs, dict)
    assert json.dumps([values, pairs]) == '[[1], {"a": 1}]'
    assert values.__add__([2]) == [1, 2]
    assert pairs | {"b": 2} == {"a": 1, "b": 2}
    assert repr(values) == "[1]"


def test_track() -> None:
    """`track` wraps plain containers, keeps a default factory, and leaves everything else and its own as they are."""
    revision = Revision()
    values = track([1], revision)
    assert track(values, revision) is values
    assert track(values, Revision()) is not values
    made = track(defaultdict(list), revision)
    before = revision.value
    made["a"].append(1)
    assert revision.value > before
    assert track("text", revision) == "text"
    assert track((1, 2), revision) == (1, 2)
