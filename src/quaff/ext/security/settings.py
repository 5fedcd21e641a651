"""The options of the security headers: their names, defaults and checks, and where their values come from.

A value comes, first of all, from the view's decorator; then from the keyword or attribute of the object; then from the app's
configuration, under the option's name in upper case behind the object's prefix (`TALISMAN_FORCE_HTTPS`); then from the
object's defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Final, NamedTuple

from .checks import (
    PolicyOption,
    check_code,
    check_exempt,
    check_flag,
    check_host,
    check_path,
    check_policy,
    check_referrer,
    check_report_only,
    check_seconds,
    check_text,
    check_url,
    check_word,
    check_words,
)
from .permissions import DENIED_FEATURES
from .problems import SecurityOptionError, guess

ONE_YEAR_IN_SECS: Final = 31556926
TWO_YEARS: Final = 63072000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The value of each option. The defaults are those of Flask-Talisman 1.1.0; what it does not have is off."""

    force_https: bool = True
    """Redirect plain HTTP to HTTPS, and refuse plain WebSockets; never in debug mode."""

    force_https_permanent: bool = False
    """Redirect with 301 instead of 302; with `force_https_keep_method`, with 308 instead of 302 or 307."""

    force_https_keep_method: bool = False
    """Choose among the status codes after which a form is sent again, and not turned into a `GET`."""

    force_https_code: int | None = None
    """The status code of the redirect, whatever the two options above say: 301, 302, 307 or 308."""

    force_https_host: str | None = None
    """The host, with a port if needed, that redirects lead to; None for the one that the request names."""

    force_https_exempt: tuple[Any, ...] = ()
    """Paths (`/healthz`, `/probe/*`), endpoints (`health`, `admin.health`) and views that need no HTTPS."""

    strict_transport_security: bool = True
    """Send `Strict-Transport-Security` over HTTPS."""

    strict_transport_security_preload: bool = False
    """Ask for a place in the browsers' own lists (hstspreload.org)."""

    strict_transport_security_max_age: int = ONE_YEAR_IN_SECS
    """Seconds for which browsers use HTTPS only; 0 makes them forget it."""

    strict_transport_security_include_subdomains: bool = True
    """Whether that holds for all subdomains as well."""

    content_security_policy: PolicyOption = None
    """The policy, as a mapping of directives or a string."""

    content_security_policy_nonce_in: tuple[str, ...] = ()
    """The directives of the policy that get a nonce, new for each request."""

    content_security_policy_report_only: bool | Mapping[str, Any] | str = False
    """True sends the policy to be reported only; a policy here is tried out so beside the other one."""

    content_security_policy_report_uri: str | None = None
    """Where browsers send reports of violations."""

    content_security_policy_report_to: bool = False
    """Also name the place of reports in `report-to` and `Reporting-Endpoints`, which takes the place of `report-uri`."""

    content_security_policy_report_endpoint: str | None = None
    """A path of the app that takes the reports itself and logs them; read when the app is initialised."""

    upgrade_insecure_requests: bool = False
    """Add `upgrade-insecure-requests` to the policy of pages that came over HTTPS."""

    feature_policy: PolicyOption = None
    """`Feature-Policy`, written like a content security policy; replaced by Permissions-Policy in 2020."""

    permissions_policy: PolicyOption = None
    """`Permissions-Policy`: each feature with a list of origins, or with its value as it is sent."""

    document_policy: PolicyOption = None
    """`Document-Policy`."""

    frame_options: str | None = "SAMEORIGIN"
    """`X-Frame-Options`: DENY, SAMEORIGIN, or ALLOW-FROM, which no browser heeds any more."""

    frame_options_allow_from: str | None = None
    """What follows ALLOW-FROM."""

    referrer_policy: str | None = "strict-origin-when-cross-origin"
    """`Referrer-Policy`; several with commas, of which a browser takes the last one that it knows."""

    cross_origin_opener_policy: str | None = None
    """`Cross-Origin-Opener-Policy`."""

    cross_origin_embedder_policy: str | None = None
    """`Cross-Origin-Embedder-Policy`."""

    cross_origin_resource_policy: str | None = None
    """`Cross-Origin-Resource-Policy`."""

    cross_domain_policies: str | None = None
    """`X-Permitted-Cross-Domain-Policies`, for Flash and Acrobat."""

    dns_prefetch_control: str | None = None
    """`X-DNS-Prefetch-Control`: on or off."""

    clear_site_data: tuple[str, ...] = ()
    """`Clear-Site-Data`, for the view that logs a user out: cache, cookies, storage, ..."""

    private_sessions: bool = False
    """Send `Cache-Control: private, no-store` with responses for which the session was read, unless they have one."""

    x_content_type_options: bool = True
    """Send `X-Content-Type-Options: nosniff`."""

    x_xss_protection: bool = False
    """Send `X-XSS-Protection: 1; mode=block`, for browsers of before 2020."""

    force_file_save: bool = False
    """Send `X-Download-Options: noopen`, for Internet Explorer."""

    session_cookie_secure: bool = True
    """Set `SESSION_COOKIE_SECURE`, unless in debug mode."""

    session_cookie_http_only: bool = True
    """Set `SESSION_COOKIE_HTTPONLY`."""

    session_cookie_samesite: str | None = "Lax"
    """Set `SESSION_COOKIE_SAMESITE`, unless that is `Strict` and this option is not given."""


OPTIONS: Final = tuple(field.name for field in fields(Settings))

APP_OPTIONS: Final = frozenset(
    {
        "content_security_policy_report_endpoint",
        "session_cookie_secure",
        "session_cookie_http_only",
        "session_cookie_samesite",
    }
)
"""The options that cannot differ between views."""

TALISMAN_DEFAULTS: Final[Mapping[str, Any]] = {
    "content_security_policy": {"default-src": "'self'", "object-src": "'none'"},
    "feature_policy": {},
    "permissions_policy": {"browsing-topics": "()"},
    "document_policy": {},
}
"""What Flask-Talisman sends beside the defaults of `Settings`."""

OWASP_DEFAULTS: Final[Mapping[str, Any]] = {
    "force_https_permanent": True,
    "force_https_keep_method": True,
    "strict_transport_security_max_age": TWO_YEARS,
    # One host must not lock its siblings.
    "strict_transport_security_include_subdomains": False,
    "content_security_policy": {
        "default-src": "'self'",
        "script-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "object-src": "'none'",
        "frame-ancestors": "'none'",
    },
    "content_security_policy_nonce_in": ("script-src",),
    "content_security_policy_report_to": True,
    "upgrade_insecure_requests": True,
    "permissions_policy": dict.fromkeys(DENIED_FEATURES, "()"),
    "frame_options": "DENY",
    "cross_origin_opener_policy": "same-origin",
    "cross_origin_resource_policy": "same-origin",
    "cross_domain_policies": "none",
    "dns_prefetch_control": "off",
    "private_sessions": True,
}
"""What `SecurityHeaders` sends: the list of the OWASP Secure Headers project, where it breaks nothing.

`Referrer-Policy` is not `no-referrer`, with which browsers send `Origin: null` with forms.
"""


class Source(NamedTuple):
    """Where values come from: `name` for messages, such as `Talisman(frame_options=...)`."""

    name: Callable[[str], str]
    values: Mapping[str, Any]


def check_names(where: str, names: Iterable[str], known: Iterable[str] = OPTIONS) -> None:
    """Refuse options that there are not.

    :raises SecurityOptionError: with a guess.
    """
    known = tuple(known)
    for name in names:
        if name not in known:
            raise SecurityOptionError(f"{where} got the unknown option {name!r}{guess(name, known) or '.'}")


def from_config(prefix: str, config: Mapping[str, Any], *, is_ours: bool) -> Source:
    """Return the options that an app's configuration sets.

    :param is_ours: whether everything behind the prefix has to be an option. Otherwise, as others use `TALISMAN_` for keys
        of their own, only what looks like a misspelt one is refused.
    :raises SecurityOptionError: for a misspelt key.
    """
    found = {}
    for key, value in config.items():
        if not key.startswith(prefix):
            continue
        name = key[len(prefix) :].lower()
        if name in OPTIONS:
            found[name] = value
            continue
        meant = guess(name, OPTIONS, cutoff=0.6 if is_ours else 0.9)
        if is_ours or meant:
            raise SecurityOptionError(f"app.config has the unknown key {key!r}{meant or '.'}")
    return Source(lambda name: f"app.config[{prefix + name.upper()!r}]", found)


def resolve(sources: Iterable[Source]) -> Settings:
    """Return the settings; of several sources that have an option, the first counts.

    :raises SecurityOptionError: for a value that cannot be right.
    """
    chosen: dict[str, Any] = {}
    for source in sources:
        for name, value in source.values.items():
            if name not in chosen:
                chosen[name] = check_value(name, value, source.name(name))
    settings = Settings(**chosen)
    if settings.content_security_policy_report_only is True and not _reports_somewhere(settings):
        # COMPAT: Flask-Talisman refuses it with a ValueError, too.
        raise SecurityOptionError(
            "content_security_policy_report_only is True, and nobody would get the reports. Set"
            " content_security_policy_report_uri to where they go, or content_security_policy_report_endpoint to a path at"
            " which the app takes them itself."
        )
    return settings


def _reports_somewhere(settings: Settings) -> bool:
    policy = settings.content_security_policy
    names = policy or () if not isinstance(policy, str) else policy.replace(";", " ").split()
    return bool(
        settings.content_security_policy_report_uri
        or settings.content_security_policy_report_endpoint
        or "report-uri" in names
        or "report-to" in names
    )


def check_value(name: str, value: Any, where: str) -> Any:
    """Return the value of an option in the type that `Settings` has for it.

    :raises SecurityOptionError: when it cannot be right.
    """
    return _CHECKS[name](where, value)


_CHECKS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    **{field.name: check_flag for field in fields(Settings) if field.type == "bool"},
    **{field.name: check_policy for field in fields(Settings) if field.type == "PolicyOption"},
    "force_https_code": check_code,
    "force_https_host": check_host,
    "force_https_exempt": check_exempt,
    "strict_transport_security_max_age": check_seconds,
    "content_security_policy_nonce_in": partial(check_words, None),
    "content_security_policy_report_only": check_report_only,
    "content_security_policy_report_uri": check_url,
    "content_security_policy_report_endpoint": check_path,
    "frame_options": check_text,
    "frame_options_allow_from": check_text,
    "referrer_policy": check_referrer,
    "cross_origin_opener_policy": partial(
        check_word, ("unsafe-none", "same-origin-allow-popups", "same-origin", "noopener-allow-popups")
    ),
    "cross_origin_embedder_policy": partial(check_word, ("unsafe-none", "require-corp", "credentialless")),
    "cross_origin_resource_policy": partial(check_word, ("same-site", "same-origin", "cross-origin")),
    "cross_domain_policies": partial(
        check_word, ("none", "none-this-response", "master-only", "by-content-type", "by-ftp-filename", "all")
    ),
    "dns_prefetch_control": partial(check_word, ("on", "off")),
    "clear_site_data": partial(
        check_words,
        ("cache", "clientHints", "cookies", "executionContexts", "prefetchCache", "prerenderCache", "storage", "*"),
    ),
    "session_cookie_samesite": partial(check_word, ("Strict", "Lax", "None")),
}
