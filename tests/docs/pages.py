"""Finds the code blocks of Markdown pages, and runs the Python ones. As a program it runs one page: `pages.py PAGE`.

The rules for authors stand in CONTRIBUTING.md: a `python` block that starts with an import starts a new program; other
`python` and `pycon` blocks go on with it; the answers in a `pycon` block are checked as doctests.
"""

from __future__ import annotations

import doctest
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^(?P<fence>```+)(?P<language>[\w{}-]*)[^\n]*\n(?P<code>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line that its text starts on."""

    language: str
    code: str
    line: int


def pages() -> list[Path]:
    """Return the Markdown pages of the project that users and contributors read."""
    return [
        *sorted(ROOT.glob("*.md")),
        *sorted(ROOT.glob("examples/*.md")),
        *(path for path in sorted(ROOT.glob("docs/**/*.md")) if not {"_build", "_generated"} & set(path.parts)),
    ]


def blocks(text: str, *languages: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page in one of *languages*."""
    for found in FENCE.finditer(text):
        if found["language"] in languages:
            yield Block(found["language"], found["code"], text.count("\n", 0, found.start("code")) + 1)


def commands(text: str) -> Iterator[str]:
    """Yield the commands of the console blocks: the lines after a `$`, continued ones joined."""
    for block in blocks(text, "console"):
        joined = re.sub(r"\\\n\s*", "", block.code)
        yield from (line[2:].strip() for line in joined.splitlines() if line.startswith("$ "))


def run(path: Path) -> int:
    """Run the Python blocks of a page in their order and return how many examples failed."""
    namespace: dict[str, Any] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    text = path.read_text(encoding="utf-8")
    for block in blocks(text, "python", "pycon"):
        if block.language == "python":
            if re.match(r"(from|import) ", block.code):
                namespace = {"__name__": "app"}
            # Blank lines in front, so that a traceback names the line of the page.
            code = "\n" * (block.line - 1) + block.code
            # This file's own `annotations` are not the page's: what looks at annotations would get texts.
            exec(compile(code, str(path), "exec", dont_inherit=True), namespace)
        else:
            test = doctest.DocTestParser().get_doctest(block.code, namespace, path.name, str(path), block.line - 1)
            test.globs = namespace
            runner.run(test, clear_globs=False)
    return runner.failures


if __name__ == "__main__":
    from quaff import install_as_flask

    install_as_flask()
    sys.exit(1 if run(Path(sys.argv[1])) else 0)
