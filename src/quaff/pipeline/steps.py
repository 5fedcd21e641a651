"""The lines of each phase.

A step is a function that takes the plan and a `Scope` and returns source lines for its phase, without indentation; names
that the lines use go into the scope, which also writes the calls (`scope.py`). A step that has nothing to do for a plan
returns no lines. Lines may use:

    environ, start_response, captured       the arguments of a plain handler
    exchange, captured                      the arguments of a coroutine handler: the request as the server gave it
    context                                 the request context
    rv                                      what a before hook or the view returned
    response                                the response object, None while there is none
    body, headers, status                   what is sent when there is no response object
"""

from __future__ import annotations

import keyword
from collections.abc import Callable

from .. import signals
from .ending import close_app_context
from .handover import first_answer, parts_of, pass_on, preprocess_all
from .opening import announce_app_context, open_session_first
from .part_steps import acted_expression, constant_names, direct_finish_lines, finish_lines, guard_lines
from .phases import Phase
from .plan import Plan
from .results import (
    HTML,
    JSON,
    LENGTHS,
    Answer,
    make_plain_response,
    opens_session_to_refresh,
    run_after_functions,
    save_session,
)
from .scope import Scope

Step = Callable[[Plan, Scope], list[str]]


def bind_lines(plan: Plan, scope: Scope) -> list[str]:
    """Make the context and bind it. The context is filled here: calling its `__init__` would cost as much again."""
    origin = "context.exchange = exchange" if scope.native else "context.environ = environ"
    lines = ["context = new(RequestContext)", "context.app = app", origin]
    if plan.route is None:
        lines += ["context.routing_failure = captured"]
    elif not plan.eager_session:
        lines += ["context.route = route"]
        if plan.route.names:
            lines += ["context.captured = captured"]
        if _converts_itself(plan):
            lines += ["context.values = values"]
    if plan.route is not None:
        scope.add("route", plan.route)
    if _converts_itself(plan):
        lines = [*_conversion_lines(plan, scope), *lines]
    if plan.eager_request:
        # Before the context is bound, as in Flask: what the class raises goes to the server.
        lines.append("context.request")
    return [
        *lines,
        "bound = get_bound()",
        "if bound is not NO_CONTEXT:",
        "    context.inherit(bound)",
        *(["if context.owns_app_context:", "    context.g"] if plan.eager_globals else []),
        "token = set_bound(context)",
    ]


def _converts_itself(plan: Plan) -> bool:
    """Whether the values are converted once, up front: when a converter may refuse, or a name is no name in a call."""
    route = plan.route
    return route is not None and not (
        all(route.conversion(index) is not None for index in range(len(route.names)))
        and all(_can_be_written(name) for name in (*route.names, *route.defaults))
    )


def _can_be_written(name: object) -> bool:
    """Tell whether `view(NAME=...)` is Python, and means that name. Default values may have any string as name."""
    return isinstance(name, str) and name.isascii() and name.isidentifier() and not keyword.iskeyword(name)


def _conversion_lines(plan: Plan, scope: Scope) -> list[str]:
    scope.add("ValueError", ValueError)
    return [
        "try:",
        "    values = route.convert(*captured)",
        "except ValueError:",
        f"    return {'await exchange.run_in_thread()' if scope.native else 'ask_the_map(environ, start_response)'}",
    ]


def open_lines(plan: Plan, scope: Scope) -> list[str]:
    """Signal that the app context is there, and let an interface of the user's own open the session."""
    lines = []
    if plan.signals_pushed:
        scope.add("announce_app_context", announce_app_context)
        lines += ["if context.owns_app_context:", f"    {scope.hand_over('announce_app_context', 'context, bound')}"]
    if plan.eager_session:
        scope.add("open_session_first", open_session_first)
        values = "values" if _converts_itself(plan) else "route.convert(*captured)"
        matched = "None, None" if plan.route is None else f"route, {values}"
        lines.append(scope.hand_over("open_session_first", f"context, {matched}"))
    return lines


def start_lines(plan: Plan, scope: Scope) -> list[str]:
    """Run what comes before all hooks."""
    lines = []
    if plan.first_request:
        lines.append(scope.hand_over("app.run_first_request_functions"))
    if plan.signals_started:
        scope.add("request_started", signals.request_started)
        lines.append(scope.hand_over("request_started.send", "app, _async_wrapper=ensure_sync"))
    if plan.preprocessors and not scope.native:
        lines.append("request = context.request")
        names = scope.add_all("preprocess", plan.preprocessors)
        lines += [f"{name}(request.endpoint, request.view_args)" for name in names]
    elif plan.preprocessors:
        scope.add("preprocessors", plan.preprocessors)
        scope.add("preprocess_all", preprocess_all)
        lines.append(scope.hand_over("preprocess_all", "preprocessors, context.request"))
    return lines


def before_lines(plan: Plan, scope: Scope) -> list[str]:
    """Run the before_request functions until one answers."""
    lines: list[str] = []
    for call in scope.calls("before", plan.before, first_answer):
        lines += ["if rv is None:", f"    rv = {call}"] if lines or plan.parts.guards else [f"rv = {call}"]
    return lines


def view_lines(plan: Plan, scope: Scope) -> list[str]:
    """Call the view, or give the answer for a request without a route."""
    lines = _view_call(plan, scope)
    if plan.answer is not None:
        scope.add("answer_in_place", plan.answer)
        lines = ["rv = answer_in_place(context)", "if rv is None:", *(f"    {line}" for line in lines)]
    if plan.before or plan.parts.guards:
        return ["if rv is None:", *(f"    {line}" for line in lines)]
    return lines


def _view_call(plan: Plan, scope: Scope) -> list[str]:
    route = plan.route
    if plan.app.overrides("dispatch_request"):
        return ["rv = app.dispatch_request()"]
    if route is None:
        # What `handle_user_exception` would return, found out when the answer was made.
        return ["rv = captured.outcome(context)"]
    if plan.view is None:
        return ["rv = app.make_default_options_response()"]
    if _converts_itself(plan):
        arguments = "**values"
    else:
        pairs = [f"{name}={expression}" for name, expression in _argument_expressions(plan, scope)]
        arguments = ", ".join(pairs)
    if plan.may_see_arguments and (route.names or route.defaults):
        return [
            "request = context.made_request",
            "if request is None:",
            f"    rv = {scope.call('view', plan.view, arguments)}",
            "else:",
            f"    rv = {scope.call('view', plan.view, '**request.view_args')}",
        ]
    return [f"rv = {scope.call('view', plan.view, arguments)}"]


def _argument_expressions(plan: Plan, scope: Scope) -> list[tuple[str, str]]:
    route = plan.route
    if route is None:
        return []
    found = {}
    for index, name in enumerate(route.names):
        expression = route.conversion(index)
        if expression is not None:
            found[name] = expression.format(text=f"captured[{index}]")
    for index, (name, value) in enumerate(route.defaults.items()):
        found[name] = scope.add(f"default_{index}", value)
    return list(found.items())


def result_lines(plan: Plan, scope: Scope) -> list[str]:
    """Turn the result into bytes when nobody wants a response object, else into a response."""
    scope.add("type", type)
    lines = ["response = None"]
    if not plan.wants_response:
        lines += [*_direct_lines(plan, scope), *direct_finish_lines(plan, scope)]
        lines.append("if body is None:")
    else:
        lines.append("if True:")
    if plan.plain_responses:
        scope.add("make_plain_response", make_plain_response)
        scope.add("str", str)
        scope.add("html", HTML[1])
        scope.add("of_body", plan.app.response_class.of_body)
        # PERF: the commonest result without the call in between.
        made = "of_body(rv.encode(), html) if type(rv) is str else make_plain_response(app, rv)"
        lines.append(f"    response = {acted_expression(plan, made)}")
    elif plan.may_be_answered:
        scope.add("Answer", Answer)
        made = "rv.response(app.response_class) if type(rv) is Answer else rv"
        lines.append(f"    response = app.make_response({made})")
    else:
        lines.append("    response = app.make_response(rv)")
    return lines


def _direct_lines(plan: Plan, scope: Scope) -> list[str]:
    scope.add("len", len)
    scope.add("str", str)
    scope.add("HTML", HTML)
    scope.add("lengths", LENGTHS)
    constants = constant_names(plan, scope)
    length = f"lengths[len(body)] if len(body) < 2048 else ('Content-Length', str(len(body))){constants}"
    # PERF: attributes of the context's class answer both tests; only a request that used them has its own.
    guard = "context.after_functions is None and context.opened_session is None"
    if plan.refreshes_session:
        scope.add("opens_session_to_refresh", opens_session_to_refresh)
        guard += f" and not ({_HAS_COOKIE[scope.native]} and opens_session_to_refresh(context))"
    finished = ["    body = rv.body", f"    headers = [*rv.headers{constants}]", "    status = rv.status"]
    if plan.may_be_answered:
        scope.add("Answer", Answer)
    lines = [
        "if kind is str:",
        "    body = rv.encode()",
        f"    headers = [HTML, {length}]",
        "    status = '200 OK'",
    ]
    if plan.plain_json:
        lines += _json_lines(plan, scope, length)
    scope.add("bytes", bytes)
    lines += [
        "elif kind is bytes:",
        "    body = rv",
        f"    headers = [HTML, {length}]",
        "    status = '200 OK'",
    ]
    if plan.answers_first:
        lines = ["if kind is Answer:", *finished, f"elif {guard}:", *(f"    {line}" for line in lines)]
        return ["body = None", "kind = type(rv)", *lines]
    if plan.route is None or plan.answer is not None:
        # PERF: what is the commonest comes first.
        lines = ["if kind is Answer:", *finished, f"el{lines[0]}", *lines[1:]]
    elif plan.may_be_answered:
        lines += ["elif kind is Answer:", *finished]
    return ["body = None", f"if {guard}:", "    kind = type(rv)", *(f"    {line}" for line in lines)]


def _json_lines(plan: Plan, scope: Scope, length: str) -> list[str]:
    scope.add("dict", dict)
    scope.add("list", list)
    scope.add("JSON", JSON)
    scope.add("provider", plan.app.json)
    encode = plan.app.json.body_encoder()
    body = ["    body = provider.response_body(rv)"]
    if encode is not None:
        scope.add("encode", encode)
        scope.add("RecursionError", RecursionError)
        # PERF: the settings are looked at when the route is compiled; what is circular or too deep is told apart elsewhere.
        body = [
            "    try:",
            "        body = (''.join(encode(rv, 0)) + '\\n').encode()",
            "    except RecursionError:",
            f"    {body[0]}",
        ]
    return [
        "elif kind is dict or kind is list:",
        *body,
        f"    headers = [JSON, {length}]",
        "    status = '200 OK'",
    ]


def after_lines(plan: Plan, scope: Scope) -> list[str]:
    """Run the after_request functions; these lines stand inside the branch that has a response."""
    scope.add("run_after_functions", run_after_functions)
    lines = [
        "    if context.after_functions is not None:",
        f"        response = {scope.hand_over('run_after_functions', 'context, response')}",
    ]
    return [*lines, *(f"    response = {call}" for call in scope.calls("after", plan.after, pass_on, "response"))]


def session_lines(plan: Plan, scope: Scope) -> list[str]:
    """Save the session if it was opened."""
    scope.add("save_session", save_session)
    opened = "context.opened_session is not None"
    if plan.wants_response and plan.refreshes_session:
        # Without the direct way nobody has looked yet.
        scope.add("opens_session_to_refresh", opens_session_to_refresh)
        opened = f"({opened} or {_HAS_COOKIE[scope.native]} and opens_session_to_refresh(context))"
    # The interface of our own only computes; another one may go to a store.
    call = (
        scope.hand_over("save_session", "context, response")
        if plan.eager_session
        else "save_session(context, response)"
    )
    return [f"    if {opened}:", f"        {call}"]


def finished_lines(plan: Plan, scope: Scope) -> list[str]:
    """Signal that the response is complete."""
    if not plan.signals_finished:
        return []
    scope.add("request_finished", signals.request_finished)
    arguments = "app, _async_wrapper=ensure_sync, response=response"
    return [f"    {scope.hand_over('request_finished.send', arguments)}"]


def send_lines(plan: Plan, scope: Scope) -> list[str]:
    """Hand status, headers and body to the server; in a coroutine, have them ready for `answer_lines`."""
    # RFC: 9110 section 9.3.2: HEAD has the headers of GET and no content.
    is_head = "environ['REQUEST_METHOD'] == 'HEAD'" if plan.route is None else str(plan.method == "HEAD")
    if scope.native:
        scope.add("parts_of", parts_of)
        lines = [] if plan.wants_response else ["if response is not None:"]
        lines.append(f"{'    ' * len(lines)}status, headers, body = parts_of(response, context.environ)")
        return [*lines, *(["else:", "    body = b''"] if plan.method == "HEAD" and not plan.wants_response else [])]
    if plan.wants_response:
        return ["return response(environ, start_response)"]
    # PERF: Granian sends a list of one bytes object without iterating; any other iterable costs a fifth.
    body = {"True": "[]", "False": "[body]"}.get(is_head, f"[] if {is_head} else [body]")
    return [
        "if response is not None:",
        "    return response(environ, start_response)",
        "start_response(status, headers)",
        f"return {body}",
    ]


def answer_lines(scope: Scope) -> list[str]:
    """Send what a coroutine has ready, after the request was torn down: a WSGI server does it in this order too."""
    if not scope.native:
        return []
    return ["waiting = exchange.answer(status, headers, body)", "if waiting is not None:", "    await waiting"]


def end_lines(plan: Plan, scope: Scope) -> list[str]:
    """Unbind the context, after the teardown functions if there are any."""
    end = scope.hand_over("end_request", "context, token, error")
    if plan.tears_down:
        return [end]
    conditions = ["get_bound() is not context", "revision.value != compiled_at"]
    if not scope.native:
        conditions.insert(1, "'werkzeug.debug.preserve_context' in environ")
    unbind = [
        "reset_bound(token)",
        "request = context.made_request",
        "if request is not None:",
        f"    {'' if plan.eager_request else 'if request._has_files: '}request.close()",
        f"    {'request.' if scope.native else ''}environ['werkzeug.request'] = None",
    ]
    if plan.may_close:
        scope.add("close_app_context", close_app_context)
        close = scope.hand_over("close_app_context", "context, error")
        unbind = ["try:", f"    if context.has_closers: {close}", "finally:", *(f"    {line}" for line in unbind)]
    return [f"if {' or '.join(conditions)}:", f"    {end}", "else:", *(f"    {line}" for line in unbind)]


_HAS_COOKIE = {False: "'HTTP_COOKIE' in environ", True: "exchange.has_cookie()"}
"""How a plain handler and a coroutine see whether the request has a cookie."""


STEPS: dict[Phase, Step] = {
    Phase.BIND: bind_lines,
    Phase.OPEN: open_lines,
    Phase.START: start_lines,
    Phase.GUARD: guard_lines,
    Phase.BEFORE: before_lines,
    Phase.VIEW: view_lines,
    Phase.RESULT: result_lines,
    Phase.AFTER: after_lines,
    Phase.SESSION: session_lines,
    Phase.FINISH: finish_lines,
    Phase.FINISHED: finished_lines,
    Phase.SEND: send_lines,
    Phase.END: end_lines,
}
"""What writes the lines of each phase."""
