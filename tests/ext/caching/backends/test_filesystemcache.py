"""Values in files."""

from __future__ import annotations

import logging
import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import cachelib.file
import pytest

from quaff.ext.caching.backends import FileSystemCache
from tests.ext.caching.stores import StoreTests


class TestFileSystemCache(StoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Any:
        return FileSystemCache(str(tmp_path / "cache"))


def modes(path: Path) -> set[int]:
    """Return the modes of the files in a directory."""
    return {stat.S_IMODE(os.stat(file).st_mode) for file in path.iterdir()}


def test_modes_whatever_the_umask(tmp_path: Path) -> None:
    """Files are 0600 and directories 0700, those above included, also when the umask takes nothing away (CVE-2020-24583)."""
    old = os.umask(0)
    try:
        store = FileSystemCache(tmp_path / "a" / "b" / "c")
        store.set("key", "secret")
    finally:
        os.umask(old)
    for directory in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert modes(tmp_path / "a" / "b" / "c") == {0o600}


def test_a_mode_of_ones_own(tmp_path: Path) -> None:
    """The option `mode` counts."""
    store = FileSystemCache(tmp_path, mode=0o640)
    store.set("key", 1)
    assert modes(tmp_path) == {0o640}


def test_a_directory_for_everybody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A directory that everybody may write to is named in the log."""
    tmp_path.chmod(0o777)
    FileSystemCache(tmp_path)
    assert "Everybody on this machine may change what is cached" in caplog.text


def plant(store: FileSystemCache, key: str, content: bytes) -> None:
    """Put a file where the store looks for *key*; it never expires."""
    Path(store._get_filename(key)).write_bytes(b"\0\0\0\0" + content)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("before", [b"", b"!"])
def test_a_planted_pickle(tmp_path: Path, caplog: pytest.LogCaptureFixture, before: bytes) -> None:
    """A pickle in the directory counts as missing, is named in the log, and does not run (CVE-2021-33026)."""
    store = FileSystemCache(tmp_path / "cache")
    plant(store, "key", before + pickle.dumps(Bomb(str(tmp_path / "ran"))))
    assert store.get("key") is None
    assert not (tmp_path / "ran").exists()
    assert "a pickle, which was not read" in caplog.text


def test_every_damage_is_a_miss(tmp_path: Path) -> None:
    """Whatever byte of a file is changed, and wherever it ends, the value is there or is not; nothing is raised."""
    store = FileSystemCache(tmp_path)
    store.set("key", {"a": [1, (2, b"x")], "b": "text"})
    path = Path(store._get_filename("key"))
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position])
        store.get("key")
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        store.get("key")
    path.write_bytes(whole)
    assert store.get("key") == {"a": [1, (2, b"x")], "b": "text"}


def test_expiry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is there until its time is over; 0 is for ever."""
    now = [1_700_000_000.0]
    monkeypatch.setattr(cachelib.file, "time", lambda: now[0])
    store = FileSystemCache(tmp_path)
    store.set("short", 1, 5)
    store.set("ever", 1, 0)
    now[0] += 10
    assert store.get_many("short", "ever") == [None, 1]
    assert not store.has("short")


def test_threshold(tmp_path: Path) -> None:
    """There are not many more files than the threshold says."""
    store = FileSystemCache(tmp_path, threshold=5)
    for number in range(30):
        store.set(f"key{number}", number)
    assert len(list(store._list_dir())) <= 6


def test_a_directory_that_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When files cannot be written, that is one line in the log, and one more when they can be again."""
    store = FileSystemCache(tmp_path / "cache")
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    with caplog.at_level(logging.WARNING, "quaff.caching"):
        assert [store.set("key", 1) for _ in range(5)] == [False] * 5
        assert store.get("key") is None
        (tmp_path / "elsewhere").rename(tmp_path / "cache")
        assert store.set("key", 1)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "is unavailable: FileNotFoundError" in said[0]
    assert "is available again" in said[1]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a file cannot be written to its end, the old value stays and no half of a new one."""
    store = FileSystemCache(tmp_path)
    store.set("key", "old")

    def full(descriptor: int, mode: str) -> Any:
        os.close(descriptor)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fdopen", full)
    assert not store.set("key", "new")
    monkeypatch.undo()
    assert store.get("key") == "old"
    assert not [name for name in os.listdir(tmp_path) if name.endswith(store._fs_transaction_suffix)]


def test_processes_share_it(tmp_path: Path) -> None:
    """What one process stores, another one finds; of several that add, one succeeds."""
    code = (
        "import sys; from quaff.ext.caching.backends import FileSystemCache as F; s = F(sys.argv[1]); "
        "s.set('from', 'child'); print(s.add('lock', 1))"
    )
    done = [
        subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
        for _ in range(2)
    ]
    assert [result.stdout.strip() for result in done] == ["True", "False"]
    assert FileSystemCache(tmp_path).get("from") == "child"


def test_an_abandoned_lock(tmp_path: Path) -> None:
    """A process that died while it added does not keep others from adding for ever."""
    store = FileSystemCache(tmp_path)
    lock = Path(store._get_filename("key") + store._fs_transaction_suffix)
    lock.write_bytes(b"")
    assert not store.add("key", 1)
    os.utime(lock, (0, 0))
    assert not store.add("key", 1)
    assert store.add("key", 1)


def test_keys_must_be_text(tmp_path: Path) -> None:
    """Another key is a `TypeError`, as in cachelib."""
    with pytest.raises(TypeError, match="Key must be a string"):
        FileSystemCache(tmp_path).get(5)  # type: ignore[arg-type]


def test_old_option(tmp_path: Path) -> None:
    """`ignore_errors` still works, with a warning."""
    with pytest.warns(DeprecationWarning, match="ignore_errors"):
        assert FileSystemCache(tmp_path, ignore_errors=True).ignore_delete_many_errors
