"""What can be wrong with the settings of a database, each with a message that says what to change."""

from __future__ import annotations

from sqlalchemy.exc import ArgumentError

from ...errors import ContextError, QuaffError


class SQLAlchemySettingsError(QuaffError, RuntimeError):
    """A setting of the database is missing or cannot be right. COMPAT: a `RuntimeError`, as in Flask-SQLAlchemy."""

    code = "Q800"


class DatabaseUrlError(QuaffError, ArgumentError):
    """A database's URL cannot be read, or names a kind of database that there is not."""

    code = "Q801"

    def __str__(self) -> str:
        # SQLAlchemy would add the address of a page about its own error of this code.
        return str(self.args[0])


class DriverMissing(QuaffError, ImportError):
    """The library that talks to the database is not installed; the message names the extra that brings it."""

    code = "Q802"


class AppUnclear(ContextError):
    """Outside of an app context, it is not clear which app's database is meant."""

    code = "Q803"


class LoopNeeded(ContextError):
    """Something async of the database was used where no event loop is running."""

    code = "Q805"


class NotRegistered(QuaffError, RuntimeError):
    """The current app is not one that `init_app` was called with, or has another `SQLAlchemy` object."""

    code = "Q804"
