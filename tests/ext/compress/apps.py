"""Apps with compression, and clients that read what they get."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from quaff import Quaff
from quaff.ext.compress import Compress
from quaff.ext.compress.encoders import decompress

PAGE = "".join(f"<li>Item {number} of many</li>\n" for number in range(100))
"""A body that is worth compressing."""

ALL = "gzip, deflate, br, zstd"
"""What a browser accepts."""

both_pipelines = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "reference"])


def make_app(compiled: bool = True, **config: Any) -> tuple[Quaff, Compress]:
    """Return an app that compresses, and what does it.

    :param config: settings, in lower case and without the prefix.
    """
    app = Quaff("compressing", static_folder=None, compiled=compiled)
    app.config.update(TESTING=True, SECRET_KEY="a key for tests")
    app.config.update({f"COMPRESS_{name.upper()}": value for name, value in config.items()})
    return app, Compress(app)


def plain_app(compiled: bool = True) -> Quaff:
    """Return an app with a large page and no compression."""
    app = Quaff("plain", static_folder=None, compiled=compiled)
    app.config.update(SECRET_KEY="a key for tests")
    app.add_url_rule("/", "page", lambda: PAGE)
    app.add_url_rule("/other", "other", lambda: PAGE)
    return app


def get(app: Quaff, path: str = "/", accept: str | None = ALL, method: str = "GET", **headers: str) -> Any:
    """Return the response that a client gets.

    :param headers: more request headers, with underscores for hyphens.
    """
    return app.test_client().open(path, method=method, headers=_headers(accept, headers), buffered=True)


def get_on_loop(app: Quaff, path: str = "/", accept: str | None = ALL, method: str = "GET", **headers: str) -> Any:
    """Do what `get` does, on an event loop."""

    async def main() -> Any:
        return await app.test_async_client().open(path, method=method, headers=_headers(accept, headers))

    return asyncio.run(main())


def _headers(accept: str | None, more: Mapping[str, str]) -> dict[str, str]:
    headers = {} if accept is None else {"Accept-Encoding": accept}
    return headers | {name.replace("_", "-"): value for name, value in more.items()}


def read(response: Any) -> bytes:
    """Return the body of a response as it was before it was compressed; check its length."""
    data: bytes = response.data
    if "Content-Length" in response.headers and response.request.method != "HEAD":
        assert int(response.headers["Content-Length"]) == len(data)
    coding = response.headers.get("Content-Encoding")
    return data if coding is None else decompress(data, coding)


def varies(response: Any) -> list[str]:
    """Return the words of `Vary`, in lower case."""
    return [word.strip().lower() for value in response.headers.getlist("Vary") for word in value.split(",")]
