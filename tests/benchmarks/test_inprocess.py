"""Nothing is timed before the answers are equal, and one scenario that fails costs only its own row."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from benchmarks import inprocess
from benchmarks.contestants import FALCON, QUAFF, Answer, Contestant
from benchmarks.rounds import Plan, Ratio
from benchmarks.scenarios import SCENARIOS, find

HELLO = Answer(200, [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", "13")], b"Hello, World!")
SHORT = Plan(rounds=3, seconds=0.002)
# Quaff in Flask's place: the measurement itself can be tested without the real one.
STAND_IN = Contestant("flask", "quaff")


def with_header(name: str, value: str) -> Answer:
    """Give the answer with one header more."""
    return replace(HELLO, headers=[*HELLO.headers, (name, value)])


def test_equal_answers_are_alike() -> None:
    """The same answer twice has no difference; headers that say nothing about the work may differ."""
    assert inprocess.judge_alike(HELLO, HELLO) == ""
    assert inprocess.judge_alike(HELLO, with_header("Server", "somebody")) == ""


@pytest.mark.parametrize(
    "other, difference",
    [
        (replace(HELLO, status=201), "status 200 and 201"),
        (replace(HELLO, body=b"Hello"), "body b'Hello, World!' and b'Hello'"),
        (with_header("Vary", "Cookie"), "vary [] and ['Cookie']"),
        (with_header("X-Version", "1"), "x-version [] and ['1']"),
        (with_header("Allow", "GET"), "allow [''] and ['GET']"),
        (with_header("Set-Cookie", "a=b; Path=/"), "cookies [] and [('a', 'b', ['path=/'])]"),
    ],
)
def test_every_difference_is_named(other: Answer, difference: str) -> None:
    """A difference in status, body, a compared header or a cookie is reported with both values."""
    assert inprocess.judge_alike(HELLO, other) == difference


def test_pages_for_people_may_differ() -> None:
    """Where each framework words its own page, only status and headers are compared; other headers can be named."""
    other = replace(HELLO, body=b"See elsewhere.")
    assert inprocess.judge_alike(HELLO, other, same_body=False) == ""
    assert inprocess.judge_alike(HELLO, replace(other, status=302), same_body=False) == "status 200 and 302"
    assert inprocess.judge_alike(HELLO, with_header("Vary", "Cookie"), ("location",)) == ""
    assert inprocess.judge_alike(HELLO, with_header("X-Own", "1"), ("x-own",)) == "x-own [] and ['1']"


def test_the_order_in_allow_means_nothing() -> None:
    """The methods of a 405 may come in any order."""
    one, other = with_header("Allow", "GET, HEAD, OPTIONS"), with_header("Allow", "OPTIONS, GET,HEAD")
    assert inprocess.judge_alike(one, other) == ""


def test_cookies_are_compared_without_their_time_stamp() -> None:
    """A signed cookie has the same payload and attributes; stamp and signature depend on the second."""
    one = with_header("Set-Cookie", "session=eyJhIjoxfQ.aaaa.1111; HttpOnly; Path=/")
    later = with_header("Set-Cookie", "session=eyJhIjoxfQ.bbbb.2222; Path=/; HttpOnly")
    other = with_header("Set-Cookie", "session=eyJhIjoyfQ.aaaa.1111; HttpOnly; Path=/")
    open_ = with_header("Set-Cookie", "session=eyJhIjoxfQ.aaaa.1111; Path=/")
    assert inprocess.judge_alike(one, later) == ""
    assert inprocess.judge_alike(one, other).startswith("cookies ")
    assert inprocess.judge_alike(one, open_).startswith("cookies ")


def test_an_answer_is_held_against_the_scenario() -> None:
    """Status and body must be those that the scenario states; without a stated body any will do."""
    hello, missing = find("hello"), find("404")
    assert inprocess.judge_answer(hello, HELLO, "quaff") == ""
    assert inprocess.judge_answer(hello, replace(HELLO, status=500), "quaff") == "quaff answered 500, not 200"
    assert "not b'Hello, World!'" in inprocess.judge_answer(hello, replace(HELLO, body=b""), "quaff")
    assert inprocess.judge_answer(missing, Answer(404, [], b"anything"), "quaff") == ""


def test_falcon_may_use_its_own_words() -> None:
    """JSON is compared by meaning, error pages by status only, and plain text byte for byte."""
    user, missing, hello = find("user"), find("404"), find("hello")
    assert inprocess.judge_falcon(user, Answer(200, [], b'{"name": "Ada", "id": 7}')) == ""
    assert "not b'{" in inprocess.judge_falcon(user, Answer(200, [], b'{"name": "Ada", "id": 8}'))
    assert inprocess.judge_falcon(missing, Answer(404, [], b'{"title": "404 Not Found"}')) == ""
    assert inprocess.judge_falcon(missing, Answer(200, [], b"")) == "falcon answered 200, not 404"
    assert inprocess.judge_falcon(hello, Answer(200, [], b"Hello")).endswith("not b'Hello, World!'")


def test_check_answers_reports_everyone_at_once() -> None:
    """The error names the scenario, each wrong answer and each difference from Flask."""
    answers = {"flask": HELLO, "quaff": replace(HELLO, body=b"Hi"), "falcon": replace(HELLO, status=500)}
    with pytest.raises(inprocess.UnequalAnswersError) as caught:
        inprocess.check_answers(find("hello"), answers)
    message = str(caught.value)
    assert message.startswith("hello: quaff answered b'Hi', not b'Hello, World!'")
    assert "flask and quaff differ: body b'Hello, World!' and b'Hi'" in message
    assert "falcon answered 500, not 200" in message


def test_only_falcon_may_stay_out() -> None:
    """Falcon takes part where it has a version of the scenario; the others always do."""
    assert inprocess.takes_part(FALCON, find("hello"))
    assert not inprocess.takes_part(FALCON, find("session"))
    assert inprocess.takes_part(QUAFF, find("session"))


@pytest.mark.parametrize("name", ["hello", "url_for"])
def test_a_scenario_is_measured(name: str) -> None:
    """Two contestants that are the same framework come out about equal, with plausible microseconds."""
    row = inprocess.measure_scenario(sys.executable, find(name), [STAND_IN, QUAFF], SHORT)
    assert row.name == name
    assert row.microseconds.keys() == {"flask", "quaff"}
    assert all(0.1 < value < 10_000 for value in row.microseconds.values())
    assert 0.1 < row.ratio.median < 10
    assert row.bar == SCENARIOS[name].bar


def test_a_failing_scenario_is_reported_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    """The failure is listed by name with its reason, and the next scenario is measured."""
    broken = Contestant("quaff", "no_such_framework")
    rows, failures = inprocess.measure(sys.executable, [STAND_IN, broken], SHORT, ["hello", "404"])
    assert rows == []
    assert [failure.partition(":")[0] for failure in failures] == ["hello", "404"]
    assert "No module named 'no_such_framework'" in capsys.readouterr().out


def test_a_row_knows_whether_its_bar_is_reached() -> None:
    """The median of the ratios decides; a row without a bar neither passes nor fails."""
    row = inprocess.Row("hello", "hello", {"flask": 50.0, "quaff": 2.5}, Ratio(20.0, 19.0, 21.0), 20)
    assert row.passed is True
    assert replace(row, ratio=Ratio(19.9, 19.0, 21.0)).passed is False
    assert replace(row, bar=None).passed is None
    assert row.as_json()["passed"] is True
    assert row.as_json()["ratio"] == {"median": 20.0, "low": 19.0, "high": 21.0}
    assert inprocess.describe(row).endswith("ratio  20.00  bar 20: pass")
