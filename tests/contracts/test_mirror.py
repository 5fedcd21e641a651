"""Each source file has its test file, found by its path."""

from __future__ import annotations

import pytest

from tests.contracts.source import PACKAGE, TESTS, Module, modules

WITHOUT_OWN_TESTS = {
    "quaff": "tests/contracts/test_public_names.py",
    "quaff.__main__": "tests/test_main.py",
    "quaff._internal.lazy": "tests/contracts/test_layers.py",
    # One test runs over every name that these give back.
    "quaff.compat.old_contrib": "tests/compat/test_removed.py",
    "quaff.compat.old_flask": "tests/compat/test_removed.py",
    "quaff.compat.old_jinja": "tests/compat/test_removed.py",
    "quaff.compat.old_python": "tests/compat/test_removed.py",
    "quaff.compat.old_urls": "tests/compat/test_removed.py",
    "quaff.compat.old_werkzeug": "tests/compat/test_removed.py",
    "quaff.compat.old_wrappers": "tests/compat/test_removed.py",
}
"""Module -> the test file that stands in for the mirrored one."""

TESTS_PER_SOURCE = 1.2


def _candidates(module: Module) -> list[str]:
    relative = module.path.relative_to(PACKAGE)
    if module.is_package:
        folder = relative.parent
        return [f"{folder}/test_init.py", f"{folder}/test_{folder.name}.py"]
    return [str(relative.with_name(f"test_{name}.py")) for name in (relative.stem.strip("_"), relative.stem)]


def _is_only_a_door(module: Module) -> bool:
    """Tell whether a package's `__init__` holds no code of its own: imports, `__all__` and docstrings only."""
    return module.is_package and not any(word in module.text for word in ("\ndef ", "\nclass ", "\nasync def "))


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)
def test_module_has_its_test_file(module: Module) -> None:
    """`src/quaff/x/y.py` is tested by `tests/x/test_y.py`."""
    instead = WITHOUT_OWN_TESTS.get(module.name)
    if instead:
        assert (TESTS.parent / instead).is_file()
    elif not _is_only_a_door(module):
        candidates = _candidates(module)
        assert any((TESTS / path).is_file() for path in candidates), f"write tests/{candidates[0]}"


def test_there_is_more_test_than_source() -> None:
    """The tests have at least 1.2 times as many lines as the source."""
    source = sum(module.text.count("\n") for module in modules().values())
    tests = sum(path.read_text(encoding="utf-8").count("\n") for path in TESTS.rglob("*.py"))
    assert tests >= TESTS_PER_SOURCE * source, f"{tests} lines of tests for {source} of source"
