"""Keys."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from quaff.ext.caching.keys import (
    SAFE_LENGTH,
    digest,
    encode_parts,
    fill_prefix,
    path_of,
    query_digest,
    query_pairs,
    safe_prefix,
    stored_key,
    variant_key,
)

texts = st.text(max_size=20)


@given(st.lists(texts, max_size=5), st.lists(texts, max_size=5))
def test_parts_keep_their_borders(first: list[str], second: list[str]) -> None:
    """Two lists of parts are encoded alike only if they are equal."""
    assert (encode_parts(first) == encode_parts(second)) == (first == second)


def test_lone_surrogates() -> None:
    """A text that is no UTF-8 is a part like any other."""
    assert encode_parts(["\ud800"]) != encode_parts(["\udfff"])


@pytest.mark.parametrize(
    "first, second",
    [
        ("k-", "k45"),
        ("K", "\N{KELVIN SIGN}"),
        ("a", "A"),
        ("\u00e9", unicodedata.normalize("NFD", "\u00e9")),
        ("", "0"),
    ],
)
def test_texts_that_look_alike(first: str, second: str) -> None:
    """Texts that some file systems and collations take for one have keys of their own (CVE-2026-25480)."""
    assert digest([first]) != digest([second])
    assert stored_key(first).lower() != stored_key(second).lower() or first.lower() == second.lower()


@given(st.text(max_size=300), st.text(max_size=300))
def test_stored_keys(first: str, second: str) -> None:
    """Stored keys are plain and short, and two keys have the same one only if they are equal."""
    for key in (first, second):
        assert re.fullmatch(r"[A-Za-z0-9_:./%-]{1,250}", stored_key(key, "prefix:"))
    assert (stored_key(first) == stored_key(second)) == (first == second)


def test_a_key_that_looks_like_a_hash() -> None:
    """Nobody can name the hash of another key."""
    hashed = stored_key("a b")
    assert stored_key(hashed) != hashed
    assert stored_key("plain") == "plain"
    assert len(stored_key("x" * (SAFE_LENGTH + 1))) < 100


def test_prefixes() -> None:
    """A plain prefix stays; another one is hashed."""
    assert safe_prefix(None) == safe_prefix("") == ""
    assert safe_prefix("shop:") == "shop:"
    assert re.fullmatch(r"[0-9a-f]{32}:", safe_prefix("my shop\r\n"))
    assert safe_prefix("a b") != safe_prefix("a c")


def test_paths() -> None:
    """A usual path is itself; with a host it begins with two slashes, which no path does."""
    assert path_of("/works") == "/works"
    assert path_of("/", "admin.example") == "//admin.example/"


@given(st.text(alphabet="0123456789abcdef#/", max_size=80), st.text(alphabet="0123456789abcdef#/", max_size=80))
def test_a_path_cannot_look_like_path_and_hash(first: str, second: str) -> None:
    """No path's key is that of another path with a hash behind it, and paths keep apart."""
    query = hashlib.sha256(b"any").hexdigest()
    assert path_of(f"/{first}{query}") != path_of(f"/{first}") + query
    assert (path_of(f"/{first}") == path_of(f"/{second}")) == (first == second)


def test_prefix_with_a_path() -> None:
    """The path goes where the `%s` is; a `%s` in the path is a text."""
    assert fill_prefix("view/%s", "/a%sb") == "view//a%sb"
    assert fill_prefix("100%%/%s", "/a") == "100%//a"


def test_queries() -> None:
    """A query is a text, a mapping, a `MultiDict` or pairs."""
    pairs = [("a", "1"), ("b", "2"), ("b", "")]
    assert query_pairs("?a=1&b=2&b=") == pairs
    assert query_pairs(MultiDict(pairs)) == pairs
    assert query_pairs([("a", 1)]) == [("a", "1")]
    assert query_pairs({"a": 1}) == [("a", "1")]


@given(st.lists(st.tuples(texts, texts), max_size=6), st.randoms())
def test_the_order_of_a_query_does_not_matter(pairs: list[tuple[str, str]], random: object) -> None:
    """The same parameters in another order give the same hash, and others another one."""
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert query_digest(pairs, hashlib.sha256) == query_digest(shuffled, hashlib.sha256)
    assert query_digest([*pairs, ("x", "y")], hashlib.sha256) != query_digest(pairs, hashlib.sha256)


def test_flask_cachings_form() -> None:
    """The hash of a query is the one that Flask-Caching computes, with source code too."""
    expected = hashlib.md5(str((("a", "1"), ("b", "2"))).encode()).hexdigest()
    assert query_digest([("b", "2"), ("a", "1")], hashlib.md5) == expected
    assert query_digest([], hashlib.sha256, "def f(): ...") != query_digest([], hashlib.sha256)


def test_variants() -> None:
    """Each combination of values has its key, and another token gives others."""
    keys = {
        variant_key("k", "t", ["=de"]),
        variant_key("k", "t", ["=en"]),
        variant_key("k", "t", ["-"]),
        variant_key("k", "t", ["=de", "-"]),
        variant_key("k", "u", ["=de"]),
        variant_key("kt", "", ["=de"]),
    }
    assert len(keys) == 6
