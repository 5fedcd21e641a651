"""Looking at the limits of a request."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from quaff import Quaff, make_response, request
from quaff.ext.limiter import Limit, Limiter, MetaLimit, RateLimitExceeded, RequestLimit
from quaff.ext.limiter.evaluate import printable
from tests.ext.limiter.apps import Clock, both_pipelines, every_strategy, limited_app, make_app, statuses, user_name


@both_pipelines
@every_strategy
def test_a_limit(compiled: bool, strategy: str, clock: Clock) -> None:
    """As many requests pass as the limit says, with each strategy, and more when it is over."""
    app, _ = limited_app(compiled, "2/minute", strategy=strategy)
    assert statuses(app, times=4) == [200, 200, 429, 429]
    assert statuses(app, "/other", times=3) == [200, 200, 429]
    clock.forward(120)
    assert statuses(app, times=3) == [200, 200, 429]


@both_pipelines
def test_keys(compiled: bool) -> None:
    """A key function says whom a request counts for; for nobody it does not count, and that is logged."""
    app, _ = limited_app(compiled, "1/minute", key_func=user_name)
    for user in ("one", "two"):
        assert statuses(app, times=2, headers={"User": user}) == [200, 429]
    assert statuses(app, times=3) == [200, 200, 200]


@both_pipelines
def test_a_limit_of_nobody_is_logged(compiled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """What is skipped for want of a key is an error in the log, because nothing is limited then."""
    app, _ = limited_app(compiled, "1/minute", key_func=user_name)
    statuses(app)
    assert [record.getMessage() for record in caplog.records] == [
        "Skipping limit: 1 per 1 minute. Empty value found in parameters."
    ]


@both_pipelines
def test_a_breach_is_logged(compiled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A request that is refused is a line at level INFO, under the extension's logger."""
    caplog.set_level(logging.INFO)
    app, _ = limited_app(compiled, "1/minute")
    statuses(app, times=2)
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("flask-limiter", "INFO", "ratelimit 1 per 1 minute (127.0.0.1) exceeded at endpoint: index")
    ]


@pytest.mark.parametrize("key, shown", [("plain", "plain"), ("two\nlines", "two\\nlines"), ("\x1b[31m", "\\x1b[31m")])
def test_what_is_logged_is_one_line(key: str, shown: str) -> None:
    """SECURITY: control characters in a key forge no lines in the log."""
    assert printable(key) == shown


@both_pipelines
def test_costs(compiled: bool) -> None:
    """A request costs what a number or a function says, and one that costs nothing always passes while there is room."""
    app, limiter = limited_app(compiled)
    app.add_url_rule("/two", "two", limiter.limit("4/minute", cost=2)(lambda: "two"))
    app.add_url_rule("/any", "any", limiter.limit("4/minute", cost=lambda: int(request.args["n"]))(lambda: "any"))
    app.add_url_rule("/free", "free", limiter.limit("1/minute", cost=0)(lambda: "free"))
    assert statuses(app, "/two", times=3) == [200, 200, 429]
    assert [statuses(app, f"/any?n={n}")[0] for n in (3, 0, 1, 0, 1)] == [200, 200, 200, 200, 429]
    assert statuses(app, "/free", times=5) == [200] * 5


@both_pipelines
@pytest.mark.parametrize("cost", [-1, "2", None])
def test_a_cost_that_is_none(compiled: bool, cost: Any) -> None:
    """SECURITY: a cost function that would give credit, or says nothing, is an error: nobody gets in by it."""
    app, limiter = limited_app(compiled)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/t", "t", limiter.limit("4/minute", cost=lambda: cost)(lambda: "in"))
    assert statuses(app, "/t", times=2) == [500, 500]


@both_pipelines
@pytest.mark.parametrize("stops, left", [(True, 1), (False, 0)])
def test_the_first_breach(compiled: bool, stops: bool, left: int, clock: Clock) -> None:
    """After the first limit that is broken the others are not counted, unless it is so set."""
    app, limiter = limited_app(compiled, fail_on_first_breach=stops)
    app.add_url_rule("/t", "t", limiter.limit("1/second;3/minute")(lambda: "t"))
    client = app.test_client()
    assert [client.get("/t").status_code for _ in range(3)] == [200, 429, 429]
    with client:
        client.get("/t")
        assert [limit.breached for limit in limiter.current_limits] == ([True] if stops else [True, True])
    clock.forward(1)
    assert client.get("/t").status_code == (200 if left else 429)


@both_pipelines
def test_exemptions_of_a_limit(compiled: bool) -> None:
    """A limit may exempt requests, before they are counted."""
    app, limiter = limited_app(compiled)
    app.add_url_rule("/t", "t", limiter.limit("1/minute", exempt_when=lambda: "X" in request.headers)(lambda: "t"))
    assert statuses(app, "/t", times=3, headers={"X": "1"}) == [200] * 3
    assert statuses(app, "/t", times=2) == [200, 429]
    assert statuses(app, "/t", headers={"X": "1"}) == [200]


# By the response -----------------------------------------------------------------------------------------------------------


def _failures_app(compiled: bool, **options: Any) -> tuple[Quaff, Limiter]:
    app, limiter = limited_app(compiled, **options)

    @app.route("/login", methods=["GET", "POST"])
    @limiter.limit("2/minute", deduct_when=lambda response: response.status_code == 401)
    def login() -> tuple[str, int]:
        return ("in", 200) if "ok" in request.args else ("out", 401)

    return app, limiter


@both_pipelines
@every_strategy
def test_what_counts_by_the_response(compiled: bool, strategy: str) -> None:
    """A limit may count only requests with certain responses; when it is used up, all are refused."""
    app, _ = _failures_app(compiled, strategy=strategy)
    assert statuses(app, "/login?ok", times=5) == [200] * 5
    assert statuses(app, "/login", times=3) == [401, 401, 429]
    assert statuses(app, "/login?ok") == [429]


@both_pipelines
def test_what_counts_by_the_response_is_told(compiled: bool) -> None:
    """Headers tell what is left after the response was counted."""
    app, _ = _failures_app(compiled, headers_enabled=True)
    client = app.test_client()
    left = [
        client.get(path).headers["X-RateLimit-Remaining"] for path in ("/login?ok", "/login", "/login?ok", "/login")
    ]
    assert left == ["2", "1", "1", "0"]


@both_pipelines
def test_by_the_response_in_a_plain_function(compiled: bool) -> None:
    """So does a limit of a function that the view calls, or of some code in it."""
    app, limiter = limited_app(compiled)

    @limiter.limit("2/minute", deduct_when=lambda response: response.status_code == 400)
    def inner() -> str:
        return "inner"

    @app.get("/function")
    def function() -> tuple[str, int]:
        return inner(), 400

    @app.get("/code")
    def code() -> tuple[str, int]:
        with limiter.limit("1/minute", deduct_when=lambda response: response.status_code == 400):
            return "code", 400

    assert statuses(app, "/function", times=3) == [400, 400, 429]
    assert statuses(app, "/code", times=2) == [400, 429]


# Callbacks -----------------------------------------------------------------------------------------------------------------


@both_pipelines
def test_callbacks(compiled: bool) -> None:
    """Callbacks are called with what is broken, the limiter's first; the last response of one is sent."""
    seen: list[tuple[str, RequestLimit]] = []

    def of_all(shown: RequestLimit) -> Any:
        seen.append(("all", shown))
        return make_response("of all", 429)

    def of_one(shown: RequestLimit) -> Any:
        seen.append(("one", shown))
        return make_response(f"of {shown.limit}", 418) if "tea" in request.args else None

    app, limiter = limited_app(compiled, "1/minute", on_breach=of_all)
    app.add_url_rule("/t", "t", limiter.limit("1/minute", on_breach=of_one)(lambda: "t"))
    client = app.test_client()
    assert client.get("/").status_code == 200
    assert client.get("/").text == "of all"
    assert client.get("/t?tea").status_code == 200
    refused = client.get("/t?tea")
    assert (refused.status_code, refused.text) == (418, "of 1 per 1 minute")
    assert client.get("/t").text == "of all"
    assert [who for who, _ in seen] == ["all", "all", "one", "all", "one"]
    assert seen[-1][1].key == "LIMITER/127.0.0.1/t/1/1/minute"


@both_pipelines
def test_a_callback_that_fails(compiled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """An error in a callback is a 500, or with `swallow_errors` a line in the log, and the request is refused."""

    def fail(shown: RequestLimit) -> None:
        raise ValueError("of the callback")

    for swallow, status in ((False, 500), (True, 429)):
        app, _ = limited_app(compiled, "1/minute", on_breach=fail, swallow_errors=swallow)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        caplog.clear()
        assert statuses(app, times=2) == [200, status]
    assert "on_breach callback failed with error of the callback" in caplog.text


@both_pipelines
def test_errors_of_the_user_s_functions(compiled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """An error in a key function is a 500, or with `swallow_errors` a line in the log, and the request passes."""

    def fail() -> str:
        raise LookupError("no user")

    for swallow, status in ((False, 500), (True, 200)):
        app, _ = limited_app(compiled, "1/minute", key_func=fail, swallow_errors=swallow)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        caplog.clear()
        assert statuses(app, times=2) == [status, status]
    assert caplog.text.count("Failed to rate limit. Swallowing error") == 2


# Meta limits ---------------------------------------------------------------------------------------------------------------


@both_pipelines
@every_strategy
def test_meta_limits(compiled: bool, strategy: str, clock: Clock) -> None:
    """Who breaks limits too often is refused everywhere, until the window of the meta limit is over."""
    app, limiter = limited_app(compiled, "1/second", meta_limits=["2/hour"], strategy=strategy)
    app.add_url_rule("/exempt", "exempt", limiter.exempt(lambda: "exempt"))
    for _ in range(2):
        assert statuses(app, times=2) == [200, 429]
        clock.forward(2)
    assert statuses(app) == statuses(app, "/other") == [429]
    assert statuses(app, "/missing") == [429]
    assert statuses(app, "/exempt") == [200]
    assert statuses(app, environ_base={"REMOTE_ADDR": "192.0.2.9"}) == [200]
    clock.forward(7200)
    assert statuses(app) == [200]


@both_pipelines
def test_meta_limits_of_one_limit(compiled: bool, clock: Clock) -> None:
    """A limit may have meta limits of its own, which count by its key, or not at all for some."""
    app, limiter = limited_app(compiled)
    metas = [MetaLimit("1/hour", exempt_when=lambda: user_name() == "admin")]
    app.add_url_rule("/t", "t", limiter.limit("1/second", key_func=user_name, meta_limits=metas)(lambda: "t"))
    for user, status in (("one", 429), ("admin", 200)):
        assert statuses(app, "/t", times=2, headers={"User": user}) == [200, 429]
        clock.forward(1)
        assert statuses(app, "/t", headers={"User": user}) == [status]
    assert statuses(app, "/") == [200]


@both_pipelines
def test_a_meta_breach_is_answered(compiled: bool, clock: Clock) -> None:
    """Who is refused by a meta limit gets what its callback says, or the limiter's, and is told of that limit."""
    own = MetaLimit("1/hour", on_breach=lambda shown: make_response("own", 429))
    app, limiter = limited_app(
        compiled,
        "1/second",
        meta_limits=["3/day"],
        on_meta_breach=lambda shown: make_response("of all", 429),
        headers_enabled=True,
    )
    app.add_url_rule("/t", "t", limiter.limit("1/second", meta_limits=[own])(lambda: "t"))
    assert statuses(app, "/t", times=2) == [200, 429]
    clock.forward(1)
    refused = app.test_client().get("/t")
    assert (refused.text, refused.headers["X-RateLimit-Limit"]) == ("own", "1")
    for _ in range(2):
        assert statuses(app, times=2) == [200, 429]
        clock.forward(1)
    refused = app.test_client().get("/")
    assert (refused.text, refused.headers["X-RateLimit-Limit"], refused.headers["X-RateLimit-Remaining"]) == (
        "of all",
        "3",
        "0",
    )


@both_pipelines
def test_meta_limits_of_a_function(compiled: bool, clock: Clock) -> None:
    """What the meta limits are may depend on the request."""
    app, _ = limited_app(compiled, "1/second", meta_limits=[lambda: "1/hour" if "strict" in request.args else ""])
    assert statuses(app, times=3) == [200, 429, 429]
    clock.forward(1)
    assert statuses(app, "/?strict") == [200]
    assert statuses(app, "/?strict") == [429]
    clock.forward(1)
    assert statuses(app, "/?strict") == [429]
    assert statuses(app) == [200]


# What a view can ask -------------------------------------------------------------------------------------------------------


@both_pipelines
def test_current_limits(compiled: bool, clock: Clock) -> None:
    """A view can ask what was looked at, and what is left of it."""
    app = make_app(compiled)
    limiter = Limiter(app=app, default_limits=["10/minute", Limit("5/second", cost=2)])

    @app.get("/")
    def index() -> dict[str, Any]:
        shown = limiter.current_limit
        assert shown is not None
        return {
            "limits": [str(limit.limit) for limit in limiter.current_limits],
            "shown": str(shown.limit),
            "remaining": shown.remaining,
            "reset_at": shown.reset_at,
        }

    assert app.test_client().get("/").json == {
        "limits": ["5 per 1 second", "10 per 1 minute"],
        "shown": "5 per 1 second",
        "remaining": 3,
        "reset_at": int(clock.wall + 2),
    }


@both_pipelines
def test_limits_in_an_error_handler(compiled: bool) -> None:
    """The handler of the error can ask as well, and finds the limit in the error."""
    app, limiter = limited_app(compiled, "1/minute")

    @app.errorhandler(RateLimitExceeded)
    def refused(error: RateLimitExceeded) -> tuple[dict[str, Any], int]:
        shown = limiter.current_limit
        assert shown is not None
        return {"limit": str(error.limit.limit), "breached": shown.breached, "left": shown.remaining}, 429

    client = app.test_client()
    client.get("/")
    assert client.get("/").json == {"limit": "1 per 1 minute", "breached": True, "left": 0}
