"""Times the WSGI callables of the contestants against each other, after checking that they answer alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.contestants import FLASK, QUAFF, Answer, Contestant, Worker
from benchmarks.rounds import Plan, Ratio, compare, run_rounds
from benchmarks.scenario import COMPARED_HEADERS, Scenario
from benchmarks.scenarios import SCENARIOS, find

METHOD = (
    "One call of the WSGI callable: a copied environ, a fresh input stream, the result iterated and closed; nothing "
    "subtracted. Every framework has its own process on the same core, and they run in turns. Ratio: median over the "
    "rounds. Microseconds: the best round."
)


class UnequalAnswersError(RuntimeError):
    """Two contestants do not answer a scenario alike, so timing them would compare different work."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the report."""

    name: str
    title: str
    microseconds: dict[str, float]
    ratio: Ratio
    """Flask's time over Quaff's."""

    bar: float | None

    @property
    def passed(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        return None if self.bar is None else self.ratio.median >= self.bar

    def as_json(self) -> dict[str, Any]:
        """Return what the results file keeps."""
        return {**asdict(self), "passed": self.passed}


def judge_answer(scenario: Scenario, answer: Answer, who: str) -> str:
    """Return what is wrong with the answer to *scenario*, or an empty string."""
    if answer.status != scenario.status:
        return f"{who} answered {answer.status}, not {scenario.status}"
    if scenario.body is not None and answer.body != scenario.body:
        return f"{who} answered {answer.body!r}, not {scenario.body!r}"
    return ""


def cookie_facts(answer: Answer) -> list[tuple[str, str, list[str]]]:
    """Return name, payload and attributes of every cookie set: all but the time stamp and its signature."""
    facts = []
    for value in answer.values("set-cookie"):
        pair, *attributes = value.split(";")
        name, _, signed = pair.partition("=")
        facts.append((name, signed.partition(".")[0], sorted(part.strip().lower() for part in attributes)))
    return facts


def judge_alike(
    one: Answer, other: Answer, compared: Iterable[str] = COMPARED_HEADERS, *, same_body: bool = True
) -> str:
    """Return the first relevant difference between Flask's answer and Quaff's, or an empty string."""
    if one.status != other.status:
        return f"status {one.status} and {other.status}"
    if same_body and one.body != other.body:
        return f"body {one.body!r} and {other.body!r}"
    for name in compared:
        if one.values(name) != other.values(name):
            return f"{name} {one.values(name)} and {other.values(name)}"
    # RFC: 9110 section 10.2.1: the order of the methods in Allow means nothing.
    allowed = [sorted(part.strip() for part in ",".join(answer.values("allow")).split(",")) for answer in (one, other)]
    if allowed[0] != allowed[1]:
        return f"allow {allowed[0]} and {allowed[1]}"
    if cookie_facts(one) != cookie_facts(other):
        return f"cookies {cookie_facts(one)} and {cookie_facts(other)}"
    return ""


def judge_falcon(scenario: Scenario, answer: Answer) -> str:
    """Return how Falcon's answer differs in meaning from the expected one, or an empty string."""
    if answer.status != scenario.status:
        return f"falcon answered {answer.status}, not {scenario.status}"
    if scenario.falcon_body == "any":
        return ""
    same = answer.body == scenario.body
    if scenario.falcon_body == "json":
        same = json.loads(answer.body) == json.loads(scenario.body or b"null")
    return "" if same else f"falcon answered {answer.body!r}, not {scenario.body!r}"


def check_answers(scenario: Scenario, answers: dict[str, Answer]) -> None:
    """Raise `UnequalAnswersError` unless every contestant does the work that the scenario asks for."""
    problems = []
    for who, answer in answers.items():
        problems.append(judge_falcon(scenario, answer) if who == "falcon" else judge_answer(scenario, answer, who))
        if who not in {"falcon", FLASK.name}:
            difference = judge_alike(answers[FLASK.name], answer, scenario.compared, same_body=scenario.same_body)
            problems.append(difference and f"flask and {who} differ: {difference}")
    found = [problem for problem in problems if problem]
    if found:
        raise UnequalAnswersError(f"{scenario.name}: {'; '.join(found)}")


def takes_part(contestant: Contestant, scenario: Scenario) -> bool:
    """Tell whether *contestant* has a version of *scenario*."""
    return contestant.module != "falcon" or scenario.falcon is not None


def measure_scenario(python: str, scenario: Scenario, contestants: Sequence[Contestant], plan: Plan) -> Row:
    """Check and time one scenario. Needs the contestants `flask` and `quaff`; the others are optional."""
    with ExitStack() as stack:
        workers = {
            contestant.name: stack.enter_context(Worker(python, contestant, scenario.name))
            for contestant in contestants
            if takes_part(contestant, scenario)
        }
        check_answers(scenario, {name: worker.answer for name, worker in workers.items()})
        figures = run_rounds({name: worker.time for name, worker in workers.items()}, plan)
    best = {name: min(values) for name, values in figures.items()}
    ratio = compare(figures[FLASK.name], figures[QUAFF.name])
    return Row(scenario.name, scenario.title, best, ratio, scenario.bar)


def measure(
    python: str, contestants: Sequence[Contestant], plan: Plan, only: Iterable[str] = ()
) -> tuple[list[Row], list[str]]:
    """Measure the scenarios (all, or *only* those); return their rows and what could not be measured, with the reason."""
    rows, failures = [], []
    for scenario in [find(name) for name in only] or SCENARIOS.values():
        try:
            row = measure_scenario(python, scenario, contestants, plan)
        except RuntimeError as error:
            # One scenario that fails must not cost the figures of all the others: it is reported at the end.
            failures.append(f"{scenario.name}: {error}")
            print(f"  {scenario.name:14} FAILED: {str(error).splitlines()[0]}", flush=True)
            continue
        rows.append(row)
        print(f"  {row.name:14} {describe(row)}", flush=True)
    return rows, failures


def describe(row: Row) -> str:
    """Return the row as one line for the terminal."""
    times = "  ".join(f"{name} {value:8.2f} us" for name, value in row.microseconds.items())
    bar = "" if row.bar is None else f"  bar {row.bar:g}: {'pass' if row.passed else 'MISSED'}"
    return f"{times}  ratio {row.ratio.median:6.2f}{bar}"
