"""The lines of the parts that batteries give to a route: guards, finishers and headers. See `steps.py` for the names."""

from __future__ import annotations

from ..headers import Headers
from .parts import put_headers
from .plan import Plan
from .scope import Scope


def guard_lines(plan: Plan, scope: Scope) -> list[str]:
    """Call the guards until one answers."""
    lines: list[str] = []
    for index, part in enumerate(plan.parts.guards):
        call = _call(scope, f"guard_{index}", part.guard, "context", blocking=part.blocking)
        lines += ["if rv is None:", f"    rv = {call}"] if lines else [f"rv = {call}"]
    return lines


def _call(scope: Scope, name: str, function: object, arguments: str, *, blocking: bool) -> str:
    scope.add(name, function)
    return scope.hand_over(name, arguments) if blocking else f"{name}({arguments})"


def constant_names(plan: Plan, scope: Scope) -> str:
    """Return the constant headers as what follows other headers in a list: `, header_0, header_1`, or nothing."""
    names = scope.add_all("header", plan.parts.headers)
    return "".join(f", {name}" for name in names)


def acts_lines(plan: Plan, scope: Scope) -> list[str]:
    """Give up the direct way for a body that a finisher has to act on."""
    acting = [part.acts_on for part in plan.parts.finishers if part.finish is not None and part.acts_on is not None]
    if not acting:
        return []
    calls = [f"{name}(context, body)" for name in scope.add_all("acts_on", tuple(acting))]
    # The body is kept: turning a large dict into JSON twice would cost more than the rest of the request.
    return ["acted = None", f"if body is not None and ({' or '.join(calls)}):", "    acted, body = body, None"]


def acted_expression(plan: Plan, made: str) -> str:
    """Return the expression for the response object: of the body that a finisher acts on, or else *made*."""
    if all(part.finish is None or part.acts_on is None for part in plan.parts.finishers) or plan.wants_response:
        return made
    # An error that was finished beforehand has a status of its own.
    is_plain = "acted is not None and kind is not Answer" if plan.may_be_answered else "acted is not None"
    return f"of_body(acted, headers[0][1]) if {is_plain} else {made}"


def direct_header_lines(plan: Plan, scope: Scope) -> list[str]:
    """Add the headers of a request to those that are sent without a response object."""
    adding = tuple(part.add_headers for part in plan.parts.finishers if part.add_headers is not None)
    if not adding:
        return []
    scope.add("Headers", Headers)
    code = "rv.code if kind is Answer else 200" if plan.may_be_answered else "200"
    # PERF: what `Headers.wrap` does, without the call; `new` is that of `object`.
    lines = [f"code = {code}", "wrapped = new(Headers)", "wrapped._list = headers"]
    lines += [f"{name}(context, code, wrapped)" for name in scope.add_all("add_headers", adding)]
    return [*lines, "headers = wrapped._list"]


def finish_lines(plan: Plan, scope: Scope) -> list[str]:
    """Let the parts finish a response object; these lines stand inside the branch that has one."""
    lines = []
    for index, part in enumerate(plan.parts.finishers):
        if part.finish is not None:
            call = _call(scope, f"finish_{index}", part.finish, "context, response", blocking=part.blocking)
            lines.append(f"    response = {call}")
        if part.add_headers is not None:
            name = scope.add(f"add_to_response_{index}", part.add_headers)
            lines.append(f"    {name}(context, response.status_code, response.headers)")
    if plan.parts.headers:
        scope.add("put_headers", put_headers)
        scope.add("constant_headers", plan.parts.headers)
        lines.append("    put_headers(response, constant_headers)")
    return lines
