"""What other modules of Werkzeug had before Werkzeug 3."""

from __future__ import annotations

import hashlib
import hmac
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import quote

from markupsafe import escape
from werkzeug.datastructures import Authorization, WWWAuthenticate

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# werkzeug.security -------------------------------------------------------------------------------------------------------

_ITERATIONS: Final = 260_000
"""What Werkzeug 2.0 used where the caller said nothing."""


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def safe_str_cmp(a: str | bytes, b: str | bytes) -> bool:
    """Tell whether both are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(_bytes(a), _bytes(b))


def pbkdf2_bin(
    data: str | bytes,
    salt: str | bytes,
    iterations: int = _ITERATIONS,
    keylen: int | None = None,
    hashfunc: str | Callable[[], Any] | None = None,
) -> bytes:
    """Return the PBKDF2 key of *data*.

    :param hashfunc: the name of a hash, or a function of `hashlib`; SHA-256 by default.
    """
    name = hashfunc().name if callable(hashfunc) else hashfunc or "sha256"
    return hashlib.pbkdf2_hmac(name, _bytes(data), _bytes(salt), iterations, keylen)


def pbkdf2_hex(
    data: str | bytes,
    salt: str | bytes,
    iterations: int = _ITERATIONS,
    keylen: int | None = None,
    hashfunc: str | Callable[[], Any] | None = None,
) -> str:
    """Return what `pbkdf2_bin` returns, in hexadecimal digits."""
    return pbkdf2_bin(data, salt, iterations, keylen, hashfunc).hex()


# werkzeug.http -----------------------------------------------------------------------------------------------------------


def parse_authorization_header(value: str | None) -> Authorization | None:
    """Parse an `Authorization` header; None for one that cannot be read."""
    return Authorization.from_header(value)


def parse_www_authenticate_header(
    value: str | None, on_update: Callable[[WWWAuthenticate], None] | None = None
) -> WWWAuthenticate:
    """Parse a `WWW-Authenticate` header; an empty one means "basic". *on_update* is no longer called."""
    return WWWAuthenticate.from_header(value) or WWWAuthenticate("basic")


# werkzeug.utils ----------------------------------------------------------------------------------------------------------


def format_string(string_: str, context: Mapping[str, Any]) -> str:
    """Fill `$name` and `${name}` in from *context*."""
    return string.Template(string_).substitute(context)


def invalidate_cached_property(obj: object, name: str) -> None:
    """Forget the value that a `cached_property` keeps."""
    if hasattr(obj, name):
        delattr(obj, name)


_EMPTY: Final = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_FLAGS: Final = frozenset(
    "checked compact declare defer disabled ismap multiple nohref noresize readonly selected".split()
)
_RAW: Final = frozenset({"script", "style"})


class HTMLBuilder:
    """Builds HTML: `html.a("Home", href="/")` is `<a href="/">Home</a>`. Arguments are not escaped; `html("<")` is."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect

    def __call__(self, text: object) -> str:
        """Return *text*, escaped."""
        return str(escape(text))

    def __getattr__(self, tag: str) -> Callable[..., str]:
        if tag.startswith("__"):
            raise AttributeError(tag)

        def build(*children: object, **attributes: object) -> str:
            inner = "".join(str(child) for child in children if child is not None)
            start = f"<{tag}{''.join(self._attributes(attributes))}"
            if not inner and tag in _EMPTY:
                return f"{start} />" if self._dialect == "xhtml" else f"{start}>"
            if inner and tag in _RAW and self._dialect == "xhtml":
                inner = f"/*<![CDATA[*/{inner}/*]]>*/"
            return f"{start}>{inner}</{tag}>"

        return build

    def _attributes(self, attributes: Mapping[str, object]) -> Iterator[str]:
        for key, value in attributes.items():
            name = key.rstrip("_")
            if value is None or (name in _FLAGS and not value):
                continue
            if name not in _FLAGS:
                yield f' {name}="{escape(value)}"'
            else:
                yield f' {name}="{name}"' if self._dialect == "xhtml" else f" {name}"

    def __repr__(self) -> str:
        return f"<HTMLBuilder for {self._dialect!r}>"


html: Final = HTMLBuilder("html")
xhtml: Final = HTMLBuilder("xhtml")

# werkzeug.wsgi -----------------------------------------------------------------------------------------------------------


def _decoded(value: str, charset: str | None, errors: str) -> str | bytes:
    raw = value.encode("latin-1")
    return raw if charset is None else raw.decode(charset, errors)


def get_query_string(environ: WSGIEnvironment) -> str:
    """Return the query string, quoted so that it is ASCII."""
    return quote(environ.get("QUERY_STRING", "").encode("latin-1"), safe="!$&'()*+,/:;=?@%")


def get_script_name(environ: WSGIEnvironment, charset: str | None = "utf-8", errors: str = "replace") -> str | bytes:
    """Return the path of the app, as text, or as bytes if *charset* is None."""
    return _decoded(environ.get("SCRIPT_NAME", ""), charset, errors)


def pop_path_info(
    environ: WSGIEnvironment, charset: str | None = "utf-8", errors: str = "replace"
) -> str | bytes | None:
    """Move the first segment of the path from `PATH_INFO` to `SCRIPT_NAME` and return it; None when there is none."""
    path = environ.get("PATH_INFO")
    if not path:
        return None
    rest = path.lstrip("/")
    segment, slash, below = rest.partition("/")
    environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + "/" * (len(path) - len(rest)) + segment
    environ["PATH_INFO"] = slash + below
    return _decoded(segment, charset, errors)


def peek_path_info(
    environ: WSGIEnvironment, charset: str | None = "utf-8", errors: str = "replace"
) -> str | bytes | None:
    """Return the first segment of the path and leave it there; None when there is none."""
    segment = environ.get("PATH_INFO", "").lstrip("/").partition("/")[0]
    return _decoded(segment, charset, errors) if segment else None


def _whole(stream: Iterable[bytes] | IO[bytes], limit: int | None) -> bytes:
    read: Callable[[int], bytes] | None = getattr(stream, "read", None)
    return read(-1 if limit is None else limit) if read else b"".join(stream)[:limit]


def make_line_iter(
    stream: Iterable[bytes] | IO[bytes],
    limit: int | None = None,
    buffer_size: int = 10 * 1024,
    cap_at_buffer: bool = False,
) -> Iterator[bytes]:
    r"""Yield the lines of *stream*, with their ends.

    :param limit: bytes to read at most.
    :param buffer_size: length of the pieces that *cap_at_buffer* cuts long lines into.
    """
    for line in _whole(stream, limit).splitlines(keepends=True):
        yield from _pieces(line, buffer_size) if cap_at_buffer else (line,)


def make_chunk_iter(
    stream: Iterable[bytes] | IO[bytes],
    separator: str | bytes,
    limit: int | None = None,
    buffer_size: int = 10 * 1024,
    cap_at_buffer: bool = False,
) -> Iterator[bytes]:
    """Yield what stands between the separators of *stream*; the other parameters are those of `make_line_iter`."""
    chunks = _whole(stream, limit).split(_bytes(separator))
    for chunk in chunks if chunks[-1] else chunks[:-1]:
        yield from _pieces(chunk, buffer_size) if cap_at_buffer else (chunk,)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


# werkzeug.routing --------------------------------------------------------------------------------------------------------


_PLACEHOLDER: Final = re.compile(r"<(?:(?P<converter>\w+)(?:\((?P<arguments>.*?)\))?:)?(?P<variable>\w+)>")


def parse_rule(rule: str) -> Iterator[tuple[str | None, str | None, str]]:
    """Yield the parts of a URL rule as (converter, arguments, variable); for text as (None, None, text).

    :raises ValueError: for a rule that is not well-formed, or uses a name twice.
    """
    position, names = 0, set[str]()
    for found in _PLACEHOLDER.finditer(rule):
        if found.start() > position:
            yield None, None, _rule_text(rule, position, found.start())
        name = found["variable"]
        if name in names:
            raise ValueError(f"URL rule {rule!r} uses the name {name!r} twice.")
        names.add(name)
        yield found["converter"] or "default", found["arguments"] or None, name
        position = found.end()
    if position < len(rule):
        yield None, None, _rule_text(rule, position, len(rule))


def _rule_text(rule: str, start: int, end: int) -> str:
    text = rule[start:end]
    if "<" in text or ">" in text:
        raise ValueError(f"URL rule {rule!r} is not well-formed at {text!r}.")
    return text
