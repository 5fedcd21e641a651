"""The one place that turns source text into functions.

Generated functions keep their source: it is registered in `linecache`, so tracebacks and debuggers show the lines, and it
hangs on the function as `__quaff_source__`.
"""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import count
from types import CodeType
from typing import Any

_numbers = count(1)

_alive: dict[str, weakref.ref[CodeType]] = {}
"""File name -> its code: the lines stay in `linecache` as long as somebody can run them."""


def _forget(filename: str) -> None:
    linecache.cache.pop(filename, None)
    _alive.pop(filename, None)


@lru_cache(maxsize=512)
def _compile(kind: str, source: str) -> CodeType:
    # PERF: most routes of an app have the same shape, so their text is equal and only the names differ: one compilation.
    filename = f"<quaff {kind} {next(_numbers)}>"
    code = compile(source, filename, "exec", dont_inherit=True)
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    # The function's own code: that of the text around it goes when the cache here lets go of it.
    inner = next(const for const in code.co_consts if isinstance(const, CodeType))
    _alive[filename] = weakref.ref(inner, lambda _code: _forget(filename))
    return code


def build_function(kind: str, name: str, source: str, names: Mapping[str, object]) -> Callable[..., Any]:
    """Compile *source*, which defines function *name*, and return that function bound to *names* as its globals.

    :param kind: what the code is for, shown in tracebacks: `<quaff KIND 3>`.
    """
    scope: dict[str, Any] = dict(names)
    exec(_compile(kind, source), scope)  # noqa: S102 - the text is made by Quaff from registered rules and hooks
    function: Callable[..., Any] = scope[name]
    function.__quaff_source__ = source  # type: ignore[attr-defined]
    # The function would otherwise keep itself alive through its own globals.
    del scope[name]
    return function
