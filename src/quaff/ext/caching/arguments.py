"""What a call of a function is, as data for its key: the function's name, and its arguments in one order.

`f(1, b=2)`, `f(a=1, b=2)` and `f(1, 2)` are one call. Names and results are those of Flask-Caching's helpers, which
programs import.
"""

from __future__ import annotations

import inspect
import os
import string
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import count
from secrets import token_hex
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

_VALID: Final = frozenset(f"{string.ascii_letters}{string.digits}_.")
null_control: Final = {ord(character): None for character in map(chr, range(256)) if character not in _VALID}
"""Removes what is no letter, digit, `_` or `.` from a text: `text.translate(null_control)`."""


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib

        # Annotations may name what exists for type checkers only.
        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def get_function_parameters(f: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a function."""
    return list(_signature(f).parameters.values())


def wants_args(f: Callable[..., Any]) -> bool:
    """Tell whether a function takes any argument by position."""
    return any(parameter.kind is not parameter.KEYWORD_ONLY for parameter in get_function_parameters(f))


def wants_extra_args(f: Callable[..., Any]) -> bool:
    """Tell whether a function takes more than one argument by position."""
    return sum(parameter.kind is not parameter.KEYWORD_ONLY for parameter in get_function_parameters(f)) > 1


def get_arg_names(f: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that can be given by position and by name."""
    return [p.name for p in get_function_parameters(f) if p.kind is p.POSITIONAL_OR_KEYWORD]


def get_arg_default(f: Callable[..., Any], position: int) -> Any:
    """Return the default of the parameter at *position*, or None."""
    default = get_function_parameters(f)[position].default
    return None if default is inspect.Parameter.empty else default


_PLAIN: Final = frozenset({str, bytes, bool, int, float, complex, type(None)})
_serials: Final[WeakKeyDictionary[Any, str]] = WeakKeyDictionary()
_counter: Final = count(1)
_PROCESS: Final = token_hex(8)


def _has_plain_repr(obj: Any) -> bool:
    found: Any = type(obj).__repr__
    return found is object.__repr__


def get_id(obj: Any) -> str:
    """Return what stands for an object in a key: what its method `__caching_id__` says, or its `repr`.

    The `repr` of an object that has none of its own tells its address. Another object may have that one later, or in
    another process, so such an object gets a number that no other one has.
    """
    own = getattr(obj, "__caching_id__", None)
    if own is not None:
        return str(own())
    if inspect.isclass(obj) or not _has_plain_repr(obj):
        return repr(obj)
    try:
        serial = _serials.get(obj)
        if serial is None:
            serial = _serials.setdefault(obj, f"{_PROCESS}.{os.getpid()}.{next(_counter)}")
    except TypeError:
        # It cannot be hashed, or referred to weakly.
        return repr(obj)
    return f"{repr(obj)[:-1]} #{serial}>"


def describe(value: Any) -> str:
    """Return a text for an argument: two values give the same one only if they are of one type and look the same.

    >>> describe(1), describe(True), describe("1"), describe([1, "a"])
    ('1', 'True', "'1'", "[1, 'a']")
    """
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    if kind is list or kind is tuple:
        inside = ", ".join(map(describe, value))
        return f"[{inside}]" if kind is list else f"({inside},)"
    if kind is dict:
        return "{" + ", ".join(f"{describe(key)}: {describe(item)}" for key, item in value.items()) + "}"
    if kind is set or kind is frozenset:
        return f"{kind.__name__}({', '.join(sorted(map(describe, value)))})"
    return f"{kind.__module__}.{kind.__qualname__} {_content(value)}"


def _content(value: Any) -> str:
    if hasattr(value, "tobytes") and hasattr(value, "shape"):
        # The `repr` of a large NumPy array leaves most of it out.
        return f"{getattr(value, 'dtype', '')}{value.shape}{value.tobytes()!r}"
    return get_id(value)


class Shape(NamedTuple):
    """The parameters of a function."""

    names: tuple[str, ...]
    """Those that can be given by position."""

    by_name: tuple[str, ...]
    """Those of them that can be given by name too: what `get_arg_names` returns."""

    defaults: dict[str, Any]

    is_open: bool
    """Whether there are others, in `*args` or `**kwargs`."""

    owner: str | None
    """`self` or `cls` if the function is a method of an object or of a class."""


@lru_cache(maxsize=1024)
def _shape_of_code(function: Any) -> Shape:
    parameters = get_function_parameters(function)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = tuple(p.name for p in positional if p.kind is p.POSITIONAL_OR_KEYWORD)
    return Shape(
        tuple(p.name for p in positional),
        by_name,
        {p.name: p.default for p in parameters if p.default is not p.empty and p.kind is not p.VAR_KEYWORD},
        is_open=any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters),
        owner=by_name[0] if by_name[:1] in (("self",), ("cls",)) else None,
    )


def shape_of(function: Callable[..., Any]) -> Shape:
    """Return the shape of a function. PERF: looked up once for each plain function."""
    return _shape_of_code(function) if inspect.isfunction(function) else _shape_of_code.__wrapped__(function)


def normalize_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], ignored: Iterable[str] = ()
) -> tuple[tuple[Any, ...], OrderedDict[str, Any]]:
    """Return the arguments of a call in one form: those that can be are positional, in order, defaults included.

    What is *ignored* is None; an object at `self` or `cls` is its `get_id`.

    COMPAT: a call that Python would refuse, with one argument given twice, is taken: the named one counts.

    :raises ValueError: when `self` or `cls` is missing.
    """
    shape = shape_of(function)
    ignored = frozenset(ignored)
    left = {name: value for name, value in kwargs.items() if name not in ignored}
    values: list[Any] = []
    taken = 0
    for index, name in enumerate(shape.names):
        if name in ignored:
            value = None
            taken += name not in kwargs
        elif index == 0 and name in ("self", "cls"):
            if not args:
                raise ValueError(
                    f"When using `delete_memoized` on a `{'classmethod' if name == 'cls' else 'method'}`"
                    f" you must provide the `{name}` argument as the first positional argument."
                )
            value = get_id(args[0])
            taken += 1
        elif name in left and name in shape.by_name:
            value = left.pop(name)
        elif taken < len(args):
            value = args[taken]
            taken += 1
        else:
            value = shape.defaults.get(name)
        values.append(value)
    for name, default in shape.defaults.items():
        # Defaults of keyword-only parameters: leaving one out and giving it are the same call.
        if name not in shape.names and name not in ignored:
            left.setdefault(name, default)
    return (*values, *args[len(shape.names) :]), OrderedDict(sorted(left.items()))


@lru_cache(maxsize=1024)
def _space_of(name: str) -> str:
    return name.translate(null_control)


def function_namespace(f: Callable[..., Any], args: Any = None) -> tuple[str, str | None]:
    """Return a name for a function, and one for it as a method of one object if it is that.

    :raises ValueError: for a classmethod without its class among *args*.
    """
    first = shape_of(f).owner
    owner = getattr(f, "__self__", None)
    token = None
    if owner is not None and not inspect.isclass(owner):
        token = get_id(owner)
    elif first == "self" and args:
        token = get_id(args[0])
    if first == "cls" and not (args and inspect.isclass(args[0])):
        raise ValueError(
            "When using `delete_memoized` on a `@classmethod` you must provide the class as the first argument"
        )
    name = f"{f.__module__}.{_qualified_name(f, first, args)}"
    return _space_of(name), None if not token else f"{name}.{token}".translate(null_control)


def _qualified_name(f: Callable[..., Any], first: str | None, args: Any) -> str:
    name: str | None = getattr(f, "__qualname__", None)
    if name is not None:
        return name
    owner = getattr(f, "__self__", None)
    if owner is None and args and first is not None:
        owner = args[0]
    if owner is None:
        return f.__name__
    return f"{(owner if inspect.isclass(owner) else type(owner)).__name__}.{f.__name__}"


def join_generator(rv: Any) -> Any:
    """Return all that a generator gives: one text, one `bytes`, or a list when it gives other things."""
    chunks = list(rv)
    if all(isinstance(chunk, str) for chunk in chunks):
        return "".join(chunks)
    if all(isinstance(chunk, bytes) for chunk in chunks):
        return b"".join(chunks)
    return chunks
