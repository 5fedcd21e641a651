"""What a browser makes of event streams and WebSockets: Chromium, which speaks with the app as with any site.

A page of the app opens the stream and posts back to the app what it saw.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from quaff import EventStream, Quaff, Response, request, websocket
from quaff.sse import Event
from tests.protocols.browser import browsing
from tests.protocols.conftest import Serve
from tests.protocols.harness import KINDS, until
from tests.protocols.test_event_streams import WAIT, source_of

pytestmark = pytest.mark.service("chromium")

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>A test of Quaff</title>
<script>
let last = Promise.resolve();
// One after the other, so that they arrive in order.
function report(...what) {
    last = last.then(() => fetch("/report", {method: "POST", body: JSON.stringify(what)}));
}
window.onerror = (message) => report("error", message);
%s
</script>
"""

Visit = Callable[[str], AbstractContextManager[None]]
Reports = list[list[Any]]

HEARTBEAT = 0.01

PAUSE = [WAIT] * 6
"""Time for a few heartbeats."""


@pytest.fixture
def app(reports: Reports) -> Quaff:
    """Give an app that collects what its page reports."""
    app = Quaff("browsed", static_folder=None)

    @app.post("/report")
    def report() -> tuple[str, int]:
        reports.append(request.get_json(force=True))
        return "", 204

    # Which every browser asks for.
    app.add_url_rule("/favicon.ico", "icon", lambda: ("", 204))
    return app


@pytest.fixture
def reports() -> Reports:
    """Give the list of what the page has reported."""
    return []


@pytest.fixture
def visit(app: Quaff, serve: Serve, require_service: Callable[[str], str], tmp_path: Path) -> Visit:
    """Give what shows a page with a script to the browser for a with block."""

    @contextmanager
    def show(script: str) -> Iterator[None]:
        program = require_service("chromium")
        app.add_url_rule("/", "page", lambda: PAGE % script)
        served = serve(app)
        with browsing(program, f"{served.url}/", tmp_path / "browser"):
            yield

    return show


LISTEN = """
const source = new EventSource("/events");
const tell = (event) => report(event.type, event.data, event.lastEventId);
source.onopen = () => report("open", source.readyState);
source.onmessage = tell;
source.addEventListener("news", tell);
source.addEventListener("bye", (event) => {
    tell(event);
    source.close();
    report("closed", source.readyState);
});
"""


@pytest.mark.parametrize("source", KINDS)
def test_what_a_page_hears(app: Quaff, visit: Visit, reports: Reports, source: str) -> None:
    """Text, lines and JSON arrive as they were, by type and with ids; comments and heartbeats are nothing to a page."""
    ended = threading.Event()

    def items() -> Iterator[Any]:
        try:
            yield "first"
            yield from PAUSE
            yield Event("two\nlines", id=1)
            yield {"größe": [1, None, "\u2028"]}
            yield Event(None, comment="not for pages")
            yield from PAUSE
            yield Event({"n": 2}, event="news", id="zwölf")
            yield Event("", event="news")
            yield Event("nobody listens", event="other", id=13)
            yield Event("bye", event="bye")
            while True:
                yield from PAUSE
                # In a thread, it is at its next event that a source can end.
                yield Event(None, comment="is anybody there?")
        finally:
            ended.set()

    app.add_url_rule("/events", "events", lambda: EventStream(source_of(source, items), heartbeat=HEARTBEAT))
    with visit(LISTEN):
        until(lambda: reports and reports[-1][0] == "closed")
        # The page has closed it, and so the source ends on the server.
        until(ended.is_set)
    assert reports == [
        ["open", 1],
        ["message", "first", ""],
        ["message", "two\nlines", "1"],
        ["message", app.json.dumps({"größe": [1, None, "\u2028"]}), "1"],
        ["news", '{"n": 2}', "zwölf"],
        ["news", "", "zwölf"],
        ["bye", "bye", "13"],
        ["closed", 2],
    ]


@pytest.mark.parametrize("source", KINDS)
def test_a_page_comes_back(app: Quaff, visit: Visit, reports: Reports, source: str) -> None:
    """When a stream ends, the browser connects again and says what it had last, until the answer is a 204."""
    seen: list[str | None] = []

    @app.get("/events")
    def events() -> Response:
        last = EventStream.last_event_id()
        seen.append(last)
        number = int(last or 0)
        if number >= 4:
            return Response(status=204)

        def items() -> Iterator[Any]:
            yield Event(f"{number + 1}", id=number + 1)
            yield from PAUSE
            yield Event(f"{number + 2}", id=number + 2)

        return EventStream(source_of(source, items), retry=20, heartbeat=HEARTBEAT)

    with visit(LISTEN + 'source.onerror = () => report("lost", source.readyState);'):
        until(lambda: reports and reports[-1] == ["lost", 2])
    assert reports == [
        ["open", 1],
        ["message", "1", "1"],
        ["message", "2", "2"],
        # Connecting again.
        ["lost", 0],
        ["open", 1],
        ["message", "3", "3"],
        ["message", "4", "4"],
        ["lost", 0],
        # Given up.
        ["lost", 2],
    ]
    assert seen == [None, "2", "4"]


@pytest.mark.parametrize("source", KINDS)
def test_a_browser_that_is_gone(app: Quaff, visit: Visit, reports: Reports, source: str) -> None:
    """When the browser is killed, the sources of all its streams end."""
    begun: list[str] = []
    ended: list[str] = []

    @app.get("/events/<name>")
    def events(name: str) -> EventStream:
        def items() -> Iterator[Any]:
            begun.append(name)
            try:
                yield name
                while True:
                    yield from PAUSE
                    yield Event(None, comment="is anybody there?")
            finally:
                ended.append(name)

        return EventStream(source_of(source, items), heartbeat=HEARTBEAT)

    script = """
    for (const name of "abc")
        new EventSource(`/events/${name}`).onmessage = (event) => report(event.data);
    """
    with visit(script):
        until(lambda: len(reports) == 3)
        assert ended == []
    until(lambda: len(ended) == 3)
    assert sorted(reports) == [["a"], ["b"], ["c"]]
    assert sorted(begun) == sorted(ended) == ["a", "b", "c"]


# WebSockets ------------------------------------------------------------------------------------------------------------

# Granian passes on neither subprotocols nor codes.
over_websockets = pytest.mark.parametrize("interface", ["asgi", "http1"], indirect=True)

TALK = """
const socket = new WebSocket(`ws://${location.host}/talk`, ["v1", "v2"]);
socket.binaryType = "arraybuffer";
socket.onopen = () => {
    report("open", socket.protocol);
    socket.send("grüße");
    socket.send(new TextEncoder().encode("bytes"));
    socket.send("");
    socket.send("x".repeat(70000));
};
socket.onmessage = ({data}) => {
    if (typeof data != "string")
        report("binary", new TextDecoder().decode(data));
    else if (data.length < 100)
        report("text", data);
    else {
        report("text", data.length);
        %s
    }
};
socket.onclose = ({code, reason, wasClean}) => report("close", code, reason, wasClean);
"""

SPOKEN = [["open", "v2"], ["text", "grüße"], ["binary", "bytes"], ["text", ""], ["text", 70000]]


@over_websockets
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_that_ends_a_conversation(app: Quaff, visit: Visit, reports: Reports, kind: str) -> None:
    """Text and bytes of every size go both ways, in the protocol that the app has chosen; the app learns the code."""
    codes: list[Any] = []

    async def talk() -> None:
        await websocket.accept("v2")
        async for message in websocket:
            await websocket.send(message)
        codes.append(websocket.close_code)

    def talk_in_thread() -> None:
        blocking = websocket.blocking
        blocking.accept("v2")
        for message in blocking:
            blocking.send(message)
        codes.append(blocking.close_code)

    app.websocket("/talk")(talk if kind == "async" else talk_in_thread)
    with visit(TALK % 'socket.close(4001, "that is all");'):
        until(lambda: reports and reports[-1][0] in {"close", "error"})
        until(lambda: codes)
    assert reports == [*SPOKEN, ["close", 4001, "that is all", True]]
    assert codes == [4001]


@over_websockets
def test_an_app_that_ends_a_conversation(app: Quaff, visit: Visit, reports: Reports) -> None:
    """The page learns the code and the reason that the app has closed with."""

    @app.websocket("/talk")
    async def talk() -> None:
        await websocket.accept("v2")
        async for message in websocket:
            if message == "enough":
                await websocket.close(3000, "größtenteils")
            else:
                await websocket.send(message)

    with visit(TALK % 'socket.send("enough");'):
        until(lambda: reports and reports[-1][0] in {"close", "error"})
    assert reports == [*SPOKEN, ["close", 3000, "größtenteils", True]]


@over_websockets
def test_a_conversation_that_is_refused(app: Quaff, visit: Visit, reports: Reports) -> None:
    """A page may not hear more of a refusal than that there was one: the code of a connection that was lost."""

    @app.websocket("/talk")
    async def talk() -> Any:
        return "not you", 403

    with visit(TALK % ""):
        until(lambda: reports)
    assert reports == [["close", 1006, "", False]]
