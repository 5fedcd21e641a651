"""Files and directories of one user alone: what is refused, and how the message helps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quaff.errors import QuaffError
from quaff.stores.private_files import SharedMemoryError, open_private_directory, open_private_file


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """Give a directory with mode 0700."""
    path = tmp_path / "private"
    path.mkdir(mode=0o700)
    return path


def _open_file(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> None:
    directory = open_private_directory(path.parent)
    try:
        os.close(open_private_file(path, flags, directory=directory))
    finally:
        os.close(directory)


def test_a_directory_is_made_closed_to_others(tmp_path: Path) -> None:
    """What is created has mode 0700 and 0600, and is opened again later."""
    former = os.umask(0)
    try:
        for _ in range(2):
            os.close(open_private_directory(tmp_path / "new", create=True))
            _open_file(tmp_path / "new" / "file")
    finally:
        os.umask(former)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "file").stat().st_mode & 0o777 == 0o600


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """Only the last directory is made; the message names the first one that would have to be made by hand."""
    with pytest.raises(SharedMemoryError, match=r"/missing' is not there. Make it"):
        open_private_directory(tmp_path / "missing")
    with pytest.raises(SharedMemoryError, match=r"/missing' is not there. Make it"):
        open_private_directory(tmp_path / "missing" / "new", create=True)


def test_a_missing_file_is_an_error_of_its_own(private: Path) -> None:
    """Who opens a file may want to make it instead."""
    with pytest.raises(FileNotFoundError):
        _open_file(private / "file", os.O_RDWR)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777, 0o1777])
def test_a_directory_open_to_others_is_refused(private: Path, mode: int) -> None:
    """One bit for the group or for others is too many, and the message says how to take it away."""
    private.chmod(mode)
    with pytest.raises(SharedMemoryError, match=rf"open to other users \(mode {mode:04o}\). Run `chmod 700 "):
        open_private_directory(private, create=True)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_open_to_others_is_refused(private: Path, mode: int) -> None:
    """Others could read the secret of the hash, or write counts."""
    _open_file(private / "file")
    (private / "file").chmod(mode)
    with pytest.raises(SharedMemoryError, match="Run `chmod 600 "):
        _open_file(private / "file")


def test_links_are_refused(tmp_path: Path, private: Path) -> None:
    """A symbolic link, also one that leads to nothing, is neither followed nor replaced."""
    (tmp_path / "link").symlink_to(private)
    with pytest.raises(SharedMemoryError, match=r"The directory .*/link' is a symbolic link"):
        open_private_directory(tmp_path / "link", create=True)
    (private / "link").symlink_to(tmp_path / "made-by-mistake")
    with pytest.raises(SharedMemoryError, match=r"The file .*/link' is a symbolic link"):
        _open_file(private / "link")
    assert not (tmp_path / "made-by-mistake").exists()


def test_what_is_no_directory_or_no_file_is_refused(private: Path) -> None:
    """A file in the place of the directory, a directory or a pipe in the place of the file."""
    _open_file(private / "file")
    with pytest.raises(SharedMemoryError, match="/file' cannot be used: Not a directory"):
        open_private_directory(private / "file")
    (private / "directory").mkdir(mode=0o700)
    with pytest.raises(SharedMemoryError, match="/directory' cannot be used: Is a directory"):
        _open_file(private / "directory")
    os.mkfifo(private / "pipe", 0o600)
    with pytest.raises(SharedMemoryError, match="/pipe' is no regular file"):
        _open_file(private / "pipe")


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_another_owner_is_refused(private: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """What belongs to somebody else is refused, with both numbers, before anything is written to it."""
    _open_file(private / "file")
    directory = open_private_directory(private)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    try:
        with pytest.raises(SharedMemoryError, match=rf"The {kind} .* user {owner}, and .* runs as user {owner + 1}"):
            if kind == "directory":
                open_private_directory(private)
            else:
                open_private_file(private / "file", os.O_RDWR, directory=directory)
    finally:
        os.close(directory)


def test_refusals_leave_no_descriptor_open(private: Path) -> None:
    """A server that tries again and again does not run out of descriptors."""
    private.chmod(0o755)
    lowest = os.dup(0)
    os.close(lowest)
    for _ in range(3):
        with pytest.raises(SharedMemoryError):
            open_private_directory(private)
    again = os.dup(0)
    os.close(again)
    assert again == lowest


def test_the_error_is_one_of_quaff_and_of_the_system() -> None:
    """It is caught as `OSError` and as `QuaffError`, has a code, and prints its message alone."""
    error = SharedMemoryError("Make room.")
    assert isinstance(error, OSError)
    assert isinstance(error, QuaffError)
    assert (error.code, str(error)) == ("Q601", "Make room.")
