"""Trees and columns in plain text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.limiter.trees import Tree, columns


def test_a_leaf() -> None:
    """A tree without branches is its label."""
    assert Tree("alone").lines() == ["alone"]


def test_branches() -> None:
    """Branches hang on lines, the last one on a corner, and branches of branches are set in."""
    tree = Tree("root")
    first = tree.add("first")
    first.add("below")
    first.add(Tree("also below"))
    tree.add("last").add("leaf")
    assert tree.lines() == [
        "root",
        "├── first",
        "│   ├── below",
        "│   └── also below",
        "└── last",
        "    └── leaf",
    ]


def test_two_branches_of_one_label() -> None:
    """Only the last of two equal branches gets the corner."""
    tree = Tree("root", [Tree("same"), Tree("same")])
    assert tree.lines() == ["root", "├── same", "└── same"]


def test_columns() -> None:
    """Cells of a column begin at the same place, and no line ends in spaces."""
    assert columns([("a", "bb", ""), ("aaa", "b", "c")]) == ["a    bb", "aaa  b   c"]


@given(st.lists(st.tuples(*[st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)] * 3), min_size=1))
def test_all_cells_are_there(rows: list[tuple[str, str, str]]) -> None:
    """Each row is one line with all its cells in their order."""
    assert [tuple(line.split()) for line in columns(rows)] == rows
