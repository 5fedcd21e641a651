"""Every error that Quaff raises on its own account; HTTP errors are Werkzeug's.

::

    QuaffError
    ├── SetupError (AssertionError)      the app is put together wrongly                    Q100
    ├── ContextError (RuntimeError)      request, g, ... used where there is no context     Q300
    ├── HeaderError (ValueError)         a header, status or cookie that cannot be sent     Q400
    └── servers.errors.ServerError       the server cannot start                            Q500
        ├── BindError (OSError)          the address cannot be listened on                  Q501
        └── SettingsError (ValueError)   a setting has an unknown name or a bad value       Q502

Each class is also the built-in error that Flask users catch today.
"""

from __future__ import annotations


class QuaffError(Exception):
    """The base of all errors of Quaff's own."""

    code = ""
    """A short code, explained on the errors page of the documentation."""


class SetupError(QuaffError, AssertionError):
    """The app is put together wrongly, or changed after it was sealed."""

    code = "Q100"


class ContextError(QuaffError, RuntimeError):
    """Something that needs a request or an app was used outside of one."""

    code = "Q300"


class HeaderError(QuaffError, ValueError):
    """A header name, header value, status or cookie holds characters that cannot be sent."""

    code = "Q400"
