"""`werkzeug.contrib.fixers.ProxyFix`."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix as TodaysProxyFix
from werkzeug.test import create_environ, run_wsgi_app

from quaff.compat.old_contrib import ProxyFix


@pytest.mark.parametrize("proxies, address", [(1, "10.0.0.2"), (2, "10.0.0.1")])
def test_one_number_counts_for_all(proxies: int, address: str) -> None:
    """Address, scheme and host are taken from as many proxies as are said to be in front."""
    seen: dict[str, Any] = {}

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    environ = create_environ(
        headers={
            "X-Forwarded-For": "10.0.0.1, 10.0.0.2",
            "X-Forwarded-Proto": "https, https",
            "X-Forwarded-Host": "outside.example, outside.example",
        }
    )
    run_wsgi_app(ProxyFix(app, proxies), environ)
    assert seen["REMOTE_ADDR"] == address
    assert seen["wsgi.url_scheme"] == "https"
    assert seen["HTTP_HOST"] == "outside.example"


def test_it_is_a_proxy_fix() -> None:
    """Whoever looks for today's class finds it."""
    wrapped = ProxyFix(lambda environ, start_response: [])
    assert isinstance(wrapped, TodaysProxyFix)
    assert wrapped.num_proxies == 1
