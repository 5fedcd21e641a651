"""The conformance runner: what it takes for good, and the data that it goes by."""

from __future__ import annotations

import importlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from quaff.compat.aliases import BATTERY_ROOTS

FOLDER = Path(__file__).resolve().parents[2] / "conformance"
PARTS = ("suites", "fetch", "venvs", "execute", "report", "run")


@pytest.fixture(scope="module")
def runner() -> Iterator[dict[str, ModuleType]]:
    """Give the modules of the runner, which are scripts beside each other and no package."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in PARTS}
    finally:
        sys.path.remove(str(FOLDER))
        for name in PARTS:
            sys.modules.pop(name, None)


@pytest.fixture
def suite(runner: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a suite with a baseline of three tests, and one more that needs a server."""
    monkeypatch.setattr(runner["suites"], "BASELINE", tmp_path)
    (tmp_path / "thing.txt").write_text("# heading\na::one\na::two\na::three\n", encoding="utf-8")
    (tmp_path / "thing.services.txt").write_text("a::redis\n", encoding="utf-8")
    return runner["suites"].Suite(
        name="thing", role="core", source="thing==1.0", paths=["tests"], pytest=["tests"], services=["redis:1"]
    )


def _judge(runner: dict[str, ModuleType], suite: Any, results: dict[str, str], *rows: dict[str, Any]) -> Any:
    outcome = runner["execute"].Outcome(results=results, reasons={"a::two": "because"})
    differences = [runner["suites"].Difference(suite="thing", **row) for row in rows]
    return runner["report"].judge(suite, "compiled", outcome, differences, services=False)


ALL_PASS = {"a::one": "passed", "a::two": "passed", "a::three": "xpassed"}
ROW = {"id": "a::two", "reason": "so it is"}


def test_all_pass(runner: dict[str, ModuleType], suite: Any) -> None:
    """Every test of the baseline passes: good, and more tests than that do not matter."""
    verdict = _judge(runner, suite, {**ALL_PASS, "a::new": "failed"})
    assert verdict.good
    assert (verdict.passed, verdict.baseline, verdict.percent) == (3, 3, 100.0)
    assert verdict.notes == ["without redis:1"]


@pytest.mark.parametrize("result", ["failed", "error", "skipped", "xfailed", None])
def test_a_failure_that_nobody_explains(runner: dict[str, ModuleType], suite: Any, result: str | None) -> None:
    """A test of the baseline that does not pass, in whatever way, makes the run bad."""
    results = {**ALL_PASS, "a::two": result}
    verdict = _judge(runner, suite, {node: got for node, got in results.items() if got})
    assert not verdict.good
    assert verdict.unexpected == ["a::two"]


def test_a_known_difference(runner: dict[str, ModuleType], suite: Any) -> None:
    """A failure with a reason in the list is good, and is not counted as passing."""
    verdict = _judge(runner, suite, {**ALL_PASS, "a::two": "failed"}, ROW)
    assert verdict.good
    assert verdict.known == ["a::two"]
    assert verdict.passed == 2


def test_a_difference_that_is_none(runner: dict[str, ModuleType], suite: Any) -> None:
    """A test that passes although the list says that it fails makes the run bad, unless it is known to be unsteady."""
    verdict = _judge(runner, suite, ALL_PASS, ROW)
    assert not verdict.good
    assert verdict.stale == ["a::two"]
    assert _judge(runner, suite, ALL_PASS, {**ROW, "unsteady": True}).good


def test_a_difference_of_one_pipeline(runner: dict[str, ModuleType], suite: Any) -> None:
    """A row about the other pipeline explains nothing here."""
    verdict = _judge(runner, suite, {**ALL_PASS, "a::two": "failed"}, {**ROW, "pipeline": "reference"})
    assert verdict.unexpected == ["a::two"]


def test_a_difference_about_nothing(runner: dict[str, ModuleType], suite: Any) -> None:
    """A row about a test that is not in the baseline is a mistake in the list."""
    verdict = _judge(runner, suite, ALL_PASS, {**ROW, "id": "a::nothing"})
    assert not verdict.good
    assert "a::nothing" in verdict.line()


def test_services(runner: dict[str, ModuleType], suite: Any) -> None:
    """With its servers a suite has to pass what needs them."""
    outcome = runner["execute"].Outcome(results=ALL_PASS)
    verdict = runner["report"].judge(suite, "compiled", outcome, [], services=True)
    assert verdict.unexpected == ["a::redis"]
    assert verdict.notes == []


@pytest.mark.parametrize(
    "more, problem",
    [
        ({"timed_out": True}, "TIMED OUT"),
        ({"results": {}}, "no tests ran"),
        ({"flask": "lib/python3/site-packages/flask/__init__.py"}, "the real Flask was imported"),
        ({"flask": "lib\\python3\\site-packages\\flask\\__init__.py"}, "the real Flask was imported"),
    ],
)
def test_runs_that_prove_nothing(runner: dict[str, ModuleType], suite: Any, more: dict[str, Any], problem: str) -> None:
    """A run that did not finish, ran nothing, or ran against the wrong Flask is bad."""
    outcome = runner["execute"].Outcome(**{"results": ALL_PASS, **more})
    verdict = runner["report"].judge(suite, "compiled", outcome, [], services=False)
    assert not verdict.good
    assert problem in verdict.line()


@pytest.mark.parametrize("second, unexpected", [("passed", []), ("failed", ["a::two"])])
def test_what_fails_is_run_once_more(
    runner: dict[str, ModuleType],
    suite: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    second: str,
    unexpected: list[str],
) -> None:
    """A test that passes the second time counts and is spoken of; one that fails twice is no accident."""
    run, outcome = runner["run"], runner["execute"].Outcome
    outcomes = [outcome(results={**ALL_PASS, "a::two": "failed"}), outcome(results={"a::two": second})]
    asked: list[Any] = []

    def once(self: Any, *args: Any, again: Any = None) -> Any:
        asked.append(again)
        return outcomes[len(asked) - 1]

    monkeypatch.setattr(run.Runner, "_once", once)
    monkeypatch.setattr(run, "services_of", lambda suite: None)
    work = run.Runner(run.parse([]), [])
    work.args.cache = tmp_path
    work._run(suite, None, "compiled")
    (verdict,) = work.verdicts
    assert verdict.unexpected == unexpected
    assert asked == [None, runner["execute"].Again()]
    assert ("1 passed when run again" in verdict.line()) is (second == "passed")


def test_many_failures_are_no_accident(
    runner: dict[str, ModuleType], suite: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not run again, and neither is a run that proves nothing, or one with the real Flask."""
    run = runner["run"]
    asked: list[Any] = []
    monkeypatch.setattr(run, "services_of", lambda suite: None)
    monkeypatch.setattr(run, "AGAIN", 2)
    work = run.Runner(run.parse([]), [])
    work.args.cache = tmp_path
    for results, pipeline in (({"a::new": "passed"}, "compiled"), ({}, "compiled"), ({"a::one": "passed"}, "")):

        def once(self: Any, *args: Any, again: Any = None, results: Any = results) -> Any:
            asked.append(again)
            return runner["execute"].Outcome(results=results)

        monkeypatch.setattr(run.Runner, "_once", once)
        work._run(suite, None, pipeline)
    assert asked == [None, None, None]


def test_an_old_way_that_is_given_back_counts(
    runner: dict[str, ModuleType], suite: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A difference that is none with a name in COMPAT is tried with that name, and is passed when it passes."""
    run, outcome = runner["run"], runner["execute"].Outcome
    row = runner["suites"].Difference(suite="thing", compat="old-way", **ROW)
    asked: list[Any] = []

    def once(self: Any, *args: Any, again: Any = None) -> Any:
        asked.append(again)
        return outcome(results={"a::two": "passed"} if again else {**ALL_PASS, "a::two": "failed"})

    monkeypatch.setattr(run.Runner, "_once", once)
    monkeypatch.setattr(run, "services_of", lambda suite: None)
    work = run.Runner(run.parse([]), [row])
    work.args.cache = tmp_path
    work._run(suite, None, "compiled")
    (verdict,) = work.verdicts
    assert asked == [None, runner["execute"].Again("old-way")]
    assert verdict.good
    assert (verdict.passed, verdict.known) == (3, ["a::two"])
    assert "1 with COMPAT" in verdict.line()


def test_an_old_way_that_helps_nobody(runner: dict[str, ModuleType], suite: Any) -> None:
    """A name in the list that does not do what the list says makes the run bad."""
    row = runner["suites"].Difference(suite="thing", compat="old-way", **ROW)
    verdict = _judge(runner, suite, {**ALL_PASS, "a::two": "failed"}, {**ROW, "compat": "old-way"})
    outcome = runner["execute"].Outcome(results={"a::two": "failed"}, reasons={"a::two": "because"})
    runner["report"].judge_old_ways(verdict, outcome, [row])
    assert not verdict.good
    assert verdict.passed == 2
    assert "COMPAT = 'old-way' helps a::two, and it does not (failed: because)" in verdict.line()


def test_the_plugin_gives_every_app_the_names(tmp_path: Path) -> None:
    """An app that sets nothing has the names of the environment in its COMPAT."""
    code = "import conformance_old_ways, quaff; print(quaff.Quaff('x').config['COMPAT'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(FOLDER / "plugins"), "CONFORMANCE_COMPAT": "one,two"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "('one', 'two')\n"


REAL_EXTENSION = "lib/python3/site-packages/flask_cors/__init__.py"
BATTERY = "project/src/quaff/ext/cors/__init__.py"


@pytest.mark.parametrize(
    "with_battery, file, problem",
    [
        (False, REAL_EXTENSION, ""),
        (False, BATTERY, "a battery was imported in the place of flask_cors"),
        (True, BATTERY, ""),
        (True, REAL_EXTENSION, "the real flask_cors was imported"),
        (True, "None", ""),
    ],
)
def test_the_extension_is_the_one_that_is_measured(
    runner: dict[str, ModuleType], suite: Any, with_battery: bool, file: str, problem: str
) -> None:
    """A run with the battery proves nothing when the extension came in, and the other way round."""
    suite = replace(suite, battery="flask_cors")
    outcome = runner["execute"].Outcome(results=ALL_PASS, extension=file)
    this = suite.with_battery() if with_battery else suite
    verdict = runner["report"].judge(this, "compiled", outcome, [], services=False)
    assert verdict.problems == [problem][: bool(problem)]
    assert runner["report"].judge(this, "real", outcome, [], services=False).good


def test_a_battery_shares_the_baseline(runner: dict[str, ModuleType], suite: Any) -> None:
    """The suite with the battery has the ids, versions and tests of the extension's, and files of its own."""
    battery = replace(suite, battery="flask_thing").with_battery()
    assert (battery.name, battery.tests, battery.slug) == ("thing (battery)", "thing", "thing.battery")
    assert battery.baseline(services=True) == suite.baseline(services=True)
    assert battery.lock == suite.lock
    assert battery.with_battery() == battery


def test_a_difference_of_a_battery(runner: dict[str, ModuleType], suite: Any) -> None:
    """What a battery does otherwise says nothing about the extension on top of Quaff, and has a row of its own."""
    battery = replace(suite, battery="flask_thing").with_battery()
    outcome = runner["execute"].Outcome(results={**ALL_PASS, "a::two": "failed"})
    row = runner["suites"].Difference(suite="thing (battery)", **ROW)
    judge = runner["report"].judge
    assert judge(battery, "compiled", outcome, [row], services=False).good
    assert judge(suite, "compiled", outcome, [row], services=False).unexpected == ["a::two"]


def test_a_difference_that_needs_a_server(runner: dict[str, ModuleType], suite: Any) -> None:
    """Where the server is missing, a row about a test that wants it is no mistake."""
    verdict = _judge(runner, suite, ALL_PASS, {"id": "a::redis", "reason": "so it is"})
    assert verdict.good


@pytest.mark.parametrize(
    "baseline, failing, percent, is_reached",
    [
        (98, 4, 95, True),
        (98, 5, 95, False),
        (17, 1, 95, True),
        (17, 2, 95, False),
        (489, 0, 100, True),
        (489, 1, 100, False),
    ],
)
def test_reaching_a_bar(
    runner: dict[str, ModuleType], baseline: int, failing: int, percent: float, is_reached: bool
) -> None:
    """So much of the baseline has to pass; of a small suite, in which each test is more than that, one may fail."""
    verdict = runner["report"].Verdict("x", "compiled", baseline, baseline - failing)
    assert verdict.reaches(percent) is is_reached


@pytest.mark.parametrize("passed, good", [(19, True), (18, False)])
def test_the_bar_of_a_battery(
    runner: dict[str, ModuleType], suite: Any, passed: int, good: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A battery passes at least 95 of a hundred tests of the extension's baseline, whatever explains the others."""
    battery = suite.with_battery()
    run = runner["run"]
    work = run.Runner(run.parse([]), [])
    work.verdicts = [runner["report"].Verdict(battery.name, "compiled", 20, passed)]
    assert work.good([battery]) is good
    assert ("thing (battery) (compiled) is below 95 %" in capsys.readouterr().out) is not good
    assert work.good([suite])


def test_only_a_battery_is_visible_to_its_suite(runner: dict[str, ModuleType], suite: Any, tmp_path: Path) -> None:
    """An extension's own suite runs with the batteries off; with the battery, nothing switches them off."""
    environment = runner["venvs"].Environment.__new__(runner["venvs"].Environment)
    environment.path = tmp_path
    suite = replace(suite, battery="flask_thing")
    given = [
        runner["execute"]._environment(row, environment, tmp_path, tmp_path, tmp_path / "report")
        for row in (suite, suite.with_battery())
    ]
    assert given[0]["QUAFF_BATTERIES"] == "0"
    assert "QUAFF_BATTERIES" not in given[1]
    assert [env["CONFORMANCE_MODULE"] for env in given] == ["flask_thing", "flask_thing"]


def test_the_environment_of_a_battery(
    runner: dict[str, ModuleType], suite: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every extension that has a battery is removed, what the batteries need is added; with the real Flask neither."""
    commands: list[list[str]] = []
    make = runner["venvs"].Environment
    monkeypatch.setattr(make, "_run", lambda self, argv: commands.append([*map(str, argv)]) or "")
    monkeypatch.setattr(make, "_set_site", lambda self: None)
    monkeypatch.setattr(make, "_write_flask_command", lambda self: None)
    monkeypatch.setattr(runner["venvs"].shutil, "rmtree", lambda *args, **kwargs: None)

    def made(this: Any, *, real: bool = False) -> list[list[str]]:
        commands.clear()
        environment = make(this, "python", tmp_path, tmp_path / "log", real=real)
        environment.path.mkdir(parents=True)
        environment.make()
        return [command[command.index("pip") + 1 :] for command in commands if "pip" in command]

    install, uninstall, _ = made(suite.with_battery())
    assert "limits==5.8.0" in install
    removed = {"flask", "flask-cors", "flask-limiter", "flask-talisman", "flask-compress", "flask-caching"}
    assert removed <= set(uninstall)
    install, uninstall, _ = made(suite)
    assert "limits==5.8.0" not in install
    assert not (removed - {"flask"}) & set(uninstall)
    assert [command for command in made(suite.with_battery(), real=True) if "uninstall" in command] == []


def test_the_batteries_have_what_the_extras_ask_for(runner: dict[str, ModuleType]) -> None:
    """The versions for the batteries are those of Quaff's extra "batteries", one for one."""

    def names(lines: list[str]) -> set[str]:
        return {re.split(r"[=<>;\[ ]", line, maxsplit=1)[0] for line in lines}

    extras = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    (everything,) = extras["batteries"]
    wanted = [line for extra in re.findall(r"[a-z]+", everything.partition("[")[2]) for line in extras[extra]]
    # An extra may ask for another one.
    assert names(runner["suites"]._load("suites.toml")["batteries"]) == names(wanted) - {"quaff"}


def test_the_suites_with_batteries_fit_into_one_environment(runner: dict[str, ModuleType]) -> None:
    """Their baselines, and what the batteries need, agree on the version of every distribution."""
    lines = runner["suites"].battery_requirements()
    pins = {line.partition(";")[0].lower().replace(".zstd", "-zstd") for line in lines if "python_version<" not in line}
    names = [pin.partition("==")[0] for pin in pins]
    assert len(names) == len(set(names)), sorted(pins)


def test_a_battery_may_be_run_again_with_other_versions(runner: dict[str, ModuleType]) -> None:
    """The second run has a name and an environment of its own, the same baseline, and the same differences."""
    suites = runner["suites"]
    (again,) = [suite for suite in suites.load_suites() if suite.again and suite.replaces_extension]
    plain = next(suite for suite in suites.load_suites() if suite.name == "flask-sqlalchemy (battery)")
    version = again.again[0]
    assert again.name == f"flask-sqlalchemy (battery, {version})"
    assert (again.tests, again.baseline(services=True)) == (plain.tests, plain.baseline(services=True))
    assert re.fullmatch(r"flask-sqlalchemy\.battery[a-z0-9.-]+", again.slug)
    needed = suites.battery_requirements(again.again)
    assert version in needed
    assert [line.lower() for line in needed if line.lower().startswith("sqlalchemy==")] == [version]
    assert set(needed) - {version} < set(suites.battery_requirements())
    difference = suites.Difference(suite=plain.name, id="a", reason="b")
    assert difference.concerns(again.name, "compiled")
    assert difference.concerns(plain.name, "compiled")
    assert not suites.Difference(suite=again.name, id="a", reason="b").concerns(plain.name, "compiled")


def test_what_is_printed(runner: dict[str, ModuleType], suite: Any, tmp_path: Path) -> None:
    """Each failure with its reason; the file has all of them."""
    outcome = runner["execute"].Outcome(results={**ALL_PASS, "a::two": "failed"}, reasons={"a::two": "because"})
    verdict = runner["report"].judge(suite, "compiled", outcome, [], services=False)
    assert "a::two\n         failed: because" in runner["report"].explain(verdict, outcome)
    runner["report"].write_failures(tmp_path / "failed", verdict, outcome)
    assert (tmp_path / "failed").read_text(encoding="utf-8") == "a::two\tfailed: because\n"


def test_reading_a_report(runner: dict[str, ModuleType], tmp_path: Path) -> None:
    """The worst phase of a test decides; a line that was cut off ends the report."""
    rows = [
        {"id": "a", "when": "setup", "outcome": "passed"},
        {"id": "a", "when": "call", "outcome": "passed"},
        {"id": "a", "when": "teardown", "outcome": "failed", "why": "left a mess"},
        {"id": "b", "when": "call", "outcome": "skipped", "xfail": True},
        {"id": "c", "when": "call", "outcome": "passed"},
        {"id": "x at 0x7fc1aa2b", "when": "call", "outcome": "failed", "why": "no"},
        {"id": "d.py", "when": "collect", "outcome": "failed", "why": "broken"},
        {"flask": "somewhere", "extension": "elsewhere"},
    ]
    report = tmp_path / "report"
    report.write_text("\n".join(map(json.dumps, rows)) + '\n{"id": "cut', encoding="utf-8")
    outcome = runner["execute"].Outcome()
    runner["execute"]._read_report(report, "/source", outcome)
    assert outcome.results == {"a": "error", "b": "xfailed", "c": "passed", "x at 0xADDR": "failed", "d.py": "error"}
    assert outcome.passing == {"c"}
    assert (outcome.flask, outcome.extension) == ("somewhere", "elsewhere")
    assert outcome.reason("a") == "error: left a mess"
    assert outcome.reason("d.py::inside") == "not run: broken"


def test_the_plugin_writes_that_report(runner: dict[str, ModuleType], tmp_path: Path) -> None:
    """Pytest with the plugin leaves a report that reads as what happened."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 1 == 2\n"
        "@pytest.fixture\n"
        "def late():\n    yield\n    raise OSError('late')\n"
        "def test_late(late): pass\n"
        "@pytest.mark.xfail\n"
        "def test_expected(): assert 0\n",
        encoding="utf-8",
    )
    (tmp_path / "pytest.ini").touch()
    report = tmp_path / "report"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conformance_report", "-p", "no:cacheprovider", "-q"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(FOLDER / "plugins"), "CONFORMANCE_REPORT": str(report)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    outcome = runner["execute"].Outcome()
    runner["execute"]._read_report(report, str(tmp_path), outcome)
    names = ("good", "bad", "late", "expected")
    assert {name: outcome.results[f"test_it.py::test_{name}"] for name in names} == {
        "good": "passed",
        "bad": "failed",
        "late": "error",
        "expected": "xfailed",
    }
    assert outcome.reason("test_it.py::test_bad") == "failed: test_it.py:3: assert 1 == 2"


def _archive(path: Path, names: list[str]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(f"thing-1.0/{name}")
            tar.addfile(member, io.BytesIO(b""))


def test_unpacking(runner: dict[str, ModuleType], suite: Any, tmp_path: Path) -> None:
    """Only the suite's own paths come out of the archive, with a configuration that keeps pytest there."""
    (tmp_path / "sdist").mkdir()
    _archive(
        tmp_path / "sdist" / "Thing-1.0.tar.gz", ["src/thing.py", "tests/test_a.py", "tests_more/test_b.py", "setup.py"]
    )
    into = tmp_path / "into"
    runner["fetch"].unpack(suite, tmp_path, into)
    assert sorted(path.relative_to(into).as_posix() for path in into.rglob("*.*")) == ["pytest.ini", "tests/test_a.py"]


def test_unpacking_what_has_no_tests(runner: dict[str, ModuleType], suite: Any, tmp_path: Path) -> None:
    """A distribution without the tests is no distribution of the tests."""
    (tmp_path / "sdist").mkdir()
    _archive(tmp_path / "sdist" / "thing-1.0.tar.gz", ["thing.py"])
    with pytest.raises(runner["suites"].Unavailable, match="has none of tests"):
        runner["fetch"].unpack(suite, tmp_path, tmp_path / "into")


def test_the_environment_of_a_suite(runner: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the caller's settings reaches it."""
    for name in ("FLASK_APP", "QUAFF_COMPILED", "PYTHONPATH", "PYTEST_ADDOPTS", "CI"):
        monkeypatch.setenv(name, "of the caller")
    env = runner["venvs"].clean_environment()
    assert "of the caller" not in env.values()
    assert env["PYTHONHASHSEED"] == "0"


def test_choosing(runner: dict[str, ModuleType]) -> None:
    """The core by default, Flask and the batteries for a quick run, all of them, or those that are named."""
    run, suites = runner["run"], runner["suites"].load_suites()

    def names(*argv: str) -> list[str]:
        return [suite.name for suite in run.choose(suites, run.parse([*argv]))]

    assert names() == ["flask", "flask-examples"]
    assert names("--quick") == ["flask", *names("--batteries")]
    assert names("--all") == [suite.name for suite in suites]
    assert names("--batteries") == [suite.name for suite in suites if suite.role == "battery"]
    assert names("--batteries", "--only", "flask-cors") == ["flask-cors (battery)"]
    assert names("--only", "flask-cors") == ["flask-cors"]
    assert names("--only", "flask-cors (battery)") == ["flask-cors (battery)"]
    assert names("--only", "flask-login") == ["flask-login"]
    assert run.parse(["--quick", "--", "-x", "--pdb"]).pytest == ["-x", "--pdb"]
    with pytest.raises(SystemExit, match="no suite nothing"):
        names("--only", "nothing")


def test_the_data(runner: dict[str, ModuleType]) -> None:
    """Each suite has its baseline and versions; each known difference is about a test of one, and says why."""
    suites = {suite.name: suite for suite in runner["suites"].load_suites()}
    for suite in suites.values():
        assert suite.baseline(services=True), suite.name
        assert suite.lock.is_file(), suite.name
        assert suite.baseline(services=True) > suite.baseline(services=False) or not suite.services
    for row in runner["suites"].load_differences():
        assert row.id in suites[row.suite].baseline(services=True), row.id
        assert len(row.reason) > 40, row.id
        assert row.pipeline in ("both", "compiled", "reference")


def test_every_battery_has_a_suite(runner: dict[str, ModuleType]) -> None:
    """Each extension that the alias replaces, and that has tests, is measured with the battery in its place."""
    suites = [suite for suite in runner["suites"].load_suites() if suite.role == "battery"]
    assert {suite.battery for suite in suites} >= BATTERY_ROOTS - {"flask_sslify"}
    assert "werkzeug.middleware.proxy_fix" in {suite.battery for suite in suites}


def test_flask_is_nearly_whole(runner: dict[str, ModuleType]) -> None:
    """The known differences from Flask's own suite are fewer than one in a hundred."""
    (flask,) = [suite for suite in runner["suites"].load_suites() if suite.name == "flask"]
    known = [row for row in runner["suites"].load_differences() if row.suite == "flask"]
    assert len(known) < 0.01 * len(flask.baseline(services=False))
