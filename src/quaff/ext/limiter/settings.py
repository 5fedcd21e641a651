"""Settings: what `Limiter` was given and what the config says, checked, in one immutable object.

It is read when a route is compiled, so that config may be set before or after `init_app`. What the class was given goes
before the config, except for `enabled`, where the config decides.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from limits.errors import ConfigurationError
from limits.strategies import STRATEGIES

from .constants import CONFIG_KEYS, FAIL_OPEN, LOCAL, POLICIES, ConfigVars, HeaderNames
from .rules import ApplicationLimit, Limit, MetaLimit, Provider

TIMEOUT: Final = 0.1
"""Seconds that the limits of a request may wait for a store over the network."""

MAX_KEYS: Final = 100_000
"""How many keys are counted in memory at most."""

TRUE: Final = frozenset({"1", "true", "yes", "on"})
FALSE: Final = frozenset({"0", "false", "no", "off", ""})


class LimiterOptions(TypedDict, total=False):
    """The keyword arguments of `Limiter`. None, or none at all, stands for the config, and that for the default."""

    default_limits: Sequence[Provider | Limit] | None
    """Limits of each route that has none of its own."""

    default_limits_per_method: bool | None
    default_limits_exempt_when: Callable[[], bool] | None
    default_limits_deduct_when: Callable[[Any], bool] | None
    default_limits_cost: int | Callable[[], int] | None
    application_limits: Sequence[Provider | ApplicationLimit] | None
    """Limits that all routes share."""

    application_limits_per_method: bool | None
    application_limits_exempt_when: Callable[[], bool] | None
    application_limits_deduct_when: Callable[[Any], bool] | None
    application_limits_cost: int | Callable[[], int] | None
    headers_enabled: bool | None
    """Whether responses say what is left. False by default."""

    header_name_mapping: dict[HeaderNames, str] | None
    strategy: str | None
    """`fixed-window` (the default), `moving-window` or `sliding-window-counter`."""

    storage_uri: str | None
    """Where is counted: `memory://` by default."""

    storage_options: dict[str, Any] | None
    swallow_errors: bool | None
    """Whether errors while counting are logged, and the request passes."""

    fail_on_first_breach: bool | None
    """Whether the limits after the first that is broken are not looked at. True by default."""

    on_breach: Callable[[Any], Any] | None
    meta_limits: Sequence[Provider | MetaLimit] | None
    on_meta_breach: Callable[[Any], Any] | None
    in_memory_fallback: Sequence[Provider | Limit] | None
    """Limits in place of all others while the store is down."""

    in_memory_fallback_enabled: bool | None
    retry_after: str | None
    """`http-date` for a date in `Retry-After`; seconds otherwise."""

    key_prefix: str
    request_identifier: Callable[[], str] | None
    """Returns what stands for the route in keys, in place of the endpoint."""

    enabled: bool
    on_store_failure: str | None
    """`fail_open`, `fail_closed` or `local`: what happens while the store is down. Quaff's own."""


OPTIONS: Final = tuple(LimiterOptions.__annotations__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a limiter on one app."""

    enabled: bool
    key_func: Callable[[], str]
    key_prefix: str
    strategy: str
    storage_uri: str | None
    storage_options: dict[str, Any]
    storage_timeout: float
    max_keys: int
    on_store_failure: str
    swallow_errors: bool
    fail_on_first_breach: bool
    headers_enabled: bool
    headers_ietf: bool
    header_names: tuple[str, str, str, str]
    """Of the limit, of what remains, of when it is reset, and of `Retry-After`."""

    retry_after: str | None
    ipv6_prefix: int | None
    count_unmatched: bool
    request_identifier: Callable[[], str] | None
    on_breach: Callable[[Any], Any] | None
    on_meta_breach: Callable[[Any], Any] | None
    default_limits: tuple[Limit, ...]
    application_limits: tuple[Limit, ...]
    meta_limits: tuple[Limit, ...]
    fallback_limits: tuple[Limit, ...]
    values: dict[str, Any]
    """Key -> value of what the limits were made with, for `quaff limiter config`."""

    @property
    def storage_key(self) -> tuple[Any, ...]:
        """What has to be the same for counts to go on after the config changed."""
        options = tuple(sorted((name, repr(value)) for name, value in self.storage_options.items()))
        return self.storage_uri, options, self.strategy, self.storage_timeout, self.max_keys


class Reader:
    """Looks values up and complains about those that cannot be right."""

    def __init__(self, options: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        self.options = options
        self.config = config

    def value(self, option: str | None, key: str, default: Any = None) -> Any:
        """Return what the class was given, else what the config says, else *default*."""
        given = self.options.get(option) if option else None
        if given is not None and given != "":
            return given
        found = self.config.get(key)
        return default if found is None else found

    def flag(self, option: str | None, key: str, default: bool) -> bool:
        """Return a switch; the words of environment variables are understood."""
        return as_flag(key, self.value(option, key, default))

    def choice(self, option: str | None, key: str, default: str, allowed: Iterable[str]) -> str:
        """Return one of the *allowed* words."""
        value = self.value(option, key, default)
        words = list(allowed)
        if value not in words:
            close = difflib.get_close_matches(str(value), words, n=1)
            guess = f" Did you mean {close[0]!r}?" if close else ""
            raise ConfigurationError(f"{key} is one of {', '.join(words)}, not {value!r}.{guess}")
        return str(value)

    def number(self, key: str, default: float, least: float, kind: type[int] | type[float]) -> Any:
        """Return a number of at least *least*."""
        value = self.value(None, key, default)
        try:
            number = kind(value)
        except (TypeError, ValueError):
            number = least - 1
        if isinstance(value, bool) or number < least:
            raise ConfigurationError(f"{key} is a number of at least {least:g}, not {value!r}.")
        return number

    def function(self, option: str | None, key: str) -> Any:
        """Return a function or None."""
        value = self.value(option, key)
        if value is not None and not callable(value):
            raise ConfigurationError(f"{key} is a function, not {value!r}.")
        return value


def as_flag(key: str, value: Any) -> bool:
    """Return a config value as a bool.

    :raises ConfigurationError: for a text that is neither yes nor no.
    """
    if not isinstance(value, str):
        return bool(value)
    word = value.strip().lower()
    if word not in TRUE and word not in FALSE:
        raise ConfigurationError(f"{key} is True or False, not {value!r}.")
    return word in TRUE


def read_settings(limiter: Any, options: Mapping[str, Any], config: Mapping[str, Any]) -> Settings:
    """Return the settings of *limiter*, made with *options*, on an app with *config*.

    :raises limits.errors.ConfigurationError: for a value that cannot be right.
    :raises ValueError: for a text that names no limit.
    """
    reader = Reader(options, config)
    enabled = config.get(ConfigVars.ENABLED)
    values: dict[str, Any] = {}
    return Settings(
        enabled=as_flag(ConfigVars.ENABLED, options.get("enabled", True) if enabled is None else enabled),
        key_func=limiter.key_func,
        key_prefix=str(reader.value("key_prefix", ConfigVars.KEY_PREFIX, "")),
        strategy=reader.choice("strategy", ConfigVars.STRATEGY, "fixed-window", STRATEGIES),
        storage_uri=reader.value("storage_uri", ConfigVars.STORAGE_URI),
        storage_options={**(options.get("storage_options") or {}), **config.get(ConfigVars.STORAGE_OPTIONS, {})},
        storage_timeout=reader.number(ConfigVars.STORAGE_TIMEOUT, TIMEOUT, 0.001, float),
        max_keys=reader.number(ConfigVars.MAX_KEYS, MAX_KEYS, 1, int),
        on_store_failure=_read_policy(reader),
        swallow_errors=reader.flag("swallow_errors", ConfigVars.SWALLOW_ERRORS, False),
        fail_on_first_breach=reader.flag("fail_on_first_breach", ConfigVars.FAIL_ON_FIRST_BREACH, True),
        headers_enabled=reader.flag("headers_enabled", ConfigVars.HEADERS_ENABLED, False),
        headers_ietf=reader.flag(None, ConfigVars.HEADERS_IETF, True),
        header_names=_read_header_names(reader),
        retry_after=reader.value("retry_after", ConfigVars.HEADER_RETRY_AFTER_VALUE),
        ipv6_prefix=_read_ipv6_prefix(reader),
        count_unmatched=reader.flag(None, ConfigVars.COUNT_UNMATCHED, False),
        request_identifier=reader.function("request_identifier", ConfigVars.REQUEST_IDENTIFIER),
        on_breach=reader.function("on_breach", ConfigVars.ON_BREACH),
        on_meta_breach=reader.function("on_meta_breach", ConfigVars.ON_META_BREACH),
        default_limits=_read_limits(limiter, reader, values, "default_limits", Limit),
        application_limits=_read_limits(limiter, reader, values, "application_limits", ApplicationLimit),
        meta_limits=_bind_all(limiter, reader.value("meta_limits", ConfigVars.META_LIMITS), MetaLimit, {}),
        fallback_limits=_bind_all(
            limiter, reader.value("in_memory_fallback", ConfigVars.IN_MEMORY_FALLBACK), Limit, {}
        ),
        values=values,
    )


def _read_policy(reader: Reader) -> str:
    if reader.value("on_store_failure", ConfigVars.ON_STORE_FAILURE) is not None:
        return reader.choice("on_store_failure", ConfigVars.ON_STORE_FAILURE, LOCAL, POLICIES)
    # COMPAT: the two ways that the extension has.
    local = reader.flag("in_memory_fallback_enabled", ConfigVars.IN_MEMORY_FALLBACK_ENABLED, False)
    if local or reader.value("in_memory_fallback", ConfigVars.IN_MEMORY_FALLBACK):
        return LOCAL
    return FAIL_OPEN if reader.flag("swallow_errors", ConfigVars.SWALLOW_ERRORS, False) else LOCAL


def _read_header_names(reader: Reader) -> tuple[str, str, str, str]:
    given = reader.options.get("header_name_mapping") or {}

    def name_of(name: HeaderNames, key: str) -> str:
        return str(given.get(name) or reader.config.get(key) or name.value)

    return (
        name_of(HeaderNames.LIMIT, ConfigVars.HEADER_LIMIT),
        name_of(HeaderNames.REMAINING, ConfigVars.HEADER_REMAINING),
        name_of(HeaderNames.RESET, ConfigVars.HEADER_RESET),
        name_of(HeaderNames.RETRY_AFTER, ConfigVars.HEADER_RETRY_AFTER),
    )


def _read_ipv6_prefix(reader: Reader) -> int | None:
    value = reader.value(None, ConfigVars.IPV6_PREFIX)
    if value is None:
        return None
    prefix: int = reader.number(ConfigVars.IPV6_PREFIX, 128, 1, int)
    if prefix > 128:
        raise ConfigurationError(f"{ConfigVars.IPV6_PREFIX} is a number from 1 to 128, not {value!r}.")
    return prefix


_GROUP_KEYS: Final = {
    "default_limits": (
        ConfigVars.DEFAULT_LIMITS,
        ConfigVars.DEFAULT_LIMITS_PER_METHOD,
        ConfigVars.DEFAULT_LIMITS_EXEMPT_WHEN,
        ConfigVars.DEFAULT_LIMITS_DEDUCT_WHEN,
        ConfigVars.DEFAULT_LIMITS_COST,
    ),
    "application_limits": (
        ConfigVars.APPLICATION_LIMITS,
        ConfigVars.APPLICATION_LIMITS_PER_METHOD,
        ConfigVars.APPLICATION_LIMITS_EXEMPT_WHEN,
        ConfigVars.APPLICATION_LIMITS_DEDUCT_WHEN,
        ConfigVars.APPLICATION_LIMITS_COST,
    ),
}


def _read_limits(
    limiter: Any, reader: Reader, values: dict[str, Any], group: str, cls: type[Limit]
) -> tuple[Limit, ...]:
    """Return the default or the application limits, with the options of their group where they have none themselves."""
    limits_key, per_method_key, exempt_key, deduct_key, cost_key = _GROUP_KEYS[group]
    shared = {
        "per_method": reader.flag(f"{group}_per_method", per_method_key, False),
        "exempt_when": reader.function(f"{group}_exempt_when", exempt_key),
        "deduct_when": reader.function(f"{group}_deduct_when", deduct_key),
        "cost": reader.value(f"{group}_cost", cost_key, 1),
    }
    values.update(zip((per_method_key, exempt_key, deduct_key, cost_key), shared.values(), strict=True))
    return _bind_all(limiter, reader.options.get(group) or reader.config.get(limits_key), cls, shared)


def _bind_all(limiter: Any, given: Any, cls: type[Limit], options: dict[str, Any]) -> tuple[Limit, ...]:
    if not given:
        return ()
    entries = list(given) if isinstance(given, Iterable) and not isinstance(given, (str, Limit)) else [given]
    made = tuple(
        entry.bind(limiter) if isinstance(entry, Limit) else cls(limit_provider=entry, **options).bind(limiter)
        for entry in entries
    )
    for limit in made:
        if limit.is_static:
            # What cannot be right is said when the app is set up, not to the first visitor.
            list(limit)
    return made


def unknown_keys(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the config keys that look like misspelt ones of the limiter's, with what was probably meant."""
    found = []
    for key in config:
        if key.startswith("RATELIMIT_") and key not in CONFIG_KEYS:
            close = difflib.get_close_matches(key, CONFIG_KEYS, n=1, cutoff=0.85)
            found += [(key, close[0])] if close else []
    return found


def unknown_option(name: str) -> str:
    """Return the message for a keyword argument of `Limiter` that there is not."""
    close = difflib.get_close_matches(name, OPTIONS, n=1)
    return f"Limiter() has no keyword argument {name!r}." + (f" Did you mean {close[0]!r}?" if close else "")
