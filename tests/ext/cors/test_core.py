"""The names of `flask_cors.core`, for programs that use them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from werkzeug.datastructures import Headers

import quaff.ext.cors
from quaff import Quaff, Response
from quaff.errors import ContextError
from quaff.ext.cors import core
from tests.ext.cors.apps import ACAO, EVIL, GOOD, OTHER, cors_headers, from_origin, make_app

NAMES = """
ACL_ORIGIN ACL_METHODS ACL_ALLOW_HEADERS ACL_EXPOSE_HEADERS ACL_CREDENTIALS ACL_MAX_AGE ACL_RESPONSE_PRIVATE_NETWORK
ACL_REQUEST_METHOD ACL_REQUEST_HEADERS ACL_REQUEST_HEADER_PRIVATE_NETWORK ALL_METHODS CONFIG_OPTIONS DEFAULT_OPTIONS
FLASK_CORS_EVALUATED RegexObject parse_resources get_regexp_pattern get_cors_origins get_allow_headers get_cors_headers
set_cors_headers probably_regex re_fix try_match_any_pattern try_match_pattern merge_options get_cors_options
get_app_kwarg_dict flexible_str ensure_iterable sanitize_regex_param serialize_options re LOG
""".split()


def test_the_names_are_there() -> None:
    """A star import gives what that of Flask-CORS gives."""
    assert set(NAMES) <= set(core.__all__)
    assert all(hasattr(core, name) for name in core.__all__)
    assert set(quaff.ext.cors.__all__) == {"CORS", "CorsOptionError", "__version__", "cross_origin"}
    assert quaff.ext.cors.__version__ == "6.0.5"


def test_patterns() -> None:
    """Literals are compared whole, expressions at the beginning."""
    assert core.try_match_pattern("www.a", "WWW.A", caseSensitive=False)
    assert not core.try_match_pattern("www.a", "WWW.A")
    assert core.try_match_pattern("/foo/x", re.compile("/fo*"))
    assert not core.try_match_any_pattern("/x", ["/y", re.compile("/z")])
    assert core.try_match_any_pattern("/y", ["/y", re.compile("/z")])
    assert (core.re_fix("*"), core.re_fix("a")) == (".*", "a")
    assert (core.get_regexp_pattern(re.compile("a")), core.get_regexp_pattern("b")) == ("a", "b")
    assert core.probably_regex("a*")
    assert not core.probably_regex("a+b")


def test_text_and_lists() -> None:
    """Options of several shapes become text or a list."""
    assert [core.flexible_str(value) for value in (None, "a", 5, ["b", "a"])] == [None, "a", "5", "a, b"]
    assert [core.ensure_iterable(value) for value in ("a", 5, ["a"])] == [["a"], [5], ["a"]]
    assert core.sanitize_regex_param("*") == [".*"]


def test_resources() -> None:
    """Expressions are compiled, and the pairs of a dict sorted."""
    parsed = core.parse_resources({"/*": {"max_age": 1}, "/a": {}})
    assert parsed == [("/a", {}), (re.compile("/*"), {"max_age": 1})]
    assert core.parse_resources("*") == [(re.compile(".*"), {})]
    with pytest.raises(ValueError, match="no regular expression"):
        core.parse_resources("/(")


def test_options_of_an_app() -> None:
    """The configuration is read from the app that is given, or the current one."""
    app = Quaff("core")
    app.config["CORS_ORIGINS"] = GOOD
    assert core.get_app_kwarg_dict(app) == {"origins": GOOD}
    with app.app_context():
        assert core.get_app_kwarg_dict() == {"origins": GOOD}
        assert core.get_cors_options(None, {"max_age": 5}).origins.literals == (GOOD,)
    with pytest.raises(ContextError):
        core.get_app_kwarg_dict()
    assert core.get_cors_options(app, {"max_age": 5}, {"max_age": 6}).max_age == "6"
    assert core.serialize_options({"origins": OTHER, "resources": "/x"}).origins.literals == (OTHER,)
    assert "origins" in core.merge_options(app.config)


def test_answers() -> None:
    """The headers for a request may be asked for by themselves."""
    options = core.serialize_options({"origins": [GOOD, OTHER], "methods": ["PUT"], "allow_headers": "*"})
    assert core.get_cors_origins(options, OTHER) == [OTHER]
    assert core.get_cors_origins(options, EVIL) is None
    assert core.get_allow_headers(options, "X-B, X-A") == "X-A, X-B"
    asked = Headers({"Origin": GOOD, "Access-Control-Request-Method": "PUT"})
    assert core.get_cors_headers(options, asked, "OPTIONS") == {
        ACAO: GOOD,
        "Access-Control-Allow-Methods": "PUT",
        "Vary": "Origin",
    }
    assert core.get_cors_headers(options, asked, "GET") == {ACAO: GOOD, "Vary": "Origin"}
    assert core.get_cors_headers(options, Headers({"Origin": EVIL}), "GET") == {"Vary": "Origin"}


@pytest.mark.parametrize("compiled", [True, False])
def test_headers_by_hand(compiled: bool) -> None:
    """A view may put the headers on its response itself; those of the app do not come on top."""
    app = make_app(compiled=compiled)
    quaff.ext.cors.CORS(app, origins=[EVIL, OTHER])

    @app.get("/by-hand")
    def by_hand() -> Any:
        options = core.get_cors_options(app, {"origins": [GOOD, OTHER]})
        return core.set_cors_headers(core.set_cors_headers(Response("x"), options), options)

    client = app.test_client()
    assert cors_headers(client.get("/by-hand", headers=from_origin(GOOD))) == {ACAO: GOOD}
    assert not cors_headers(client.get("/by-hand", headers=from_origin(EVIL)))


def test_headers_by_hand_need_a_request() -> None:
    """Outside of a request there is nothing to answer."""
    with pytest.raises(ContextError):
        core.set_cors_headers(Response(""), core.serialize_options({}))
