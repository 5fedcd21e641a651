"""The functions that views call: responses, URLs, redirects, messages, files; and a few that set an app up.

Those that need an app or a request take them from the current context and raise `RuntimeError` outside of one.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterator
from contextlib import ExitStack
from datetime import datetime
from functools import cache, update_wrapper
from typing import IO, Any, AnyStr, NoReturn, TypeVar, cast, overload

import werkzeug.utils
from werkzeug.exceptions import abort as _abort
from werkzeug.utils import redirect as _redirect
from werkzeug.wrappers import Response as BaseResponse

from ._internal.locations import judge_location
from .ctx import RequestContext
from .errors import ContextError
from .globals import active_context, current_context, raise_no_request

# COMPAT: extensions import these from here, as they could from Flask's module.
from .globals import _cv_app, _cv_request, current_app, request, request_ctx, session  # noqa: F401  # isort: skip
from .signals import message_flashed

# `Any` for responses in what follows: they are instances of `app.response_class`, which an app may set to any class, and
# the default one is defined in a higher layer.

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_OFF = frozenset({"0", "false", "no"})


def get_debug_flag() -> bool:
    """Tell whether the environment variable `FLASK_DEBUG` asks for debug mode; without it, no."""
    value = os.environ.get("FLASK_DEBUG")
    return bool(value) and value.lower() not in _OFF  # type: ignore[union-attr]  # empty and None are false


def get_load_dotenv(default: bool = True) -> bool:
    """Tell whether to load `.env` files: the opposite of the environment variable `FLASK_SKIP_DOTENV`.

    :param default: the answer when the variable is not set.
    """
    value = os.environ.get("FLASK_SKIP_DOTENV")
    return value.lower() in _OFF if value else default


# Streaming -----------------------------------------------------------------------------------------------------------


@overload
def stream_with_context(generator_or_function: Iterator[T]) -> Iterator[T]: ...


@overload
def stream_with_context(generator_or_function: AsyncIterable[T]) -> AsyncIterator[T]: ...


@overload
def stream_with_context(generator_or_function: Callable[..., Iterator[T]]) -> Callable[..., Iterator[T]]: ...


@overload
def stream_with_context(generator_or_function: Callable[..., AsyncIterable[T]]) -> Callable[..., AsyncIterator[T]]: ...


def stream_with_context(generator_or_function: Any) -> Any:
    """Keep the request context while a generator runs, which is after the view has returned.

    Wrap the generator, or decorate the function that makes it; either may be async::

        @app.get("/greeting")
        def greeting():
            @stream_with_context
            def generate():
                yield "Hello "
                yield request.args["name"]

            return Response(generate())

    :raises RuntimeError: outside of a request.
    """
    try:
        stream = iter(generator_or_function)
    except TypeError:
        if isinstance(generator_or_function, AsyncIterable):
            return _run_async_in_context(generator_or_function, *_contexts_to_keep())
        function: Any = generator_or_function

        def call(*args: Any, **kwargs: Any) -> Any:
            return stream_with_context(function(*args, **kwargs))

        return update_wrapper(call, function)

    running = _run_in_context(stream)
    # The generator notes the current context up to its first `yield`; what it pushes later belongs to whoever iterates.
    # COMPAT: pushing here would put the context on the wrong event loop in async views (Flask 3.1.2).
    next(running)
    return running


def _contexts_to_keep() -> tuple[Any, Any]:
    """Return the current app and request context."""
    context = current_context.get()
    if context.request_context is None:
        raise ContextError(
            "'stream_with_context' can only be used when a request context is active, such as in a view function."
        )
    return context.app_context, context.request_context


def _run_in_context(stream: Iterator[T]) -> Iterator[T]:
    app_context, request_context = _contexts_to_keep()
    yield None  # type: ignore[misc]  # taken by the `next` above, nobody else sees it
    # The app context first: otherwise the request context would push another.
    with app_context, request_context:
        try:
            # Not `yield from`: that would close the stream as well, and a response must close what it wraps once.
            for piece in stream:  # noqa: UP028
                yield piece
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()


async def _run_async_in_context(stream: AsyncIterable[T], app_context: Any, request_context: Any) -> AsyncIterator[T]:
    # PERF: here, because `asyncio` is not loaded for programs that never come here.
    from ._internal.threads import run_in_thread

    outside = current_context.get()
    error: BaseException | None = None
    pushed = ExitStack()
    try:
        # In threads, because this runs what the user registered: receivers of signals, and in the end teardown functions.
        await run_in_thread(_push_all, pushed, app_context, request_context)
        async for piece in stream:
            # Whoever iterates has another context, or none; and a generator may be ended in another task than it ran in.
            inside = current_context.get()
            current_context.set(outside)
            try:
                yield piece
            finally:
                outside = current_context.get()
                current_context.set(inside)
    except BaseException as exception:
        error = exception
        raise
    finally:
        try:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        finally:
            await run_in_thread(_pop_all, pushed, error)
            current_context.set(outside)
            # An error holds this frame through its traceback; a frame that holds the error would make a cycle.
            error = None


def _push_all(pushed: ExitStack, *contexts: Any) -> None:
    for context in contexts:
        pushed.enter_context(context)


def _pop_all(pushed: ExitStack, error: BaseException | None) -> None:
    pushed.__exit__(None if error is None else type(error), error, None)


# Responses -----------------------------------------------------------------------------------------------------------


def make_response(*args: Any) -> Any:
    """Turn what a view may return into a response, to set headers on it before returning it.

    Several arguments count as the tuple that a view would return; none give an empty response::

        response = make_response(render_template("missing.html"), 404)
        response.headers["X-Reason"] = "gone fishing"
        return response

    :raises TypeError: for what a view may not return.
    """
    app = current_context.get().app
    if not args:
        return app.response_class()
    return app.make_response(args[0] if len(args) == 1 else args)


def _with_shortcut(careful: F) -> F:
    """Return `url_for` with a short way to what nearly every call asks for: the path of a rule on this site."""

    # PERF: without the named options. For each keyword of a call CPython compares all parameter names, twice; an option is
    # one value more than the rule has variables, and `build` then refuses.
    def url_for(endpoint: str, **values: Any) -> Any:
        bound = current_context.get()
        if type(bound) is RequestContext:
            app = bound.app
            builder = app.url_builder_made
            if builder is not None and builder.revision == app._revision.value and not bound.environ.get("SCRIPT_NAME"):
                build = builder.helper_functions.get(endpoint)
                if build is not None and (path := build(values)) is not None:
                    return path
        return careful(endpoint, **values)

    return cast("F", update_wrapper(url_for, careful))


@_with_shortcut
def url_for(
    endpoint: str,
    *,
    _anchor: str | None = None,
    _method: str | None = None,
    _scheme: str | None = None,
    _external: bool | None = None,
    **values: Any,
) -> str:
    """Build the URL of an endpoint, by the current app's `url_for`.

    :param endpoint: its name. One that begins with a dot belongs to the blueprint of the current request.
    :param _anchor: what to put behind `#`.
    :param _method: build the URL of the rule for this method.
    :param _scheme: the scheme of an external URL.
    :param _external: whether the URL has scheme and host. Without a request it always has, unless this is False.
    :param values: the variable parts of the rule; others become the query string.
    :raises werkzeug.routing.BuildError: when no rule fits, unless the app's handlers make something of it.
    """
    return current_context.get().app.url_for(  # type: ignore[no-any-return]
        endpoint, _anchor=_anchor, _method=_method, _scheme=_scheme, _external=_external, **values
    )


def check_redirect_location(location: str, compat: Collection[str] = ()) -> None:
    """Refuse a location that hides where it leads, or that no browser should be sent to. Quaff 0.1.

    Refused are other schemes than http and https, user information in the URL, and locations that leave the site only
    once control characters and backslashes are read as browsers read them. An open `https://other.example/` is fine;
    whether that host is trusted is for the caller to check.

    :param compat: the app's `COMPAT`; with `"redirect-any"` in it nothing is refused.
    :raises ValueError: with the reason.
    """
    reason = judge_location(str(location))
    if reason is not None and "redirect-any" not in compat:
        raise ValueError(
            f"redirect({location!r}) is refused: {reason}. A location that comes with the request must be checked; if the"
            ' app itself needs this one, put "redirect-any" into app.config["COMPAT"].'
        )


def redirect(location: str, code: int = 302, Response: type[BaseResponse] | None = None) -> Any:  # noqa: N803
    """Return a response that sends the client to *location*.

    :param code: one of the 3xx codes.
    :param Response: the response class where there is no app; with one, it is the app's.
    :raises ValueError: for a location that is refused, see `check_redirect_location`.
    """
    context = active_context()
    if context is not None:
        return context.app.redirect(location, code=code)
    check_redirect_location(location)
    return _redirect(location, code=code, Response=Response)


def abort(code: int | BaseResponse, *args: Any, **kwargs: Any) -> NoReturn:
    """Raise the HTTP exception for a status code, or one that answers with the given response.

    :param code: the status code; the current app's `aborter` must know it.
    :param args: passed to the exception, as is *kwargs*: most take `description` and `response`.
    :raises LookupError: for a code without an exception.
    """
    context = active_context()
    if context is not None:
        context.app.aborter(code, *args, **kwargs)
    _abort(code, *args, **kwargs)


def get_template_attribute(template_name: str, attribute: str) -> Any:
    """Return a macro or variable that a template exports.

    With `{% macro hello(name) %}Hello {{ name }}!{% endmacro %}` in `_greet.html`::

        hello = get_template_attribute("_greet.html", "hello")
        return hello("World")
    """
    template = current_context.get().app.jinja_env.get_template(template_name)
    return getattr(template.module, attribute)


# Flashed messages ----------------------------------------------------------------------------------------------------


def flash(message: str, category: str = "message") -> None:
    """Keep a message in the session for the next page, which shows it with `get_flashed_messages`.

    :param category: any text; customary are `message`, `error`, `info` and `warning`.
    """
    context = current_context.get()
    opened = context.session
    # Set anew instead of changed in place: a session kept on a server may hand out copies of its values.
    flashes = opened.get("_flashes", [])
    flashes.append((category, message))
    opened["_flashes"] = flashes
    if message_flashed.receivers:
        app = context.app
        message_flashed.send(app, _async_wrapper=app.ensure_sync, message=message, category=category)


def get_flashed_messages(
    with_categories: bool = False, category_filter: Collection[str] = ()
) -> list[str] | list[tuple[str, str]]:
    """Take the flashed messages out of the session; further calls in the same request return the same ones.

    :param with_categories: return pairs of category and message.
    :param category_filter: return messages of these categories only; empty means all.
    """
    context = current_context.get().request_context
    if context is None:
        raise_no_request()
    flashes = context.flashes
    if flashes is None:
        opened = context.session
        flashes = context.flashes = opened.pop("_flashes") if "_flashes" in opened else []
    if category_filter:
        flashes = [flashed for flashed in flashes if flashed[0] in category_filter]
    return flashes if with_categories else [flashed[1] for flashed in flashes]


# Files ---------------------------------------------------------------------------------------------------------------


def _prepare_send_file_kwargs(**kwargs: Any) -> dict[str, Any]:
    """Add to the arguments of Werkzeug's `send_file` what the current app and request say."""
    context = current_context.get()
    app = context.app
    if kwargs.get("max_age") is None:
        kwargs["max_age"] = app.get_send_file_max_age
    kwargs.update(
        environ=context.request.environ,
        use_x_sendfile=app.config["USE_X_SENDFILE"],
        response_class=app.response_class,
        _root_path=app.root_path,
    )
    return kwargs


def send_file(
    path_or_file: os.PathLike[AnyStr] | str | IO[bytes],
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | float | None = None,
    max_age: int | Callable[[str | None], int | None] | None = None,
) -> Any:
    """Return a response with the content of a file, which answers conditional and range requests.

    Never pass a path that came with the request: it may lead anywhere. `send_from_directory` is for that.

    :param path_or_file: a path, relative to the app's root path, or a file open for bytes at its beginning.
    :param mimetype: by default guessed from the name.
    :param as_attachment: ask the browser to save the file instead of showing it.
    :param download_name: the name to save it under, by default its own.
    :param conditional: answer `If-None-Match`, `If-Modified-Since` and `Range`.
    :param etag: whether to make an ETag from a path's size and time, or the ETag itself.
    :param last_modified: in seconds or as a datetime; by default the time of the path.
    :param max_age: seconds that the client may keep the file. By default what the app's `get_send_file_max_age` says.
    :raises TypeError: for a file without *mimetype* and *download_name*, whose type cannot be guessed.
    :raises ValueError: for a file that is open for text.
    """
    return werkzeug.utils.send_file(
        **_prepare_send_file_kwargs(
            path_or_file=path_or_file,
            mimetype=mimetype,
            as_attachment=as_attachment,
            download_name=download_name,
            conditional=conditional,
            etag=etag,
            last_modified=last_modified,
            max_age=max_age,
        )
    )


def send_from_directory(directory: os.PathLike[str] | str, path: os.PathLike[str] | str, **kwargs: Any) -> Any:
    """Return a response with the content of a file below *directory*; for paths that come with the request.

    ::

        @app.get("/uploads/<path:name>")
        def download(name):
            return send_from_directory(app.config["UPLOADS"], name, as_attachment=True)

    :param directory: relative to the app's root path. It must not come with the request.
    :param path: relative to *directory*.
    :param kwargs: passed to `send_file`.
    :raises werkzeug.exceptions.NotFound: when there is no such file, or it would lie outside.
    """
    return werkzeug.utils.send_from_directory(directory, path, **_prepare_send_file_kwargs(**kwargs))


# Setting up ----------------------------------------------------------------------------------------------------------


def get_root_path(import_name: str) -> str:
    """Return the folder that a module or package lies in, without importing it if that can be avoided.

    :return: the current folder when the module cannot be found, as for `__main__` in an interactive session.
    :raises RuntimeError: for a namespace package, which lies in no one folder.
    """
    module = sys.modules.get(import_name)
    filename: str | None = getattr(module, "__file__", None)
    if filename is not None:
        return os.path.dirname(os.path.abspath(filename))
    try:
        spec = importlib.util.find_spec(import_name)
    except (ImportError, ValueError):
        spec = None
    loader = spec.loader if spec is not None else None
    if loader is None:
        return os.getcwd()
    get_filename = getattr(loader, "get_filename", None)
    if get_filename is not None:
        filename = get_filename(import_name)
    else:
        __import__(import_name)
        filename = getattr(sys.modules[import_name], "__file__", None)
    if filename is None:
        raise RuntimeError(
            f"No root path can be found for {import_name!r}: its import hook gives no file name, or it is a namespace"
            " package, which may lie in several folders. Pass root_path explicitly."
        )
    return os.path.dirname(os.path.abspath(filename))


@cache
def _split_blueprint_path(name: str) -> list[str]:
    """Return the name of a nested blueprint and the names of those around it, innermost first."""
    names = [name]
    while "." in name:
        name = name.rpartition(".")[0]
        names.append(name)
    return names
