"""Whom a request counts for."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff import Quaff
from quaff.ext.limiter.util import NO_ADDRESS, get_qualified_name, get_remote_address, network_of, qualified_name
from tests.ext.limiter.apps import from_address


def test_address(app: Quaff) -> None:
    """The address is that of the connection."""
    with app.test_request_context("/", **from_address("192.0.2.7")):
        assert get_remote_address() == "192.0.2.7"


@pytest.mark.parametrize("address", ["", None])
def test_no_address(app: Quaff, address: str | None) -> None:
    """Without an address, as on a Unix socket, it is one that stands for all."""
    with app.test_request_context("/", environ_overrides={"REMOTE_ADDR": address}):
        assert get_remote_address() == NO_ADDRESS


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"])
def test_headers_are_not_believed(app: Quaff, header: str) -> None:
    """SECURITY: no header changes whom a request counts for: anybody can send one."""
    with app.test_request_context("/", headers={header: "203.0.113.9"}, **from_address("192.0.2.7")):
        assert get_remote_address() == "192.0.2.7"


@pytest.mark.parametrize(
    "address, prefix, counted",
    [
        ("2001:db8:0:1::7", 64, "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff::", 64, "2001:db8:0:1::/64"),
        ("2001:db8:0:1::7", 48, "2001:db8::/48"),
        ("2001:db8:0:1::7", 128, "2001:db8:0:1::7/128"),
        ("fe80::1%eth0", 64, "fe80::/64"),
        ("::ffff:192.0.2.7", 64, "192.0.2.7"),
        ("192.0.2.7", 64, "192.0.2.7"),
        ("not:an:address", 64, "not:an:address"),
        ("", 64, ""),
    ],
)
def test_networks(address: str, prefix: int, counted: str) -> None:
    """An IPv6 address counts by its network; one of IPv4, and what is no address, by itself."""
    assert network_of(address, prefix) == counted


def test_option_of_the_function(app: Quaff) -> None:
    """The function groups IPv6 addresses when it is asked to."""
    key_func = partial(get_remote_address, ipv6_prefix=64)
    with app.test_request_context("/", **from_address("2001:db8::1")):
        assert get_remote_address() == "2001:db8::1"
        assert key_func() == "2001:db8::/64"


@given(st.integers(0, 2**128 - 1), st.integers(1, 128), st.integers(0, 2**128 - 1))
def test_one_network_is_one_key(number: int, prefix: int, other: int) -> None:
    """Two addresses have the same key exactly when they are in the same network."""
    one, two = IPv6Address(number), IPv6Address(other)
    if one.ipv4_mapped or two.ipv4_mapped:
        return
    network = IPv6Network((one, prefix), strict=False)
    is_same = network_of(str(one), prefix) == network_of(str(two), prefix)
    assert is_same == (two in network)


def test_qualified_name() -> None:
    """The name of a function tells its module, and where in it; things that are called have the name of their class."""

    def inner() -> None: ...

    assert qualified_name(inner).startswith(
        "tests.ext.limiter.test_util.inner."
    ) or "test_util.inner." in qualified_name(inner)
    assert qualified_name(inner).endswith("test_qualified_name.<locals>.inner")
    assert "partial" in qualified_name(partial(inner))
    assert get_qualified_name is qualified_name
