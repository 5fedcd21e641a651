"""The apps that are timed, each written once against Flask's API.

A builder takes the framework as a module (`flask` or `quaff`), so both run the very same lines. What is asked of the
apps and what they must answer is in `scenarios.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, TypeVar

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
F = TypeVar("F", bound=Callable[..., Any])


class App(Protocol):
    """What the builders use of an app."""

    secret_key: str | bytes | None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any], /) -> Iterable[bytes]: ...

    def route(self, rule: str, **options: Any) -> Callable[[F], F]: ...

    def add_url_rule(self, rule: str, endpoint: str, view_func: Callable[..., Any]) -> None: ...

    def before_request(self, f: F) -> F: ...

    def after_request(self, f: F) -> F: ...


class Framework(Protocol):
    """What the builders use of the module `flask` or `quaff`."""

    # The proxies' own types differ between the two: `Any`.
    request: Any
    session: Any
    g: Any
    url_for: Callable[..., str]
    render_template: Callable[..., str]
    Flask: Callable[..., App]


TEMPLATES = Path(__file__).parent / "templates"
LOOP_KEY = "bench.number"
"""Environ key by which the worker asks a view to repeat its call and to answer the seconds that it took."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the page's table: an object with attributes, as a model would be."""

    name: str
    role: str
    since: int


ROWS = [Row(f"Ada <{number}>", "mathematician & more", 1830 + number) for number in range(12)]


def hello(framework: Framework) -> WSGIApp:
    """The first program of every tutorial."""
    app = framework.Flask(__name__)

    @app.route("/")
    def index() -> str:
        return "Hello, World!"

    return app


def user(framework: Framework) -> WSGIApp:
    """A path parameter in, a dict out."""
    app = framework.Flask(__name__)

    @app.route("/users/<int:user_id>")
    def show(user_id: int) -> dict[str, Any]:
        return {"id": user_id, "name": "Ada"}

    return app


def arguments(framework: Framework) -> WSGIApp:
    """Two values out of the query string."""
    app, request = framework.Flask(__name__), framework.request

    @app.route("/search")
    def search() -> str:
        return f"{request.args.get('q', '')} {request.args.get('page', '1')}"

    return app


def json_echo(framework: Framework) -> WSGIApp:
    """A JSON body in, a JSON body out."""
    app, request = framework.Flask(__name__), framework.request

    @app.route("/echo", methods=["POST"])
    def echo() -> dict[str, Any]:
        data = request.get_json()
        return {"name": data["name"], "tags": len(data["tags"])}

    return app


def form(framework: Framework) -> WSGIApp:
    """Two fields of an urlencoded form."""
    app, request = framework.Flask(__name__), framework.request

    @app.route("/login", methods=["POST"])
    def login() -> str:
        return f"{request.form['user']} {len(request.form['password'])}"

    return app


def session(framework: Framework) -> WSGIApp:
    """A signed cookie read, changed and set again; `/read` only reads it."""
    app, stored = framework.Flask(__name__), framework.session
    app.secret_key = "a key for measuring only, long enough"

    @app.route("/set")
    def start() -> str:
        stored["user"], stored["visits"] = "ada", 1
        return "set"

    @app.route("/count")
    def count() -> str:
        stored["visits"] = stored["visits"] + 1
        return f"{stored['user']} {stored['visits']}"

    @app.route("/read")
    def read() -> str:
        return f"{stored['user']} {stored['visits']}"

    return app


def hooks(framework: Framework) -> WSGIApp:
    """Three before hooks that each leave a value on `g`, three after hooks that each set a header."""
    app, g = framework.Flask(__name__), framework.g

    @app.before_request
    def first() -> None:
        g.first = 1

    @app.before_request
    def second() -> None:
        g.second = 2

    @app.before_request
    def third() -> None:
        g.third = 3

    @app.after_request
    def deny(response: Any) -> Any:
        response.headers["X-Frame-Options"] = "DENY"
        return response

    @app.after_request
    def nosniff(response: Any) -> Any:
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @app.after_request
    def version(response: Any) -> Any:
        response.headers["X-Version"] = "1"
        return response

    @app.route("/")
    def index() -> str:
        return str(g.first + g.second + g.third)

    return app


def idle_hooks(framework: Framework) -> WSGIApp:
    """The same number of hooks, with nothing in them: what the machinery costs."""
    app = framework.Flask(__name__)
    for _ in range(3):
        app.before_request(lambda: None)
        app.after_request(lambda response: response)
    app.add_url_rule("/", "index", lambda: "Hello, World!")
    return app


def links(framework: Framework) -> WSGIApp:
    """`url_for` called from a view: once, or as often as the worker asks."""
    app, request, url_for = framework.Flask(__name__), framework.request, framework.url_for

    def measured(call: Callable[[], str]) -> str:
        number = request.environ.get(LOOP_KEY)
        if number is None:
            return call()
        started = perf_counter()
        for _ in range(number):
            call()
        return repr(perf_counter() - started)

    app.add_url_rule("/users/<int:user_id>/posts/<slug>", "post", lambda user_id, slug: slug)
    app.add_url_rule("/link", "link", lambda: measured(lambda: url_for("post", user_id=7, slug="first-steps")))
    app.add_url_rule("/mixed", "mixed", lambda: measured(lambda: url_for("post", user_id=7, slug="a", page=2)))
    return app


def page(framework: Framework) -> WSGIApp:
    """A template from a file: a table of twelve rows and three columns, escaped."""
    app, render_template = framework.Flask(__name__, template_folder=str(TEMPLATES)), framework.render_template

    @app.route("/table")
    def table() -> str:
        return render_template("table.html", title="People", rows=ROWS)

    return app


def with_rules(*rules: str) -> Callable[[Framework], WSGIApp]:
    """Give the builder of an app with these rules; every view answers its values, joined by a space."""

    def build(framework: Framework) -> WSGIApp:
        app = framework.Flask(__name__)
        for number, rule in enumerate(rules):
            app.add_url_rule(rule, f"endpoint_{number}", lambda **values: " ".join(map(str, values.values())) or "page")
        return app

    return build


def mixed_rules(count: int) -> list[str]:
    """Make *count* rules as a large program has them: half of them static, variables at the end and in the middle."""
    kinds = ("/pages/{}/about", "/items{}/<int:item>", "/pages/{}", "/shops/<shop>/shelf{}/edit")
    return [kinds[number % 4].format(number) for number in range(count)]
