"""Which coding a client gets, as RFC 9110 has it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quaff.ext.compress.negotiation import MAX_HEADER, best_codings, choose_coding, parse_accept_encoding
from quaff.ext.compress.settings import CODINGS

WEIGHTS = {
    "": {},
    "gzip": {"gzip": 1.0},
    "gzip, br": {"gzip": 1.0, "br": 1.0},
    "gzip,br": {"gzip": 1.0, "br": 1.0},
    "GZip;Q=0.5": {"gzip": 0.5},
    "gzip ; q=0.5": {"gzip": 0.5},
    "\tgzip;\tq=0.5\t": {"gzip": 0.5},
    "gzip;q=0": {"gzip": 0.0},
    "gzip;q=0.": {"gzip": 0.0},
    "gzip;q=1.": {"gzip": 1.0},
    "gzip;q=1.000": {"gzip": 1.0},
    "gzip;q=0.001": {"gzip": 0.001},
    "x-gzip": {"gzip": 1.0},
    "x-gzip;q=0.2, gzip;q=0.4": {"gzip": 0.4},
    "*;q=0.1": {"*": 0.1},
    "identity;q=0": {"identity": 0.0},
    "gzip, , br,": {"gzip": 1.0, "br": 1.0},
}
"""Header -> the weights in it."""

MALFORMED = (
    "gzip;q=2",
    "gzip;q=1.5",
    "gzip;q=-1",
    "gzip;q=nan",
    "gzip;q=inf",
    "gzip;q=1e9",
    "gzip;q=",
    "gzip;q",
    "gzip;",
    "gzip;level=9",
    "gzip;q=0.5;q=0.6",
    "gzip br",
    "gz\x00ip",
    "gzip;q=\u0661",
    "gzip;q=0.\u0665",
    ";q=1",
    '"gzip"',
)
"""Elements that are no element."""


@pytest.mark.parametrize("header", WEIGHTS)
def test_weights(header: str) -> None:
    """Names come in any case, white space and old names are understood, and the default weight is 1."""
    assert parse_accept_encoding(header) == WEIGHTS[header]


@pytest.mark.parametrize("element", MALFORMED)
def test_malformed_elements_are_left_out(element: str) -> None:
    """What is no element says nothing: the client is not sent a coding that it may not understand; the rest counts."""
    assert parse_accept_encoding(element) == {}
    assert parse_accept_encoding(f"{element}, br;q=0.7") == {"br": 0.7}
    assert choose_coding(CODINGS, element) is None


CHOICES = {
    # What browsers send.
    "gzip, deflate, br, zstd": "zstd",
    "gzip, deflate, br": "br",
    "gzip, deflate": "gzip",
    # What Chrome sends when it wants a part.
    "identity;q=1, *;q=0": None,
    "": None,
    "deflate;q=0.9, gzip;q=0.8": "deflate",
    "br;q=0.5, gzip;q=0.5": "br",
    "compress, what": None,
    "*": "zstd",
    "*;q=0": None,
    "zstd;q=0, *": "br",
    "*, zstd;q=0, br;q=0, gzip;q=0": "deflate",
    "br;q=0.1, *;q=0.9": "zstd",
    "br;q=0.9, *;q=0.1": "br",
    "gzip;q=0": None,
    "identity": None,
    "identity, gzip;q=0.5": None,
    "identity;q=0.5, gzip;q=0.5": "gzip",
    "identity;q=0.4, gzip;q=0.5": "gzip",
    "identity;q=0": None,
    "identity;q=0, gzip;q=0.1": "gzip",
}
"""Header -> the coding that is chosen from all four."""


@pytest.mark.parametrize("header", CHOICES)
def test_choice(header: str) -> None:
    """The client's weights decide, then the order of the server; 0 means never; `*` stands for what is not named."""
    assert choose_coding(CODINGS, header) == CHOICES[header]


def test_the_servers_order_decides_between_equals() -> None:
    """Of codings that the client wants alike, the first one of the server's list is taken."""
    assert choose_coding(("gzip", "br"), "br, gzip") == "gzip"
    assert choose_coding(("br", "gzip"), "br, gzip") == "br"
    assert best_codings(("deflate", "gzip", "br"), "br, gzip, deflate;q=0.9") == ("gzip", "br")


def test_nothing_offered_nothing_chosen() -> None:
    """Without a library and a standard coding switched off there is nothing to choose from."""
    assert choose_coding((), "gzip") is None
    assert best_codings((), "*") == ()


def test_long_headers_are_not_looked_at() -> None:
    """SECURITY: a header of any length costs no more than a look at its length, and the body goes out as it is."""
    fits = "gzip" + " " * (MAX_HEADER - 4)
    assert choose_coding(CODINGS, fits) == "gzip"
    before = best_codings.cache_info()
    assert choose_coding(CODINGS, fits + " ") is None
    assert choose_coding(CODINGS, "gzip," * 1_000_000) is None
    assert best_codings.cache_info() == before


def test_what_is_remembered_is_bounded() -> None:
    """SECURITY: clients that send a thousand different headers fill a table of fixed size."""
    for number in range(1000):
        choose_coding(CODINGS, f"gzip;q=0.{number:03}")
    info = best_codings.cache_info()
    assert info.maxsize is not None
    assert info.currsize <= info.maxsize <= 1000


qualities = st.integers(0, 1000)
names = st.sampled_from((*CODINGS, "identity", "*", "compress"))
offers = st.lists(st.sampled_from(CODINGS), unique=True).map(tuple)


def spell(weight: int) -> str:
    """Return a weight in thousandths as it is written."""
    return f"{weight / 1000:.3f}"


@given(weights=st.dictionaries(names, qualities), offered=offers)
@example(weights={"br": 1, "*": 1000}, offered=("gzip", "br"))
@example(weights={"gzip": 0, "*": 1000}, offered=("gzip",))
def test_the_highest_weight_wins(weights: dict[str, int], offered: tuple[str, ...]) -> None:
    """Whatever the client weighs, the coding has its highest weight above 0, and is the first such of the offer."""
    header = ", ".join(f"{name};q={spell(weight)}" for name, weight in weights.items())
    chosen = choose_coding(offered, header)
    wanted = {name: weights.get(name, weights.get("*", 0)) for name in offered}
    best = max(wanted.values(), default=0)
    if best == 0 or weights.get("identity", 0) > best:
        assert chosen is None
    else:
        assert chosen == next(name for name in offered if wanted[name] == best)


@given(weights=st.dictionaries(names, qualities, min_size=1), offered=offers, data=st.data())
def test_the_order_in_the_header_does_not_matter(
    weights: dict[str, int], offered: tuple[str, ...], data: st.DataObject
) -> None:
    """A client may name codings in any order, in any case and with any white space."""
    elements = [f"{name};q={spell(weight)}" for name, weight in weights.items()]
    expected = choose_coding(offered, ",".join(elements))
    shuffled = data.draw(st.permutations(elements))
    spaced = " , ".join(element.upper().replace(";", " ; ") for element in shuffled)
    assert choose_coding(offered, spaced) == expected


@given(header=st.text(max_size=MAX_HEADER), offered=offers)
def test_any_text_is_read(header: str, offered: tuple[str, ...]) -> None:
    """No header raises, and what is chosen was offered and is named by the header, or stands behind its `*`."""
    chosen = choose_coding(offered, header)
    assert chosen is None or chosen in offered
    assert chosen is None or "*" in header or chosen in header.lower()


@given(header=st.text(alphabet="gzipbrdeflatestd*;q=01., \t", max_size=80))
def test_weights_are_weights(header: str) -> None:
    """Whatever is read, each weight is from 0 to 1, and a coding of weight 0 is never chosen."""
    weights = parse_accept_encoding(header)
    assert all(0 <= weight <= 1 for weight in weights.values())
    chosen = choose_coding(CODINGS, header)
    assert chosen is None or weights.get(chosen, weights.get("*", 0)) > 0
