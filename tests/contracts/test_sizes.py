"""Files, functions, nesting and parameter lists stay small enough to read."""

from __future__ import annotations

import re
from statistics import median

import pytest

from tests.contracts.source import ROOT, Function, Module, body_lines, functions_of, modules, nesting, parameters

FILE_LINES = 600
FUNCTION_LINES = 60
MEDIAN_FUNCTION_LINES = 8
DEPTH = 4
PARAMETERS = 8
PRAGMAS_PER_1000_LINES = 10

MANY_PARAMETERS = {
    "Quaff.__init__": "Flask's signature",
    "AppBase.__init__": "Flask's signature",
    "Blueprint.__init__": "Flask's signature",
    "send_file": "Flask's signature",
    "Response.set_cookie": "Werkzeug's signature",
    "dump_cookie": "Werkzeug's signature",
    "run_command": "one parameter per option of the command, as in Flask",
    "EnvironBuilder.__init__": "Werkzeug's signature",
    "Cache.cached": "Flask-Caching's signature",
    "Cache.memoize": "Flask-Caching's signature",
    "revision": "Flask-Migrate's signature",
    "migrate": "Flask-Migrate's signature",
    "upgrade": "Flask-Migrate's signature",
    "downgrade": "Flask-Migrate's signature",
}
"""Functions that may have more parameters, and why."""

PRAGMA = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:\s*ignore|pragma:\s*no)([^#\n]*)")

every_module = pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)


def _functions() -> list[tuple[Module, str, Function]]:
    return [(module, name, node) for module in modules().values() for name, node in functions_of(module.tree)]


@every_module
def test_file_length(module: Module) -> None:
    """A file is one thought: never longer than 600 lines."""
    assert module.text.count("\n") <= FILE_LINES


@every_module
def test_module_docstring(module: Module) -> None:
    """Each file says on its door what it is for."""
    doc = module.tree.body and module.tree.body[0]
    assert doc, f"{module.name} is empty"
    assert re.match(r"""r?["']{3}\S""", module.text), f"{module.name} has no docstring"


def test_function_length() -> None:
    """No function body, its docstring left out, is longer than 60 lines."""
    long = {f"{m.where(node)} {name}": n for m, name, node in _functions() if (n := body_lines(node)) > FUNCTION_LINES}
    assert long == {}


def test_median_function_length() -> None:
    """Most functions are short: the median body has at most 8 lines."""
    assert median(body_lines(node) for _module, _name, node in _functions()) <= MEDIAN_FUNCTION_LINES


def test_nesting() -> None:
    """No function nests blocks more than four deep."""
    deep = {f"{m.where(node)} {name}": n for m, name, node in _functions() if (n := nesting(node)) > DEPTH}
    assert deep == {}


def test_parameters() -> None:
    """No function takes more than eight parameters, unless Flask's own signature does."""
    wide = {
        f"{m.where(node)} {name}": len(parameters(node))
        for m, name, node in _functions()
        if len(parameters(node)) > PARAMETERS and name not in MANY_PARAMETERS
    }
    assert wide == {}


def test_pragmas_are_few_and_precise() -> None:
    """A silenced warning names its code, and there are at most ten in a thousand lines."""
    vague, count, lines = [], 0, 0
    for module in modules().values():
        lines += module.text.count("\n")
        for number, line in enumerate(module.text.splitlines(), 1):
            if found := PRAGMA.search(line):
                count += 1
                if not re.match(r"\s*(:\s*[A-Z]+\d+|\[[\w-]+|cover)", found[2]):
                    vague.append(f"{module.path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert vague == []
    assert count <= lines * PRAGMAS_PER_1000_LINES / 1000, f"{count} pragmas in {lines} lines"


def test_complexity_waivers_give_a_measured_reason() -> None:
    """Where the complexity limit is waived, the line above says why, as a PERF remark."""
    silent = []
    for module in modules().values():
        above = ""
        for number, line in enumerate(module.text.splitlines(), 1):
            if "C901" in line and "# PERF:" not in above:
                silent.append(f"{module.path.relative_to(ROOT)}:{number}")
            above = line
    assert silent == []
