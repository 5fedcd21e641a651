"""The values of what a cached result depends on beside its key."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from .keys import query_pairs


def new_token() -> str:
    """Return a text that no other list of variants has."""
    return token_hex(8)


def values_of(context: Any, names: tuple[str, ...]) -> list[str] | None:
    """Return the values of *names* in a request: headers in lower case, `?` for the query, `remote_addr`, `session`, `user`.

    None without a request, and for `*`: all headers were looked at, one by one, and differ for nearly everybody.
    """
    if context is None or "*" in names:
        return None
    return [value_of(context, name) for name in names]


def value_of(context: Any, name: str) -> str:
    """Return the value of one name in a request."""
    environ = context.environ
    if name == "?":
        return str(sorted(query_pairs(environ.get("QUERY_STRING", ""))))
    if name == "remote_addr":
        return f"={environ.get('REMOTE_ADDR')}"
    if name == "session":
        # Through the context, so that it counts as read and the answer varies on the cookie.
        session = context.session
        return repr(sorted((str(key), repr(value)) for key, value in session.items()))
    if name == "user":
        return user_of(context)
    value = environ.get(f"HTTP_{name.upper().replace('-', '_')}")
    # Not there and empty are two things.
    return "-" if value is None else f"={value}"


def user_of(context: Any) -> str:
    """Return who the user is, as far as a login extension has put that into `g._login_user`; else the session's content."""
    user = _login_user(context)
    identity = _identity(user)
    return value_of(context, "session") if identity is None else f"{type(user).__qualname__}:{identity}"


def is_known(context: Any) -> bool:
    """Tell whether a login extension knows the user."""
    return _identity(_login_user(context)) is not None


def _login_user(context: Any) -> Any:
    manager = getattr(context.app, "login_manager", None)
    if manager is not None and not hasattr(context.g, "_login_user"):
        manager._load_user()
    return getattr(context.g, "_login_user", None)


def _identity(user: Any) -> str | None:
    if user is None:
        return None
    get_id = getattr(user, "get_id", None)
    identity = get_id() if callable(get_id) else user
    # An anonymous user has none.
    return None if identity is None else repr(identity)
