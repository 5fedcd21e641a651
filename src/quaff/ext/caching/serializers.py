"""How values become bytes.

SECURITY: what reads a pickle runs whatever its author wanted (CVE-2021-33026), so in stores that others can write to (files,
Redis, Memcached, SQL, ...) values are written in a format of plain data. It keeps the types that JSON has, and `bytes`,
tuples, sets, `datetime`, `date`, `time`, `timedelta`, `Decimal`, `UUID`, `Markup`, responses and HTTP errors. A value of
another type is refused when it is stored, with `NotStorable`; a pickle that is found in such a store is nothing at all, and
the log says so.

In memory a value that cannot be changed is kept as it is, and others are copied when they are stored and found, as
cachelib does it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any, Final
from uuid import UUID

from cachelib.serializers import BaseRedisSerializer, BaseSerializer, SimpleSerializer
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from .pages import Page, Raised, Snapshot, Variants, freeze_error, freeze_response

logger: Final = logging.getLogger("quaff.caching")

MAGIC: Final = b"\xffQ1"
"""How our format begins. No text in UTF-8 and no pickle begins like this."""

_PICKLE: Final = re.compile(rb"!?\x80[\x01-\x0f]|!")
_INTEGER: Final = re.compile(rb"-?[0-9]{1,4000}")


class NotStorable(TypeError):
    """A value cannot be written as plain data."""


class Unreadable(ValueError):
    """What was found in a store is not what was written there."""


# Plain data <-> JSON -------------------------------------------------------------------------------------------------

_TAGS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    date: ("date", date.isoformat),
    datetime: ("datetime", datetime.isoformat),
    time: ("time", time.isoformat),
    timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    Decimal: ("decimal", str),
    UUID: ("uuid", lambda value: value.hex),
    Markup: ("markup", str),
    bytes: ("bytes", lambda value: value.decode("latin1")),
    bytearray: ("bytearray", lambda value: value.decode("latin1")),
    complex: ("complex", lambda value: [value.real, value.imag]),
    tuple: ("tuple", lambda value: [_to_json(item) for item in value]),
    set: ("set", lambda value: [_to_json(item) for item in value]),
    frozenset: ("frozenset", lambda value: [_to_json(item) for item in value]),
}

_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda value: timedelta(*value),
    "decimal": Decimal,
    "uuid": UUID,
    "markup": Markup,
    "bytes": lambda value: value.encode("latin1"),
    "bytearray": lambda value: bytearray(value.encode("latin1")),
    "complex": lambda value: complex(*value),
    "tuple": lambda value: tuple(map(_from_json, value)),
    "set": lambda value: set(map(_from_json, value)),
    "frozenset": lambda value: frozenset(map(_from_json, value)),
    "dict": lambda value: {_from_json(key): _from_json(item) for key, item in value},
}


def _to_json(value: Any) -> Any:
    kind = type(value)
    if value is None or kind is str or kind is int or kind is bool or kind is float:
        return value
    if kind is list:
        return [_to_json(item) for item in value]
    if kind is dict:
        if len(value) == 1 or not all(type(key) is str for key in value):
            # A dict with one key is how types are told apart, so such a one is written as pairs.
            return {"dict": [[_to_json(key), _to_json(item)] for key, item in value.items()]}
        return {key: _to_json(item) for key, item in value.items()}
    if kind not in _TAGS:
        raise NotStorable(
            f"A {kind.__module__}.{kind.__qualname__} cannot be cached in a store outside of the process: values are"
            " written as plain data there. Cache what it is made of, or set CACHE_SERIALIZER to a serializer of your own,"
            ' or to "pickle" if nobody else can write to the store.'
        )
    name, write = _TAGS[kind]
    return {name: write(value)}


def _from_json(value: Any) -> Any:
    if type(value) is list:
        return [_from_json(item) for item in value]
    if type(value) is not dict:
        return value
    if len(value) != 1:
        return {key: _from_json(item) for key, item in value.items()}
    [(name, content)] = value.items()
    return _READERS[name](content)


# Values <-> bytes: a letter for the kind, then its content ----------------------------------------------------------


def encode(value: Any) -> bytes:
    """Return *value* as bytes.

    :raises NotStorable: when it holds something that is not plain data.
    """
    kind = type(value)
    if isinstance(value, str) and kind is str:
        return MAGIC + b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes) and kind is bytes:
        return MAGIC + b"b" + value
    if isinstance(value, Page):
        return MAGIC + _headed(b"p", [value.etag, value.fresh_until, dict(value.tags)], encode(value.value))
    if isinstance(value, Variants):
        return MAGIC + _headed(b"v", [list(value.names), value.token])
    if isinstance(value, (BaseResponse, HTTPException)):
        value = _frozen(value)
    if isinstance(value, Snapshot):
        return MAGIC + _headed(b"r", [value.status, value.headers], value.body)
    if isinstance(value, Raised):
        return MAGIC + _headed(b"x", [value.code, value.description])
    try:
        return MAGIC + _headed(b"j", _to_json(value))
    except RecursionError:
        raise NotStorable("The value is nested too deeply to be cached, or holds itself.") from None


def decode(data: bytes) -> Any:
    """Return the value that `encode` wrote.

    :raises Unreadable: for anything else.
    """
    if not data.startswith(MAGIC):
        raise Unreadable("not in the format of this cache")
    try:
        return _decode(data[3:4], data[4:])
    except Unreadable:
        raise
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise Unreadable(f"damaged: {type(error).__name__}") from error


def _decode(kind: bytes, rest: bytes) -> Any:
    if kind == b"s":
        return rest.decode("utf-8", "surrogatepass")
    if kind == b"b":
        return rest
    head, _, body = rest.partition(b"\n")
    content = json.loads(head)
    if kind == b"j":
        return _from_json(content)
    if kind == b"p":
        etag, fresh_until, tags = content
        return Page(decode(body), etag, float(fresh_until), {str(tag): str(version) for tag, version in tags.items()})
    if kind == b"v":
        names, token = content
        return Variants(tuple(map(str, names)), str(token))
    if kind == b"r":
        status, headers = content
        # Checked where they are set: a store must not bring a header that splits the response.
        return _checked_snapshot(str(status), headers, body).thaw()
    if kind == b"x":
        code, description = content
        return Raised(int(code), description).thaw()
    raise Unreadable("of an unknown kind")


def _checked_snapshot(status: str, headers: Any, body: bytes) -> Snapshot:
    from ...headers import Headers, check_status

    check_status(status)
    int(status[:3])
    return Snapshot(status, tuple(Headers([(str(name), str(value)) for name, value in headers])), body)


def _headed(kind: bytes, head: Any, body: bytes = b"") -> bytes:
    return kind + json.dumps(head, separators=(",", ":")).encode() + b"\n" + body


def _frozen(value: BaseResponse | HTTPException) -> Snapshot | Raised:
    frozen = freeze_response(value) if isinstance(value, BaseResponse) else freeze_error(value)
    if frozen is None:
        what = "A streamed response, or one with state of its own," if isinstance(value, BaseResponse) else "This error"
        raise NotStorable(f"{what} cannot be cached as plain data: {type(value).__name__}.")
    return frozen


# What cachelib's stores call -----------------------------------------------------------------------------------------


class SafeSerializer(BaseSerializer):
    """Writes plain data, for files and other stores of bytes. It never reads or writes a pickle."""

    def dumps(self, value: Any, protocol: int = 0) -> bytes:
        """Return *value* as bytes.

        :raises NotStorable: when it holds something that is not plain data.
        """
        return encode(value)

    def loads(self, bvalue: bytes | None) -> Any:
        """Return the value behind *bvalue*; None, and a line in the log, for what is not in our format."""
        if bvalue is None:
            return None
        try:
            return decode(bvalue)
        except Unreadable as error:
            log_unreadable(bvalue, error)
            return None

    def dump(self, value: Any, f: IO[bytes], protocol: int = 0) -> None:
        """Write *value* to a file."""
        f.write(self.dumps(value))

    def load(self, f: IO[bytes]) -> Any:
        """Read a value from a file; see `loads`."""
        return self.loads(f.read())


class SafeRedisSerializer(BaseRedisSerializer, SafeSerializer):
    """As above, for Redis: integers are its own, so that `inc` and `dec` work, and what other programs wrote is bytes."""

    def dumps(self, value: Any, protocol: int = 0) -> bytes:
        """Return *value* as bytes."""
        return str(value).encode("ascii") if type(value) is int else encode(value)

    def loads(self, value: bytes | None) -> Any:
        """Return the value behind *value*."""
        if value is None:
            return None
        if value.startswith(MAGIC):
            return SafeSerializer.loads(self, value)
        if _INTEGER.fullmatch(value):
            return int(value)
        if _PICKLE.match(value):
            log_unreadable(value, Unreadable("not in the format of this cache"))
            return None
        # COMPAT: what another program put there, as it is.
        return value


def log_unreadable(data: bytes, error: Exception) -> None:
    """Note in the log that a value in a store was ignored, without what it says."""
    what = "a pickle, which was not read," if _PICKLE.match(data) else f"{len(data)} bytes, {error},"
    logger.warning("The cache's store holds %s under one of its keys; it counts as missing.", what)


class _Packed(bytes):
    """A pickle that never left this process."""


_IMMUTABLE: Final = frozenset({str, bytes, int, float, bool, type(None), Markup, Variants, Snapshot, Raised})


class MemorySerializer(SimpleSerializer):
    """Keeps immutable values as they are, responses and HTTP errors as data, and copies all others."""

    def dumps(self, value: Any, protocol: int = 0) -> Any:
        """Return what is kept."""
        kind = type(value)
        if kind in _IMMUTABLE:
            return value
        if kind is Page:
            return Page(self.dumps(value.value), value.etag, value.fresh_until, value.tags)
        frozen: Any = None
        if isinstance(value, BaseResponse):
            frozen = freeze_response(value)
        elif isinstance(value, HTTPException):
            frozen = freeze_error(value)
        if frozen is not None:
            return frozen
        if isinstance(value, BaseResponse) and (value.is_streamed or value.direct_passthrough or value._on_close):
            raise NotStorable("A response that is streamed, a file, or to be closed cannot be cached.")
        try:
            packed = super().dumps(value)
        except (AttributeError, RecursionError, TypeError) as error:
            raise NotStorable(f"A {kind.__qualname__} cannot be copied, so it is not cached: {error}") from error
        if packed is None:
            raise NotStorable(f"A {kind.__qualname__} cannot be copied, so it is not cached.")
        return _Packed(packed)

    def loads(self, bvalue: Any) -> Any:
        """Return a value that the caller may change."""
        kind = type(bvalue)
        if kind is _Packed:
            return super().loads(bvalue)
        if kind is Page:
            value = bvalue.value
            if type(value) in _THAWED:
                return Page(self.loads(value), bvalue.etag, bvalue.fresh_until, bvalue.tags)
            return bvalue
        return bvalue.thaw() if kind is Snapshot or kind is Raised else bvalue


_THAWED: Final = frozenset({_Packed, Snapshot, Raised})
