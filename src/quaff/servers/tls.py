"""Checking TLS files before a server starts: Granian ends the process with a panic for what it cannot read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import SettingsError
from .settings import ServeSettings

if TYPE_CHECKING:
    import ssl


def check_certificate(settings: ServeSettings) -> None:
    """Check that certificate and key can be read, and belong together; nothing without TLS.

    :raises SettingsError: when they cannot, do not, or the key has a password.
    """
    if not settings.uses_tls:
        return
    server_context(settings)


def server_context(settings: ServeSettings) -> ssl.SSLContext:
    """Return the TLS context that *settings* describe, for HTTP/1.1.

    :raises SettingsError: when certificate and key cannot be read, do not belong together, or the key has a password.
    """
    import ssl

    def refuse() -> str:
        raise SettingsError(
            f"The key {str(settings.key)!r} has a password, and the server cannot ask for it. Write it out without one:"
            " openssl pkey -in KEY -out PLAIN_KEY, readable by the server's user only."
        )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if settings.tls_minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(str(settings.certificate), str(settings.key), refuse)
        if settings.client_ca is not None:
            context.load_verify_locations(str(settings.client_ca))
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # ssl.SSLError is one, too
        reason = error.strerror or str(error)
        raise SettingsError(
            f"The certificate {str(settings.certificate)!r} cannot be used with the key {str(settings.key)!r}: {reason}."
        ) from None
    return context
