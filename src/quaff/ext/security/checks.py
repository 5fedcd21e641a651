"""Checks of option values: each returns the value in its one type, or says what is wrong with it and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from ...hosts import judge_host
from .https import CODES
from .problems import SecurityOptionError, check_sendable, guess

PolicyOption = Mapping[str, Any] | str | None

_REFERRER: Final = (
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
)
_WORDS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def check_flag(where: str, value: Any) -> bool:
    """Return a truth value; the environment gives text."""
    if isinstance(value, str) and value:
        if value.lower() not in _WORDS:
            raise SecurityOptionError(f"{where} is {value!r}: it is True or False.")
        return _WORDS[value.lower()]
    return bool(value)


def check_seconds(where: str, value: Any) -> int:
    """Return a number of seconds, also of a `timedelta`."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    try:
        seconds = int(value)
    except (TypeError, ValueError):
        seconds = -1
    if seconds < 0:
        raise SecurityOptionError(f"{where} is {value!r}: it is a number of seconds, such as 31536000 for a year.")
    return seconds


def check_code(where: str, value: Any) -> int | None:
    """Return a status code for a redirect, or None."""
    if value is None:
        return None
    if value not in CODES and str(value) not in map(str, CODES):
        raise SecurityOptionError(
            f"{where} is {value!r}: a redirect has one of the codes {', '.join(map(str, CODES))}."
        )
    return int(value)


def check_text(where: str, value: Any) -> str | None:
    """Return text that a header can hold; None for no value."""
    if value is None or value is False or value == "":
        return None
    if not isinstance(value, str):
        raise SecurityOptionError(f"{where} is {value!r}: it is a string, or None to leave it out.")
    return check_sendable(where, value)


def check_host(where: str, value: Any) -> str | None:
    """Return a host with an optional port, or None."""
    text = check_text(where, value)
    reason = judge_host(text) if text else None
    if reason is not None:
        raise SecurityOptionError(
            f"{where} is {value!r}, but {reason}. It is a host such as 'shop.example', without https://."
        )
    return text


def check_url(where: str, value: Any) -> str | None:
    """Return a URL that can stand in a policy, or several with spaces between them, or None."""
    text = check_text(where, value)
    if text and set(text) & set(";,\"'"):
        raise SecurityOptionError(f"{where} is {value!r}: percent-encode quotes, commas and semicolons in a URL.")
    return text


def check_path(where: str, value: Any) -> str | None:
    """Return a path, or None."""
    text = check_url(where, value)
    if text and (not text.startswith("/") or " " in text):
        raise SecurityOptionError(f"{where} is {value!r}: it is a path of this app, such as '/csp-reports'.")
    return text


def check_word(choices: tuple[str, ...], where: str, value: Any) -> str | None:
    """Return the one of *choices* that is meant, whatever its case, or None."""
    text = check_text(where, value)
    if text is None:
        return None
    known = {choice.lower(): choice for choice in choices}
    if text.lower() not in known:
        raise SecurityOptionError(
            f"{where} is {text!r}{guess(text, known) or '.'} It is one of {', '.join(choices)}, or None."
        )
    return known[text.lower()]


def check_words(choices: tuple[str, ...] | None, where: str, value: Any) -> tuple[str, ...]:
    """Return several of *choices*, from a list or from one string; without choices any strings."""
    if not value:
        return ()
    items = value.replace(",", " ").split() if isinstance(value, str) else tuple(value)
    for item in items:
        if not isinstance(item, str):
            raise SecurityOptionError(f"{where} holds {item!r}: it is a list of strings.")
        if choices is not None and item not in choices:
            raise SecurityOptionError(
                f"{where} holds {item!r}{guess(item, choices) or '.'} Possible are {', '.join(choices)}."
            )
    return tuple(items)


def check_referrer(where: str, value: Any) -> str | None:
    """Return a `Referrer-Policy`, or None."""
    text = check_text(where, value)
    return (
        None
        if text is None
        else ", ".join(filter(None, (check_word(_REFERRER, where, w.strip()) for w in text.split(","))))
    )


def check_policy(where: str, value: Any) -> PolicyOption:
    """Return a policy that is read later; None for an empty one."""
    if not value:
        return None
    if not isinstance(value, Mapping | str):
        raise SecurityOptionError(f"{where} is {value!r}: it is a mapping, a string, or None for no policy.")
    return value


def check_report_only(where: str, value: Any) -> bool | Mapping[str, Any] | str:
    """Return a truth value, or a policy."""
    if isinstance(value, str) and value.lower() not in _WORDS:
        return value
    return value if value and isinstance(value, Mapping) else check_flag(where, value)


def check_exempt(where: str, value: Any) -> tuple[Any, ...]:
    """Return paths, endpoints and views, of which one may stand alone."""
    items = (value,) if isinstance(value, str) or callable(value) else tuple(value or ())
    for item in items:
        if not callable(item) and (not isinstance(item, str) or not item or "*" in item.removesuffix("/*")):
            raise SecurityOptionError(
                f"{where} holds {item!r}: it is a path ('/healthz', or '/probe/*' with all below it), an endpoint"
                " ('health') or a view."
            )
    return items
