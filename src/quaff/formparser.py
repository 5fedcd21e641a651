"""Forms: from a body or a query string to fields and files, within limits, and refusing what is broken.

Werkzeug returns an empty form when the body cannot be parsed, and the view cannot tell that from a form that was empty.
Here a broken form is a 400 and an oversized one a 413, for both kinds of form alike. Names in the app's `COMPAT` bring
single old behaviours back:

- `form-limits`: urlencoded forms of any size and number of fields;
- `lenient-multipart`: what is wrong with a multipart form makes it empty instead of a 400;
- `raw-filenames`: `file.filename` is what the client sent, with folders and control characters.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Mapping
from typing import IO, Any, NoReturn, Protocol, TypeVar, cast
from urllib.parse import parse_qsl, unquote, unquote_to_bytes

from werkzeug.datastructures import FileStorage as _FileStorageBase
from werkzeug.datastructures import Headers, ImmutableMultiDict, MultiDict
from werkzeug.exceptions import BadRequest, BadRequestKeyError, RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData, State

from .streams import ExactBody

_StorageT = TypeVar("_StorageT", bound=MultiDict[str, Any])

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

PART_HEADERS_MAX = 16
PART_HEADER_BYTES_MAX = 8 * 1024
BOUNDARY_MAX = 80
"""RFC 2046 section 5.1.1 says 70. COMPAT: those of Werkzeug's test client, with a time and a random number in them, have up
to 72."""
PADDING_MAX = 64

_QUOTE_INVALID = "werkzeug.url_quote"
codecs.lookup_error(_QUOTE_INVALID)  # fails here, not in a request, should Werkzeug stop registering it

# RFC: 2046 section 5.1.1 names the characters of a boundary. COMPAT: a snippet that half of Android copied sends
# `*****`; nothing is gained by refusing visible characters.
_BOUNDARY = re.compile(r"[\x20-\x7e]*[\x21-\x7e]")

_PARAMETER = r";[ \t]*([\w!#$%&'*+\-.^`|~]+)=([\w!#$%&'*+\-.^`|~]+|\"(?:\\[\\\"]|[^\"])*+\")[ \t]*"
_DISPOSITION = re.compile(rf"[ \t]*[\w!#$%&'*+\-.^`|~]+[ \t]*(?:{_PARAMETER})*+;?[ \t]*", re.ASCII)
_DISPOSITION_PARAMETER = re.compile(_PARAMETER, re.ASCII)

_UNSAFE_IN_FILENAME = re.compile(r"[\x00-\x1f\x7f]")


class FormRequest(Protocol):
    """What `load_form` needs of a request; `quaff.Request` is one."""

    environ: dict[str, Any]
    parameter_storage_class: Any

    @property
    def mimetype(self) -> str:
        """The type of the body without parameters, in lower case."""
        ...

    @property
    def mimetype_params(self) -> dict[str, str]:
        """The parameters of the content type."""
        ...

    @property
    def content_length(self) -> int | None:
        """The announced length of the body."""
        ...

    def _get_stream_for_parsing(self) -> IO[bytes]: ...

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]: ...


class FileStorage(_FileStorageBase):
    """An uploaded file whose `filename` is a bare name: no folders, no control characters."""

    raw_filename: str | None = None
    """The name as the client sent it. For display and logs only."""


def clean_filename(filename: str) -> str:
    r"""Return the last part of a path of any system, without control characters.

    It says what the file was called; it may still be a name that a file system treats specially. Pass it through
    `werkzeug.utils.secure_filename` before saving under it.

    ```python
    clean_filename("../../etc/passwd")  # 'passwd'
    clean_filename("C:\\photos\\cat.jpg")  # 'cat.jpg'
    ```
    """
    name = _UNSAFE_IN_FILENAME.sub("", filename).replace("\\", "/").rpartition("/")[2]
    return "" if name in {".", ".."} else name


# --- fields from text ---


def _unquote(text: str) -> str:
    if text.isascii():
        # PERF: `unquote` looks for the ASCII runs with a regular expression first.
        return unquote_to_bytes(text).decode("utf-8", _QUOTE_INVALID)
    return unquote(text, errors=_QUOTE_INVALID)


def _lists(text: str) -> dict[str, list[str]]:
    """Return the values of each name, read as `urllib.parse.parse_qsl` does with Werkzeug's options."""
    if "+" in text:
        text = text.replace("+", " ")
    escaped = "%" in text
    lists: dict[str, list[str]] = {}
    for piece in text.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            if escaped:
                if "%" in name:
                    name = _unquote(name)
                if "%" in value:
                    value = _unquote(value)
            if name in lists:
                lists[name].append(value)
            else:
                lists[name] = [value]
    return lists


class Parameters(ImmutableMultiDict[str, str]):
    """Werkzeug's `ImmutableMultiDict` with a short way to the first value: what `request.args` and `request.form` are."""

    # PERF: `get` and `[]` are nearly all that views do with it, and cost two calls and an exception more in Werkzeug.
    def __getitem__(self, key: str) -> str:
        values: list[str] | None = dict.get(self, key)  # type: ignore[assignment]  # a MultiDict is a dict of lists
        if values:
            return values[0]
        raise BadRequestKeyError(key)

    def get(self, key: str, default: Any = None, type: Any = None) -> Any:  # type: ignore[override]  # overloads
        """Return the first value of *key*, passed through *type* if given; *default* if there is none or it does not fit."""
        values: list[str] | None = dict.get(self, key)  # type: ignore[assignment]
        if not values:
            return default
        if type is None:
            return values[0]
        try:
            return type(values[0])
        except (ValueError, TypeError):
            return default


# COMPAT: the name shows when one is printed.
Parameters.__name__ = ImmutableMultiDict.__name__


def _multidict(text: str, cls: type[_StorageT]) -> _StorageT:
    if cls is not Parameters and cls is not ImmutableMultiDict:
        # COMPAT: a class of the user's own gets the pairs in their order, as from Werkzeug.
        return cls(parse_qsl(text, keep_blank_values=True, errors=_QUOTE_INVALID))
    # PERF: Werkzeug's __init__ looks at each pair again in Python; a MultiDict is a dict of lists.
    made = cls.__new__(cls)
    dict.update(made, _lists(text))
    return made


def parse_query(query_string: str, cls: type[_StorageT]) -> _StorageT:
    """Return the parameters of a query string.

    Percent-encoded bytes that are not UTF-8 stay percent-encoded, as in Werkzeug.

    :param query_string: the text as WSGI passes it: bytes as latin-1.
    :param cls: the kind of MultiDict to return.
    :raises werkzeug.exceptions.BadRequest: for raw bytes that are not UTF-8.
    """
    if not query_string.isascii():
        try:
            query_string = query_string.encode("latin1").decode()
        except UnicodeError:
            raise BadRequest("The query string is not valid UTF-8. Percent-encode it.") from None
    return _multidict(query_string, cls)


def _read_at_most(stream: IO[bytes], limit: int | None) -> bytes:
    if limit is None:
        return stream.read()
    if isinstance(stream, ExactBody):
        # PERF: the length is known, so the body is read in one go or not at all.
        if stream.limit > limit:
            _refuse_size(limit)
        return stream.read()
    chunks: list[bytes] = []
    left = limit + 1
    while left and (data := stream.read(left)):
        chunks.append(data)
        left -= len(data)
    if not left:
        _refuse_size(limit)
    return b"".join(chunks)


def _refuse_size(limit: int) -> NoReturn:
    raise RequestEntityTooLarge(f"The form is larger than the {limit} bytes that are accepted (MAX_FORM_MEMORY_SIZE).")


def _parse_urlencoded(
    stream: IO[bytes], cls: type[_StorageT], max_parts: int | None, max_memory: int | None
) -> _StorageT:
    body = _read_at_most(stream, max_memory)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadRequest("The form is not valid UTF-8. Send it as UTF-8, percent-encoded.") from None
    # SECURITY: counted before anything is built; empty fields (`&&`) count too.
    if max_parts is not None and body.count(b"&") >= max_parts and body:
        raise RequestEntityTooLarge(
            f"The form has more than the {max_parts} fields that are accepted (MAX_FORM_PARTS)."
        )
    return _multidict(text, cls)


# --- multipart ---


class StrictDecoder(MultipartDecoder):
    """Werkzeug's decoder, with limits on part headers and one reading of `Content-Disposition`.

    :raises ValueError: while decoding, for whatever is wrong.
    """

    def next_event(self) -> Event:
        """Return the next event; refuses headers that grow past the limit before they are complete."""
        try:
            event = super().next_event()
        except ValueError:
            if self.complete:
                raise ValueError("it ends before its last boundary") from None
            raise
        if self.state is State.PART and isinstance(event, NeedData) and len(self.buffer) > PART_HEADER_BYTES_MAX + 4:
            self._refuse_header_size()
        return event

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        if len(data) > PART_HEADER_BYTES_MAX:
            self._refuse_header_size()
        headers = super()._parse_headers(data)
        if len(headers) > PART_HEADERS_MAX:
            raise ValueError(f"a part has more than {PART_HEADERS_MAX} headers")
        dispositions = headers.getlist("Content-Disposition")
        if len(dispositions) != 1:
            raise ValueError("a part does not have exactly one Content-Disposition")
        check_disposition(dispositions[0])
        return headers

    def _last_partial_boundary_index(self, data: bytes | bytearray) -> int:
        """Return where to cut *data* so that nothing that may belong to a boundary is handed out.

        Werkzeug 3.1.9 overlooks a boundary that is there but for its last characters: when one read ends between the
        two hyphens of the last boundary, the CR before it becomes part of the file.
        """
        marker = b"--" + self.boundary
        at = data.rfind(marker)
        if at > 0:
            # SECURITY: a short look only; padding without end would be looked at again with each read.
            tail = data[at + len(marker) : at + len(marker) + PADDING_MAX + 1]
            if tail == b"-" or (len(tail) <= PADDING_MAX and not tail.strip()):
                before = bytes(data[max(at - 2, 0) : at])
                if before == b"\r\n":
                    return at - 2
                if before.endswith((b"\r", b"\n")):
                    return at - 1
        return super()._last_partial_boundary_index(data)

    def _refuse_header_size(self) -> NoReturn:
        raise ValueError(f"the headers of a part have more than {PART_HEADER_BYTES_MAX} bytes")


def check_disposition(disposition: str) -> None:
    """Refuse a `Content-Disposition` that two parsers would read differently.

    SECURITY: `name="comment"; name*=utf-8''role` is the field `comment` for a filter in front and `role` for Werkzeug.
    RFC 7578 section 4.2 forbids the extended form in forms, and no browser sends it.

    :raises ValueError: for a parameter that occurs twice, an extended or continued one, a missing name, or a value
        that does not parse.
    """
    if _DISPOSITION.fullmatch(disposition) is None:
        raise ValueError("the Content-Disposition of a part does not parse")
    seen: set[str] = set()
    for match in _DISPOSITION_PARAMETER.finditer(disposition):
        name = match[1].lower()
        if "*" in name:
            raise ValueError("the Content-Disposition of a part has an extended parameter")
        if name in seen:
            raise ValueError("the Content-Disposition of a part has a parameter twice")
        seen.add(name)
    if "name" not in seen:
        raise ValueError("the Content-Disposition of a part has no name")


def _clean_boundary(options: Mapping[str, str]) -> bytes:
    boundary = options.get("boundary", "")
    if not boundary:
        raise ValueError("its content type names no boundary")
    if len(boundary) > BOUNDARY_MAX:
        raise ValueError(f"its boundary is longer than {BOUNDARY_MAX} characters")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise ValueError("its boundary holds characters that no boundary has")
    return boundary.encode("ascii")


class FormParts:
    """The parts of one multipart form while they arrive: fields in memory, files where *parser* puts them."""

    def __init__(self, parser: MultiPartParser, total_length: int | None, raw_filenames: bool) -> None:
        self.fields: list[tuple[str, str]] = []
        self.files: list[tuple[str, _FileStorageBase]] = []
        self._parser = parser
        self._total_length = total_length
        self._raw_filenames = raw_filenames
        self._part: Field | File | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._file: IO[bytes] | None = None

    def take(self, event: Event) -> None:
        """Use one event of the decoder.

        :raises werkzeug.exceptions.RequestEntityTooLarge: when a field grows past the limit.
        """
        if isinstance(event, Field):
            self._part, self._chunks, self._size = event, [], 0
        elif isinstance(event, File):
            self._part = event
            self._file = self._parser.start_file_streaming(event, self._total_length)
        elif isinstance(event, Data):
            self._take_data(event)

    def _take_data(self, event: Data) -> None:
        if self._file is not None:
            self._file.write(event.data)
        else:
            self._size += len(event.data)
            limit = self._parser.max_form_memory_size
            if limit is not None and self._size > limit:
                _refuse_size(limit)
            self._chunks.append(event.data)
        if not event.more_data:
            self._end_part()

    def _end_part(self) -> None:
        part = self._part
        if isinstance(part, Field):
            charset = self._parser.get_part_charset(part.headers)
            self.fields.append((part.name, b"".join(self._chunks).decode(charset, "replace")))
        elif isinstance(part, File) and self._file is not None:
            self._file.seek(0)
            name = part.filename if self._raw_filenames else clean_filename(part.filename)
            stored = FileStorage(self._file, name, part.name, headers=part.headers)
            stored.raw_filename = part.filename
            self.files.append((part.name, stored))
            self._file = None

    def close(self) -> None:
        """Close all files, so that nothing of a refused form stays on disk."""
        if self._file is not None:
            self._file.close()
        for _, stored in self.files:
            stored.close()


def _parse_multipart(
    request: FormRequest, first: bytes, stream: IO[bytes], parser: MultiPartParser, compat: Collection[str]
) -> FormParts:
    boundary = _clean_boundary(request.mimetype_params)
    decoder_class = MultipartDecoder if "lenient-multipart" in compat else StrictDecoder
    decoder = decoder_class(boundary, parser.max_form_memory_size, max_parts=parser.max_form_parts)
    parts = FormParts(parser, request.content_length, "raw-filenames" in compat)
    try:
        data = first
        complete = False
        while not complete:
            complete = not data
            decoder.receive_data(data or None)
            event = decoder.next_event()
            while not isinstance(event, (Epilogue, NeedData)):
                parts.take(event)
                event = decoder.next_event()
            data = b"" if complete else stream.read(parser.buffer_size)
    except BaseException:
        parts.close()
        raise
    return parts


def _load_multipart(
    request: FormRequest, parser: MultiPartParser, compat: Collection[str]
) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, _FileStorageBase]]:
    cls = request.parameter_storage_class
    stream = request._get_stream_for_parsing()
    first = stream.read(parser.buffer_size)
    # COMPAT: clients send the content type with GET and DELETE too, without a boundary or a body.
    if not first:
        return stream, cls(), cls()
    try:
        parts = _parse_multipart(request, first, stream, parser, compat)
    except ValueError as error:
        if "lenient-multipart" in compat:
            return stream, cls(), cls()
        raise BadRequest(f"The multipart form cannot be read: {error}.") from None
    return stream, cls(parts.fields), cls(parts.files)


# --- the door ---


def load_form(
    request: FormRequest,
    *,
    max_parts: int | None,
    max_memory: int | None,
    max_content_length: int | None,
    compat: Collection[str] = (),
) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, _FileStorageBase]]:
    """Return the body's stream, the fields and the files of a request.

    A body that is no form is left in the stream; fields and files are then empty.

    :param max_parts: the most fields and files (`MAX_FORM_PARTS`).
    :param max_memory: the most bytes of one multipart field, and of a whole urlencoded form (`MAX_FORM_MEMORY_SIZE`).
    :param max_content_length: the most bytes of the body; enforced by the request's stream.
    :param compat: names of old behaviours to keep; see the top of this module.
    :raises werkzeug.exceptions.RequestEntityTooLarge: when a limit is passed (413).
    :raises werkzeug.exceptions.BadRequest: when the form is broken or not UTF-8 (400).
    """
    mimetype = request.environ.get("CONTENT_TYPE")
    if mimetype != URLENCODED:
        mimetype = request.mimetype
    cls = request.parameter_storage_class
    if mimetype == URLENCODED:
        stream = request._get_stream_for_parsing()
        if "form-limits" in compat:
            max_parts = max_memory = None
        return stream, _parse_urlencoded(stream, cls, max_parts, max_memory), cls()
    if mimetype == MULTIPART:
        parser = MultiPartParser(
            stream_factory=cast("Any", request._get_file_stream),  # Any: Werkzeug's protocol is not exported
            max_form_memory_size=max_memory,
            max_form_parts=max_parts,
            cls=cls,
        )
        return _load_multipart(request, parser, compat)
    return request._get_stream_for_parsing(), cls(), cls()
