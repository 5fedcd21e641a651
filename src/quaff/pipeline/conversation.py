"""The life of a WebSocket connection: hooks, handler, and how it ends.

It is opened rarely and lives long, so nothing of it is compiled: this is the only way, for apps in either pipeline. The
order is that of a request: URL value preprocessors and before_websocket functions (the first answer refuses the
connection), the handler, after_websocket functions, teardown_websocket and teardown_appcontext functions. Async functions
run on the loop, synchronous ones in worker threads, a synchronous handler in a thread of its own.

However it ends, exactly one of these is true afterwards: the handshake was refused with a status, or the connection was
closed with a code. Read first: `tests/protocols/test_websockets.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable
from contextlib import aclosing, closing, suppress
from contextvars import copy_context
from functools import partial
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Any, Final

from .._internal.async_bridge import copy_back, is_async
from .._internal.threads import run_in_new_thread, run_in_thread
from ..errors import WebSocketDisconnect
from ..globals import current_context
from ..websockets import GOING_AWAY, INTERNAL_ERROR, BlockingWebSocket, Connection, State, WebSocket
from .handover import handle_error, parts_of

GOODBYE: Final = 1.0
"""Seconds for the closing frame when the server stops."""


async def converse(app: Any, connection: Connection) -> None:
    """Serve one WebSocket connection of *app*."""
    environ = connection.environ()
    trust = app.current_table().trust
    if trust is not None:
        trust.correct(environ)
    context = app.request_context(environ)
    websocket = context.made_websocket = WebSocket(connection, context.request, app.config)
    app.__dict__["_got_first_request"] = True
    error: BaseException | None = None
    try:
        try:
            await run_in_thread(context.push)
            await _dispatch(app, context, websocket)
        except WebSocketDisconnect as disconnect:
            _note_disconnect(app, websocket, disconnect)
        except asyncio.CancelledError as cancelled:
            error = cancelled
            await _say_goodbye(websocket)
            raise
        except Exception as exception:
            error = exception
            await _answer_error(app, websocket, exception)
    finally:
        await run_in_thread(_pop, context, error)
        error = None
        if context.after_response_calls is not None:
            from ..after_response import run_after_response

            run_after_response(app, context.after_response_calls)


def _pop(context: Any, error: BaseException | None) -> None:
    if current_context.get().request_context is context:
        context.pop(error)


def _note_disconnect(app: Any, websocket: WebSocket, disconnect: WebSocketDisconnect) -> None:
    """A client that leaves is no error. One that breaks a limit is worth a line."""
    if disconnect.reason:
        app.logger.warning("WebSocket %s closed: %s", ascii(websocket.path)[1:-1], disconnect.reason)


async def _say_goodbye(websocket: WebSocket) -> None:
    """Close or refuse the connection because the server stops, which cannot wait for a client that does not read."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GOODBYE):
            await websocket.close(GOING_AWAY)


async def _call(function: Callable[..., Any], *args: Any) -> Any:
    if is_async(function):
        return await function(*args)
    return await run_in_thread(function, *args)


def _functions(registry: Any, names: Iterable[str | None]) -> list[Callable[..., Any]]:
    return [function for name in names for function in registry.get(name, ())]


async def _dispatch(app: Any, context: Any, websocket: WebSocket) -> None:
    request = context.request
    try:
        result = await _find_result(app, context, websocket)
    except WebSocketDisconnect:
        raise
    except Exception as error:
        if websocket.state is not State.CONNECTING:
            raise
        result = await run_in_thread(handle_error, app.handle_user_exception, error)
    response = None
    if websocket.state is State.CONNECTING and result is not None:
        response = await run_in_thread(app.make_response, result)
        parts = app.parts_of_app.of_request(app, request)
        if parts.parts:
            response = await run_in_thread(parts.finish, context, response)
    # Such an error may be the result, and holds this frame through its traceback: the two would make a cycle.
    del result
    for name in (*request.blueprints, None):
        for after in reversed(app.after_websocket_funcs.get(name, ())):
            response = await _call(after, response)
    await _finish(app, websocket, response)


async def _find_result(app: Any, context: Any, websocket: WebSocket) -> Any:
    """Run what comes before the handler, and the handler; return what refuses the connection, or None."""
    request = context.request
    if app.has_first_request_functions():
        await run_in_thread(app.run_first_request_functions)
    names = (None, *reversed(request.blueprints))
    for preprocess in _functions(app.url_value_preprocessors, names):
        await run_in_thread(preprocess, request.endpoint, request.view_args)
    parts = app.parts_of_app.of_request(app, request)
    if parts.guards:
        result = await run_in_thread(parts.guard, context)
        if result is not None:
            return result
    for before in _functions(app.before_websocket_funcs, names):
        result = await _call(before)
        if result is not None:
            return result
    if request.routing_exception is not None:
        raise request.routing_exception
    return await _run_handler(app.view_functions[request.url_rule.endpoint], request.view_args, websocket)


async def _run_handler(handler: Callable[..., Any], values: dict[str, Any], websocket: WebSocket) -> Any:
    if isasyncgenfunction(handler):
        # COMPAT: Quart sends what such a handler yields.
        async with aclosing(handler(**values)) as messages:
            async for message in messages:
                await websocket.send(message)
        return None
    if is_async(handler):
        return await handler(**values)
    if isgeneratorfunction(handler):
        handler = partial(_send_yielded, handler, websocket.blocking)
    return await _run_in_own_thread(handler, values, websocket)


def _send_yielded(
    handler: Callable[..., Generator[Any, None, None]], websocket: BlockingWebSocket, **values: Any
) -> None:
    with closing(handler(**values)) as messages:
        for message in messages:
            websocket.send(message)


async def _run_in_own_thread(handler: Callable[..., Any], values: dict[str, Any], websocket: WebSocket) -> Any:
    """Run a synchronous handler. When the server stops, the thread is woken from what it waits for, and ends first."""
    context = copy_context()
    running = asyncio.get_running_loop().create_task(run_in_new_thread(handler, **values), context=context)
    try:
        result = await asyncio.shield(running)
    except asyncio.CancelledError:
        await _say_goodbye(websocket)
        websocket.interrupt_threads()
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        failure = None if running.cancelled() else running.exception()
        if failure is None or isinstance(failure, WebSocketDisconnect):
            raise
        raise failure from None
    finally:
        # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
        running = failure = None  # type: ignore[assignment]  # they are done with
    copy_back(context)
    return result


async def _finish(app: Any, websocket: WebSocket, response: Any) -> None:
    """End a connection whose handler has returned."""
    if websocket.state is not State.CONNECTING:
        await websocket.close()
    elif response is None:
        app.logger.warning("WebSocket %s refused: its handler never accepted it", ascii(websocket.path)[1:-1])
        await websocket.close()
    else:
        await _refuse(websocket, response)


async def _refuse(websocket: WebSocket, response: Any) -> None:
    status, headers, body = parts_of(response, websocket.environ)
    if not isinstance(body, bytes):
        body = await run_in_thread(_join, body)
    await websocket.refuse(status, headers, body)


def _join(body: Iterable[bytes]) -> bytes:
    try:
        return b"".join(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


async def _answer_error(app: Any, websocket: WebSocket, error: Exception) -> None:
    """End a connection because of an error that nobody handled, and log it; in testing and debug mode raise it again."""
    is_refused = websocket.state is State.CONNECTING
    if not is_refused:
        await websocket.close(INTERNAL_ERROR)
    try:
        response = await run_in_thread(handle_error, app.handle_exception, error)
    except Exception:
        if is_refused:
            await websocket.refuse("500 INTERNAL SERVER ERROR", [("Content-Length", "0")], b"")
        raise
    if is_refused:
        await _refuse(websocket, response)
