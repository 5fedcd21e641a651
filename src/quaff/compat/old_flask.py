"""What Flask had before Flask 3."""

from __future__ import annotations

import ipaddress
import json as json_module
import os
import threading
from contextvars import ContextVar, Token
from datetime import timedelta
from typing import IO, Any, Final

from markupsafe import Markup
from werkzeug.exceptions import NotFound
from werkzeug.security import safe_join as join_or_none
from werkzeug.utils import cached_property

from ..globals import ContextHalf, _cv_app, _cv_request
from ..json import dumps
from ..json.provider import _default

json_available: Final = True
signals_available: Final = True
MethodViewType: Final = type


class ContextStack:
    """The stack of contexts of Flask 2.1 and older, seen through the context variable that replaced it."""

    def __init__(self, half: ContextHalf[Any]) -> None:
        self._half = half
        self._pushed: ContextVar[tuple[Token[Any], ...]] = ContextVar("quaff.pushed", default=())

    @property
    def top(self) -> Any:
        """The innermost context, or None."""
        return self._half.get(None)

    def push(self, context: Any) -> None:
        """Make *context* the innermost one, without running what its own `push` runs."""
        self._pushed.set((*self._pushed.get(), self._half.set(context)))

    def pop(self) -> Any:
        """Take the innermost context that `push` put there and return it; None when there is none."""
        *rest, last = self._pushed.get() or (None,)
        if last is None:
            return None
        context = self.top
        self._pushed.set(tuple(rest))
        self._half.reset(last)
        return context


_request_ctx_stack: Final = ContextStack(_cv_request)
_app_ctx_stack: Final = ContextStack(_cv_app)


def safe_join(directory: str, *pathnames: str) -> str:
    """Join the path of a file below *directory*.

    :raises werkzeug.exceptions.NotFound: for a path that leaves the directory.
    """
    path = join_or_none(directory, *pathnames)
    if path is None:
        raise NotFound
    return path


def total_seconds(td: timedelta) -> int:
    """Return the whole seconds of *td*."""
    return td.days * 86_400 + td.seconds


def get_env() -> str:
    """Return the environment variable `FLASK_ENV`, "production" by default."""
    return os.environ.get("FLASK_ENV") or "production"


def is_ip(value: str) -> bool:
    """Tell whether *value* is an IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


class locked_cached_property(cached_property[Any]):  # noqa: N801 - the name that programs import
    """A `cached_property` that one thread at a time computes."""

    def __init__(self, fget: Any, name: str | None = None, doc: str | None = None) -> None:
        super().__init__(fget, name=name, doc=doc)
        self.lock = threading.RLock()

    def __get__(self, obj: Any, type: Any = None) -> Any:
        """Return the value, computing it for the first that asks."""
        if obj is None:
            return self
        with self.lock:
            return super().__get__(obj, type)

    def __set__(self, obj: object, value: Any) -> None:
        """Keep *value*."""
        with self.lock:
            super().__set__(obj, value)

    def __delete__(self, obj: object) -> None:
        """Forget the value."""
        with self.lock:
            super().__delete__(obj)


class JSONEncoder(json_module.JSONEncoder):
    """An encoder that knows dates, decimals, UUIDs, dataclasses and `__html__`."""

    def default(self, o: Any) -> Any:
        """Return something that JSON has for *o*.

        :raises TypeError: when there is nothing.
        """
        return _default(o)


class JSONDecoder(json_module.JSONDecoder):
    """The decoder of the standard library."""


def htmlsafe_dumps(obj: Any, **kwargs: Any) -> Markup:
    """Return *obj* as JSON that can stand in a `<script>` element."""
    # PERF: most of this module is used without a template.
    from jinja2.utils import htmlsafe_json_dumps

    return htmlsafe_json_dumps(obj, dumps=dumps, **kwargs)


def htmlsafe_dump(obj: Any, fp: IO[str], **kwargs: Any) -> None:
    """Write what `htmlsafe_dumps` returns to *fp*."""
    fp.write(htmlsafe_dumps(obj, **kwargs))


tojson_filter: Final = htmlsafe_dumps
