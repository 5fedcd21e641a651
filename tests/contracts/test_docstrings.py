"""Everything public is described in a sentence, and every test states its promise."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.source import ROOT, TESTS, Function, Module, is_public, modules

EMPTY_PHRASES = ("Returns: None", "TODO", "FIXME", "XXX")


def _decorators(node: Function) -> set[str]:
    return {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}


def _public_objects(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If | ast.Try):
            yield from _public_objects(node, prefix)
        if not isinstance(node, Function | ast.ClassDef) or not is_public(node.name):
            continue
        if isinstance(node, Function) and _decorators(node) & {"overload", "setter", "deleter"}:
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _public_objects(node, f"{prefix}{node.name}.")


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)
def test_public_objects_are_described(module: Module) -> None:
    """Each public class, function and method has a docstring that opens with one whole sentence."""
    wrong = []
    for name, node in _public_objects(module.tree):
        doc = ast.get_docstring(node)
        if not doc:
            wrong.append(f"{module.where(node)} {name}: no docstring")
        elif not doc.split("\n\n")[0].rstrip().endswith((".", "?", "!", ":")):
            wrong.append(f"{module.where(node)} {name}: the first paragraph is not a sentence")
        elif any(phrase in doc for phrase in EMPTY_PHRASES):
            wrong.append(f"{module.where(node)} {name}: says nothing or is unfinished")
    assert wrong == []


def _tests_of(path: Path) -> Iterator[Function]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]
        yield from (member for member in members if isinstance(member, Function) and member.name.startswith("test_"))


def test_every_test_states_its_promise() -> None:
    """Each test function of the whole suite has a docstring."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted(TESTS.rglob("test_*.py"))
        for node in _tests_of(path)
        if not ast.get_docstring(node)
    ]
    assert silent == []
