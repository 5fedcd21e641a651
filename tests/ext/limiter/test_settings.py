"""Settings from keyword arguments and the config."""

from __future__ import annotations

from typing import Any

import pytest
from limits.errors import ConfigurationError

from quaff.ext.limiter import ApplicationLimit, HeaderNames, Limit, MetaLimit
from quaff.ext.limiter.settings import Settings, as_flag, read_settings, unknown_keys, unknown_option
from quaff.ext.limiter.util import get_remote_address


class Owner:
    """What settings ask of a limiter."""

    key_func = staticmethod(get_remote_address)


def read(options: dict[str, Any] | None = None, **config: Any) -> Settings:
    """Read settings; config keys are given without their prefix."""
    return read_settings(Owner(), options or {}, {f"RATELIMIT_{key}": value for key, value in config.items()})


def test_defaults() -> None:
    """Without anything said, nothing is limited, counts are in memory, headers are off, and an outage is bridged locally."""
    settings = read()
    assert settings.enabled
    assert (settings.default_limits, settings.application_limits, settings.meta_limits) == ((), (), ())
    assert (settings.strategy, settings.storage_uri, settings.storage_options) == ("fixed-window", None, {})
    assert (settings.headers_enabled, settings.headers_ietf, settings.retry_after) == (False, True, None)
    assert (settings.on_store_failure, settings.storage_timeout) == ("local", 0.1)
    assert (settings.fail_on_first_breach, settings.swallow_errors) == (True, False)
    assert (settings.max_keys, settings.ipv6_prefix, settings.count_unmatched) == (100_000, None, False)
    assert settings.header_names == (
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "Retry-After",
    )


def _callback(*_: Any) -> bool:
    return True


BOTH_WAYS = [
    ("key_prefix", "KEY_PREFIX", "key_prefix", "mine", "mine"),
    ("strategy", "STRATEGY", "strategy", "moving-window", "moving-window"),
    ("storage_uri", "STORAGE_URI", "storage_uri", "redis://a", "redis://a"),
    ("swallow_errors", "SWALLOW_ERRORS", "swallow_errors", True, True),
    ("fail_on_first_breach", "FAIL_ON_FIRST_BREACH", "fail_on_first_breach", False, False),
    ("headers_enabled", "HEADERS_ENABLED", "headers_enabled", True, True),
    ("retry_after", "HEADER_RETRY_AFTER_VALUE", "retry_after", "http-date", "http-date"),
    ("request_identifier", "REQUEST_IDENTIFIER", "request_identifier", _callback, _callback),
    ("on_breach", "ON_BREACH_CALLBACK", "on_breach", _callback, _callback),
    ("on_meta_breach", "ON_META_BREACH_CALLBACK", "on_meta_breach", _callback, _callback),
    ("on_store_failure", "ON_STORE_FAILURE", "on_store_failure", "fail_closed", "fail_closed"),
]
"""Keyword argument, config key, attribute, value, and what is read."""


@pytest.mark.parametrize("option, key, attribute, value, expected", BOTH_WAYS)
def test_both_ways(option: str, key: str, attribute: str, value: Any, expected: Any) -> None:
    """What may be said as a keyword argument may be said in the config."""
    assert getattr(read({option: value}), attribute) == expected
    assert getattr(read(**{key: value}), attribute) == expected


@pytest.mark.parametrize(
    "option, key, attribute, given, configured",
    [
        ("strategy", "STRATEGY", "strategy", "moving-window", "fixed-window"),
        ("storage_uri", "STORAGE_URI", "storage_uri", "memory://", "redis://a"),
        ("headers_enabled", "HEADERS_ENABLED", "headers_enabled", False, True),
        ("key_prefix", "KEY_PREFIX", "key_prefix", "given", "configured"),
    ],
)
def test_arguments_go_first(option: str, key: str, attribute: str, given: Any, configured: Any) -> None:
    """What the class was given goes before the config, also when it is False."""
    assert getattr(read({option: given}, **{key: configured}), attribute) == given


@pytest.mark.parametrize(
    "given, configured, enabled", [(True, False, False), (False, True, True), (False, None, False), (True, None, True)]
)
def test_enabled(given: bool, configured: bool | None, enabled: bool) -> None:
    """COMPAT: whether it is enabled at all, the config decides."""
    config = {} if configured is None else {"ENABLED": configured}
    assert read({"enabled": given}, **config).enabled is enabled


@pytest.mark.parametrize(
    "cls, option, first, rest",
    [
        (Limit, "default_limits", "DEFAULT", "DEFAULTS"),
        (ApplicationLimit, "application_limits", "APPLICATION", "APPLICATION"),
    ],
)
def test_groups_of_limits(cls: type[Limit], option: str, first: str, rest: str) -> None:
    """Default and application limits take the options of their group, from the arguments or the config."""
    keys = (first, *(f"{rest}_{name}" for name in ("PER_METHOD", "EXEMPT_WHEN", "DEDUCT_WHEN", "COST")))
    limits_key, per_method, exempt, deduct, cost = keys
    from_config = getattr(
        read(**{limits_key: "1/day;2/day", per_method: True, exempt: _callback, deduct: _callback, cost: 3}), option
    )
    from_arguments = getattr(
        read(
            {
                option: ["1/day;2/day"],
                f"{option}_per_method": True,
                f"{option}_exempt_when": _callback,
                f"{option}_deduct_when": _callback,
                f"{option}_cost": 3,
            }
        ),
        option,
    )
    assert from_config == from_arguments
    assert type(from_config[0]) is cls
    for limit in (limit for group in from_config for limit in group):
        assert (limit.per_method, limit.exempt_when, limit.deduct_when, limit.cost) == (True, _callback, _callback, 3)


def test_limits_of_every_kind() -> None:
    """A group holds texts, functions, and limits with options of their own, which stay as they are."""
    own = Limit("3/day", cost=7)
    groups = read({"default_limits": ["1/day", lambda: "2/day", own], "default_limits_cost": 2}).default_limits
    assert [limit.cost for group in groups for limit in group] == [2, 2, 7]
    assert groups[2] is own


def test_lists_in_the_config() -> None:
    """The config may hold a text, a function, a limit, or a list of them."""
    assert len(read(DEFAULT=["1/day", "2/day"]).default_limits) == 2
    assert len(read(DEFAULT=lambda: "1/day").default_limits) == 1
    assert len(read(META=MetaLimit("1/day")).meta_limits) == 1
    assert [type(limit) for limit in read(META=["1/day", "2/day"]).meta_limits] == [MetaLimit, MetaLimit]


@pytest.mark.parametrize("key", ["DEFAULT", "APPLICATION", "META", "IN_MEMORY_FALLBACK"])
def test_a_text_that_names_no_limit(key: str) -> None:
    """A text that names no limit is an error when the settings are read, not for the first visitor."""
    with pytest.raises(ValueError, match="Did you mean '1/second'"):
        read(**{key: "1/sec"})


@pytest.mark.parametrize(
    "options, config, policy",
    [
        ({}, {}, "local"),
        ({}, {"SWALLOW_ERRORS": True}, "fail_open"),
        ({"swallow_errors": True}, {}, "fail_open"),
        ({}, {"IN_MEMORY_FALLBACK_ENABLED": True, "SWALLOW_ERRORS": True}, "local"),
        ({"in_memory_fallback": ["1/day"], "swallow_errors": True}, {}, "local"),
        ({"swallow_errors": True}, {"ON_STORE_FAILURE": "fail_closed"}, "fail_closed"),
        ({"on_store_failure": "fail_open"}, {"IN_MEMORY_FALLBACK_ENABLED": True}, "fail_open"),
    ],
)
def test_policies(options: dict[str, Any], config: dict[str, Any], policy: str) -> None:
    """The extension's two ways to go on without the store are two of the policies; a policy that is named goes first."""
    assert read(options, **config).on_store_failure == policy


def test_header_names() -> None:
    """Headers are renamed by the argument or the config."""
    settings = read(
        {"header_name_mapping": {HeaderNames.LIMIT: "X-A"}}, HEADER_LIMIT="X-B", HEADER_REMAINING="X-C", HEADER_RESET=""
    )
    assert settings.header_names == ("X-A", "X-C", "X-RateLimit-Reset", "Retry-After")


def test_storage_options_are_joined() -> None:
    """Storage options come from both; those of the config go first."""
    settings = read({"storage_options": {"a": 1, "b": 1}}, STORAGE_OPTIONS={"b": 2})
    assert settings.storage_options == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "config, message",
    [
        ({"STRATEGY": "fubar"}, "RATELIMIT_STRATEGY is one of"),
        ({"STRATEGY": "moving-windw"}, "Did you mean 'moving-window'"),
        ({"ON_STORE_FAILURE": "fail-open"}, "Did you mean 'fail_open'"),
        ({"STORAGE_TIMEOUT": 0}, "RATELIMIT_STORAGE_TIMEOUT is a number of at least 0.001"),
        ({"STORAGE_TIMEOUT": "soon"}, "'soon'"),
        ({"STORAGE_TIMEOUT": True}, "not True"),
        ({"MAX_KEYS": 0}, "RATELIMIT_MAX_KEYS"),
        ({"IPV6_PREFIX": 0}, "RATELIMIT_IPV6_PREFIX"),
        ({"IPV6_PREFIX": 129}, "from 1 to 128"),
        ({"HEADERS_ENABLED": "maybe"}, "RATELIMIT_HEADERS_ENABLED is True or False"),
        ({"ENABLED": "nope"}, "RATELIMIT_ENABLED"),
        ({"ON_BREACH_CALLBACK": "app.on_breach"}, "RATELIMIT_ON_BREACH_CALLBACK is a function"),
        ({"DEFAULTS_EXEMPT_WHEN": True}, "RATELIMIT_DEFAULTS_EXEMPT_WHEN is a function"),
        ({"REQUEST_IDENTIFIER": "path"}, "RATELIMIT_REQUEST_IDENTIFIER is a function"),
    ],
)
def test_values_that_cannot_be_right(config: dict[str, Any], message: str) -> None:
    """A value that cannot be right is refused, with the key, the value and a guess."""
    with pytest.raises(ConfigurationError) as caught:
        read(**config)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "value, flag",
    [
        ("true", True),
        ("Yes", True),
        ("1", True),
        (" on ", True),
        ("false", False),
        ("0", False),
        ("", False),
        (1, True),
        (None, False),
    ],
)
def test_flags(value: object, flag: bool) -> None:
    """The words of environment variables are understood."""
    assert as_flag("KEY", value) is flag


def test_unknown_keys() -> None:
    """A key that is nearly one of the limiter's is told with what was probably meant; others are somebody else's."""
    config = {
        "RATELIMIT_DEFAULTS": "1/day",
        "RATELIMIT_STORAGE_URL": "redis://a",
        "RATELIMIT_DEFAULT": "1/day",
        "RATELIMIT_MY_OWN_THING": 1,
        "SECRET_KEY": "",
    }
    assert unknown_keys(config) == [
        ("RATELIMIT_DEFAULTS", "RATELIMIT_DEFAULT"),
        ("RATELIMIT_STORAGE_URL", "RATELIMIT_STORAGE_URI"),
    ]


def test_unknown_options() -> None:
    """The message for a keyword argument that there is not guesses."""
    assert unknown_option("default_limit").endswith("Did you mean 'default_limits'?")
    assert unknown_option("xyzzy") == "Limiter() has no keyword argument 'xyzzy'."


def test_when_counts_go_on() -> None:
    """Counts go on through a change of the config unless it is about where and how is counted."""
    before = read(STORAGE_OPTIONS={"a": 1}).storage_key
    assert read(STORAGE_OPTIONS={"a": 1}, DEFAULT="1/day", HEADERS_ENABLED=True).storage_key == before
    for config in (
        {"STORAGE_OPTIONS": {"a": 2}},
        {"STRATEGY": "moving-window", "STORAGE_OPTIONS": {"a": 1}},
        {"STORAGE_URI": "redis://a", "STORAGE_OPTIONS": {"a": 1}},
    ):
        assert read(**config).storage_key != before
