"""Flask-Talisman 1.1.0: its class, its options, its defaults and its constants.

What differs from the extension, because it was a hole or a mistake, is in `docs/security.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, TypeVar

from ...pipeline.parts import Target
from .csp import NONCE_LENGTH
from .extension import SecurityHeaders
from .headers import ALLOW_FROM
from .settings import ONE_YEAR_IN_SECS, TALISMAN_DEFAULTS

__all__ = (
    "ALLOW_FROM",
    "DEFAULT_CSP_POLICY",
    "DEFAULT_DOCUMENT_POLICY",
    "DEFAULT_FEATURE_POLICY",
    "DEFAULT_PERMISSIONS_POLICY",
    "DENY",
    "GOOGLE_CSP_POLICY",
    "NONCE_LENGTH",
    "ONE_YEAR_IN_SECS",
    "SAMEORIGIN",
    "Talisman",
)

F = TypeVar("F", bound=Callable[..., Any])

# COMPAT: `flask_talisman` is a package, and programs import `flask_talisman.talisman`, too. Python asks for a path, be it
# empty; the alias gives this module for both.
__path__: list[str] = []

DENY: Final = "DENY"
SAMEORIGIN: Final = "SAMEORIGIN"
DEFAULT_REFERRER_POLICY: Final = "strict-origin-when-cross-origin"
DEFAULT_SESSION_COOKIE_SAMESITE: Final = "Lax"
DEFAULT_CSP_POLICY: Final[dict[str, str]] = dict(TALISMAN_DEFAULTS["content_security_policy"])
DEFAULT_PERMISSIONS_POLICY: Final[dict[str, str]] = dict(TALISMAN_DEFAULTS["permissions_policy"])
DEFAULT_DOCUMENT_POLICY: Final[dict[str, str]] = {}
DEFAULT_FEATURE_POLICY: Final[dict[str, str]] = {}

GOOGLE_CSP_POLICY: Final[dict[str, str]] = {
    "font-src": "'self' themes.googleusercontent.com *.gstatic.com",
    "frame-src": "'self' www.google.com www.youtube.com",
    "script-src": "'self' ajax.googleapis.com *.googleanalytics.com *.google-analytics.com",
    "style-src": "'self' ajax.googleapis.com fonts.googleapis.com *.gstatic.com",
    "object-src": "'none'",
    "default-src": "'self' *.gstatic.com",
}
"""A policy for pages with fonts and scripts from Google, and frames of Maps and YouTube."""


class Talisman(SecurityHeaders):
    """Redirects to HTTPS and sends security headers, with the options and defaults of Flask-Talisman.

    ::

        talisman = Talisman(app, content_security_policy_nonce_in=["script-src"])

    The options of `SecurityHeaders` that Flask-Talisman does not have are there as well, and off. In the configuration each
    option is `TALISMAN_` and its name in upper case.

    :param app: an app or a blueprint; without one, call `init_app`.
    :raises ValueError: for an option that there is not, or that cannot be right.
    """

    prefix: ClassVar[str] = "TALISMAN_"
    defaults: ClassVar[Mapping[str, Any]] = TALISMAN_DEFAULTS
    strict: ClassVar[bool] = False

    _positional: ClassVar[tuple[str, ...]] = (
        "feature_policy",
        "permissions_policy",
        "document_policy",
        "force_https",
        "force_https_permanent",
        "force_file_save",
        "frame_options",
        "frame_options_allow_from",
        "strict_transport_security",
        "strict_transport_security_preload",
        "strict_transport_security_max_age",
        "strict_transport_security_include_subdomains",
        "content_security_policy",
        "content_security_policy_report_uri",
        "content_security_policy_report_only",
        "content_security_policy_nonce_in",
        "referrer_policy",
        "session_cookie_secure",
        "session_cookie_http_only",
        "session_cookie_samesite",
        "x_content_type_options",
        "x_xss_protection",
    )

    @property
    def app(self) -> Any:
        """The app that was initialised last, or None."""
        return self._scopes[-1].app() if self._scopes else None

    def __call__(self, **options: Any) -> Callable[[F], F]:
        """Return a decorator that gives a view options of its own, and notes them as its `talisman_view_options`."""
        decorate = super().__call__(**options)

        def decorate_and_note(view: F) -> F:
            view = decorate(view)
            view.talisman_view_options = dict(options)  # type: ignore[attr-defined]  # a function takes attributes
            return view

        return decorate_and_note

    def _view_options(self, target: Target) -> dict[str, Any]:
        # COMPAT: the extension finds a view's options in this attribute, whoever has put them there.
        noted = getattr(target.view, "talisman_view_options", None)
        return {**(noted if isinstance(noted, Mapping) else {}), **super()._view_options(target)}
