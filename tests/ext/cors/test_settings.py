"""The options: where they come from, and what they may be."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from quaff.ext.cors.problems import CorsOptionError
from quaff.ext.cors.settings import (
    ALL_METHODS,
    CONFIG_KEYS,
    DEFAULTS,
    CorsOptions,
    check_options,
    make_settings,
    merge_options,
    warn_about,
)

KEYS_OF_THE_EXTENSION = {
    "CORS_ORIGINS",
    "CORS_METHODS",
    "CORS_ALLOW_HEADERS",
    "CORS_EXPOSE_HEADERS",
    "CORS_SUPPORTS_CREDENTIALS",
    "CORS_MAX_AGE",
    "CORS_SEND_WILDCARD",
    "CORS_AUTOMATIC_OPTIONS",
    "CORS_VARY_HEADER",
    "CORS_RESOURCES",
    "CORS_INTERCEPT_EXCEPTIONS",
    "CORS_ALWAYS_SEND",
    "CORS_ALLOW_PRIVATE_NETWORK",
}


def settings(**options: Any) -> Any:
    """Return settings from options over the defaults."""
    merged = merge_options({}, options)
    del merged["resources"]
    return make_settings(merged)


def test_the_keys_are_those_of_the_extension() -> None:
    """All 13 keys are there; one more is Quaff's own. Each option has a key and a type."""
    assert set(CONFIG_KEYS) == KEYS_OF_THE_EXTENSION | {"CORS_WEBSOCKET_ORIGINS"}
    assert set(CONFIG_KEYS.values()) == set(DEFAULTS) == set(CorsOptions.__optional_keys__)


def test_the_defaults() -> None:
    """Without options: every origin, all methods, the headers that are asked for, no credentials, no private network."""
    made = settings()
    assert made.origins.any
    assert made.methods == set(ALL_METHODS)
    assert made.allow_headers.any
    assert made.always_send
    assert made.vary_header
    assert made.automatic_options
    assert made.intercept_exceptions
    assert (made.expose_headers, made.max_age, made.allow_private_network, made.websocket_origins) == (None,) * 4
    assert not made.supports_credentials
    assert not made.send_wildcard


def test_the_order_of_the_sources() -> None:
    """What is given last wins, then what is given first, then the configuration, then the defaults; None is not set."""
    config = {"CORS_MAX_AGE": 1, "CORS_METHODS": ["PUT"], "CORS_ORIGINS": None, "CORS_EXPOSE_HEADERS": "X-A"}
    merged = merge_options(config, {"max_age": 2, "methods": ["POST"]}, {"max_age": 3})
    assert (merged["max_age"], merged["methods"], merged["origins"], merged["expose_headers"]) == (
        3,
        ["POST"],
        "*",
        "X-A",
    )


@pytest.mark.parametrize(
    "name, value, made",
    [
        ("methods", "get, POST", {"GET", "POST"}),
        ("methods", ["patch"], {"PATCH"}),
        ("methods", None, set()),
        ("methods", [], set()),
        ("expose_headers", ["X-B", "X-A"], "X-A, X-B"),
        ("expose_headers", "X-B, X-A", "X-A, X-B"),
        ("expose_headers", {"X-A"}, "X-A"),
        ("expose_headers", [], None),
        ("max_age", 600, "600"),
        ("max_age", 0, "0"),
        ("max_age", -1, "-1"),
        ("max_age", " 600 ", "600"),
        ("max_age", timedelta(minutes=10), "600"),
        ("max_age", timedelta(0), "0"),
        ("supports_credentials", "false", False),
        ("supports_credentials", "False", False),
        ("supports_credentials", "", False),
        ("supports_credentials", 0, False),
        ("always_send", "no", False),
        ("send_wildcard", "TRUE", True),
        ("vary_header", "on", True),
        ("allow_private_network", False, False),
        ("allow_private_network", "1", True),
        ("websocket_origins", "false", None),
    ],
)
def test_values(name: str, value: Any, made: Any) -> None:
    """Lists and strings with commas, numbers and durations, and the words that environment variables hold."""
    assert getattr(settings(**{name: value}), name) == made


@pytest.mark.parametrize("value", [None, [], ()])
def test_no_origins(value: Any) -> None:
    """None as an argument, from a variable that is not set for example, lets nobody in; it does not fall back to `*`."""
    made = settings(origins=value)
    assert not made.origins.allows("https://good.test")
    assert not made.is_open


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("origins", 5, "origins is 5, which is a int. It is a string, a regular expression, or a list of these"),
        ("origins", True, "origins is True"),
        ("origins", {"a": 1}, "origins is {'a': 1}"),
        ("allow_headers", True, "allow_headers is True"),
        ("allow_headers", [5], "allow_headers holds 5"),
        ("allow_headers", "X-(", "allow_headers holds 'X-(', which is no regular expression"),
        ("allow_headers", "X A", "allow_headers holds 'X A'"),
        ("methods", 5, "methods is 5; it is a string such as 'A, B'"),
        ("methods", ["GE T"], "methods holds 'GE T'"),
        ("expose_headers", "X-A\r\nX-Evil: 1", "expose_headers holds 'X-A\\r\\nX-Evil: 1'; a name is made of letters"),
        ("max_age", "soon", "max_age is 'soon'; it is a number of whole seconds, or a timedelta"),
        ("max_age", 1.5, "max_age is 1.5"),
        ("max_age", True, "max_age is True"),
        ("supports_credentials", "perhaps", "supports_credentials is 'perhaps'; it is True or False"),
        ("allow_private_network", "perhaps", "allow_private_network is 'perhaps'"),
        ("websocket_origins", 5, "websocket_origins is 5"),
    ],
)
def test_values_that_cannot_be_right(name: str, value: Any, said: str) -> None:
    """Each is refused, with its name, the value and what it may be."""
    with pytest.raises(CorsOptionError, match=re.escape(said)):
        settings(**{name: value})


OPEN = ["*", ["https://good.test", "*"], "https://*", r"https?://.*", r"^.*$", re.compile(".+")]


@pytest.mark.parametrize("origins", OPEN)
def test_open_origins_with_credentials_are_refused(origins: Any) -> None:
    """W18: every site could read what a user sees who is logged in; `COMPAT` gives it back."""
    with pytest.raises(CorsOptionError, match="here: supports_credentials with origins that anybody may have"):
        make_settings({"origins": origins, "supports_credentials": True}, where="here")
    compat = ("cors-any-with-credentials",)
    assert make_settings({"origins": origins, "supports_credentials": True}, compat).supports_credentials


def test_a_star_is_no_answer_with_credentials() -> None:
    """Browsers refuse `*` with credentials, so `send_wildcard` is refused with them, `COMPAT` or not."""
    with pytest.raises(ValueError, match="browsers refuse the answer"):
        make_settings(
            {"origins": "*", "supports_credentials": True, "send_wildcard": True}, ("cors-any-with-credentials",)
        )


@pytest.mark.parametrize("origins", ["https://good.test", r"https://.*\.good\.test", "https://*.good.test", []])
def test_origins_that_are_named_may_have_credentials(origins: Any) -> None:
    """Credentials with sites that are named are what the option is for."""
    assert make_settings({"origins": origins, "supports_credentials": True}).supports_credentials


def test_prefix_match_is_a_compat() -> None:
    """`COMPAT` gives the expressions of Flask-CORS back, for origins and request headers."""
    options = {"origins": r"https://.*\.good\.test", "allow_headers": "X-[AB]"}
    assert not make_settings(options).origins.allows("https://a.good.test.evil.test")
    made = make_settings(options, ("cors-prefix-match",))
    assert made.origins.allows("https://a.good.test.evil.test")
    assert made.allow_headers.by_prefix


@pytest.mark.parametrize("name", ["origin", "allow_origin", "allowed_origins", "ORIGINS"])
def test_a_misspelt_origins_is_refused(name: str) -> None:
    """Who misspells `origins` would let everybody in; that is an error, unless `COMPAT` says otherwise."""
    options = {"origins": "*", name: "https://good.test"}
    with pytest.raises(CorsOptionError, match=f"there is no option {name!r}; did you mean 'origins'"):
        make_settings(options)
    assert make_settings(options, ("cors-unknown-options",)).origins.any
    assert not make_settings({"origins": "https://good.test", name: "x"}).origins.any


def test_other_unknown_names_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Any other unknown name is ignored with a warning and a guess, as Flask-CORS does it."""
    check_options({"support_credentials": True, "debug": "X"})
    assert [record.getMessage() for record in caplog.records] == [
        "Unknown option passed to Flask-CORS: support_credentials; did you mean 'supports_credentials'?",
        "Unknown option passed to Flask-CORS: debug",
    ]


def test_arguments_are_checked_when_they_are_given() -> None:
    """Wrong values and wrong resources are errors at once; open origins only where the arguments themselves say so."""
    with pytest.raises(CorsOptionError, match="max_age is 'soon'"):
        check_options({"resources": {"/x": {"max_age": "soon"}}})
    with pytest.raises(CorsOptionError, match="resources is 5"):
        check_options({"resources": 5})
    check_options({"supports_credentials": True}, ())
    check_options({"supports_credentials": True, "origins": "*"})
    with pytest.raises(CorsOptionError, match="supports_credentials with origins"):
        check_options({"supports_credentials": True, "origins": "*"}, ())
    check_options({"supports_credentials": True, "origins": "*"}, ("cors-any-with-credentials",))


@pytest.mark.parametrize(
    "origins, said",
    [
        ("https://good.test/", "CORS lets the origin 'https://good.test/' in, which no browser sends: it has a path"),
        ("localhost:3000", "which no browser sends: it has no scheme"),
        (r"https://(\w+\.)?good\.test.*", "which ends with '.*': also hosts that only begin like yours"),
    ],
)
def test_what_is_suspicious_is_logged(origins: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """An origin that can never match and an expression that is open at its end are worth a warning."""
    warn_about(make_settings({"origins": origins}))
    (record,) = caplog.records
    assert said in record.getMessage()


@pytest.mark.parametrize("origins", ["https://good.test", "*", r"https?://good\.test", "https://*", ".*"])
def test_what_is_not_suspicious_is_not_logged(origins: str, caplog: pytest.LogCaptureFixture) -> None:
    """Ordinary settings are silent."""
    warn_about(make_settings({"origins": origins}))
    assert not caplog.records


def test_websocket_origins() -> None:
    """`True` takes the origins, a list its own; an empty one is for the app's own pages; open ones check nothing."""
    origins = ["https://good.test"]
    assert settings(origins=origins, websocket_origins=True).websocket_origins.exact == {"https://good.test"}
    assert settings(origins=origins, websocket_origins="yes").websocket_origins.exact == {"https://good.test"}
    assert settings(websocket_origins=["https://b.test"]).websocket_origins.exact == {"https://b.test"}
    assert settings(websocket_origins=[]).websocket_origins.exact == frozenset()
    for value in (True, "*", ["https://*"]):
        with pytest.raises(
            CorsOptionError, match=r"websocket_origins would check the origin .* and let every origin in"
        ):
            settings(websocket_origins=value)


def test_answers_that_are_the_same_for_everybody() -> None:
    """Only `*` that is always sent as `*` does not depend on the request."""
    assert settings(send_wildcard=True).is_constant
    assert not settings().is_constant
    assert not settings(send_wildcard=True, always_send=False).is_constant
    assert not settings(send_wildcard=True, origins="https://good.test").is_constant
