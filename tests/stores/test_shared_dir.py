"""The directory that the workers of a server share: private, told by the environment, and gone with the server."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from quaff.stores import shared_dir as module
from quaff.stores.private_files import SharedMemoryError
from quaff.stores.shared_dir import VARIABLE, make_shared_dir, provide_shared_dir, shared_dir
from tests.stores.processes import process, run


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


# Which one it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_there_is_none(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """A process that nobody told of a directory shares nothing."""
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert shared_dir() is None


def test_the_variable_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private directory is taken as it is."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert shared_dir() == tmp_path


@pytest.mark.parametrize(
    "value, message",
    [
        ("relative", "QUAFF_SHARED_DIR is 'relative', which is no absolute path"),
        ("{}/missing", "QUAFF_SHARED_DIR: The directory '.*/missing' is not there"),
        ("{}/link", "QUAFF_SHARED_DIR: The directory '.*/link' is a symbolic link"),
        ("{}/open", r"QUAFF_SHARED_DIR: The directory '.*/open' is open to other users \(mode 0755\)"),
    ],
)
def test_a_directory_that_cannot_be_trusted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    """The message names the variable, since that is what has to be changed."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setenv(VARIABLE, value.format(tmp_path))
    with pytest.raises(SharedMemoryError, match=message):
        shared_dir()


def test_the_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that came along through `sudo` does not mix the counters of two users."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(SharedMemoryError, match=f"belongs to user {owner}"):
        shared_dir()


# Making one ----------------------------------------------------------------------------------------------------------


def test_a_directory_is_private_and_goes_at_the_end(tmp_path: Path) -> None:
    """It has mode 0700 and this process's number in its name, and goes with all that is in it."""
    with make_shared_dir(tmp_path) as path:
        assert path.parent == tmp_path
        assert path.stat().st_mode & 0o777 == 0o700
        assert f"-{os.getpid()}-" in path.name
        (path / "counters").write_bytes(b"x")
        (path / "folder").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_it_goes_after_an_error_and_only_once(tmp_path: Path) -> None:
    """Closing twice is harmless, also when the path was taken by another meanwhile."""
    made = make_shared_dir(tmp_path)
    with pytest.raises(RuntimeError), made:
        raise RuntimeError
    made.path.mkdir()
    made.close()
    assert made.path.exists()


def test_a_child_does_not_remove_it(tmp_path: Path) -> None:
    """A worker that ends, or unwinds what it inherited, leaves the directory to the others."""
    with make_shared_dir(tmp_path) as path:
        code = """
            import os, sys
            from pathlib import Path
            from quaff.stores.shared_dir import make_shared_dir

            made = make_shared_dir(Path(sys.argv[1]))
            pid = os.fork()
            if pid == 0:
                made.close()
                os._exit(0)
            os.waitpid(pid, 0)
            print(made.path.is_dir())
            made.close()
            print(made.path.exists())
        """
        assert run(code, tmp_path).split() == ["True", "False"]
        assert list(tmp_path.iterdir()) == [path]


def test_memory_is_preferred_when_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/dev/shm` is taken if it is there, writable and not almost full; else the directory for temporary files."""
    fallback, memory = tmp_path / "temporary", tmp_path / "memory"
    fallback.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(fallback))
    monkeypatch.setattr(module, "_IN_MEMORY", memory)
    with make_shared_dir() as path:
        assert path.parent == fallback
    memory.mkdir()
    with make_shared_dir() as path:
        assert path.parent == memory
    monkeypatch.setattr(module, "ROOM", 2**62)
    with make_shared_dir() as path:
        assert path.parent == fallback


def test_the_next_place_is_tried(tmp_path: Path) -> None:
    """A parent that is not there costs nothing; when there is no other, the message says what to do."""
    with make_shared_dir(tmp_path / "missing", tmp_path) as path:
        assert path.parent == tmp_path
    with pytest.raises(SharedMemoryError, match=r"missing: No such file or directory\). Set QUAFF_SHARED_DIR to one"):
        make_shared_dir(tmp_path / "missing")


def test_windows_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without locks on files there is nothing to put into it."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SharedMemoryError, match="win32"):
        make_shared_dir(tmp_path)


# What dead servers left ----------------------------------------------------------------------------------------------

SERVE = """
    import os, sys, time
    from pathlib import Path
    from quaff.stores.shared_dir import make_shared_dir

    made = make_shared_dir(Path(sys.argv[1]))
    (made.path / "counters").write_bytes(b"x")
    pid = os.fork() if sys.argv[2] == "worker" else 0
    if pid or sys.argv[2] != "worker":
        print(made.path, pid, flush=True)
    sys.stdin.read()
"""


def test_the_next_start_removes_what_a_killed_server_left(tmp_path: Path) -> None:
    """While a server runs its directory stays; when it was killed, the next one that starts removes it."""
    with process(SERVE, tmp_path, "alone") as server:
        assert server.stdout is not None
        path = Path(server.stdout.readline().split()[0])
        with make_shared_dir(tmp_path):
            assert path.is_dir()
        server.kill()
        server.wait()
        assert path.is_dir()
        with make_shared_dir(tmp_path):
            assert not path.exists()


def test_workers_that_outlive_their_supervisor_keep_it(tmp_path: Path) -> None:
    """As long as one process of the dead server is left, its counters stay."""
    with process(SERVE, tmp_path, "worker") as server:
        assert server.stdout is not None
        name, worker = server.stdout.readline().split()
        server.kill()
        server.wait()
        with make_shared_dir(tmp_path):
            assert Path(name).is_dir()
        os.kill(int(worker), signal.SIGKILL)
        # The pipe ends when the last process that has it is gone.
        server.stdout.read()
        with make_shared_dir(tmp_path):
            assert not Path(name).exists()


def test_the_left_directory_of_a_server_with_this_number_is_removed(tmp_path: Path) -> None:
    """In a container the new server has the number that the old one had."""
    left = tmp_path / f"quaff-shared-{os.getpid()}-abcdefgh"
    left.mkdir(mode=0o700)
    with make_shared_dir(tmp_path):
        assert not left.exists()


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """Other names, files, links, and directories that are open to others are none of our business."""
    dead = 2**22 + 1
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"quaff-shared-{dead}-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / f"quaff-shared-{dead}-file").touch()
    (tmp_path / f"quaff-shared-{dead}-open").mkdir()
    (tmp_path / f"quaff-shared-{dead}-open").chmod(0o755)
    (tmp_path / "quaff-shared-x-abc").mkdir()
    (tmp_path / f"quaff-shared-{os.getppid()}-runs").mkdir(mode=0o700)
    before = sorted(tmp_path.iterdir())
    make_shared_dir(tmp_path).close()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "pid, error, runs", [(1, PermissionError, True), (2**22 + 1, None, False), (2**80, None, False)]
)
def test_processes_of_other_users_run(
    monkeypatch: pytest.MonkeyPatch, pid: int, error: type[OSError] | None, runs: bool
) -> None:
    """Not being allowed to signal a process means that it is there; numbers that no process can have are dead."""
    if error:

        def refuse(*_: object) -> None:
            raise error

        monkeypatch.setattr(os, "kill", refuse)
    assert module._runs(pid) is runs


# For the supervisor --------------------------------------------------------------------------------------------------


def test_the_workers_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside the block the environment names a new directory; afterwards neither is there."""
    monkeypatch.setattr(module, "_default_parents", lambda: [tmp_path])
    with provide_shared_dir() as path:
        assert path is not None
        assert shared_dir() == path
    assert VARIABLE not in os.environ
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv(VARIABLE, "")
    with provide_shared_dir() as path:
        assert shared_dir() == path
    assert os.environ[VARIABLE] == ""


def test_a_directory_that_is_named_already_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters that shall outlive the server do."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with provide_shared_dir() as path:
        assert path == tmp_path
    assert tmp_path.is_dir()
    assert os.environ[VARIABLE] == str(tmp_path)


def test_a_bad_directory_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operator set is wrong, and a server without it would count wrongly."""
    monkeypatch.setenv(VARIABLE, "/nowhere/at/all")
    with pytest.raises(SharedMemoryError, match="QUAFF_SHARED_DIR"), provide_shared_dir():
        pass


def test_a_server_without_a_place_starts_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A container without any place to write still serves."""
    monkeypatch.setattr(module, "_default_parents", lambda: [tmp_path / "missing"])
    with caplog.at_level(logging.WARNING, "quaff.stores"), provide_shared_dir() as path:
        assert path is None
        assert shared_dir() is None
    assert caplog.messages[0].startswith("Workers share no memory, so each counts rate limits by itself. No directory")
