"""Static files over the whole way: siblings, compressed once, parts, and validators."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from quaff import Blueprint, Quaff, send_file
from quaff.ext.compress import Compress
from quaff.ext.compress.encoders import decompress
from tests.ext.compress.apps import ALL, both_pipelines, get, get_on_loop, read, varies

STYLE = b"body { color: black; background: white }\n" * 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of static files, an hour old."""
    folder = tmp_path / "static"
    folder.mkdir()
    for name, content in {"style.css": STYLE, "small.css": b"x", "photo.png": STYLE}.items():
        path = folder / name
        path.write_bytes(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


def make_app(folder: Path, compiled: bool = True, **config: Any) -> tuple[Quaff, Compress]:
    """Return an app that serves the folder, and what compresses it."""
    app = Quaff("static_files", static_folder=str(folder), static_url_path="/s", compiled=compiled)
    app.config.update({f"COMPRESS_{name.upper()}": value for name, value in config.items()})
    return app, Compress(app)


def put(path: Path, content: bytes) -> None:
    """Write a file that is as old as the folder's."""
    path.write_bytes(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def works_of(compress: Compress, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with each file that is compressed."""
    works: list[str] = []
    make = compress._kept.files.make

    def counted(file: Any, key: str, function: Any) -> bytes:
        def work(data: bytes) -> bytes:
            works.append(key)
            coded: bytes = function(data)
            return coded

        return make(file, key, work)

    monkeypatch.setattr(compress._kept.files, "make", counted)
    return works


@both_pipelines
@pytest.mark.parametrize("accept", ["zstd", "br", "gzip", "deflate"])
def test_static_files_are_compressed_once(
    folder: Path, accept: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A static file is compressed by its first request, with its length; gzip is among the codings."""
    app, compress = make_app(folder, compiled)
    works = works_of(compress, monkeypatch)
    for _ in range(3):
        response = get(app, "/s/style.css", accept)
        assert response.content_encoding == accept
        assert read(response) == STYLE
        assert "Content-Length" in response.headers
        assert varies(response) == ["accept-encoding"]
        assert "Accept-Ranges" not in response.headers
    assert len(works) == 1


@both_pipelines
def test_a_file_that_changes(folder: Path, compiled: bool) -> None:
    """Who asks after a change gets the new file."""
    app, _ = make_app(folder, compiled)
    assert read(get(app, "/s/style.css")) == STYLE
    new = STYLE.replace(b"black", b"green")
    put(folder / "new.css", new)
    (folder / "new.css").replace(folder / "style.css")
    assert read(get(app, "/s/style.css")) == new


@both_pipelines
def test_files_that_are_not_compressed(folder: Path, compiled: bool) -> None:
    """Small files and photographs stay as they are, do not vary, and give parts."""
    app, _ = make_app(folder, compiled)
    for name in ("small.css", "photo.png"):
        response = get(app, f"/s/{name}")
        assert (response.content_encoding, varies(response)) == (None, [])
    assert get(app, "/s/unknown.css").status_code == 404


SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}


@both_pipelines
@pytest.mark.parametrize("coding", SUFFIXES)
def test_siblings(folder: Path, coding: str, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compressed sibling is sent as it lies there, with its length; nothing is compressed."""
    put(folder / f"style.css{SUFFIXES[coding]}", b"made by the build")
    app, compress = make_app(folder, compiled)
    works = works_of(compress, monkeypatch)
    response = get(app, "/s/style.css")
    assert (response.content_encoding, response.data) == (coding, b"made by the build")
    assert response.headers["Content-Length"] == "17"
    assert response.headers["ETag"].endswith(f':{coding}"')
    assert response.mimetype == "text/css"
    assert varies(response) == ["accept-encoding"]
    head = get(app, "/s/style.css", method="HEAD")
    assert (head.headers["Content-Length"], head.data) == ("17", b"")
    assert works == []


@both_pipelines
def test_a_sibling_is_taken_among_equals_only(folder: Path, compiled: bool) -> None:
    """The client's weights come first: a sibling in a coding that it likes less is not taken."""
    put(folder / "style.css.gz", b"made by the build")
    app, _ = make_app(folder, compiled)
    assert get(app, "/s/style.css", "br, gzip").content_encoding == "gzip"
    assert get(app, "/s/style.css", "br, gzip;q=0.5").content_encoding == "br"
    assert get(app, "/s/style.css", "br").content_encoding == "br"
    plain = get(app, "/s/style.css", None)
    assert (plain.data, plain.content_encoding) == (STYLE, None)


@both_pipelines
def test_stale_siblings_are_not_sent(folder: Path, compiled: bool) -> None:
    """A sibling that is older than its file is not sent."""
    put(folder / "style.css.br", b"made by the build")
    os.utime(folder / "style.css", None)
    app, _ = make_app(folder, compiled)
    assert read(get(app, "/s/style.css", "br")) == STYLE


@both_pipelines
def test_siblings_may_be_left_out(folder: Path, compiled: bool) -> None:
    """Without `COMPRESS_PRECOMPRESSED` siblings are files like others."""
    put(folder / "style.css.br", b"made by the build")
    app, _ = make_app(folder, compiled, precompressed=False)
    assert read(get(app, "/s/style.css", "br")) == STYLE


@both_pipelines
def test_siblings_of_uploads_are_not_sent(folder: Path, compiled: bool) -> None:
    """SECURITY: whoever uploads `a.css.br` to a folder of uploads does not change what others get for `a.css`."""
    put(folder / "style.css.br", b"made by somebody")
    app, compress = make_app(folder, compiled)
    app.add_url_rule("/uploads", "uploads", lambda: send_file(str(folder / "style.css")))
    response = get(app, "/uploads", "br")
    assert (response.content_encoding, read(response)) == ("br", STYLE)
    assert compress._kept.files._kept.entries == {}
    trusted, _ = make_app(folder, compiled, static_endpoints=["uploads"])
    trusted.add_url_rule("/uploads", "uploads", lambda: send_file(str(folder / "style.css")))
    assert get(trusted, "/uploads", "br").data == b"made by somebody"


@both_pipelines
def test_links_are_not_followed(folder: Path, compiled: bool) -> None:
    """SECURITY: a sibling that is a link out of the folder is not sent."""
    secret = folder.parent / "secret"
    put(secret, b"secret")
    (folder / "style.css.br").symlink_to(secret)
    app, _ = make_app(folder, compiled)
    assert read(get(app, "/s/style.css", "br")) == STYLE


@both_pipelines
@pytest.mark.parametrize("with_sibling", [True, False])
def test_parts_are_parts_of_the_file(folder: Path, with_sibling: bool, compiled: bool) -> None:
    """`Range` is answered from the file as it is, with its own ETag; neither siblings nor compressed forms are used."""
    if with_sibling:
        put(folder / "style.css.br", b"made by the build")
    app, compress = make_app(folder, compiled)
    whole = get(app, "/s/style.css", "br")
    kept = dict(compress._kept.files._kept.entries)
    part = get(app, "/s/style.css", "br", Range="bytes=5-9")
    assert (part.status_code, part.data, part.content_encoding) == (206, STYLE[5:10], None)
    assert part.headers["Content-Range"] == f"bytes 5-9/{len(STYLE)}"
    assert part.headers["ETag"] != whole.headers["ETag"]
    # RFC 9110 section 13.1.5: a client that has the compressed form cannot go on with parts of the other one.
    again = get(app, "/s/style.css", "br", Range="bytes=5-9", If_Range=whole.headers["ETag"])
    assert (again.status_code, again.data, again.content_encoding) == (200, STYLE, None)
    refused = get(app, "/s/style.css", "br", Range=f"bytes={len(STYLE) + 5}-")
    assert (refused.status_code, refused.content_encoding) == (416, None)
    assert compress._kept.files._kept.entries == kept


@both_pipelines
@pytest.mark.parametrize("with_sibling", [True, False])
def test_static_files_are_answered_conditionally(folder: Path, with_sibling: bool, compiled: bool) -> None:
    """Who has the compressed form gets a 304 with its ETag and `Vary`; who has another form gets the one asked for."""
    if with_sibling:
        put(folder / "style.css.br", b"made by the build")
    app, _ = make_app(folder, compiled)
    first = get(app, "/s/style.css", "br")
    second = get(app, "/s/style.css", "br", If_None_Match=first.headers["ETag"])
    assert (second.status_code, second.data, second.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert varies(second) == ["accept-encoding"]
    assert "Content-Encoding" not in second.headers
    other = get(app, "/s/style.css", "gzip", If_None_Match=first.headers["ETag"])
    assert (other.status_code, read(other)) == (200, STYLE)
    dated = get(app, "/s/style.css", "br", If_Modified_Since=first.headers["Last-Modified"])
    assert (dated.status_code, varies(dated)) == (304, ["accept-encoding"])


@both_pipelines
def test_large_files_are_streamed(folder: Path, compiled: bool) -> None:
    """A file that would take a large part of the room is compressed on its way, each time, without a length."""
    app, compress = make_app(folder, compiled, static_cache_size=1000)
    response = get(app, "/s/style.css")
    assert (response.content_encoding, read(response)) == ("zstd", STYLE)
    assert "Content-Length" not in response.headers
    assert len(response.data) < 500
    assert compress._kept.files._kept.entries == {}


@both_pipelines
def test_static_files_of_blueprints(folder: Path, compiled: bool) -> None:
    """Files of a blueprint's static folder are static files."""
    app = Quaff("outer", static_folder=None, compiled=compiled)
    blueprint = Blueprint("admin", "admin", static_folder=str(folder), static_url_path="/files", url_prefix="/admin")
    app.register_blueprint(blueprint)
    put(folder / "style.css.gz", b"made by the build")
    Compress(app)
    assert get(app, "/admin/files/style.css", "gzip").data == b"made by the build"


@both_pipelines
def test_files_are_closed(folder: Path, compiled: bool) -> None:
    """No file stays open, whatever the answer is."""
    put(folder / "photo.css", STYLE)
    put(folder / "photo.css.br", b"made by the build")
    app, _ = make_app(folder, compiled, min_size=0)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    tag = get(app, "/s/style.css", "br").headers["ETag"]
    sibling_tag = get(app, "/s/photo.css", "br").headers["ETag"]
    for name, headers in [
        ("style.css", {}),
        ("style.css", {"If_None_Match": tag}),
        ("style.css", {"If_Match": '"x"'}),
        ("style.css", {"Range": "bytes=0-1"}),
        ("photo.css", {}),
        ("photo.css", {"If_None_Match": sibling_tag}),
    ]:
        for method in ("GET", "HEAD"):
            response = get(app, f"/s/{name}", "br", method, **headers)
            assert response.status_code < 500
            response.close()
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_sibling_needs_no_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the build has compressed is sent also where the library is missing."""
    import sys

    for module in ("brotli", "brotlicffi"):
        monkeypatch.setitem(sys.modules, module, None)
    put(folder / "style.css.br", b"made by the build")
    app, _ = make_app(folder)
    assert get(app, "/s/style.css", "br").data == b"made by the build"
    assert get(app, "/s/style.css", "br, gzip;q=0.9").data == b"made by the build"


def test_on_a_loop(folder: Path) -> None:
    """With an async hook static files are served on the loop: the first one is compressed in a thread."""
    app, compress = make_app(folder)

    @app.before_request
    async def wait() -> None:
        await asyncio.sleep(0)

    first = get_on_loop(app, "/s/style.css", "br")
    assert (first.content_encoding, decompress(first.data, "br")) == ("br", STYLE)
    assert "Content-Length" not in first.headers
    assert len(compress._kept.files._kept.entries) == 1
    second = get_on_loop(app, "/s/style.css", "br")
    assert (read(second), second.data) == (STYLE, first.data)
    assert "Content-Length" in second.headers
    assert get_on_loop(app, "/s/style.css", ALL, If_None_Match=second.headers["ETag"]).status_code == 200
    assert get_on_loop(app, "/s/style.css", "br", If_None_Match=second.headers["ETag"]).status_code == 304
