"""The scenarios ask what the report says, and every framework answers them alike."""

from __future__ import annotations

import sys

import pytest

from benchmarks import inprocess, worker
from benchmarks.contestants import FALCON, FLASK, QUAFF, REFERENCE, Worker
from benchmarks.scenarios import SCENARIOS, find

EVERYTHING = [*SCENARIOS, "static:20", "dynamic:20"]
BARS = {
    "hello": 20,
    "user": 15,
    "args": 10,
    "json": 10,
    "form": 5,
    "session": 4,
    "hooks": 10,
    "404": 10,
    "405": 10,
    "rules": 10,
    "rules_static": 10,
    "url_for": 5,
    "page": 2,
}


@pytest.mark.parametrize("name", EVERYTHING)
def test_quaff_gives_the_expected_answer(name: str) -> None:
    """Each app answers with the status and the body that its scenario states."""
    scenario = find(name)
    app = worker.build_app("quaff", scenario)
    environ = worker.build_environ(scenario, cookie=worker.cookie_of(app, scenario))
    reply = worker.call_once(app, environ, scenario.content)
    assert int(reply.status[:3]) == scenario.status
    assert scenario.body is None or reply.body == scenario.body


@pytest.mark.parametrize("name", EVERYTHING)
def test_flask_and_both_pipelines_answer_alike(name: str, real_flask: str) -> None:
    """The real Flask and Quaff's two pipelines give the same status, body, relevant headers and cookies."""
    answers = {}
    for contestant in (FLASK, QUAFF, REFERENCE):
        with Worker(sys.executable, contestant, name) as process:
            answers[contestant.name] = process.answer
    inprocess.check_answers(find(name), answers)


@pytest.mark.parametrize("name", [name for name in EVERYTHING if find(name).falcon])
def test_falcon_does_the_same_work(name: str, real_falcon: str) -> None:
    """Falcon's version of a scenario answers the same thing in its own words."""
    with Worker(sys.executable, FALCON, name) as process:
        assert inprocess.judge_falcon(find(name), process.answer) == ""


def test_every_promised_line_has_its_bar() -> None:
    """The bars are those that Quaff promises; the other scenarios are for information."""
    assert {name: scenario.bar for name, scenario in SCENARIOS.items() if scenario.bar} == BARS


def test_an_unknown_name_lists_the_known_ones() -> None:
    """A mistyped scenario is a LookupError that says what there is."""
    with pytest.raises(LookupError, match=r"there is no scenario 'helo'; there are: hello, user, .* dynamic:N"):
        find("helo")


def test_rules_scenarios_ask_for_the_last_rule() -> None:
    """`static:N` and `dynamic:N` are made on demand and ask for the rule that was registered last."""
    assert find("static:10").path == "/pages/9/about"
    assert find("dynamic:1000").path == "/items999/7"


def test_the_session_scenario_sends_the_cookie_back() -> None:
    """The timed request reads a session that an earlier answer has set."""
    scenario = find("session")
    app = worker.build_app("quaff", scenario)
    cookie = worker.cookie_of(app, scenario)
    assert cookie.startswith("session=")
    without = worker.call_once(app, worker.build_environ(scenario))
    assert without.status.startswith("500")


def test_cookie_of_asks_nothing_without_need() -> None:
    """A scenario without `cookie_from` is not asked beforehand."""
    assert worker.cookie_of(lambda environ, start_response: [], find("hello")) == ""
