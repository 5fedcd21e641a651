"""`werkzeug.contrib.fixers`, of which only ProxyFix is still needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import werkzeug.middleware.proxy_fix

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class ProxyFix(werkzeug.middleware.proxy_fix.ProxyFix):
    """The ProxyFix of Werkzeug 0.14: one count for `X-Forwarded-For`, `-Proto` and `-Host`.

    SECURITY: it trusts `X-Forwarded-Host` without being asked, as it always did. The one in
    `werkzeug.middleware.proxy_fix` wants to be told what the proxy sets.
    """

    def __init__(self, app: WSGIApplication, num_proxies: int = 1) -> None:
        """Wrap *app*, which stands behind *num_proxies* proxies."""
        super().__init__(app, x_for=num_proxies, x_proto=num_proxies, x_host=num_proxies)
        self.num_proxies = num_proxies
