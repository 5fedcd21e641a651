"""The table of compiled routes: when it is made, what it takes along, and what it leaves to the reference pipeline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter
from werkzeug.routing import Map as WerkzeugMap

from quaff import Quaff, current_app, request
from quaff.pipeline.table import CompiledTable, RoutingFailure
from tests.contracts.test_calls import answer, calls_of, environ
from tests.servers.test_exchange import serve


def make_app(**options: Any) -> Quaff:
    """Return a compiled app with a static and a dynamic route."""
    app = Quaff("table", static_folder=None, compiled=True, **options)
    app.add_url_rule("/", "home", lambda: "home")
    app.add_url_rule("/users/<int:id>", "user", lambda id: f"user {id}", methods=["GET", "PUT"])
    return app


def table_of(app: Quaff) -> CompiledTable:
    """Return the table after a request, which makes it."""
    answer(app, environ("/"))
    made = app._table
    if made is None:
        pytest.fail("the request made no table")
    return made


def test_is_made_by_the_first_request() -> None:
    """Nothing is compiled while the app is set up."""
    app = make_app()
    assert app._table is None
    made = table_of(app)
    assert made.compiled
    assert table_of(app) is made


def test_a_hook_takes_the_router_along() -> None:
    """A hook that comes late costs the handlers and not the matchers of all routes."""
    app = make_app()
    first = table_of(app)
    app.after_request_funcs[None].append(lambda response: response)
    second = table_of(app)
    assert second is not first
    assert second._router is first._router


def test_a_rule_makes_a_new_router() -> None:
    """A new rule, and each other change of the map, is matched from the next request on."""
    app = make_app()
    first = table_of(app)
    app.url_map.add(app.url_rule_class("/late", endpoint="home", methods=["GET"]))
    assert answer(app, environ("/late")) == b"home"
    assert table_of(app)._router is not first._router


LEAVES_IT: dict[str, Callable[[Quaff], Any]] = {
    "a map of another library": lambda app: setattr(app, "url_map", WerkzeugMap()),
    "an overridden full_dispatch_request": lambda app: setattr(app, "full_dispatch_request", app.full_dispatch_request),
    "an overridden process_response": lambda app: setattr(app, "process_response", app.process_response),
    "an overridden request_context": lambda app: setattr(app, "request_context", app.request_context),
    "compiled=False": lambda app: setattr(app, "compiled", False),
    "subdomain matching": lambda app: setattr(app, "subdomain_matching", True),
}


@pytest.mark.parametrize("reason", LEAVES_IT)
def test_leaves_the_app_to_the_reference_pipeline(reason: str) -> None:
    """An app that replaces what the compiled pipeline does itself is not compiled; when it stops doing so, it is."""
    app = make_app()
    LEAVES_IT[reason](app)
    made = table_of(app)
    assert not made.compiled
    assert made.static == {}


def test_an_apm_that_patches_the_class_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that wraps `Flask.full_dispatch_request` on the class itself sees the requests."""
    seen: list[str] = []
    original = Quaff.full_dispatch_request

    def traced(self: Quaff) -> Any:
        seen.append(request.path)
        return original(self)

    monkeypatch.setattr(Quaff, "full_dispatch_request", traced)
    assert answer(make_app(), environ("/")) == b"home"
    assert seen == ["/"]


def test_converters_of_ones_own_see_the_context() -> None:
    """A converter of the user's own runs within the request, as in Flask: it may use the app, or abort."""

    class UserConverter(BaseConverter):
        def to_python(self, value: str) -> str:
            if value == "gone":
                raise NotFound("gone")
            return f"{value} of {current_app.name} at {request.path}"

    app = make_app()
    app.url_map.converters["user"] = UserConverter
    app.add_url_rule("/by/<user:who>", "by", lambda who: who)
    assert answer(app, environ("/by/me")) == b"me of table at /by/me"
    assert b"gone" in answer(app, environ("/by/gone"))


def test_churn(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that changes its hooks with each request is not compiled again and again; left alone, it is compiled again."""
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    app = make_app()
    compiled = []
    for _ in range(25):
        app.after_request_funcs[None].append(lambda response: response)
        compiled.append(table_of(app).compiled)
    assert compiled == [True] * 19 + [False] * 6
    clock[0] += 0.5
    assert not table_of(app).compiled
    clock[0] += 0.6
    assert table_of(app).compiled
    last = table_of(app)
    clock[0] += 10
    assert table_of(app) is last


def test_slow_changes_are_no_churn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change now and then, however often in the end, leaves the app compiled."""
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    app = make_app()
    for _ in range(60):
        clock[0] += 0.1
        app.after_request_funcs[None].append(lambda response: response)
        assert table_of(app).compiled


def test_known_hosts_are_bounded() -> None:
    """Hosts that were judged are remembered; a client that makes up new ones does not fill the memory."""
    app = make_app()
    made = table_of(app)
    assert made.hosts == {"localhost"}
    for number in range(2500):
        answer(app, {**environ("/"), "HTTP_HOST": f"h{number}.example"})
        assert len(made.hosts) <= 1000
    assert "h2499.example" in made.hosts


@pytest.mark.parametrize("host", ["bad host", "a/b", "a@b", ""])
def test_a_malformed_host_is_not_remembered(host: str) -> None:
    """A host that is no host is a 400, and is judged again each time."""
    app = make_app()
    made = table_of(app)
    for _ in range(2):
        assert b"Bad Request" in answer(app, {**environ("/"), "HTTP_HOST": host})
    assert host not in made.hosts


def test_untrusted_hosts() -> None:
    """With `TRUSTED_HOSTS` only those are remembered as fine."""
    app = make_app()
    app.config["TRUSTED_HOSTS"] = ["localhost"]
    made = table_of(app)
    assert b"Bad Request" in answer(app, {**environ("/"), "HTTP_HOST": "evil.example"})
    assert made.hosts == {"localhost"}


def test_routing_errors_are_finished_once() -> None:
    """A 404 and each set of methods of a 405 is worked out once, when nobody's handler has a say."""
    app = make_app()
    client = app.test_client()
    assert [client.get("/nowhere").status_code for _ in range(2)] == [404, 404]
    put = client.post("/users/7")
    assert (put.status_code, put.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, PUT")
    made = table_of(app)
    assert set(made._failures) == {frozenset(), frozenset({"GET", "HEAD", "OPTIONS", "PUT"})}
    assert all(failure.answer is not None for failure in made._failures.values())


def test_a_handler_has_its_say() -> None:
    """With an error handler the exception is made anew for each request: a raised one keeps its traceback."""
    seen: list[Any] = []
    app = make_app()
    app.register_error_handler(404, lambda error: (seen.append(error), "own 404")[1])  # type: ignore[func-returns-value]
    assert [answer(app, environ("/nowhere")) for _ in range(2)] == [b"own 404", b"own 404"]
    assert seen[0] is not seen[1]
    assert table_of(app)._failures[frozenset()].answer is None


def test_a_failure_raises_where_flask_would() -> None:
    """Without a finished answer the error is raised to the app's own method."""
    app = make_app()
    failure = RoutingFailure(NotFound, plain=False)
    with app.test_request_context("/nowhere") as context, pytest.raises(NotFound):
        failure.outcome(context)
    assert RoutingFailure(NotFound, plain=True).outcome(None).code == 404


@pytest.mark.parametrize("path", ["/a\0b", "/users/\0"])
def test_a_nul_is_left_to_the_reference_pipeline(path: str) -> None:
    """A path with a NUL is a 400 in both."""
    assert b"Bad Request" in answer(make_app(), environ(path))


def test_an_empty_path_may_be_left_out() -> None:
    """PEP 3333 lets a server leave out a PATH_INFO that is empty."""
    app = make_app()
    table_of(app)
    without = environ("/")
    del without["PATH_INFO"]
    assert answer(app, without) == b"home"


def test_requests_race_for_the_first_table() -> None:
    """Threads that send the first requests of the process at once are all answered."""
    for _ in range(20):
        app = make_app()
        together = threading.Barrier(8)

        def ask(number: int, app: Quaff = app, together: threading.Barrier = together) -> bytes:
            together.wait(timeout=20)
            return answer(app, environ("/" if number % 2 else "/users/7"))

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(8))) == [b"user 7", b"home"] * 4


def test_requests_race_with_registrations() -> None:
    """While one thread registers hooks and rules, others are answered right, and a change holds for who asks later."""
    app = make_app()
    stop = threading.Event()
    wrong: list[bytes] = []

    def ask() -> None:
        while not stop.is_set():
            for path, expected in (("/", b"home"), ("/users/7", b"user 7")):
                given = answer(app, environ(path))
                if given != expected:
                    wrong.append(given)

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            for number in range(60):
                seen: list[int] = []
                app.after_request_funcs[None][:] = [lambda response, seen=seen: (seen.append(1), response)[1]]
                app.url_map.add(app.url_rule_class(f"/late{number}", endpoint="home", methods=["GET"]))
                assert answer(app, environ(f"/late{number}")) == b"home"
                assert seen
        finally:
            stop.set()
        for done in asking:
            done.result(timeout=20)
    assert wrong == []


def test_a_change_is_seen_by_the_next_request() -> None:
    """After a registration no request is served by the old table, not even one that never asked before."""
    app = make_app()
    table_of(app)
    for number in range(5):
        app.view_functions["user"] = lambda id, number=number: f"{number}"
        assert answer(app, environ("/users/7")) == str(number).encode()


@pytest.mark.parametrize("path", ["/", "/users/7", "/nowhere", "/nowhere/at/all"])
def test_calls_do_not_grow_with_the_rules(path: str) -> None:
    """A request to an app of a thousand static and three hundred dynamic rules calls as much as one to an app of ten."""
    counts = []
    for many in (10, 1000):
        app = make_app()
        for number in range(many):
            app.add_url_rule(f"/static/{number}", f"static{number}", lambda: "static")
        for number in range(many // 3):
            app.add_url_rule(f"/area{number}/<int:id>", f"area{number}", lambda id: "area")
        for _ in range(3):
            answer(app, environ(path))
        counts.append(len(calls_of(answer, app, environ(path))))
    assert counts[0] == counts[1]


def make_mixed_app() -> Quaff:
    """Return a compiled app with sync and async routes; they answer whether they run on a loop."""
    app = Quaff("table", static_folder=None, compiled=True)

    async def view(**values: Any) -> str:
        return f"loop {on_a_loop()} {sorted(values.items())}"

    app.add_url_rule("/sync", "sync", lambda: f"loop {on_a_loop()}")
    app.add_url_rule("/async", "async", view)
    app.add_url_rule("/async/<int:n>", "number", view)
    app.add_url_rule("/ü/<name>", "name", view)
    return app


def on_a_loop() -> bool:
    """Tell whether this thread is the main one, in which the loop of these tests runs."""
    return threading.current_thread() is threading.main_thread()


@pytest.mark.parametrize(
    "path, answered",
    [
        ("/async", "loop True []"),
        ("/async/7", "loop True [('n', 7)]"),
        ("/ü/ö", "loop True [('name', 'ö')]"),
        ("/sync", "loop False"),
    ],
)
def test_routes_on_a_loop(path: str, answered: str) -> None:
    """Async routes are served on the loop, sync ones in a thread."""
    app = make_mixed_app()
    for _ in range(2):
        assert serve(app, path) == ["200 OK", answered.encode()]


def test_what_no_route_takes_on_a_loop() -> None:
    """Paths that no route takes, methods and odd paths are left to a thread, where the table for WSGI knows the answer."""
    app = make_mixed_app()
    find = app.current_table().find_native
    for method, path in (
        ("GET", "/nowhere"),
        ("DELETE", "/async"),
        ("GET", "/async/x"),
        ("GET", "//async"),
        ("GET", ""),
    ):
        assert find(method, path) is None, path
    assert serve(app, "/nowhere")[0] == "404 NOT FOUND"
    assert serve(app, "/ü/a\0b")[0] == "400 BAD REQUEST"


def test_a_late_hook_makes_a_route_native() -> None:
    """What changes the app makes the handlers of the loop anew, too."""
    app = make_mixed_app()
    assert serve(app, "/async")[1] == b"loop True []"

    async def hook() -> str:
        return f"hook on loop {on_a_loop()}"

    app.before_request_funcs[None].append(hook)
    assert serve(app, "/sync")[1] == b"hook on loop True"
    assert serve(app, "/async")[1] == b"hook on loop True"


def test_what_is_never_native() -> None:
    """Converters of the user's own, and an app that dispatches itself, run in a thread: they may look at anything."""
    seen: list[bool] = []

    class Own(BaseConverter):
        def to_python(self, value: str) -> str:
            seen.append(on_a_loop())
            return value * 2

    app = make_mixed_app()
    app.url_map.converters["own"] = Own
    app.add_url_rule("/own/<own:x>", "own", lambda x: f"{x} {on_a_loop()}")
    app.before_request(async_hook)
    assert serve(app, "/own/a")[1] == b"aa False"
    assert set(seen) == {False}
    app.dispatch_request = lambda: f"dispatched {on_a_loop()}"  # type: ignore[method-assign]
    assert serve(app, "/sync")[1] == b"dispatched False"


async def async_hook() -> None:
    """Do nothing, on a loop."""
