"""Werkzeug's debugger, whose page also reaches scripts of other origins that the app allows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from werkzeug.debug import DebuggedApplication

from .wsgi import Environ


class Debugger(DebuggedApplication):
    """Werkzeug's debugger. What the app left in `quaff.error_headers` is on its page.

    Without CORS headers a browser hides the 500 from the script that asked, and shows a fault of CORS in its place.
    """

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve a request."""

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            left = environ.pop("quaff.error_headers", ())
            names = {name.lower() for name, _ in headers}
            added = [(name, value) for name, value in left if name.lower() not in names]
            return start_response(status, [*headers, *added], exc_info)

        return super().__call__(environ, start)
