"""The lines of the parts that batteries give to a route: guards, finishers and headers. See `steps.py` for the names."""

from __future__ import annotations

from ..headers import Headers
from .parts import Part, put_headers
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


def _condition(part: Part, *, sized: bool) -> list[str]:
    """Return the tests without which nothing of a part is called."""
    tests = [] if part.noted is None else [f"context.notes is not None and {part.noted!r} in context.notes"]
    return [*tests, f"len(body) >= {part.min_size}"] if sized and part.min_size else tests


def acts_lines(plan: Plan, scope: Scope) -> list[str]:
    """Give up the direct way for a body that a finisher has to act on."""
    conditions = []
    for index, part in enumerate(plan.parts.finishers):
        if not _may_act(part):
            continue
        tests = _condition(part, sized=True)
        if part.acts_on is not None:
            tests.append(f"{scope.add(f'acts_on_{index}', part.acts_on)}(context, body)")
        conditions.append(" and ".join(tests))
    if not conditions:
        return []
    # The body is kept: turning a large dict into JSON twice would cost more than the rest of the request.
    return [f"if body is not None and ({' or '.join(conditions)}):", "    acted, body = body, None"]


def direct_finish_lines(plan: Plan, scope: Scope) -> list[str]:
    """Finish what is sent without a response object, unless a finisher has to act on it."""
    lines = [*acts_lines(plan, scope), *_direct_lines(plan, scope)]
    if lines and all(part.noted is not None for part in plan.parts.finishers):
        # PERF: nothing is noted in most requests, and in none that was answered first of all.
        answered = "kind is not Answer and " if plan.answers_first else ""
        lines = [f"if {answered}context.notes is not None:", *(f"    {line}" for line in lines)]
    return ["acted = None", *lines] if any(map(_may_act, plan.parts.finishers)) else lines


def _may_act(part: Part) -> bool:
    """Tell whether a part may give up the direct way."""
    return part.finish is not None and (part.acts_on is not None or part.finish_body is None)


def acted_expression(plan: Plan, made: str) -> str:
    """Return the expression for the response object: of the body that a finisher acts on, or else *made*."""
    if plan.wants_response or not any(map(_may_act, plan.parts.finishers)):
        return made
    # An error that was finished beforehand has a status of its own.
    is_plain = "acted is not None and kind is not Answer" if plan.may_be_answered else "acted is not None"
    return f"of_body(acted, headers[0][1]) if {is_plain} else {made}"


def _direct_lines(plan: Plan, scope: Scope) -> list[str]:
    """Add the headers of the request, and change the body."""
    lines: list[str] = []
    conditions: list[str] = []
    for index, part in enumerate(plan.parts.finishers):
        calls = []
        if part.finish_body is not None:
            name = scope.add(f"finish_body_{index}", part.finish_body)
            calls.append(f"body = {name}(context, code, body, wrapped)")
        if part.add_headers is not None:
            calls.append(f"{scope.add(f'add_headers_{index}', part.add_headers)}(context, code, wrapped)")
        tests = " and ".join(_condition(part, sized=part.add_headers is None))
        conditions += [tests] if calls else []
        lines += [f"if {tests}:", *(f"    {call}" for call in calls)] if tests and calls else calls
    if not lines:
        return []
    scope.add("Headers", Headers)
    code = "rv.code if kind is Answer else 200" if plan.may_be_answered else "200"
    # PERF: what `Headers.wrap` does, without the call; `new` is that of `object`.
    lines = [f"code = {code}", "wrapped = new(Headers)", "wrapped._list = headers", *lines, "headers = wrapped._list"]
    wanted = f" and ({' or '.join(conditions)})" if all(conditions) else ""
    return [f"if body is not None{wanted}:", *(f"    {line}" for line in lines)]


def finish_lines(plan: Plan, scope: Scope) -> list[str]:
    """Let the parts finish a response object; these lines stand inside the branch that has one."""
    lines: list[str] = []
    for index, part in enumerate(plan.parts.finishers):
        calls = []
        if part.finish is not None:
            call = _call(scope, f"finish_{index}", part.finish, "context, response", blocking=part.blocking)
            calls.append(f"response = {call}")
        if part.add_headers is not None:
            name = scope.add(f"add_to_response_{index}", part.add_headers)
            calls.append(f"{name}(context, response.status_code, response.headers)")
        tests = " and ".join(_condition(part, sized=False))
        lines += (
            [f"    if {tests}:", *(f"        {call}" for call in calls)] if tests else [f"    {call}" for call in calls]
        )
    if not plan.parts.headers:
        return lines
    scope.add("put_headers", put_headers)
    scope.add("constant_headers", plan.parts.headers)
    put = "put_headers(response, constant_headers)"
    if any(part.finish is not None for part in plan.parts.finishers):
        # SECURITY: a finisher's own response has them too.
        lines = ["    given = response", *lines, "    if response is not given:", f"        {put}"]
    return [f"    {put}", *lines]
