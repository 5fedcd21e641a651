"""Tables and trees in plain text, for `quaff limiter`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Tree:
    """A label with branches."""

    label: str
    branches: list[Tree] = field(default_factory=list)

    def add(self, label: str | Tree) -> Tree:
        """Add a branch, and return it."""
        branch = label if isinstance(label, Tree) else Tree(label)
        self.branches.append(branch)
        return branch

    def lines(self) -> list[str]:
        """Return what is printed.

        >>> Tree("root", [Tree("a", [Tree("b")]), Tree("c")]).lines()
        ['root', '├── a', '│   └── b', '└── c']
        """
        lines = [self.label]
        for branch in self.branches:
            is_last = branch is self.branches[-1]
            first, *rest = branch.lines()
            lines.append(("└── " if is_last else "├── ") + first)
            lines += [("    " if is_last else "│   ") + line for line in rest]
        return lines


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with their columns aligned.

    >>> columns([("a", "b"), ("long", "c")])
    ['a     b', 'long  c']
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    aligned = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in aligned]
