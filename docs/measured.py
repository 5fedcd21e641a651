"""Carries the recorded results of `make bench` onto the performance page.

`benchmarks/run.py` leaves one Markdown file per Python in `benchmarks/results/`; it fills the README's short table itself.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
NOTHING_YET = "No results have been recorded yet: run `make bench`.\n"


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
