"""Real store servers for tests: started on a free port, killed, frozen and started again, and always gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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

    @property
    def popen_options(self) -> dict[str, Any]:
        """More arguments for the process."""
        return {}

    def is_up(self) -> bool:
        """Tell whether the server answers."""
        socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        return True

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with (self.folder / "log.txt").open("ab") as log:
            command = self.command
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, **{"cwd": self.folder, **self.popen_options}
            )
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

    def clean_up(self) -> None:
        """Remove what the server has left outside of its folder."""

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


def find_postgres() -> str | None:
    """Return the folder of PostgreSQL's programs, which distributions keep out of the PATH; None where there are none."""
    found = shutil.which("initdb")
    if found is not None:
        return str(Path(found).resolve().parent)
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    return str(folders[-1]) if folders else None


def _children_of(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    pairs = (line.split() for line in listed.splitlines())
    return [int(pid) for pid, of in pairs if int(of) == parent]


class PostgreSQL(Server):
    """A PostgreSQL server for the user `postgres`, who needs no password. What is lost in a crash of the machine is lost."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # It does not run as root, and nobody else may look into the folders of root's tests.
        self.is_root = os.getuid() == 0
        self.data = Path(tempfile.mkdtemp(prefix="quaff-postgresql-"))
        if self.is_root:
            os.chown(self.data, *self._owner)

    @property
    def _owner(self) -> tuple[int, int]:
        try:
            entry = pwd.getpwnam("postgres")
        except KeyError:
            entry = pwd.getpwnam("nobody")
        return entry.pw_uid, entry.pw_gid

    @property
    def popen_options(self) -> dict[str, Any]:
        """A group of processes of its own, for all of them to be ended at once; of another user's where root runs it."""
        options: dict[str, Any] = {"start_new_session": True, "cwd": self.data}
        if self.is_root:
            user, group = self._owner
            options.update(user=user, group=group, extra_groups=())
        return options

    @property
    def command(self) -> list[str]:
        """The command line; the first time, the database is made."""
        programs = find_postgres() or ""
        if not (self.data / "PG_VERSION").exists():
            subprocess.run(
                [
                    f"{programs}/initdb",
                    "-D",
                    str(self.data),
                    "-U",
                    "postgres",
                    "-A",
                    "trust",
                    "-E",
                    "UTF8",
                    "--no-sync",
                ],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **self.popen_options,
            )
        settings = ("fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=16MB")
        options = [word for setting in settings for word in ("-c", setting)]
        return [f"{programs}/postgres", "-D", str(self.data), "-p", str(self.port), *options]

    @property
    def uri(self) -> str:
        """The URL of the database, for SQLAlchemy."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def is_up(self) -> bool:
        """Tell whether the server answers."""
        import psycopg

        address = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres connect_timeout=5"
        try:
            psycopg.connect(address).close()
        except psycopg.Error as error:
            raise OSError(str(error)) from error
        return True

    def kill(self) -> None:
        """End the server and all its processes as a crash does."""
        if self.process is not None:
            # Stopped first, it cannot start others in their place.
            self._signal(signal.SIGSTOP)
            self._signal(signal.SIGKILL)
            self.process.wait(PATIENCE)
            self.process = None
            # A server that comes after one that was killed would find its lock.
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def clean_up(self) -> None:
        """Remove the database."""
        shutil.rmtree(self.data, ignore_errors=True)

    def _signal(self, number: int) -> None:
        assert self.process is not None
        # Each of its processes has a session of its own; one that goes on after a crash would write beside the next one's.
        children = _children_of(self.process.pid)
        os.kill(self.process.pid, number)
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, number)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Run a server for a block."""
    try:
        server.start()
        yield server
    finally:
        server.kill()
        server.clean_up()
