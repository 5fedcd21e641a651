"""Rules, as users write them and as they are counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.limiter import ApplicationLimit, Limit, MetaLimit
from quaff.ext.limiter.notation import parse_limits
from quaff.ext.limiter.rules import RuntimeLimit


class Owner:
    """What a rule asks of its limiter."""

    @staticmethod
    def key_func() -> str:
        return "owner"


def runtime(**options: Any) -> RuntimeLimit:
    """Return a limit as it is counted."""
    return RuntimeLimit(parse_limits("1/minute")[0], lambda: "key", options.pop("scope", None), **options)


@pytest.mark.parametrize(
    "methods, method, applies",
    [
        (None, "GET", True),
        (("get",), "GET", True),
        (("get",), "POST", False),
        (("post", "put"), "PUT", True),
        (("get",), "HEAD", True),
        (("post",), "HEAD", False),
        (("head",), "HEAD", False),
    ],
)
def test_methods(methods: tuple[str, ...] | None, method: str, applies: bool) -> None:
    """A limit is for its methods. SECURITY: HEAD goes with GET, whose view it runs."""
    assert runtime(methods=methods).applies_to(method) is applies


@pytest.mark.parametrize(
    "options, scope",
    [
        ({}, "index"),
        ({"scope": "uploads"}, "index:uploads"),
        ({"scope": "uploads", "shared": True}, "uploads"),
        ({"per_method": True}, "index:POST"),
        ({"scope": "uploads", "shared": True, "per_method": True}, "uploads:POST"),
        ({"scope": lambda endpoint: f"of {endpoint}"}, "index:of route"),
        ({"scope": lambda endpoint: "", "shared": True}, "index"),
        ({"scope": 7}, "index:7"),
    ],
)
def test_scopes(options: dict[str, Any], scope: str) -> None:
    """What is counted together is the endpoint, the scope or both, and the method if each has its own count."""
    assert runtime(**options).scope_for("index", "post", "route") == scope


def test_scope_of_head() -> None:
    """SECURITY: HEAD has no count of its own beside that of GET."""
    limit = runtime(per_method=True)
    assert limit.scope_for("index", "HEAD") == limit.scope_for("index", "GET") == "index:GET"


def test_scope_function_without_a_route() -> None:
    """Where nothing else is known, a scope function gets what identifies the request."""
    assert runtime(scope=lambda endpoint: endpoint.upper()).scope_for("index", None) == "index:INDEX"


@pytest.mark.parametrize("cost, amount", [(1, 1), (0, 0), (7, 7), (lambda: 3, 3), (lambda: 0, 0), (lambda: True, 1)])
def test_costs(cost: Any, amount: int) -> None:
    """A cost is a number or a function of the request."""
    assert runtime(cost=cost).deduction_amount == amount


@pytest.mark.parametrize("cost", [-1, -100, None, "1", 1.5])
def test_costs_that_are_none(cost: Any) -> None:
    """SECURITY: a cost that is negative would give credit; it is refused, as is what is no number."""
    with pytest.raises(ValueError, match="0 or more, not"):
        _ = runtime(cost=lambda: cost).deduction_amount


@pytest.mark.parametrize("cls", [Limit, ApplicationLimit])
def test_negative_costs_of_rules(cls: type[Limit]) -> None:
    """SECURITY: a rule with a negative cost cannot be made."""
    with pytest.raises(ValueError, match="would give credit"):
        cls("1/minute", cost=-1)


def test_unknown_policy() -> None:
    """A rule with a policy that there is not cannot be made; those that there are are named."""
    with pytest.raises(ValueError, match="fail_open, fail_closed, local"):
        Limit("1/minute", on_store_failure="open")
    assert Limit("1/minute", on_store_failure="local").on_store_failure == "local"


@pytest.mark.parametrize("exempt_when, exempt", [(None, False), (lambda: True, True), (lambda: 0, False)])
def test_exemption(exempt_when: Any, exempt: bool) -> None:
    """A limit may be asked whether it exempts the request."""
    assert runtime(exempt_when=exempt_when).is_exempt is exempt


def test_a_rule_gives_its_limits() -> None:
    """Iterating over a rule gives one limit for each that its text names, all with the rule's options."""
    rule = Limit("1/second; 2/minute", methods=["GET", "Post"], cost=3, error_message="no", per_method=True).bind(
        Owner()
    )
    limits = list(rule)
    assert [(limit.limit.amount, limit.limit.get_expiry()) for limit in limits] == [(1, 1), (2, 60)]
    for limit in limits:
        assert (limit.methods, limit.cost, limit.error_message, limit.per_method) == (("get", "post"), 3, "no", True)
        assert limit.key_func() == "owner"
        assert not limit.override_defaults


def test_a_rule_of_a_function() -> None:
    """A function names the limits anew each time, or none."""
    texts = iter(["1/second", "", "2/minute; 3/hour"])
    rule = Limit(lambda: next(texts)).bind(Owner())
    assert [len(list(rule)) for _ in range(3)] == [1, 0, 2]
    assert not rule.is_static
    assert Limit("1/second").is_static


def test_no_cost_is_one() -> None:
    """Without a cost a request costs one; a cost of nothing is nothing."""
    assert [next(iter(Limit("1/second", cost=cost).bind(Owner()))).cost for cost in (None, 0, 5)] == [1, 0, 5]


def test_own_key_function() -> None:
    """A rule's own key function goes before that of the limiter."""
    assert next(iter(Limit("1/second", key_function=lambda: "own").bind(Owner()))).key_func() == "own"


def test_application_limits_are_shared() -> None:
    """A limit of the application has a scope of its own, which all routes share."""
    limit = next(iter(ApplicationLimit("1/second").bind(Owner())))
    assert (limit.shared, limit.scope_for("index", "GET")) == (True, "global")
    assert next(iter(ApplicationLimit("1/second", scope="mine").bind(Owner()))).scope_for("index", "GET") == "mine"


def test_meta_limits_of_a_rule() -> None:
    """Meta limits may be texts, functions or objects; they count by the key of their rule unless they have their own."""
    rule = Limit(
        "1/second",
        key_function=lambda: "of the rule",
        meta_limits=["1/minute", lambda: "2/hour", MetaLimit("3/day", key_function=lambda: "own", scope="other")],
    ).bind(Owner())
    assert not rule.is_static
    metas = next(iter(rule)).meta_limits
    assert metas is not None
    assert [meta.limit.amount for meta in metas] == [1, 2, 3]
    assert [meta.key_func() for meta in metas] == ["of the rule", "of the rule", "own"]
    assert [meta.scope_for("index", "GET") for meta in metas] == ["meta", "meta", "other"]
    assert all(meta.shared and meta.meta_limits == () for meta in metas) or all(not meta.meta_limits for meta in metas)


def test_one_meta_limit_for_two_rules() -> None:
    """An object that two rules share counts for each by that rule's key, and is not changed by being used."""
    meta = MetaLimit("1/minute")
    rules = [Limit("1/second", key_function=lambda name=name: name, meta_limits=[meta]).bind(Owner()) for name in "ab"]
    found = [next(iter(rule)).meta_limits for rule in rules]
    assert [metas[0].key_func() for metas in found if metas] == ["a", "b"]
    assert meta.parent_limit is None
    assert meta.limit_by() == "owner"


def test_rules_are_compared_by_what_they_say() -> None:
    """Two rules that say the same are equal, so that a limit is not counted twice; the limiter does not matter."""
    one, two = Limit("1/second").bind(Owner()), Limit("1/second").bind(Owner())
    assert one == two
    assert hash(one) == hash(two)
    assert one != Limit("1/second", cost=2)
    assert len({runtime_of(one), runtime_of(two)}) == 1
    assert "limiter" not in repr(one)


def runtime_of(rule: Limit) -> RuntimeLimit:
    """Return the first limit of a rule."""
    return next(iter(rule))


def test_a_text_that_names_nothing() -> None:
    """Iterating over a rule with a wrong text raises what explains it."""
    with pytest.raises(ValueError, match="Did you mean '1/second'"):
        list(Limit("1/sec").bind(Owner()))


@given(st.text(min_size=1, max_size=20), st.text(max_size=20), st.booleans(), st.booleans())
def test_scopes_tell_endpoints_apart(endpoint: str, scope: str, shared: bool, per_method: bool) -> None:
    """A limit that is not shared never counts two endpoints together."""
    limit = runtime(scope=scope, shared=shared, per_method=per_method)
    same = limit.scope_for(endpoint, "GET") == limit.scope_for(endpoint + "2", "GET")
    assert same == (shared and bool(scope))
