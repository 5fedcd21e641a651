"""Layers import downwards only, in whatever place of a file the import stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from quaff._internal.lazy import REFERENCES, resolve
from tests.contracts.source import Module, imports_of, modules

LAYERS = [
    {"_internal"},
    {"errors"},
    {"globals"},
    {"signals", "typing", "config", "cookies", "formparser", "forwarded", "headers", "hosts", "proxies"}
    | {"streaming", "streams"},
    {"ctx", "json", "helpers"},
    {"wrappers", "sessions", "websockets", "logging", "views", "debughelpers"},
    {"templating", "sse"},
    {"routing"},
    {"hooks", "after_response", "errorhandlers", "lifespan", "mounting", "oldnames", "scaffold"},
    {"blueprints"},
    {"pipeline"},
    {"appbase"},
    {"urls"},
    {"dispatch"},
    {"app"},
    {"stores"},
    {"servers", "testing", "cli"},
    {"ext"},
    {"compat"},
    {"", "__main__"},
]
"""Rooms from low to high. `""` is the package's own `__init__`, the door, which may import any of them."""

LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def _upward(module: Module) -> Iterator[str]:
    for target, node in imports_of(module):
        room = target.split(".")[1] if "." in target else ""
        if LEVEL.get(room, -1) > LEVEL[module.room]:
            yield f"{module.where(node)}: {module.name} imports {target}"


@pytest.mark.parametrize("room", sorted({module.room for module in modules().values()}))
def test_every_room_has_its_layer(room: str) -> None:
    """A new top-level module or folder is given a place in LAYERS before it is used."""
    assert room in LEVEL, f"add {room!r} to LAYERS, as low as its imports allow"


def test_no_import_goes_upwards() -> None:
    """A module imports only from its own layer and from those below; TYPE_CHECKING and local imports count."""
    upward = [line for module in modules().values() if module.room in LEVEL for line in _upward(module)]
    assert not upward, "name it in quaff/_internal/lazy.py, or move the shared part down:\n" + "\n".join(upward)


def test_nobody_imports_the_door() -> None:
    """Inside the package a name is imported from the module that defines it, never from `quaff` itself."""
    through = [
        f"{module.where(node)}: {module.name}"
        for module in modules().values()
        if module.room not in ("", "__main__", "compat")
        for target, node in imports_of(module)
        if target == "quaff"
    ]
    assert not through, "\n".join(through)


def _knots(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other (Tarjan's strongly connected components)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    knots: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for target in graph[name]:
            if target not in number:
                visit(target)
            if target in stack:
                low[name] = min(low[name], low[target])
        if low[name] == number[name]:
            knot = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(knot) > 1 or name in graph[name]:
                knots.append(sorted(knot))

    for name in graph:
        if name not in number:
            visit(name)
    return knots


def test_no_import_knots() -> None:
    """No two modules import each other, not even for types and not even inside one folder."""
    graph = {
        name: {target for target, _ in imports_of(module) if target in modules()} for name, module in modules().items()
    }
    assert _knots(graph) == []


def test_knots_are_found() -> None:
    """The search for knots finds a cycle of two, a longer one, and a module that imports itself."""
    graph = {"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"e"}, "e": {"c"}, "f": {"f"}, "g": {"a"}}
    assert sorted(_knots(graph)) == [["a", "b"], ["c", "d", "e"], ["f"]]


def _calls(name: str) -> Iterator[tuple[Module, ast.Call, object]]:
    """Yield the calls of a function called *name* with the first argument, when that is a constant."""
    for module in modules().values():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == name and isinstance(node.args[0], ast.Constant):
                yield module, node, node.args[0].value


@pytest.mark.parametrize("key", sorted(REFERENCES))
def test_lazy_references_resolve(key: str) -> None:
    """Each upward reference leads to something that exists."""
    assert resolve(key) is not None


def test_lazy_references_are_listed_and_used() -> None:
    """Each key given to `resolve` is in the list, and the list holds no key that nobody asks for."""
    used = {value for _module, _node, value in _calls("resolve") if isinstance(value, str)}
    assert used - set(REFERENCES) == set()
    # The door may build its lazy names from the list, so only keys that appear nowhere as text count as unused.
    texts = [module.text for module in modules().values() if module.name != "quaff._internal.lazy"]
    unused = [key for key in REFERENCES if not any(f'"{key}"' in text for text in texts)]
    assert unused == []


def test_upward_references_are_in_one_list() -> None:
    """No other module loads a part of another room by its name as text; compat, above all layers, may."""
    hidden = [
        f"{module.where(node)}: {value}"
        for name in ("import_module", "__import__")
        for module, node, value in _calls(name)
        if module.room not in ("", "compat") and isinstance(value, str) and value.split(".")[0] == "quaff"
        if f"{value}.".split(".")[1] != module.room
    ]
    assert hidden == []
