"""Names of config keys, headers and scopes, as Flask-Limiter 4.1 has them, and Quaff's own."""

from __future__ import annotations

import enum
from typing import Final


class ConfigVars:
    """The config keys. The last six are Quaff's; all others are the extension's."""

    ENABLED = "RATELIMIT_ENABLED"
    KEY_FUNC = "RATELIMIT_KEY_FUNC"
    KEY_PREFIX = "RATELIMIT_KEY_PREFIX"
    FAIL_ON_FIRST_BREACH = "RATELIMIT_FAIL_ON_FIRST_BREACH"
    ON_BREACH = "RATELIMIT_ON_BREACH_CALLBACK"
    SWALLOW_ERRORS = "RATELIMIT_SWALLOW_ERRORS"
    APPLICATION_LIMITS = "RATELIMIT_APPLICATION"
    APPLICATION_LIMITS_PER_METHOD = "RATELIMIT_APPLICATION_PER_METHOD"
    APPLICATION_LIMITS_EXEMPT_WHEN = "RATELIMIT_APPLICATION_EXEMPT_WHEN"
    APPLICATION_LIMITS_DEDUCT_WHEN = "RATELIMIT_APPLICATION_DEDUCT_WHEN"
    APPLICATION_LIMITS_COST = "RATELIMIT_APPLICATION_COST"
    DEFAULT_LIMITS = "RATELIMIT_DEFAULT"
    DEFAULT_LIMITS_PER_METHOD = "RATELIMIT_DEFAULTS_PER_METHOD"
    DEFAULT_LIMITS_EXEMPT_WHEN = "RATELIMIT_DEFAULTS_EXEMPT_WHEN"
    DEFAULT_LIMITS_DEDUCT_WHEN = "RATELIMIT_DEFAULTS_DEDUCT_WHEN"
    DEFAULT_LIMITS_COST = "RATELIMIT_DEFAULTS_COST"
    REQUEST_IDENTIFIER = "RATELIMIT_REQUEST_IDENTIFIER"
    STRATEGY = "RATELIMIT_STRATEGY"
    STORAGE_URI = "RATELIMIT_STORAGE_URI"
    STORAGE_OPTIONS = "RATELIMIT_STORAGE_OPTIONS"
    HEADERS_ENABLED = "RATELIMIT_HEADERS_ENABLED"
    HEADER_LIMIT = "RATELIMIT_HEADER_LIMIT"
    HEADER_REMAINING = "RATELIMIT_HEADER_REMAINING"
    HEADER_RESET = "RATELIMIT_HEADER_RESET"
    HEADER_RETRY_AFTER = "RATELIMIT_HEADER_RETRY_AFTER"
    HEADER_RETRY_AFTER_VALUE = "RATELIMIT_HEADER_RETRY_AFTER_VALUE"
    IN_MEMORY_FALLBACK = "RATELIMIT_IN_MEMORY_FALLBACK"
    IN_MEMORY_FALLBACK_ENABLED = "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED"
    META_LIMITS = "RATELIMIT_META"
    ON_META_BREACH = "RATELIMIT_ON_META_BREACH_CALLBACK"

    ON_STORE_FAILURE = "RATELIMIT_ON_STORE_FAILURE"
    STORAGE_TIMEOUT = "RATELIMIT_STORAGE_TIMEOUT"
    HEADERS_IETF = "RATELIMIT_HEADERS_IETF"
    IPV6_PREFIX = "RATELIMIT_IPV6_PREFIX"
    MAX_KEYS = "RATELIMIT_MAX_KEYS"
    COUNT_UNMATCHED = "RATELIMIT_COUNT_UNMATCHED"


CONFIG_KEYS: Final = tuple(value for name, value in vars(ConfigVars).items() if name.isupper())
"""Every config key there is."""


class HeaderNames(enum.Enum):
    """The headers whose names can be changed, through `header_name_mapping` or the config."""

    RESET = "X-RateLimit-Reset"
    """When the limit is as good as new, in seconds since 1970."""

    REMAINING = "X-RateLimit-Remaining"
    """How much is left in the current window."""

    LIMIT = "X-RateLimit-Limit"
    """How much there is in one window."""

    RETRY_AFTER = "Retry-After"
    """How long to wait."""


class ExemptionScope(enum.Flag):
    """What `Limiter.exempt` exempts a view or a blueprint from."""

    NONE = 0

    APPLICATION = enum.auto()
    """From the limits of the whole application."""

    META = enum.auto()
    """From meta limits."""

    DEFAULT = enum.auto()
    """From the default limits."""

    DESCENDENTS = enum.auto()
    """The blueprints inside of this one as well."""

    ANCESTORS = enum.auto()
    """From the limits of the blueprints around this one."""


EXEMPT_BY_DEFAULT: Final = ExemptionScope.APPLICATION | ExemptionScope.DEFAULT | ExemptionScope.META
"""What `Limiter.exempt` exempts from unless it is told otherwise."""

FAIL_OPEN: Final = "fail_open"
FAIL_CLOSED: Final = "fail_closed"
LOCAL: Final = "local"

POLICIES: Final = (FAIL_OPEN, FAIL_CLOSED, LOCAL)
"""What may happen to a request whose limits cannot be counted because the store is down."""
