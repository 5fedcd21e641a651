"""Which limits apply to a route."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from quaff import Blueprint, Quaff, g, request
from quaff.ext.limiter import ExemptionScope, Limiter
from quaff.ext.limiter.plans import Plan
from quaff.pipeline.parts import marks_of
from quaff.views import MethodView, View
from tests.ext.limiter.apps import Clock, both_pipelines, limited_app, statuses


def plan_of(app: Quaff, limiter: Limiter, endpoint: str, method: str = "GET") -> Plan:
    """Return what is decided for a route."""
    view = app.view_functions[endpoint]
    site = limiter.find_site(app)
    assert site is not None
    return site.plan_for(endpoint, method, view, [mark.options for mark in marks_of(view, method)])


def sizes(plan: Plan) -> tuple[list[str], list[str]]:
    """Return the limits of both looks in words."""
    return [str(check.item) for check in plan.first], [str(check.item) for check in plan.second]


@pytest.fixture
def limited() -> tuple[Quaff, Limiter]:
    """Give an app with limits of the application and defaults."""
    return limited_app(True, "10/minute", application_limits=["100/minute"])


def test_defaults(limited: tuple[Quaff, Limiter]) -> None:
    """A view without limits of its own has the application's and the default ones, when a request comes."""
    plan = plan_of(*limited, "index")
    assert sizes(plan) == (["100 per 1 minute", "10 per 1 minute"], [])
    assert plan.is_whole
    assert plan.is_first_early


def test_own_limits(limited: tuple[Quaff, Limiter]) -> None:
    """A view's own limits take the place of the default ones, not of the application's."""
    app, limiter = limited
    app.add_url_rule("/t", "t", limiter.limit("1/second")(lambda: "t"))
    plan = plan_of(app, limiter, "t")
    assert sizes(plan) == (["100 per 1 minute"], ["1 per 1 second"])
    assert plan.is_second_early


def test_own_limits_beside_the_defaults(limited: tuple[Quaff, Limiter]) -> None:
    """They may also stand beside the default ones."""
    app, limiter = limited
    app.add_url_rule("/t", "t", limiter.limit("1/second", override_defaults=False)(lambda: "t"))
    assert sizes(plan_of(app, limiter, "t")) == (["100 per 1 minute"], ["1 per 1 second", "10 per 1 minute"])


def test_methods(limited: tuple[Quaff, Limiter]) -> None:
    """For a method that no own limit is for, the default ones apply. SECURITY: for HEAD those of GET do."""
    app, limiter = limited
    app.add_url_rule("/t", "t", limiter.limit("1/second", methods=["GET"])(lambda: "t"), methods=["GET", "POST"])
    assert sizes(plan_of(app, limiter, "t"))[1] == ["1 per 1 second"]
    assert sizes(plan_of(app, limiter, "t", "HEAD"))[1] == ["1 per 1 second"]
    assert sizes(plan_of(app, limiter, "t", "POST"))[1] == ["10 per 1 minute"]


@pytest.mark.parametrize(
    "flags, first",
    [
        (None, []),
        (ExemptionScope.APPLICATION, ["10 per 1 minute"]),
        (ExemptionScope.DEFAULT, ["100 per 1 minute"]),
        (ExemptionScope.META, ["100 per 1 minute", "10 per 1 minute"]),
    ],
)
def test_exemptions(limited: tuple[Quaff, Limiter], flags: ExemptionScope | None, first: list[str]) -> None:
    """A view may be exempt from some limits or from all."""
    app, limiter = limited
    exempt = limiter.exempt if flags is None else limiter.exempt(flags=flags)
    app.add_url_rule("/t", "t", exempt(lambda: "t"))
    assert sizes(plan_of(app, limiter, "t")) == (first, [])


def test_exempt_and_limited(limited: tuple[Quaff, Limiter]) -> None:
    """COMPAT: a view that is exempt has no limits of its own either."""
    app, limiter = limited
    app.add_url_rule("/t", "t", limiter.limit("1/second")(limiter.exempt(lambda: "t")))
    assert sizes(plan_of(app, limiter, "t")) == ([], [])


def test_static_files(limited: tuple[Quaff, Limiter]) -> None:
    """Static files, of the app and of blueprints, are not limited."""
    app, limiter = limited
    app.register_blueprint(Blueprint("bp", __name__, static_folder="static"), url_prefix="/bp")
    for endpoint in ("static", "bp.static"):
        assert sizes(plan_of(app, limiter, endpoint)) == ([], [])


def test_what_is_not_whole(limited: tuple[Quaff, Limiter]) -> None:
    """Where a function names limits, they are found out with each request, where the view is called."""
    app, limiter = limited
    app.add_url_rule("/t", "t", limiter.limit(lambda: "1/second")(lambda: "t"))
    plan = plan_of(app, limiter, "t")
    assert not plan.is_whole
    assert not plan.is_second_early
    assert [str(limit.limit) for limit in plan.second_limits(plan.limited, [])] == ["1 per 1 second"]


@pytest.mark.parametrize("options", [{"on_breach": print}, {"on_meta_breach": print}])
def test_callbacks_are_the_user_s(options: dict[str, Any]) -> None:
    """Where a callback of the user's hears of breaches, view's limits are not counted before its hooks have run."""
    app, limiter = limited_app(True, "10/minute", **options)
    assert not plan_of(app, limiter, "index").is_first_early


def test_an_error_names_the_function(limited: tuple[Quaff, Limiter]) -> None:
    """A text that names no limit is an error when the route is asked for, which tells where it is and guesses."""
    app, limiter = limited

    @app.get("/t")
    @limiter.limit("2/sec")
    def wrong() -> str:
        return "t"

    with pytest.raises(ValueError, match=r"The limit of function .*wrong: '2/sec' is not a rate limit.*'2/second'"):
        app.test_client().get("/t")
    assert statuses(app) == [200]


@both_pipelines
def test_old_texts(compiled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """COMPAT: with a name in `COMPAT` such a text is logged with each request, and the default limits apply."""
    app, limiter = limited_app(compiled, "1/minute", config={"COMPAT": ("limiter-invalid-limits",)})
    app.add_url_rule("/t", "t", limiter.limit("2/sec")(lambda: "t"))
    caplog.set_level(logging.ERROR)
    assert statuses(app, "/t", times=2) == [200, 429]
    assert "failed to load ratelimit for function" in caplog.text


@both_pipelines
def test_a_function_that_names_no_limit(compiled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """COMPAT: what a function returns for one request is logged if it is no limit, and the default limits apply."""
    app, limiter = limited_app(compiled, "1/minute")
    app.add_url_rule("/t", "t", limiter.limit(lambda: "2 per sec")(lambda: "t"))
    assert statuses(app, "/t", times=2) == [200, 429]
    assert caplog.text.count("failed to load ratelimit for function") == 2


@both_pipelines
def test_a_blueprint_s_limits(compiled: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A blueprint's limits apply to its views that have none, and together where both stand beside the defaults."""
    app, limiter = limited_app(compiled, "1/minute")
    bp = Blueprint("bp", __name__)
    bp.add_url_rule("/plain", "plain", lambda: "plain")
    bp.add_url_rule("/own", "own", limiter.limit("4/minute")(lambda: "own"))
    bp.add_url_rule("/both", "both", limiter.limit("4/hour", override_defaults=False)(lambda: "both"))
    assert limiter.limit("3/minute")(bp) is None
    app.register_blueprint(bp)
    assert statuses(app, "/plain", times=4) == [200, 200, 200, 429]
    assert statuses(app, "/own", times=5) == [200] * 4 + [429]
    assert statuses(app, "/both", times=4) == [200, 200, 200, 429]
    assert statuses(app, "/", times=2) == [200, 429]


@both_pipelines
def test_an_exempt_blueprint(compiled: bool) -> None:
    """A blueprint may be exempt."""
    app, limiter = limited_app(compiled, "1/minute")
    bp = Blueprint("bp", __name__)
    bp.add_url_rule("/t", "t", lambda: "t")
    assert limiter.exempt(bp) is bp
    app.register_blueprint(bp)
    assert statuses(app, "/t", times=3) == [200] * 3


@both_pipelines
def test_classes(compiled: bool) -> None:
    """Limits of a class apply to all its methods together, those of a method to that alone."""
    app, limiter = limited_app(compiled, "1/hour")

    class Whole(View):
        methods = ["GET", "POST"]
        decorators = [limiter.limit("2/minute")]

        def dispatch_request(self) -> str:
            return request.method

    class Parts(MethodView):
        @limiter.limit("2/minute")
        def get(self) -> str:
            return "get"

        def post(self) -> str:
            return "post"

    app.add_url_rule("/whole", view_func=Whole.as_view("whole"))
    app.add_url_rule("/parts", view_func=Parts.as_view("parts"))
    assert statuses(app, "/whole", times=2) == [200, 200]
    assert statuses(app, "/whole", method="POST") == [429]
    assert statuses(app, "/parts", times=3) == [200, 200, 429]
    assert statuses(app, "/parts", method="POST", times=2) == [200, 429]


@both_pipelines
def test_a_method_and_its_class(compiled: bool) -> None:
    """A method's limits and those of its class are both counted, each once."""
    app, limiter = limited_app(compiled)

    class Both(MethodView):
        decorators = [limiter.limit("3/minute")]

        @limiter.limit("2/minute")
        def get(self) -> str:
            return "get"

        def post(self) -> str:
            return "post"

    app.add_url_rule("/both", view_func=Both.as_view("both"))
    assert statuses(app, "/both", times=3) == [200, 200, 429]
    assert statuses(app, "/both", method="POST") == [429]


# What is counted when ----------------------------------------------------------------------------------------------------


@both_pipelines
@pytest.mark.parametrize("late", [False, True])
def test_before_the_hooks_or_after(compiled: bool, late: bool) -> None:
    """A limit that calls nothing of the user's is counted before the before_request functions, or as the extension does."""
    app, limiter = limited_app(compiled, config={"COMPAT": ("limiter-late",) if late else ()})
    app.before_request(lambda: ("not you", 403) if "X" in request.headers else None)
    app.add_url_rule("/t", "t", limiter.limit("2/minute")(lambda: "t"))
    assert statuses(app, "/t", times=3, headers={"X": "1"}) == ([403] * 3 if late else [403, 403, 429])
    assert statuses(app, "/t", times=3) == ([200, 200, 429] if late else [429] * 3)


@both_pipelines
def test_functions_see_what_hooks_did(compiled: bool) -> None:
    """A limit that calls a function of the user's is counted where that finds what hooks and outer decorators have set."""
    app, limiter = limited_app(compiled)

    @app.before_request
    def find_user() -> None:
        g.user = request.headers["User"]

    @app.get("/t")
    @limiter.limit("1/minute", key_func=lambda: g.user)
    def t() -> str:
        return "t"

    for user in ("one", "two"):
        assert statuses(app, "/t", times=2, headers={"User": user}) == [200, 429]


@both_pipelines
def test_defaults_after_hooks_that_were_there_first(compiled: bool) -> None:
    """COMPAT: default limits see what the hooks have set that were registered before the limiter."""
    app = Quaff(__name__, compiled=compiled)

    @app.before_request
    def find_user() -> None:
        g.user = request.headers["User"]

    Limiter(lambda: g.user, app=app, default_limits=["1/minute"])
    app.add_url_rule("/", "index", lambda: "index")
    for user in ("one", "two"):
        assert statuses(app, times=2, headers={"User": user}) == [200, 429]


# What requests show ------------------------------------------------------------------------------------------------------


@both_pipelines
def test_functions_that_a_view_calls(compiled: bool, clock: Clock) -> None:
    """COMPAT: once a view is seen to call a function whose limits override the default ones, these no longer apply."""
    app, limiter = limited_app(compiled, "1/second")
    inner = limiter.limit("3/second")(lambda: "inner")
    beside = limiter.limit("2/day", override_defaults=False)(lambda: "beside")
    app.add_url_rule("/over", "over", lambda: inner())
    app.add_url_rule("/beside", "beside", lambda: beside())
    assert statuses(app, "/over", times=4) == [200, 200, 200, 429]
    assert statuses(app, "/beside", times=2) == [200, 429]
    clock.forward(1)
    assert statuses(app, "/beside") == [200]
    clock.forward(1)
    assert statuses(app, "/beside") == [429]
