"""`werkzeug.urls` as it was: the results are those of Werkzeug 2.3."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from quaff.compat import old_urls as urls


@pytest.mark.parametrize(
    "text, more, quoted",
    [
        ("/a b", {}, "/a%20b"),
        ("ü", {}, "%C3%BC"),
        ("ü", {"charset": "latin-1"}, "%FC"),
        (b"\xff/", {}, "%FF/"),
        (5, {}, "5"),
        ("a:b/c", {"safe": ""}, "a%3Ab%2Fc"),
        ("!$'()*+,;-._~", {}, "!$'()*+,;-._~"),
        ("a+b", {"unsafe": "+"}, "a%2Bb"),
        ("a&=?#", {}, "a%26%3D%3F%23"),
    ],
)
def test_url_quote(text: Any, more: dict[str, Any], quoted: str) -> None:
    """Everything but letters, digits and some marks is quoted."""
    assert urls.url_quote(text, **more) == quoted


@pytest.mark.parametrize("text, quoted", [("a b+c", "a+b%2Bc"), ("ü/:", "%C3%BC%2F%3A"), (1.5, "1.5")])
def test_url_quote_plus(text: Any, quoted: str) -> None:
    """A space is a plus sign, and a plus sign is quoted."""
    assert urls.url_quote_plus(text) == quoted


@pytest.mark.parametrize(
    "quoted, more, text",
    [
        ("a%20b+c", {}, "a b+c"),
        ("%C3%BC", {}, "ü"),
        (b"%FC", {"charset": "latin-1"}, "ü"),
        ("%FF", {}, "\ufffd"),
        ("%FF", {"charset": None}, b"\xff"),
        ("%2f%41%zz", {"unsafe": "/"}, "%2fA%zz"),
    ],
)
def test_url_unquote(quoted: str | bytes, more: dict[str, Any], text: str | bytes) -> None:
    """Bytes that are not text become replacement characters, unless bytes are asked for."""
    assert urls.url_unquote(quoted, **more) == text


@given(st.text())
def test_quoting_and_back(text: str) -> None:
    """Every text comes back, except that lone surrogates cannot be quoted."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        with pytest.raises(UnicodeEncodeError):
            urls.url_quote(text)
        return
    assert urls.url_unquote(urls.url_quote(text)) == text
    assert urls.url_unquote_plus(urls.url_quote_plus(text)) == text


@given(st.lists(st.tuples(st.text("abü &=+%;", min_size=1), st.text("abü &=+%;"))))
def test_queries_and_back(pairs: list[tuple[str, str]]) -> None:
    """Every list of pairs comes back in its order."""
    assert list(urls.url_decode(urls.url_encode(pairs)).items(multi=True)) == list(MultiDict(pairs).items(multi=True))


def test_url_encode() -> None:
    """Mappings, multi dicts and pairs; None is left out; sorting is possible."""
    assert urls.url_encode({"a": 1, "b": None, "c": "x y"}) == "a=1&c=x+y"
    assert urls.url_encode(MultiDict([("a", "1"), ("a", "2")])) == "a=1&a=2"
    assert urls.url_encode({"a": ["1", "2"]}) == "a=1&a=2"
    assert urls.url_encode([("b", 1), ("a", 2)], sort=True) == "a=2&b=1"
    assert urls.url_encode([("a", 1), ("b", 0)], sort=True, key=lambda pair: pair[1]) == "b=0&a=1"
    assert urls.url_encode({"a": 1, "b": 2}, separator=";") == "a=1;b=2"


def test_url_encode_stream() -> None:
    """It writes to a stream, or gives the pairs one by one."""
    stream = io.StringIO()
    assert urls.url_encode_stream({"a": 1, "b": 2}, stream) is None
    assert stream.getvalue() == "a=1&b=2"
    pairs = urls.url_encode_stream({"a": 1, "b": 2})
    assert pairs is not None
    assert list(pairs) == ["a=1", "b=2"]


def test_url_decode() -> None:
    """A MultiDict by default; names without a value are empty or left out."""
    assert urls.url_decode("a=1&a=2&b&=c").to_dict(flat=False) == {"a": ["1", "2"], "b": [""], "": ["c"]}
    assert urls.url_decode("a=1&b", include_empty=False) == MultiDict({"a": "1"})
    assert urls.url_decode(b"a=%FF", charset="latin-1") == MultiDict({"a": "ÿ"})
    assert urls.url_decode("a=1;b=2", separator=b";") == MultiDict({"a": "1", "b": "2"})
    assert urls.url_decode("a=1", cls=OrderedDict) == OrderedDict(a="1")


def test_url_decode_stream() -> None:
    """It reads no further than the limit."""
    assert urls.url_decode_stream(io.BytesIO(b"a=1&b=2rest"), limit=7) == MultiDict({"a": "1", "b": "2"})
    assert urls.url_decode_stream(io.BytesIO(b"a=1")) == MultiDict({"a": "1"})


def test_url_parse() -> None:
    """Five parts, and what they are made of."""
    url = urls.url_parse("http://User:p%40ss@Example.com:8080/path?a=1&a=2#part")
    assert isinstance(url, urls.URL)
    assert url == ("http", "User:p%40ss@Example.com:8080", "/path", "a=1&a=2", "part")
    assert (url.scheme, url.host, url.port, url.auth) == ("http", "Example.com", 8080, "User:p%40ss")
    assert (url.username, url.password, url.raw_password) == ("User", "p@ss", "p%40ss")
    assert url.decode_query().getlist("a") == ["1", "2"]
    assert url.to_url() == str(url) == "http://User:p%40ss@Example.com:8080/path?a=1&a=2#part"
    assert url.replace(path="/other", query="").to_url() == "http://User:p%40ss@Example.com:8080/other#part"
    assert url.join("../x").path == "/x"


@pytest.mark.parametrize(
    "text, parts",
    [
        ("", ("", "", "", "", "")),
        ("/path?q", ("", "", "/path", "q", "")),
        ("//host/path", ("", "host", "/path", "", "")),
        ("localhost:5000", ("", "", "localhost:5000", "", "")),
        ("mailto:a@b", ("mailto", "", "a@b", "", "")),
        ("HTTP://host", ("http", "host", "", "", "")),
    ],
)
def test_what_url_parse_takes_for_what(text: str, parts: tuple[str, ...]) -> None:
    """Relative URLs, addresses without a scheme, ports that look like paths."""
    assert urls.url_parse(text) == parts
    assert urls.url_unparse(parts) == text.replace("HTTP", "http")


def test_url_parse_with_more() -> None:
    """A default scheme, and fragments that are left where they are."""
    assert urls.url_parse("//host", "https").scheme == "https"
    assert urls.url_parse("localhost:5000", "https").scheme == "https"
    assert urls.url_parse("/a#b", allow_fragments=False).path == "/a#b"


def test_the_usual_check_of_a_next_parameter() -> None:
    """Programs redirect only where `url_parse(next).netloc` is empty: what a browser would take elsewhere is not."""
    for elsewhere in (
        "//evil.example",
        "http://evil.example",
        "\thttp://evil.example",
        "ht\ntp://evil.example",
        " //e",
    ):
        assert urls.url_parse(elsewhere).netloc != "", elsewhere
    for here in ("/profile", "profile?tab=2", "", "/a:b"):
        assert urls.url_parse(here).netloc == "", here


@pytest.mark.parametrize(
    "netloc, host, port",
    [
        ("[::1]:80", "::1", 80),
        ("[::1]", "::1", None),
        ("host:", "host", None),
        ("host:x", "host", None),
        ("h:99999", "h", None),
    ],
)
def test_hosts_and_ports(netloc: str, host: str, port: int | None) -> None:
    """Brackets go, and what is not a port is none."""
    url = urls.URL("http", netloc, "/", "", "")
    assert (url.host, url.port) == (host, port)


def test_absent_parts_are_none() -> None:
    """No user, no password, no host."""
    url = urls.url_parse("/path")
    assert (url.host, url.ascii_host, url.port, url.auth) == (None, None, None, None)
    assert (url.username, url.password, url.raw_username, url.raw_password) == (None, None, None, None)


def test_international_names() -> None:
    """Names go to ASCII and back."""
    url = urls.url_parse("http://bücher.example:80/ä?ö")
    assert url.ascii_host == "xn--bcher-kva.example"
    assert url.encode_netloc() == "xn--bcher-kva.example:80"
    assert url.to_uri_tuple().to_url() == "http://xn--bcher-kva.example:80/%C3%A4?%C3%B6"
    assert urls.url_parse("http://xn--bcher-kva.example/").decode_netloc() == "bücher.example"
    assert urls.url_parse("http://x/%C3%A4").to_iri_tuple().path == "/ä"
    assert urls.url_parse("http://u:p@[::1]/").encode_netloc() == "u:p@[::1]"


def test_bytes() -> None:
    """Bytes stay bytes until they are decoded."""
    url = urls.url_parse(b"http://host/path?q#f")
    assert isinstance(url, urls.BytesURL)
    assert url.path == b"/path"
    assert url.to_url() == b"http://host/path?q#f"
    assert str(url) == "http://host/path?q#f"
    assert url.decode() == urls.url_parse("http://host/path?q#f")
    assert url.decode().encode() == url


def test_url_join() -> None:
    """Texts and parsed URLs can be joined."""
    assert urls.url_join("http://host/a/b", "../c") == "http://host/c"
    assert urls.url_join(urls.url_parse("http://host/a"), urls.url_parse("?q")) == "http://host/a?q"


def test_url_fix() -> None:
    """What a user typed becomes what a browser sends."""
    assert urls.url_fix("http://host/Elf (Begriffsklärung)") == "http://host/Elf%20(Begriffskl%C3%A4rung)"
    assert urls.url_fix("http://host\\path?a=b c#d e") == "http://host/path?a=b+c#d+e"
    assert urls.url_fix(b"http://host/\xc3\xa4") == "http://host/%C3%A4"


def test_href() -> None:
    """It appends segments and a query."""
    href = urls.Href("/shop")
    assert href() == "/shop"
    assert href("item", 3) == "/shop/item/3"
    assert href("item", None, page=2, is_=None) == "/shop/item?page=2"
    assert href({"class": "x"}) == "/shop?class=x"
    assert href(class_="x") == "/shop?class=x"
    assert href.item("a b") == "/shop/item/a%20b"
    assert urls.Href("/", sort=True)(b=1, a=2) == "/?a=2&b=1"
    assert urls.Href("")("x") == "x"
    with pytest.raises(TypeError, match="not both"):
        href({"a": 1}, b=2)
    with pytest.raises(AttributeError):
        href.__wrapped__  # noqa: B018
