"""Deprecations as data: one row per name, one helper that warns.

Rows for names that Flask itself removed carry the Flask version that removed them. Delete a row and the code behind it
together.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple


class Old(NamedTuple):
    """What a deprecated name was, and what to write in its place."""

    removed_in: str
    """The Flask or Werkzeug version that removed the name."""

    instead: str
    """The modern way, as the end of a sentence."""


OLD: dict[str, Old] = {
    "app.before_first_request": Old("Flask 2.3", "run the function in create_app(), or from a CLI command"),
    "Blueprint.before_app_first_request": Old(
        "Flask 2.3", "run the function in create_app(), or use Blueprint.record_once()"
    ),
    "app.env": Old("Flask 2.3", "use app.debug, or a config key of your own"),
    "app.session_cookie_name": Old("Flask 2.3", 'use app.config["SESSION_COOKIE_NAME"]'),
    "app.send_file_max_age_default": Old("Flask 2.3", 'use app.config["SEND_FILE_MAX_AGE_DEFAULT"]'),
    "app.use_x_sendfile": Old("Flask 2.3", 'use app.config["USE_X_SENDFILE"]'),
    "app.propagate_exceptions": Old("Flask 2.3", 'use app.config["PROPAGATE_EXCEPTIONS"]'),
    "app.templates_auto_reload": Old("Flask 2.3", 'use app.config["TEMPLATES_AUTO_RELOAD"]'),
    "app.json_encoder": Old("Flask 2.3", "subclass quaff.json.provider.DefaultJSONProvider and set app.json"),
    "app.json_decoder": Old("Flask 2.3", "subclass quaff.json.provider.DefaultJSONProvider and set app.json"),
    "app.got_first_request": Old("Flask 2.3", "there is no replacement; do set-up before the app serves"),
}
"""Name -> what became of it."""


def warn_old(name: str, *, depth: int = 0) -> None:
    """Warn once per place that *name* is deprecated; the warning points at the caller's caller.

    :param depth: further frames to skip, for helpers that stand between the user and the deprecated name.
    :raises KeyError: for a name that is not in `OLD`.
    """
    row = OLD[name]
    warnings.warn(
        f"{name!r} was removed in {row.removed_in} and works in Quaff for old code only: {row.instead}.",
        DeprecationWarning,
        stacklevel=3 + depth,
    )
