"""All headers of a view, from its settings."""

from __future__ import annotations

from typing import Any

import pytest

from quaff.ext.security.headers import (
    CSP,
    HSTS,
    REPORT_ONLY,
    NonceHeader,
    build_headers,
    find_missing_nonces,
    frame_options_value,
    hsts_value,
    with_report_endpoint,
)
from quaff.ext.security.problems import SecurityOptionError
from quaff.ext.security.settings import OWASP_DEFAULTS, TALISMAN_DEFAULTS, Settings


def constant(**options: Any) -> dict[str, str]:
    """Return the constant headers of settings that have nothing else."""
    bare: dict[str, Any] = {"frame_options": None, "referrer_policy": None, "x_content_type_options": False}
    return dict(build_headers(Settings(**{**bare, **options})).constant)


def test_talismans_headers() -> None:
    """With its defaults Talisman sends these constant headers, and one over HTTPS."""
    headers = build_headers(Settings(**TALISMAN_DEFAULTS))
    assert dict(headers.constant) == {
        "Permissions-Policy": "browsing-topics=()",
        "X-Frame-Options": "SAMEORIGIN",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Content-Security-Policy": "default-src 'self'; object-src 'none'",
    }
    assert headers.secure == ((HSTS, "max-age=31556926; includeSubDomains"),)
    assert headers.made == ()
    assert headers.problems == ()
    assert not headers.has_nonce


def test_owasps_headers() -> None:
    """With its defaults SecurityHeaders sends the OWASP list."""
    headers = build_headers(Settings(**OWASP_DEFAULTS))
    found = dict(headers.constant)
    assert found.pop("Permissions-Policy").startswith("accelerometer=(), autoplay=(), ")
    assert found == {
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Permitted-Cross-Domain-Policies": "none",
        "X-DNS-Prefetch-Control": "off",
    }
    assert headers.secure == ((HSTS, "max-age=63072000"),)
    assert [header.name for header in headers.made] == [CSP]
    assert "N".join(headers.made[0].plain) == (
        "default-src 'self'; script-src 'self' 'nonce-N'; form-action 'self'; base-uri 'none'; object-src 'none';"
        " frame-ancestors 'none'"
    )
    assert headers.made[0].secure[-1] == f"{headers.made[0].plain[-1]}; upgrade-insecure-requests"
    assert headers.problems == ()
    assert headers.has_nonce


@pytest.mark.parametrize(
    "options, name, value",
    [
        ({"feature_policy": {"geolocation": "'none'"}}, "Feature-Policy", "geolocation 'none'"),
        ({"feature_policy": "vibrate 'none'"}, "Feature-Policy", "vibrate 'none'"),
        ({"permissions_policy": {"camera": []}}, "Permissions-Policy", "camera=()"),
        ({"document_policy": {"document-write": False}}, "Document-Policy", "document-write=?0"),
        ({"frame_options": "DENY"}, "X-Frame-Options", "DENY"),
        ({"x_content_type_options": True}, "X-Content-Type-Options", "nosniff"),
        ({"x_xss_protection": True}, "X-XSS-Protection", "1; mode=block"),
        ({"force_file_save": True}, "X-Download-Options", "noopen"),
        ({"referrer_policy": "no-referrer"}, "Referrer-Policy", "no-referrer"),
        ({"cross_origin_opener_policy": "same-origin"}, "Cross-Origin-Opener-Policy", "same-origin"),
        ({"cross_origin_embedder_policy": "require-corp"}, "Cross-Origin-Embedder-Policy", "require-corp"),
        ({"cross_origin_resource_policy": "same-site"}, "Cross-Origin-Resource-Policy", "same-site"),
        ({"cross_domain_policies": "none"}, "X-Permitted-Cross-Domain-Policies", "none"),
        ({"dns_prefetch_control": "off"}, "X-DNS-Prefetch-Control", "off"),
        ({"clear_site_data": ("cache", "cookies")}, "Clear-Site-Data", '"cache", "cookies"'),
        ({"content_security_policy": {"img-src": "*"}}, CSP, "img-src *"),
    ],
)
def test_each_option_has_its_header(options: dict[str, Any], name: str, value: str) -> None:
    """An option gives one header; without it the header is not there."""
    assert constant(**options) == {name: value}
    assert constant() == {}


def test_nothing_is_sent_for_none() -> None:
    """Flask-Talisman sends `Referrer-Policy: None` when the option is None."""
    assert constant(referrer_policy=None, content_security_policy=None, permissions_policy=None) == {}


def test_hsts() -> None:
    """The value has the parts that are asked for (RFC 6797 section 6.1)."""
    assert hsts_value(Settings(strict_transport_security_include_subdomains=False)) == "max-age=31556926"
    assert hsts_value(Settings(strict_transport_security_max_age=0)) == "max-age=0; includeSubDomains"
    assert (
        hsts_value(Settings(strict_transport_security_preload=True)) == "max-age=31556926; includeSubDomains; preload"
    )
    assert build_headers(Settings(strict_transport_security=False)).secure == ()


def test_allow_from() -> None:
    """ALLOW-FROM is followed by whom it allows."""
    assert frame_options_value(Settings(frame_options="ALLOW-FROM", frame_options_allow_from="a.example")) == (
        "ALLOW-FROM a.example"
    )
    assert build_headers(Settings(frame_options="ALLOW-FROM")).problems == (
        "frame_options is ALLOW-FROM, and frame_options_allow_from does not say whom",
    )


def test_report_uri() -> None:
    """The place of reports is added to a policy that has none of its own."""
    policy = {"img-src": "*"}
    assert constant(content_security_policy=policy, content_security_policy_report_uri="/r") == {
        CSP: "img-src *; report-uri /r"
    }
    own = {"img-src": "*", "report-uri": "/own"}
    assert constant(content_security_policy=own, content_security_policy_report_uri="/r") == {
        CSP: "img-src *; report-uri /own"
    }
    assert policy == {"img-src": "*"}


def test_report_to() -> None:
    """For browsers with the Reporting API the place has a name, and a header that says what the name means."""
    headers = constant(
        content_security_policy="img-src *",
        content_security_policy_report_uri="https://r.example/a https://s.example/b",
        content_security_policy_report_to=True,
    )
    assert headers == {
        "Reporting-Endpoints": 'csp-endpoint="https://r.example/a"',
        CSP: "img-src *; report-uri https://r.example/a https://s.example/b; report-to csp-endpoint",
    }
    own = constant(
        content_security_policy="img-src *; report-to mine",
        content_security_policy_report_uri="/r",
        content_security_policy_report_to=True,
    )
    assert own[CSP] == "img-src *; report-to mine; report-uri /r"


def test_report_to_needs_a_place() -> None:
    """Without a place of reports nothing names one."""
    assert constant(content_security_policy="img-src *", content_security_policy_report_to=True) == {CSP: "img-src *"}


def test_report_only() -> None:
    """The policy is only reported, and not enforced as well."""
    headers = constant(
        content_security_policy="img-src *",
        content_security_policy_report_uri="/r",
        content_security_policy_report_only=True,
    )
    assert headers == {REPORT_ONLY: "img-src *; report-uri /r"}


def test_a_second_policy_is_tried_out() -> None:
    """A policy in the place of True is reported only, beside the one that is enforced."""
    headers = constant(content_security_policy="img-src *", content_security_policy_report_only={"img-src": "'self'"})
    assert headers == {CSP: "img-src *", REPORT_ONLY: "img-src 'self'"}
    alone = constant(content_security_policy_report_only="img-src 'self'")
    assert alone == {REPORT_ONLY: "img-src 'self'"}


def test_nonces_are_in_both_policies() -> None:
    """A policy that is tried out gets the nonce of the request, too."""
    headers = build_headers(
        Settings(
            content_security_policy="script-src 'self'",
            content_security_policy_report_only="script-src 'none'",
            content_security_policy_nonce_in=("script-src",),
        )
    )
    assert headers.made == (
        NonceHeader(CSP, ("script-src 'self' 'nonce-", "'"), ("script-src 'self' 'nonce-", "'")),
        NonceHeader(REPORT_ONLY, ("script-src 'nonce-", "'"), ("script-src 'nonce-", "'")),
    )


def test_requests_are_upgraded_over_https_only() -> None:
    """A page over plain HTTP, in development, does not have its parts asked for over HTTPS."""
    headers = build_headers(Settings(content_security_policy="img-src *", upgrade_insecure_requests=True))
    assert headers.made == (NonceHeader(CSP, ("img-src *; upgrade-insecure-requests",), ("img-src *",)),)
    assert not headers.has_nonce
    reported = build_headers(Settings(content_security_policy_report_only="img-src *", upgrade_insecure_requests=True))
    assert (REPORT_ONLY, "img-src *") in reported.constant


@pytest.mark.parametrize(
    "options, problem",
    [
        (
            {"content_security_policy": "image-src *"},
            "Content-Security-Policy: no browser knows the directive 'image-src'",
        ),
        ({"content_security_policy_report_only": "img-src self"}, "Content-Security-Policy-Report-Only: img-src self"),
        ({"permissions_policy": {"geolocaton": "()"}}, "Permissions-Policy: no browser knows the feature 'geolocaton'"),
        ({"frame_options": "ALLOWALL"}, "frame_options is 'ALLOWALL', which browsers ignore"),
        (
            {"strict_transport_security_preload": True, "strict_transport_security_max_age": 600},
            "strict_transport_security_preload needs",
        ),
        (
            {"strict_transport_security_preload": True, "strict_transport_security_include_subdomains": False},
            "strict_transport_security_preload needs",
        ),
    ],
)
def test_problems(options: dict[str, Any], problem: str) -> None:
    """What browsers would ignore is told in words."""
    problems = build_headers(Settings(**options)).problems
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.parametrize(
    "options",
    [
        {"content_security_policy": {"img-src": "a;b"}},
        {"content_security_policy_report_only": "img-src é"},
        {"feature_policy": {"camera": "a,b"}},
        {"permissions_policy": {"camera": "a\nb"}},
        {"document_policy": {"x y": True}},
    ],
)
def test_what_cannot_be_sent_is_refused(options: dict[str, Any]) -> None:
    """SECURITY: values are checked before the first request, and not by the request that would send them."""
    with pytest.raises(SecurityOptionError):
        build_headers(Settings(**options))


def test_missing_nonces() -> None:
    """A directive that is to get a nonce has to be in a policy; without any policy there is nothing to say."""
    nonces: dict[str, Any] = {"content_security_policy_nonce_in": ("script-src", "style-src")}
    assert find_missing_nonces(Settings(**nonces)) == []
    found = find_missing_nonces(Settings(content_security_policy="script-src *", **nonces))
    assert len(found) == 1
    assert "'style-src'" in found[0]
    tried = Settings(
        content_security_policy="script-src *", content_security_policy_report_only="style-src *", **nonces
    )
    assert find_missing_nonces(tried) == []


@pytest.mark.parametrize("root, place", [("/", "/csp"), ("/shop", "/shop/csp"), ("/shop/", "/shop/csp")])
def test_report_endpoint(root: str, place: str) -> None:
    """The app's own endpoint is where reports go, below the path at which the app is."""
    settings = with_report_endpoint(Settings(content_security_policy_report_endpoint="/csp"), root)
    assert settings.content_security_policy_report_uri == place


def test_another_place_for_reports_counts_more() -> None:
    """Where a place is named, that is it."""
    settings = Settings(content_security_policy_report_endpoint="/csp", content_security_policy_report_uri="/other")
    assert with_report_endpoint(settings, "/").content_security_policy_report_uri == "/other"
    assert with_report_endpoint(Settings(), "/").content_security_policy_report_uri is None
