"""The databases of the measurement: a file of SQLite, and a PostgreSQL of its own when the machine has its programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.over_http import ServerFailedError, free_port

PATIENCE = 30


def find_program(name: str) -> str | None:
    """Return the path of a program of PostgreSQL; Debian does not put the server's on the PATH."""
    places = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(places))


@contextmanager
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL with its default settings; give the URL of the server with a `/` at the end.

    :raises ServerFailedError: when it is not installed or does not start.
    """
    programs = [find_program(name) for name in ("initdb", "postgres")]
    initdb, server = programs
    if initdb is None or server is None:
        raise ServerFailedError("PostgreSQL is not installed: neither on the PATH nor in /usr/lib/postgresql")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as name, open(Path(name) / "log", "w+b") as log:
        folder = Path(name) / "data"
        # PostgreSQL refuses to run as root.
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        if user:
            shutil.chown(name, "nobody", "nogroup")
        settings = [initdb, "-D", str(folder), "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(settings, check=True, stdout=log, stderr=log, cwd=name, **user)  # type: ignore[call-overload]
        command = [server, "-D", str(folder), "-p", str(port), "-k", name, "-h", "127.0.0.1"]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=name, **user)  # type: ignore[call-overload]
        try:
            wait_until_up(process, port, Path(name) / "log")
            yield f"postgresql+psycopg://bench@127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait()


def wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the server takes connections.

    :raises ServerFailedError: when it ends, or takes too long.
    """
    ready = find_program("pg_isready") or "pg_isready"
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        asked = [ready, "-q", "-h", "127.0.0.1", "-p", str(port)]
        if subprocess.run(asked, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise ServerFailedError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-1000:]}")


@contextmanager
def databases(kinds: tuple[str, ...] = ("sqlite", "postgresql")) -> Iterator[tuple[Mapping[str, str], list[str]]]:
    """Give for each kind of database what a URL on it begins with, and why one of them is not there."""
    found, missing = {}, []
    with ExitStack() as stack:
        for kind in kinds:
            try:
                if kind == "sqlite":
                    found[kind] = f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory(prefix='bench-'))}/"
                else:
                    found[kind] = stack.enter_context(postgresql())
            except (ServerFailedError, subprocess.CalledProcessError) as error:
                missing.append(f"{kind}: {error}")
        yield found, missing
