"""Starts an example as a user does, talks to it over HTTP, and stops it with Ctrl-C."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.contracts.source import ROOT

EXAMPLES = ROOT / "examples"
PATIENCE = 30.0
"""Seconds that an example may take to start or to stop, on a machine that is busy."""


class Answer(NamedTuple):
    """What came back for a request."""

    status: int
    text: str
    headers: http.client.HTTPMessage


@dataclass
class Program:
    """A running example."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def output(self) -> str:
        """Return what the program has printed so far, errors included."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def get(self, path: str = "/", headers: dict[str, str] | None = None, host: str = "127.0.0.1") -> Answer:
        """Ask for a page."""
        connection = http.client.HTTPConnection(host, self.port, timeout=10)
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), response.headers)
        finally:
            connection.close()

    def wait_for(self, text: str) -> None:
        """Wait until the program has printed *text*.

        :raises AssertionError: when it ends or takes too long.
        """
        deadline = time.monotonic() + PATIENCE
        while text not in self.output():
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode} before {text!r}:\n{self.output()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"no {text!r} after {PATIENCE} s:\n{self.output()}")
            time.sleep(0.05)

    def interrupt(self) -> int:
        """Send what Ctrl-C sends and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextmanager
def started(folder: Path, *command: str, port: int) -> Iterator[Program]:
    """Run a Python command line in *folder* until the block ends."""
    log = folder / "output.txt"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "PYTHONPATH"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", *command], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        program = Program(process, port, log)
        program.wait_for("Running on http://")
        yield program
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE)


def copied(name: str, file: str, folder: Path, port: int) -> Path:
    """Copy an example into *folder* with its port 5001 replaced, so that tests do not disturb each other."""
    text = (EXAMPLES / name / file).read_text(encoding="utf-8")
    if text.count("port=5001") != 1:
        raise AssertionError(f"examples/{name}/{file} should run on port 5001, named once")
    target = folder / file
    target.write_text(text.replace("port=5001", f"port={port}"), encoding="utf-8")
    return target
