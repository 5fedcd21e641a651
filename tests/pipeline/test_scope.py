"""How the lines of a handler call what the user registered."""

from __future__ import annotations

from typing import Any

import pytest

from quaff._internal.threads import run_in_thread
from quaff.pipeline.handover import first_answer
from quaff.pipeline.scope import Scope


def plain() -> None:
    """Do nothing."""


async def coroutine() -> None:
    """Do nothing, on a loop."""


async def generator() -> Any:
    """Give nothing, on a loop."""
    yield


@pytest.mark.parametrize("function", [plain, coroutine, generator])
def test_a_plain_handler_calls(function: Any) -> None:
    """In a plain function everything is called: what is async was made synchronous before."""
    scope = Scope({})
    assert scope.call("view", function, "id=1") == "view(id=1)"
    assert scope.names == {"view": function}
    assert scope.hand_over("save", "context, response") == "save(context, response)"


@pytest.mark.parametrize(
    "function, expression",
    [
        (plain, "await run_in_thread(view, id=1)"),
        (coroutine, "await view(id=1)"),
        # Calling it runs nothing of it.
        (generator, "view(id=1)"),
    ],
)
def test_a_coroutine_awaits(function: Any, expression: str) -> None:
    """In a coroutine function what is async is awaited, and the rest goes to a worker thread."""
    scope = Scope({}, native=True)
    assert scope.call("view", function, "id=1") == expression
    assert scope.names["view"] is function
    assert scope.names.get("run_in_thread", run_in_thread) is run_in_thread


def test_nothing_stands_where_there_is_no_argument() -> None:
    """The text is Python with and without arguments."""
    assert Scope({}, native=True).hand_over("start") == "await run_in_thread(start)"
    assert Scope({}).hand_over("start") == "start()"


def test_neighbours_go_to_a_thread_together() -> None:
    """Two synchronous functions in a row cost one hand-over; an async one between others parts them."""
    scope = Scope({}, native=True)
    calls = scope.calls("before", (plain, plain, coroutine, plain), first_answer)
    assert calls == [
        "await run_in_thread(first_answer, before_0)",
        "await before_1_0()",
        "await run_in_thread(before_2_0)",
    ]
    assert scope.names["before_0"] == (plain, plain)
    assert scope.names["first_answer"] is first_answer


def test_in_a_plain_handler_each_is_called_by_itself() -> None:
    """One line for each function, in their order, with what they are given."""
    assert Scope({}).calls("after", (plain, plain), first_answer, "response") == [
        "after_0(response)",
        "after_1(response)",
    ]


def test_the_argument_goes_along() -> None:
    """Neighbours are given it as one."""
    calls = Scope({}, native=True).calls("after", (plain, plain), first_answer, "response")
    assert calls == ["await run_in_thread(first_answer, after_0, response)"]
