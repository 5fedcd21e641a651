"""Which app is meant: the current one, or outside of any context the only one that there is.

Read first: `tests/ext/sqlalchemy/test_binding.py`.
"""

from __future__ import annotations

from typing import Any, Final

from ...globals import NO_CONTEXT, current_context, raise_no_app
from .problems import AppUnclear, NotRegistered

NEEDS_CONTEXT: Final = "sqlalchemy-needs-context"
"""The name in `COMPAT` that asks for an app context in any case, as Flask-SQLAlchemy does."""

_NO_APP: Final = """\
Working outside of application context.

This 'SQLAlchemy' object has no app yet. Call 'db.init_app(app)', or write 'db = SQLAlchemy(app)'."""

_SEVERAL_APPS: Final = """\
Working outside of application context.

This 'SQLAlchemy' object serves {count} apps, so it has to be told whose database is meant:

    with app.app_context():
        ..."""

_NOT_REGISTERED: Final = (
    "The current Flask app is not registered with this 'SQLAlchemy' instance. Did you forget to call 'init_app', or did"
    " you create multiple 'SQLAlchemy' instances?"
)


def is_outside() -> bool:
    """Tell whether no app is current."""
    bound = current_context.get()
    return bound is NO_CONTEXT or bound.app_context is None


def find_app(db: Any) -> Any:
    """Return the app whose database *db* means now: the current one, or else the only one.

    :raises RuntimeError: when no app is current and *db* has none or several, or the current one is not among them.
    """
    bound: Any = current_context.get()
    if bound is not NO_CONTEXT:
        app = bound.app
        if app not in db._app_engines:
            raise NotRegistered(_NOT_REGISTERED)
        return app
    return find_only_app(db)


def find_only_app(db: Any) -> Any:
    """Return the app that *db* was initialised with, if that is exactly one.

    :raises RuntimeError: when there is none or several, or when its `COMPAT` asks for a context.
    """
    apps = list(db._app_engines)
    if len(apps) != 1:
        raise AppUnclear(_SEVERAL_APPS.format(count=len(apps)) if apps else _NO_APP)
    app = apps[0]
    if NEEDS_CONTEXT in app.config["COMPAT"]:
        raise_no_app()
    return app
