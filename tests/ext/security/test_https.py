"""Verdicts on requests without HTTPS."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.security.https import CODES, NOTHING_EXEMPT, Exemptions, Verdict, judge, redirect_code, secure_url


@pytest.mark.parametrize("is_websocket", [False, True])
@pytest.mark.parametrize("is_exempt", [False, True])
@pytest.mark.parametrize("is_secure", [False, True])
def test_judge(is_secure: bool, is_exempt: bool, is_websocket: bool) -> None:
    """What is neither secure nor exempt is redirected, or refused if a redirect would not be followed."""
    verdict = judge(is_secure=is_secure, is_exempt=is_exempt, is_websocket=is_websocket)
    if is_secure or is_exempt:
        assert verdict is Verdict.SERVE
    else:
        assert verdict is (Verdict.REFUSE if is_websocket else Verdict.REDIRECT)


@pytest.mark.parametrize(
    "method, permanent, keep_method, code",
    [
        ("GET", False, False, 302),
        ("POST", False, False, 302),
        ("GET", True, False, 301),
        ("POST", True, False, 301),
        ("GET", False, True, 302),
        ("HEAD", False, True, 302),
        ("POST", False, True, 307),
        ("DELETE", False, True, 307),
        ("GET", True, True, 308),
        ("POST", True, True, 308),
    ],
)
def test_redirect_code(method: str, permanent: bool, keep_method: bool, code: int) -> None:
    """The code says whether clients may remember the redirect, and whether a POST stays one (RFC 9110 section 15.4)."""
    assert redirect_code(method, permanent=permanent, keep_method=keep_method) == code


@pytest.mark.parametrize("code", CODES)
def test_a_code_that_is_given_is_used(code: int) -> None:
    """A code that is given counts more than everything else."""
    assert redirect_code("POST", permanent=True, keep_method=True, code=code) == code


@pytest.mark.parametrize(
    "path, query, url",
    [
        ("/", "", "https://shop.example/"),
        ("", "", "https://shop.example/"),
        ("/a b", "", "https://shop.example/a%20b"),
        ("/100%", "", "https://shop.example/100%25"),
        ("/a%2Fb", "", "https://shop.example/a%252Fb"),
        ("/a?b#c", "", "https://shop.example/a%3Fb%23c"),
        ("/caf\xc3\xa9", "", "https://shop.example/caf%C3%A9"),
        ("/q", "a=1&b=%20+", "https://shop.example/q?a=1&b=%20+"),
        ("/q", "u=https://x.example/?y", "https://shop.example/q?u=https://x.example/?y"),
        ("/q", "\xff\n", "https://shop.example/q?%FF%0A"),
        ("//evil.test/x", "", "https://shop.example//evil.test/x"),
        ("@evil.test", "", "https://shop.example/@evil.test"),
        (".evil.test", "", "https://shop.example/.evil.test"),
        ("/\\evil.test", "", "https://shop.example/%5Cevil.test"),
        ("/\r\nSet-Cookie: a=b", "", "https://shop.example/%0D%0ASet-Cookie:%20a=b"),
    ],
)
def test_secure_url(path: str, query: str, url: str) -> None:
    """The URL names the same place: what the server decoded is encoded again, and the query is left as it was."""
    assert secure_url("shop.example", path, query) == url


latin1 = st.text(st.characters(max_codepoint=255), max_size=30)


@given(path=latin1, query=latin1)
def test_secure_url_stays_on_the_host(path: str, query: str) -> None:
    """SECURITY: no path and no query leads to another host, another scheme, or out of the header."""
    url = secure_url("shop.example", path, query)
    assert url.isascii()
    assert url.isprintable()
    assert " " not in url
    for parts in (urlsplit(url), urlsplit(urljoin("http://shop.example/old", url))):
        assert (parts.scheme, parts.netloc) == ("https", "shop.example")


@given(path=latin1)
def test_secure_url_keeps_the_path(path: str) -> None:
    """Decoding the path of the URL gives the bytes that the request had."""
    found = unquote_to_bytes(urlsplit(secure_url("shop.example", f"/{path}")).path)
    assert found == f"/{path}".encode("latin-1")


@pytest.mark.parametrize("path", ["/healthz", "/probe", "/probe/", "/probe/live", "/probe/a/b"])
def test_exempt_paths(path: str) -> None:
    """A path is exempt by itself, or with all that is below it."""
    assert Exemptions.of(["/healthz", "/probe/*"]).cover(path)


@pytest.mark.parametrize("path", ["/", "/healthz/", "/healthz2", "/Healthz", "/probes", "/x/healthz", "", "//healthz"])
def test_other_paths_are_not_exempt(path: str) -> None:
    """A path that only looks like an exempt one is not."""
    assert not Exemptions.of(["/healthz", "/probe/*"]).cover(path)


def test_everything_can_be_exempt() -> None:
    """`/*` is the whole site."""
    everything = Exemptions.of(["/*"])
    assert everything.cover("/")
    assert everything.cover("/a/b")


def test_nothing_exempt() -> None:
    """Without exemptions no path is exempt, and that can be asked for."""
    assert not NOTHING_EXEMPT
    assert not NOTHING_EXEMPT.cover("/")
    assert not NOTHING_EXEMPT.cover("")
    assert Exemptions.of(["/a"])
