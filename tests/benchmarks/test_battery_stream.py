"""When the first chunk of a compressed stream arrives."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks import battery_apps, battery_stream
from benchmarks.flask_apps import Framework, WSGIApp

TEXTS = [f"chunk {number}, and some more of it\n".encode() for number in range(5)]


def streaming(flush_after: int, encoding: str = "gzip") -> Callable[[Framework, list[int]], WSGIApp]:
    """Give the builder of an app that compresses a stream and lets nothing out before so many chunks."""

    def build(framework: Framework, produced: list[int]) -> WSGIApp:
        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
            start_response("200 OK", [("Content-Encoding", encoding)])
            return send(zlib.compressobj(wbits=31))

        def send(compressor: Any) -> Iterator[bytes]:
            for number, text in enumerate(TEXTS):
                produced.append(number)
                yield compressor.compress(text)
                if number + 1 >= flush_after:
                    yield compressor.flush(zlib.Z_SYNC_FLUSH)
            yield compressor.flush()

        return app

    return build


@pytest.mark.parametrize("flush_after, found", [(1, 1), (3, 3), (9, 5)])
def test_what_is_kept_back_is_counted(monkeypatch: pytest.MonkeyPatch, flush_after: int, found: int) -> None:
    """The chunks that were produced before the first text came out; headers of the format are no text."""
    monkeypatch.setattr(battery_apps, "stream", streaming(flush_after))
    assert battery_stream.chunks_until_text("quaff", "gzip") == found


def test_a_stream_in_another_encoding_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A framework that answers in an encoding that was not asked for has no figure for the one that was."""
    monkeypatch.setattr(battery_apps, "stream", streaming(1))
    assert battery_stream.chunks_until_text("quaff", "br") is None


def test_an_empty_stream_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any text there is nothing to count."""
    monkeypatch.setattr(battery_apps, "stream", streaming(1))
    monkeypatch.setitem(globals(), "TEXTS", [])
    with pytest.raises(RuntimeError, match="quaff sent nothing of a stream in gzip"):
        battery_stream.chunks_until_text("quaff", "gzip")


def test_quaff_sends_each_chunk_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """In every encoding, the first chunk arrives before the view is asked for the second."""
    battery_stream.main("quaff")
    assert json.loads(capsys.readouterr().out) == {"zstd": 1, "br": 1, "deflate": 1}
