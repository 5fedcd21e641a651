"""Signed tokens as itsdangerous made them: the ones that were made then are still good."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from itsdangerous import BadHeader, BadPayload, BadSignature, SignatureExpired, Signer, base64_encode

from quaff.compat.old_jws import JSONWebSignatureSerializer, TimedJSONWebSignatureSerializer

# Made by itsdangerous 2.0.1 with the key "secret"; the first one expires in the year 2286.
TIMED = (
    "eyJhbGciOiJIUzUxMiIsImlhdCI6MTc5NTM5MzI3OSwiZXhwIjo5OTk5OTk5OTk5fQ.eyJ1c2VyX2lkIjoxfQ.xWvLgGdchABSKw"
    "3fH-ysV2c3XvEME0mFyWIEcxv8tPN4oEdOUDRJn0-ES0ICy7NFsZnS-t4VOXSklzXqOrBZbg"
)
PLAIN = "eyJhbGciOiJIUzI1NiJ9.eyJhIjoiw7wifQ.bGbwFl9SvZ8NNRXqH_ZwjtOxUrVm8sQCLKLWyy08A0k"


def _signed(*parts: Any, key: str = "secret") -> bytes:
    """Return a token of these parts with a good signature."""
    serializer = JSONWebSignatureSerializer(key)
    encoded = [part if isinstance(part, bytes) else base64_encode(json.dumps(part)) for part in parts]
    signer: Signer = serializer._signer(None)
    return signer.sign(b".".join(encoded))


def test_tokens_of_itsdangerous() -> None:
    """Tokens in links that were sent before the change still work."""
    assert TimedJSONWebSignatureSerializer("secret").loads(TIMED) == {"user_id": 1}
    assert JSONWebSignatureSerializer("secret", algorithm_name="HS256").loads(PLAIN) == {"a": "ü"}


def test_there_and_back() -> None:
    """A token is bytes, which programs decode; what it holds comes back."""
    serializer = TimedJSONWebSignatureSerializer("secret", 60)
    token = serializer.dumps({"user_id": 1}).decode("utf-8")
    assert token.count(".") == 2
    assert serializer.loads(token) == {"user_id": 1}
    payload, header = serializer.loads(token, return_header=True)
    assert payload == {"user_id": 1}
    assert header["alg"] == "HS512"
    assert header["exp"] == header["iat"] + 60


def test_header_fields_and_salt() -> None:
    """More can go into the header; a salt separates uses of one key."""
    serializer = JSONWebSignatureSerializer("secret", salt="reset")
    token = serializer.dumps([1], header_fields={"kid": "one"})
    assert serializer.loads(token, return_header=True) == ([1], {"kid": "one", "alg": "HS512"})
    with pytest.raises(BadSignature):
        serializer.loads(token, salt="confirm")
    with pytest.raises(BadSignature):
        JSONWebSignatureSerializer("secret").loads(token)


def test_rotating_keys() -> None:
    """The last key signs, all of them are accepted."""
    old = JSONWebSignatureSerializer("old").dumps(1)
    both = JSONWebSignatureSerializer(["old", "new"])
    assert both.loads(old) == 1
    assert JSONWebSignatureSerializer("new").loads(both.dumps(2)) == 2


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c", TIMED[:-1], TIMED.replace("eyJ1", "eyJ2"), b"\xff.\xff.\xff"]
)
def test_tampered_tokens(token: str | bytes) -> None:
    """Whatever was changed, the signature is wrong."""
    with pytest.raises(BadSignature):
        TimedJSONWebSignatureSerializer("secret").loads(token)


def test_another_key() -> None:
    """A token of another key is not good."""
    with pytest.raises(BadSignature):
        TimedJSONWebSignatureSerializer("another").loads(TIMED)


def test_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is good up to its last second, and says afterwards when it was made."""
    serializer = TimedJSONWebSignatureSerializer("secret", expires_in=10)
    monkeypatch.setattr(serializer, "now", lambda: 1000)
    token = serializer.dumps("x")
    monkeypatch.setattr(serializer, "now", lambda: 1010)
    assert serializer.loads(token) == "x"
    monkeypatch.setattr(serializer, "now", lambda: 1011)
    with pytest.raises(SignatureExpired) as caught:
        serializer.loads(token)
    assert caught.value.payload == "x"
    assert caught.value.date_signed == datetime.fromtimestamp(1000, tz=UTC)


def test_the_token_does_not_choose_the_algorithm() -> None:
    """A token that names another algorithm is refused even with a good signature; "none" is no algorithm at all."""
    for algorithm in ("none", "HS256", None):
        with pytest.raises(BadHeader, match="Algorithm mismatch"):
            JSONWebSignatureSerializer("secret").loads(_signed({"alg": algorithm}, "x"))
    with pytest.raises(NotImplementedError, match="no algorithm 'none', only HS256, HS384, HS512"):
        JSONWebSignatureSerializer("secret", algorithm_name="none")


@pytest.mark.parametrize(
    "parts, error",
    [
        ([b"x"], BadPayload),
        ([b"!", {}], BadHeader),
        ([b"e30x", {}], BadHeader),
        ([["a", "list"], {}], BadHeader),
        ([{"alg": "HS512"}, b"!"], BadPayload),
    ],
)
def test_signed_but_not_a_token(parts: list[Any], error: type[Exception]) -> None:
    """What was signed with the key but is no token is an error of its own."""
    with pytest.raises(error):
        JSONWebSignatureSerializer("secret").loads(_signed(*parts))


@pytest.mark.parametrize(
    "expiry, error",
    [({}, BadSignature), ({"exp": "soon"}, BadHeader), ({"exp": -1}, BadHeader), ({"exp": None}, BadHeader)],
)
def test_tokens_that_never_expire(expiry: dict[str, Any], error: type[Exception]) -> None:
    """Where tokens expire, one that does not say when is not good."""
    with pytest.raises(error):
        TimedJSONWebSignatureSerializer("secret").loads(_signed({"alg": "HS512", **expiry}, "x"))


def test_the_issue_date() -> None:
    """It may not be there."""
    assert TimedJSONWebSignatureSerializer("secret").get_issue_date({}) is None


def test_as_tutorials_import_it(flask: ModuleType) -> None:
    """`from itsdangerous import TimedJSONWebSignatureSerializer as Serializer`."""
    with pytest.warns(DeprecationWarning, match="URLSafeTimedSerializer"):
        from itsdangerous import TimedJSONWebSignatureSerializer as Serializer
    assert Serializer is TimedJSONWebSignatureSerializer
