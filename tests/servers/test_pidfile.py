"""The pid file: there while the server runs, and never somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quaff.servers import ServerError
from quaff.servers.pidfile import pid_file


def test_the_file_holds_this_process_while_the_block_runs(tmp_path: Path) -> None:
    """The file is there inside the block, and gone after it."""
    path = tmp_path / "app.pid"
    with pid_file(path):
        assert int(path.read_text()) == os.getpid()
    assert not path.exists()


def test_the_file_goes_also_after_an_error(tmp_path: Path) -> None:
    """A server that fails leaves no file behind."""
    path = tmp_path / "app.pid"
    with pytest.raises(RuntimeError), pid_file(path):
        raise RuntimeError
    assert not path.exists()


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pid file is an option."""
    monkeypatch.chdir(tmp_path)
    with pid_file(None):
        assert not list(tmp_path.iterdir())


def test_a_running_server_keeps_its_file(tmp_path: Path) -> None:
    """A second server with the same file does not start, and says whose it is."""
    path = tmp_path / "app.pid"
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(ServerError, match=f"belongs to process {os.getppid()}, which runs"), pid_file(path):
        pytest.fail("the block ran")
    assert int(path.read_text()) == os.getppid()


@pytest.mark.parametrize("content", ["gone", "", "not a number", "99999999999999999999"])
def test_a_stale_file_is_taken_over(tmp_path: Path, content: str) -> None:
    """What a killed server left, or nobody can read, does not keep the next one from starting."""
    path = tmp_path / "app.pid"
    if content == "gone":
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        content = str(child.pid)
    path.write_text(content)
    with pid_file(path):
        assert int(path.read_text()) == os.getpid()


def test_a_file_that_was_taken_over_is_left(tmp_path: Path) -> None:
    """The file of a successor is not removed by a server that ends late."""
    path = tmp_path / "app.pid"
    with pid_file(path):
        path.write_text("1")
    assert path.read_text() == "1"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """A file that cannot be written is one clear message."""
    path = tmp_path / "missing" / "app.pid"
    with pytest.raises(ServerError, match=r"app\.pid' cannot be written: No such file"), pid_file(path):
        pytest.fail("the block ran")
