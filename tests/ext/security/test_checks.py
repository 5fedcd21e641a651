"""Option values: what is accepted, and what is refused with the place and a guess."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from quaff.ext.security import checks
from quaff.ext.security.problems import SecurityOptionError


@pytest.mark.parametrize("value", [True, 1, "true", "True", "1", "yes", "on", [0]])
def test_true(value: Any) -> None:
    """Truth is what Python and environment variables say for it."""
    assert checks.check_flag("x", value) is True


@pytest.mark.parametrize("value", [False, 0, None, "", "false", "False", "0", "no", "off", []])
def test_false(value: Any) -> None:
    """A text that says no is not true because it is a text."""
    assert checks.check_flag("x", value) is False


def test_neither_true_nor_false() -> None:
    """Any other text is an error and not a guess, for it decides about security."""
    with pytest.raises(SecurityOptionError, match="x is 'ture'"):
        checks.check_flag("x", "ture")


@pytest.mark.parametrize("value, seconds", [(0, 0), (60, 60), ("60", 60), (timedelta(days=1), 86400), (1.5, 1)])
def test_seconds(value: Any, seconds: int) -> None:
    """Seconds are numbers, texts of numbers, and time deltas."""
    assert checks.check_seconds("x", value) == seconds


@pytest.mark.parametrize("value", [-1, "a year", None, [], "1; includeSubDomains", timedelta(seconds=-1)])
def test_no_seconds(value: Any) -> None:
    """SECURITY: what is no number cannot get into the header."""
    with pytest.raises(SecurityOptionError, match="number of seconds"):
        checks.check_seconds("x", value)


@pytest.mark.parametrize("value, code", [(None, None), (301, 301), ("308", 308), (307, 307)])
def test_code(value: Any, code: int | None) -> None:
    """Redirects have four codes."""
    assert checks.check_code("x", value) == code


@pytest.mark.parametrize("value", [200, 300, 303, "permanent", True])
def test_no_code(value: Any) -> None:
    """Another code would not lead to the same place."""
    with pytest.raises(SecurityOptionError, match="301, 302, 307, 308"):
        checks.check_code("x", value)


@pytest.mark.parametrize("value", [None, False, ""])
@pytest.mark.parametrize("check", [checks.check_text, checks.check_host, checks.check_url, checks.check_path])
def test_no_text(check: Any, value: Any) -> None:
    """Nothing is nothing, however it is written."""
    assert check("x", value) is None


@pytest.mark.parametrize("check", [checks.check_text, checks.check_host, checks.check_url, checks.check_path])
@pytest.mark.parametrize("value", [7, True, [], "a\r\nb", "é"])
def test_bad_text(check: Any, value: Any) -> None:
    """SECURITY: other types, line ends and what is not ASCII are refused by each kind of text."""
    with pytest.raises(SecurityOptionError, match=r"^x "):
        check("x", value)


@pytest.mark.parametrize("value", ["shop.example", "shop.example:8443", "[::1]:443", "localhost"])
def test_host(value: str) -> None:
    """A host may have a port."""
    assert checks.check_host("x", value) == value


@pytest.mark.parametrize(
    "value", ["https://shop.example", "shop.example/", "a b", "user@shop.example", "shop.example:"]
)
def test_no_host(value: str) -> None:
    """SECURITY: what is more than a host would change where the redirect leads."""
    with pytest.raises(SecurityOptionError, match="x is "):
        checks.check_host("x", value)


@pytest.mark.parametrize("value", ["/r", "https://r.example/?a=1", "https://a.example https://b.example"])
def test_url(value: str) -> None:
    """Places of reports are URLs or paths, and there may be several."""
    assert checks.check_url("x", value) == value


@pytest.mark.parametrize("value", ["/r; script-src *", "/r, x", '/r"', "/r'"])
def test_no_url(value: str) -> None:
    """SECURITY: a URL cannot begin another directive, policy or endpoint."""
    with pytest.raises(SecurityOptionError, match="percent-encode"):
        checks.check_url("x", value)


@pytest.mark.parametrize("value", ["csp", "https://r.example/", "/a /b"])
def test_no_path(value: str) -> None:
    """The app's own endpoint is one path."""
    with pytest.raises(SecurityOptionError, match="is a path of this app"):
        checks.check_path("x", value)


def test_word() -> None:
    """A word is known in any case and comes back as it is sent; None and False leave it out."""
    choices = ("Strict", "Lax")
    assert checks.check_word(choices, "x", "strict") == "Strict"
    assert checks.check_word(choices, "x", None) is None
    with pytest.raises(
        SecurityOptionError, match=r"x is 'Laxx'; did you mean 'lax'\? It is one of Strict, Lax, or None"
    ):
        checks.check_word(choices, "x", "Laxx")
    with pytest.raises(SecurityOptionError, match=r"x is 'hmmm'\. It is one of"):
        checks.check_word(choices, "x", "hmmm")


@pytest.mark.parametrize("value", ["a b", "a, b", ["a", "b"], ("a", "b")])
def test_words(value: Any) -> None:
    """Several words come as a list or as one text."""
    assert checks.check_words(None, "x", value) == ("a", "b")
    assert checks.check_words(("a", "b"), "x", value) == ("a", "b")


@pytest.mark.parametrize("value", [None, "", [], ()])
def test_no_words(value: Any) -> None:
    """No words are an empty tuple."""
    assert checks.check_words(None, "x", value) == ()


def test_bad_words() -> None:
    """Each word has to be text, and one of the choices if there are any."""
    with pytest.raises(SecurityOptionError, match="x holds 7"):
        checks.check_words(None, "x", [7])
    with pytest.raises(SecurityOptionError, match=r"x holds 'cokies'; did you mean 'cookies'\? Possible are cookies"):
        checks.check_words(("cookies",), "x", ["cokies"])


def test_referrer() -> None:
    """Several referrer policies are a list of fallbacks; each of them is checked."""
    assert checks.check_referrer("x", "no-referrer, Strict-Origin") == "no-referrer, strict-origin"
    assert checks.check_referrer("x", None) is None
    with pytest.raises(SecurityOptionError, match="did you mean 'no-referrer'"):
        checks.check_referrer("x", "strict-origin, no-referer")


def test_policy() -> None:
    """A policy is a mapping or a string; an empty one is none."""
    assert checks.check_policy("x", {"a": "b"}) == {"a": "b"}
    assert checks.check_policy("x", "a b") == "a b"
    for nothing in (None, False, {}, ""):
        assert checks.check_policy("x", nothing) is None
    with pytest.raises(SecurityOptionError, match="x is 7: it is a mapping"):
        checks.check_policy("x", 7)
    with pytest.raises(SecurityOptionError, match="x is True"):
        checks.check_policy("x", True)


def test_report_only() -> None:
    """The option is a truth value or a policy of its own."""
    assert checks.check_report_only("x", "true") is True
    assert checks.check_report_only("x", None) is False
    assert checks.check_report_only("x", {}) is False
    assert checks.check_report_only("x", "img-src *") == "img-src *"
    assert checks.check_report_only("x", {"img-src": "*"}) == {"img-src": "*"}


def test_exempt() -> None:
    """Exempt are paths, endpoints and views; one may stand alone."""

    def view() -> None: ...

    assert checks.check_exempt("x", "/healthz") == ("/healthz",)
    assert checks.check_exempt("x", view) == (view,)
    assert checks.check_exempt("x", ["/probe/*", "admin.health", view]) == ("/probe/*", "admin.health", view)
    assert checks.check_exempt("x", None) == ()


@pytest.mark.parametrize("item", ["", 7, "/a*", "/*/b", "*"])
def test_not_exempt(item: Any) -> None:
    """A pattern that would not mean what it looks like is refused."""
    with pytest.raises(SecurityOptionError, match="x holds"):
        checks.check_exempt("x", [item])
