"""`UNSET` stands for "nothing was given"."""

from __future__ import annotations

import copy
import pickle

from quaff._internal.sentinels import UNSET, Unset


def test_is_one_object() -> None:
    """Copies and pickles are the same object, so `is UNSET` holds everywhere."""
    assert copy.deepcopy(UNSET) is UNSET
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert list(Unset) == [UNSET]


def test_is_false_and_says_its_name() -> None:
    """It counts as nothing, and shows in signatures as what it is."""
    assert not UNSET
    assert repr(UNSET) == "UNSET"
    assert UNSET is not None
