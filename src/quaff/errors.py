"""Every error that Quaff raises on its own account; HTTP errors are Werkzeug's.

::

    QuaffError
    ├── SetupError (AssertionError)      the app is put together wrongly                    Q100
    ├── ContextError (RuntimeError)      request, g, ... used where there is no context     Q300
    ├── HeaderError (ValueError)         a header, status or cookie that cannot be sent     Q400
    ├── forwarded.MalformedForwarded (ValueError)   what a proxy says about a client        Q401
    ├── WebSocketDisconnect (ConnectionError)   the client of a WebSocket is gone            Q410
    ├── stores.breaker.StoreUnavailable (ConnectionError)   a store does not answer          Q600
    ├── stores.private_files.SharedMemoryError (OSError)   memory for processes cannot be shared   Q601
    ├── ext.security.problems.SecurityOptionError (ValueError)   an option of the security headers   Q700
    ├── ext.cors.problems.CorsOptionError (ValueError)   an option of CORS                   Q720
    ├── ext.compress.settings.CompressOptionError (ValueError)   a setting of compression           Q740
    ├── ext.caching.settings.CacheSettingsError (ValueError)   a setting of the cache        Q750
    ├── ext.caching.backends.base.StoreMissing (RuntimeError)   a store lacks its library     Q751
    ├── ext.caching.privacy.PrivateResult (RuntimeError)   a cached page is one person's      Q752
    ├── ext.sqlalchemy.problems.SQLAlchemySettingsError (RuntimeError)   a setting of a database   Q800
    ├── ext.sqlalchemy.problems.DatabaseUrlError (ArgumentError)   the URL of a database         Q801
    ├── ext.sqlalchemy.problems.DriverMissing (ImportError)   the driver of a database           Q802
    ├── ext.sqlalchemy.problems.AppUnclear (RuntimeError)   which app's database is meant        Q803
    ├── ext.sqlalchemy.problems.NotRegistered (RuntimeError)   an app without this database      Q804
    ├── ext.sqlalchemy.problems.LoopNeeded (RuntimeError)   async use of a database without a loop   Q805
    ├── ext.sqlalchemy.nplusone.NPlusOneError (RuntimeError)   one query for each object       Q820
    ├── ext.migrate.lock.LockTimeout (RuntimeError)   another process migrates for too long        Q840
    ├── ext.migrate.destructive.DestructiveChange (RuntimeError)   a migration would lose data     Q841
    ├── ext.migrate.sqlite.ForeignKeyViolation (RuntimeError)   rows would refer to nothing        Q842
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


class WebSocketDisconnect(QuaffError, ConnectionError):
    """The other side of a WebSocket is gone, so there is nothing to receive and nobody to send to.

    A handler need not catch it: it ends the handler, and that is how a connection usually ends.

    :param close_code: RFC 6455 section 7.4; 1005 when the client gave none, 1006 when it vanished.
    :param reason: why, when it was this side that ended the connection.
    """

    code = "Q410"

    def __init__(self, close_code: int = 1006, reason: str = "") -> None:
        super().__init__(f"The WebSocket is closed with code {close_code}{': ' if reason else ''}{reason}.")
        self.close_code = close_code
        self.reason = reason
