"""When the development server is Werkzeug's instead of Granian."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from .errors import SettingsError
from .wsgi import WSGIApp

OWN_OPTIONS: Final = frozenset({"access_log", "interface", "threads"})
"""Options of the development server that Werkzeug's does not have."""

RunSimple = Callable[..., None]
"""`werkzeug.serving.run_simple`, or what stands in for it."""


def needs_werkzeug(host: str, options: dict[str, Any]) -> str:
    """Return why *options* ask for Werkzeug's server, in words, or nothing when Granian does what they ask for.

    >>> needs_werkzeug("127.0.0.1", {"ssl_context": "adhoc"})
    "ssl_context='adhoc'"
    """
    if host.startswith("unix://"):
        return f"host={host!r}"
    if not options.get("threaded", True):
        # Programs set this for things that must stay in one thread, such as an SQLite connection made at import.
        return "threaded=False"
    if (options.get("processes") or 1) > 1:
        return f"processes={options['processes']}"
    for name in ("passthrough_errors", "request_handler", "static_files"):
        if options.get(name):
            return name
    context = options.get("ssl_context")
    if context is not None and not _is_pair_of_files(context):
        return f"ssl_context={context!r}" if isinstance(context, str) else "an ssl_context that is an object"
    return ""


def _is_pair_of_files(context: object) -> bool:
    return isinstance(context, tuple) and len(context) == 2 and None not in context


def is_werkzeugs(function: object) -> bool:
    """Tell whether *function* is Werkzeug's own `run_simple`, and not what a test or an extension put in its place."""
    return (
        getattr(function, "__module__", "") == "werkzeug.serving" and getattr(function, "__name__", "") == "run_simple"
    )


def replaced_run_simple() -> RunSimple | None:
    """Return what a test or an extension put in the place of `werkzeug.serving.run_simple`, or None.

    COMPAT: under Flask, replacing that function is the way to keep `app.run()` from serving.
    """
    serving = sys.modules.get("werkzeug.serving")
    function: RunSimple | None = getattr(serving, "run_simple", None)
    return None if function is None or is_werkzeugs(function) else function


def run_werkzeug(app: WSGIApp, host: str, port: int, options: dict[str, Any], reason: str) -> None:
    """Serve *app* with Werkzeug's development server.

    :param reason: why, for the one line that says so.
    :raises SettingsError: when another interface than WSGI is asked for.
    """
    if options.get("interface") not in {None, "wsgi"}:
        raise SettingsError(
            f"interface={options['interface']!r} cannot be had with {reason}: that needs Werkzeug's server, which speaks"
            " WSGI only. Leave one of the two out."
        )
    from werkzeug.serving import is_running_from_reloader, run_simple

    if not is_running_from_reloader():
        print(f" * Server: Werkzeug, because of {reason}", flush=True)
    known = {name: value for name, value in options.items() if name not in OWN_OPTIONS}
    run_simple(host, port, app, **known)
