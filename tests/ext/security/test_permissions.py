"""Permissions-Policy and Document-Policy."""

from __future__ import annotations

from typing import Any

import pytest

from quaff.ext.security.permissions import (
    DENIED_FEATURES,
    FEATURES,
    find_unknown_features,
    serialise_document,
    serialise_permissions,
)
from quaff.ext.security.problems import SecurityOptionError


@pytest.mark.parametrize(
    "value, text",
    [
        ("()", "()"),
        ("*", "*"),
        ('(self "https://maps.example")', '(self "https://maps.example")'),
        ([], "()"),
        (None, "()"),
        (False, "()"),
        (True, "*"),
        (["self"], "(self)"),
        (["'self'"], "(self)"),
        (("self", "https://maps.example"), '(self "https://maps.example")'),
        (['"https://maps.example"'], '("https://maps.example")'),
        # COMPAT: a test of Flask-Talisman has this, though the comma is none of the syntax.
        ('(self, "https://example.com")', '(self, "https://example.com")'),
    ],
)
def test_permissions(value: Any, text: str) -> None:
    """A feature is given to a list of origins, or its value is written out."""
    assert serialise_permissions({"geolocation": value}) == f"geolocation={text}"


def test_several_features() -> None:
    """Features are separated by commas, in their order."""
    assert serialise_permissions({"camera": "()", "usb": ["self"]}) == "camera=(), usb=(self)"


def test_a_string_is_sent_as_it_is() -> None:
    """A header that is written out is not touched, but for white space around it."""
    assert serialise_permissions(" vibrate=(), geolocation=() ") == "vibrate=(), geolocation=()"


@pytest.mark.parametrize(
    "policy",
    [
        {"geolocation": "(), camera=*"},
        {"geolocation": "()\r\nSet-Cookie: a=b"},
        {"geo location": "()"},
        {"geolocation=*, x": "()"},
        {"": "()"},
        {"geolocation": ["https://a b.example"]},
        {"geolocation": ["https://a.example, *"]},
        {"geolocation": ["(self)"]},
        {"geolocation": [""]},
        {"geolocation": [7]},
        {"geolocation": 7},
        "geolocation=()\n",
        "geolocation=(é)",
    ],
)
def test_what_would_say_something_else_is_refused(policy: Any) -> None:
    """SECURITY: no name, origin or value can begin another feature, end the header or be lost on its way."""
    if policy == "geolocation=()\n":
        # White space at the ends is none of the policy.
        assert serialise_permissions(policy) == "geolocation=()"
        return
    with pytest.raises(SecurityOptionError, match=r"permissions_policy|comma|holds"):
        serialise_permissions(policy)


@pytest.mark.parametrize(
    "value, text", [(True, "?1"), (False, "?0"), (2, "2"), (0.5, "0.5"), ("?0", "?0"), ('"a, b"', '"a, b"')]
)
def test_document(value: Any, text: str) -> None:
    """Values of a document policy are booleans and numbers of structured headers (RFC 9651), or written out."""
    assert serialise_document({"oversized-images": value}) == f"oversized-images={text}"


def test_document_refuses_what_it_cannot_write() -> None:
    """A value of another type is an error that names the place."""
    with pytest.raises(SecurityOptionError, match=r"document_policy\['document-write'\]"):
        serialise_document({"document-write": ["self"]})


def test_misspelt_features_are_found() -> None:
    """A name that looks like a feature is told; a new one, of which nothing is known, is not."""
    assert find_unknown_features({"geolocaton": "()", "quantum-teleport": "()", "camera": "()"}) == [
        "no browser knows the feature 'geolocaton'; did you mean 'geolocation'?"
    ]
    assert find_unknown_features("camra=(), usb=()") == ["no browser knows the feature 'camra'; did you mean 'camera'?"]


def test_denied_features_are_known() -> None:
    """The list of what is denied holds no misspelt name."""
    assert set(DENIED_FEATURES) <= FEATURES
    assert find_unknown_features(dict.fromkeys(DENIED_FEATURES, "()")) == []
