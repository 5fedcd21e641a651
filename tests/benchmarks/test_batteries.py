"""What batteries add: the differences are taken within a round, and a missing extension costs only its own rows."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import batteries
from benchmarks.batteries import CachedPage, FirstChunk, Row, Together
from benchmarks.battery_scenarios import CASES, TOGETHER
from benchmarks.contestants import QUAFF, Answer, Contestant
from benchmarks.over_http import HttpPlan
from benchmarks.rounds import Plan, Ratio

SHORT = Plan(rounds=3, seconds=0.002)
HTTP = HttpPlan(rounds=1, seconds=0.2, sweep_seconds=0)
# Quaff in Flask's place: the measurement itself can be tested without the real one.
STAND_IN = Contestant("flask", "quaff")
ACTS = Row(
    "cors-request",
    "CORS",
    "an allowed `Origin`",
    True,
    {"flask": 40.0, "quaff": 1.2},
    {"flask": 20.0, "quaff": 1.9},
    {"flask": 120, "quaff": 5},
    0.1,
)
IDLE = replace(ACTS, acts=False, bar=3, calls={"flask": 100, "quaff": 3})


class Answering:
    """A worker that has answered."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


def answers(flask: Answer, quaff: Answer, bare: Answer) -> Any:
    """Give the four workers of a case."""
    return {
        ("flask", True): Answering(flask),
        ("quaff", True): Answering(quaff),
        ("flask", False): Answering(bare),
        ("quaff", False): Answering(bare),
    }


HEADERS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Access-Control-Allow-Origin", "https://app.example"),
    ("Vary", "Origin"),
]
GOOD = Answer(200, HEADERS, b"Hello, World!")
BARE = Answer(200, HEADERS[:1], b"Hello, World!")


def test_where_it_acts_the_share_decides() -> None:
    """What the battery adds over what the extension adds; a battery that saves time has no share at all."""
    assert ACTS.share == pytest.approx(0.095)
    assert ACTS.passed is True
    assert replace(ACTS, added={"flask": 20.0, "quaff": 2.1}).passed is False
    assert replace(ACTS, added={"flask": 20.0, "quaff": -0.3}).share == 0
    assert replace(ACTS, bar=None).passed is None
    assert replace(ACTS, added={"flask": -0.1, "quaff": 0.1}).passed is None
    assert ACTS.as_json()["title"] == "CORS: an allowed `Origin`"
    assert batteries.describe(ACTS).endswith("share 0.095  bar 0.1: pass")


def test_nobody_can_save_the_codec() -> None:
    """The bar of a compressed answer is held against what is left when the codec's time is taken from both."""
    row = replace(ACTS, added={"flask": 80.0, "quaff": 14.0}, codec=10.0)
    assert row.share == pytest.approx(0.175)
    assert row.own_share == pytest.approx(4 / 70)
    assert row.passed is True
    assert replace(row, added={"flask": 80.0, "quaff": 18.0}).passed is False
    assert replace(row, added={"flask": 9.0, "quaff": 18.0}).passed is None
    assert ACTS.own_share == ACTS.share
    assert "codec 10.00 us, without it 0.057" in batteries.describe(row)


def test_where_it_has_nothing_to_do_the_calls_decide() -> None:
    """Three Python calls may be added, whatever the time."""
    assert IDLE.share is None
    assert IDLE.passed is True
    assert replace(IDLE, calls={"flask": 0, "quaff": 4}).passed is False
    assert "share" not in batteries.describe(IDLE)


def test_all_together_are_held_against_flask_alone() -> None:
    """A fifth of a bare request to Flask may be added by all batteries."""
    row = Together("all", {"flask": 40.0, "quaff": 1.2}, {"flask": 200.0, "quaff": 7.9}, {"flask": 500, "quaff": 30})
    assert row.share == pytest.approx(0.1975)
    assert row.passed
    assert not replace(row, added={"flask": 200.0, "quaff": 8.1}).passed
    assert row.as_json()["passed"] is True


def test_the_other_rows_know_their_bars() -> None:
    """A cached page as a share of hello, and the chunks until a stream begins; Flask's are for information."""
    page = CachedPage("in process", Ratio(0.81, 0.8, 0.82))
    assert page.passed
    assert not replace(page, share=Ratio(0.79, 0.7, 0.8)).passed
    assert page.as_json()["title"] == "a cached page, in process"
    assert FirstChunk("quaff", "br", 1, 1).passed is True
    assert FirstChunk("quaff", "br", 2, 1).passed is False
    assert FirstChunk("flask", "br", 8, None).passed is None
    assert batteries.describe(FirstChunk("flask", "br", 8, None)) == "flask  br       after 8 chunks"


def test_differences_are_taken_round_by_round() -> None:
    """A machine that was slow for a round was so for both."""
    assert batteries.median_difference([3.0, 30.0, 3.2], [1.0, 28.0, 1.0]) == pytest.approx(2.0)


def test_equal_answers_are_timed() -> None:
    """The extension and the battery agree, and so do the apps without them."""
    batteries.check_answers(CASES["cors-request"], answers(GOOD, GOOD, BARE))


@pytest.mark.parametrize(
    "flask, quaff, bare, problem",
    [
        (GOOD, BARE, BARE, "access-control-allow-origin"),
        (GOOD, replace(GOOD, status=500), BARE, "quaff answered 500, not 200"),
        (replace(GOOD, body=b"no"), GOOD, BARE, "flask answered b'no', not b'Hello, World!'"),
        (GOOD, GOOD, replace(BARE, status=404), "flask answered 404, not 200"),
    ],
)
def test_unequal_answers_are_not_timed(flask: Answer, quaff: Answer, bare: Answer, problem: str) -> None:
    """A battery that does less than the extension, or something else, gets no figure."""
    with pytest.raises(batteries.UnequalAnswersError, match=f"cors-request: .*{problem}"):
        batteries.check_answers(CASES["cors-request"], answers(flask, quaff, bare))


def test_a_case_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """From four processes to a row; what adds nothing to itself comes out equal."""
    monkeypatch.setattr(batteries, "FLASK", STAND_IN)
    row = batteries.measure_case(sys.executable, CASES["proxy-forwarded"], SHORT)
    assert row.bare.keys() == row.added.keys() == row.calls.keys() == {"flask", "quaff"}
    assert row.calls["flask"] == row.calls["quaff"]
    assert 0.1 < row.bare["quaff"] < 10_000
    assert row.codec is None
    assert row.bar == 0.1


def test_against_the_real_flask(real_flask: str) -> None:
    """Werkzeug's middleware on Flask and the setting of Quaff are held against each other."""
    row = batteries.measure_case(sys.executable, CASES["proxy-direct"], SHORT)
    assert row.calls["flask"] > row.calls["quaff"]
    assert row.bar == 3
    assert row.passed


def test_the_codec_is_timed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where compressing takes the time, how much of it is told, too."""
    monkeypatch.setattr(batteries, "FLASK", STAND_IN)
    row = batteries.measure_case(sys.executable, CASES["compress-new-html"], SHORT)
    assert row.codec is not None
    assert row.codec > 0


def test_all_together_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """One app with everything, with a figure per framework."""
    monkeypatch.setattr(batteries, "FLASK", STAND_IN)
    row = batteries.measure_together(sys.executable, SHORT)
    assert row.title == TOGETHER.title
    assert row.added.keys() == {"flask", "quaff"}


def test_a_cached_page_is_measured_both_ways() -> None:
    """In process beside the hello scenario, and over HTTP beside the hello page of the same server."""
    for row in (batteries.measure_cached(sys.executable, SHORT), batteries.measure_served(sys.executable, HTTP)):
        assert 0.01 < row.share.median < 100, row.where


def test_streams_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row per framework and encoding; only Quaff has a bar."""
    monkeypatch.setattr(batteries, "FLASK", STAND_IN)
    rows = batteries.measure_streams(sys.executable)
    assert [(row.contestant, row.encoding) for row in rows] == [
        (who, encoding) for who in ("flask", "quaff") for encoding in ("zstd", "br", "deflate")
    ]
    assert [row.bar for row in rows] == [None] * 3 + [1] * 3


def test_a_missing_extension_costs_only_its_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The failure is listed by name with its reason, and the next case is measured."""
    monkeypatch.setattr(batteries, "FLASK", STAND_IN)
    monkeypatch.setattr(batteries, "QUAFF", Contestant("quaff", "no_such_framework"))
    rows, failures = batteries.measure(sys.executable, SHORT, HTTP, ["proxy"])
    assert rows == []
    assert [failure.partition(":")[0] for failure in failures] == ["proxy-direct", "proxy-forwarded"]
    assert "No module named 'no_such_framework'" in capsys.readouterr().out


def test_a_choice_measures_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """One battery's cases; everything, with all of them together, the pages and the streams, without a choice."""
    taken: list[list[str]] = []

    def note(steps: dict[str, Any]) -> tuple[list[Any], list[str]]:
        taken.append([*steps])
        return [], []

    monkeypatch.setattr(batteries, "take_steps", note)
    batteries.measure("python", SHORT, HTTP, ["limiter"])
    batteries.measure("python", SHORT, HTTP, ["cache"])
    batteries.measure("python", SHORT, HTTP)
    assert taken[0] == ["limiter-free", "limiter-counted"]
    assert taken[1][-2:] == ["cached page in process", "cached page over HTTP"]
    assert taken[2] == [
        *CASES,
        "all-together",
        "cached page in process",
        "cached page over HTTP",
        "first chunk of a stream",
    ]


def test_a_module_that_fails_is_quoted() -> None:
    """The last line of what it said is the first of the message."""
    with pytest.raises(RuntimeError, match=r"^benchmarks.battery_stream nothing: ModuleNotFoundError: No module named"):
        batteries.ask(sys.executable, QUAFF, "benchmarks.battery_stream", "nothing")
