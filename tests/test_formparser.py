"""Forms within limits, and refused when they are broken."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.datastructures import FileStorage as WerkzeugFileStorage
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.wrappers import Request as WerkzeugRequest

from quaff.formparser import FileStorage, check_disposition, clean_filename, load_form, parse_query
from quaff.streams import body_stream
from tests.watchdog import limited_work

URLENCODED = "application/x-www-form-urlencoded"

OPENED: list[Any] = []
"""The files that requests of the running test opened."""


@pytest.fixture(autouse=True)
def close_files() -> Iterator[None]:
    """Close what a request would close when it ends."""
    yield
    while OPENED:
        OPENED.pop().close()


class Upload(WerkzeugRequest):
    """A request whose body comes through Quaff's streams, and which remembers the files that it opened."""

    def __init__(self, body: bytes, content_type: str, *, chunked: bool = False, announced: int | None = None) -> None:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST",
            "wsgi.input": io.BytesIO(body),
            "CONTENT_TYPE": content_type,
        }
        if chunked:
            environ["wsgi.input_terminated"] = True
        else:
            environ["CONTENT_LENGTH"] = str(len(body) if announced is None else announced)
        super().__init__(environ)
        self.opened: list[Any] = []

    @property
    def stream(self) -> Any:  # type: ignore[override]
        """The body, guarded."""
        return body_stream(self.environ, None)

    def _get_file_stream(self, *args: Any, **kwargs: Any) -> Any:
        self.opened.append(super()._get_file_stream(*args, **kwargs))
        OPENED.append(self.opened[-1])
        return self.opened[-1]


def load(request: Upload, **options: Any) -> tuple[Any, Any]:
    """Parse with Flask's default limits unless told otherwise; give fields and files."""
    settings: dict[str, Any] = {"max_parts": 1000, "max_memory": 500_000, "max_content_length": None, "compat": ()}
    stream, form, files = load_form(request, **{**settings, **options})  # type: ignore[arg-type]
    assert stream.read() == b""
    return form, files


def load_urlencoded(body: bytes, **options: Any) -> Any:
    """Give the fields of an urlencoded body."""
    return load(Upload(body, URLENCODED), **options)[0]


def part(disposition: str, body: bytes = b"value", *more: str) -> bytes:
    """Give one part of a multipart body."""
    lines = [f"Content-Disposition: {disposition}", *more]
    return b"--B\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + body + b"\r\n"


def multipart(*parts: bytes, end: bytes = b"--B--\r\n", boundary: str = "B", **options: Any) -> tuple[Any, Any]:
    """Give fields and files of a multipart body made of *parts*."""
    return load(Upload(b"".join(parts) + end, f"multipart/form-data; boundary={boundary}"), **options)


def werkzeug_multipart(body: bytes, content_type: str) -> tuple[Any, Any]:
    """Give what Werkzeug makes of the body."""
    request = Upload(body, content_type)
    parser = FormDataParser(stream_factory=request._get_file_stream, cls=ImmutableMultiDict)
    return parser.parse(io.BytesIO(body), request.mimetype, len(body), request.mimetype_params)[1:]


# --- urlencoded and query strings: the same as Werkzeug ---

PIECES = st.lists(
    st.sampled_from(["a", "b", "=", "&", "+", "%", "%41", "%ff", "%c3%a9", "%E2%82", "%zz", "%0", "é", ";", "1"])
)


@given(PIECES.map("".join))
@example("a=1&a=2&b=&c&=d&&=&e=f=g")
@example("é%C3%é")
def test_forms_and_queries_are_read_as_werkzeug_reads_them(text: str) -> None:
    """For any text: the same names, the same values, the same order, in both kinds of MultiDict."""
    raw = text.encode()
    theirs = WerkzeugRequest({"QUERY_STRING": raw.decode("latin1"), "REQUEST_METHOD": "GET"}).args
    for ours in (parse_query(raw.decode("latin1"), ImmutableMultiDict), load_urlencoded(raw)):
        assert type(ours) is ImmutableMultiDict
        assert ours == theirs
        assert list(ours.items(multi=True)) == list(theirs.items(multi=True))
        assert list(ours.lists()) == list(theirs.lists())
    other = parse_query(raw.decode("latin1"), MultiDict)
    assert type(other) is MultiDict
    assert list(other.items(multi=True)) == list(theirs.items(multi=True))


def test_a_class_of_the_users_own_gets_the_pairs() -> None:
    """In the order in which they stand in the text, so that a class may keep it, or keep the last value only."""

    class Last(dict[str, str]):
        pass

    seen: list[list[tuple[str, str]]] = []

    class Ordered(MultiDict[str, str]):
        def __init__(self, pairs: Any = ()) -> None:
            seen.append(list(pairs))
            super().__init__(seen[-1])

    cls: Any = Last
    assert parse_query("a=1&b=%20&a=3", cls) == {"a": "3", "b": " "}
    parse_query("a=1&b=%20&a=3", Ordered)
    assert seen == [[("a", "1"), ("b", " "), ("a", "3")]]


def test_the_fast_multidict_is_a_whole_one() -> None:
    """What is built without `__init__` can be hashed, copied, pickled to and refuses changes."""
    made = parse_query("a=1&a=2&b=3", ImmutableMultiDict)
    assert made.getlist("a", type=int) == [1, 2]
    assert hash(made) == hash(ImmutableMultiDict([("a", "1"), ("a", "2"), ("b", "3")]))
    assert made.to_dict(flat=False) == {"a": ["1", "2"], "b": ["3"]}
    assert type(made.copy()) is MultiDict
    with pytest.raises(TypeError, match="immutable"):
        made["a"] = "2"
    with pytest.raises(BadRequest):
        made["c"]


def test_a_query_with_raw_bytes_that_are_not_utf8_is_a_400() -> None:
    """Werkzeug raises `UnicodeDecodeError`, a 500."""
    for query in ("q=\xff", "q=\xc3", "\u2603=1"):
        with pytest.raises(BadRequest, match="query string is not valid UTF-8"):
            parse_query(query, ImmutableMultiDict)
    assert parse_query("q=\xc3\xa9", ImmutableMultiDict)["q"] == "é"


def test_a_form_with_raw_bytes_that_are_not_utf8_is_a_400() -> None:
    """Werkzeug returns an empty form, and the view cannot tell."""
    with pytest.raises(BadRequest, match="form is not valid UTF-8"):
        load_urlencoded(b"q=\xff")


@pytest.mark.parametrize("content_type", [URLENCODED, f"{URLENCODED}; charset=UTF-8", URLENCODED.upper()])
def test_the_content_type_may_be_spelled_in_any_way(content_type: str) -> None:
    """Parameters and upper case do not hide a form."""
    assert load(Upload(b"a=1", content_type))[0]["a"] == "1"


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/x-url-encoded", "x"])
def test_what_is_no_form_stays_in_the_stream(content_type: str) -> None:
    """The body of another type is not touched (W24)."""
    request = Upload(b"a=1", content_type)
    stream, form, files = load_form(
        request,  # type: ignore[arg-type]
        max_parts=1,
        max_memory=1,
        max_content_length=None,
    )
    assert (stream.read(), len(form), len(files)) == (b"a=1", 0, 0)


# --- urlencoded: limits ---


@pytest.mark.parametrize("chunked", [False, True])
def test_urlencoded_fields_are_counted(chunked: bool) -> None:
    """The limit itself is accepted, one more is a 413 (W2)."""
    at_limit = b"&".join(b"a" for _ in range(1000))
    form, _ = load(Upload(at_limit, URLENCODED, chunked=chunked))
    assert len(form.getlist("a")) == 1000
    with pytest.raises(RequestEntityTooLarge, match="more than the 1000 fields"):
        load(Upload(at_limit + b"&a", URLENCODED, chunked=chunked))


@pytest.mark.parametrize("chunked", [False, True])
def test_urlencoded_bytes_are_counted(chunked: bool) -> None:
    """The limit itself is accepted, one byte more is a 413 (W2)."""
    at_limit = b"a=" + b"x" * 98
    assert load(Upload(at_limit, URLENCODED, chunked=chunked), max_memory=100)[0]["a"] == "x" * 98
    with pytest.raises(RequestEntityTooLarge, match="larger than the 100 bytes"):
        load(Upload(at_limit + b"x", URLENCODED, chunked=chunked), max_memory=100)


def test_a_form_that_is_announced_too_large_is_not_read() -> None:
    """The 413 comes before the first byte is asked for."""
    request = Upload(b"a=" + b"x" * 200, URLENCODED)
    with pytest.raises(RequestEntityTooLarge):
        load(request, max_memory=100)
    assert request.environ["wsgi.input"].tell() == 0


def test_limits_can_be_none() -> None:
    """None means no limit, as in Flask."""
    assert len(load_urlencoded(b"a&" * 5000, max_parts=None, max_memory=None).getlist("a")) == 5000


def test_a_limit_of_no_fields_accepts_an_empty_form() -> None:
    """An empty body has no field."""
    assert load_urlencoded(b"", max_parts=0) == ImmutableMultiDict()


def test_form_limits_in_compat_brings_unlimited_forms_back() -> None:
    """Werkzeug 3.1.9 limits multipart only."""
    assert len(load_urlencoded(b"a&" * 5000, max_memory=100, compat=("form-limits",)).getlist("a")) == 5000


def test_a_form_shorter_than_announced_is_a_400() -> None:
    """Half a form is no form."""
    with pytest.raises(ClientDisconnected):
        load(Upload(b"a=1", URLENCODED, announced=10))


# --- multipart: what is read ---


def test_fields_and_files_are_told_apart() -> None:
    """A part with a file name is a file; names may repeat, order is kept."""
    form, files = multipart(
        part('form-data; name="a"', b"1"),
        part('form-data; name="f"; filename="x.txt"', b"file\r\nbody", "Content-Type: text/plain"),
        part('form-data; name="a"', "é".encode()),
        part("form-data; name=token", b""),
    )
    assert list(form.items(multi=True)) == [("a", "1"), ("a", "é"), ("token", "")]
    assert isinstance(files["f"], WerkzeugFileStorage)
    assert (files["f"].filename, files["f"].mimetype, files["f"].read()) == ("x.txt", "text/plain", b"file\r\nbody")


@pytest.mark.parametrize(
    "name, read",
    [
        ('"a b"', "a b"),
        ('"a%22b"', 'a"b'),
        ('"a\\"b"', 'a"b'),
        ('"a\\\\b"', "a\\b"),
        ('"a;b=c"', "a;b=c"),
        ('"名"', "名"),
        ('""', ""),
    ],
)
def test_names_are_unquoted_as_in_werkzeug(name: str, read: str) -> None:
    """Both ways in which browsers write a quote, and everything that may stand inside quotes."""
    assert list(multipart(part(f"form-data; name={name}", b"1"))[0]) == [read]


@pytest.mark.parametrize("charset, raw", [("utf-8", b"\xc3\xa9"), ("iso-8859-1", b"\xe9"), ("utf-7", b"\xc3\xa9")])
def test_a_field_may_say_its_charset(charset: str, raw: bytes) -> None:
    """Of the few that are safe; any other means UTF-8."""
    form, _ = multipart(part('form-data; name="a"', raw, f"Content-Type: text/plain; charset={charset}"))
    assert form["a"] == "é"


def test_an_empty_body_is_an_empty_form() -> None:
    """Clients send the content type with requests that have no body; nothing was lost, so nothing is refused."""
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=B"):
        assert load(Upload(b"", content_type)) == (ImmutableMultiDict(), ImmutableMultiDict())


def test_a_form_without_parts_is_empty() -> None:
    """The end alone is a form without fields."""
    assert multipart() == (ImmutableMultiDict(), ImmutableMultiDict())


def test_preamble_and_epilogue_are_ignored() -> None:
    """RFC 2046 allows text around the parts."""
    form, _ = multipart(b"preamble\r\n", part('form-data; name="a"', b"1"), end=b"--B--\r\nepilogue\r\n")
    assert form == ImmutableMultiDict({"a": "1"})


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.none() | st.sampled_from(["x.txt", "a b", ""]), st.binary(max_size=30))
    ),
    st.sampled_from(["\r\n", "\n"]),
)
def test_good_forms_are_read_as_werkzeug_reads_them(parts: list[tuple[str, str | None, bytes]], line: str) -> None:
    """Fields, files and their bytes are the same."""
    body = b""
    for name, filename, data in parts:
        extra = "" if filename is None else f'; filename="{filename}"'
        body += f'--BB{line}Content-Disposition: form-data; name="{name}"{extra}{line}{line}'.encode()
        body += data.replace(b"--BB", b"") + line.encode()
    body += f"--BB--{line}".encode()
    ours, our_files = load(Upload(body, "multipart/form-data; boundary=BB"))
    theirs, their_files = werkzeug_multipart(body, "multipart/form-data; boundary=BB")
    assert list(ours.items(multi=True)) == list(theirs.items(multi=True))
    assert [(key, file.filename, file.read()) for key, file in our_files.items(multi=True)] == [
        (key, file.filename, file.read()) for key, file in their_files.items(multi=True)
    ]


class Split(io.BytesIO):
    """An input whose first read ends at *at*, and which then gives *step* bytes a read."""

    def __init__(self, body: bytes, at: int, step: int) -> None:
        super().__init__(body)
        self.at, self.step = at, step

    def read(self, size: int | None = -1, /) -> bytes:
        """Return what arrived so far."""
        return super().read(self.at - self.tell() if self.tell() < self.at else self.step)


@pytest.mark.parametrize("padding", ["", " ", " \t "])
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_any_chunking_gives_the_same_form(padding: str, step: int) -> None:
    """Wherever the reads end, every byte of the fields and files is there and none is added."""
    body = b"".join(
        [
            part('form-data; name="a"', b"1\r\n--2\n"),
            part('form-data; name="f"; filename="x"', b"\r\n" * 3 + b"--\r"),
            part('form-data; name="f"; filename="y"', b"--Bx\r\n--B-\r\n--B-x"),
            part('form-data; name="f"; filename="z"', b""),
            b"--B--",
        ]
    ).replace(b"--B\r\n", b"--B" + padding.encode() + b"\r\n")
    for at in range(1, len(body)):
        request = Upload(body, "multipart/form-data; boundary=B")
        request.environ["wsgi.input"] = Split(body, at, step)
        form, files = load(request)
        assert form["a"] == "1\r\n--2\n"
        contents = [file.read() for file in files.getlist("f")]
        assert contents == [b"\r\n" * 3 + b"--\r", b"--Bx\r\n--B-\r\n--B-x", b""]


def test_large_files_go_to_disk() -> None:
    """As in Werkzeug: the stream factory of the request is used."""
    request = Upload(
        part('form-data; name="f"; filename="x"', b"x" * 600_000) + b"--B--", "multipart/form-data; boundary=B"
    )
    _, files = load(request)
    assert files["f"].stream is request.opened[0]
    assert request.opened[0]._rolled
    files["f"].close()


# --- multipart: what is refused ---

GOOD = 'form-data; name="a"'

BROKEN: dict[str, tuple[bytes, str]] = {
    "truncated in the headers": (
        b'--B\r\nContent-Disposition: form-data; name="a"',
        "it ends before its last boundary",
    ),
    "truncated in the value": (part(GOOD)[:-3], "it ends before its last boundary"),
    "no end": (part(GOOD), "it ends before its last boundary"),
    "end with one hyphen": (part(GOOD) + b"--B-", "it ends before its last boundary"),
    "another boundary": (part(GOOD).replace(b"--B", b"--C") + b"--C--", "it ends before its last boundary"),
    "no part at all": (b"hello", "it ends before its last boundary"),
    "no disposition": (b"--B\r\nContent-Type: text/plain\r\n\r\n1\r\n--B--", "exactly one Content-Disposition"),
    "no headers": (b"--B\r\n\r\n\r\n1\r\n--B--", "exactly one"),
    "two dispositions": (part(GOOD, b"1", 'Content-Disposition: form-data; name="b"') + b"--B--", "exactly one"),
    "no name": (part("form-data") + b"--B--", "has no name"),
    "file without a name": (part('form-data; filename="x"') + b"--B--", "has no name"),
    "name twice": (part('form-data; name="a"; name="b"') + b"--B--", "parameter twice"),
    "name twice in other case": (part('form-data; name="a"; NAME="b"') + b"--B--", "parameter twice"),
    "filename twice": (part(f'{GOOD}; filename="x"; filename="y"') + b"--B--", "parameter twice"),
    "extended name": (part("form-data; name=\"comment\"; name*=utf-8''role") + b"--B--", "extended parameter"),
    "extended filename": (part(f"{GOOD}; filename=\"safe\"; filename*=utf-8''..%2Fevil") + b"--B--", "extended"),
    "extended filename alone": (part(f"{GOOD}; filename*=utf-8''x") + b"--B--", "extended"),
    "extended filename in other case": (part(f"{GOOD}; FileName*=utf-8''x") + b"--B--", "extended"),
    "continued filename": (part(f'{GOOD}; filename="safe"; filename*0="evil"') + b"--B--", "extended"),
    "continued extended filename": (part(f"{GOOD}; filename*0*=utf-8''x; filename*1=y") + b"--B--", "extended"),
    "open quote": (part('form-data; name="a') + b"--B--", "does not parse"),
    "open quote hiding a name": (part("form-data; name=\"a; name*=utf-8''b") + b"--B--", "does not parse"),
    "quote outside a value": (part('form-data; x "y; name*=utf-8\'\'role"; name="c"') + b"--B--", "does not parse"),
    "quote inside a token": (part('form-data; name=a"b"') + b"--B--", "does not parse"),
    "escaped last quote": (part('form-data; name="a\\"') + b"--B--", "does not parse"),
    "space before the equals sign": (part('form-data; name ="a"') + b"--B--", "does not parse"),
    "no type": (part('; name="a"') + b"--B--", "does not parse"),
    "header that is not UTF-8": (part(GOOD).replace(b'"a"', b'"\xff"') + b"--B--", "decode|codec"),
    "17 headers": (part(GOOD, b"1", *(f"X-{number}: 1" for number in range(16))) + b"--B--", "more than 16 headers"),
    "large header": (part(GOOD, b"1", f"X: {'x' * 8200}") + b"--B--", "more than 8192 bytes"),
    "large header without end": (b"--B\r\nX: " + b"x" * 70_000, "more than 8192 bytes"),
}


@pytest.mark.parametrize("body, reason", BROKEN.values(), ids=BROKEN)
def test_a_broken_form_is_a_400(body: bytes, reason: str) -> None:
    """Nothing of it reaches the view, and the answer says what is wrong."""
    with pytest.raises(BadRequest, match=f"The multipart form cannot be read: .*({reason})"):
        load(Upload(body, "multipart/form-data; boundary=B"))


@pytest.mark.parametrize("body, reason", BROKEN.values(), ids=BROKEN)
def test_lenient_multipart_in_compat_is_silent_as_werkzeug(body: bytes, reason: str) -> None:
    """The same bodies give what Werkzeug gives: an empty form, or what it reads there."""
    ours = load(Upload(body, "multipart/form-data; boundary=B"), compat=("lenient-multipart", "raw-filenames"))
    theirs = werkzeug_multipart(body, "multipart/form-data; boundary=B")
    assert ours[0] == theirs[0]
    assert [file.filename for file in ours[1].values()] == [file.filename for file in theirs[1].values()]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_shorter_than_announced_is_a_400(chunked: bool) -> None:
    """Also when every part that came is whole."""
    body = part(GOOD) + b"--B--\r\n"
    with pytest.raises(ClientDisconnected):
        load(Upload(body, "multipart/form-data; boundary=B", announced=len(body) + 1))


BOUNDARIES = {
    "": "names no boundary",
    '""': "names no boundary",
    "x" * 81: "longer than 80",
    "x" * 70_000: "longer than 80",
    '"é"': "characters that no boundary has",
    '"a "': "characters that no boundary has",
    '"a\x00"': "characters that no boundary has",
}


@pytest.mark.parametrize("boundary, reason", BOUNDARIES.items(), ids=lambda text: ascii(text[:12]))
def test_a_bad_boundary_is_a_400(boundary: str, reason: str) -> None:
    """Without one the body has no parts; RFC 2046 ends it at 70 characters, real clients at a few more."""
    with pytest.raises(BadRequest, match=reason):
        multipart(part(GOOD), boundary=boundary)


def test_no_boundary_is_a_400() -> None:
    """The parameter may be missing altogether."""
    with pytest.raises(BadRequest, match="names no boundary"):
        load(Upload(part(GOOD) + b"--B--", "multipart/form-data"))


@pytest.mark.parametrize(
    "boundary", ["x" * 80, "*****", "----WebKitFormBoundaryAbc123", '"a b"', '"\'()+_,-./:=?"', "0"], ids=ascii
)
def test_boundaries_of_real_clients_are_accepted(boundary: str) -> None:
    """Every character of RFC 2046, and the asterisks that much Android code sends."""
    bare = boundary.strip('"').encode()
    body = b"--" + bare + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--' + bare + b"--\r\n"
    assert load(Upload(body, f"multipart/form-data; boundary={boundary}"))[0]["a"] == "1"


# --- multipart: limits ---


def test_parts_are_counted() -> None:
    """The limit itself is accepted, one more is a 413; files count as fields do."""
    field, file = part(GOOD, b"1"), part('form-data; name="f"; filename="x"', b"1")
    form, files = multipart(*[field] * 500, *[file] * 500)
    assert (len(form.getlist("a")), len(files.getlist("f"))) == (500, 500)
    with pytest.raises(RequestEntityTooLarge):
        multipart(*[field] * 500, *[file] * 501)


def test_the_bytes_of_a_field_are_counted() -> None:
    """A field of the limit is accepted, one more byte is a 413; a file may be larger."""
    limit = 200_000
    assert len(multipart(part(GOOD, b"x" * limit), max_memory=limit)[0]["a"]) == limit
    with pytest.raises(RequestEntityTooLarge):
        multipart(part(GOOD, b"x" * (limit + 1)), max_memory=limit)
    _, files = multipart(part('form-data; name="f"; filename="x"', b"x" * 300_000), max_memory=limit)
    assert len(files["f"].read()) == 300_000


def test_sixteen_headers_and_8_kib_are_accepted() -> None:
    """The limits themselves."""
    assert multipart(part(GOOD, b"1", *(f"X-{number}: 1" for number in range(15))))[0]["a"] == "1"
    head = len(f"Content-Disposition: {GOOD}\r\nX: ")
    assert multipart(part(GOOD, b"1", f"X: {'x' * (8192 - head)}"))[0]["a"] == "1"


def test_files_of_a_refused_form_are_closed() -> None:
    """Nothing stays on disk: neither the file that was whole nor the one that was cut."""
    whole = part('form-data; name="f"; filename="x"', b"1" * 600_000)
    request = Upload(whole + whole[:-700], "multipart/form-data; boundary=B")
    with pytest.raises(BadRequest):
        load(request)
    assert [file.closed for file in request.opened] == [True, True]


FLOODS = [b"\r", b"\n", b"\r\n", b"\r\n--", b"\r\n--B", b"--B", b"\r\n--B ", b"-", b" ", b"\x00"]


@pytest.mark.parametrize("flood", FLOODS, ids=repr)
@pytest.mark.parametrize("kind", ["field", "file", "preamble"])
def test_hostile_input_takes_linear_time(flood: bytes, kind: str) -> None:
    """4 MB of what a parser has to look at twice are parsed or refused, not brooded over (CVE-2023-46136)."""
    data = flood * (4_000_000 // len(flood))
    extra = '; filename="x"' if kind == "file" else ""
    body = data if kind == "preamble" else part(GOOD + extra, data)
    request = Upload(body, "multipart/form-data; boundary=B")
    with limited_work(), contextlib.suppress(BadRequest):
        load(request, max_memory=None, max_parts=None)
    for file in request.opened:
        file.close()


def test_hostile_dispositions_take_linear_time() -> None:
    """Every part header of 8 KiB is judged in a moment, whatever is in it."""
    for piece in ('; a="\\', '; a="', ";", "; a=b", '"', "\\", '; a="\\\\"', " ", "; a*=b"):
        text = "form-data" + piece * (8000 // len(piece))
        with limited_work(), pytest.raises(ValueError, match="Content-Disposition"):
            check_disposition(text)


# --- file names ---


@pytest.mark.parametrize(
    "raw, clean",
    [
        ("cat.jpg", "cat.jpg"),
        ("my cat (1).jpg", "my cat (1).jpg"),
        ("猫.jpg", "猫.jpg"),
        (".htaccess", ".htaccess"),
        ("../../x\0.txt", "x.txt"),
        ("..\\..\\x.txt", "x.txt"),
        ("C:\\photos\\cat.jpg", "cat.jpg"),
        ("/etc/passwd", "passwd"),
        ("a/b\\c/d", "d"),
        ("x\r\ny", "xy"),
        ("\x7fx\x1b", "x"),
        (".\x00.", ""),
        ("..", ""),
        (".", ""),
        ("../", ""),
        ("a/..", ""),
        ("a\\.", ""),
        ("", ""),
    ],
    ids=repr,
)
def test_file_names_lose_folders_and_control_characters(raw: str, clean: str) -> None:
    """What is left is one name, or nothing (W7)."""
    assert clean_filename(raw) == clean


@given(st.text())
def test_a_clean_file_name_is_one_name(raw: str) -> None:
    """No separator, no control character, no step upwards; cleaning twice changes nothing."""
    clean = clean_filename(raw)
    assert not set(clean) & {"/", "\\", "\0", "\r", "\n"}
    assert clean not in {".", ".."}
    assert clean_filename(clean) == clean


def test_an_uploaded_file_has_both_names() -> None:
    """`filename` is clean; `raw_filename` is what the client sent."""
    _, files = multipart(part('form-data; name="f"; filename="../../x\0.txt"'))
    assert isinstance(files["f"], FileStorage)
    assert (files["f"].filename, files["f"].raw_filename) == ("x.txt", "../../x\0.txt")


def test_raw_filenames_in_compat_keeps_what_was_sent() -> None:
    """As in Werkzeug."""
    _, files = multipart(part('form-data; name="f"; filename="../x"'), compat=("raw-filenames",))
    assert (files["f"].filename, files["f"].raw_filename) == ("../x", "../x")


def test_a_file_field_without_a_file_keeps_its_empty_name() -> None:
    """Browsers send an empty name when nothing was chosen; apps compare with the empty string."""
    _, files = multipart(part('form-data; name="f"; filename=""', b""))
    assert files["f"].filename == ""


@pytest.mark.parametrize("load_again", [lambda file: FileStorage(), lambda file: FileStorage(io.BytesIO(b"1"), "x")])
def test_a_file_made_by_hand_has_no_raw_name(load_again: Callable[[Any], FileStorage]) -> None:
    """The class can be used as Werkzeug's."""
    assert load_again(None).raw_filename is None
