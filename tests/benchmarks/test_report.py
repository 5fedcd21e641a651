"""The results files: figures are kept section by section and read back as tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report

FACTS: dict[str, Any] = {
    "implementation": "CPython",
    "python": "3.13.0",
    "machine": "A processor, 2 cores, Linux x86_64",
    "packages": {"quaff": "0.1.0", "flask": "3.1.3", "falcon": None},
}
STAMP = {"measured": "2030-01-02", "quick": False}
RATIO = {"median": 25.0, "low": 24.0, "high": 26.0}
HELLO = {
    "name": "hello",
    "title": "hello `str`",
    "microseconds": {"flask": 50.0, "quaff": 2.0, "falcon": 5.0},
    "ratio": RATIO,
    "bar": 20,
    "passed": True,
}
READ = {**HELLO, "name": "session_read", "title": "session read only", "bar": None, "passed": None}
PAGE = {**HELLO, "name": "page", "title": "page", "microseconds": {"flask": 120.0, "quaff": 80.0}, "bar": 2}
SLOW = {**PAGE, "passed": False, "ratio": {**RATIO, "median": 1.5}}
IN_PROCESS = {"method": "As fair as can be.", "rows": [HELLO, READ, SLOW], "failures": ["form: it broke\nin lines"]}
RATES = {"raw": 90_000.0, "quaff": 80_000.0, "falcon": 60_000.0}
HTTP = {
    "load": "wrk, 64 connections",
    "pinned": True,
    "pages": [{"page": "hello", "rates": RATES, "share": 0.889, "bar": 0.85, "passed": True}],
    "sweep": {"default": {"raw": 90_000.0}, "1": {"raw": 70_000.0}},
}
IMPORT = {
    "flask": {"module": "flask", "milliseconds": 200.0, "modules": 260, "heavy": ["click"]},
    "quaff": {"module": "quaff", "milliseconds": 100.0, "modules": 140, "heavy": []},
    "share": 0.5,
    "bar": 0.6,
    "passed": True,
}
GROWTH = {
    "contestant": "quaff",
    "kind": "static",
    "microseconds": {"10": 2.0, "1000": 2.1},
    "growth": {"median": 1.05},
    "bar": 1.1,
    "passed": True,
}
RAW_LINE = {
    "name": "Raw handler",
    "server": "Granian, RSGI",
    "rate": 50_000.0,
    "ratio": {**RATIO, "median": 0.8},
    "bar": 0.75,
    "passed": True,
}
QUAFF_LINE = {**RAW_LINE, "name": "Quaff", "rate": 40_000.0, "ratio": None, "bar": None, "passed": None}
IDLE = {"title": "idle WebSockets, Quaff", "connections": 5000, "kilobytes": 14.26, "bar": 12.0, "passed": False}
PROTOCOLS = {
    "loop": "uvloop 0.22.1",
    "pinned": True,
    "rows": [
        {
            "name": "hello",
            "title": "WebSocket or hello",
            "unit": "requests",
            "load": "wrk, 64 connections",
            "lines": [RAW_LINE, QUAFF_LINE],
            "passed": True,
        }
    ],
    "memory": [IDLE],
    "failures": ["async hello: Robyn (its own): robyn is not installed"],
}
CASE = {
    "kind": "case",
    "name": "cors-request",
    "title": "CORS: an allowed `Origin`",
    "acts": True,
    "bare": {"flask": 40.0, "quaff": 1.2},
    "added": {"flask": 20.0, "quaff": 1.9},
    "calls": {"flask": 120, "quaff": 5},
    "share": 0.095,
    "codec": None,
    "bar": 0.1,
    "passed": True,
}
QUIET = {**CASE, "title": "CORS: a path that it is not for", "acts": False, "share": None, "bar": 3, "passed": False}
TOGETHER = {**CASE, "kind": "together", "title": "Everything", "share": 0.1975, "bar": 0.2}
CACHED = {"kind": "cached", "title": "a cached page", "share": {"median": 0.815}, "bar": 0.8, "passed": True}
CHUNK = {"kind": "stream", "title": "first chunk, br", "chunks": 2, "bar": 1, "passed": False}
BATTERIES = {
    "method": "Added, in turns.",
    "rows": [CASE, QUIET, TOGETHER, CACHED, CHUNK],
    "failures": ["sslify-redirect: it is not installed"],
}
DATABASE = {
    "method": "Each with its own database.",
    "rows": [
        {
            "title": "sqlite: one row",
            "rates": {"flask": 4000.0, "quaff": 14000.0},
            "http": {"median": 3.5},
            "bar": 3,
            "microseconds": {"flask": 190.2, "quaff": 48.7, "bare": 105.0},
            "own": -1.16,
            "own_bar": None,
            "passed": True,
        }
    ],
    "failures": ["postgresql: it is not installed"],
}
EVERYTHING = {
    "in_process": {**IN_PROCESS, **STAMP},
    "http": {**HTTP, **STAMP},
    "import": {**IMPORT, **STAMP},
    "scaling": {"rows": [GROWTH], "failures": [], **STAMP},
    "protocols": {**PROTOCOLS, **STAMP},
    "batteries": {**BATTERIES, **STAMP},
    "database": {**DATABASE, **STAMP},
}


def test_a_file_per_version(tmp_path: Path) -> None:
    """The file is named for implementation and minor version, with a Markdown twin."""
    path = report.save(tmp_path / "new", FACTS, EVERYTHING)
    assert path.name == "cpython-3.13.json"
    assert path.with_suffix(".md").exists()
    assert json.loads(path.read_text())["http"]["pages"][0]["rates"] == RATES


def test_sections_not_measured_keep_their_figures(tmp_path: Path) -> None:
    """Measuring the import alone leaves the other figures, with the date at which they were taken."""
    report.save(tmp_path, FACTS, EVERYTHING)
    later = {"import": {**IMPORT, "share": 0.4, "measured": "2030-02-03", "quick": False}}
    kept = json.loads(report.save(tmp_path, {**FACTS, "python": "3.13.1"}, later).read_text())
    assert kept["import"]["measured"] == "2030-02-03"
    assert kept["in_process"]["measured"] == "2030-01-02"
    assert kept["python"] == "3.13.1"


def test_each_section_keeps_its_machine(tmp_path: Path) -> None:
    """What was measured on another machine says so, in the report and below the README's table."""
    report.save(tmp_path, FACTS, EVERYTHING)
    later = {"batteries": {**BATTERIES, **STAMP}}
    path = report.save(tmp_path, {**FACTS, "machine": "Another one"}, later)
    kept = json.loads(path.read_text())
    assert (kept["in_process"]["machine"], kept["batteries"]["machine"]) == (FACTS["machine"], "Another one")
    text = path.with_suffix(".md").read_text()
    assert text.count(f"Measured 2030-01-02 on {FACTS['machine']}.") == len(EVERYTHING) - 1
    summary = report.summary([kept])
    assert summary.endswith(f"\n{FACTS['machine']}.\n")
    assert "µs on Another one.\n" in summary


def test_the_report_has_a_table_per_section() -> None:
    """Every section is there with its figures, its verdicts, and what could not be measured."""
    text = report.as_markdown({**FACTS, **EVERYTHING})
    assert text.startswith("# CPython 3.13.0\n\nA processor, 2 cores, Linux x86_64. quaff 0.1.0, flask 3.1.3.\n")
    assert "| hello `str` | 50.00 | 2.00 | 5.00 | 25.0 | 20 | yes |" in text
    assert "| session read only | 50.00 | 2.00 | 5.00 | 25.0 |  |  |" in text
    assert "| page | 120.00 | 80.00 |  | 1.5 | 2 | **no** |" in text
    assert "- not measured: form: it broke\n" in text
    assert "| hello | 90,000 | 80,000 | 60,000 | 0.89 | 0.85 | yes |" in text
    assert "| 1 | 70,000 |" in text
    assert "Quaff takes 50% of Flask's time; the bar is 60%: reached." in text
    assert "| static rules | Quaff | 2.00 | 2.10 | 1.05 | 1.1 | yes |" in text
    assert text.count("Measured 2030-01-02.") == 7


def test_the_protocols_have_a_table_per_rate_and_one_of_memory() -> None:
    """A row for each contestant with its server; who was left out is named, with the reason."""
    text = report.protocols_part(PROTOCOLS)
    assert "One worker, uvloop 0.22.1; one core for the server, another for the load." in text
    assert "\n### WebSocket or hello\n\nLoad: wrk, 64 connections.\n" in text
    assert "|  | server | requests a second | Quaff, times as fast | bar | reached |\n" in text
    assert "| Raw handler | Granian, RSGI | 50,000 | 0.80 | 0.75 | yes |\n" in text
    assert "| Quaff | Granian, RSGI | 40,000 |  |  |  |\n" in text
    assert "| Idle WebSockets, Quaff | 5,000 | 14.3 | 12 | **no** |\n" in text
    assert text.endswith("- not measured: async hello: Robyn (its own): robyn is not installed\n")


def test_protocols_without_figures_have_no_tables() -> None:
    """When nothing could be measured the report still says why."""
    text = report.protocols_part({**PROTOCOLS, "pinned": False, "rows": [], "memory": []})
    assert "server and load share the cores" in text
    assert "###" not in text
    assert "robyn is not installed" in text


def test_the_pages_on_a_database_have_a_table() -> None:
    """Rates with their bar, times with what is Quaff's own, and what could not be measured."""
    text = report.database_part(DATABASE)
    assert "| sqlite: one row | 4,000 | 14,000 | 3.50 | 3 | 190 | 49 | 105 | -116% |  | yes |" in text
    assert "- not measured: postgresql: it is not installed" in text


def test_the_batteries_have_a_table_per_kind() -> None:
    """Where they act the share is told, where they do not the calls; then all together, cached pages and streams."""
    text = report.batteries_part(BATTERIES)
    assert text.startswith("## Batteries\n\nAdded, in turns.\n\n### Where they act\n\n|  | Flask µs |")
    assert "| CORS: an allowed `Origin` | 40.00 | 20.00 | +120 | 1.20 | 1.90 | +5 | 0.095 | 0.1 | yes |\n" in text
    assert "| CORS: a path that it is not for | 40.00 | 20.00 | +120 | 1.20 | 1.90 | +5 | 3 calls | **no** |\n" in text
    assert "| Everything | 40.00 | 20.00 | 1.90 | +5 | 0.20 | 0.2 | yes |\n" in text
    assert "| A cached page | 0.81 of hello | 0.8 | yes |\n" in text
    assert "| First chunk, br | after 2 | 1 | **no** |\n" in text
    assert text.endswith("- not measured: sslify-redirect: it is not installed\n")
    assert "codec" not in text


def test_the_codec_is_named_where_it_was_timed() -> None:
    """Compressing is the same work for both, and its time is told."""
    text = report.added_table([{**CASE, "title": "Compress: HTML", "codec": 31.256, "own_share": 0.05}])
    told = "the codec by itself takes: HTML: 31.26 µs, share without it 0.050. The bar is held without it.\n"
    assert text.endswith(f"\nOf what both add, {told}")


def test_batteries_without_figures_have_no_tables() -> None:
    """When nothing could be measured the report still says why."""
    text = report.batteries_part({**BATTERIES, "rows": []})
    assert "###" not in text
    assert "it is not installed" in text


def test_a_quick_look_says_so() -> None:
    """Figures of short rounds are not taken for a result."""
    text = report.as_markdown({**FACTS, "import": {**IMPORT, "measured": "2030-01-02", "quick": True}})
    assert "Measured 2030-01-02 (a quick look, not a result)." in text
    assert "## Over HTTP" not in text


def test_the_newest_python_comes_first(tmp_path: Path) -> None:
    """3.13 before 3.9: versions compare as numbers."""
    for version in ("3.9.1", "3.13.0", "3.11.7"):
        report.save(tmp_path, {**FACTS, "python": version}, EVERYTHING)
    assert [results["python"] for results in report.load_all(tmp_path)] == ["3.13.0", "3.11.7", "3.9.1"]


def test_the_summary_has_a_column_per_python() -> None:
    """Only lines with a bar, the newest Python's microseconds, everyone's ratios, one HTTP sentence."""
    older = {**FACTS, "python": "3.11.7", "in_process": {**IN_PROCESS, "rows": [HELLO], **STAMP}}
    text = report.summary([{**FACTS, **EVERYTHING}, older])
    head = "|  | Flask µs (3.13.0) | Quaff µs | times faster, CPython 3.13.0 | times faster, CPython 3.11.7 |"
    assert text.startswith(head)
    assert "| hello `str` | 50.0 | 2.0 | 25.0 | 25.0 |" in text
    assert "| page | 120.0 | 80.0 | 1.5 |  |" in text
    assert "session read only" not in text
    assert "Hello over HTTP on one core, requests a second: Raw 90,000, Quaff 80,000, Falcon 60,000." in text
    assert "The same from an `async def`, each on its usual server: Raw handler 50,000, Quaff 40,000." in text


def test_who_takes_part_twice_is_told_apart() -> None:
    """By the server: the same name with two figures would say nothing."""
    lines = [RAW_LINE, QUAFF_LINE, {**QUAFF_LINE, "server": "its own", "rate": 60_000.0}]
    results = {"protocols": {"rows": [{"name": "hello", "lines": lines}]}}
    assert report.protocols_line(results).endswith(
        f": Raw handler 50,000, Quaff ({QUAFF_LINE['server']}) 40,000, Quaff (its own) 60,000.\n"
    )


def test_an_empty_summary_says_how_to_fill_it() -> None:
    """Without figures there is no table but the command that makes one."""
    assert report.summary([]) == "Not measured yet: `make bench`.\n"


def test_the_summary_tells_what_batteries_add() -> None:
    """One sentence about all of them together; none where they were not measured."""
    text = report.summary([{**FACTS, **EVERYTHING}])
    assert "a cache in one app add 1.9 µs to a request; Flask's extensions for the same add 20 µs, and Flask" in text
    assert report.batteries_line({"batteries": {**BATTERIES, "rows": [CASE]}}, "a machine") == ""
    assert report.batteries_line(FACTS, "a machine") == ""


def test_the_readme_is_filled_between_its_markers(tmp_path: Path) -> None:
    """What stands before and after stays; filling twice changes nothing more."""
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.START}\nold\n{report.END}\nafter\n", encoding="utf-8")
    assert report.fill_readme(readme, [{**FACTS, **EVERYTHING}])
    once = readme.read_text(encoding="utf-8")
    assert once.startswith(f"before\n{report.START}\n\n|  | Flask")
    assert once.endswith(f"{report.END}\nafter\n")
    assert "old" not in once
    assert report.fill_readme(readme, [{**FACTS, **EVERYTHING}])
    assert readme.read_text(encoding="utf-8") == once


def test_a_readme_without_markers_is_left_alone(tmp_path: Path) -> None:
    """The caller is told, and the file keeps its text."""
    readme = tmp_path / "README.md"
    readme.write_text("nothing to fill\n", encoding="utf-8")
    assert not report.fill_readme(readme, [])
    assert readme.read_text(encoding="utf-8") == "nothing to fill\n"


@pytest.mark.parametrize("passed, word", [(True, "yes"), (False, "**no**"), (None, "")])
def test_a_verdict_is_one_word(passed: bool | None, word: str) -> None:
    """Missed bars stand out; lines without a bar have no verdict."""
    assert report.verdict(passed) == word
