"""`ProxyFix` as WSGI middleware: for applications that are not Quaff's, and for programs that use Werkzeug's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.exceptions import BadRequest

from ...proxies import CORRECTED, Correction, Trust, parse_networks

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class ProxyFix:
    """WSGI middleware that brings requests in line with what the proxies in front of it say; arguments as Werkzeug's.

    ::

        from quaff.ext.proxy import ProxyFix

        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)

    Unlike Werkzeug's it checks what it reads: an address must be an address, a scheme http or https, a host a host; what
    is not is answered with 400. In a Quaff app, `TRUSTED_PROXIES` works over every protocol, this over WSGI only.

    :param x_for: so many values from the end of `X-Forwarded-For` stands the client; 0 to ignore the header.
    :param x_proto: the same for `X-Forwarded-Proto`.
    :param x_host: the same for `X-Forwarded-Host`.
    :param x_port: the same for `X-Forwarded-Port`.
    :param x_prefix: the same for `X-Forwarded-Prefix`.
    :param forwarded: the same for `Forwarded` (RFC 7239), which then replaces the others.
    :param trusted: addresses and networks of the proxies; requests from elsewhere are left as they are.
    :raises quaff.errors.SetupError: for a network that is none.
    """

    def __init__(
        self,
        app: WSGIApplication,
        x_for: int = 1,
        x_proto: int = 1,
        x_host: int = 0,
        x_port: int = 0,
        x_prefix: int = 0,
        *,
        forwarded: int = 0,
        trusted: Iterable[str] | None = None,
    ) -> None:
        self.app = app
        self.x_for = x_for
        self.x_proto = x_proto
        self.x_host = x_host
        self.x_port = x_port
        self.x_prefix = x_prefix
        hops = {
            "HTTP_X_FORWARDED_FOR": x_for,
            "HTTP_X_FORWARDED_PROTO": x_proto,
            "HTTP_X_FORWARDED_HOST": x_host,
            "HTTP_X_FORWARDED_PORT": x_port,
            "HTTP_X_FORWARDED_PREFIX": x_prefix,
        }
        networks, unix = (None, False) if trusted is None else parse_networks(trusted)
        self._trust = Trust(
            {"HTTP_FORWARDED": forwarded} if forwarded else hops, networks, unix=unix, exact=trusted is None
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Correct the environ and pass the request on."""
        before = {name: environ.get(name) for name in _ORIGINAL_KEYS}
        if not self._trust.correct(environ):
            refused: Correction = environ[CORRECTED]
            return BadRequest(refused.explain())(environ, start_response)
        # COMPAT: under this key, programs look for what the server had said.
        environ.setdefault("werkzeug.proxy_fix.orig", before)
        return self.app(environ, start_response)


_ORIGINAL_KEYS = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "SCRIPT_NAME")
