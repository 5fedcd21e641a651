"""Limits made ready for a route."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff import Quaff, Request
from quaff.ext.limiter.checks import LONGEST_KEY, Check, Place, address_key, caller_of, compact, is_early, reads_address
from quaff.ext.limiter.notation import parse_limits
from quaff.ext.limiter.rules import RuntimeLimit
from quaff.ext.limiter.util import get_remote_address
from tests.ext.limiter.apps import from_address
from tests.ext.limiter.test_settings import read

PLACE = Place("index", "GET", False, True)


def limit(**options: Any) -> RuntimeLimit:
    """Return a limit by address."""
    text = options.pop("text", "5 per 2 minute")
    key_func = options.pop("key_func", get_remote_address)
    return RuntimeLimit(parse_limits(text)[0], key_func, options.pop("scope", None), **options)


@pytest.mark.parametrize("prefix", ["", "mine"])
@pytest.mark.parametrize("options", [{}, {"scope": "s"}, {"scope": "s", "shared": True}, {"per_method": True}])
def test_keys_are_those_of_the_library(prefix: str, options: dict[str, Any]) -> None:
    """COMPAT: a key is the one that the extension counts under, so that counts survive the change to Quaff."""
    check = Check(limit(**options), read(KEY_PREFIX=prefix), PLACE)
    scope = check.limit.scope_for("index", "GET")
    assert check.scope == scope
    args = check.args_of("192.0.2.7", scope)
    assert args == ((prefix,) if prefix else ()) + ("192.0.2.7", scope)
    assert check.full_key("192.0.2.7", scope) == check.item.key_for(*args)


def test_known_keys() -> None:
    """The key is spelt as it always was."""
    assert Check(limit(), read(), PLACE).full_key("192.0.2.7", "index") == "LIMITER/192.0.2.7/index/5/2/minute"


def test_what_is_known_only_later() -> None:
    """A scope function, and an identity that a function says, are asked with the request."""
    for check in (
        Check(limit(scope=lambda endpoint: "x"), read(), PLACE),
        Check(limit(), read(), PLACE._replace(endpoint=None)),
    ):
        assert (check.scope, check.tail) == (None, None)
        assert check.full_key("a", "later") == "LIMITER/a/later/5/2/minute"


@pytest.mark.parametrize("cost, known", [(1, 1), (0, 0), (lambda: 5, None)])
def test_costs(cost: Any, known: int | None) -> None:
    """A cost that is a number is known before."""
    assert Check(limit(cost=cost), read(), PLACE).cost == known


@pytest.mark.parametrize(
    "key_func, is_address",
    [
        (get_remote_address, True),
        (partial(get_remote_address, ipv6_prefix=64), True),
        (partial(get_remote_address, 64), False),
        (partial(str, "x"), False),
        (lambda: get_remote_address(), False),
    ],
)
def test_which_functions_read_the_address(key_func: Any, is_address: bool) -> None:
    """The function of the limiter itself need not be called; what it would say is known."""
    assert reads_address(key_func) is is_address


@pytest.mark.parametrize(
    "key_func, config, key",
    [
        (get_remote_address, {}, "2001:db8::7"),
        (get_remote_address, {"IPV6_PREFIX": 64}, "2001:db8::/64"),
        (partial(get_remote_address, ipv6_prefix=32), {"IPV6_PREFIX": 64}, "2001:db8::/32"),
        (partial(get_remote_address), {"IPV6_PREFIX": 48}, "2001:db8::/48"),
    ],
)
def test_networks(key_func: Any, config: dict[str, int], key: str, app: Quaff) -> None:
    """Addresses are grouped as the function says, or else the config."""
    check = Check(limit(key_func=key_func), read(**config), PLACE)
    with app.test_request_context("/", **from_address("2001:db8::7")) as context:
        assert caller_of(check, context) == key


def test_an_address_of_the_app_s_own(app: Quaff) -> None:
    """An app whose request class says what the address is, is asked."""

    class Own(Request):
        remote_addr = "203.0.113.1"  # type: ignore[assignment]  # a constant will do

    app.request_class = Own
    check = Check(limit(), read(), PLACE._replace(has_plain_address=False))
    with app.test_request_context("/") as context:
        assert caller_of(check, context) == "203.0.113.1"


@pytest.mark.parametrize("key, expected", [("someone", "someone"), (7, "7"), (b"bytes", "bytes"), (None, ""), ("", "")])
def test_keys_of_functions(key: Any, expected: str, app: Quaff) -> None:
    """A key function may return a text, a number or bytes; nothing is nobody."""
    check = Check(limit(key_func=lambda: key), read(), PLACE)
    with app.test_request_context("/") as context:
        assert caller_of(check, context) == expected


@pytest.mark.parametrize(
    "key, strict, kept",
    [
        ("192.0.2.7", True, True),
        ("a name with spaces", False, True),
        ("a name with spaces", True, False),
        ("Zoë", False, True),
        ("Zoë", True, False),
        ("tab\there", True, False),
        ("line\nbreak", True, False),
        ("x" * LONGEST_KEY, True, True),
        ("x" * (LONGEST_KEY + 1), False, False),
        ("ë" * (LONGEST_KEY + 1), False, False),
        ("\ud800", False, False),
    ],
)
def test_keys_that_a_store_may_refuse(key: str, strict: bool, kept: bool) -> None:
    """SECURITY: a key that a store refuses, or that would fill it, is replaced by its hash."""
    made = compact(key, strict=strict)
    assert (made == key) == kept
    assert kept or made.startswith("sha256-")


@given(st.text(st.characters(), max_size=400), st.booleans())
def test_every_key_fits(key: str, strict: bool) -> None:
    """SECURITY: whatever a key is, what is made of it is short, can be encoded, and is the same each time."""
    made = compact(key, strict=strict)
    assert len(made) <= LONGEST_KEY
    made.encode()
    assert made == compact(key, strict=strict)
    if strict:
        assert made.isascii()
        assert " " not in made


@given(st.text(max_size=300), st.text(max_size=300), st.booleans())
def test_keys_stay_apart(one: str, two: str, strict: bool) -> None:
    """Two keys are counted together only if they are the same."""
    assert (compact(one, strict=strict) == compact(two, strict=strict)) == (one == two)


@pytest.mark.parametrize("address", ["x" * 5000, "\xff\xfe", "[::1", "::1; drop table"])
def test_strange_addresses(address: str) -> None:
    """An address that is none, from a server or a proxy that lets such through, is a key like any other."""
    made = address_key(Check(limit(), read(IPV6_PREFIX=64), PLACE), address)
    assert made
    assert len(made) <= LONGEST_KEY
    assert made.isascii()


@pytest.mark.parametrize(
    "options, early",
    [
        ({}, True),
        ({"scope": "s"}, True),
        ({"cost": 3}, True),
        ({"deduct_when": lambda response: True}, True),
        ({"error_message": "no"}, True),
        ({"key_func": lambda: "x"}, False),
        ({"scope": lambda endpoint: "x"}, False),
        ({"cost": lambda: 1}, False),
        ({"exempt_when": lambda: False}, False),
        ({"on_breach": lambda shown: None}, False),
        ({"error_message": lambda: "no"}, False),
    ],
)
def test_early_limits(options: dict[str, Any], early: bool) -> None:
    """A limit is early when nothing of the user's has to be called before it is known to be broken."""
    assert is_early([limit(), limit(**options)]) is early


def test_meta_limits_come_along() -> None:
    """The meta limits of a limit are made ready with it."""
    meta = limit(text="1/day", scope="meta", shared=True)
    check = Check(limit(meta_limits=(meta,)), read(), PLACE)
    assert [(one.limit, one.scope) for one in check.metas] == [(meta, "meta")]
