"""The lines of the parts of batteries: what a route does not use is not in its handler."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from quaff import Quaff
from quaff.pipeline.compile import source_of
from quaff.pipeline.parts import Battery, Part, Target
from quaff.pipeline.phases import Stage
from quaff.pipeline.plan import make_plan
from quaff.pipeline.scope import Scope
from quaff.routing.router import Route
from tests.contracts.test_calls import answer, calls_of, environ


class Given(Battery):
    """A battery that gives the same parts everywhere."""

    def __init__(self, *parts: Part) -> None:
        self.parts = parts

    def parts_for(self, target: Target) -> Iterable[Part]:
        return self.parts


def nothing(*args: Any) -> None:
    """Stand for a guard, or for what adds headers."""


def finish(context: Any, response: Any) -> Any:
    """Stand for a finisher."""
    return response


def make_app(*parts: Part) -> Quaff:
    """Return an app with one view and one battery."""
    app = Quaff("part_steps", static_folder=None, compiled=True)
    app.add_url_rule("/", "view", lambda: "Hello, World!")
    app.add_battery(Given(*parts))
    return app


def source(*parts: Part, native: bool = False, endpoint: str | None = "view") -> str:
    """Return the source of the handler of a route with these parts."""
    app = make_app(*parts)
    route = None if endpoint is None else Route(app.url_map.rules_of(endpoint)[0])
    return source_of(make_plan(app, route, "GET", native=native), Scope({}, native=native))


def test_a_battery_that_gives_nothing_leaves_no_line() -> None:
    """A route for which a battery has no part is compiled as if there were no battery."""
    bare = Quaff("part_steps", static_folder=None, compiled=True)
    bare.add_url_rule("/", "view", lambda: "Hello, World!")
    expected = source_of(make_plan(bare, Route(bare.url_map.rules_of("view")[0]), "GET"), Scope({}))
    assert source() == expected


def test_constant_headers_stand_in_the_list() -> None:
    """Without a response object, constant headers cost no line of their own."""
    text = source(Part(stage=Stage.HEADERS, headers=(("X-A", "1"), ("X-B", "2"))))
    assert "str(len(body))), header_0, header_1]" in text
    assert "guard" not in text
    assert "put_headers(response, constant_headers)" in text


LINES = {
    "a guard": (Part(stage=Stage.LIMIT, guard=nothing), "rv = guard_0(context)"),
    "headers": (Part(stage=Stage.LIMIT, add_headers=nothing), "add_headers_0(context, code, wrapped)"),
    "a finisher": (Part(stage=Stage.LIMIT, finish=finish), "response = finish_0(context, response)"),
    "a spared finisher": (
        Part(stage=Stage.LIMIT, finish=finish, acts_on=lambda context, body: False),
        "if body is not None and (acts_on_0(context, body)):",
    ),
    "a finisher of bodies": (
        Part(stage=Stage.LIMIT, finish=finish, finish_body=lambda c, code, body, headers: body, min_size=9),
        "if body is not None and (len(body) >= 9):",
    ),
    "a noted finisher": (Part(stage=Stage.LIMIT, finish=finish, noted="n"), "if context.notes is not None:"),
}


@pytest.mark.parametrize("name", LINES)
def test_each_part_has_its_line(name: str) -> None:
    """A part that is there has its line; without it, that line is missing."""
    part, line = LINES[name]
    assert line in source(part)
    assert line not in source(Part(stage=Stage.HEADERS, headers=(("X-A", "1"),)))


def test_blocking_parts_go_to_a_thread_on_a_loop() -> None:
    """What may wait for a store is handed to a worker thread on an event loop; everything else is called there."""
    waits = Part(stage=Stage.LIMIT, guard=nothing, finish=finish, blocking=True)
    quick = Part(stage=Stage.CORS, guard=nothing, finish=finish)
    text = source(waits, quick, native=True)
    assert "rv = guard_0(context)" in text
    assert "rv = await run_in_thread(guard_1, context)" in text
    assert "response = await run_in_thread(finish_1, context, response)" in text
    assert "await" not in source(waits)


def test_the_code_of_an_error_is_told() -> None:
    """For requests without a route, the code is that of the finished answer."""
    assert "code = rv.code if kind is Answer else 200" in source(
        Part(stage=Stage.CORS, add_headers=nothing), endpoint=None
    )


COSTS = {
    "constant headers": (0, Part(stage=Stage.HEADERS, headers=(("X-A", "1"), ("Vary", "Origin")))),
    "a guard": (1, Part(stage=Stage.LIMIT, guard=nothing)),
    "headers of the request": (1, Part(stage=Stage.LIMIT, add_headers=nothing)),
    "what was not noted": (0, Part(stage=Stage.LIMIT, finish=finish, add_headers=nothing, noted="n")),
    "a body that is too short": (
        0,
        Part(stage=Stage.COMPRESS, finish=finish, finish_body=lambda c, code, body, headers: body, min_size=99),
    ),
    "a finisher of bodies": (
        1,
        Part(stage=Stage.COMPRESS, finish=finish, finish_body=lambda c, code, body, headers: body),
    ),
    "a finisher with nothing to do": (
        1,
        Part(stage=Stage.COMPRESS, finish=finish, acts_on=lambda context, body: False),
    ),
}
"""What it is -> Python calls that it adds to a request."""


@pytest.mark.parametrize("name", COSTS)
def test_what_parts_cost(name: str) -> None:
    """A part adds its own call to a request and nothing around it."""
    calls, part = COSTS[name]
    bare = Quaff("part_steps", static_folder=None, compiled=True)
    bare.add_url_rule("/", "view", lambda: "Hello, World!")
    assert _calls(make_app(part)) == _calls(bare) + calls


def _calls(app: Quaff) -> int:
    for _ in range(3):
        answer(app, environ("/"))
    return len(calls_of(answer, app, environ("/")))
