"""Response headers that refuse, where they are set, what cannot be sent.

Werkzeug looks for CR and LF in values and at nothing else; Granian drops a header that it cannot send, silently. A
policy or a cookie that vanishes is worse than an error, so every way to put a header in checks the name and the value
and raises `HeaderError`, a `ValueError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, SupportsIndex, cast

from werkzeug.datastructures import EnvironHeaders, iter_multi_items
from werkzeug.datastructures import Headers as _HeadersBase
from werkzeug.http import dump_options_header

from .errors import HeaderError

Pair = tuple[str, str]

# RFC: 9110 section 5.6.2: a field name is a token.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# RFC: 9110 section 5.5: a tab is allowed inside a value; all other control characters are not. What lies beyond
# latin-1 does not fit in a byte (PEP 3333).
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_URL_HEADERS = frozenset({"location", "content-location"})
"""Headers that hold a URL: any text is accepted, because the response makes it ASCII when it is sent."""

_known_names: set[str] = {
    "Allow",
    "Cache-Control",
    "Content-Disposition",
    "Content-Length",
    "Content-Type",
    "ETag",
    "Location",
    "Set-Cookie",
    "Vary",
}
_KNOWN_NAMES_MAX = 1024


def _check_name(name: object) -> None:
    if not isinstance(name, str) or _TOKEN.fullmatch(name) is None:
        raise HeaderError(
            f"The header name {name!r} cannot be sent: a name is made of letters, digits and !#$%&'*+-.^_`|~, "
            "without spaces or a colon."
        )
    # PERF: a program sets the same few names again and again. Bounded, because a name may be made from data.
    if len(_known_names) < _KNOWN_NAMES_MAX:
        _known_names.add(name)


def _check_text(what: str, text: str, *, beyond_latin1: bool = False) -> None:
    """Raise for the first character of *text* that cannot be sent; *what* begins the sentence."""
    wrong = (_CONTROL if beyond_latin1 else _UNSENDABLE).search(text)
    if wrong is None:
        return
    shown = text if len(text) <= 80 else f"{text[:80]}..."
    character = wrong.group()
    if character in "\r\n":
        reason = "must not contain newline characters"
    elif _CONTROL.match(character):
        reason = "must not contain control characters"
    else:
        reason = "must not contain characters beyond latin-1; percent-encode them"
    raise HeaderError(f"{what} {reason}: found {character!r} at position {wrong.start()} of {shown!r}.")


def _checked_pair(name: str, value: Any) -> Pair:
    """Return the header as it is stored. Any: values of any type are accepted and sent as their `str`."""
    if name not in _known_names:
        _check_name(name)
    text = value if isinstance(value, str) else str(value)
    if not (text.isascii() and text.isprintable()):
        _check_text(f"Header {name!r}: header values", text, beyond_latin1=name.lower() in _URL_HEADERS)
    return name, text


def _with_options(value: Any, options: dict[str, Any]) -> str:
    """Return *value* with parameters; underscores in their names stand for hyphens, as in Werkzeug."""
    return dump_options_header(value, {name.replace("_", "-"): option for name, option in options.items()})


def check_status(status: str | int) -> None:
    """Refuse a status line that would break the response apart.

    ```python
    check_status("200 OK")
    check_status("200 OK\\r\\nX-Evil: 1")  # raises HeaderError
    ```

    :raises quaff.errors.HeaderError: for control characters (other than a tab) and characters beyond latin-1.
    """
    if isinstance(status, str) and not (status.isascii() and status.isprintable()):
        _check_text("The status", status)


class Headers(_HeadersBase):
    """Werkzeug's `Headers`, checked: names are tokens, values hold no control characters.

    A value may hold latin-1 characters, as PEP 3333 says; `Location` and `Content-Location` may hold any, because they
    are percent-encoded when they are sent. A set of headers that is refused changes nothing: `extend`, `setlist` and
    the slices check all before they store any.
    """

    # COMPAT: `extend`, `update`, `|=` and `setdefault` of Werkzeug all end in the methods that are overridden here.

    @classmethod
    def wrap(cls, pairs: list[Pair]) -> Headers:
        """Return headers that use *pairs* itself, unchecked and without a copy; for pairs that are known to be good."""
        self = cls.__new__(cls)
        self._list = pairs
        return self

    @classmethod
    def adopt(cls, headers: _HeadersBase) -> Headers:
        """Return checked headers that share their content with *headers*: a change to one shows in the other.

        Headers of this class are returned as they are.

        :raises quaff.errors.HeaderError: when *headers* holds one that cannot be sent.
        """
        if isinstance(headers, cls):
            return headers
        if isinstance(headers, EnvironHeaders):
            return cls(list(headers))
        pairs = headers._list
        for name, value in pairs:
            _checked_pair(name, value)
        return cls.wrap(pairs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _HeadersBase) or isinstance(other, EnvironHeaders):
            return NotImplemented
        return {(name.lower(), value) for name, value in self} == {(name.lower(), value) for name, value in other}

    __hash__ = None

    def get(self, key: str, default: Any = None, type: Any = None) -> Any:  # type: ignore[override]  # overloads
        """Return the value of a header, passed through *type* if given; *default* if there is none or it does not fit."""
        # PERF: Werkzeug raises and catches an exception where there is none, which is what most callers find.
        lowered = key.lower()
        for name, value in self._list:
            if name.lower() == lowered:
                if type is None:
                    return value
                try:
                    return type(value)
                except ValueError:
                    return default
        return default

    def __setitem__(self, key: Any, value: Any) -> None:
        """Set a header by name, replacing all of that name, or pairs by index or slice.

        Any: the three forms of the key take three types of value, as in Werkzeug.

        :raises quaff.errors.HeaderError: when the name or the value cannot be sent.
        """
        # PERF: a known name and a plain value, without a further call; nearly every header that a program sets.
        if type(key) is str and key in _known_names and type(value) is str and value.isascii() and value.isprintable():
            size = len(key)
            for old, _ in self._list:
                if len(old) == size and old.lower() == key.lower():
                    self._put((key, value))
                    return
            self._list.append((key, value))
        elif isinstance(key, str):
            self._put(_checked_pair(key, value))
        elif isinstance(key, slice):
            self._list[key] = [_checked_pair(name, text) for name, text in value]
        else:
            self._list[cast("SupportsIndex", key)] = _checked_pair(*value)

    def _put(self, pair: Pair) -> None:
        pairs = self._list
        name = pair[0]
        lowered = name.lower()
        size = len(name)
        for index, (old, _) in enumerate(pairs):
            # PERF: names are ASCII, so their lengths are compared first.
            if len(old) == size and old.lower() == lowered:
                pairs[index] = pair
                # PERF: a header set twice is nearly always the only one of its name; then nothing is rebuilt.
                if any(other.lower() == lowered for other, _ in pairs[index + 1 :]):
                    pairs[index + 1 :] = [other for other in pairs[index + 1 :] if other[0].lower() != lowered]
                return
        pairs.append(pair)

    def set(self, key: str, value: Any, /, **kwargs: Any) -> None:
        """Set a header, replacing all of that name; *kwargs* become parameters of the value.

        :raises quaff.errors.HeaderError: when the name or the value cannot be sent.
        """
        self._put(_checked_pair(key, _with_options(value, kwargs) if kwargs else value))

    def add(self, key: str, value: Any, /, **kwargs: Any) -> None:
        """Add a header beside those of the same name; *kwargs* become parameters of the value.

        ```python
        headers.add("Content-Disposition", "attachment", filename="report.pdf")
        ```

        :raises quaff.errors.HeaderError: when the name or the value cannot be sent.
        """
        self._list.append(_checked_pair(key, _with_options(value, kwargs) if kwargs else value))

    def extend(
        self,
        arg: _HeadersBase | Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        /,
        **kwargs: Any,
    ) -> None:
        """Add headers from other headers, a mapping or pairs; a list in a mapping gives one header for each item.

        :raises quaff.errors.HeaderError: when one of them cannot be sent; then none is added.
        """
        pairs = [] if arg is None else [_checked_pair(name, value) for name, value in iter_multi_items(arg)]
        pairs += [_checked_pair(name, value) for name, value in iter_multi_items(kwargs)]
        self._list.extend(pairs)

    def setlist(self, key: str, values: Iterable[Any]) -> None:
        """Replace all headers of a name by one for each of *values*; without values the header is removed.

        :raises quaff.errors.HeaderError: when the name or a value cannot be sent; then nothing is changed.
        """
        pairs = [_checked_pair(key, value) for value in values or ()]
        if not pairs:
            self.remove(key)
            return
        self._put(pairs[0])
        self._list.extend(pairs[1:])

    def copy(self) -> Headers:
        """Return headers of the same content that change on their own."""
        return self.wrap(self._list.copy())


def add_vary(headers: _HeadersBase, names: str) -> None:
    """Add request header names to `Vary`, unless they are there or it is `*` already.

    :param names: one name, or several with commas between them.
    """
    present = [word.strip() for value in headers.getlist("Vary") for word in value.split(",")]
    known = {word.lower() for word in present}
    new = [word for word in (name.strip() for name in names.split(",")) if word.lower() not in known]
    if new and "*" not in known:
        headers["Vary"] = ", ".join([*filter(None, present), *new])
