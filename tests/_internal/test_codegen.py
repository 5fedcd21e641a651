"""Generated functions: their names, their source in tracebacks, and what is kept of them."""

from __future__ import annotations

import gc
import inspect
import linecache
import traceback
import weakref

import pytest

from quaff._internal import codegen
from quaff._internal.codegen import build_function

SOURCE = "def divide(number):\n    return number / divisor\n"


def test_is_bound_to_its_names() -> None:
    """The same source with other names is another function: routes of one shape share their compiled code only."""
    half = build_function("test", "divide", SOURCE, {"divisor": 2})
    third = build_function("test", "divide", SOURCE, {"divisor": 3})
    assert (half(6), third(6)) == (3, 2)
    assert half.__code__ is third.__code__


def test_keeps_its_source() -> None:
    """The source hangs on the function, and `inspect` finds it too."""
    function = build_function("test", "divide", SOURCE, {"divisor": 2})
    assert function.__quaff_source__ == SOURCE  # type: ignore[attr-defined]
    assert inspect.getsource(function) == SOURCE


def test_a_traceback_shows_the_line() -> None:
    """An error inside shows the generated line and says what the code is for."""
    function = build_function("test", "divide", SOURCE, {"divisor": 0})
    with pytest.raises(ZeroDivisionError) as raised:
        function(1)
    text = "".join(traceback.format_exception(raised.value))
    assert 'File "<quaff test ' in text
    assert "return number / divisor" in text


def test_linecache_keeps_the_lines() -> None:
    """`linecache.checkcache`, which every debugger and the traceback module call, does not throw the lines away."""
    function = build_function("test", "divide", SOURCE, {"divisor": 0})
    linecache.checkcache()
    assert linecache.getline(function.__code__.co_filename, 2) == "    return number / divisor\n"


def test_the_names_given_are_not_changed() -> None:
    """The function gets a dictionary of its own."""
    names = {"divisor": 2}
    build_function("test", "divide", SOURCE, names)
    assert names == {"divisor": 2}


def test_is_freed_without_the_garbage_collector() -> None:
    """Handlers of an old revision go as soon as nobody refers to them, and what they were bound to goes with them."""

    class Held:
        pass

    held = Held()
    reference = weakref.ref(held)
    gc.disable()
    try:
        function = build_function("test", "divide", SOURCE, {"divisor": held})
        del held
        assert reference() is not None
        del function
        assert reference() is None
    finally:
        gc.enable()


def test_wrong_source_shows_itself() -> None:
    """A mistake in a generator is a SyntaxError at compile time that points at the line."""
    with pytest.raises(SyntaxError) as raised:
        build_function("test", "broken", "def broken():\n    return )\n", {})
    assert raised.value.lineno == 2


def test_kinds_have_their_own_files() -> None:
    """The same text for two purposes is told apart in tracebacks."""
    first = build_function("one", "divide", SOURCE, {})
    second = build_function("two", "divide", SOURCE, {})
    assert first.__code__.co_filename.startswith("<quaff one ")
    assert second.__code__.co_filename.startswith("<quaff two ")


def test_compiled_code_is_bounded() -> None:
    """An app that changes forever does not fill the memory: compiled texts and their lines in `linecache` are limited."""
    info = codegen._compile.cache_info()
    assert info.maxsize is not None
    before = sum(name.startswith("<quaff ") for name in linecache.cache)
    for number in range(info.maxsize + 50):
        build_function("bounded", "f", f"def f():\n    return {number}\n", {})
    after = sum(name.startswith("<quaff ") for name in linecache.cache)
    assert after <= before + info.maxsize


def test_lines_stay_while_the_function_lives() -> None:
    """A function that was compiled long ago still shows its lines; when it goes, they go."""
    function = build_function("lines", "divide", SOURCE, {"divisor": 1})
    filename = function.__code__.co_filename
    codegen._compile.cache_clear()
    assert linecache.getline(filename, 1) == "def divide(number):\n"
    del function
    assert filename not in linecache.cache
