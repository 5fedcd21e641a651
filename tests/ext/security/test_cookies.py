"""The session cookie's settings in the app's configuration."""

from __future__ import annotations

from typing import Any

import pytest

from quaff.ext.security.cookies import CookieSettings, apply_cookies
from quaff.ext.security.settings import Settings

KEYS = ("SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_SAMESITE")


def fresh(**values: Any) -> dict[str, Any]:
    """Return the keys as an app has them."""
    return {**dict(zip(KEYS, (False, True, None), strict=True)), "DEBUG": False, **values}


def test_init_app_sets_all_but_secure() -> None:
    """COMPAT: the cookie is made secure by the first request, for debug mode is often switched on later."""
    config = fresh(SESSION_COOKIE_HTTPONLY=False)
    applied = apply_cookies(config, Settings(), None, False)
    assert applied == CookieSettings(True, "Lax")
    assert [config[key] for key in KEYS] == [False, True, "Lax"]
    assert apply_cookies(config, Settings(), applied, False) == applied
    assert [config[key] for key in KEYS] == [True, True, "Lax"]


def test_debug_mode_needs_no_https() -> None:
    """In debug mode the cookie is not made secure; a browser would not send it to a development server."""
    config = fresh(DEBUG=True)
    apply_cookies(config, Settings(), CookieSettings(True, "Lax"), False)
    assert config["SESSION_COOKIE_SECURE"] is False


def test_options_that_are_off_change_nothing() -> None:
    """What is switched off leaves the app's own setting; a SameSite of None is set, as Flask-Talisman does."""
    settings = Settings(session_cookie_secure=False, session_cookie_http_only=False, session_cookie_samesite=None)
    config = fresh(SESSION_COOKIE_HTTPONLY=False, SESSION_COOKIE_SAMESITE="Lax")
    applied = apply_cookies(config, settings, None, True)
    apply_cookies(config, settings, applied, True)
    assert [config[key] for key in KEYS] == [False, False, None]


def test_a_default_does_not_weaken_the_cookie() -> None:
    """SECURITY: Flask-Talisman turns the app's Strict into its own default Lax; only who says so gets that."""
    config = fresh(SESSION_COOKIE_SAMESITE="Strict")
    apply_cookies(config, Settings(), None, False)
    assert config["SESSION_COOKIE_SAMESITE"] == "Strict"
    apply_cookies(config, Settings(), None, True)
    assert config["SESSION_COOKIE_SAMESITE"] == "Lax"


def test_what_the_app_sets_later_stays() -> None:
    """What was applied once is not applied over a later choice of the app's."""
    config = fresh()
    applied = apply_cookies(config, Settings(), None, False)
    config["SESSION_COOKIE_SAMESITE"] = "None"
    apply_cookies(config, Settings(), applied, False)
    assert config["SESSION_COOKIE_SAMESITE"] == "None"


def test_a_changed_option_is_applied() -> None:
    """An option that comes with a later configuration counts."""
    config = fresh()
    applied = apply_cookies(config, Settings(), None, False)
    apply_cookies(config, Settings(session_cookie_samesite="Strict"), applied, True)
    assert config["SESSION_COOKIE_SAMESITE"] == "Strict"


def test_nothing_is_written_that_is_there() -> None:
    """Each write has the app compiled anew, so what is right already is not written."""

    class Noting(dict[str, Any]):
        written: list[str] = []

        def __setitem__(self, key: str, value: Any) -> None:
            self.written.append(key)
            super().__setitem__(key, value)

    config = Noting(fresh())
    applied = apply_cookies(config, Settings(), None, False)
    apply_cookies(config, Settings(), applied, False)
    assert config.written == ["SESSION_COOKIE_SAMESITE", "SESSION_COOKIE_SECURE"]
    for _ in range(3):
        apply_cookies(config, Settings(), applied, False)
    assert len(config.written) == 2


@pytest.mark.parametrize("key", KEYS)
def test_keys_are_flasks(key: str) -> None:
    """The keys are those that the session interface reads."""
    from quaff import Quaff

    assert key in Quaff("x").config
