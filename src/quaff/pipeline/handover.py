"""What a coroutine handler hands to a worker thread as one call, and what it makes of a response object."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..streaming import AsyncBody


def first_answer(functions: tuple[Callable[..., Any], ...]) -> Any:
    """Call before_request functions until one answers; return the answer, or None."""
    for function in functions:
        answer = function()
        if answer is not None:
            return answer
    return None


def pass_on(functions: tuple[Callable[..., Any], ...], response: Any) -> Any:
    """Pass a response through after_request functions."""
    for function in functions:
        response = function(response)
    return response


def preprocess_all(functions: tuple[Callable[..., Any], ...], request: Any) -> None:
    """Call URL value preprocessors."""
    for function in functions:
        function(request.endpoint, request.view_args)


def handle_error(method: Callable[[Exception], Any], error: Exception) -> Any:
    """Let one of the app's methods answer an error. They look at `sys.exc_info()`, so it is raised here once more."""
    try:
        raise error
    except Exception:
        return method(error)
    finally:
        # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
        del error


def parts_of(response: Any, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes | Iterable[bytes]]:
    """Return status line, headers and body of a response: bytes, an `AsyncBody`, or an iterable of bytes."""
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        started[:] = [status, headers]
        return _refuse_write

    body: Any = response(environ, start_response)
    status, headers = started
    if type(body) is list:
        return status, headers, b"".join(body)
    source = getattr(response, "response", None)
    code = int(status[:3])
    if not isinstance(source, AsyncBody) or environ["REQUEST_METHOD"] == "HEAD" or code < 200 or code in {204, 304}:
        # RFC: 9110 section 6.4.1: without content. What Werkzeug gives then is empty, and closes the response.
        return status, headers, body
    # The response's own iterator would ask the bridge for each piece.
    if response._on_close:
        source.call_on_close(body.close)
    return status, headers, source


def _refuse_write(data: bytes) -> None:
    raise RuntimeError("Return the body from the response; the write() of WSGI is not supported.")
