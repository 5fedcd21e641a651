"""Real store servers for tests: started on a free port, killed, frozen and started again, and always gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

PATIENCE = 60.0
"""Seconds that a server may take to start. No measure of speed."""


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


class Server:
    """A server process.

    :param folder: an empty folder for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> list[str]:
        """The command line."""
        raise NotImplementedError

    @property
    def uri(self) -> str:
        """The URI of the store."""
        raise NotImplementedError

    def is_up(self) -> bool:
        """Tell whether the server answers."""
        socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        return True

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.perf_counter() + PATIENCE
        while True:
            try:
                if self.is_up():
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.perf_counter() > deadline:
                raise AssertionError((self.folder / "log.txt").read_text(errors="replace")[-2000:])
            self.process.poll()
            _pause()

    def kill(self) -> None:
        """End the server as a crash does; a frozen one too."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def freeze(self) -> None:
        """Let the server take connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)


def _pause() -> None:
    # Not time.sleep: tests put a clock of their own into that module.
    select([], [], [], 0.02)


class Redis(Server):
    """A Redis server, or a Valkey one, that keeps nothing on disk."""

    @property
    def command(self) -> list[str]:
        """The command line."""
        name = shutil.which("redis-server") or shutil.which("valkey-server") or "redis-server"
        return [name, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    @property
    def uri(self) -> str:
        """The URI of the store."""
        return f"redis://127.0.0.1:{self.port}"

    def is_up(self) -> bool:
        """Tell whether the server answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(100).startswith(b"+PONG")

    def run(self, *words: str) -> Any:
        """Send a command."""
        import redis

        return redis.Redis(port=self.port).execute_command(*words)


class Memcached(Server):
    """A Memcached server."""

    @property
    def command(self) -> list[str]:
        """The command line."""
        return ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-u", _user()]

    @property
    def uri(self) -> str:
        """The URI of the store."""
        return f"memcached://127.0.0.1:{self.port}"


class MariaDB(Server):
    """A MariaDB server with an empty database `cache`, for `root` without a password."""

    @property
    def command(self) -> list[str]:
        """The command line; the first time, the database is made."""
        data = self.folder / "data"
        if not data.exists():
            subprocess.run(
                ["mariadb-install-db", "--no-defaults", f"--user={_user()}", f"--datadir={data}", "--skip-test-db"],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        (self.folder / "init.sql").write_text("CREATE DATABASE IF NOT EXISTS cache;\n")
        return [
            shutil.which("mariadbd") or "mysqld",
            "--no-defaults",
            f"--user={_user()}",
            f"--datadir={data}",
            f"--socket={self.folder / 's'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self.folder / 'init.sql'}",
            "--skip-grant-tables",
            "--skip-networking=0",
            "--innodb-buffer-pool-size=16M",
        ]

    @property
    def uri(self) -> str:
        """The URL of the database, for SQLAlchemy."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/cache"

    def is_up(self) -> bool:
        """Tell whether the server answers."""
        import pymysql

        try:
            pymysql.connect(host="127.0.0.1", port=self.port, user="root", database="cache", connect_timeout=5).close()
        except pymysql.err.Error as error:
            raise OSError(str(error)) from error
        return True


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Run a server for a block."""
    try:
        server.start()
        yield server
    finally:
        server.kill()
