"""Carries the figures of `make bench` into the documentation and the README.

`benchmarks/run.py` leaves Markdown files in `benchmarks/results/`. The performance page shows them all; the README shows the
first table of the newest Python between its `bench` markers. Run as a program, this file renews the README.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
NOTHING_YET = "No results have been recorded yet: run `make bench`.\n"
MARKERS = re.compile(r"(<!-- bench:start -->\n).*?(<!-- bench:end -->)", re.DOTALL)
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)


def _newest_first(path: Path) -> list[int]:
    return [-int(number) for number in re.findall(r"\d+", path.stem)]


def result_pages(folder: Path = RESULTS) -> list[str]:
    """Return the texts of the recorded results, the newest Python first."""
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"), key=_newest_first)]


def _lower_headings(text: str) -> str:
    """Make the highest heading one of the second level, so that the text fits under a page's title."""
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    if not levels:
        return text
    shift = 2 - min(levels)
    return re.sub(r"^(#+) ", lambda found: "#" * (len(found[1]) + shift) + " ", text, flags=re.MULTILINE)


def write_page(target: Path, folder: Path = RESULTS) -> None:
    """Write all recorded results into one file that the performance page includes."""
    target.parent.mkdir(exist_ok=True)
    pages = [_lower_headings(page) for page in result_pages(folder)]
    target.write_text("\n\n".join(pages) or NOTHING_YET, encoding="utf-8")


def fill(readme: str, pages: list[str]) -> str:
    """Return the text of the README with the first table of the first page between the markers.

    :raises ValueError: when the markers are missing.
    """
    if not MARKERS.search(readme):
        raise ValueError("README.md has lost its <!-- bench:start --> and <!-- bench:end --> markers")
    table = TABLE.search(pages[0]) if pages else None
    body = table[0] if table else NOTHING_YET
    return MARKERS.sub(lambda found: found[1] + body + found[2], readme)


def main() -> int:
    """Renew the README's table."""
    readme = ROOT / "README.md"
    readme.write_text(fill(readme.read_text(encoding="utf-8"), result_pages()), encoding="utf-8")
    sys.stdout.write("README.md: the measured table is that of benchmarks/results\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
