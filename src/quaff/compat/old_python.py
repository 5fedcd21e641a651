"""The `_compat` modules of old Flask, Werkzeug and Jinja2: Python 2 and 3 under one name, seen from Python 3."""

from __future__ import annotations

import builtins
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from os import fspath
from types import TracebackType
from typing import Any, Final, NoReturn, TypeVar

__all__ = ["fspath"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

PY2: Final = False
text_type: Final = str
string_types: Final = (str,)
integer_types: Final = (int,)
range_type: Final = range
unichr: Final = chr
izip: Final = zip
imap: Final = map
ifilter: Final = filter


def iteritems(mapping: Mapping[K, V]) -> Iterator[tuple[K, V]]:
    """Return an iterator over the items."""
    items: ItemsView[K, V] = mapping.items()
    return iter(items)


def iterkeys(mapping: Mapping[K, V]) -> Iterator[K]:
    """Return an iterator over the keys."""
    keys: KeysView[K] = mapping.keys()
    return iter(keys)


def itervalues(mapping: Mapping[K, V]) -> Iterator[V]:
    """Return an iterator over the values."""
    values: ValuesView[V] = mapping.values()
    return iter(values)


def reraise(kind: type[BaseException], error: BaseException, traceback: TracebackType | None = None) -> NoReturn:
    """Raise *error* with *traceback*; *kind* is what Python 2 wanted to know."""
    raise error.with_traceback(traceback)


def _same(thing: T) -> T:
    return thing


implements_to_string: Final = _same
implements_iterator: Final = _same
implements_bool: Final = _same


def with_metaclass(metaclass: type, *bases: type) -> type:
    """Return a base class that makes its subclass with *metaclass* and *bases*, and is then gone."""

    class Between(type):
        def __new__(mcs, name: str, _bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
            return metaclass(name, bases, namespace)

    return type.__new__(Between, "temporary", (), {})


def to_bytes(value: str | bytes | None, charset: str = "utf-8", errors: str = "strict") -> bytes | None:
    """Return text as bytes; bytes and None as they are."""
    return value.encode(charset, errors) if isinstance(value, str) else value


def to_unicode(value: str | bytes | None, charset: str = "utf-8", errors: str = "strict") -> str | None:
    """Return bytes as text; text and None as they are."""
    return value.decode(charset, errors) if isinstance(value, builtins.bytes) else value


to_native: Final = to_unicode
