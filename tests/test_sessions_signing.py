"""The signer of session cookies: itsdangerous reads what it writes, and the other way round."""

from __future__ import annotations

import hashlib
import hmac
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from markupsafe import Markup

from quaff import Quaff
from quaff.sessions import (
    BadCookie,
    CookieSigner,
    SecureCookieSessionInterface,
    _Mac,
    session_json_serializer,
)

NOW = 1_700_000_000
KEY = "key"
# What Flask 3.1.3 sends at NOW for KEY and the session {"a": 1}.
PLAIN = "eyJhIjoxfQ.ZVPxAA.2RpH9qOjHTwaRHh9Patu_Omx8X4"

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.uuids()
    | st.text(max_size=5).map(Markup)
    | st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
        lambda moment: moment.replace(microsecond=0)
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
session_values = st.dictionaries(st.text(max_size=10), values, max_size=5)


def make_app() -> Quaff:
    """Return an app with the key."""
    app = Quaff("shop")
    app.secret_key = KEY
    return app


def itsdangerous_for(keys: Any = KEY) -> URLSafeTimedSerializer:
    """Return itsdangerous' serializer, set up as Flask documents it."""
    signer = {"key_derivation": "hmac", "digest_method": hashlib.sha1}
    return URLSafeTimedSerializer(keys, salt="cookie-session", serializer=session_json_serializer, signer_kwargs=signer)


# The signer ------------------------------------------------------------------------------------------------------------


@given(key=st.binary(max_size=130), message=st.binary(max_size=200))
@example(key=b"k" * 64, message=b"")
@example(key=b"k" * 65, message=b"m")
def test_the_code_is_the_standard_librarys(key: bytes, message: bytes) -> None:
    """For keys below, at and above the block size, however often it is asked."""
    mac = _Mac(key)
    for _ in range(2):
        assert mac.digest(message) == hmac.digest(key, message, "sha1")


@given(data=st.binary(max_size=600) | st.text(alphabet="ab", min_size=200, max_size=900).map(str.encode))
@settings(max_examples=100, deadline=None)
def test_the_signer_reads_what_it_wrote(data: bytes) -> None:
    """Any bytes come back, short or long, compressible or not."""
    signer = CookieSigner((KEY,), b"salt")
    text = signer.sign(data)
    assert signer.unsign(text, 10) == data
    assert text.isascii()
    assert not set(text) & set(' ",;\\=')


@given(value=session_values)
@settings(max_examples=150, deadline=None)
def test_itsdangerous_reads_our_cookies(value: dict[str, Any]) -> None:
    """What Quaff writes, itsdangerous and so Flask reads, whatever a session may hold."""
    app = make_app()
    cookie = SecureCookieSessionInterface()._sign(app, value)
    assert itsdangerous_for().loads(cookie, max_age=60) == value


@given(value=session_values)
@settings(max_examples=150, deadline=None)
def test_we_read_cookies_of_itsdangerous(value: dict[str, Any]) -> None:
    """What Flask wrote before the switch, Quaff reads."""
    app = make_app()
    cookie = itsdangerous_for().dumps(value)
    request = app.test_request_context("/", headers={"Cookie": f"session={cookie}"}).request
    opened = SecureCookieSessionInterface().open_session(app, request)
    assert opened == value
    assert opened is not None
    assert not opened.modified


@pytest.mark.parametrize("size", [0, 1, 200, 255, 256, 257, 1000, 5000])
def test_compressed_and_plain_payloads(size: int) -> None:
    """Payloads of all sizes go both ways; long ones are compressed when that makes them shorter."""
    value, signer = {"b": "x" * size}, CookieSigner((KEY,), b"cookie-session")
    text = signer.sign(session_json_serializer.dumps(value).encode())
    assert text.startswith(".") == (size >= 256 - len('{"b":""}'))
    assert itsdangerous_for().loads(text) == value
    assert session_json_serializer.loads(signer.unsign(itsdangerous_for().dumps(value), 60).decode()) == value


def test_the_cookie_is_that_of_flask(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the same key, time and values the text is the very one that Flask sends."""
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    assert SecureCookieSessionInterface()._sign(make_app(), {"a": 1}) == PLAIN
    assert itsdangerous_for().dumps({"a": 1}) == PLAIN


# Damaged cookies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", range(len(PLAIN)))
@pytest.mark.parametrize("replacement", ["", "!", "A", "."])
def test_each_byte_counts(monkeypatch: pytest.MonkeyPatch, position: int, replacement: str) -> None:
    """A cookie with any byte changed or removed is judged as itsdangerous judges it: refused, and never an error."""
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    damaged = PLAIN[:position] + replacement + PLAIN[position + 1 :]
    if damaged == PLAIN:
        damaged = PLAIN[:position] + "B" + PLAIN[position + 1 :]
    accepted = _verdict(CookieSigner((KEY,), b"cookie-session"), damaged)
    assert accepted == _verdict_of_itsdangerous(damaged)
    # The last character holds padding bits that no decoder looks at.
    assert not accepted or position == len(PLAIN) - 1


def _verdict_of_itsdangerous(text: str) -> bool:
    try:
        itsdangerous_for().loads(text, max_age=60)
    except BadSignature:
        return False
    return True


def _verdict(signer: CookieSigner, text: str) -> bool:
    try:
        signer.unsign(text, 60)
    except BadCookie:
        return False
    return True


@given(text=st.text(max_size=80) | st.text(alphabet=PLAIN + "._-=", max_size=80))
@settings(max_examples=200, deadline=None)
def test_garbage_is_refused(text: str) -> None:
    """No text that a client may send is anything but a `BadCookie`."""
    with pytest.raises(BadCookie):
        CookieSigner((KEY,), b"cookie-session").unsign(text, 60)


# Time ------------------------------------------------------------------------------------------------------------------


def test_itsdangerous_agrees_on_expiry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle refuses an old cookie at the same second."""
    now = float(NOW)
    monkeypatch.setattr(time, "time", lambda: now)
    text = CookieSigner((KEY,), b"cookie-session").sign(b'{"a":1}')
    now += 10
    assert itsdangerous_for().loads(text, max_age=10) == {"a": 1}
    assert CookieSigner((KEY,), b"cookie-session").unsign(text, 10) == b'{"a":1}'
    now += 1
    with pytest.raises(SignatureExpired):
        itsdangerous_for().loads(text, max_age=10)
    with pytest.raises(BadCookie, match="signed 11 seconds ago"):
        CookieSigner((KEY,), b"cookie-session").unsign(text, 10)
