"""What a redirect may point to."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.urls import iri_to_uri

from quaff._internal.locations import judge_location

SITE = "https://shop.example/cart/list"

STAYING = [
    "",
    "/",
    "next",
    "../up",
    "/next?page=2#end",
    "?page=2",
    "#end",
    "?back=https://other.example/",
    "/go/https://other.example/",
    "/path\\with\\backslashes",
    "/search?q=two words",
    "/straße?q=ü",
    " /leading-blank",
    "/tab\tin/the/middle",
    "./time:12:30",
    "/%09/evil.test",
    "/@user",
]

LEAVING_OPENLY = [
    "https://other.example",
    "http://other.example/",
    "HTTPS://OTHER.example/x",
    "https://other.example:8443/x?y=z#a",
    "https://other.example:50000/",
    "https://exämple.test/ü",
    "https://[::1]:5000/",
    "http://localhost:5000/callback",
    "https://other.example?x",
    "//cdn.example/x",
    "https://other.example/a\\b",
]

HIDING = [
    "/\t/evil.test",
    "/\n/evil.test",
    "\x01//evil.test",
    " //evil.test",
    "/\\evil.test",
    "\\/evil.test",
    "\\\\evil.test",
    "\x00https://evil.test",
    "ht\ttps://evil.test",
    "https:\\\\evil.test",
    "https:/\\evil.test",
    "https://evil.test\\.good.example/",
    "https://evil.te\tst/",
    "https://good.example\\@evil.test/",
]

NO_HOST = ["////evil.test", "///evil.test", "http:///evil.test", "https://:80/", "https://?x", "//", "/\\/\\evil.test"]

WITHOUT_SLASHES = ["https:evil.test", "https:/evil.test", "http:next", "HTTP:evil.test"]

USER_INFORMATION = [
    "https://good.example@evil.test/",
    "https://user:password@evil.test",
    "//a@evil.test",
]

OTHER_SCHEMES = [
    "javascript:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "JaVaScRiPt:x",
    "data:text/html,x",
    "file:///etc/passwd",
    "ftp://other.example",
    "vbscript:x",
    "localhost:5000/x",
    "mailto:x@y.z",
]


@pytest.mark.parametrize("location", STAYING)
def test_locations_on_the_site_are_fine(location: str) -> None:
    """A location that stays on the site is accepted, however odd it looks."""
    assert judge_location(location) is None


@pytest.mark.parametrize("location", LEAVING_OPENLY)
def test_an_open_absolute_location_is_fine(location: str) -> None:
    """Leaving the site is allowed when the text says so plainly: sign-in through another service needs it."""
    assert judge_location(location) is None


@pytest.mark.parametrize("location", HIDING)
def test_hiding_that_it_leaves_is_refused(location: str) -> None:
    """What only leaves the site once a browser has cleaned it up is refused."""
    assert judge_location(location) == "blanks, control characters or backslashes hide where it leads"


@pytest.mark.parametrize("location", NO_HOST)
def test_slashes_without_a_host_are_refused(location: str) -> None:
    """Browsers skip further slashes and take what follows for the host."""
    assert judge_location(location) == "there is no host between its slashes"


@pytest.mark.parametrize("location", WITHOUT_SLASHES)
def test_a_scheme_without_slashes_is_refused(location: str) -> None:
    """`https:evil.test` means another site to some browsers and a path to others."""
    reason = judge_location(location)
    assert reason is not None
    assert reason.startswith("no host follows ")


@pytest.mark.parametrize("location", USER_INFORMATION)
def test_user_information_is_refused(location: str) -> None:
    """What stands before an at sign looks like the host to people."""
    assert judge_location(location) == "it carries user information before the host"


@pytest.mark.parametrize("location", OTHER_SCHEMES)
def test_other_schemes_are_refused(location: str) -> None:
    """Only http and https are places to send a browser to."""
    reason = judge_location(location)
    assert reason is not None
    assert reason.endswith("not http or https")


@pytest.mark.parametrize("location", ["https://a b/", "https://a%2fb/", "https://<evil>/", "https://a|b"])
def test_characters_that_no_host_has_are_refused(location: str) -> None:
    """A host that browsers cannot read, or read differently, is refused."""
    assert judge_location(location) == "its host holds characters that no host has"


@pytest.mark.parametrize("location", ["https://[::1", "https://a.b:99999/", "https://a\uff0fb.test/"])
def test_what_is_no_url_is_refused_with_the_reason(location: str) -> None:
    """What would fail later, when the header is written, is refused where the redirect is made."""
    reason = judge_location(location)
    assert reason is not None
    assert reason.startswith("it is not a URL: ")


def _as_browser_resolves(location: str) -> str:
    """Resolve a header as a browser on SITE does, in the simple cases that the judge lets pass."""
    cleaned = location.strip("".join(map(chr, range(33)))).translate({9: None, 10: None, 13: None})
    before, mark, query = cleaned.partition("?")
    return urljoin(SITE, before.replace("\\", "/") + mark + query)


@given(st.text(alphabet="/\\:@.?# \t\n\x00\x01hTtps%e[]", max_size=14))
@example("/\t/e")
@example("\x01//e")
@example("/\\e")
@example("https:e")
@example("////e")
@example("s//e")
def test_what_does_not_look_external_stays(location: str) -> None:
    """A location that begins neither with a scheme nor two slashes, and passes, stays on the site as written."""
    if judge_location(location) is None and not location.lower().startswith(("//", "http://", "https://")):
        assert urlsplit(_as_browser_resolves(iri_to_uri(location))).netloc == "shop.example"
        assert urlsplit(_as_browser_resolves(location)).netloc == "shop.example"


@given(st.text(max_size=20))
def test_any_text_gets_a_verdict(location: str) -> None:
    """The judge never raises."""
    assert judge_location(location) is None or isinstance(judge_location(location), str)
