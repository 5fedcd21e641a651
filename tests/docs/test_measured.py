"""The figures in the README and on the performance page are those of `benchmarks/results`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

_spec = importlib.util.spec_from_file_location("measured", ROOT / "docs" / "measured.py")
assert _spec is not None
assert _spec.loader is not None
measured = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(measured)

README = "before\n<!-- bench:start -->\nold\n<!-- bench:end -->\nafter\n"
PAGE = "# In process\n\nwords\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n| c |\n| --- |\n"


def test_the_first_table_goes_into_the_readme() -> None:
    """The first table of the first page stands between the markers, and the text around it stays."""
    filled = measured.fill(README, [PAGE, "| other |\n"])
    assert filled == ("before\n<!-- bench:start -->\n| a | b |\n| --- | --- |\n| 1 | 2 |\n<!-- bench:end -->\nafter\n")
    assert measured.fill(filled, [PAGE]) == filled


def test_without_results_the_readme_says_so() -> None:
    """Without recorded results there is a sentence in the table's place, and no number."""
    assert measured.NOTHING_YET in measured.fill(README, [])


def test_lost_markers_are_an_error() -> None:
    """A README without the markers is refused, rather than left with old figures."""
    with pytest.raises(ValueError, match="lost its"):
        measured.fill("no markers", [PAGE])


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


def test_the_readme_shows_the_recorded_results() -> None:
    """The table in the README is the recorded one: nobody edits figures by hand."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert readme == measured.fill(readme, measured.result_pages())
