"""The router: finds handlers, makes them when they are needed, and forgets them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.routing import IntegerConverter, ValidationError

from quaff.routing import Map, Rule
from quaff.routing.matcher import ASK_THE_MAP
from quaff.routing.router import Route, Router
from tests.contracts.test_calls import calls_of


def route_of(text: str, **options: Any) -> Route:
    """Return the route of one rule."""
    url_map = Map([Rule(text, endpoint="x", methods=["GET"], **options)])
    return Route(next(url_map.iter_rules()))


def router(*texts: str, make: Callable[[Route, str], Any] | None = None, **settings: Any) -> Router:
    """Return a router of GET rules; a handler answers with its rule, its method and what was captured."""

    def make_handler(route: Route, method: str) -> Callable[..., Any]:
        return lambda captured: (route.rule.rule, method, captured)

    url_map = Map([Rule(text, endpoint=text, methods=["GET"]) for text in texts], **settings)
    return Router(url_map, make or make_handler)


def served(made: Router, path: str, method: str = "GET") -> Any:
    """Find and call."""
    found = made.find(path, method)
    return found[0](found[1]) if isinstance(found, tuple) else found


def test_converts() -> None:
    """The captured texts become the view's arguments, by name, through the rule's converters; defaults come on top."""
    route = route_of("/<int:a>/v<float:b>.<c>", defaults={"page": 1})
    assert route.names == ("a", "b", "c")
    assert route.convert("007", "1.5", "x") == {"a": 7, "b": 1.5, "c": "x", "page": 1}


def test_a_refusal_is_heard() -> None:
    """A converter that refuses raises; the pipeline then asks the map."""
    with pytest.raises(ValidationError):
        route_of("/<int(max=5):a>").convert("6")


def test_conversion_in_place() -> None:
    """Strings, paths and plain integers are converted by an expression; whatever may refuse asks its converter."""
    expressions = {
        "/<a>": "{text}",
        "/<path:a>": "{text}",
        "/<string(length=2):a>": "{text}",
        "/<int:a>": "int({text})",
        "/<int(signed=True):a>": "int({text})",
        "/<int(fixed_digits=2):a>": None,
        "/<int(min=2):a>": None,
        "/<int(max=2):a>": None,
        "/<float:a>": None,
        "/<uuid:a>": None,
        "/<safe_path:a>": None,
    }
    assert {text: route_of(text).conversion(0) for text in expressions} == expressions


def test_subclasses_are_asked() -> None:
    """A subclass of a converter that is known may do anything."""

    class Even(IntegerConverter):
        pass

    url_map = Map(converters={"even": Even})
    url_map.add(Rule("/<even:a>", endpoint="x"))
    assert Route(next(url_map.iter_rules())).conversion(0) is None


def test_static_paths_stand_in_a_dictionary() -> None:
    """A static path is looked up as the server writes it: bytes as latin-1."""
    made = router("/", "/a/b", "/ü", "/<x>")
    assert set(made.static) == {"/", "/a/b", "/ü".encode().decode("latin1")}
    assert set(made.static["/a/b"]) == {"GET", "HEAD"}


def test_leading_slashes_are_one() -> None:
    """A rule that starts with two slashes, which only `merge_slashes=False` allows, fits no path at all: not here either."""
    made = router("//a", merge_slashes=False)
    assert made.static == {}


@pytest.mark.parametrize("path", ["", "a", "//a", "/a//b", "/a//"])
def test_odd_slashes_are_left_to_the_map(path: str) -> None:
    """What the map may merge or refuse is not the router's."""
    assert router("/a", "/<x>/b").find(path, "GET") is ASK_THE_MAP


def test_a_map_of_hosts_is_not_usable() -> None:
    """A router over a map that matches hosts leaves everything to it."""
    made = Router(Map([Rule("/", endpoint="x", host="h")], host_matching=True), lambda route, method: repr)
    assert not made.usable
    assert made.find("/", "GET") is ASK_THE_MAP


def test_handlers_are_made_once_and_late() -> None:
    """A handler is made by the first request for its route and method; the others find it ready."""
    made_for: list[tuple[str, str]] = []

    def make(route: Route, method: str) -> Callable[..., Any]:
        made_for.append((route.rule.rule, method))
        return lambda captured: route.endpoint

    made = router("/a", "/<int:x>", make=make)
    assert made_for == []
    for _ in range(3):
        assert served(made, "/a") == "/a"
        assert served(made, "/5") == "/<int:x>"
    assert served(made, "/a", "HEAD") == "/a"
    assert made_for == [("/a", "GET"), ("/<int:x>", "GET"), ("/a", "HEAD")]
    assert made.static["/a"]["GET"](()) == "/a"


def test_forgets() -> None:
    """After `forget_handlers` each handler is made anew, when it is next needed."""
    count: list[int] = []

    def make(route: Route, method: str) -> Callable[..., Any]:
        count.append(1)
        number = len(count)
        return lambda captured: number

    made = router("/a", make=make)
    assert [served(made, "/a"), served(made, "/a")] == [1, 1]
    made.forget_handlers()
    assert [served(made, "/a"), served(made, "/a")] == [2, 2]


def test_a_handler_made_while_forgetting_is_not_kept() -> None:
    """What was begun from the old registries serves the request that began it, and nobody after it."""
    count: list[int] = []

    def make(route: Route, method: str) -> Callable[..., Any]:
        count.append(1)
        number = len(count)
        if number == 1:
            made.forget_handlers()
        return lambda captured: number

    made = router("/a", make=make)
    assert served(made, "/a") == 1
    assert served(made, "/a") == 2
    assert served(made, "/a") == 2


def test_a_route_first_used_after_a_change_is_kept() -> None:
    """A route that nobody asked for before the handlers were forgotten is made once then, and not for each request."""
    count: list[int] = []

    def make(route: Route, method: str) -> Callable[..., Any]:
        count.append(1)
        return lambda captured: len(count)

    made = router("/a", "/b", make=make)
    assert served(made, "/a") == 1
    made.forget_handlers()
    assert [served(made, "/b"), served(made, "/b")] == [2, 2]


def test_a_maker_that_raises_is_tried_again() -> None:
    """An error while a handler is made goes to the request; the next one tries again."""
    tries: list[int] = []

    def make(route: Route, method: str) -> Callable[..., Any]:
        tries.append(1)
        if len(tries) == 1:
            raise LookupError
        return lambda captured: "made"

    made = router("/a", make=make)
    with pytest.raises(LookupError):
        served(made, "/a")
    assert served(made, "/a") == "made"


def test_threads_race_for_a_handler() -> None:
    """Threads that all need the first handler at once are all served, and one handler stays."""
    made = router("/a", "/<x>")
    together = threading.Barrier(8)

    def ask(number: int) -> Any:
        together.wait(timeout=20)
        return served(made, "/a" if number % 2 else "/b")

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(ask, range(8)))
    assert results == [("/<x>", "GET", ("b",)), ("/a", "GET", ())] * 4


def test_an_unusual_rule_keeps_its_place() -> None:
    """A rule that only the map can serve hides the rules behind it, for its methods."""
    url_map = Map(
        [
            Rule("/x", endpoint="old", methods=["GET"], redirect_to="/y"),
            Rule("/x", endpoint="new", methods=["GET", "PUT"]),
        ]
    )
    made = Router(url_map, lambda route, method: lambda captured: route.endpoint)
    assert made.find("/x", "GET") is ASK_THE_MAP
    assert served(made, "/x", "PUT") == "new"


@pytest.mark.parametrize("path", ["/static5", "/nowhere", "/items/5", "/files/a/b/c"])
def test_static_rules_cost_nothing(path: str) -> None:
    """A thousand static rules cost as many calls as ten: none."""
    dynamic = ["/items/<int:id>", "/files/<path:name>"]
    few = router(*(f"/static{number}" for number in range(10)), *dynamic)
    many = router(*(f"/static{number}" for number in range(1000)), *dynamic)
    for made in (few, many):
        made.find(path, "GET")
    assert len(calls_of(many.find, path, "GET")) == len(calls_of(few.find, path, "GET"))


def test_dynamic_rules_cost_hardly_anything() -> None:
    """A thousand dynamic rules of the usual shapes cost as many calls as ten."""
    shapes = ["/area{}/<int:id>", "/area{}/<name>", "/area{}/<int:id>/edit", "/area{}/<path:rest>"]
    few = router(*(shapes[number % 4].format(number) for number in range(12)))
    many = router(*(shapes[number % 4].format(number) for number in range(1000)))
    for path in ("/area8/5", "/area9/x", "/area10/5/edit", "/area11/a/b/c/d", "/area9/x/y"):
        few.find(path, "GET")
        many.find(path, "GET")
        assert calls_of(many.find, path, "GET") == calls_of(few.find, path, "GET")
