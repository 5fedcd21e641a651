"""Applications below a path of the app: `app.mount("/legacy", wsgi_app)`, `app.mount("/api", asgi_app)`.

What stands here decides: which protocol an application speaks, which mount a path belongs to, what the application is told
about the place that it is mounted at. Translating between protocols is done in `servers/mounted.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, MutableMapping
from functools import partial
from io import BytesIO
from typing import Any, Final, Literal

from ._internal.lazy import resolve

Kind = Literal["wsgi", "asgi", "quaff"]
"""The protocol of a mounted application. A Quaff app speaks all of them, and is served over the one that the request has."""

_ASGI_NAMES: Final = ["scope", "receive", "send"]


class Mount:
    """An application and the path that it is mounted at. `app.mounts` has those of an app, the longest prefix first.

    :param prefix: in the form that `normalize_prefix` returns.
    """

    __slots__ = ("application", "kind", "prefix", "state", "wsgi_prefix")

    def __init__(self, prefix: str, application: Callable[..., Any], kind: Kind) -> None:
        self.prefix = prefix
        self.application = application
        self.kind: Kind = kind
        self.wsgi_prefix = prefix.encode().decode("latin1")
        """The prefix as it stands in a WSGI environ (PEP 3333): its UTF-8 bytes as latin-1."""

        self.state: dict[str, Any] = {}
        """What the application has put into the `state` of its lifespan; each request of ASGI gets a copy."""

    def __repr__(self) -> str:
        return f"<Mount {self.prefix!r} {self.kind} {self.application!r}>"

    def first_websocket(self) -> str | None:
        """Return in words which WebSocket a Quaff app has; None for applications that do not tell."""
        return self._told(self.application.first_websocket()) if self.kind == "quaff" else None  # type: ignore[attr-defined]

    def needs_loop(self) -> str | None:
        """Return why this is best served on an event loop; None when it is not."""
        if self.kind == "asgi":
            return f"an ASGI application is mounted at {self.prefix!r}"
        return self._told(self.application.needs_loop()) if self.kind == "quaff" else None  # type: ignore[attr-defined]

    def _told(self, reason: str | None) -> str | None:
        return None if reason is None else f"in the app mounted at {self.prefix!r}, {reason}"

    def holds_connections(self) -> bool:
        """Tell whether clients of this may stay connected; of an application of ASGI nobody knows."""
        if self.kind == "quaff":
            return bool(self.application.holds_connections())  # type: ignore[attr-defined]  # a Quaff app has it
        return self.kind == "asgi"

    def environ_of(self, environ: MutableMapping[str, Any]) -> dict[str, Any]:
        """Return a copy of the environ of a request below this mount, as the application shall see it."""
        return {
            # PEP 3333 wants it also for requests without a body.
            "wsgi.input": BytesIO(),
            **environ,
            "SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + self.wsgi_prefix,
            "PATH_INFO": environ.get("PATH_INFO", "")[len(self.wsgi_prefix) :],
        }

    async def lifespan(self) -> AsyncIterator[None]:
        """Start the application, and stop it after the `yield`: for `app.while_serving`."""
        async with resolve("mounted_lifespan")(self):
            yield


def normalize_prefix(prefix: str) -> str:
    """Return *prefix* without slashes at its end.

    :raises ValueError: when it is no path, or stands for the whole site.

    >>> normalize_prefix("/api/")
    '/api'
    """
    normal = prefix.rstrip("/")
    if not normal:
        raise ValueError(
            f"An application cannot be mounted at {prefix!r}: every request would be its own. Serve it by itself, or mount"
            " it at a path such as '/api'."
        )
    if not normal.startswith("/"):
        raise ValueError(f"An application is mounted at a path that starts with a slash: '/{normal}', not {prefix!r}.")
    if "//" in normal or {".", ".."} & set(normal.split("/")):
        raise ValueError(
            f"No request could get to an application at {prefix!r}: clients take '.', '..' and empty segments out of paths."
        )
    if "%" in normal or "?" in normal or "#" in normal:
        raise ValueError(
            f"The prefix {prefix!r} is compared with decoded paths without a query: write '/café', not '/caf%C3%A9'."
        )
    return normal


def add_mount(mounts: Iterable[Mount], made: Mount) -> tuple[Mount, ...]:
    """Return *mounts* with *made* among them, in the order in which they are tried: the longest prefix first.

    :raises ValueError: when something is mounted at that prefix already.
    """
    mounts = tuple(mounts)
    for mount in mounts:
        if mount.prefix == made.prefix:
            raise ValueError(f"{mount.application!r} is mounted at {made.prefix!r} already.")
        if mount.application is made.application:
            made.state = mount.state
    return tuple(sorted((*mounts, made), key=lambda mount: -len(mount.prefix)))


def find_mount(path: str, mounts: tuple[Mount, ...]) -> Mount | None:
    """Return the mount that the decoded *path* is at or below; None when there is none.

    Only whole segments count: `/api` has `/api` and `/api/users`, and not `/apiary`.

    :param mounts: as `add_mount` orders them.
    """
    for mount in mounts:
        prefix = mount.prefix
        if path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/"):
            return mount
    return None


def find_mount_of_environ(environ: MutableMapping[str, Any], mounts: tuple[Mount, ...]) -> Mount | None:
    """Return the mount that the path of a WSGI environ is at or below; None when there is none."""
    path: str = environ.get("PATH_INFO", "")
    if not path.isascii():
        # Bytes that are no UTF-8 become surrogates, which no prefix has: so that prefixes of texts are prefixes of bytes.
        path = path.encode("latin1").decode(errors="surrogateescape")
    return find_mount(path, mounts)


# Which protocol an application speaks --------------------------------------------------------------------------------


def detect_kind(application: object) -> Literal["wsgi", "asgi"]:
    """Return the protocol that an application speaks, by the shape of its call.

    ASGI is a coroutine function with three parameters, or any function whose parameters are called `scope`, `receive` and
    `send`; WSGI a function with two. An object with such a `__call__` is as good.

    :raises TypeError: when it is neither.
    """
    if not callable(application):
        raise TypeError(
            f"{application!r} cannot be mounted: WSGI and ASGI applications are callable. Mount the application object"
            " itself."
        )
    call = _what_is_called(application)
    names = [] if isinstance(application, type) else _positional(call)
    if len(names) == 3 and (inspect.iscoroutinefunction(call) or names == _ASGI_NAMES):
        return "asgi"
    if len(names) == 2 and not inspect.iscoroutinefunction(call):
        return "wsgi"
    raise TypeError(
        f"Whether {application!r} is a WSGI or an ASGI application cannot be told from its parameters. Pass kind='wsgi' or"
        " kind='asgi' to mount()."
    )


def _what_is_called(application: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isroutine(application) or isinstance(application, partial):
        return application
    return application.__call__  # type: ignore[no-any-return, operator]  # an object with that method


def _positional(call: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters that must be given; none when that is unknown, or when there are others."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return []
    needed = [parameter for parameter in parameters if parameter.default is parameter.empty]
    if any(parameter.kind not in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD} for parameter in needed):
        return []
    return [parameter.name for parameter in needed]
