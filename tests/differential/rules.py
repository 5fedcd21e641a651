"""Random URL rules, and random paths that nearly fit them. For the tests of the router and of `url_for`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from werkzeug.routing import BaseConverter, IntegerConverter, ValidationError

from quaff.routing import Map, Rule

SOME_UUID = "12345678-1234-5678-1234-56781234567a"


class PairConverter(BaseConverter):
    """Two words around a dash, as a tuple."""

    regex = r"[a-z]+-[a-z]+"

    def to_python(self, value: str) -> tuple[str, ...]:
        return tuple(value.split("-"))

    def to_url(self, value: Any) -> str:
        return "-".join(value)


class PickyConverter(BaseConverter):
    """Takes any segment, and then refuses those that start with a `b`."""

    def to_python(self, value: str) -> str:
        if value.startswith("b"):
            raise ValidationError
        return value.upper()


class EvenConverter(IntegerConverter):
    """A subclass of a converter that the router knows, with a mind of its own."""

    def to_python(self, value: str) -> int:
        number = int(super().to_python(value))
        if number % 2:
            raise ValidationError
        return number


class RestConverter(BaseConverter):
    """Takes slashes, and even nothing at all."""

    part_isolating = False
    regex = r".*?"
    weight = 300


CONVERTERS: dict[str, type[BaseConverter]] = {
    "even": EvenConverter,
    "pair": PairConverter,
    "picky": PickyConverter,
    "rest": RestConverter,
}

FIXED = ["a", "b", "ab", "v1", "x.y", "a+b", "(z)", "1", "ü", "a b", "a-b", "~", "$&'", "café", "%", "a|b", "*", "12"]
DYNAMIC: dict[str, list[str]] = {
    "<{}>": ["a", "q", "ü", "x.y", "1", "a b", "12"],
    "<string(length=2):{}>": ["ab", "üa", "12", "a"],
    "<string(minlength=2, maxlength=3):{}>": ["ab", "abc", "a", "abcd"],
    "<int:{}>": ["1", "007", "99", "٣", "²", "1" * 700, "1" * 5000],
    "<int(signed=True):{}>": ["-1", "1", "--1", "-" + "1" * 5000],
    "<int(fixed_digits=2):{}>": ["12", "1", "123"],
    "<int(min=2, max=50):{}>": ["2", "1", "51", "12"],
    "<float:{}>": ["1.5", "1", "1.", "1.5.5"],
    "<float(signed=True):{}>": ["-1.5", "1.5"],
    "<uuid:{}>": [SOME_UUID, SOME_UUID.upper(), SOME_UUID[1:]],
    "<any(a, b, 'x.y'):{}>": ["a", "b", "x.y", "xay"],
    "<pair:{}>": ["a-b", "q-r", "a-"],
    "<picky:{}>": ["a", "b", "q"],
    "<even:{}>": ["2", "3", "12"],
}
"""Rule segments with one variable -> texts that fit, or nearly."""

MIXED: dict[str, list[str]] = {
    "v<int:{}>": ["v1", "v12", "v", "v" + "1" * 5000],
    "<{}>.<{}>": ["a.b", "a.b.c", "x.y", "."],
    "v<int:{}>.<{}>": ["v1.a", "v1.", "v" + "1" * 5000 + ".a"],
    "<int:{}>-<int:{}>": ["1-2", "-1-2", "1-"],
    "a<string(length=1):{}>b": ["aab", "a.b", "ab"],
}
"""Rule segments that mix fixed text and variables."""

TAILS: dict[str, list[str]] = {
    "<path:{}>": ["a", "a/b", "a/b/", "1/2/3"],
    "<path:{}>/edit": ["a/edit", "a/b/edit", "edit", "a/edit/"],
    "<path:{}>.txt": ["a.txt", "a/b.txt", ".txt"],
    "<safe_path:{}>": ["a/b", "a/../b", "a/./b", "a:b"],
    "<int:{}>/<path:{}>": ["1/a/b", "1/a", "1"],
    "<rest:{}>": ["", "a", "a/b", "a/b/"],
}
"""Ends of rules that take slashes."""

METHODS = ["GET", "POST", "PUT", "OPTIONS"]


@dataclass
class Written:
    """A rule as text and options, and a path that it was written for."""

    text: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Written({self.text!r}, {self.path[:80]!r}, {self.options!r})"


def _segments() -> SearchStrategy[tuple[str, str]]:
    """Draw a segment of a rule together with one of a path."""
    fixed = st.sampled_from(FIXED).map(lambda text: (text, text))
    return st.one_of(fixed, fixed, _pieces(DYNAMIC), _pieces(DYNAMIC), _pieces(MIXED))


def _pieces(table: dict[str, list[str]]) -> SearchStrategy[tuple[str, str]]:
    return st.sampled_from([(segment, text) for segment, texts in table.items() for text in texts])


def _named(text: str) -> str:
    """Give each variable of a rule a name of its own."""
    count = text.count("{}")
    return text.format(*(f"n{index}" for index in range(count)))


@st.composite
def written_rules(draw: DrawFn, *, usual: bool = False) -> Written:
    """Draw a rule. A *usual* one has no options but methods, and takes no slashes but at its end."""
    parts = draw(st.lists(_segments(), max_size=3))
    if draw(st.integers(0, 4)) == 0:
        parts.append(draw(_pieces(TAILS if not usual else {"<path:{}>": TAILS["<path:{}>"]})))
    end = draw(st.sampled_from(["", "", "/"])) if parts and not usual else ""
    text = _named("/" + "/".join(segment.replace("{", "{").replace("%", "%") for segment, _ in parts) + end)
    path = "/" + "/".join(piece for _, piece in parts) + end
    options: dict[str, Any] = {"methods": draw(st.sampled_from([["GET"], ["GET"], ["GET", "POST"], ["POST"], ["PUT"]]))}
    if not usual:
        _draw_unusual_options(draw, options)
        if draw(st.integers(0, 11)) == 0:
            text = text.replace("/", "//", 2)
    return Written(text, path, options)


def _draw_unusual_options(draw: DrawFn, options: dict[str, Any]) -> None:
    unusual: dict[str, Any] = {
        "alias": True,
        "build_only": True,
        "defaults": {"extra": 1},
        "merge_slashes": False,
        "methods": None,
        "redirect_to": "/elsewhere",
        "strict_slashes": False,
        "subdomain": "sub",
        "websocket": True,
    }
    for name in (
        draw(st.lists(st.sampled_from(sorted(unusual)), max_size=2, unique=True)) if draw(st.booleans()) else ()
    ):
        if name == "websocket" and options.get("methods") not in (None, ["GET"]):
            continue
        if name == "methods" or name not in options:
            options[name] = unusual[name]
    if options.get("websocket"):
        options["methods"] = ["GET"]


def make_map(rules: list[Written], **settings: Any) -> Map:
    """Return a map of these rules; each has its number as endpoint, but default twins share the one of their options."""
    url_map = Map(**settings)
    url_map.converters.update(CONVERTERS)
    for number, rule in enumerate(rules):
        options = {"endpoint": str(number), **rule.options}
        url_map.add(Rule(rule.text, **options))
    return url_map


TWINS = [
    Written("/all/", "/all/", {"endpoint": "all", "defaults": {"page": 1}, "methods": ["GET"]}),
    Written("/all/page/<int:page>", "/all/page/1", {"endpoint": "all", "methods": ["GET"]}),
    Written("/all/page/<int:page>", "/all/page/2", {"endpoint": "put", "methods": ["PUT"]}),
]
"""Two rules of one endpoint: the second redirects to the first for the default's value."""


def rule_lists(*, usual: bool = False) -> SearchStrategy[list[Written]]:
    """Draw the rules of a map."""
    lists = st.lists(written_rules(usual=usual), min_size=1, max_size=7)
    if usual:
        return lists
    return st.builds(
        lambda rules, twins: [*rules, *(TWINS if twins else ())], lists, st.integers(0, 5).map(lambda n: n == 0)
    )


@st.composite
def paths(draw: DrawFn, rules: list[Written]) -> str:
    """Draw a path that fits one of the rules, or nearly."""
    path = draw(st.sampled_from([rule.path for rule in rules]))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        path = draw(_mutations(path))
    return path


def _mutations(path: str) -> SearchStrategy[str]:
    texts = sorted({*FIXED, *(text for table in (DYNAMIC, MIXED) for texts in table.values() for text in texts)})
    head, _, last = path.rpartition("/")
    return st.one_of(
        st.sampled_from(
            [
                path + "/",
                path.rstrip("/"),
                path.replace("/", "//", 1),
                path.replace("/", "//"),
                path[1:],
                "",
                "/",
                "/" + path,
                path + "\n",
                path.replace("1", "\n1", 1),
                path + ".",
                path + "/./..",
                head + "/",
                path.upper(),
                path.replace("1", "9" * 4500, 1),
                path + "\u0660",
                path + "�",
            ]
        ),
        st.sampled_from(texts).map(lambda text: f"{head}/{text}"),
        st.sampled_from(texts).map(lambda text: f"/{text}/{last}"),
        st.sampled_from(texts).map(lambda text: f"{path}/{text}"),
    )


SAMPLE_VALUES: list[Any] = [
    "a", "ü", "a b", "a/b", "/a", "x.y", "", "%2F", "?", "#", 1, 0, -1, "7", True, None, 1.5, ["a", "b"], [], ("q", "r"),
    uuid.UUID(SOME_UUID), b"bytes",
]  # fmt: skip
"""Values that somebody might hand to `url_for`."""
