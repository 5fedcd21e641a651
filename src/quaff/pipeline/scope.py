"""The names that generated lines refer to, and how a line calls what the user registered.

A handler is a plain function or, for a route with something async on an event loop, a coroutine function. Both are made of
the same lines; they differ in how a call is written, and that is decided here and nowhere else:

                            in a plain function     in a coroutine function
    an async function       made synchronous        awaited
    a sync function         called                  handed to a worker thread, neighbours together
    code of Quaff's own     called                  called, or handed over if it may run code of the user's
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction
from itertools import groupby
from typing import Any

from .._internal.async_bridge import is_async


class Scope:
    """The names that generated lines refer to.

    :param native: whether the lines are for a coroutine function.
    """

    def __init__(self, names: dict[str, Any], *, native: bool = False) -> None:
        self.names = names
        self.native = native

    def add(self, name: str, value: Any) -> str:
        """Make *value* known as *name* and return the name."""
        self.names[name] = value
        return name

    def add_all(self, prefix: str, values: tuple[Any, ...]) -> list[str]:
        """Make values known as `prefix_0`, `prefix_1`, ... and return the names."""
        return [self.add(f"{prefix}_{index}", value) for index, value in enumerate(values)]

    def call(self, name: str, function: Callable[..., Any], arguments: str = "") -> str:
        """Return the expression that calls a function of the user's, which becomes known as *name*."""
        self.add(name, function)
        if not self.native or isasyncgenfunction(function):
            return f"{name}({arguments})"
        if iscoroutinefunction(function):
            return f"await {name}({arguments})"
        return self.hand_over(name, arguments)

    def hand_over(self, expression: str, arguments: str = "") -> str:
        """Return the call of something that may run synchronous code of the user's."""
        if not self.native:
            return f"{expression}({arguments})"
        # PERF: here, because `asyncio` is not loaded where nothing is native.
        from .._internal.threads import run_in_thread

        self.add("run_in_thread", run_in_thread)
        return f"await run_in_thread({expression}{', ' if arguments else ''}{arguments})"

    def calls(
        self, prefix: str, functions: tuple[Callable[..., Any], ...], together: Callable[..., Any], argument: str = ""
    ) -> list[str]:
        """Return the expressions that call *functions* one after the other.

        :param together: does in one call what calling several would do; for neighbours that go to one thread.
        """
        if not self.native:
            return [f"{name}({argument})" for name in self.add_all(prefix, functions)]
        expressions = []
        for index, (asynchronous, group) in enumerate(groupby(functions, is_async)):
            members = tuple(group)
            if asynchronous or len(members) == 1:
                expressions += [
                    self.call(f"{prefix}_{index}_{number}", member, argument) for number, member in enumerate(members)
                ]
            else:
                names = self.add(f"{prefix}_{index}", members)
                expressions.append(
                    self.hand_over(self.add(together.__name__, together), f"{names}, {argument}".rstrip(", "))
                )
        return expressions
