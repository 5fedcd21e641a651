"""When does the first chunk of a compressed stream arrive? `python -m benchmarks.battery_stream FRAMEWORK` prints it.

For each encoding, the number of chunks that the view had been asked for when what had arrived could be decoded to some
text: a compressor that keeps back what it gets is found out by a number above 1.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any, cast

from benchmarks import battery_apps, worker
from benchmarks.battery_scenarios import CASES
from benchmarks.flask_apps import Framework

ENCODINGS = ("zstd", "br", "deflate")
"""Those in which streams are compressed by default."""


def chunks_until_text(framework: str, encoding: str) -> int | None:
    """Return after how many chunks the first text arrives; None when the stream was not compressed."""
    produced: list[int] = []
    app = battery_apps.stream(cast(Framework, importlib.import_module(framework)), produced)
    environ = worker.build_environ(CASES["compress-small"].scenario(on=True), "/")
    reply = worker.Reply()
    result: Any = app({**environ, "HTTP_ACCEPT_ENCODING": encoding}, reply.start)
    try:
        used = "".join(value for name, value in reply.headers if name.lower() == "content-encoding")
        for text in battery_apps.decoder(used)(result):
            if text:
                return len(produced) if used == encoding else None
    finally:
        if hasattr(result, "close"):
            result.close()
    raise RuntimeError(f"{framework} sent nothing of a stream in {encoding}")


def main(framework: str) -> None:
    """Print the numbers as JSON; an encoding in which streams are not compressed is left out."""
    found = {encoding: chunks_until_text(framework, encoding) for encoding in ENCODINGS}
    print(json.dumps({encoding: chunks for encoding, chunks in found.items() if chunks is not None}))


if __name__ == "__main__":
    main(sys.argv[1])
