"""What decorators left behind."""

from __future__ import annotations

import pytest

from quaff import Blueprint, Quaff
from quaff.ext.limiter import ExemptionScope, Limit
from quaff.ext.limiter.decorator import RouteLimit
from quaff.ext.limiter.registry import Blueprints, Exempted, Hint, Limited, are_static

DEFAULT, APPLICATION = ExemptionScope.DEFAULT, ExemptionScope.APPLICATION
ANCESTORS, DESCENDENTS = ExemptionScope.ANCESTORS, ExemptionScope.DESCENDENTS


def route_limit(text: str, *, overrides: bool = True) -> RouteLimit:
    """Return a limit as a blueprint gets it."""
    return RouteLimit(text, limiter=None, override_defaults=overrides)


@pytest.fixture
def nested(app: Quaff) -> Quaff:
    """Give an app with blueprints inside of each other: `a`, `a.b`, `a.b.c`, and `b` alone."""
    a, b, c = (Blueprint(name, __name__, url_prefix=f"/{name}") for name in "abc")
    b.register_blueprint(c)
    a.register_blueprint(b)
    app.register_blueprint(a)
    return app


def texts(blueprints: Blueprints, app: Quaff, path: str) -> list[object]:
    """Return the texts of the limits that apply in a blueprint."""
    return [limit.limit_provider for limit in blueprints.limits_for(app, path)]


def test_without_any(nested: Quaff) -> None:
    """Without limits and exemptions there are none, in blueprints and where there is no such blueprint."""
    blueprints = Blueprints()
    for path in ("", "a", "a.b.c", "unknown", "_dotted.name"):
        assert blueprints.limits_for(nested, path) == []
        assert blueprints.exemption_for(nested, path) is ExemptionScope.NONE


def test_own_limits(nested: Quaff) -> None:
    """A blueprint's limits apply in it and in the ones inside of it, outermost first."""
    blueprints = Blueprints()
    blueprints.limits["a"] = [route_limit("1/day")]
    blueprints.limits["b"] = [route_limit("2/day", overrides=False)]
    assert texts(blueprints, nested, "a") == ["1/day"]
    assert texts(blueprints, nested, "a.b") == ["1/day", "2/day"]
    assert texts(blueprints, nested, "a.b.c") == ["1/day", "2/day"]


def test_limits_that_override(nested: Quaff) -> None:
    """A blueprint whose limits override the defaults has none of those around it."""
    blueprints = Blueprints()
    blueprints.limits["a"] = [route_limit("1/day")]
    blueprints.limits["b"] = [route_limit("2/day")]
    assert texts(blueprints, nested, "a.b") == ["2/day"]


def test_exempt_from_those_around(nested: Quaff) -> None:
    """A blueprint that is exempt from its ancestors' limits has its own only."""
    blueprints = Blueprints()
    blueprints.limits["a"] = [route_limit("1/day")]
    blueprints.exemptions["b"] = ANCESTORS
    assert texts(blueprints, nested, "a.b") == []
    assert blueprints.exemption_for(nested, "a.b") is ExemptionScope.NONE
    blueprints.limits["b"] = [route_limit("2/day", overrides=False)]
    assert texts(blueprints, nested, "a.b") == ["2/day"]


def test_exempt_with_those_inside(nested: Quaff) -> None:
    """An exemption may reach the blueprints inside, which keep limits of their own."""
    blueprints = Blueprints()
    blueprints.exemptions["a"] = DEFAULT | DESCENDENTS
    blueprints.limits["c"] = [route_limit("3/day")]
    assert blueprints.exemption_for(nested, "a.b.c") & DEFAULT
    assert texts(blueprints, nested, "a.b.c") == ["3/day"]


def test_exempt_alone(nested: Quaff) -> None:
    """Other exemptions do not reach the blueprints inside."""
    blueprints = Blueprints()
    blueprints.exemptions["a"] = DEFAULT | APPLICATION
    assert blueprints.exemption_for(nested, "a") == DEFAULT | APPLICATION
    assert blueprints.exemption_for(nested, "a.b") is ExemptionScope.NONE


def test_exempt_from_meta_limits(nested: Quaff) -> None:
    """A blueprint that is exempt from meta limits as well, as by default, has no limits of its own left."""
    blueprints = Blueprints()
    blueprints.limits["a"] = [route_limit("1/day")]
    blueprints.exemptions["a"] = DEFAULT | APPLICATION | ExemptionScope.META
    assert texts(blueprints, nested, "a") == []


def test_a_blueprint_under_another_name(app: Quaff) -> None:
    """Limits go with the name that a blueprint was made with, whatever it is registered as."""
    blueprint = Blueprint("made", __name__)
    app.register_blueprint(blueprint, name="registered")
    blueprints = Blueprints()
    blueprints.limits["made"] = [route_limit("1/day")]
    assert texts(blueprints, app, "registered") == ["1/day"]


def test_hints() -> None:
    """Default limits are wanted only where something is limited and nothing overrides them."""
    hint = Hint()
    assert not hint.wants_defaults
    hint.callables["one"] = False
    assert hint.wants_defaults
    hint.callables["two"] = True
    assert not hint.wants_defaults


def test_limited() -> None:
    """A decorated function overrides the defaults if any of its limits does."""
    limited = Limited(len, "len")
    assert not limited.overrides_defaults
    limited.limits.append(route_limit("1/day", overrides=False))
    assert not limited.overrides_defaults
    limited.limits.append(route_limit("2/day"))
    assert limited.overrides_defaults
    assert limited.wrapper is None
    assert Exempted(DEFAULT).scope is DEFAULT


def test_static() -> None:
    """Limits are static unless a function names one of them."""
    assert are_static([Limit("1/day"), Limit("2/day", meta_limits=["1/day"])])
    assert not are_static([Limit("1/day"), Limit(lambda: "2/day")])
    assert not are_static([Limit("1/day", meta_limits=[lambda: "2/day"])])
