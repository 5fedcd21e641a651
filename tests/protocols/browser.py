"""A real browser, without a window, that is told by its command line which page to open."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.servers.process import PATIENCE

_OPTIONS = (
    "--headless=new",
    # No window, no graphics card, no sandbox: containers have none of them, and the page is the test's own.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    # Else it ends when the page is loaded.
    "--remote-debugging-port=0",
    # It asks for nothing but the page.
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
)


@contextmanager
def browsing(program: str, url: str, folder: Path) -> Iterator[None]:
    """Have the browser show the page at *url* for a with block; at its end nothing of the browser is left.

    :param program: a Chromium.
    :param folder: an empty one, in which it keeps what it would keep of a user.
    """
    folder.mkdir()
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    with (folder / "browser.log").open("wb") as log:
        browser = subprocess.Popen(
            [program, *_OPTIONS, f"--user-data-dir={folder / 'profile'}", url],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            # It is a tree of processes, which are ended together.
            start_new_session=True,
        )
    try:
        yield
        assert browser.poll() is None, f"the browser ended:\n{(folder / 'browser.log').read_text(errors='replace')}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(browser.pid, signal.SIGKILL)
        browser.wait(PATIENCE)
