"""Real store servers for tests: started on a free port in a folder of their own, killed, started again, always stopped."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60.0
"""Seconds that a server may take to start. No measure of speed."""


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server process.

    :param folder: an empty folder for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return the command line."""
        raise NotImplementedError

    def is_up(self) -> bool:
        """Tell whether the server answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if self.is_up():
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.folder / "log.txt").read_text(errors="replace")[-2000:])
            time.sleep(0.02)

    def kill(self) -> None:
        """End the server as a crash does."""
        if self.process is not None:
            # A stopped process is killed as well.
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def freeze(self) -> None:
        """Let the server take connections and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


class Redis(Server):
    """A Redis server without persistence."""

    def command(self) -> list[str]:
        program = shutil.which("redis-server") or shutil.which("valkey-server") or "redis-server"
        return [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    def is_up(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(100).startswith(b"+PONG")


class Memcached(Server):
    """A Memcached server."""

    def command(self) -> list[str]:
        return ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-u", "root"]


class MariaDB(Server):
    """A MariaDB server with an empty database `cache`, for `root` without a password."""

    def command(self) -> list[str]:
        data = self.folder / "data"
        if not data.exists():
            subprocess.run(
                ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db"],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        (self.folder / "init.sql").write_text("CREATE DATABASE IF NOT EXISTS cache;\n")
        return [
            shutil.which("mariadbd") or "mysqld",
            "--no-defaults",
            "--user=root",
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
    def url(self) -> str:
        """The URL of the database, for SQLAlchemy."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/cache"

    def is_up(self) -> bool:
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
