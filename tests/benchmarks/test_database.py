"""Pages on a database: both frameworks and SQLAlchemy alone answer alike, and the bars are those that are promised."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("flask_sqlalchemy")

from benchmarks import database, database_apps
from benchmarks.database_scenarios import PAGES
from benchmarks.rounds import Plan, Ratio
from benchmarks.scenarios import find

SHORT = Plan(rounds=1, seconds=0.001)
ROW = database.Row(
    title="20 rows",
    page="queries",
    database="sqlite",
    microseconds={"flask": 1600.0, "quaff": 400.0, "bare": 1500.0},
    ratio=Ratio(4.0, 3.9, 4.1),
    beyond=Ratio(3.75, 3.7, 3.8),
    rates={"flask": 500.0, "quaff": 1900.0},
    http=Ratio(3.8, 3.7, 3.9),
    bar=1.5,
    own_bar=0.05,
)


@pytest.mark.parametrize("name", PAGES)
def test_everybody_answers_alike(name: str, tmp_path: Path, real_flask: str) -> None:
    """Each on a database of its own: the same rows are drawn, and the pages are equal."""
    contestants = database.make_databases(sys.executable, f"sqlite:///{tmp_path}/")
    figures = database.time_calls(sys.executable, PAGES[name], contestants, SHORT)
    assert set(figures) == {"flask", "quaff", "bare"}


def test_pages_are_found_as_scenarios() -> None:
    """`worker.py` finds them by their names."""
    assert find("database:queries").query == "n=20"


def test_the_bars_are_those_that_are_promised() -> None:
    """How many times as many requests a second; and of those with many queries, a twentieth may be Quaff's own."""
    assert {name: page.bar for name, page in PAGES.items()} == {
        "db": 3,
        "queries": 1.5,
        "fortunes": 1.5,
        "updates": 1.3,
    }
    assert [name for name, page in PAGES.items() if page.own_bar == 0.05] == ["queries", "updates"]


def test_what_is_quaffs_own() -> None:
    """What its request takes beyond the same work of SQLAlchemy alone: here less than nothing."""
    assert ROW.own == pytest.approx(-2.75)
    assert ROW.passed
    assert "own -275.0%" in database.describe(ROW)
    assert ROW.as_json()["title"] == "sqlite: 20 rows"


def test_a_bar_can_be_missed_in_two_ways() -> None:
    """By too few requests, and by too much of one's own."""
    from dataclasses import replace

    assert not replace(ROW, http=Ratio(1.4, 1.4, 1.4)).passed
    assert not replace(ROW, beyond=Ratio(0.9, 0.9, 0.9)).passed
    assert replace(ROW, beyond=Ratio(0.9, 0.9, 0.9), own_bar=None).passed


def test_the_database_is_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process gets the URL of its own."""
    made = database.on(database.QUAFF, "sqlite:///a.db")
    monkeypatch.setenv(database_apps.DATABASE, made.environment[database_apps.DATABASE])
    assert database_apps.url_of_database() == "sqlite:///a.db"
