"""Mounting: which prefixes there can be, what speaks which protocol, which mount a path belongs to, and the test client."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from fastapi import FastAPI
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as WerkzeugResponse

from quaff import Quaff, request, session, url_for
from quaff.errors import SetupError
from quaff.mounting import (
    Mount,
    add_mount,
    detect_kind,
    find_mount,
    find_mount_of_environ,
    normalize_prefix,
)
from quaff.wrappers import Response
from tests.servers.applications import Events, build_django, build_fastapi, build_quaff


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with the two halves of the path."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode("latin1")]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the root path and the path."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{scope['root_path']}|{scope['path']}".encode()})


def mounts(*prefixes: str) -> tuple[Mount, ...]:
    """Return mounts at *prefixes*."""
    made: tuple[Mount, ...] = ()
    for prefix in prefixes:
        made = add_mount(made, Mount(prefix, echo, "wsgi"))
    return made


# Prefixes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix,normal", [("/a", "/a"), ("/a/", "/a"), ("/a/b//", "/a/b"), ("/café/", "/café")])
def test_slashes_at_the_end_do_not_count(prefix: str, normal: str) -> None:
    """`/api/` is the same place as `/api`."""
    assert normalize_prefix(prefix) == normal


@pytest.mark.parametrize(
    "prefix,message",
    [
        ("", "cannot be mounted at ''"),
        ("/", "cannot be mounted at '/'"),
        ("//", "mount it at a path such as '/api'"),
        ("api", "starts with a slash: '/api', not 'api'"),
        ("a/b/", "'/a/b', not 'a/b/'"),
        ("/a//b", "No request could get to"),
        ("/a/../b", "No request could get to"),
        ("/.", "No request could get to"),
        ("/caf%C3%A9", "write '/café'"),
        ("/a?b", "without a query"),
    ],
)
def test_prefixes_that_are_no_place(app: Quaff, prefix: str, message: str) -> None:
    """A prefix that no request could have, or that every request has, is refused with what to do about it."""
    with pytest.raises(ValueError, match=r".") as caught:
        app.mount(prefix, echo)
    assert message in str(caught.value)
    assert app.mounts == ()


def test_a_prefix_is_taken_once(app: Quaff) -> None:
    """Two applications at one place are refused; the same application may be at two."""
    app.mount("/a", echo)
    app.mount("/b", echo)
    with pytest.raises(ValueError, match="is mounted at '/a' already"):
        app.mount("/a/", asgi)
    assert [mount.prefix for mount in app.mounts] == ["/a", "/b"]


@pytest.mark.parametrize(
    "path,prefix",
    [
        ("/a", "/a"),
        ("/a/", "/a"),
        ("/a/x/y", "/a"),
        ("/a/b", "/a/b"),
        ("/a/b/c", "/a/b"),
        ("/a/bc", "/a"),
        ("/ab", None),
        ("/", None),
        ("", None),
        ("/x/a", None),
        ("//a", None),
        ("/A", None),
        ("/café/x", "/café"),
        ("/cafe/x", None),
    ],
)
def test_whole_segments_and_the_longest_prefix_count(path: str, prefix: str | None) -> None:
    """A path belongs to the longest prefix that is the path or a parent folder of it."""
    found = find_mount(path, mounts("/a", "/a/b", "/café"))
    assert (found and found.prefix) == prefix


def test_paths_of_an_environ_are_bytes() -> None:
    """A WSGI path is compared as the text that it stands for; bytes that are no UTF-8 belong to no mount beyond ASCII."""
    known = mounts("/café", "/a")

    def find(path: bytes) -> str | None:
        found = find_mount_of_environ({"PATH_INFO": path.decode("latin1")}, known)
        return found and found.prefix

    assert find("/café/x".encode()) == "/café"
    assert find(b"/caf\xe9/x") is None
    assert find(b"/a/\xff\xfe") == "/a"
    assert find_mount_of_environ({}, known) is None


def test_the_environ_below_a_mount() -> None:
    """The prefix moves from the path to the script name, byte by byte, in a copy; a body is there even if there is none."""
    environ = {"SCRIPT_NAME": "/site", "PATH_INFO": "/caf\xc3\xa9/\xff", "x": 1}
    below = Mount("/café", echo, "wsgi").environ_of(environ)
    assert (below["SCRIPT_NAME"], below["PATH_INFO"], below["x"]) == ("/site/caf\xc3\xa9", "/\xff", 1)
    assert below["wsgi.input"].read() == b""
    assert environ == {"SCRIPT_NAME": "/site", "PATH_INFO": "/caf\xc3\xa9/\xff", "x": 1}


# Kinds ---------------------------------------------------------------------------------------------------------------


class Callable2:
    def __call__(self, env: Any, start: Any) -> Any: ...


class AsyncCallable:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


def _wrapped(scope: Any, receive: Any, send: Any) -> Any:
    return asgi(scope, receive, send)


WSGI = [
    echo,
    Callable2(),
    Callable2().__call__,
    ProxyFix(echo),
    functools.partial(lambda a, b, c: [], 1),
    WerkzeugResponse(),
]
ASGI = [asgi, AsyncCallable(), AsyncCallable().method, FastAPI(), functools.partial(asgi), _wrapped]


@pytest.mark.parametrize("application", WSGI, ids=repr)
def test_what_is_wsgi(application: Any) -> None:
    """Functions, methods, objects and middleware with two parameters are WSGI."""
    assert detect_kind(application) == "wsgi"


@pytest.mark.parametrize("application", ASGI, ids=repr)
def test_what_is_asgi(application: Any) -> None:
    """Coroutine functions with three parameters are ASGI, also as methods; so are the names of ASGI's three parameters."""
    assert detect_kind(application) == "asgi"


def test_django_is_both() -> None:
    """Django's two handlers are told apart."""
    assert (detect_kind(build_django("wsgi")), detect_kind(build_django("asgi"))) == ("wsgi", "asgi")


async def _two(environ: Any, start_response: Any) -> None: ...


@pytest.mark.parametrize(
    "application",
    [
        list,
        lambda scope: [],
        lambda a, b, c: [],
        lambda *args: [],
        lambda a, b, *, c: [],
        _two,
        AsyncCallable,
        dict,
    ],
    ids=repr,
)
def test_what_cannot_be_told(app: Quaff, application: Any) -> None:
    """Anything else has to be named; with `kind` it is believed."""
    with pytest.raises(TypeError, match="Pass kind='wsgi' or kind='asgi'"):
        app.mount("/a", application)
    app.mount("/a", application, kind="asgi")
    assert app.mounts[0].kind == "asgi"


def test_what_is_no_application(app: Quaff) -> None:
    """Something that is not callable, a kind that does not exist, and the app itself are refused."""
    with pytest.raises(TypeError, match="'myapp:app' cannot be mounted"):
        app.mount("/a", "myapp:app")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind='rsgi'"):
        app.mount("/a", echo, kind="rsgi")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="below itself"):
        app.mount("/a", app)


def test_quaff_apps_speak_everything(app: Quaff) -> None:
    """Another Quaff app is served over the protocol of the request, unless one is asked for."""
    app.mount("/a", Quaff("a"))
    app.mount("/b", Quaff("b"), kind="wsgi")
    assert [mount.kind for mount in app.mounts] == ["quaff", "wsgi"]


# In an app -----------------------------------------------------------------------------------------------------------


def test_requests_below_go_to_the_application(app: Quaff) -> None:
    """The mounted application has its prefix as SCRIPT_NAME; routes beside it are the app's, routes below are not."""
    app.add_url_rule("/", "index", lambda: "index")
    app.add_url_rule("/a/own", "own", lambda: "own")
    app.add_url_rule("/b/<name>", "b", lambda name: name)
    app.mount("/a", echo)
    app.mount("/a/deep", asgi)
    client = app.test_client()
    assert client.get("/").text == "index"
    assert client.get("/b/x").text == "x"
    assert client.get("/ab").status_code == 404
    assert client.get("/a").text == "/a|"
    assert client.get("/a/own").text == "/a|/own"
    assert client.get("/a/deep/x").text == "/a/deep|/a/deep/x"
    assert client.get("/a/x", base_url="http://localhost/site").text == "/site/a|/x"
    assert client.get("/a/deep/x", base_url="http://localhost/site").text == "/site/a/deep|/site/a/deep/x"


def test_mounting_is_part_of_the_set_up(app: Quaff) -> None:
    """After the first request nothing can be mounted any more."""
    app.test_client().get("/")
    with pytest.raises(SetupError, match="'mount' can no longer be called"):
        app.mount("/a", echo)


def test_a_mount_is_noticed_by_what_was_compiled(app: Quaff) -> None:
    """Whoever opens the set-up again, as interactive programs do, gets the new mount at once."""
    app.add_url_rule("/a/x", "x", lambda: "route")
    assert app.test_client().get("/a/x").text == "route"
    app._got_first_request = False
    app.mount("/a", echo)
    assert app.test_client().get("/a/x").text == "/a|/x"


def test_apps_without_mounts_keep_the_short_way(app: Quaff) -> None:
    """The short way through `__call__` is closed for apps with mounts only, and only they look for them."""
    assert not app.current_table().is_wrapped
    other = Quaff("other")
    other.mount("/a", echo)
    assert other.current_table().is_wrapped
    assert not other.current_table().has_middleware


def test_hooks_have_no_part(app: Quaff) -> None:
    """Hooks, error handlers and sessions of the app do not run for mounted requests; middleware does."""
    seen: list[str] = []
    app.before_request(lambda: seen.append("before"))
    app.teardown_request(lambda error: seen.append("teardown"))

    @app.after_request
    def after(response: Response) -> Response:
        session["seen"] = True
        seen.append("after")
        return response

    app.register_error_handler(404, lambda error: ("handled", 404))
    inner = Quaff("inner")
    app.mount("/inner", inner)
    app.mount("/wsgi", echo)
    wrapped = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Iterable[bytes]:
        seen.append(environ["PATH_INFO"])
        return wrapped(environ, start_response)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    answer = app.test_client().get("/inner/nothing")
    assert answer.status_code == 404
    assert answer.text != "handled"
    assert "Set-Cookie" not in answer.headers
    assert app.test_client().get("/wsgi/x").text == "/wsgi|/x"
    assert seen == ["/inner/nothing", "/wsgi/x"]
    assert app.test_client().get("/nothing").text == "handled"
    assert seen[2:] == ["/nothing", "before", "after", "teardown"]


def test_a_mounted_quaff_app_is_itself(app: Quaff) -> None:
    """Its URLs begin with the prefix, its hooks run, and its errors are its own."""
    app.mount("/inner", build_quaff(Events()))
    client = app.test_client()
    answer = client.get("/inner/where?a=b")
    assert answer.headers["X-Inner"] == "yes"
    assert answer.json is not None
    assert answer.json["self"] == "/inner/items/1"
    assert (answer.json["root_path"], answer.json["path"]) == ("/inner", "/where")
    assert answer.json["url"] == "http://localhost/inner/where?a=b"
    assert client.get("/inner/async").json is not None
    assert client.get("/inner").headers["Location"] == "http://localhost/inner/"
    assert client.get("/inner/slash").headers["Location"] == "http://localhost/inner/slash/"
    assert client.get("/inner/old").headers["Location"] == "/inner/items/2"
    assert client.post("/inner/where").status_code == 405


def test_mounts_nest(app: Quaff) -> None:
    """An app that is mounted may have mounts of its own; each adds its prefix."""
    middle, inner = Quaff("middle"), Quaff("inner")
    inner.add_url_rule("/x", "x", lambda: f"{request.root_path}|{request.path}|{url_for('x')}")
    inner.mount("/wsgi", echo)
    inner.mount("/asgi", asgi)
    middle.mount("/inner", inner)
    app.mount("/middle", middle)
    client = app.test_client()
    assert client.get("/middle/inner/x").text == "/middle/inner|/x|/middle/inner/x"
    assert client.get("/middle/inner/wsgi/y").text == "/middle/inner/wsgi|/y"
    assert client.get("/middle/inner/asgi/y").text == "/middle/inner/asgi|/middle/inner/asgi/y"
    assert client.get("/middle/y").status_code == 404


def test_bad_hosts_do_not_get_below(app: Quaff) -> None:
    """A malformed host, and one that is not in TRUSTED_HOSTS, is refused before the mounted application sees it."""
    app.config["TRUSTED_HOSTS"] = ["good.example"]
    app.mount("/a", echo)
    app.mount("/b", asgi)
    client = app.test_client()
    for path in ("/a/x", "/b/x"):
        assert client.get(path, base_url="http://good.example").status_code == 200
        assert client.get(path, base_url="http://bad.example").status_code == 400
        assert client.get(path, headers={"Host": "good.example/../"}).status_code == 400


def test_both_pipelines_serve_mounts() -> None:
    """An app that is not compiled serves its mounts as well."""
    for compiled in (True, False):
        app = Quaff("host", compiled=compiled)
        app.add_url_rule("/", "index", lambda: "index")
        app.mount("/a", echo)
        client = app.test_client()
        assert (client.get("/").text, client.get("/a/x").text) == ("index", "/a|/x")


def test_why_a_loop_is_needed(app: Quaff) -> None:
    """ASGI applications and async apps below are a reason for an event loop; WSGI applications are none."""
    app.mount("/wsgi", echo)
    inner = Quaff("inner")
    app.mount("/inner", inner)
    assert app.needs_loop() is None

    async def view() -> str:
        return ""

    inner.add_url_rule("/", "view", view)
    assert app.needs_loop() == "in the app mounted at '/inner', the view 'view' is async"
    other = Quaff("other")
    other.mount("/api", asgi)
    assert other.needs_loop() == "an ASGI application is mounted at '/api'"


def test_websockets_below_are_named(app: Quaff) -> None:
    """They come before any other reason for a loop; what an ASGI application has is not known."""
    app.mount("/asgi", asgi)
    app.mount("/wsgi", echo)
    middle, inner = Quaff("middle"), Quaff("inner")
    middle.mount("/inner", inner)
    app.mount("/middle", middle)
    assert app.first_websocket() is None
    inner.websocket("/ws")(lambda: None)
    words = "in the app mounted at '/middle', in the app mounted at '/inner', '/ws' is a WebSocket"
    assert app.first_websocket() == app.needs_loop() == words


def test_who_holds_connections(app: Quaff, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients may stay connected to ASGI applications, and to Quaff apps that say so; to WSGI applications they do not."""
    monkeypatch.delitem(sys.modules, "quaff.sse", raising=False)
    inner = Quaff("inner")
    app.mount("/wsgi", echo)
    app.mount("/inner", inner)
    assert not app.holds_connections()
    inner.websocket("/ws")(lambda: None)
    assert app.holds_connections()
    other, middle = Quaff("other"), Quaff("middle")
    other.mount("/middle", middle)
    assert not other.holds_connections()
    middle.mount("/api", asgi)
    assert other.holds_connections()


# Lifespan ------------------------------------------------------------------------------------------------------------


def test_a_mounted_application_lives_as_long_as_the_app(app: Quaff) -> None:
    """It starts with the app and stops with it, once even when it is mounted twice; its state reaches its requests."""
    events, inner = Events(), Events()
    api = build_fastapi(events)
    app.mount("/api", api)
    app.mount("/again", api)
    app.mount("/inner", build_quaff(inner))
    app.mount("/django", build_django("asgi"))
    app.lifespan.start_sync()
    assert (events.seen, inner.seen) == (["startup"], ["startup"])
    client = app.test_client()
    for path in ("/api/where", "/again/where"):
        answer = client.get(path)
        assert answer.json is not None
        assert answer.json["database"] == "connected"
    app.lifespan.stop_sync()
    assert (events.seen, inner.seen) == (["startup", "shutdown"], ["startup", "shutdown"])


def test_an_application_that_fails_to_start(app: Quaff) -> None:
    """The app does not start either, and says which application it was and what it said."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    app.mount("/api", failing)
    with pytest.raises(RuntimeError, match=r"mounted at '/api' did not start:\nno database"):
        app.lifespan.start_sync()


@pytest.mark.parametrize("way", ["says so", "raises"])
def test_an_application_that_fails_to_stop(app: Quaff, way: str) -> None:
    """That is an error of the app's shutdown."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if way == "raises":
            raise ValueError("no way out")
        await send({"type": "lifespan.shutdown.failed", "message": "no way out"})

    app.mount("/api", failing)
    app.lifespan.start_sync()
    with pytest.raises(RuntimeError, match=r"mounted at '/api' did not shut down:\n.*no way out"):
        app.lifespan.stop_sync()


def test_applications_need_no_lifespan(app: Quaff) -> None:
    """One that raises for it, and one that returns at once, are served all the same."""

    async def returning(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await asgi(scope, receive, send)

    async def raising(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(scope["type"])
        await asgi(scope, receive, send)

    app.mount("/a", returning)
    app.mount("/b", raising)
    app.lifespan.start_sync()
    assert [app.test_client().get(path).text for path in ("/a/x", "/b/x")] == ["/a|/a/x", "/b|/b/x"]
    app.lifespan.stop_sync()


def test_mounts_are_described(app: Quaff) -> None:
    """A mount shows its prefix, its kind and its application."""
    app.mount("/a", echo)
    assert repr(app.mounts[0]).startswith("<Mount '/a' wsgi <function echo")
