"""Static files: siblings and what is kept in memory."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
from werkzeug.wsgi import FileWrapper

from quaff.ext.compress.settings import CODINGS
from quaff.ext.compress.static import CodedFiles, OpenFile, find_file, find_sibling
from quaff.servers.exchange import FileBlocks

TEXT = b"body { color: black }\n" * 100

Opening = Callable[[Path], OpenFile]


@pytest.fixture
def style(tmp_path: Path) -> Path:
    """Give a file, an hour old."""
    path = tmp_path / "style.css"
    path.write_bytes(TEXT)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


@pytest.fixture
def opened() -> Iterator[Opening]:
    """Give a function that opens a file as `send_file` does; all are closed in the end."""
    files: list[IO[bytes]] = []

    def open_file(path: Path) -> OpenFile:
        files.append(path.open("rb"))
        file = IOWithName(files[-1], str(path))
        found = find_file(FileWrapper(file))  # type: ignore[arg-type]
        assert found is not None
        return found

    yield open_file
    for file in files:
        file.close()


class IOWithName:
    """A file whose name is a string, as it is when a path was opened as one."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._inner, self.name = file, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_files_are_found_in_wrappers(style: Path) -> None:
    """The file is found in what Werkzeug, Quaff's servers and gunicorn put around it."""
    with open(str(style), "rb") as file:
        for wrapper in (FileWrapper(file), FileBlocks(file), SimpleNamespace(filelike=file)):
            found = find_file(wrapper)
            assert found is not None
            assert (found.path, found.size) == (str(style), len(TEXT))


def test_what_is_no_file(style: Path, tmp_path: Path) -> None:
    """Buffers, generators, files that were read from, pipes and closed files are no static files."""
    assert find_file(iter([b"x"])) is None
    assert find_file([b"x"]) is None
    assert find_file(FileWrapper(io.BytesIO(TEXT))) is None
    with open(str(style), "rb") as file:
        file.read(1)
        assert find_file(FileWrapper(file)) is None
    assert find_file(FileWrapper(file)) is None
    named = IOWithName(io.BytesIO(TEXT), "style.css")  # type: ignore[arg-type]
    assert find_file(FileWrapper(named)) is None  # type: ignore[arg-type]
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert find_file(FileWrapper(IOWithName(pipe, str(style)))) is None  # type: ignore[arg-type]


def sibling(style: Path, suffix: str, *, age: int = 0, content: bytes = b"coded") -> Path:
    """Put a sibling beside the file, *age* seconds older than it."""
    path = style.with_name(style.name + suffix)
    path.write_bytes(content)
    changed = style.stat().st_mtime - age
    os.utime(path, (changed, changed))
    return path


@pytest.mark.parametrize("suffix, coding", [(".br", "br"), (".zst", "zstd"), (".gz", "gzip")])
def test_siblings(style: Path, opened: Opening, suffix: str, coding: str) -> None:
    """A sibling of the same age or younger is taken, for its coding only."""
    sibling(style, suffix)
    found = find_sibling(opened(style), CODINGS)
    assert found is not None
    with found.file:
        assert (found.coding, found.size, found.file.read()) == (coding, 5, b"coded")
    assert find_sibling(opened(style), tuple(name for name in CODINGS if name != coding)) is None


def test_the_first_sibling_is_taken(style: Path, opened: Opening) -> None:
    """Of several siblings, that of the first coding is taken."""
    for suffix in (".br", ".gz", ".zst"):
        sibling(style, suffix, content=suffix.encode())
    for codings in (("gzip", "br"), ("br", "gzip"), ("deflate", "zstd", "br")):
        found = find_sibling(opened(style), codings)
        assert found is not None
        found.file.close()
        assert found.coding == next(name for name in codings if name != "deflate")


def test_stale_siblings(style: Path, opened: Opening) -> None:
    """A sibling that is older than the file belongs to what was there before, and an empty one is a broken build."""
    sibling(style, ".br", age=1)
    sibling(style, ".gz", content=b"")
    assert find_sibling(opened(style), CODINGS) is None


def test_links_are_no_siblings(style: Path, opened: Opening, tmp_path: Path) -> None:
    """SECURITY: a sibling that is a link could lead out of the folder; one that is a pipe or a folder could block."""
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"secret")
    style.with_name("style.css.br").symlink_to(secret)
    os.mkfifo(style.with_name("style.css.gz"))
    style.with_name("style.css.zst").mkdir()
    assert find_sibling(opened(style), CODINGS) is None


def test_siblings_that_cannot_be_read(style: Path, opened: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sibling that cannot be opened, or was exchanged just now, is passed over and closed."""
    path = sibling(style, ".br")
    elsewhere = style.with_name("elsewhere")
    elsewhere.write_bytes(b"elsewhere")
    real_open = os.open
    descriptors: list[int] = []

    def exchanged(name: Any, flags: int, *rest: Any, **more: Any) -> int:
        descriptors.append(real_open(elsewhere if str(name) == str(path) else name, flags, *rest, **more))
        return descriptors[-1]

    file = opened(style)
    monkeypatch.setattr(os, "open", exchanged)
    assert find_sibling(file, CODINGS) is None
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(descriptors[-1])

    def refused(*args: Any, **kwargs: Any) -> int:
        raise PermissionError("no")

    monkeypatch.setattr(os, "open", refused)
    assert find_sibling(file, CODINGS) is None


class Work:
    """Compresses, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, data: bytes) -> bytes:
        self.calls += 1
        return b"coded:" + data[:4]


def test_files_are_compressed_once(style: Path, opened: Opening) -> None:
    """A file is compressed by the first request and found by all others, for each coding on its own."""
    files, work = CodedFiles(1_000_000), Work()
    for _ in range(3):
        file = opened(style)
        assert (files.find(file, "br 4") or files.make(file, "br 4", work)) == b"coded:body"
    assert files.make(opened(style), "gzip 6", work) == b"coded:body"
    assert work.calls == 2


def test_changed_files_are_compressed_anew(style: Path, opened: Opening) -> None:
    """A file that changed is compressed anew, also when the new one has the same size and the same time."""
    files, work = CodedFiles(1_000_000), Work()
    files.make(opened(style), "br 4", work)
    changed = style.stat().st_mtime_ns
    new = style.with_name("new.css")
    new.write_bytes(TEXT.replace(b"body", b"main"))
    os.utime(new, ns=(changed, changed))
    new.replace(style)
    file = opened(style)
    assert files.find(file, "br 4") is None
    assert files.make(file, "br 4", work) == b"coded:main"
    assert files.find(opened(style), "br 4") == b"coded:main"
    assert len(files._kept.entries) == 1


def test_what_is_kept_is_bounded(tmp_path: Path, opened: Opening) -> None:
    """The files together take no more than the limit, and a file that is too large for it is not taken at all."""
    files = CodedFiles(4000)
    for number in range(50):
        path = tmp_path / f"{number}.css"
        path.write_bytes(b"x" * 400)
        file = opened(path)
        assert files.takes(file)
        files.make(file, "br 4", lambda data: data)
        assert files._kept.total <= 4000
    large = tmp_path / "large.css"
    large.write_bytes(b"x" * 1001)
    assert not files.takes(opened(large))
    files.limit = 0
    assert files.limit == 0
    assert not files.takes(opened(tmp_path / "1.css"))


def test_a_file_that_is_being_written_is_not_kept(style: Path, opened: Opening) -> None:
    """What was read while the file grew is sent and not kept."""
    files, work = CodedFiles(1_000_000), Work()
    file = opened(style)
    with style.open("ab") as growing:
        growing.write(b"more")
    assert files.make(file, "br 4", work) == b"coded:body"
    assert files._kept.entries == {}


def test_one_compresses_and_the_others_wait(style: Path, opened: Opening) -> None:
    """Requests for a file that is being compressed wait for that, and do not compress it again."""
    files, entered, go_on = CodedFiles(1_000_000), threading.Event(), threading.Event()
    calls: list[int] = []
    results: list[bytes] = []

    def slow(data: bytes) -> bytes:
        calls.append(1)
        entered.set()
        assert go_on.wait(30)
        return b"coded"

    def ask(file: OpenFile) -> None:
        results.append(files.make(file, "br 4", slow))

    threads = [threading.Thread(target=ask, args=(opened(style),)) for _ in range(5)]
    threads[0].start()
    assert entered.wait(30)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert (results, len(calls)) == ([b"coded"] * 5, 1)
    assert files._making == {}


def test_an_error_is_not_kept(style: Path, opened: Opening) -> None:
    """When compressing fails the error is the request's, and the next request tries again."""
    files, work = CodedFiles(1_000_000), Work()

    def fail(data: bytes) -> bytes:
        raise MemoryError

    with pytest.raises(MemoryError):
        files.make(opened(style), "br 4", fail)
    assert files.make(opened(style), "br 4", work) == b"coded:body"
