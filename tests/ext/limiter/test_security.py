"""What an attacker does to get more than a limit allows, or to keep others out: the pack of cases called LIM.

Each is tried in both pipelines. The numbers are those of the known weaknesses in Flask-Limiter and its relatives:
issue #41 of 2015 (the client's own `X-Forwarded-For`), CVE-2025-59152 (the same in Litestar).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from quaff import Quaff, request
from quaff.ext.limiter import Limiter, MetaLimit
from quaff.ext.limiter.memory import MemoryStorage
from tests.ext.limiter.apps import (
    Clock,
    both_pipelines,
    every_strategy,
    from_address,
    limited_app,
    make_app,
    statuses,
    statuses_on_loop,
    user_name,
)

SPOOFED = [
    "X-Forwarded-For",
    "X-Real-IP",
    "X-Client-IP",
    "X-Originating-IP",
    "X-Remote-Addr",
    "X-Remote-IP",
    "X-Cluster-Client-IP",
    "Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "Via",
    "From",
]
"""Headers in which some server or other looks for an address."""


@both_pipelines
@pytest.mark.parametrize("header", SPOOFED)
def test_rotating_headers(compiled: bool, header: str) -> None:
    """A new address in a header with each request is the same client: 429."""
    app, _ = limited_app(compiled, "3/minute")
    client = app.test_client()
    found = [client.get("/", headers={header: f"203.0.113.{number}"}).status_code for number in range(6)]
    assert found == [200] * 3 + [429] * 3


@both_pipelines
def test_rotating_forwarded(compiled: bool) -> None:
    """So it is with `Forwarded`, with several addresses in one header, and with several headers."""
    app, _ = limited_app(compiled, "3/minute")
    client = app.test_client()
    values: list[list[tuple[str, str]]] = [
        [("Forwarded", "for=203.0.113.1;proto=https")],
        [("X-Forwarded-For", "203.0.113.2, 203.0.113.3, 127.0.0.1")],
        [("X-Forwarded-For", "203.0.113.4"), ("X-Forwarded-For", "203.0.113.5")],
        [("X-Forwarded-For", "2001:db8::1")],
        [("X-Forwarded-For", "unknown")],
    ]
    assert [client.get("/", headers=headers).status_code for headers in values] == [200] * 3 + [429] * 2


@both_pipelines
def test_behind_a_trusted_proxy(compiled: bool) -> None:
    """Behind a proxy that is trusted, each of its clients counts, and what they say about themselves does not."""
    from werkzeug.middleware.proxy_fix import ProxyFix

    app, _ = limited_app(compiled, "2/minute")
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)  # type: ignore[method-assign]  # as the documentation has it
    client = app.test_client()

    def ask(claimed: str, real: str) -> int:
        return client.get("/", headers={"X-Forwarded-For": f"{claimed}, {real}"}).status_code

    assert [ask(f"203.0.113.{number}", "192.0.2.1") for number in range(3)] == [200, 200, 429]
    assert ask("203.0.113.9", "192.0.2.2") == 200


@both_pipelines
def test_a_network_of_addresses(compiled: bool) -> None:
    """A client with a whole IPv6 network is one client, where addresses are grouped."""
    app, _ = limited_app(compiled, "3/minute", config={"RATELIMIT_IPV6_PREFIX": 64})
    client = app.test_client()
    found = [client.get("/", **from_address(f"2001:db8:0:1:{number:x}::1")).status_code for number in range(5)]
    assert found == [200] * 3 + [429] * 2
    assert client.get("/", **from_address("2001:db8:0:2::1")).status_code == 200


@both_pipelines
def test_spellings_of_an_address(compiled: bool) -> None:
    """Spellings of one IPv6 address, and of an IPv4 address in it, are one client, where addresses are grouped."""
    app, _ = limited_app(compiled, "3/minute", config={"RATELIMIT_IPV6_PREFIX": 64})
    client = app.test_client()
    spellings = ["2001:db8::1", "2001:DB8::1", "2001:0db8:0000::0001", "2001:db8:0:0:0:0:0:1", "2001:db8::1%eth0"]
    assert [client.get("/", **from_address(text)).status_code for text in spellings] == [200] * 3 + [429] * 2
    spellings = ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207", "0:0:0:0:0:ffff:192.0.2.7"]
    assert [client.get("/", **from_address(text)).status_code for text in spellings] == [200] * 3 + [429]


# One route under many names ------------------------------------------------------------------------------------------------


def _routes(app: Quaff) -> None:
    app.add_url_rule("/page/", "page", lambda: "page", methods=["GET", "POST"])
    app.add_url_rule("/user/<name>", "user", lambda name: name)
    app.add_url_rule("/alias", "page", methods=["GET", "POST"])


@both_pipelines
@pytest.mark.parametrize(
    "paths",
    [
        ["/page/", "/page/?a=1", "/page/?b=2", "/page/#x"],
        ["/page/", "/%70age/", "/p%61ge/", "/page%2f"],
        ["/page/", "/alias", "/page/", "/alias"],
        ["/user/a", "/user/b", "/user/%61", "/user/A"],
        ["/user/a", "/user/a%00", "/user/%F0%9F%8D%B7", "/user/a b"],
        ["//page/", "/page/", "/page/", "/page//"],
        ["/page/", "/page/;x", "/page/", "/page/"],
    ],
)
def test_names_of_one_route(compiled: bool, paths: list[str]) -> None:
    """Queries, percent-encodings, values in the path and second rules are no new limit: no more than three pass."""
    app = make_app(compiled)
    Limiter(app=app, default_limits=["3/minute"])
    _routes(app)
    client = app.test_client()
    found = [client.get(path, follow_redirects=True).status_code for path in [*paths, *paths]]
    assert found.count(200) <= 3
    assert 429 in found


@both_pipelines
def test_case_and_slash(compiled: bool) -> None:
    """Another case is another path, and a missing slash a redirect; neither reaches the view a fourth time."""
    app = make_app(compiled)
    Limiter(app=app, default_limits=["3/minute"])
    _routes(app)
    client = app.test_client()
    found = [client.get(path, follow_redirects=True).status_code for path in ["/page", "/PAGE/", "/Page", "/page/"] * 3]
    assert found.count(200) == 3


@both_pipelines
def test_hosts(compiled: bool) -> None:
    """Another `Host` is no other limit."""
    app, _ = limited_app(compiled, "3/minute")
    client = app.test_client()
    found = [client.get("/", headers={"Host": f"host{number}.example"}).status_code for number in range(5)]
    assert found == [200] * 3 + [429] * 2


# Methods -------------------------------------------------------------------------------------------------------------------


@both_pipelines
def test_head_is_get(compiled: bool) -> None:
    """HEAD, which runs the view of GET, is counted with it: for limits of GET, and where each method counts alone."""
    app, limiter = limited_app(compiled)
    app.add_url_rule("/get", "get", limiter.limit("2/minute", methods=["GET"])(lambda: "get"))
    app.add_url_rule(
        "/each", "each", limiter.limit("2/minute", per_method=True)(lambda: "each"), methods=["GET", "POST"]
    )
    for path in ("/get", "/each"):
        assert [statuses(app, path, method=method)[0] for method in ("HEAD", "GET", "HEAD", "GET")] == [
            200,
            200,
            429,
            429,
        ]
    assert statuses(app, "/each", method="POST", times=3) == [200, 200, 429]


@both_pipelines
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_methods_share_a_limit(compiled: bool, method: str) -> None:
    """Unless a limit says otherwise, all methods of a route count together."""
    app, _ = limited_app(compiled, "3/minute")
    assert [statuses(app, method=one)[0] for one in ("GET", "POST", "HEAD")] == [200] * 3
    assert statuses(app, method=method) == [429]


@both_pipelines
def test_methods_of_their_own(compiled: bool) -> None:
    """Methods that clients think of do not reach a view, and make no keys."""
    app, limiter = limited_app(
        compiled, "3/minute", default_limits_per_method=True, config={"RATELIMIT_COUNT_UNMATCHED": True}
    )
    assert {statuses(app, method=f"X{number}")[0] for number in range(20)} == {405}
    assert len(limiter.storage) == 0


@both_pipelines
def test_method_override(compiled: bool) -> None:
    """A header that names another method changes nothing."""
    app, limiter = limited_app(compiled)
    app.add_url_rule("/t", "t", limiter.limit("2/minute", per_method=True)(lambda: "t"), methods=["GET", "POST"])
    client = app.test_client()
    found = [
        client.get("/t", headers={"X-HTTP-Method-Override": method}).status_code for method in ("PUT", "POST", "GET")
    ]
    assert found == [200, 200, 429]


@both_pipelines
def test_what_is_not_there(compiled: bool) -> None:
    """Floods of 404 and 405 make no keys, and use up nothing; they can be counted against the application's limits."""
    app, limiter = limited_app(compiled, "3/minute", application_limits=["5/minute"])
    assert {statuses(app, f"/missing/{number}")[0] for number in range(50)} == {404}
    assert len(limiter.storage) == 0
    app.config["RATELIMIT_COUNT_UNMATCHED"] = True
    assert [statuses(app, f"/missing/{number}")[0] for number in range(7)] == [404] * 5 + [429] * 2
    assert len(limiter.storage) == 1


# Keys and costs ------------------------------------------------------------------------------------------------------------


@both_pipelines
@pytest.mark.parametrize(
    "value", ["x" * 100_000, "\x7f", "a/b/c", "%00", "é" * 300, "LIMITER/127.0.0.1/index/3/1/minute"]
)
def test_keys_of_the_client_s(compiled: bool, value: str) -> None:
    """A key that a client chose is limited whatever it is, and takes little memory."""
    app, limiter = limited_app(compiled, "3/minute", key_func=user_name)
    header = value.encode().decode("latin-1")
    assert statuses(app, times=5, headers={"User": header}) == [200] * 3 + [429] * 2
    assert all(len(key) < 400 for key in limiter.storage._windows)


@both_pipelines
def test_keys_do_not_meet(compiled: bool) -> None:
    """A key with the separator in it does not use up another's limit."""
    app, _ = limited_app(compiled, "1/minute", key_func=user_name)
    assert statuses(app, headers={"User": "victim"}) == [200]
    for attempt in ("victim/index", "victim/index/1/1/minute", "/victim", "victim/", "LIMITER/victim"):
        assert statuses(app, "/other", headers={"User": attempt}) == [200]
    assert statuses(app, "/other", headers={"User": "victim"}) == [200]


@both_pipelines
@pytest.mark.parametrize("cost", [0, -1, -(10**9)])
def test_costs_of_the_client_s(compiled: bool, cost: int) -> None:
    """A cost that comes from the request gives no credit: a negative one is refused, and nothing leaves it as it was."""
    app, limiter = limited_app(compiled)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/t", "t", limiter.limit("3/minute", cost=lambda: int(request.args["n"]))(lambda: "t"))
    assert statuses(app, "/t?n=3") == [200]
    assert statuses(app, f"/t?n={cost}", times=3) == ([200] * 3 if cost == 0 else [500] * 3)
    assert statuses(app, "/t?n=1") == [429]


@both_pipelines
@every_strategy
@pytest.mark.parametrize("cost", [10**6, 10**18])
def test_great_costs(compiled: bool, strategy: str, cost: int) -> None:
    """A cost beyond the limit is refused, and takes no memory; it locks nobody else out."""
    app, limiter = limited_app(compiled, strategy=strategy)
    app.add_url_rule("/t", "t", limiter.limit("3/minute", cost=lambda: int(request.args["n"]))(lambda: "t"))
    assert statuses(app, f"/t?n={cost}") == [429]
    assert statuses(app, "/t?n=1", **from_address("192.0.2.9")) == [200]


# Floods --------------------------------------------------------------------------------------------------------------------


@both_pipelines
@every_strategy
def test_a_flood_of_keys(compiled: bool, strategy: str) -> None:
    """A flood of addresses leaves no more keys than allowed."""
    app, limiter = limited_app(compiled, "3/minute", strategy=strategy, config={"RATELIMIT_MAX_KEYS": 50})
    client = app.test_client()
    for number in range(500):
        client.get("/", **from_address(f"10.0.{number // 256}.{number % 256}"))
    assert isinstance(limiter.storage, MemoryStorage)
    assert len(limiter.storage) == 50


@both_pipelines
def test_a_flood_does_not_free_long_limits(compiled: bool) -> None:
    """Who is locked out for a day does not get in by a flood of keys with shorter windows."""
    app, limiter = limited_app(compiled, "100/second", config={"RATELIMIT_MAX_KEYS": 50})
    app.add_url_rule("/login", "login", limiter.limit("1/day")(lambda: "in"))
    assert statuses(app, "/login", times=2) == [200, 429]
    client = app.test_client()
    for number in range(500):
        client.get("/", **from_address(f"10.0.{number // 256}.{number % 256}"))
    assert statuses(app, "/login") == [429]


@both_pipelines
def test_a_flood_of_breaches_is_kept_out(compiled: bool, clock: Clock) -> None:
    """Who goes on after a 429 can be kept out for longer."""
    app, limiter = limited_app(compiled)
    app.add_url_rule("/t", "t", limiter.limit("1/second", meta_limits=[MetaLimit("2/hour")])(lambda: "t"))
    found = []
    for _ in range(6):
        found += statuses(app, "/t")
        clock.forward(0.5)
    assert found == [200, 429, 200, 429, 429, 429]
    clock.forward(60)
    assert statuses(app, "/t") == [429]


# Exactness -----------------------------------------------------------------------------------------------------------------


def _hammer(ask: Callable[[], int], threads: int, times: int) -> list[int]:
    """Ask from several threads that begin together; return all answers."""
    barrier = threading.Barrier(threads)
    found: list[int] = []

    def run() -> None:
        barrier.wait()
        mine = [ask() for _ in range(times)]
        found.extend(mine)

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found


@both_pipelines
@every_strategy
def test_eight_threads(compiled: bool, strategy: str) -> None:
    """Of 400 requests by eight threads at 100 an hour exactly 100 pass."""
    app, _ = limited_app(compiled, "100/hour", strategy=strategy)
    client = app.test_client(use_cookies=False)
    found = _hammer(lambda: client.get("/").status_code, 8, 50)
    assert (found.count(200), found.count(429)) == (100, 300)


@both_pipelines
def test_eight_threads_with_costs(compiled: bool) -> None:
    """So it is where requests cost more than one."""
    app, limiter = limited_app(compiled)
    app.add_url_rule("/t", "t", limiter.limit("100/hour", cost=4)(lambda: "t"))
    client = app.test_client(use_cookies=False)
    assert _hammer(lambda: client.get("/t").status_code, 8, 20).count(200) == 25


@both_pipelines
def test_eight_threads_at_the_edge_of_a_window(compiled: bool, clock: Clock) -> None:
    """A burst just before a window ends and one just after get one limit each, and no more."""
    app, _ = limited_app(compiled, "10/minute")
    client = app.test_client(use_cookies=False)
    assert client.get("/").status_code == 200
    clock.forward(59.999)
    assert _hammer(lambda: client.get("/").status_code, 8, 5).count(200) == 9
    clock.forward(0.002)
    assert _hammer(lambda: client.get("/").status_code, 8, 5).count(200) == 10


@both_pipelines
@pytest.mark.parametrize("strategy", ["moving-window", "sliding-window-counter"])
def test_no_double_burst(compiled: bool, strategy: str, clock: Clock) -> None:
    """Windows that move do not give a second limit right after the first."""
    app, _ = limited_app(compiled, "10/minute", strategy=strategy)
    clock.forward(59.9)
    assert statuses(app, times=12).count(200) == 10
    clock.forward(0.2)
    assert statuses(app, times=12).count(200) <= 1


@both_pipelines
def test_on_a_loop(compiled: bool) -> None:
    """Requests on an event loop count with those over WSGI."""
    app, _ = limited_app(compiled, "5/minute")
    assert statuses_on_loop(app, times=3) == [200] * 3
    assert statuses(app, times=3) == [200, 200, 429]
    assert statuses_on_loop(app) == [429]


# Clocks --------------------------------------------------------------------------------------------------------------------


@both_pipelines
@every_strategy
@pytest.mark.parametrize("jump", [-(10 * 365 * 86_400), -3600, -60, -1, 1, 60, 3600, 10 * 365 * 86_400])
def test_the_clock_is_set(compiled: bool, strategy: str, jump: int, clock: Clock) -> None:
    """Setting the clock gives nobody a second limit, and locks nobody out for longer than a window."""
    app, _ = limited_app(compiled, "2/minute", strategy=strategy, headers_enabled=True)
    assert statuses(app, times=3) == [200, 200, 429]
    clock.set_wall(jump)
    assert statuses(app) == [429]
    refused = app.test_client().get("/")
    assert 0 <= int(refused.headers["Retry-After"]) <= 121
    clock.forward(120)
    assert statuses(app) == [200]


# What is told --------------------------------------------------------------------------------------------------------------


@both_pipelines
def test_headers_hold_nothing_of_the_key(compiled: bool) -> None:
    """What the headers tell is about the limit, not about who it is for."""
    app, _ = limited_app(compiled, "3/minute", key_func=user_name, headers_enabled=True)
    response = app.test_client().get("/", headers={"User": "topsecret"})
    assert response.headers["X-RateLimit-Remaining"] == "2"
    assert "topsecret" not in str(response.headers) + response.text


@both_pipelines
def test_the_page_escapes(compiled: bool) -> None:
    """What a limit's message says is escaped in the page of the error."""
    app, limiter = limited_app(compiled)
    message = limiter.limit("1/minute", error_message=lambda: request.args["m"])
    app.add_url_rule("/t", "t", message(lambda: "t"))
    client = app.test_client()
    client.get("/t?m=x")
    refused = client.get("/t?m=<script>alert(1)</script>")
    assert refused.status_code == 429
    assert "<script>" not in refused.text


def test_requests_leave_nothing() -> None:
    """Requests leave nothing behind in the limiter but their counts: no state, no plans, no hints."""
    app, limiter = limited_app(True, "3/minute")
    numbers = count()
    inner: Any = limiter.limit("100/minute", key_func=lambda: str(next(numbers)))(lambda: "inner")
    app.add_url_rule("/t", "t", lambda: inner())
    statuses(app, "/t", times=3)
    site = limiter.site
    before = {name: len(value) for name, value in vars(site).items() if isinstance(value, (dict, list, tuple))}
    statuses(app, "/t", times=50)
    after = {name: len(value) for name, value in vars(site).items() if isinstance(value, (dict, list, tuple))}
    assert before == after
