"""May this be stored and given to others? The verdicts, without an app."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.caching.privacy import (
    SENSITIVE,
    STATUSES,
    Answered,
    Asked,
    Reads,
    judge_function,
    judge_view,
    may_look_up,
    read_headers,
)

GET, NOTHING, OK = Asked(), Reads(), Answered()
NO_KEY: frozenset[str] = frozenset()


def test_a_page_for_everybody() -> None:
    """What was made from nothing but the path is stored."""
    verdict = judge_view(GET, NOTHING, OK, NO_KEY)
    assert (verdict.reason, verdict.is_private, verdict.names) == (None, False, frozenset())


@pytest.mark.parametrize("name", sorted(SENSITIVE))
@pytest.mark.parametrize("when", ["now", "before"])
def test_what_is_one_persons(name: str, when: str) -> None:
    """A view that read it, or a hook before it, makes a private page, unless the key varies on just that."""
    reads = Reads(**{when: frozenset({name})})
    assert judge_view(GET, reads, OK, NO_KEY).is_private
    assert judge_view(GET, reads, OK, {"*", "?", "accept"}).is_private
    assert judge_view(GET, reads, OK, SENSITIVE - {name}).is_private
    assert judge_view(GET, reads, OK, {name}).reason is None


@pytest.mark.parametrize("name", sorted(SENSITIVE))
def test_a_function(name: str) -> None:
    """For a function counts what it read itself, not what a hook read before it."""
    assert judge_function(Reads(now=frozenset({name})), None, NO_KEY).is_private
    assert judge_function(Reads(before=frozenset({name})), None, NO_KEY).reason is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"])
def test_other_methods(method: str) -> None:
    """They are neither looked up nor stored."""
    asked = Asked(method=method)
    assert not may_look_up(asked, NO_KEY)
    assert judge_view(asked, NOTHING, OK, NO_KEY).reason is not None


def test_head() -> None:
    """It is looked up and not stored: its view may have left out the body."""
    assert may_look_up(Asked(method="HEAD"), NO_KEY)
    assert judge_view(Asked(method="HEAD"), NOTHING, OK, NO_KEY).reason is not None


def test_websockets() -> None:
    """They are not looked up."""
    assert not may_look_up(Asked(is_websocket=True), NO_KEY)


def test_authorization_that_nobody_read() -> None:
    """The header alone keeps a request from the cache (RFC 9111 section 3.5), and is no mistake of the view's."""
    asked = Asked(has_authorization=True)
    assert not may_look_up(asked, NO_KEY)
    verdict = judge_view(asked, NOTHING, OK, NO_KEY)
    assert verdict.reason is not None
    assert not verdict.is_private
    assert may_look_up(asked, {"authorization"})
    assert judge_view(asked, NOTHING, OK, {"authorization"}).reason is None


def test_a_session_cookie_that_nobody_read() -> None:
    """What such a request got is not stored, unless the key varies on it."""
    asked = Asked(has_session_cookie=True)
    assert may_look_up(asked, NO_KEY)
    assert judge_view(asked, NOTHING, OK, NO_KEY).reason is not None
    assert judge_view(asked, NOTHING, OK, {"session"}).reason is None
    assert judge_view(asked, NOTHING, OK, {"cookie"}).reason is None


@given(st.integers(100, 599))
def test_statuses(status: int) -> None:
    """Those of RFC 9110 that may be cached, and redirects, are; parts, errors of the server and refusals are not."""
    stored = judge_view(GET, NOTHING, Answered(status=status), NO_KEY).reason is None
    assert stored == (status in STATUSES)
    assert not STATUSES & {206, 304, 400, 401, 403, 407, 429, 500, 502, 503, 504}


@pytest.mark.parametrize(
    "name, value",
    [
        ("Set-Cookie", "a=b"),
        ("set-cookie", "a=b"),
        ("Cache-Control", "private"),
        ("Cache-Control", "Private"),
        ("cache-control", "NO-STORE"),
        ("Cache-Control", "no-cache"),
        ("Cache-Control", 'no-cache="x"'),
        ("Cache-Control", 'max-age=60, PRIVATE="set-cookie"'),
        ("Cache-Control", " max-age=0 ,  no-store "),
        ("Vary", "*"),
        ("vary", "Accept, *"),
        ("Vary", "Cookie"),
        ("vary", "  Cookie "),
        ("VARY", "Accept-Encoding,COOKIE"),
        ("Vary", "Authorization"),
        ("Vary", "Accept,  authorization"),
        ("Vary", "Proxy-Authorization"),
    ],
)
def test_answers_that_say_no(name: str, value: str) -> None:
    """An answer that says that it is not for others is not stored, in whatever case and with whatever spaces."""
    answered = Answered(headers=(("Content-Type", "text/html"), (name, value)))
    assert judge_view(GET, NOTHING, answered, NO_KEY).reason is not None
    assert judge_function(NOTHING, answered, NO_KEY).reason is not None


@pytest.mark.parametrize("keyed", [SENSITIVE, SENSITIVE | {"*"}])
def test_a_cookie_is_never_set_for_others(keyed: frozenset[str]) -> None:
    """Whatever the key varies on, `Set-Cookie` is not stored (CVE-2026-35192)."""
    assert judge_view(GET, NOTHING, Answered(headers=(("Set-Cookie", "a=b"),)), keyed).reason is not None


def test_other_answers() -> None:
    """Other directives say nothing against it; `Vary` names what the page depends on."""
    answered = Answered(headers=(("Cache-Control", "public, max-age=60"), ("Vary", "Accept-Language, accept-encoding")))
    verdict = judge_view(GET, NOTHING, answered, {"accept-encoding"})
    assert (verdict.reason, verdict.names) == (None, {"accept-language"})
    assert read_headers([("X-Cache-Control", "private"), ("Vary", "")]) == (None, frozenset())


def test_what_it_depends_on() -> None:
    """Headers, the query and the address are named, without those that the key has."""
    reads = Reads(names=frozenset({"accept-language", "?", "remote_addr", "x-user"}))
    assert judge_view(GET, reads, OK, {"?"}).names == {"accept-language", "remote_addr", "x-user"}
    assert judge_view(GET, reads, OK, {"*"}).names == frozenset()
    assert judge_function(reads, None, NO_KEY).names == reads.names


@pytest.mark.parametrize(
    "reads, answered", [(Reads(leaves_hooks=True), OK), (Reads(body=True), OK), (NOTHING, Answered(is_whole=False))]
)
def test_the_rest(reads: Reads, answered: Answered) -> None:
    """`after_this_request`, the body of the request, and streams keep a page from being stored."""
    assert judge_view(GET, reads, answered, NO_KEY).reason is not None
    assert judge_function(reads, answered, NO_KEY).reason is not None


def test_a_body_in_the_key() -> None:
    """A key that a function of the user's makes may have the body in it."""
    assert judge_function(Reads(body=True), None, {"*"}).reason is None


names = st.sets(st.sampled_from(["accept", "?", "host", "x-user"]))


@given(
    st.builds(Asked, st.sampled_from(["GET", "HEAD", "POST"]), st.booleans(), st.booleans(), st.booleans()),
    st.sets(st.sampled_from(sorted(SENSITIVE))),
    names,
    st.sets(st.sampled_from([*sorted(SENSITIVE), "accept", "?", "*"])),
)
def test_nothing_of_one_person_is_stored(asked: Asked, now: set[str], reads: set[str], keyed: set[str]) -> None:
    """Whatever comes together: what was read of one person is in the key, or nothing is stored."""
    verdict = judge_view(asked, Reads(now=frozenset(now), names=frozenset(reads)), OK, keyed)
    if verdict.reason is None:
        assert now <= keyed
        assert asked.method == "GET"
        assert "*" in keyed or reads - keyed <= verdict.names
    if now - keyed:
        assert verdict.is_private
