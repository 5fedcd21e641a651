"""The figures in the README and on the performance page are those of `benchmarks/results`."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from benchmarks import report
from tests.docs.pages import ROOT

_spec = importlib.util.spec_from_file_location("measured", ROOT / "docs" / "measured.py")
assert _spec is not None
assert _spec.loader is not None
measured = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(measured)


def test_the_page_holds_all_results(tmp_path: Path) -> None:
    """The performance page shows every result, the newest Python first, with headings that fit under its title."""
    results = tmp_path / "results"
    results.mkdir()
    (results / "cpython-3.11.md").write_text("# Old\n")
    (results / "cpython-3.13.md").write_text("# New\n\n## Part\n")
    target = tmp_path / "generated" / "measured.md"
    measured.write_page(target, results)
    assert target.read_text() == "## New\n\n### Part\n\n\n## Old\n"


def test_a_page_without_results_says_so(tmp_path: Path) -> None:
    """Without results the performance page says how to get them."""
    measured.write_page(tmp_path / "generated" / "measured.md", tmp_path)
    assert (tmp_path / "generated" / "measured.md").read_text() == measured.NOTHING_YET


def test_the_readme_shows_the_recorded_results(tmp_path: Path) -> None:
    """The table in the README is the recorded one: nobody edits figures by hand."""
    copy = tmp_path / "README.md"
    shutil.copy(ROOT / "README.md", copy)
    assert report.fill_readme(copy, report.load_all(measured.RESULTS)), "README.md has lost its bench markers"
    assert copy.read_text("utf-8") == (ROOT / "README.md").read_text("utf-8"), "run: make bench"
