"""Options: their names, where their values come from, and their defaults."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest

from quaff.ext.security.problems import SecurityOptionError
from quaff.ext.security.settings import (
    APP_OPTIONS,
    OPTIONS,
    OWASP_DEFAULTS,
    TALISMAN_DEFAULTS,
    Settings,
    Source,
    check_names,
    check_value,
    from_config,
    resolve,
)

UPSTREAM = {
    "feature_policy": None,
    "permissions_policy": {"browsing-topics": "()"},
    "document_policy": None,
    "force_https": True,
    "force_https_permanent": False,
    "force_file_save": False,
    "frame_options": "SAMEORIGIN",
    "frame_options_allow_from": None,
    "strict_transport_security": True,
    "strict_transport_security_preload": False,
    "strict_transport_security_max_age": 31556926,
    "strict_transport_security_include_subdomains": True,
    "content_security_policy": {"default-src": "'self'", "object-src": "'none'"},
    "content_security_policy_report_uri": None,
    "content_security_policy_report_only": False,
    "content_security_policy_nonce_in": (),
    "referrer_policy": "strict-origin-when-cross-origin",
    "session_cookie_secure": True,
    "session_cookie_http_only": True,
    "session_cookie_samesite": "Lax",
    "x_content_type_options": True,
    "x_xss_protection": False,
}
"""The options of Flask-Talisman 1.1.0 and their defaults."""


def source(**values: Any) -> Source:
    """Return a source with values."""
    return Source(lambda name: f"Here({name}=...)", values)


@pytest.mark.parametrize("name", UPSTREAM)
def test_talismans_defaults(name: str) -> None:
    """Each of the 22 options is there, with the default that it has in Flask-Talisman."""
    assert getattr(resolve([source(**TALISMAN_DEFAULTS)]), name) == UPSTREAM[name]


def test_what_talisman_does_not_have_is_off() -> None:
    """An option of Quaff's own changes nothing for Talisman until it is set."""
    settings = resolve([source(**TALISMAN_DEFAULTS)])
    for name in set(OPTIONS) - set(UPSTREAM):
        assert not getattr(settings, name), name


def test_owasp_defaults() -> None:
    """The defaults of SecurityHeaders hold what the list asks for, and nothing that locks sibling hosts or breaks forms."""
    settings = resolve([source(**OWASP_DEFAULTS)])
    assert settings.strict_transport_security_max_age == 63072000
    assert not settings.strict_transport_security_include_subdomains
    assert settings.frame_options == "DENY"
    assert settings.referrer_policy == "strict-origin-when-cross-origin"
    assert settings.cross_origin_opener_policy == settings.cross_origin_resource_policy == "same-origin"
    assert settings.cross_origin_embedder_policy is None
    assert set(OWASP_DEFAULTS) <= set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_is_documented_and_checked(name: str) -> None:
    """Each option has a docstring under it, and a check that accepts its default."""
    assert f"    {name}: " in inspect.getsource(Settings)
    part = inspect.getsource(Settings).partition(f"    {name}: ")[2].partition("\n")[2]
    assert part.startswith('    """'), name
    assert check_value(name, getattr(Settings(), name), "x") == getattr(Settings(), name)


def test_app_options_are_options() -> None:
    """What cannot differ between views is a part of the options."""
    assert set(OPTIONS) > APP_OPTIONS
    assert {field.name for field in fields(Settings)} == set(OPTIONS)


def test_the_first_source_counts() -> None:
    """A view's options count more than those of the object, and these more than the configuration."""
    settings = resolve([source(frame_options="DENY"), source(frame_options="SAMEORIGIN", force_https=False)])
    assert (settings.frame_options, settings.force_https) == ("DENY", False)


def test_none_is_a_value() -> None:
    """An option that is set to None is set: the sources after it do not count."""
    assert resolve([source(frame_options=None), source(frame_options="DENY")]).frame_options is None


def test_config() -> None:
    """Keys are the names of the options in upper case behind the prefix; other keys are none of ours."""
    found = from_config("TALISMAN_", {"TALISMAN_FORCE_HTTPS": "false", "SECRET_KEY": "x"}, is_ours=False)
    assert found.values == {"force_https": "false"}
    assert resolve([found]).force_https is False
    assert found.name("force_https") == "app.config['TALISMAN_FORCE_HTTPS']"


def test_a_misspelt_key_is_refused() -> None:
    """A key that looks like an option is an error, so that no setting is lost by a slip."""
    with pytest.raises(SecurityOptionError, match="'TALISMAN_FORCE_HTPS'; did you mean 'force_https'"):
        from_config("TALISMAN_", {"TALISMAN_FORCE_HTPS": False}, is_ours=False)


@pytest.mark.parametrize("key", ["TALISMAN_ENABLED", "TALISMAN_CONFIG", "TALISMAN_DEV_CONFIG"])
def test_other_peoples_keys_are_left_alone(key: str) -> None:
    """COMPAT: Apache Superset has these keys in its configuration, which no option is meant by."""
    assert from_config("TALISMAN_", {key: True}, is_ours=False).values == {}


def test_behind_our_own_prefix_each_key_is_ours() -> None:
    """No program can have keys of its own behind a prefix that is new."""
    with pytest.raises(SecurityOptionError, match=r"unknown key 'SECURITY_HEADERS_ENABLED'"):
        from_config("SECURITY_HEADERS_", {"SECURITY_HEADERS_ENABLED": True}, is_ours=True)


def test_names_are_checked_with_a_guess() -> None:
    """An unknown option is an error that names the place and guesses."""
    check_names("Here()", ["force_https"])
    with pytest.raises(
        SecurityOptionError, match=r"^Here\(\) got the unknown option 'frame_option'; did you mean 'frame_options'\?"
    ):
        check_names("Here()", ["frame_option"])
    with pytest.raises(SecurityOptionError, match=r"unknown option 'qqq'\.$"):
        check_names("Here()", ["qqq"])


def test_a_bad_value_names_its_place() -> None:
    """The message about a value says which of the sources it came from."""
    with pytest.raises(
        SecurityOptionError, match=r"^Here\(cross_origin_opener_policy=\.\.\.\) is 'same_origin'; did you mean"
    ):
        resolve([source(cross_origin_opener_policy="same_origin")])


def test_report_only_needs_a_place_for_reports() -> None:
    """COMPAT: Flask-Talisman raises ValueError; here every way to name a place counts."""
    with pytest.raises(ValueError, match="content_security_policy_report_uri"):
        resolve([source(content_security_policy_report_only=True)])
    for given in (
        {"content_security_policy_report_uri": "/r"},
        {"content_security_policy_report_endpoint": "/r"},
        {"content_security_policy": {"img-src": "*", "report-uri": "/r"}},
        {"content_security_policy": "img-src *; report-to group"},
    ):
        assert resolve([source(content_security_policy_report_only=True, **given)])


def test_a_policy_that_is_tried_out_needs_no_place() -> None:
    """A second policy shows in the console of a browser, too."""
    assert resolve([source(content_security_policy_report_only="img-src 'self'")])
