"""What other modules of Werkzeug had: the results are those of the last release that had them."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest
from werkzeug.utils import cached_property

from quaff.compat import old_werkzeug as old


@pytest.mark.parametrize(
    "a, b, same", [("a", "a", True), ("a", b"a", True), ("ü", "ü", True), ("a", "b", False), ("", "a", False)]
)
def test_safe_str_cmp(a: str | bytes, b: str | bytes, same: bool) -> None:
    """Text and bytes, ASCII or not."""
    assert old.safe_str_cmp(a, b) is same


def test_pbkdf2() -> None:
    """The vectors of RFC 6070: the key for given iterations, length and hash."""
    assert old.pbkdf2_hex("password", "salt", 4096, 20, hashlib.sha1) == "4b007901b765489abead49d926f721d065a429c1"
    assert old.pbkdf2_hex("password", "salt", 1, 20, "sha1") == "0c60c80f961f0e71f3a9b524af6012062fe037a6"
    assert old.pbkdf2_bin(b"password", b"salt", 1, 20, hashlib.sha1).hex() == "0c60c80f961f0e71f3a9b524af6012062fe037a6"
    assert len(old.pbkdf2_bin("password", "salt", 1)) == 32


def test_authorization_headers() -> None:
    """They parse, and None comes of what cannot be read."""
    found = old.parse_authorization_header("Basic dXNlcjpwYXNz")
    assert found is not None
    assert (found.username, found.password) == ("user", "pass")
    assert old.parse_authorization_header(None) is None
    assert old.parse_www_authenticate_header('Basic realm="x"').realm == "x"
    assert old.parse_www_authenticate_header("").type == "basic"


def test_format_string() -> None:
    """Both spellings of a name are filled in."""
    assert old.format_string("$a and ${b}", {"a": 1, "b": "x"}) == "1 and x"


def test_invalidate_cached_property() -> None:
    """The next read computes again."""

    class Thing:
        reads = 0

        @cached_property
        def value(self) -> int:
            """Count."""
            self.reads += 1
            return self.reads

    thing = Thing()
    assert (thing.value, thing.value) == (1, 1)
    old.invalidate_cached_property(thing, "value")
    assert thing.value == 2


def test_html_builder() -> None:
    """Elements, attributes and escaping."""
    html, xhtml = old.html, old.xhtml
    assert html("<&") == "&lt;&amp;"
    assert html.a("Home", href='/?a="b"', class_="x") == '<a href="/?a=&#34;b&#34;" class="x">Home</a>'
    assert html.br() == "<br>"
    assert xhtml.br() == "<br />"
    assert html.input(type="checkbox", checked=True) == '<input type="checkbox" checked>'
    assert xhtml.input(checked=True, disabled=False) == '<input checked="checked" />'
    assert html.p("a", None, 1) == "<p>a1</p>"
    assert html.p(id=None) == "<p></p>"
    assert xhtml.script("a < b") == "<script>/*<![CDATA[*/a < b/*]]>*/</script>"
    assert repr(html) == "<HTMLBuilder for 'html'>"
    with pytest.raises(AttributeError):
        html.__wrapped__  # noqa: B018


def test_path_info() -> None:
    """Segments move from the path to the script name, with their slashes."""
    environ: dict[str, Any] = {"SCRIPT_NAME": "/app", "PATH_INFO": "//a%20/\xc3\xbc"}
    assert old.peek_path_info(environ) == "a%20"
    assert old.pop_path_info(environ) == "a%20"
    assert environ == {"SCRIPT_NAME": "/app//a%20", "PATH_INFO": "/\xc3\xbc"}
    assert old.pop_path_info(environ, charset=None) == b"\xc3\xbc"
    assert old.get_script_name(environ) == "/app//a%20/ü"
    assert old.get_script_name(environ, charset=None) == b"/app//a%20/\xc3\xbc"
    assert old.pop_path_info(environ) is None
    assert old.peek_path_info(environ) is None


def test_query_string() -> None:
    """What is not ASCII is quoted, what is quoted stays."""
    assert old.get_query_string({"QUERY_STRING": "a=\xc3\xbc&b=%20"}) == "a=%C3%BC&b=%20"


def test_lines() -> None:
    """Lines keep their ends; the limit cuts; long ones can be cut."""
    assert list(old.make_line_iter(io.BytesIO(b"a\nb\r\nc"))) == [b"a\n", b"b\r\n", b"c"]
    assert list(old.make_line_iter([b"a\nb", b"c\n"])) == [b"a\n", b"bc\n"]
    assert list(old.make_line_iter(io.BytesIO(b"abc\nrest"), limit=4)) == [b"abc\n"]
    assert list(old.make_line_iter([b"abcdef"], buffer_size=4, cap_at_buffer=True)) == [b"abcd", b"ef"]


def test_chunks() -> None:
    """What stands between separators, without an empty end."""
    assert list(old.make_chunk_iter(io.BytesIO(b"a&b&&c&"), b"&")) == [b"a", b"b", b"", b"c"]
    assert list(old.make_chunk_iter([b"a;", b"b"], ";", buffer_size=1, cap_at_buffer=True)) == [b"a", b"b"]


def test_parse_rule() -> None:
    """Text and variables in turn."""
    assert list(old.parse_rule("/a/<b>/<int(min=1):c>.txt")) == [
        (None, None, "/a/"),
        ("default", None, "b"),
        (None, None, "/"),
        ("int", "min=1", "c"),
        (None, None, ".txt"),
    ]
    assert list(old.parse_rule("/")) == [(None, None, "/")]


@pytest.mark.parametrize("rule, why", [("/<a>/<a>", "twice"), ("/<a", "well-formed"), ("/a>/<b>", "well-formed")])
def test_rules_that_are_wrong(rule: str, why: str) -> None:
    """They say what is wrong."""
    with pytest.raises(ValueError, match=why):
        list(old.parse_rule(rule))
