"""Which origins are let in: the forms that an entry may have, and the tricks that must not work."""

from __future__ import annotations

import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.cors.origins import (
    OriginRules,
    compile_origins,
    complaint_about,
    is_origin,
    is_regex,
    judge_handshake,
    with_plain_dots,
)
from quaff.ext.cors.problems import CorsOptionError

GOOD = "https://good.test"

TRICKS = [
    "https://good.test.evil.test",
    "https://goodXtest",
    "https://evil.test?.good.test",
    "https://evil.test#.good.test",
    "https://evil.test/.good.test",
    "https://evil.test\\.good.test",
    "https://good.test@evil.test",
    "https://evil.test@good.test",
    "https://user:password@good.test",
    "https://evilgood.test",
    "https://good.test:8443",
    "https://good.test:443",
    "https://good.test:",
    "https://good.test/",
    "https://good.test/path",
    "https://good.test.",
    "https://.good.test",
    "http://good.test",
    "ws://good.test",
    "good.test",
    "//good.test",
    "https:good.test",
    "https:/good.test",
    "https:///good.test",
    "https://good.test https://evil.test",
    "https://good.test,https://evil.test",
    "https://evil.test,https://good.test",
    "https://good.test\thttps://evil.test",
    " https://good.test",
    "https://good.test ",
    "https://good.test\x00",
    "https://good.test\n",
    "https://good.test%00.evil.test",
    "https://good.test%60.evil.test",
    "https://good.test`.evil.test",
    "https://good.test{.evil.test",
    "https://good.test!.evil.test",
    "https://go\u00f6d.test",
    "https://good\u3002test",
    "https://xn--good-.test",
    "null",
    "NULL",
    "*",
    "file://",
    "https://",
    "https://[::1]",
    "https://127.0.0.1",
    "data:text/html,x",
    "javascript:alert(1)",
    "x" * 5_000,
    "https://" + "a" * 5_000 + ".good.test",
]
"""Origins that are not `https://good.test`, though somebody may take them for it."""


@pytest.mark.parametrize("origin", TRICKS)
@pytest.mark.parametrize(
    "entry",
    [
        GOOD,
        r"https://good\.test",
        r"^https://good\.test$",
        "https://good.tes[t]",
        re.compile(r"https://good\.test"),
    ],
    ids=["string", "expression", "anchored", "with a lone dot", "compiled"],
)
def test_tricks_do_not_work(entry: Any, origin: str) -> None:
    """No trick gets in where one site is let in, in whatever way that site was written; the site itself does."""
    rules = compile_origins([entry])
    assert rules.allows(GOOD)
    assert not rules.allows(origin)


@pytest.mark.parametrize("origin", ["HTTPS://GOOD.TEST", "https://Good.Test"])
@pytest.mark.parametrize("entry", [GOOD, "https://GOOD.test", r"https://good\.test"])
def test_scheme_and_host_have_no_case(entry: str, origin: str) -> None:
    """RFC 6454 compares scheme and host in lower case, so either side may be written otherwise."""
    assert compile_origins([entry]).allows(origin)


SUBDOMAINS = {
    "https://a.good.test": True,
    "https://a.b.c.good.test": True,
    "https://a-b_c.good.test": True,
    "https://A.GOOD.TEST": True,
    "https://good.test": False,
    "https://.good.test": False,
    "https://a..good.test": False,
    "https://agood.test": False,
    "https://a.goodXtest": False,
    "https://a.good.test.evil.test": False,
    "https://a.good.test:8443": False,
    "http://a.good.test": False,
    "https://evil.test/a.good.test": False,
    "https://evil.test?a.good.test": False,
    "https://evil.test#a.good.test": False,
    "https://a@b.good.test": False,
    "https://a%2f.good.test": False,
    "null": False,
}


@pytest.mark.parametrize("origin", SUBDOMAINS)
def test_a_star_stands_for_the_hosts_below_one(origin: str) -> None:
    """`https://*.good.test` lets hosts below it in, with the same scheme and port, and nothing else."""
    assert compile_origins(["https://*.good.test"]).allows(origin) is SUBDOMAINS[origin]


@pytest.mark.parametrize(
    "entry, origin, allowed",
    [
        ("http://localhost:*", "http://localhost:3000", True),
        ("http://localhost:*", "http://localhost", True),
        ("http://localhost:*", "http://localhost.evil.test", False),
        ("http://localhost:*", "http://localhost:3000.evil.test", False),
        ("http://localhost:*", "http://localhost:", False),
        ("http://localhost:*", "http://localhost:123456", False),
        ("https://*.good.test:8443", "https://a.good.test:8443", True),
        ("https://*.good.test:8443", "https://a.good.test", False),
        ("https://*.good.test:*", "https://a.good.test:1", True),
        ("https://*", "https://anything.test", True),
        ("https://*", "https://[2001:db8::1]", True),
        ("https://*", "http://anything.test", False),
        ("https://*", "https://a@b", False),
        ("capacitor://localhost", "capacitor://localhost", True),
        ("chrome-extension://*", "chrome-extension://abcdefgh", True),
        ("http://[::1]:3000", "http://[::1]:3000", True),
        ("file://", "file://", True),
        ("null", "null", True),
        (r".*\.good\.test", "https://a.good.test", True),
        (r".*\.good\.test", "null", False),
        (r"https://.*\.good\.test", "https://a.good.test.evil.test", False),
        (r"https?://(www\.)?good\.test(:\d+)?", "http://www.good.test:80", True),
        (r"https?://(www\.)?good\.test(:\d+)?", "http://www.good.test:80.evil.test", False),
        ("https?://good.test", "https://goodXtest", False),
        ("https?://good.test", "http://good.test", True),
        (re.compile("https://good.test"), "https://goodXtest", True),
    ],
)
def test_entries(entry: Any, origin: str, allowed: bool) -> None:
    """Ports and hosts that are left open, other schemes, and expressions, which match the whole origin."""
    assert compile_origins([entry]).allows(origin) is allowed


def test_several_in_one_string() -> None:
    """A string from the environment may hold several origins, with commas or spaces between them."""
    rules = compile_origins(["https://a.test, https://b.test https://c.test,"])
    assert rules.literals == ("https://a.test", "https://b.test", "https://c.test")
    assert rules.allows("https://b.test")
    assert not rules.allows("https://a.test, https://b.test")


@pytest.mark.parametrize("entry", ["*", ".*", " * "])
def test_every_origin(entry: str) -> None:
    """`*`, and `.*` as Flask-CORS also writes it, let everything in."""
    rules = compile_origins([entry])
    assert rules.any
    assert rules.allows("https://anything.test")


def test_none_at_all() -> None:
    """Without entries nothing is let in, `null` neither."""
    rules = compile_origins([])
    assert rules == OriginRules()
    assert not any(rules.allows(origin) for origin in [GOOD, "null", "", *TRICKS])


@pytest.mark.parametrize("entry", ["*", "https://*", "http://*:*", r"https?://.+", r"^.*$", re.compile(".")])
def test_open_entries_are_found_out(entry: Any) -> None:
    """Whatever lets an unheard-of site in counts as open, however it is written; a whole match is asked for."""
    rules = compile_origins([entry])
    assert rules.lets_strangers_in is (entry != re.compile("."))


@pytest.mark.parametrize("entry", [GOOD, "https://*.good.test", r"https://.*\.good\.test", "null", ".+"])
def test_other_entries_are_not_open(entry: str) -> None:
    """An entry that names a site is not open."""
    assert not compile_origins([entry]).lets_strangers_in


@pytest.mark.parametrize(
    "entry, said",
    [
        (
            "*.good.test",
            "is none: nothing to repeat at position 0. For all hosts below one write 'https://*.example.com'",
        ),
        ("https://[", "read as a regular expression because of the special characters in it"),
        (5, "origins holds 5, which is a int. Each entry is a string"),
        (None, "origins holds None, which is a NoneType"),
        (re.compile(b"x"), "an expression for bytes, b'x'; write it as a str"),
        ("https://good.test\x00", "with a control character in it"),
    ],
)
def test_what_is_no_entry(entry: Any, said: str) -> None:
    """What can be neither an origin nor an expression is refused with what to write instead."""
    with pytest.raises(CorsOptionError, match=re.escape(said)):
        compile_origins([entry])


def test_by_prefix_is_what_the_extension_does() -> None:
    """With `COMPAT`, expressions match the beginning, dots match anything, and stars are those of expressions."""
    rules = compile_origins([r"https://.*\.good.test"], by_prefix=True)
    assert rules.allows("https://a.good.test.evil.test")
    assert rules.allows("https://a.goodXtest")
    assert not compile_origins(["https://*.good.test"], by_prefix=True).allows("https://ab.good.test")


@pytest.mark.parametrize(
    "expression, plain",
    [
        ("https?://a.b", r"https?://a\.b"),
        ("https?://.*.a.b", r"https?://.*\.a\.b"),
        (r"a\.b", r"a\.b"),
        ("[.]a.b", r"[.]a\.b"),
        ("[]. ]a.b", r"[]. ]a\.b"),
        ("[^].]a.b", r"[^].]a\.b"),
        (r"[\].]a.b", r"[\].]a\.b"),
        (".+.?.{2}.", r".+.?.{2}\."),
        (r"\\.b", r"\\\.b"),
        ("(?!.evil).a", "(?!.evil).a"),
    ],
)
def test_lone_dots_are_dots(expression: str, plain: str) -> None:
    """A dot by itself is a dot; in classes, escaped or with a quantifier it is left alone, and so are exclusions."""
    assert with_plain_dots(expression) == plain
    re.compile(plain)


@pytest.mark.parametrize(
    "literal, said",
    [
        ("https://good.test", None),
        ("http://localhost:3000", None),
        ("capacitor://localhost", None),
        ("null", None),
        ("file://", None),
        ("https://good.test/", "has a path; write 'https://good.test'"),
        ("https://good.test:443", "names the port that browsers leave out; write 'https://good.test'"),
        ("http://good.test:80", "names the port that browsers leave out; write 'http://good.test'"),
        ("good.test", "has no scheme; write 'https://good.test' or 'http://good.test'"),
        ("localhost:3000", "has no scheme; write 'https://localhost:3000' or 'http://localhost:3000'"),
        ("https://gööd.test", "has characters beyond ASCII; write the host in its xn-- form"),
        ("https://a@good.test", "is not of the form scheme://host or scheme://host:port"),
    ],
)
def test_origins_that_no_browser_sends(literal: str, said: str | None) -> None:
    """Who writes something that can never match is told what to write."""
    assert complaint_about(literal) == said


@pytest.mark.parametrize(
    "pattern, says",
    [("*", True), (r"a\.b", True), ("a?", True), (re.compile("a"), True), ("https://a.b:1/x-y_z", False), ("", False)],
)
def test_what_looks_like_an_expression(pattern: Any, says: bool) -> None:
    """Strings with the characters that Flask-CORS looks for are expressions, and so is what is compiled."""
    assert is_regex(pattern) is says


# Properties ---------------------------------------------------------------------------------------------------------------

LABELS = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=8)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PORTS = st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format))
ORIGINS = st.builds("{}://{}{}".format, st.sampled_from(["http", "https", "capacitor"]), HOSTS, PORTS)
NOISE = st.text(st.characters(max_codepoint=255), max_size=12)


@given(ORIGINS)
def test_an_origin_has_its_form(origin: str) -> None:
    """Every scheme, host and port make an origin, and it lets itself in."""
    assert is_origin(origin)
    assert compile_origins([origin]).allows(origin)


@given(ORIGINS, NOISE, NOISE)
def test_one_origin_lets_nothing_else_in(origin: str, before: str, after: str) -> None:
    """Whatever is put before or behind an origin makes another one, which is not let in."""
    changed = f"{before}{origin}{after}"
    assert compile_origins([origin]).allows(changed) is (changed.lower() == origin.lower())


@given(ORIGINS, ORIGINS)
def test_two_origins_are_compared_as_strings(one: str, two: str) -> None:
    """An origin lets another one in only if they are equal: dots are dots, and nothing is a pattern."""
    assert compile_origins([one]).allows(two) is (one == two)


@given(HOSTS, PORTS, st.lists(LABELS, max_size=3), NOISE)
def test_hosts_below_one(host: str, port: str, labels: list[str], noise: str) -> None:
    """`*.` lets in exactly the origins with at least one more label before the host, whatever noise there may be."""
    rules = compile_origins([f"https://*.{host}{port}"])
    below = "".join(f"{label}." for label in labels)
    assert rules.allows(f"https://{below}{host}{port}") is bool(labels)
    assert not rules.allows(f"https://{below}{host}{port}.evil.example")
    noisy = f"https://{noise}{host}{port}"
    if rules.allows(noisy):
        assert re.fullmatch(r"(?:[a-zA-Z0-9_-]+\.)+", noise)


@given(
    NOISE.map(lambda text: text.replace("*", "")), st.sampled_from([r".*\.good\.test", "https://.+", r"\w+://[^/]+"])
)
def test_expressions_see_only_origins(text: str, expression: str) -> None:
    """However loose an expression is, it lets nothing in that is no origin by its form."""
    if not is_origin(text):
        assert not compile_origins([expression]).allows(text)


# What Python says about expressions that will mean something else one day, such as "[[", is for who writes them.
@pytest.mark.filterwarnings("ignore:Possible :FutureWarning")
@given(st.text(max_size=20))
def test_no_entry_breaks_anything(entry: str) -> None:
    """Every string is either understood or refused with an error of the battery's."""
    try:
        rules = compile_origins([entry])
    except CorsOptionError:
        return
    rules.allows("https://good.test")
    for literal in rules.literals:
        complaint_about(literal)


# WebSocket handshakes -----------------------------------------------------------------------------------------------------

HANDSHAKES = [
    (None, "ws", "app.test", True),
    ("", "ws", "app.test", True),
    ("http://app.test", "ws", "app.test", True),
    ("https://app.test", "wss", "app.test", True),
    ("https://app.test", "https", "app.test", True),
    ("https://app.test", "ws", "app.test", True),
    ("http://app.test", "wss", "app.test", False),
    ("https://app.test:8443", "wss", "app.test:8443", True),
    ("https://app.test:8443", "wss", "app.test", False),
    ("https://app.test", "wss", "app.test:443", True),
    ("http://app.test", "ws", "app.test:80", True),
    ("https://APP.test", "wss", "app.TEST", True),
    ("https://good.test", "wss", "app.test", True),
    ("https://evil.test", "wss", "app.test", False),
    ("https://app.test.evil.test", "wss", "app.test", False),
    ("https://evil.test?app.test", "wss", "app.test", False),
    ("https://evil@app.test", "wss", "app.test", False),
    ("null", "wss", "app.test", False),
    ("app.test", "ws", "app.test", False),
    ("chrome-extension://app.test", "ws", "app.test", False),
    ("https://", "wss", "", True),
]


@pytest.mark.parametrize("origin, scheme, host, allowed", HANDSHAKES)
def test_handshakes(origin: str | None, scheme: str, host: str, allowed: bool) -> None:
    """The app's own pages, the sites that are named and programs without an origin may open a WebSocket; others may not."""
    assert judge_handshake(compile_origins([GOOD]), origin, scheme, host) is allowed
