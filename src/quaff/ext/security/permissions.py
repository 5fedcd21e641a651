"""`Permissions-Policy` and `Document-Policy`: structured headers, from mappings or as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from .problems import SecurityOptionError, check_sendable, guess

FEATURES: Final = frozenset(
    """accelerometer ambient-light-sensor attribution-reporting autoplay bluetooth browsing-topics camera
    captured-surface-control clipboard-read clipboard-write compute-pressure cross-origin-isolated deferred-fetch
    display-capture document-domain encrypted-media execution-while-not-rendered execution-while-out-of-viewport
    fullscreen gamepad geolocation gyroscope hid identity-credentials-get idle-detection interest-cohort
    join-ad-interest-group keyboard-map language-detector local-fonts local-network-access magnetometer microphone
    midi navigation-override on-device-speech-recognition otp-credentials payment picture-in-picture
    private-state-token-issuance private-state-token-redemption publickey-credentials-create
    publickey-credentials-get run-ad-auction screen-wake-lock serial shared-storage speaker-selection storage-access
    summarizer sync-xhr translator unload usb vibrate web-share window-management xr-spatial-tracking""".split()
)
"""Features that browsers know or knew; only used to guess what a misspelt one means, for new ones come every month."""

DENIED_FEATURES: Final = (
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "cross-origin-isolated",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "keyboard-map",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "screen-wake-lock",
    "sync-xhr",
    "usb",
    "web-share",
    "xr-spatial-tracking",
)
"""What few pages need: the list of the OWASP Secure Headers project (2026)."""

_KEYWORDS: Final = frozenset({"*", "self", "src"})


def serialise_permissions(policy: Mapping[str, Any] | str, where: str = "permissions_policy") -> str:
    """Return the value of a `Permissions-Policy`.

    >>> serialise_permissions({"camera": [], "geolocation": ["self", "https://maps.example"], "midi": "()"})
    'camera=(), geolocation=(self "https://maps.example"), midi=()'

    :param policy: each feature with a list of origins and keywords (`self`, `*`), or with its value as it is sent; or all
        of the header as one string.
    :raises SecurityOptionError: for what cannot be sent.
    """
    return _serialise(policy, where, _allowlist)


def serialise_document(policy: Mapping[str, Any] | str, where: str = "document_policy") -> str:
    """Return the value of a `Document-Policy`.

    >>> serialise_document({"oversized-images": 2.0, "document-write": False})
    'oversized-images=2.0, document-write=?0'

    :raises SecurityOptionError: for what cannot be sent.
    """
    return _serialise(policy, where, _item)


def find_unknown_features(policy: Mapping[str, Any] | str) -> list[str]:
    """Return a sentence for each feature whose name looks like a misspelt one."""
    names = (part.partition("=")[0].strip() for part in policy.split(",")) if isinstance(policy, str) else policy
    found = []
    for name in names:
        meant = "" if name.lower() in FEATURES else guess(name, FEATURES, cutoff=0.8)
        if meant:
            found.append(f"no browser knows the feature {name!r}{meant}")
    return found


def _serialise(policy: Mapping[str, Any] | str, where: str, write: Any) -> str:
    if isinstance(policy, str):
        return check_sendable(where, policy.strip())
    parts = []
    for name, value in policy.items():
        if not name or not all(c.isalnum() or c in "-_.*" for c in name):
            raise SecurityOptionError(f"{where} has the name {name!r}: names are letters, digits and hyphens.")
        text = value if isinstance(value, str) else write(value, f"{where}[{name!r}]")
        # SECURITY: a comma that is not inside brackets or quotes would begin another feature.
        if _has_open_comma(text):
            raise SecurityOptionError(
                f"{where}[{name!r}] is {text!r}: the comma begins another entry. Write one entry each."
            )
        parts.append(f"{name}={check_sendable(where, text)}")
    return ", ".join(parts)


def _has_open_comma(text: str) -> bool:
    depth, quoted = 0, False
    for character in text:
        if character == '"':
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, ")": -1}.get(character, 0)
            if character == "," and depth <= 0:
                return True
    return False


def _allowlist(value: Any, where: str) -> str:
    if value is None or value is False:
        return "()"
    if value is True:
        return "*"
    if isinstance(value, Iterable):
        return f"({' '.join(_origin(item, where) for item in value)})"
    raise SecurityOptionError(f"{where} is {value!r}: give a list of origins, such as ['self'], or [] for nobody.")


def _origin(item: Any, where: str) -> str:
    if not isinstance(item, str) or not item or set(item) & set(" ,;()\\"):
        raise SecurityOptionError(f"{where} holds {item!r}: an origin is written as 'https://maps.example', or 'self'.")
    bare = item.strip("\"'")
    return bare if bare in _KEYWORDS else f'"{bare}"'


def _item(value: Any, where: str) -> str:
    # RFC: 9651 section 3.3.6: booleans are ?0 and ?1.
    if isinstance(value, bool):
        return f"?{value:d}"
    if isinstance(value, int | float):
        return str(value)
    raise SecurityOptionError(f"{where} is {value!r}: give True, False, a number, or the text as it is sent.")
