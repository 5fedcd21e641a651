"""All headers of a view, worked out from its settings before a request comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from .csp import Policy, find_problems, parse_policy, split_at_nonces, write_policy
from .permissions import find_unknown_features, serialise_document, serialise_permissions
from .settings import ONE_YEAR_IN_SECS, Settings

Pair = tuple[str, str]

ALLOW_FROM: Final = "ALLOW-FROM"
GROUP: Final = "csp-endpoint"
"""The name under which `Reporting-Endpoints` and `report-to` speak of the place of reports."""

CSP: Final = "Content-Security-Policy"
REPORT_ONLY: Final = "Content-Security-Policy-Report-Only"
HSTS: Final = "Strict-Transport-Security"


@dataclass(frozen=True, slots=True)
class NonceHeader:
    """A header that is put together for each request, because it has a nonce or depends on the scheme."""

    name: str
    """The header's name."""

    secure: tuple[str, ...]
    """The value over HTTPS, in pieces between which the nonce goes."""

    plain: tuple[str, ...]
    """The same over plain HTTP."""


@dataclass(frozen=True, slots=True)
class HeaderSet:
    """The headers of a view."""

    constant: tuple[Pair, ...]
    """Those that every response has."""

    secure: tuple[Pair, ...]
    """Those that only responses over HTTPS have."""

    made: tuple[NonceHeader, ...]
    """Those that are made for each request."""

    problems: tuple[str, ...]
    """What is wrong with the settings without breaking anything."""

    @property
    def has_nonce(self) -> bool:
        """Whether a header needs a nonce."""
        return any(len(header.secure) > 1 for header in self.made)


def build_headers(settings: Settings) -> HeaderSet:
    """Return the headers that *settings* ask for.

    :raises SecurityOptionError: for values that cannot be sent.
    """
    policies = dict(_policies(settings))
    made = tuple(_in_pieces(name, policy, settings) for name, policy in policies.items())
    fixed = tuple((header.name, header.secure[0]) for header in made if _is_fixed(header))
    return HeaderSet(
        constant=(*_simple_headers(settings), *fixed),
        secure=((HSTS, hsts_value(settings)),) if settings.strict_transport_security else (),
        made=tuple(header for header in made if not _is_fixed(header)),
        problems=tuple(_problems(settings, policies)),
    )


def hsts_value(settings: Settings) -> str:
    """Return the value of `Strict-Transport-Security` (RFC 6797)."""
    return (
        f"max-age={settings.strict_transport_security_max_age}"
        f"{'; includeSubDomains' if settings.strict_transport_security_include_subdomains else ''}"
        f"{'; preload' if settings.strict_transport_security_preload else ''}"
    )


def frame_options_value(settings: Settings) -> str | None:
    """Return the value of `X-Frame-Options` (RFC 7034), or None."""
    option = settings.frame_options
    if option == ALLOW_FROM:
        return f"{option} {settings.frame_options_allow_from}"
    return option


def _simple_headers(settings: Settings) -> Iterator[Pair]:
    found = {
        "Feature-Policy": settings.feature_policy
        and write_policy(parse_policy(settings.feature_policy, "feature_policy")),
        "Permissions-Policy": settings.permissions_policy and serialise_permissions(settings.permissions_policy),
        "Document-Policy": settings.document_policy and serialise_document(settings.document_policy),
        "X-Frame-Options": frame_options_value(settings),
        "X-XSS-Protection": settings.x_xss_protection and "1; mode=block",
        "X-Content-Type-Options": settings.x_content_type_options and "nosniff",
        "X-Download-Options": settings.force_file_save and "noopen",
        "Referrer-Policy": settings.referrer_policy,
        "Cross-Origin-Opener-Policy": settings.cross_origin_opener_policy,
        "Cross-Origin-Embedder-Policy": settings.cross_origin_embedder_policy,
        "Cross-Origin-Resource-Policy": settings.cross_origin_resource_policy,
        "X-Permitted-Cross-Domain-Policies": settings.cross_domain_policies,
        "X-DNS-Prefetch-Control": settings.dns_prefetch_control,
        # RFC: the Clear-Site-Data specification has its types in quotes.
        "Clear-Site-Data": ", ".join(f'"{kind}"' for kind in settings.clear_site_data),
        "Reporting-Endpoints": _reporting_endpoints(settings),
    }
    for name, value in found.items():
        if value:
            yield name, value


def _reporting_endpoints(settings: Settings) -> str | None:
    place = settings.content_security_policy_report_uri
    return f'{GROUP}="{place.split()[0]}"' if place and settings.content_security_policy_report_to else None


def _policies(settings: Settings) -> Iterator[tuple[str, Policy]]:
    tried = settings.content_security_policy_report_only
    if settings.content_security_policy:
        policy = parse_policy(settings.content_security_policy)
        yield REPORT_ONLY if tried is True else CSP, _with_reports(policy, settings)
    if tried is not True and tried is not False:
        yield REPORT_ONLY, _with_reports(parse_policy(tried, "content_security_policy_report_only"), settings)


def _with_reports(policy: Policy, settings: Settings) -> Policy:
    place = settings.content_security_policy_report_uri
    names = {name.lower() for name, _ in policy}
    if not place:
        return policy
    if "report-uri" not in names:
        policy = (*policy, ("report-uri", tuple(place.split())))
    if settings.content_security_policy_report_to and "report-to" not in names:
        policy = (*policy, ("report-to", (GROUP,)))
    return policy


def _in_pieces(name: str, policy: Policy, settings: Settings) -> NonceHeader:
    nonce_in = settings.content_security_policy_nonce_in
    plain = split_at_nonces(policy, nonce_in)
    if not settings.upgrade_insecure_requests or name == REPORT_ONLY:
        # RFC: CSP3 has no meaning for upgrade-insecure-requests in a policy that is only reported.
        return NonceHeader(name, plain, plain)
    return NonceHeader(name, split_at_nonces((*policy, ("upgrade-insecure-requests", ())), nonce_in), plain)


def _is_fixed(header: NonceHeader) -> bool:
    return len(header.secure) == 1 and header.secure == header.plain


def _problems(settings: Settings, policies: Mapping[str, Policy]) -> Iterator[str]:
    for name, policy in policies.items():
        for sentence in find_problems(policy):
            yield f"{name}: {sentence}"
    for sentence in find_unknown_features(settings.permissions_policy or {}):
        yield f"Permissions-Policy: {sentence}"
    frame = settings.frame_options
    if frame == ALLOW_FROM and not settings.frame_options_allow_from:
        yield "frame_options is ALLOW-FROM, and frame_options_allow_from does not say whom"
    elif frame is not None and frame.upper() not in {"DENY", "SAMEORIGIN", ALLOW_FROM}:
        yield f"frame_options is {frame!r}, which browsers ignore; it is DENY or SAMEORIGIN"
    if settings.strict_transport_security_preload and (
        settings.strict_transport_security_max_age < ONE_YEAR_IN_SECS - 86400
        or not settings.strict_transport_security_include_subdomains
    ):
        yield "strict_transport_security_preload needs a max_age of a year and include_subdomains (hstspreload.org)"


def find_missing_nonces(settings: Settings) -> list[str]:
    """Return a sentence for each directive that was to get a nonce and is in no policy."""
    names = {name for _, policy in _policies(settings) for name, _ in policy}
    if not names:
        return []
    return [
        f"content_security_policy_nonce_in names {name!r}, which the policy does not have; add it to the policy"
        for name in settings.content_security_policy_nonce_in
        if name not in names
    ]


def with_report_endpoint(settings: Settings, root: str) -> Settings:
    """Return settings in which the app's own endpoint is where reports go, unless another place is named.

    :param root: the path below which the app is mounted, for the paths that browsers see.
    """
    path = settings.content_security_policy_report_endpoint
    if path is None or settings.content_security_policy_report_uri:
        return settings
    return replace(settings, content_security_policy_report_uri=root.rstrip("/") + path)
