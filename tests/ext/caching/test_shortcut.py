"""The short way to a hit: where there is one, and that it sees all that may have changed since it was made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cachelib.simple
import pytest
from cachelib.serializers import SimpleSerializer

from quaff import Quaff, Response, after_this_request, request, session
from quaff.ext.caching import Cache
from quaff.ext.caching.pages import Page, etag_of
from quaff.ext.caching.shortcut import LARGEST_ANSWER, Answers, Shortcut
from quaff.pipeline.parts import Battery, Part, Target
from quaff.pipeline.phases import Stage
from tests.contracts.test_calls import answer, calls_of, environ
from tests.ext.caching.apps import PIPELINES, make_app
from tests.ext.caching.test_part import build, snapshot


@pytest.mark.parametrize(
    "options, config",
    [
        ({"unless": lambda: False}, {}),
        ({"forced_update": lambda: False}, {}),
        ({"is_stale": lambda value: False}, {}),
        ({"query_string": True}, {}),
        ({"vary_on": ["Accept"]}, {}),
        ({"tags": ["a"]}, {}),
        ({"source_check": True}, {}),
        ({"key_prefix": "100%%-%s"}, {}),
        ({"key_prefix": lambda: "key"}, {}),
        ({}, {"DEBUG": True}),
        ({}, {"CACHE_ENABLE_SIGNALS": True}),
        ({}, {"CACHE_SERIALIZER": SimpleSerializer()}),
        ({}, {"CACHE_TYPE": "cachelib.SimpleCache"}),
        ({}, {"COMPAT": ("cache-anything",)}),
    ],
)
def test_where_there_is_no_shorter_way(options: dict[str, Any], config: dict[str, Any]) -> None:
    """Whatever has to be asked for each request is asked: the view stays as it is."""
    app, cache = make_app(True, **config)
    view = cache.cached(**options)(lambda: "page")
    app.add_url_rule("/", "view", view)
    target = Target(app=app, rule=next(app.url_map.iter_rules("view")), method="GET", view=view)
    [engine] = target.marks(cache)
    shortcut = Shortcut(engine, target, cache.bound_to(app))
    assert shortcut.wrap_view(view) is view
    assert shortcut.answer_view(view, True) is None


def test_a_get_of_ones_own() -> None:
    """A subclass whose `get` counts is asked for each request."""

    class Counting(Cache):
        asked = 0

        def get(self, *args: Any, **kwargs: Any) -> Any:
            self.asked += 1
            return super().get(*args, **kwargs)

    app = Quaff("own", static_folder=None, compiled=True)
    app.config["CACHE_TYPE"] = "SimpleCache"
    cache = Counting(app)
    app.add_url_rule("/", "view", cache.cached()(lambda: "page"))
    client = app.test_client()
    assert [client.get("/").text for _ in range(3)] == ["page"] * 3
    assert cache.asked == 3


@pytest.mark.parametrize("compiled", PIPELINES)
def test_expiry_on_the_shorter_way(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page ends at the same moment on both ways."""
    now = [1_700_000_000.0]
    monkeypatch.setattr(cachelib.simple, "time", lambda: now[0])
    app, _ = build(compiled, CACHE_DEFAULT_TIMEOUT=5)
    client = app.test_client()
    seen = []
    for _ in range(12):
        seen.append(client.get("/").text)
        now[0] += 1
    assert seen == ["Hello, 1!"] * 5 + ["Hello, 2!"] * 5 + ["Hello, 3!"] * 2


class Finishing(Battery):
    """A battery with a finisher that changes the body."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def parts_for(self, target: Target) -> Iterable[Part]:
        yield Part(stage=self.stage, finish=self.finish, acts_on=lambda context, body: b"odd" in context_path(context))

    def finish(self, context: Any, response: Any) -> Any:
        """Change the body of some paths."""
        if b"odd" in context_path(context):
            response.set_data(response.get_data() + b" finished")
        return response


def context_path(context: Any) -> bytes:
    """Return the path of a request."""
    path: str = context.environ["PATH_INFO"]
    return path.encode("latin-1")


def with_after_request(app: Quaff, cache: Cache) -> None:
    """Change every body."""

    @app.after_request
    def change(response: Response) -> Response:
        response.set_data(response.get_data() + request.args.get("add", "").encode())
        return response


def with_after_this_request(app: Quaff, cache: Cache) -> None:
    """Change some bodies, decided before the view."""

    @app.before_request
    def change() -> None:
        add = request.args.get("add")
        if add:
            after_this_request(lambda response: Response(response.get_data() + add.encode()))


def with_a_session(app: Quaff, cache: Cache) -> None:
    """Write into the session before the view."""

    @app.before_request
    def write() -> None:
        if "add" in request.args:
            session["a"] = 1


def with_a_permanent_session(app: Quaff, cache: Cache) -> None:
    """Let the cookie of the session be sent again with each answer."""
    app.add_url_rule("/login", "login", lambda: session.update(a=1, _permanent=True) or "in")


def with_an_early_finisher(app: Quaff, cache: Cache) -> None:
    """Change bodies before they get their entity tag."""
    app.add_battery(Finishing(Stage.LIMIT))


def with_a_late_finisher(app: Quaff, cache: Cache) -> None:
    """Change bodies after they got their entity tag."""
    app.add_battery(Finishing(Stage.COMPRESS))


def with_hit_indication(app: Quaff, cache: Cache) -> None:
    """Say what is a hit."""
    app.add_url_rule("/said", "said", cache.cached(response_hit_indication=True)(lambda: "said"))


def with_another_key(app: Quaff, cache: Cache) -> None:
    """Replace the function that makes the key, once the page was a hit."""

    @app.get("/replace")
    def replace() -> str:
        app.view_functions["user"].make_cache_key = lambda *args, **kwargs: "other"  # type: ignore[attr-defined]
        return "replaced"


def with_removal(app: Quaff, cache: Cache) -> None:
    """Delete all pages, or one."""
    app.add_url_rule("/clear", "clear", lambda: f"{cache.clear()}")
    app.add_url_rule("/delete", "delete", lambda: f"{cache.delete('view//user/a')}")


WAYS = (
    with_after_request,
    with_after_this_request,
    with_a_session,
    with_a_permanent_session,
    with_an_early_finisher,
    with_a_late_finisher,
    with_hit_indication,
    with_another_key,
    with_removal,
)

SERIES = (
    "/login / / / /user/a /user/a /user/a /user/odd /user/odd /user/odd /bytes /bytes /?add=1 /?add=2 /user/a?add=1 "
    "/bytes?add=1 /?add=1 /said /said /said /clear / / /user/a /user/a /delete /user/a /user/a / /replace /user/a /user/b "
    "/user/a /json /json /made /made /missing"
).split()
"""Paths that are asked for one after the other."""


@pytest.mark.parametrize("way", WAYS)
def test_the_short_way_changes_nothing(way: Callable[[Quaff, Cache], None]) -> None:
    """Whatever has a say in the response, the answers are those of the pipeline that calls the view as it is."""
    seen = []
    for compiled in PIPELINES:
        app, cache = build(compiled)
        way(app, cache)
        client = app.test_client()
        answers = []
        for path in SERIES:
            found = client.get(path)
            answers.append((path, snapshot(found)))
            etag = found.headers.get("ETag")
            if etag is not None:
                answers.append((path, snapshot(client.get(path, headers={"If-None-Match": etag}))))
                answers.append((path, snapshot(client.head(path))))
        seen.append(answers)
    assert seen[0] == seen[1]


def test_requests_with_credentials_never_take_it() -> None:
    """SECURITY: a request with `Authorization` has its own answer, also when the page was a hit a moment ago."""
    app, _ = build(True)
    client = app.test_client()
    pages = [client.get("/").text for _ in range(4)]
    assert pages == ["Hello, 1!"] * 4
    assert client.get("/", headers={"Authorization": "Bearer x"}).text == "Hello, 2!"
    assert client.get("/").text == "Hello, 1!"


def test_answers_are_made_where_they_are_used() -> None:
    """A hit makes none where the response is not final, and none that is there already."""
    app, _ = build(True)
    app.after_request(lambda response: response)
    client = app.test_client()
    assert [client.get("/user/a").text for _ in range(3)] == ["a 1"] * 3
    assert "shortcut.py:hit_or_call" in calls_of(answer, app, environ("/user/a"))
    assert "shortcut.py:keep" not in calls_of(answer, app, environ("/user/a"))
    made, entry = Answers(wants_etag=True), (0.0, page_of("text"))
    made.keep("/", "view//", entry)
    first = made["/"]
    made.keep("/", "view//", entry)
    assert made["/"] is first
    made.keep("/", "view//", (0.0, page_of("text")))
    assert made["/"] is not first


def test_answers_are_bounded() -> None:
    """SECURITY: clients choose paths. A number of answers is kept, and no large one."""
    made = Answers(wants_etag=True)
    for number in range(10 * Answers.limit):
        made.keep(f"/{number}", f"view//{number}", (0, page_of(f"{number}")))
        assert len(made) <= Answers.limit
    made.keep("/large", "view//large", (0, page_of("x" * (LARGEST_ANSWER + 1))))
    assert "/large" not in made
    assert made.last[0][0] == f"view//{10 * Answers.limit - 1}"


def test_a_page_without_a_tag_is_no_answer() -> None:
    """Where entity tags are wanted, a page whose tag is not known takes the longer way, which makes it."""
    made = Answers(wants_etag=True)
    made.keep("/", "view//", (0, Page("text")))
    assert not made
    made = Answers(wants_etag=False)
    made.keep("/", "view//", (0, Page("text")))
    finished = made["/"][3]
    assert finished is not None
    assert finished.headers == [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", "4")]


def page_of(text: str) -> Page:
    """Return a page as the cache stores it."""
    return Page(text, etag_of(text.encode()))
