"""What `werkzeug.urls` had before Werkzeug 3, on top of `urllib.parse`.

The signatures and results are those of Werkzeug 2.3; how a text is parsed is urllib's business, which also means its care
with control characters and white space at the start of a URL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit, urlunsplit

from werkzeug.datastructures import MultiDict
from werkzeug.datastructures.structures import iter_multi_items
from werkzeug.urls import iri_to_uri, uri_to_iri

_SAFE: Final = "$!'()*+,;"
"""What Werkzeug never quoted, beyond what urllib never quotes."""

_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")

Pairs = Mapping[Any, Any] | Iterable[tuple[Any, Any]]
"""A mapping, multi dict or pairs; keys and values are turned into text."""


def url_quote(
    string: Any, charset: str = "utf-8", errors: str = "strict", safe: str | bytes = "/:", unsafe: str | bytes = ""
) -> str:
    """Quote *string*, which is turned into text first unless it is bytes.

    :param unsafe: characters to quote although they are safe; letters, digits and `_.-~` never are quoted.
    """
    data = bytes(string) if isinstance(string, bytes | bytearray) else str(string).encode(charset, errors)
    kept, quoted = _text(safe), _text(unsafe)
    return quote(data, safe="".join(c for c in kept + _SAFE if c not in quoted))


def url_quote_plus(string: Any, charset: str = "utf-8", errors: str = "strict", safe: str = "") -> str:
    """Quote *string* as a form does: a space becomes a plus sign."""
    return url_quote(string, charset, errors, safe + " ", "+").replace(" ", "+")


def url_unquote(s: str | bytes, charset: str | None = "utf-8", errors: str = "replace", unsafe: str = "") -> Any:
    """Return *s* unquoted: text, or bytes if *charset* is None.

    :param unsafe: characters that stay quoted.
    """
    data = s.encode() if isinstance(s, str) else s
    if unsafe:
        keep = frozenset(unsafe.encode())
        plain = _ESCAPE.sub(lambda found: found[0] if int(found[1], 16) in keep else unquote_to_bytes(found[0]), data)
    else:
        plain = unquote_to_bytes(data)
    return plain if charset is None else plain.decode(charset, errors)


def url_unquote_plus(s: str | bytes, charset: str | None = "utf-8", errors: str = "replace") -> Any:
    """Return *s* unquoted as a form is: a plus sign is a space."""
    spaced = s.replace("+", " ") if isinstance(s, str) else s.replace(b"+", b" ")
    return url_unquote(spaced, charset, errors)


def url_encode(
    obj: Pairs,
    charset: str = "utf-8",
    sort: bool = False,
    key: Callable[[tuple[Any, Any]], Any] | None = None,
    separator: str | bytes = "&",
) -> str:
    """Return *obj* as a query string. Values that are None are left out.

    :param sort: sort the pairs, by *key* if it is given.
    """
    return _text(separator).join(_encoded(obj, charset, sort, key))


def url_encode_stream(
    obj: Pairs,
    stream: IO[str] | None = None,
    charset: str = "utf-8",
    sort: bool = False,
    key: Callable[[tuple[Any, Any]], Any] | None = None,
    separator: str | bytes = "&",
) -> Iterator[str] | None:
    """Write what `url_encode` returns to *stream*; without one, return an iterator over the encoded pairs."""
    pairs = _encoded(obj, charset, sort, key)
    if stream is None:
        return pairs
    stream.write(_text(separator).join(pairs))
    return None


def _encoded(obj: Pairs, charset: str, sort: bool, key: Callable[[tuple[Any, Any]], Any] | None) -> Iterator[str]:
    pairs: Iterable[tuple[Any, Any]] = iter_multi_items(obj)
    if sort:
        pairs = sorted(pairs, key=key)
    for name, value in pairs:
        if value is not None:
            yield f"{url_quote_plus(name, charset)}={url_quote_plus(value, charset)}"


def url_decode(
    s: str | bytes,
    charset: str | None = "utf-8",
    include_empty: bool = True,
    errors: str = "replace",
    separator: str | bytes = "&",
    cls: Callable[[Iterable[tuple[Any, Any]]], Any] | None = None,
) -> Any:  # Any: a MultiDict, or what `cls` makes
    """Parse a query string.

    :param include_empty: keep names without an equals sign, with an empty value.
    :param cls: makes the result from the pairs; a `MultiDict` by default.
    """
    query = s.encode() if isinstance(s, str) else s
    pairs = query.split(_text(separator).encode())
    return (cls or MultiDict)(_decoded(pairs, charset, include_empty, errors))


def url_decode_stream(
    stream: IO[bytes],
    charset: str | None = "utf-8",
    include_empty: bool = True,
    errors: str = "replace",
    separator: str | bytes = b"&",
    cls: Callable[[Iterable[tuple[Any, Any]]], Any] | None = None,
    limit: int | None = None,
) -> Any:
    """Parse a query string that is read from *stream*, at most *limit* bytes of it."""
    return url_decode(stream.read(-1 if limit is None else limit), charset, include_empty, errors, separator, cls)


def _decoded(
    pairs: Iterable[bytes], charset: str | None, include_empty: bool, errors: str
) -> Iterator[tuple[Any, Any]]:
    for pair in pairs:
        name, equals, value = pair.partition(b"=")
        if pair and (equals or include_empty):
            yield url_unquote_plus(name, charset, errors), url_unquote_plus(value, charset, errors)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("ascii")


class _Parts(NamedTuple):
    scheme: Any
    netloc: Any
    path: Any
    query: Any
    fragment: Any


class BaseURL(_Parts):
    """The five parts of a URL, as text (`URL`) or bytes (`BytesURL`)."""

    __slots__ = ()

    def replace(self, **parts: Any) -> Any:
        """Return a URL with other *parts*."""
        return self._replace(**parts)

    def to_url(self) -> Any:
        """Return the URL in one piece."""
        return url_unparse(self)

    def decode_query(self, *args: Any, **kwargs: Any) -> Any:
        """Return the query, parsed by `url_decode` with these arguments."""
        return url_decode(self.query, *args, **kwargs)

    def join(self, url: Any, allow_fragments: bool = True) -> Any:
        """Return *url* as seen from this one."""
        return url_parse(url_join(self, url, allow_fragments))


class URL(BaseURL):
    """A parsed URL."""

    __slots__ = ()

    def __str__(self) -> str:
        return str(self.to_url())

    @property
    def auth(self) -> str | None:
        """What stands before the `@`, or None."""
        before, at, _ = self.netloc.partition("@")
        return before if at else None

    @property
    def raw_username(self) -> str | None:
        """The user name as it stands there, or None."""
        return self.auth.partition(":")[0] if self.auth else None

    @property
    def raw_password(self) -> str | None:
        """The password as it stands there, or None."""
        _, colon, password = (self.auth or "").partition(":")
        return password if colon else None

    @property
    def username(self) -> str | None:
        """The user name, unquoted, or None."""
        name = self.raw_username
        return None if name is None else str(url_unquote(name))

    @property
    def password(self) -> str | None:
        """The password, unquoted, or None."""
        password = self.raw_password
        return None if password is None else str(url_unquote(password))

    @property
    def host(self) -> str | None:
        """The host, without port and brackets, or None."""
        return self._host_and_port[0] or None

    @property
    def ascii_host(self) -> str | None:
        """The host in ASCII, by IDNA if need be, or None."""
        host = self.host
        try:
            return None if host is None else host.encode("idna").decode("ascii")
        except UnicodeError:
            return host

    @property
    def port(self) -> int | None:
        """The port, or None when there is none or it is not one."""
        port = self._host_and_port[1]
        return int(port) if port.isdecimal() and int(port) < 65536 else None

    @property
    def _host_and_port(self) -> tuple[str, str]:
        place = self.netloc.rpartition("@")[2]
        if place.startswith("["):
            host, _, rest = place[1:].partition("]")
            return host, rest.removeprefix(":")
        host, _, port = place.partition(":")
        return host, port

    def encode_netloc(self) -> str:
        """Return the part with host, port and user in ASCII."""
        return self._netloc(self.ascii_host, lambda part: url_quote(part, safe="/:%"))

    def decode_netloc(self) -> str:
        """Return the part with host, port and user as people read it."""
        host = (self.host or "").encode("idna").decode("idna")
        return self._netloc(host, lambda part: url_unquote(part, unsafe="/:%@"))

    def _netloc(self, host: str | None, convert: Callable[[str], str]) -> str:
        shown = f"[{host}]" if host and ":" in host else host or ""
        port = "" if self.port is None else f":{self.port}"
        auth = ":".join(convert(part) for part in (self.raw_username, self.raw_password) if part)
        return f"{auth}@{shown}{port}" if auth else f"{shown}{port}"

    def to_uri_tuple(self) -> Any:
        """Return the URL in ASCII, quoted."""
        return url_parse(iri_to_uri(url_unparse(self)))

    def to_iri_tuple(self) -> Any:
        """Return the URL as people read it."""
        return url_parse(uri_to_iri(url_unparse(self)))

    def encode(self, charset: str = "utf-8", errors: str = "replace") -> BytesURL:
        """Return the URL in bytes."""
        rest = (part.encode(charset, errors) for part in self[2:])
        return BytesURL(self.scheme.encode("ascii"), self.encode_netloc().encode("ascii"), *rest)


class BytesURL(BaseURL):
    """A parsed URL in bytes. Decode it to look at user, host and port."""

    __slots__ = ()

    def __str__(self) -> str:
        return str(self.to_url().decode("utf-8", "replace"))

    def decode(self, charset: str = "utf-8", errors: str = "replace") -> URL:
        """Return the URL as text."""
        return URL(*(part.decode(charset, errors) for part in self))


def url_parse(url: Any, scheme: Any = None, allow_fragments: bool = True) -> Any:
    """Return the five parts of *url*: a `URL`, or a `BytesURL` for bytes.

    :param scheme: of a URL that does not say.
    """
    empty = url[:0]
    kind: type[BaseURL] = BytesURL if empty == b"" else URL
    before, _, after = url.partition(":" if kind is URL else b":")
    if before and after.isdigit():
        # COMPAT: in "localhost:5000" what follows the colon is a port, so it is no scheme that stands before it.
        return kind(scheme or empty, empty, url, empty, empty)
    return kind(*urlsplit(url, scheme or empty, allow_fragments))


def url_unparse(components: Iterable[Any]) -> Any:
    """Return the five parts of a URL in one piece."""
    return urlunsplit(tuple(components))


def url_join(base: Any, url: Any, allow_fragments: bool = True) -> Any:
    """Return *url* as seen from *base*; either may be a text or the five parts."""
    first, second = (url_unparse(part) if isinstance(part, tuple) else part for part in (base, url))
    return urljoin(first, second, allow_fragments)


def url_fix(s: str | bytes, charset: str = "utf-8") -> str:
    """Return *s* as a browser would send it: quoted, and with slashes for backslashes."""
    text = (s if isinstance(s, str) else s.decode(charset, "replace")).replace("\\", "/")
    url = url_parse(text)
    path = url_quote(url.path, charset, safe="/%+$!*'(),")
    query, fragment = (url_quote_plus(part, charset, safe=":&%=+$!*'(),") for part in (url.query, url.fragment))
    return str(url_unparse((url.scheme, url.encode_netloc(), path, query, fragment)))


class Href:
    """Builds URLs below a base: `Href("/shop")("item", 3, page=2)` is `/shop/item/3?page=2`."""

    def __init__(
        self,
        base: str = "./",
        charset: str = "utf-8",
        sort: bool = False,
        key: Callable[[tuple[Any, Any]], Any] | None = None,
    ) -> None:
        self.base = base or "./"
        self.charset = charset
        self.sort = sort
        self.key = key

    def _folder(self) -> str:
        return self.base if self.base.endswith("/") else f"{self.base}/"

    def __getattr__(self, name: str) -> Href:
        if name.startswith("__"):
            raise AttributeError(name)
        return Href(url_join(self._folder(), name), self.charset, self.sort, self.key)

    def __call__(self, *path: Any, **query: Any) -> str:
        """Return the URL. The last positional argument may be a dict with the query, instead of keyword arguments."""
        pairs: dict[Any, Any] = {name.removesuffix("_"): value for name, value in query.items()}
        if path and isinstance(path[-1], dict):
            if query:
                raise TypeError("Href takes the query as keyword arguments or as a dict, not both.")
            *path, pairs = path  # type: ignore[assignment]
        below = "/".join(url_quote(part, self.charset) for part in path if part is not None).lstrip("/")
        url = str(url_join(self._folder(), f"./{below}")) if below else self.base
        return f"{url}?{url_encode(pairs, self.charset, self.sort, self.key)}" if pairs else url
