"""Assembles the lines of the phases into one function per route and method: a plain one, or a coroutine function.

The frame around the phases is that of `reference.py`: an error of a hook or the view goes to `handle_user_exception`, an
error after that to `handle_exception`, and the request is ended whatever happens. Read first: `docs/design.md`, which
shows a generated function, and `tests/pipeline/test_compile.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._internal.codegen import build_function
from ..ctx import RequestContext
from ..globals import NO_CONTEXT, current_context
from .ending import end_request
from .handover import handle_error
from .phases import Phase
from .plan import Plan
from .results import finish_anew
from .scope import Scope
from .steps import STEPS, answer_lines

Handler = Callable[..., Any]


def _names(plan: Plan, ask_the_map: Handler) -> dict[str, Any]:
    return {
        "BaseException": BaseException,
        "Exception": Exception,
        "NO_CONTEXT": NO_CONTEXT,
        "RequestContext": RequestContext,
        "app": plan.app,
        "ask_the_map": ask_the_map,
        "compiled_at": plan.revision,
        "end_request": end_request,
        "ensure_sync": plan.app.ensure_sync,
        "finish_anew": finish_anew,
        "get_bound": current_context.get,
        "int": int,
        "new": object.__new__,
        "reset_bound": current_context.reset,
        "revision": plan.app._revision,
        "set_bound": current_context.set,
    }


def source_of(plan: Plan, scope: Scope) -> str:
    """Return the source of the handler for *plan*, and put the names that it uses into *scope*."""

    def phase(which: Phase, depth: int) -> list[str]:
        return ["    " * depth + line for line in STEPS[which](plan, scope)]

    arguments = "exchange, captured" if scope.native else "environ, start_response, captured"
    lines = [f"{'async ' if scope.native else ''}def handle({arguments}):"]
    lines += phase(Phase.BIND, 1)
    lines += ["    error = None", "    try:", "        try:"]
    lines += phase(Phase.OPEN, 3)
    lines += ["            try:"]
    lines += phase(Phase.START, 4) + phase(Phase.GUARD, 4) + phase(Phase.BEFORE, 4) + phase(Phase.VIEW, 4)
    lines += [
        "            except Exception as exception:",
        f"                rv = {_answer_to_error('app.handle_user_exception', scope)}",
    ]
    lines += [
        "            if revision.value != compiled_at:",
        f"                response = {scope.hand_over('finish_anew', 'app, rv')}",
        "            else:",
    ]
    for which in (Phase.RESULT, Phase.AFTER, Phase.SESSION, Phase.FINISH, Phase.FINISHED):
        lines += phase(which, 4)
    lines += [
        "        except Exception as exception:",
        "            error = exception",
        f"            response = {_answer_to_error('app.handle_exception', scope)}",
        "        except BaseException as exception:",
        "            error = exception",
        "            raise",
    ]
    lines += phase(Phase.SEND, 2)
    lines += ["    finally:"]
    lines += phase(Phase.END, 2)
    # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
    lines += ["        error = None"]
    lines += ["    " + line for line in answer_lines(scope)]
    return "\n".join(lines) + "\n"


def _answer_to_error(method: str, scope: Scope) -> str:
    if not scope.native:
        return f"{method}(exception)"
    scope.add("handle_error", handle_error)
    return scope.hand_over("handle_error", f"{method}, exception")


def compile_handler(plan: Plan, ask_the_map: Handler) -> Handler:
    """Return the function that serves the requests of *plan*'s route and method; a coroutine function for a native plan.

    :param ask_the_map: serves the request in the reference pipeline, when a converter refuses a value.
    """
    scope = Scope(_names(plan, ask_the_map), native=plan.native)
    source = source_of(plan, scope)
    return build_function("pipeline", "handle", source, scope.names)
