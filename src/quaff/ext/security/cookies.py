"""What the options say about the session cookie, in the app's configuration."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, NamedTuple

from .settings import Settings


class CookieSettings(NamedTuple):
    """What was asked for when it was last applied."""

    http_only: bool
    samesite: str | None


def apply_cookies(
    config: MutableMapping[str, Any], settings: Settings, applied: CookieSettings | None, is_samesite_given: bool
) -> CookieSettings:
    """Set the `SESSION_COOKIE_*` keys that *settings* ask for, where they are not set so already.

    What the app sets after `init_app` stays, except for `SESSION_COOKIE_SECURE`: that is set again before requests.

    :param applied: what this returned before; None when it is called from `init_app`.
    :param is_samesite_given: whether `session_cookie_samesite` is more than a default.
    """
    wanted = CookieSettings(settings.session_cookie_http_only, settings.session_cookie_samesite)
    changes: dict[str, Any] = {}
    if applied != wanted:
        if wanted.http_only:
            changes["SESSION_COOKIE_HTTPONLY"] = True
        # SECURITY: a default must not weaken what the app asks for.
        if is_samesite_given or config.get("SESSION_COOKIE_SAMESITE") != "Strict":
            changes["SESSION_COOKIE_SAMESITE"] = wanted.samesite
    if applied is not None and settings.session_cookie_secure and not config.get("DEBUG"):
        # COMPAT: not before the first request, for an app is often put into debug mode after its set-up.
        changes["SESSION_COOKIE_SECURE"] = True
    for key, value in changes.items():
        # Each change of the configuration has the routes compiled anew.
        if config.get(key) != value:
            config[key] = value
    return wanted
