"""The conformance runner: what it takes for good, and the data that it goes by."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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
    ],
)
def test_runs_that_prove_nothing(runner: dict[str, ModuleType], suite: Any, more: dict[str, Any], problem: str) -> None:
    """A run that did not finish, ran nothing, or ran against the wrong Flask is bad."""
    outcome = runner["execute"].Outcome(**{"results": ALL_PASS, **more})
    verdict = runner["report"].judge(suite, "compiled", outcome, [], services=False)
    assert not verdict.good
    assert problem in verdict.line()


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
        {"flask": "somewhere"},
    ]
    report = tmp_path / "report"
    report.write_text("\n".join(map(json.dumps, rows)) + '\n{"id": "cut', encoding="utf-8")
    outcome = runner["execute"].Outcome()
    runner["execute"]._read_report(report, "/source", outcome)
    assert outcome.results == {"a": "error", "b": "xfailed", "c": "passed", "x at 0xADDR": "failed", "d.py": "error"}
    assert outcome.passing == {"c"}
    assert outcome.flask == "somewhere"
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
    """The core by default, one suite for a quick run, all of them, or those that are named."""
    run, suites = runner["run"], runner["suites"].load_suites()

    def names(*argv: str) -> list[str]:
        return [suite.name for suite in run.choose(suites, run.parse([*argv]))]

    assert names() == ["flask", "flask-examples"]
    assert names("--quick") == ["flask"]
    assert names("--all") == [suite.name for suite in suites]
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


def test_flask_is_nearly_whole(runner: dict[str, ModuleType]) -> None:
    """The known differences from Flask's own suite are fewer than one in a hundred."""
    (flask,) = [suite for suite in runner["suites"].load_suites() if suite.name == "flask"]
    known = [row for row in runner["suites"].load_differences() if row.suite == "flask"]
    assert len(known) < 0.01 * len(flask.baseline(services=False))
