"""Cookies: writing one that cannot smuggle an attribute, and reading one without parsing them all.

`dump_cookie` writes byte for byte what Werkzeug writes, but raises `HeaderError` for what Werkzeug lets through: a name
or a domain that holds a semicolon and so adds attributes of its own. `find_cookie` answers what Werkzeug's parser
answers for that one name.
"""

from __future__ import annotations

import re
import warnings
from datetime import datetime, timedelta
from functools import lru_cache
from time import time
from typing import TypeVar, cast

from werkzeug.datastructures import MultiDict
from werkzeug.http import dump_cookie as _dump_any_cookie
from werkzeug.http import http_date
from werkzeug.sansio.http import parse_cookie as _parse_text

from .errors import HeaderError

_StorageT = TypeVar("_StorageT", bound=MultiDict[str, str])

# Not `$`-anchored but used with fullmatch. A name without any of these is read back by Werkzeug and by browsers.
_NAME = re.compile(r"[^\x00-\x20\x7f=;\"]+")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_!#$%&'()*+\-./:<=>?@\[\]^`{|}~]*")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_.\-~%!$&'()*+,/:=@]*")
_DOMAIN = re.compile(r"[A-Za-z0-9._-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SAME_SITE = frozenset({"Strict", "Lax", "None"})


@lru_cache(maxsize=128)
def _date_of(second: int) -> str:
    # PERF: formatting a date costs more than the rest of the cookie, and many cookies share a second.
    return http_date(second)


def _check_name(key: str) -> None:
    if _NAME.fullmatch(key) is None:
        raise HeaderError(
            f"The cookie name {key!r} cannot be sent: a name is not empty and holds no spaces, control characters, "
            "quotes, '=' or ';'."
        )


def _clean_domain(key: str, domain: str) -> str:
    # COMPAT: Werkzeug drops a port and a leading dot, and writes names beyond ASCII in their IDNA form.
    try:
        clean = domain.partition(":")[0].lstrip(".").encode("idna").decode("ascii")
    except UnicodeError as error:
        raise HeaderError(f"Cookie {key!r}: the domain {domain!r} is not a host name ({error}).") from None
    if _DOMAIN.fullmatch(clean) is None:
        raise HeaderError(f"Cookie {key!r}: the domain {domain!r} is not a host name.")
    return clean


def _clean_same_site(key: str, samesite: str) -> str:
    clean = samesite.title()
    if clean not in _SAME_SITE:
        raise HeaderError(f"SameSite must be 'Strict', 'Lax', or 'None'. Cookie {key!r} was given {samesite!r}.")
    return clean


def _clean_expires(key: str, expires: str | datetime | int | float) -> str:
    if isinstance(expires, str):
        if ";" in expires or _CONTROL.search(expires):
            raise HeaderError(f"Cookie {key!r}: the date {expires!r} holds ';' or control characters.")
        return expires
    return _date_of(expires) if type(expires) is int else http_date(expires)


def _clean_max_age(key: str, max_age: timedelta | int) -> int:
    if isinstance(max_age, timedelta):
        return int(max_age.total_seconds())
    if not isinstance(max_age, (int, float)):
        raise HeaderError(f"Cookie {key!r}: max_age must be seconds or a timedelta, not {max_age!r}.")
    return max_age


def _check_value(key: str, value: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"Cookie {key!r}: the value must be a str, not {type(value).__name__}: {value!r}.")


def _warn_when_large(key: str, line: str, max_size: int) -> None:
    if max_size and len(line) > max_size:
        warnings.warn(
            f"The {key!r} cookie is too large: its header has {len(line)} bytes, the limit is {max_size}. Browsers may"
            " silently ignore it. Keep less in it, or set MAX_COOKIE_SIZE.",
            stacklevel=3,
        )


# COMPAT: Werkzeug's signature.
def dump_cookie(  # noqa: PLR0913, PLR0917
    key: str,
    value: str = "",
    max_age: timedelta | int | None = None,
    expires: str | datetime | int | float | None = None,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = False,
    httponly: bool = False,
    sync_expires: bool = True,
    max_size: int = 4093,
    samesite: str | None = None,
    partitioned: bool = False,
) -> str:
    """Return the value of a `Set-Cookie` header; parameters and result are those of Werkzeug's function.

    A value may be any text: what RFC 6265 does not allow is quoted, as Werkzeug does, and comes back as it was.

    :param max_age: seconds until the browser forgets it; None for the end of the browser's session. Gives `Expires`
        too, unless *expires* is set or *sync_expires* is off.
    :param max_size: warn when the header is larger than this many bytes; 0 to never warn.
    :param partitioned: a cookie per embedding site (CHIPS); implies *secure*.
    :raises quaff.errors.HeaderError: for a name, domain, date, path or `SameSite` value that would add an attribute
        of its own or cannot be sent (a `ValueError`).
    """
    _check_name(key)
    _check_value(key, value)
    if path is not None and _CONTROL.search(path):
        raise HeaderError(f"Cookie {key!r}: the path {path!r} holds control characters.")
    if domain:
        domain = _clean_domain(key, domain)
    if max_age is not None:
        max_age = _clean_max_age(key, max_age)
    if expires is not None:
        expires = _clean_expires(key, expires)
    elif max_age is not None and sync_expires:
        expires = _date_of(int(time() + max_age))
    if samesite is not None:
        samesite = _clean_same_site(key, samesite)
    if key.isascii() and _PLAIN_VALUE.fullmatch(value) and (path is None or _PLAIN_PATH.fullmatch(path)):
        line = _join(key, value, (domain, expires, max_age, secure or partitioned, httponly, path, samesite))
        if partitioned:
            line += "; Partitioned"
    else:
        line = _dump_any_cookie(
            key, value, max_age, expires, path, domain, secure, httponly, sync_expires, 0, samesite, partitioned
        )
        # SECURITY: Werkzeug escapes control characters in a value, but leaves 0x1a-0x1f as they are.
        if _CONTROL.search(line):
            raise HeaderError(f"Cookie {key!r}: the value {value!r} holds control characters that cannot be sent.")
    _warn_when_large(key, line, max_size)
    return line


_Attributes = tuple[str | None, str | None, int | None, bool, bool, str | None, str | None]


def _join(key: str, value: str, attributes: _Attributes) -> str:
    """Write a cookie of which every part is known to need no quoting, in Werkzeug's order of attributes."""
    domain, expires, max_age, secure, httponly, path, samesite = attributes
    line = f"{key}={value}"
    if domain is not None:
        line += f"; Domain={domain}"
    if expires is not None:
        line += f"; Expires={expires}"
    if max_age is not None:
        line += f"; Max-Age={max_age}"
    if secure:
        line += "; Secure"
    if httponly:
        line += "; HttpOnly"
    if path is not None:
        line += f"; Path={path}"
    if samesite is not None:
        line += f"; SameSite={samesite}"
    return line


def parse_cookies(header: str, cls: type[_StorageT]) -> _StorageT:
    """Return all cookies of a `Cookie` header, the first of a name first.

    Bytes that are not UTF-8 become U+FFFD in the one cookie that holds them. Werkzeug raises `UnicodeDecodeError`
    there, which makes a 500 of every request until the visitor clears the cookies of that site.

    :param header: the header as WSGI passes it: bytes as latin-1.
    """
    text = header if header.isascii() else header.encode("latin1", "replace").decode(errors="replace")
    return cast("_StorageT", _parse_text(cookie=text, cls=cls))


def find_cookie(header: str, name: str) -> str | None:
    """Return the value of the first cookie called *name*, or None; what `parse_cookies(header, ...).get(name)` says.

    :param header: the header as WSGI passes it: bytes as latin-1.
    """
    if '"' in header or not header.isascii() or not name.isascii():
        found: MultiDict[str, str] = parse_cookies(header, MultiDict)
        return found.get(name)
    if name not in header or not name:
        return None
    for pair in header.split(";"):
        key, _, value = pair.partition("=")
        # COMPAT: Werkzeug skips a pair that has spaces inside its name or its value.
        if key.strip(" \t") == name and " " not in name and "\t" not in name:
            value = value.strip(" \t")
            if " " not in value and "\t" not in value:
                return value
    return None
