"""Real processes for tests of shared memory: started with a piece of code, and never left behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 60.0
"""Seconds that anything may take before a test gives up. No measure of speed."""


@contextmanager
def process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run *code*, which finds *arguments* in `sys.argv[1:]`; killed at the end of the block if it still runs."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def answer(child: subprocess.Popen[str]) -> str:
    """Return all that *child* printed, after its end; it must end well."""
    out, _ = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0, f"code {child.returncode}: {out}"
    return out.strip()


def run(code: str, *arguments: object) -> str:
    """Run *code* to its end, and return what it printed."""
    with process(code, *arguments) as child:
        return answer(child)
