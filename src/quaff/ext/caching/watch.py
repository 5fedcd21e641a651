"""Sees what of a request is read while a function runs that may be cached.

It puts recorders in the place of the request's headers, its URL adapter and `g`, and looks afterwards at what the request,
the session and the context have made of themselves meanwhile. What is read from the WSGI environ itself is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from werkzeug.datastructures import EnvironHeaders

from ...wrappers import Request
from .privacy import Reads

_MADE_OF: Final = {
    "accept_charsets": "accept-charset",
    "accept_encodings": "accept-encoding",
    "accept_languages": "accept-language",
    "accept_mimetypes": "accept",
    "access_route": "x-forwarded-for",
    "base_url": "host",
    "host_url": "host",
    "root_url": "host",
    "url": "host",
    "user_agent": "user-agent",
}
"""Attributes that a request keeps once they were read -> the header that they are made of."""

_CONDITIONAL: Final = frozenset(
    {"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"}
)
"""Headers that choose what of an answer is sent, not what it is."""


class RecordingHeaders(EnvironHeaders):
    """A request's headers that note the names that are asked for."""

    def __init__(self, environ: dict[str, Any], names: set[str]) -> None:
        super().__init__(environ)
        self.names = names

    def _get_key(self, key: str) -> str:
        if isinstance(key, str):
            self.names.add(key.lower().replace("_", "-"))
        return super()._get_key(key)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        # Any of them, or one that is not there.
        self.names.add("*")
        return super().__iter__()


@lru_cache(maxsize=32)
def _watched(cls: Any) -> Any:
    """Return a subclass of a class for `g` that notes what is read."""

    def read(self: Any, name: str) -> Any:
        value = cls.__getattribute__(self, name)
        if not name.startswith("__"):
            seen = object.__getattribute__(self, "__dict__").get("_quaff_seen")
            if seen is not None:
                seen.update(("g", "user") if name == "_login_user" else ("g",))
        return value

    return type(cls.__name__, (cls,), {"__getattribute__": read})


class Watch:
    """Watches one request from when it is made until `close` is called.

    :param context: the request context.
    """

    def __init__(self, context: Any) -> None:
        self._context = context
        self._request = request = context.request
        own = request.__dict__
        self._names: set[str] = set()
        self._seen: set[str] = set()
        self._before = set(self._note_session())
        self._headers = own.get("headers")
        self._outer = self._headers if isinstance(self._headers, RecordingHeaders) else None
        self._adapter = context.url_adapter
        self._kept = {name: own.pop(name) for name in ("authorization", "cookies") if name in own}
        self._before |= {name.removesuffix("s") for name in self._kept}
        self._had_hooks = len(context.after_functions or ())
        self._had_address = "remote_addr" in own
        own.pop("host", None)
        if type(request).headers is Request.headers:
            own["headers"] = RecordingHeaders(request.environ, self._names)
        if self._adapter is not None:
            context.url_adapter = _watch_adapter(self._adapter, self._names)
        self._watch_globals()

    def _note_session(self) -> Iterator[str]:
        opened = self._context.opened_session
        self._session = opened
        if opened is not None and getattr(opened, "accessed", False):
            yield "session"
            opened.accessed = False

    def _watch_globals(self) -> None:
        g = self._g = self._context.g
        self._g_class = None
        self._g_seen = getattr(g, "__dict__", {}).get("_quaff_seen")
        if "_login_user" in getattr(g, "__dict__", {}):
            self._before.add("user")
        try:
            cls: Any = type(g)
            g.__class__ = _watched(cls)
            g.__dict__["_quaff_seen"] = self._seen
            self._g_class = cls
        except (AttributeError, TypeError):
            # A class of the user's own, with slots for example: what is read from it is not seen.
            pass

    def close(self) -> Reads:
        """Put everything back, and return what was read."""
        context, request = self._context, self._request
        own = request.__dict__
        self._restore_globals()
        if self._adapter is not None:
            context.url_adapter = self._adapter
        names = self._take_names()
        now = self._seen & {"g", "user"}
        if "*" in names:
            now |= {"authorization", "cookie"} & self._sent()
        now |= {name for name in ("authorization", "cookie") if name in names} & self._sent()
        if "cookies" in own:
            now |= {"cookie"} & self._sent()
        for name, value in self._kept.items():
            own.setdefault(name, value)
        self._before &= {"session", "user"} | self._sent()
        opened = context.opened_session
        if opened is not None and (
            getattr(opened, "accessed", False) or (opened is not self._session and opened.modified)
        ):
            now.add("session")
        if "session" in self._before and opened is not None:
            opened.accessed = True
        reads = Reads(
            now=frozenset(now),
            before=frozenset(self._before),
            names=frozenset(names) - {"authorization", "cookie"} - _CONDITIONAL,
            body=_has_body(request.environ) and (request._body_is_read or request._stream is not None or "form" in own),
            leaves_hooks=len(context.after_functions or ()) > self._had_hooks,
        )
        if self._outer is not None:
            self._outer.names.update(reads.names | (now & {"authorization", "cookie"}))
        return reads

    def _restore_globals(self) -> None:
        if self._g_class is None:
            return
        self._g.__class__ = self._g_class
        if self._g_seen is None:
            self._g.__dict__.pop("_quaff_seen", None)
        else:
            self._g.__dict__["_quaff_seen"] = self._g_seen
            self._g_seen.update(self._seen)

    def _take_names(self) -> set[str]:
        request = self._request
        own = request.__dict__
        if isinstance(own.get("headers"), RecordingHeaders):
            del own["headers"]
            if self._headers is not None:
                own["headers"] = self._headers
        names = set(self._names)
        names.update(header for attribute, header in _MADE_OF.items() if attribute in own)
        if request._args is not None or request._query_string is not None:
            names.add("?")
        if "remote_addr" in own and not self._had_address:
            names.add("remote_addr")
        return names

    def _sent(self) -> set[str]:
        """Return which of the two sensitive headers the client sent: reading one that is not there tells nothing."""
        environ = self._request.environ
        headers = (("authorization", "HTTP_AUTHORIZATION"), ("cookie", "HTTP_COOKIE"))
        return {name for name, key in headers if key in environ}


def _has_body(environ: dict[str, Any]) -> bool:
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ


def _watch_adapter(adapter: Any, names: set[str]) -> Any:
    """Return a copy of a URL adapter that notes when a URL with the host in it is built."""
    cls: Any = type(adapter)
    copied = object.__new__(_watched_adapter(cls))
    copied.__dict__.update(adapter.__dict__)
    copied.__dict__["_quaff_names"] = names
    return copied


@lru_cache(maxsize=32)
def _watched_adapter(cls: Any) -> Any:
    def build(self: Any, *args: Any, **kwargs: Any) -> str:
        url: str = cls.build(self, *args, **kwargs)
        if not url.startswith("/") or url.startswith("//"):
            self._quaff_names.add("host")
        return url

    return type(cls.__name__, (cls,), {"build": build})
