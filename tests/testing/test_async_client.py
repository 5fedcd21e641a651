"""The client for async tests."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from werkzeug.test import ClientRedirectError

from quaff import Quaff, g, redirect, request, session, websocket
from quaff.testing.async_client import AsyncClient
from quaff.testing.client import EnvironBuilder


def on_loop(app: Quaff, function: Callable[[AsyncClient], Awaitable[Any]], **options: Any) -> Any:
    """Return what *function* gives for a client, on a loop of its own."""

    async def main() -> Any:
        return await function(app.test_async_client(**options))

    return asyncio.run(main())


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
@pytest.mark.parametrize("is_async", [True, False])
def test_methods(app: Quaff, method: str, is_async: bool) -> None:
    """There is one for each HTTP method; the view may be of either kind."""

    async def view() -> Any:
        return request.method, 202

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
    function = view if is_async else lambda: (request.method, 202)
    app.add_url_rule("/", "view", function, methods=methods, provide_automatic_options=False)
    response = on_loop(app, lambda client: getattr(client, method)("/"))
    assert response.status_code == 202
    assert response.text == ("" if method == "head" else method.upper())


def test_the_app_runs_on_the_loop_of_the_test(app: Quaff) -> None:
    """An async view can await what the test has made; a sync one runs in a thread."""
    gate: list[asyncio.Event] = []

    @app.get("/async")
    async def waiting() -> str:
        await gate[0].wait()
        return threading.current_thread().name

    app.add_url_rule("/sync", "sync", lambda: threading.current_thread().name)

    async def ask(client: AsyncClient) -> tuple[str, str]:
        gate.append(asyncio.Event())
        asked = asyncio.ensure_future(client.get("/async"))
        await asyncio.sleep(0.01)
        assert not asked.done()
        gate[0].set()
        return (await asked).text, (await client.get("/sync")).text

    on, beside = on_loop(app, ask)
    assert on == threading.current_thread().name
    assert beside.startswith("quaff-worker-")


def test_json_and_query(app: Quaff) -> None:
    """Arguments and responses are those of the synchronous client."""

    @app.post("/")
    async def view() -> Any:
        return {"json": request.json, "q": request.args["q"], "header": request.headers["X-A"]}

    response = on_loop(
        app, lambda client: client.post("/", json=["\xe4"], query_string={"q": "\xe9"}, headers={"X-A": "1"})
    )
    assert response.json == {"json": ["\xe4"], "q": "\xe9", "header": "1"}
    assert response.mimetype == "application/json"
    assert response.request.path == "/"


def test_forms_and_files(app: Quaff) -> None:
    """A form with a file arrives as one."""

    @app.post("/")
    def view() -> Any:
        file = request.files["file"]
        return [request.form["name"], file.filename, file.read().decode(), request.form.getlist("many")]

    data = {"name": "\xe4", "file": (io.BytesIO(b"content"), "a.txt"), "many": ["1", "2"]}
    assert on_loop(app, lambda client: client.post("/", data=data)).json == ["\xe4", "a.txt", "content", ["1", "2"]]


def test_a_form_without_files(app: Quaff) -> None:
    """It is url-encoded, and an async view waits for none of it."""

    @app.post("/")
    async def view() -> Any:
        return [request.form["a"], request.content_type, request.content_length]

    answer = on_loop(app, lambda client: client.post("/", data={"a": "b c"})).json
    assert answer == ["b c", "application/x-www-form-urlencoded", 5]


def test_a_large_body(app: Quaff) -> None:
    """A body of any size goes through, as bytes or as a file."""

    @app.put("/")
    async def view() -> Any:
        return {"size": len(await request.load_body())}

    assert on_loop(app, lambda client: client.put("/", data=b"x" * 3_000_000)).json == {"size": 3_000_000}
    assert on_loop(app, lambda client: client.put("/", data=io.BytesIO(b"x" * 300))).json == {"size": 300}


def test_streams_are_read_whole(app: Quaff) -> None:
    """The response of a generator, async or not, is there when the client returns, in pieces as they came."""
    events: list[str] = []

    @app.get("/async")
    async def asynchronous() -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"a", b"b"):
                yield piece
            events.append("async ended")

        return pieces()

    @app.get("/sync")
    def synchronous() -> Any:
        def pieces() -> Iterator[bytes]:
            yield from (b"c", b"d")
            events.append("sync ended")

        return pieces()

    async def ask(client: AsyncClient) -> list[str]:
        return [(await client.get(path, buffered=True)).text for path in ("/async", "/sync")]

    assert on_loop(app, ask) == ["ab", "cd"]
    assert events == ["async ended", "sync ended"]


@pytest.mark.parametrize("path", ["/gr\xfcn/\N{TEACUP WITHOUT HANDLE}", "/a%20b", "/%25", "/a+b;c=d"])
def test_paths_that_are_not_plain(app: Quaff, path: str) -> None:
    """The view sees what it would see through the synchronous client."""
    app.add_url_rule("/<path:p>", "view", lambda p: [p, request.path, request.url])
    assert on_loop(app, lambda client: client.get(path)).json == app.test_client().get(path).json


def test_cookies_are_kept(app: Quaff) -> None:
    """What one response sets, the next request brings; a client without cookies brings none."""

    @app.get("/")
    async def view() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    async def ask(client: AsyncClient) -> list[str]:
        return [(await client.get("/")).text for _ in range(3)]

    assert on_loop(app, ask) == ["1", "2", "3"]
    assert on_loop(app, ask, use_cookies=False) == ["1", "1", "1"]


def test_cookies_can_be_looked_at(app: Quaff) -> None:
    """Cookies and the session are reached as with the synchronous client."""

    @app.get("/")
    async def view() -> Any:
        session["seen"] = True
        return [request.cookies.get("flavour"), session.get("user")]

    async def ask(client: AsyncClient) -> list[Any]:
        client.set_cookie("flavour", "lemon")
        with client.session_transaction() as stored:
            stored["user"] = "ada"
        first = (await client.get("/")).json
        with client.session_transaction() as stored:
            assert stored["seen"]
        cookie = client.get_cookie("flavour")
        assert cookie is not None
        assert cookie.value == "lemon"
        client.delete_cookie("flavour")
        return [first, (await client.get("/")).json]

    assert on_loop(app, ask) == [["lemon", "ada"], [None, "ada"]]


def test_cookies_go_to_websockets_too(app: Quaff) -> None:
    """A WebSocket of the client has its cookies and offers its subprotocols."""

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept("v2")
        await websocket.send_json(session.get("user"), websocket.subprotocols)

    async def ask(client: AsyncClient) -> Any:
        with client.session_transaction() as stored:
            stored["user"] = "ada"
        async with client.websocket("/", subprotocols=("v1", "v2")) as connection:
            answer = await connection.receive_json()
            return answer, connection.subprotocol

    assert on_loop(app, ask) == (["ada", ["v1", "v2"]], "v2")


def test_redirects(app: Quaff) -> None:
    """They are followed when asked, with their history; what has a body keeps it where HTTP says so."""
    app.add_url_rule("/one", "one", lambda: redirect("/two", 307), methods=["POST"])
    app.add_url_rule("/two", "two", lambda: redirect("/three", 307), methods=["POST"])
    app.add_url_rule("/three", "three", lambda: f"{request.method} {request.data.decode()}", methods=["GET", "POST"])
    app.add_url_rule("/see", "see", lambda: redirect("/three", 303), methods=["POST"])

    async def ask(client: AsyncClient) -> None:
        assert (await client.post("/one", data="body")).status_code == 307
        response = await client.post("/one", data="body", follow_redirects=True)
        assert response.text == "POST body"
        assert [(earlier.status_code, earlier.location) for earlier in response.history] == [
            (307, "/two"),
            (307, "/three"),
        ]
        assert (await client.post("/see", data="body", follow_redirects=True)).text == "GET "
        assert (await client.get("/three")).history == ()

    on_loop(app, ask)


def test_redirects_in_circles(app: Quaff) -> None:
    """They are an error of the test, as in the synchronous client."""
    app.add_url_rule("/", "view", lambda: redirect("/"))
    with pytest.raises(ClientRedirectError, match="Loop detected"):
        on_loop(app, lambda client: client.get("/", follow_redirects=True))


def test_builders_and_environs(app: Quaff) -> None:
    """A request may be described by a builder or an environ as well."""
    app.add_url_rule("/x", "view", lambda: [request.args.get("a"), request.headers.get("X-A")])
    builder = EnvironBuilder(app, "/x?a=1", headers={"X-A": "b"})
    assert on_loop(app, lambda client: client.open(builder)).json == ["1", "b"]
    assert on_loop(app, lambda client: client.open(builder.get_environ())).json == ["1", "b"]
    builder.close()


@pytest.mark.parametrize("is_async", [True, False])
def test_errors_are_raised_in_testing_mode(app: Quaff, is_async: bool) -> None:
    """The test gets what the view raised; without testing mode it is a 500."""

    async def view() -> str:
        raise LookupError("of the view")

    def view_in_thread() -> str:
        raise LookupError("of the view")

    app.add_url_rule("/", "view", view if is_async else view_in_thread)
    with pytest.raises(LookupError, match="of the view"):
        on_loop(app, lambda client: client.get("/"))
    app.config["TESTING"] = False
    assert on_loop(app, lambda client: client.get("/")).status_code == 500


def test_many_requests_at_once(app: Quaff) -> None:
    """One client may ask many things at once; each has its own context."""

    @app.get("/<name>")
    async def view(name: str) -> str:
        g.name = name
        await asyncio.sleep(0.01)
        return f"{g.name} {request.path}"

    async def ask(client: AsyncClient) -> list[str]:
        return [answer.text for answer in await asyncio.gather(*(client.get(f"/{n}") for n in range(20)))]

    assert on_loop(app, ask) == [f"{n} /{n}" for n in range(20)]
