"""What CORS answers to a request, without an app: the origin, the preflight, the private network, and `Vary`."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers as WerkzeugHeaders

from quaff.ext.cors.policy import (
    ACL_ALLOW_HEADERS,
    ACL_CREDENTIALS,
    ACL_EXPOSE_HEADERS,
    ACL_MAX_AGE,
    ACL_METHODS,
    ACL_ORIGIN,
    ACL_RESPONSE_PRIVATE_NETWORK,
    KNOWN_MAX,
    LONGEST_KNOWN,
    Policy,
    allowed_headers,
    allowed_origin,
    put_answer,
    put_pairs,
)
from quaff.ext.cors.settings import make_settings, merge_options
from quaff.headers import Headers

GOOD, OTHER, EVIL = "https://good.test", "https://other.test", "https://evil.test"


def settings(compat: Any = (), **options: Any) -> Any:
    """Return settings from options over the defaults."""
    merged = merge_options({}, options)
    del merged["resources"]
    return make_settings(merged, compat)


def policy(**options: Any) -> Policy:
    """Return a policy from options over the defaults."""
    return Policy(settings(**options))


def environ(origin: str | None = None, method: str | None = None, asked: str | None = None) -> dict[str, str]:
    """Return what of an environ matters here."""
    values = {
        "HTTP_ORIGIN": origin,
        "HTTP_ACCESS_CONTROL_REQUEST_METHOD": method,
        "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": asked,
    }
    return {key: value for key, value in values.items() if value is not None}


ONE: dict[str, Any] = {"origins": GOOD}
TWO: dict[str, Any] = {"origins": [OTHER, GOOD]}
REGEX: dict[str, Any] = {"origins": r"https://(\w+\.)?good\.test"}
COMPAT = ("cors-any-with-credentials",)

ANSWERS: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({}, None, "*"),
    ({}, "", "*"),
    ({}, EVIL, EVIL),
    ({}, "null", "*"),
    ({}, "www.example.com", "*"),
    ({}, "https://a@b", "*"),
    ({}, "https://a https://b", "*"),
    ({"send_wildcard": True}, None, "*"),
    ({"send_wildcard": True}, EVIL, "*"),
    ({"always_send": False}, None, None),
    ({"always_send": False}, EVIL, EVIL),
    (ONE, None, GOOD),
    (ONE, GOOD, GOOD),
    (ONE, "HTTPS://GOOD.TEST", "HTTPS://GOOD.TEST"),
    (ONE, EVIL, None),
    (ONE, "null", None),
    ({**ONE, "always_send": False}, None, None),
    (TWO, None, GOOD),
    (TWO, OTHER, OTHER),
    (TWO, EVIL, None),
    (REGEX, None, None),
    (REGEX, "https://a.good.test", "https://a.good.test"),
    (REGEX, "https://a.good.test.evil.test", None),
    ({"origins": [GOOD, r"https://.*\.good\.test"]}, None, GOOD),
    ({"origins": "null"}, "null", "null"),
    ({"origins": []}, None, None),
    ({"origins": []}, GOOD, None),
    ({"origins": "https://gööd.test"}, None, None),
    ({"supports_credentials": True, "compat": COMPAT}, None, None),
    ({"supports_credentials": True, "compat": COMPAT}, EVIL, EVIL),
    ({"supports_credentials": True, "compat": COMPAT}, "www.example.com", "www.example.com"),
    ({"supports_credentials": True, "compat": COMPAT}, "null", None),
    ({"supports_credentials": True, "compat": COMPAT}, "https://a@b", None),
    ({**ONE, "supports_credentials": True}, None, GOOD),
]


@pytest.mark.parametrize("options, origin, allowed", ANSWERS)
def test_the_allowed_origin(options: dict[str, Any], origin: str | None, allowed: str | None) -> None:
    """For each kind of settings and request there is one answer; what is no origin is never repeated."""
    assert allowed_origin(settings(**options), origin) == allowed


@given(st.text(st.characters(max_codepoint=255), max_size=30))
def test_only_origins_are_repeated(origin: str) -> None:
    """Whatever a client sends in `Origin`, what comes back is `*`, or an origin by its form."""
    allowed = allowed_origin(settings(), origin)
    assert allowed is not None
    assert re.fullmatch(r"\*|[a-zA-Z][a-zA-Z0-9+.-]*://[a-zA-Z0-9_.:\[\]-]+", allowed)


@pytest.mark.parametrize(
    "allow, asked, allowed",
    [
        ("*", None, None),
        ("*", "", None),
        ("*", "X-Foo, X-Bar", "X-Bar, X-Foo"),
        ("*", "x-a:1, X B, , \x01, X-C", "X-C"),
        (["X-A", "X-B"], "x-a", "x-a"),
        (["X-A", "X-B"], "X-C", ""),
        (["X-A", "X-B"], "X-C, X-B", "X-B"),
        ("X-A, X-B", "X-B", "X-B"),
        (r"X-COMPANY-.*", "x-company-a, X-Not-Company-b", "x-company-a"),
        (r"X-[AB]", "X-A, X-AA", "X-A"),
        (re.compile("X-A"), "X-A, x-a", "X-A"),
        ([], "X-A", ""),
        (None, "X-A", ""),
    ],
)
def test_the_allowed_headers(allow: Any, asked: str | None, allowed: str | None) -> None:
    """Those that are asked for and allowed come back as they were written; what is no name never does."""
    assert allowed_headers(settings(allow_headers=allow), asked) == allowed


def test_headers_by_prefix() -> None:
    """`COMPAT` gives the expressions of Flask-CORS back, which match the beginning."""
    assert allowed_headers(settings(("cors-prefix-match",), allow_headers="X-[AB]"), "X-AA") == "X-AA"


def test_a_simple_request() -> None:
    """The origin, the headers that scripts may read, and credentials; nothing of a preflight."""
    made = policy(**ONE, supports_credentials=True, expose_headers=["X-B", "X-A"], max_age=5)
    expected = ((ACL_ORIGIN, GOOD), (ACL_EXPOSE_HEADERS, "X-A, X-B"), (ACL_CREDENTIALS, "true"))
    assert made.answer(environ(GOOD)) == made.answer(environ()) == expected
    assert made.answer(environ(EVIL)) == ()


def test_a_preflight() -> None:
    """A preflight for an allowed method is told the methods, the headers and how long to remember them."""
    made = policy(**ONE, methods=["GET", "PUT"], max_age=0, supports_credentials=True)
    assert dict(made.answer_options(environ(GOOD, "put", "X-A"))) == {
        ACL_ORIGIN: GOOD,
        ACL_CREDENTIALS: "true",
        ACL_METHODS: "GET, PUT",
        ACL_ALLOW_HEADERS: "X-A",
        ACL_MAX_AGE: "0",
    }


@pytest.mark.parametrize("method", ["DELETE", "P", "UT", "GET, PUT", "", "PUT\x00"])
def test_a_preflight_for_another_method(method: str) -> None:
    """A method that is not allowed gets none of the preflight's headers, and a part of one's name is no method."""
    made = policy(**ONE, methods=["GET", "PUT"])
    assert dict(made.answer_options(environ(GOOD, method, "X-A"))) == {ACL_ORIGIN: GOOD}


@pytest.mark.parametrize("origin", [EVIL, "null", "https://good.test.evil.test"])
def test_a_preflight_from_elsewhere(origin: str) -> None:
    """An origin that is not let in gets nothing, so a browser goes no further."""
    assert policy(**ONE).answer_options(environ(origin, "GET", "X-A")) == ()


def test_an_options_request_that_is_no_preflight() -> None:
    """Without a method that is asked for, OPTIONS is answered like any other request."""
    assert policy(**ONE).answer_options(environ(GOOD)) == ((ACL_ORIGIN, GOOD),)


@pytest.mark.parametrize("option, answer", [(None, None), (False, "false"), (True, "true")])
@pytest.mark.parametrize("asked", [None, "true", "false", "TRUE"])
def test_the_private_network(option: bool | None, answer: str | None, asked: str | None) -> None:
    """CVE-2024-6221: nothing by default; with the option, an answer to those who ask, and to no others."""
    request = environ(GOOD)
    if asked is not None:
        request["HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK"] = asked
    made = policy(**ONE, allow_private_network=option)
    assert dict(made.answer(request)).get(ACL_RESPONSE_PRIVATE_NETWORK) == (answer if asked == "true" else None)
    request["HTTP_ORIGIN"] = EVIL
    assert made.answer(request) == ()


VARIES: list[tuple[dict[str, Any], str | None, bool]] = [
    ({}, None, True),
    ({}, GOOD, True),
    ({"always_send": False}, None, True),
    ({"send_wildcard": True}, GOOD, False),
    ({"send_wildcard": True}, None, False),
    ({"send_wildcard": True, "always_send": False}, None, True),
    (ONE, GOOD, False),
    (ONE, None, False),
    (ONE, EVIL, True),
    ({**ONE, "always_send": False}, None, True),
    ({**ONE, "always_send": False}, GOOD, True),
    (TWO, GOOD, True),
    (TWO, EVIL, True),
    (TWO, None, True),
    (REGEX, "https://a.good.test", True),
    (REGEX, None, True),
    (REGEX, EVIL, True),
    ({**TWO, "vary_header": False}, GOOD, False),
    ({**ONE, "vary_header": False}, EVIL, False),
    ({"origins": []}, EVIL, False),
]


@pytest.mark.parametrize("options, origin, varies", VARIES)
def test_vary(options: dict[str, Any], origin: str | None, varies: bool) -> None:
    """Every answer that would not do for another origin says so. That to the only site does: nobody else may use it."""
    made = policy(**options)
    headers = Headers({"Vary": "Accept"})
    put_answer(headers, made, made.answer(environ(origin)))
    assert headers.getlist("Vary") == ["Accept, Origin" if varies else "Accept"]


@pytest.mark.parametrize("options", [ONE, TWO, REGEX, {}, {"send_wildcard": True}, {"always_send": False}])
def test_no_cache_gives_an_origin_the_answer_of_another(options: dict[str, Any]) -> None:
    """A stored answer without `Vary` serves every origin as well as a new one: the browser comes to the same verdict."""

    def may_read(origin: str | None, headers: Headers) -> bool:
        return headers.get(ACL_ORIGIN) in ("*", origin)

    origins = [None, GOOD, OTHER, "https://a.good.test", EVIL]
    made = policy(**options)
    for first in origins:
        stored, fresh = Headers(), Headers()
        put_answer(stored, made, made.answer(environ(first)))
        if "Vary" in stored:
            continue
        for second in origins[1:]:
            fresh = Headers()
            put_answer(fresh, made, made.answer(environ(second)))
            assert may_read(second, stored) == may_read(second, fresh)


def test_what_is_constant() -> None:
    """Only where everybody gets `*` are the headers known beforehand."""
    assert policy(send_wildcard=True, expose_headers="X-A").constant == ((ACL_ORIGIN, "*"), (ACL_EXPOSE_HEADERS, "X-A"))
    assert policy().constant is None
    assert policy(**ONE).constant is None


def test_verdicts_are_remembered_within_bounds() -> None:
    """However many origins a client makes up, and however long, only so many are kept."""
    made = policy(**REGEX)
    for number in range(KNOWN_MAX + 10):
        made.answer(environ(f"https://a{number}.good.test"))
    assert len(made.known) == 10
    made.answer(environ("https://" + "a" * LONGEST_KNOWN))
    assert len(made.known) == 10
    assert made.answer(environ("https://a5.good.test")) == ((ACL_ORIGIN, "https://a5.good.test"),)


def test_policies_are_equal_when_their_settings_are() -> None:
    """Two resources that say the same are told so, whatever they remember."""
    one, two = policy(**TWO), policy(**TWO)
    one.answer(environ(GOOD))
    assert one == two
    assert one != policy(**ONE)
    assert one != "a policy"


@pytest.mark.parametrize("name", [ACL_ORIGIN, ACL_ORIGIN.lower(), ACL_ORIGIN.upper()])
def test_a_view_may_answer_itself(name: str) -> None:
    """A response that says already who may read it is left alone, in whatever case the header was written."""
    headers = Headers([(name, "https://of-the-view.test")])
    put_pairs(headers, policy(**ONE, supports_credentials=True).answer(environ(GOOD)))
    assert list(headers) == [(name, "https://of-the-view.test")]


@pytest.mark.parametrize("headers", [Headers(), WerkzeugHeaders(), {}])
def test_headers_of_any_kind(headers: Any) -> None:
    """Some libraries put another mapping in the place of the response's headers."""
    put_pairs(headers, policy(**ONE).answer(environ(GOOD)))
    assert headers[ACL_ORIGIN] == GOOD


def test_verdicts_are_logged_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """CVE-2024-1681: at DEBUG each new origin is told of, at INFO each method that is not allowed, with escapes."""
    caplog.set_level(logging.DEBUG, "flask_cors")
    made = policy(**ONE, methods=["GET"])
    made.answer(environ("https://evil.test\r\nFAKE"))
    made.answer_options(environ(GOOD, "PUT\nFAKE"))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "CORS: the origin https://evil.test\\r\\nFAKE is not let in"),
        ("DEBUG", "CORS: the origin https://good.test is let in"),
        ("INFO", "CORS: a preflight asks for the method PUT\\nFAKE, which is none of GET"),
    ]
