"""What is asked of the batteries is answered as the extensions answer it, and costs no more calls than is promised."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import pytest

from benchmarks import batteries, battery_scenarios, inprocess, profile, worker
from benchmarks.battery_scenarios import BATTERIES, CASES, SCENARIOS, TOGETHER
from benchmarks.contestants import FLASK, QUAFF, REFERENCE, Answer, Worker
from benchmarks.scenarios import find

IDLE = [case.name for case in CASES.values() if not case.acts]
BARS = {"limiter-counted": 0.2}


@pytest.mark.parametrize("name", SCENARIOS)
def test_quaff_gives_the_expected_answer(name: str) -> None:
    """With the battery and without it, each app answers with the status and the body that its scenario states."""
    scenario = find(name)
    reply = worker.call_once(worker.build_app("quaff", scenario), worker.build_environ(scenario))
    answer = Answer(int(reply.status[:3]), reply.headers, worker.readable(scenario, reply))
    assert inprocess.judge_answer(scenario, answer, "quaff") == ""


@pytest.mark.parametrize("name", [*CASES, TOGETHER.name])
def test_extension_and_battery_answer_alike(name: str, real_extensions: None) -> None:
    """Flask with the extension and Quaff with the battery give the same status, body and relevant headers."""
    case = CASES.get(name, TOGETHER)
    for ours in (QUAFF, REFERENCE):
        with ExitStack() as stack:
            workers = {
                (who, on): stack.enter_context(Worker(sys.executable, contestant, case.scenario(on).name))
                for who, contestant in (("flask", FLASK), ("quaff", ours))
                for on in (True, False)
            }
            batteries.check_answers(case, workers)


@pytest.mark.parametrize("name", IDLE)
def test_a_battery_that_has_nothing_to_do_adds_at_most_three_calls(name: str) -> None:
    """A request that it does not act on pays three Python calls or fewer."""
    case = CASES[name]
    with_it, without = (profile.calls_of("quaff", case.scenario(on).name) for on in (True, False))
    assert len(with_it) - len(without) <= battery_scenarios.CALLS, [call.function for call in with_it]


def test_every_battery_has_a_case_in_which_it_acts() -> None:
    """None is left out of the report, and all but Talisman, whose headers go everywhere, have one in which they do not."""
    assert BATTERIES == ("cors", "talisman", "sslify", "limiter", "compress", "cache", "proxy")
    for name in BATTERIES:
        kinds = {case.acts for case in CASES.values() if case.battery.lower() == name}
        assert kinds == ({True} if name == "talisman" else {True, False}), name


def test_the_bars_are_those_that_are_promised() -> None:
    """A tenth of what the extension adds; a fifth for the limiter, whose counter is the work."""
    assert {name: case.bar for name, case in CASES.items() if case.acts} == {
        name: BARS.get(name, 0.1) for name, case in CASES.items() if case.acts
    }
    assert battery_scenarios.CALLS == 3


def test_a_case_is_found_with_its_battery_and_without() -> None:
    """The names lead to the same request; only the app differs."""
    on, off = find("cors-preflight"), find("cors-preflight-bare")
    assert (on.method, on.path, on.headers) == (off.method, off.path, off.headers)
    assert worker.build_environ(on)["HTTP_ORIGIN"] == "https://app.example"
    assert find("compress-new-html-codec").decoded
    assert not find("compress-html-bare").decoded
    assert find("talisman-redirect").status == 302
    assert find("talisman-redirect-bare").status == 200


def test_the_names_are_listed_with_the_others() -> None:
    """A mistyped name is answered with these names, too."""
    with pytest.raises(LookupError, match="cors-elsewhere, cors-elsewhere-bare"):
        find("cors-elswhere")
