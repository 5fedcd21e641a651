"""What the hooks and views of a random app do, and what they return: small things by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response as WerkzeugResponse

from quaff import (
    Response,
    abort,
    after_this_request,
    copy_current_request_context,
    current_app,
    flash,
    g,
    get_flashed_messages,
    has_app_context,
    has_request_context,
    jsonify,
    make_response,
    redirect,
    render_template_string,
    request,
    session,
    stream_with_context,
    url_for,
)

if TYPE_CHECKING:
    from tests.differential.building import Built

Action = Callable[["Built"], object]


class Stop(BaseException):
    """What a server raises to stop a worker: no error handler sees it."""


class Teapot(HTTPException):
    """An HTTP error that Werkzeug does not know."""

    code = 418
    description = "short and stout"


def _raise(make: Callable[[], BaseException]) -> Action:
    def action(built: Built) -> None:
        raise make()

    return action


def _look(built: Built) -> None:
    built.note("request", request.method, request.path, request.endpoint, request.blueprints, request.view_args)
    built.note("rule", str(request.url_rule), type(request.routing_exception).__name__)


def _count(built: Built) -> None:
    g.count = g.get("count", 0) + 1
    built.note("g", sorted(g), g.count, current_app.name.partition(".")[0])


def _where(built: Built) -> None:
    built.note("contexts", has_app_context(), has_request_context())


def _read_session(built: Built) -> None:
    built.note("session", dict(session), session.permanent, session.modified)


def _write_session(built: Built) -> None:
    session["n"] = session.get("n", 0) + 1


def _permanent(built: Built) -> None:
    session.permanent = True


def _after_this(built: Built) -> None:
    def add(response: Any) -> Any:
        built.note("after this", response.status)
        response.headers["X-After-This"] = "1"
        return response

    after_this_request(add)


def _change_view_args(built: Built) -> None:
    if request.view_args:
        name = next(iter(request.view_args))
        request.view_args[name] = "changed"


def _replace_view_args(built: Built) -> None:
    if request.view_args is not None:
        request.view_args = dict.fromkeys(request.view_args, "replaced")


def _nested(built: Built) -> None:
    response = built.app.test_client().get("/nested")
    built.note("nested", response.status_code, response.get_data())


def _nested_other(built: Built) -> None:
    response = built.other.test_client().get("/")
    built.note("nested other", response.status_code, response.get_data())


def _inner_app_context(built: Built) -> None:
    with built.app.app_context():
        g.inner = True
        built.note("inner", sorted(g), has_request_context())
    built.note("outer", "inner" in g)


def _inner_request(built: Built) -> None:
    with built.app.test_request_context("/elsewhere?x=1"):
        built.note("inner request", request.full_path, sorted(g))


def _other_app(built: Built) -> None:
    with built.other.app_context():
        built.note("other app", current_app.name, sorted(g))


def _leak_app_context(built: Built) -> None:
    built.app.app_context().push()


def _leak_request_context(built: Built) -> None:
    built.app.test_request_context("/leaked").push()


def _copy_context(built: Built) -> None:
    @copy_current_request_context
    def later() -> str:
        return f"{request.path} {sorted(g)}"

    built.note("copied", later())


def _late(registry: str) -> Action:
    def action(built: Built) -> None:
        def hook(argument: Any) -> Any:
            built.note("late", registry, type(argument).__name__)
            return argument

        functions = getattr(built.app, registry)
        (functions if isinstance(functions, list) else functions[None]).append(hook)

    return action


def _clear_after(built: Built) -> None:
    built.app.after_request_funcs[None][:] = []


def _render(built: Built) -> None:
    built.note(
        "rendered", render_template_string("{{ request.path }} {{ g.count }} {{ added }} {{ session.get('n') }}")
    )


def _missing_key(built: Built) -> None:
    request.form["missing"]


TAME_ACTIONS: dict[str, Action] = {
    "after this": _after_this,
    "count": _count,
    "flash": lambda built: flash("message"),
    "flashed": lambda built: built.note("flashed", get_flashed_messages()),
    "look": _look,
    "read session": _read_session,
    "url_for": lambda built: built.note("url", url_for("nested", x=1)),
    "where": _where,
    "write session": _write_session,
}
"""Actions that seldom raise."""

ACTIONS: dict[str, Action] = {
    **TAME_ACTIONS,
    "abort 403": lambda built: abort(403),
    "abort 404": lambda built: abort(404),
    "abort 500": lambda built: abort(500),
    "abort response": lambda built: abort(Response("aborted", 402)),
    "change view args": _change_view_args,
    "clear after": _clear_after,
    "clear session": lambda built: session.clear(),
    "copy context": _copy_context,
    "inner app context": _inner_app_context,
    "inner request": _inner_request,
    "late after": _late("after_request_funcs"),
    "late teardown": _late("teardown_request_funcs"),
    "late teardown appcontext": _late("teardown_appcontext_funcs"),
    "leak app context": _leak_app_context,
    "leak request context": _leak_request_context,
    "missing key": _missing_key,
    "nested": _nested,
    "nested other": _nested_other,
    "other app": _other_app,
    "permanent session": _permanent,
    "raise KeyError": _raise(lambda: KeyError("key")),
    "raise Stop": _raise(Stop),
    "raise Teapot": _raise(Teapot),
    "raise ValueError": _raise(lambda: ValueError("value")),
    "render": _render,
    "replace view args": _replace_view_args,
}


class Text(str):
    """A string of the user's own class."""

    __slots__ = ()


def _generate(built: Built) -> Iterator[str]:
    built.note("generator starts", has_request_context(), has_app_context())
    yield "a"
    yield "b"
    built.note("generator ends")


def _generate_with_context(built: Built) -> Iterator[str]:
    yield request.path
    g.streamed = True
    yield str(sorted(g))
    built.note("stream ends", request.endpoint)


def _generate_badly(built: Built) -> Iterator[str]:
    yield "a"
    raise ValueError("while streaming")


def _wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("202 Accepted", [("X-WSGI", "1")])
    return [b"wsgi"]


def _closing(built: Built) -> Response:
    response = Response("closing")
    response.call_on_close(lambda: built.note("closed", has_request_context()))
    return response


TAME_RESULTS: dict[str, Callable[[Built], Any]] = {
    "bytes": lambda built: b"bytes",
    "dict": lambda built: {"a": 1},
    "jsonify": lambda built: jsonify(a=[1]),
    "list": lambda built: [1, "two"],
    "response": lambda built: current_app.response_class("response"),
    "str": lambda built: "text ü",
    "tuple with status": lambda built: ("created", 201),
}
"""Results that are answers."""

RESULTS: dict[str, Callable[[Built], Any]] = {
    **TAME_RESULTS,
    "bytearray": lambda built: bytearray(b"array"),
    "closing response": _closing,
    "dict subclass": lambda built: OrderedDict(b=1),
    "empty dict": lambda built: {},
    "empty str": lambda built: "",
    "exception": lambda built: NotFound(),
    "generator": _generate,
    "generator that fails": _generate_badly,
    "iterator of bytes": lambda built: iter([b"x", b"y"]),
    "made response": lambda built: make_response("made", 203, {"X-Made": "1"}),
    "markup": lambda built: Markup("<b>bold</b>"),
    "no content": lambda built: ("", 204),
    "None": lambda built: None,
    "None with status": lambda built: (None, 204),
    "not modified": lambda built: Response(status=304),
    "number": lambda built: 42,
    "redirect": lambda built: redirect("/elsewhere"),
    "response by Werkzeug": lambda built: WerkzeugResponse("theirs"),
    "stream with context": lambda built: stream_with_context(_generate_with_context(built)),
    "str subclass": lambda built: Text("own"),
    "tuple of four": lambda built: ("a", 200, {}, "b"),
    "tuple of one": lambda built: ("a",),
    "tuple with all": lambda built: ("all", 202, [("X-A", "1"), ("X-A", "2")]),
    "tuple with bad status": lambda built: ("a", "\n"),
    "tuple with headers": lambda built: ({"a": 1}, {"X-A": "1", "Content-Type": "text/plain"}),
    "unserialisable": lambda built: {"a": object()},
    "wsgi app": lambda built: _wsgi,
}
