"""What can go wrong before a server serves.

ServerError (QuaffError)               the server cannot start                        Q500
├── BindError (OSError)                the address cannot be listened on              Q501
└── SettingsError (ValueError)         a setting has an unknown name or a bad value   Q502
"""

from __future__ import annotations

from ..errors import QuaffError


class ServerError(QuaffError):
    """The server cannot start; the message says why and what to do, for people to read as it is."""

    code = "Q500"


class BindError(ServerError, OSError):
    """The address cannot be listened on: in use, not of this machine, not allowed."""

    code = "Q501"


class SettingsError(ServerError, ValueError):
    """A setting of the server has an unknown name, or a value outside its limits."""

    code = "Q502"
