"""Names of keys, headers and scopes."""

from __future__ import annotations

from quaff.ext.limiter.constants import CONFIG_KEYS, EXEMPT_BY_DEFAULT, ConfigVars, ExemptionScope, HeaderNames

OF_THE_EXTENSION = """
ENABLED KEY_FUNC KEY_PREFIX FAIL_ON_FIRST_BREACH ON_BREACH_CALLBACK SWALLOW_ERRORS APPLICATION APPLICATION_PER_METHOD
APPLICATION_EXEMPT_WHEN APPLICATION_DEDUCT_WHEN APPLICATION_COST DEFAULT DEFAULTS_PER_METHOD DEFAULTS_EXEMPT_WHEN
DEFAULTS_DEDUCT_WHEN DEFAULTS_COST REQUEST_IDENTIFIER STRATEGY STORAGE_URI STORAGE_OPTIONS HEADERS_ENABLED HEADER_LIMIT
HEADER_REMAINING HEADER_RESET HEADER_RETRY_AFTER HEADER_RETRY_AFTER_VALUE IN_MEMORY_FALLBACK IN_MEMORY_FALLBACK_ENABLED META
ON_META_BREACH_CALLBACK
""".split()


def test_config_keys() -> None:
    """All thirty keys of the extension are there under their names."""
    assert len(OF_THE_EXTENSION) == 30
    assert {f"RATELIMIT_{name}" for name in OF_THE_EXTENSION} <= set(CONFIG_KEYS)


def test_own_keys() -> None:
    """Quaff's own keys follow the pattern, and none has the name of another."""
    own = set(CONFIG_KEYS) - {f"RATELIMIT_{name}" for name in OF_THE_EXTENSION}
    assert own == {
        "RATELIMIT_ON_STORE_FAILURE",
        "RATELIMIT_STORAGE_TIMEOUT",
        "RATELIMIT_HEADERS_IETF",
        "RATELIMIT_IPV6_PREFIX",
        "RATELIMIT_MAX_KEYS",
        "RATELIMIT_COUNT_UNMATCHED",
    }
    assert len(set(CONFIG_KEYS)) == len(CONFIG_KEYS) == 36
    assert ConfigVars.META_LIMITS == "RATELIMIT_META"


def test_header_names() -> None:
    """The values of the enumeration are the names that the headers have by default."""
    assert {name.name: name.value for name in HeaderNames} == {
        "RESET": "X-RateLimit-Reset",
        "REMAINING": "X-RateLimit-Remaining",
        "LIMIT": "X-RateLimit-Limit",
        "RETRY_AFTER": "Retry-After",
    }


def test_scopes_can_be_joined() -> None:
    """Exemptions are flags; the usual one does not reach other blueprints."""
    assert ExemptionScope.APPLICATION | ExemptionScope.DEFAULT | ExemptionScope.META == EXEMPT_BY_DEFAULT
    assert not EXEMPT_BY_DEFAULT & (ExemptionScope.ANCESTORS | ExemptionScope.DESCENDENTS)
    assert not ExemptionScope.NONE
