"""Content security policies as data."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.security.csp import (
    DIRECTIVES,
    NONCE_DIRECTIVES,
    NONCE_LENGTH,
    STRICT_CSP_POLICY,
    find_problems,
    make_nonce,
    parse_policy,
    source_hash,
    split_at_nonces,
    write_policy,
)
from quaff.ext.security.problems import SecurityOptionError

names = st.sampled_from(sorted(DIRECTIVES))
sources = st.text("".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in ",;"), min_size=1, max_size=12)
policies = st.dictionaries(names, st.lists(sources, max_size=4), max_size=6)


@pytest.mark.parametrize(
    "policy, text",
    [
        ("default-src 'self'", "default-src 'self'"),
        ("default-src 'self'; img-src *;", "default-src 'self'; img-src *"),
        (" default-src   'self' ;;\n img-src\t* ", "default-src 'self'; img-src *"),
        ("upgrade-insecure-requests", "upgrade-insecure-requests"),
        ({"default-src": "'self' a.example"}, "default-src 'self' a.example"),
        ({"default-src": ["'self'", "a.example"]}, "default-src 'self' a.example"),
        ({"default-src": ("'self'",), "img-src": "*"}, "default-src 'self'; img-src *"),
        ({"default-src": "'self' ", "img-src": ["", "*"]}, "default-src 'self'; img-src *"),
        ({"upgrade-insecure-requests": ""}, "upgrade-insecure-requests"),
        ({"upgrade-insecure-requests": []}, "upgrade-insecure-requests"),
        ({"upgrade-insecure-requests": True}, "upgrade-insecure-requests"),
        ({"upgrade-insecure-requests": False, "img-src": None}, ""),
        ({"sandbox": "allow-forms allow-scripts"}, "sandbox allow-forms allow-scripts"),
        ("", ""),
        ({}, ""),
    ],
)
def test_parse_and_write(policy: Any, text: str) -> None:
    """A string and each kind of mapping give the same header, without the white space that means nothing."""
    assert write_policy(parse_policy(policy)) == text


@given(policies)
def test_writing_and_parsing_are_inverse(policy: dict[str, list[str]]) -> None:
    """Whatever policy is written, reading the header gives the same policy again."""
    parsed = parse_policy(policy)
    assert parse_policy(write_policy(parsed)) == parsed
    assert {name: list(values) for name, values in parsed} == policy


@given(st.dictionaries(st.text(max_size=8), st.lists(st.text(max_size=12), max_size=3), max_size=3))
def test_no_value_leaves_its_directive(policy: dict[str, list[str]]) -> None:
    """SECURITY: a policy of any texts is refused, or is a header of one line with as many directives as were given."""
    try:
        text = write_policy(parse_policy(policy))
    except SecurityOptionError:
        return
    assert text.isascii()
    assert text.isprintable() or not text
    assert "," not in text
    found = [part.split() for part in text.split(";")] if text else []
    wanted = [[name, *" ".join(values).split()] for name, values in policy.items()]
    assert found == wanted


@pytest.mark.parametrize(
    "policy",
    [
        {"default-src": "'self'; script-src *"},
        {"default-src": ["a.example;"]},
        {"default-src": "a.example, b.example"},
        {"default-src": "'self'\r\nSet-Cookie: a=b"},
        {"default-src": "'self'\ta.example"},
        {"default-src": "bücher.example"},
        {"default-src": "a\x00b"},
        {"default-src": [7]},
        {"default-src": 7},
        {"default-src; script-src": "*"},
        {"default src": "*"},
        {"": "*"},
        {7: "*"},
        "default-src 'self', script-src *",
        "default-src bücher.example",
        "default-src a\x7fb",
    ],
)
def test_what_breaks_the_header_apart_is_refused(policy: Any) -> None:
    """SECURITY: separators, line ends, control characters and other types are an error that names the place."""
    with pytest.raises(SecurityOptionError, match=r"^my_policy"):
        parse_policy(policy, "my_policy")


def test_messages_say_what_to_do() -> None:
    """The two separators have their own words, and the encoding that is to be used."""
    with pytest.raises(SecurityOptionError, match=r"semicolon ends the directive.*%3B"):
        parse_policy({"img-src": "a;b"})
    with pytest.raises(SecurityOptionError, match=r"comma begins another policy.*%2C"):
        parse_policy({"img-src": "a,b"})


def test_a_nonce_goes_into_its_directives_only() -> None:
    """wntrblm/flask-talisman#12: the nonce was in all directives, so styles were allowed by it that should not be."""
    policy = parse_policy({"script-src": "'self'", "style-src": "a.example", "img-src": "*"})
    pieces = split_at_nonces(policy, ["script-src"])
    assert "XYZ".join(pieces) == "script-src 'self' 'nonce-XYZ'; style-src a.example; img-src *"


def test_the_nonce_of_two_directives_is_the_same() -> None:
    """Scripts and styles of a response share its nonce."""
    policy = parse_policy("script-src 'self'; style-src 'self'")
    header = "N".join(split_at_nonces(policy, ["style-src", "script-src"]))
    assert header == "script-src 'self' 'nonce-N'; style-src 'self' 'nonce-N'"


def test_a_nonce_takes_the_place_of_none() -> None:
    """`'none'` beside a nonce would be ignored by browsers with a warning."""
    assert "N".join(split_at_nonces(parse_policy("script-src 'none'"), ["script-src"])) == "script-src 'nonce-N'"


def test_a_policy_without_nonce_is_one_piece() -> None:
    """A directive that is not there gets no nonce, so nothing has to be put together for a request."""
    policy = parse_policy("default-src 'self'")
    assert split_at_nonces(policy, []) == ("default-src 'self'",)
    assert split_at_nonces(policy, ["script-src"]) == ("default-src 'self'",)


@given(policies, st.lists(names, max_size=3))
def test_pieces_are_the_policy_with_nonces(policy: dict[str, list[str]], nonce_in: list[str]) -> None:
    """Joined with a nonce, the pieces are the policy with one source more in each of those directives."""
    parsed = parse_policy(policy)
    found = dict(parse_policy("NONCE".join(split_at_nonces(parsed, nonce_in))))
    for name, values in parsed:
        with_nonce = (*(value for value in values if value.lower() != "'none'"), "'nonce-NONCE'")
        assert found[name] == (with_nonce if name in nonce_in else values)


def test_nonces_are_random_and_can_stand_in_a_policy() -> None:
    """Each nonce is another one, of the length that is promised, and nothing that ends an attribute or a source."""
    nonces = [make_nonce() for _ in range(500)]
    assert len(set(nonces)) == 500
    for nonce in nonces:
        assert len(nonce) == NONCE_LENGTH == 32
        assert set(nonce) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        assert len(base64.urlsafe_b64decode(nonce)) == 24
    assert find_problems(parse_policy(f"script-src 'nonce-{nonces[0]}'")) == []


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("content", ["alert(1)", b"alert(1)", "", "é"])
def test_source_hash(algorithm: str, content: str | bytes) -> None:
    """The hash is that of the bytes between the tags, in Base64."""
    source = source_hash(content, algorithm)
    digest = hashlib.new(algorithm, content if isinstance(content, bytes) else content.encode()).digest()
    assert source == f"'{algorithm}-{base64.b64encode(digest).decode()}'"
    assert find_problems(parse_policy({"script-src": source})) == []


def test_source_hash_refuses_what_browsers_do_not_know() -> None:
    """A hash of another kind would allow nothing."""
    with pytest.raises(SecurityOptionError, match="sha256"):
        source_hash("alert(1)", "md5")


@pytest.mark.parametrize(
    "policy, problem",
    [
        ("image-src *", "no browser knows the directive 'image-src'; did you mean 'img-src'?"),
        ("frobnicate *", "no browser knows the directive 'frobnicate'"),
        (
            "img-src *; IMG-SRC a",
            "the directive 'IMG-SRC' is there twice, and browsers ignore the second one; join them",
        ),
        ("upgrade-insecure-requests 1", "'upgrade-insecure-requests' has no values, and '1' is ignored"),
        ("img-src self", "img-src self: without single quotes this is the name of a host; write \"'self'\""),
        ('img-src "self"', 'img-src "self": without single quotes this is the name of a host; write "\'self\'"'),
        ("script-src 'slef'", "script-src 'slef': no browser knows this keyword; did you mean 'self'?"),
        ("script-src 'unsafe inline'", "script-src 'unsafe: the quotes do not match; a source holds no spaces"),
        ("script-src 'self", "script-src 'self: the quotes do not match; a source holds no spaces"),
        ("script-src '", "script-src ': the quotes do not match; a source holds no spaces"),
        (
            "script-src 'none' a.example",
            "script-src: 'none' is ignored beside other sources; leave one or the other out",
        ),
        ("script-src 'sha256-!'", "script-src 'sha256-!': no browser knows this keyword"),
    ],
)
def test_problems(policy: str, problem: str) -> None:
    """What browsers ignore, or take for something else, is told with a guess at what was meant."""
    assert problem in find_problems(parse_policy(policy))


@pytest.mark.parametrize(
    "policy",
    [
        "default-src 'self' https: data: *.a.example https://b.example:8443/x/",
        "script-src 'nonce-abc123==' 'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=' 'strict-dynamic'",
        "script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval' 'report-sample'",
        "sandbox allow-forms; report-uri /r; report-to g; trusted-types 'none'; require-trusted-types-for 'script'",
        "img-src 'NONE'",
        "frame-ancestors 'self'; base-uri 'none'; form-action 'self'",
        dict(STRICT_CSP_POLICY),
    ],
)
def test_good_policies_have_no_problems(policy: Any) -> None:
    """Nothing is said about a policy that browsers read as it was meant."""
    assert find_problems(parse_policy(policy)) == []


def test_nonce_directives_are_directives() -> None:
    """The directives that know nonces are directives."""
    assert NONCE_DIRECTIVES <= DIRECTIVES
