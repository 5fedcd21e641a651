"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import environment, run
from benchmarks.contestants import ROOT, clean_environment


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Start the benchmarks as a user does, with this interpreter and what is installed in it."""
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "run.py"), *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=300,
        check=False,
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Give the list of what would be measured; nothing is."""
    calls: list[Any] = []

    def note(python: str, options: argparse.Namespace, folder: Path) -> list[str]:
        calls.append((python, options, folder))
        return ["3.13.0: in_process: hello"]

    monkeypatch.setattr(run, "run_python", note)
    monkeypatch.setattr(environment, "find_pythons", lambda: ["one", "two"])
    return calls


def test_without_a_choice_everything_is_measured(asked: list[Any]) -> None:
    """All seven sections, on every interpreter that is found, into the results folder."""
    assert run.main([]) == 0
    assert [call[0] for call in asked] == ["one", "two"]
    assert all(getattr(asked[0][1], name) for name in run.SECTIONS)
    assert asked[0][2] == ROOT / "benchmarks" / "results"


def test_a_choice_measures_only_that(asked: list[Any], tmp_path: Path) -> None:
    """Sections and interpreters can be chosen, and where the results go."""
    run.main(["--import", "--http", "--python", "a,b,c", "--output", str(tmp_path)])
    assert [call[0] for call in asked] == ["a", "b", "c"]
    options = asked[0][1]
    assert [getattr(options, name) for name in run.SECTIONS] == [False, True, True, False, False, False, False]
    assert asked[0][2] == tmp_path


def test_parts_of_the_protocols_can_be_chosen(asked: list[Any]) -> None:
    """They imply their section and no other; scenarios may be chosen beside them."""
    run.main(["--parts", "echo,idle", "--only", "hello"])
    options = asked[0][1]
    assert [getattr(options, name) for name in run.SECTIONS] == [True, False, False, False, True, False, False]
    assert run.split(options.parts) == ["echo", "idle"]
    run.main(["--protocols"])
    options = asked[-1][1]
    assert [getattr(options, name) for name in run.SECTIONS] == [False, False, False, False, True, False, False]


def test_batteries_can_be_chosen(asked: list[Any]) -> None:
    """All of them with the flag, some by name; names imply their section and no other."""
    run.main(["--batteries"])
    assert [getattr(asked[-1][1], name) for name in run.SECTIONS] == [False] * 5 + [True, False]
    run.main(["--battery", "cors,limiter"])
    options = asked[-1][1]
    assert [getattr(options, name) for name in run.SECTIONS] == [False] * 5 + [True, False]
    assert run.split(options.battery) == ["cors", "limiter"]


def test_pages_on_a_database_can_be_chosen(asked: list[Any]) -> None:
    """All of them with the flag, some by name; names imply their section and no other."""
    for arguments in (["--database"], ["--pages", "db,fortunes"]):
        run.main(arguments)
        assert [getattr(asked[-1][1], name) for name in run.SECTIONS] == [False] * 6 + [True]
    assert run.split(asked[-1][1].pages) == ["db", "fortunes"]


def test_an_unknown_page_is_refused(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name measures nothing; the names that there are stand in the message."""
    with pytest.raises(SystemExit):
        run.main(["--pages", "bd"])
    assert "--pages: no bd; there are db, queries, fortunes, updates" in capsys.readouterr().err
    assert asked == []


def test_an_unknown_battery_is_refused(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name measures nothing; the names that there are stand in the message."""
    with pytest.raises(SystemExit):
        run.main(["--battery", "corse"])
    assert "--battery: no corse; there are cors, talisman, sslify," in capsys.readouterr().err
    assert asked == []


def test_an_unknown_part_is_refused(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name measures nothing; the names that there are stand in the message."""
    with pytest.raises(SystemExit):
        run.main(["--parts", "ehco"])
    assert "--parts: no ehco; there are hello, sync, echo, idle" in capsys.readouterr().err
    assert asked == []


def test_a_quick_look_is_kept_apart(asked: list[Any]) -> None:
    """Short rounds never overwrite the results of long ones."""
    run.main(["--quick"])
    assert asked[0][2] == environment.CACHE / "quick"


def test_missed_bars_fail_only_when_asked(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """They are always printed; `--check` makes them an error."""
    assert run.main([]) == 0
    assert "not reached:\n  3.13.0: in_process: hello" in capsys.readouterr().out
    assert run.main(["--check"]) == 1


def test_a_readme_without_markers_is_an_error(
    asked: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The markers are named."""
    readme = tmp_path / "README.md"
    readme.write_text("no markers")
    assert run.main(["--readme", str(readme), "--output", str(tmp_path)]) == 1
    assert "has no <!-- bench:start --> ... <!-- bench:end -->" in capsys.readouterr().err


def test_an_interpreter_that_does_not_run_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback: the interpreter and the reason."""
    assert run.main(["--python", "no-such-python"]) == 1
    assert capsys.readouterr().err == "error: no-such-python cannot be started: No such file or directory\n"


def test_missed_bars_are_named() -> None:
    """Each section's missed lines and failures are listed; passed and unbarred ones are not."""
    measured = {
        "in_process": {
            "rows": [{"title": "hello", "passed": False}, {"title": "user", "passed": True}],
            "failures": ["form: it broke"],
        },
        "http": {"pages": [{"page": "json", "passed": False}]},
        "import": {"passed": False},
        "scaling": {"rows": [{"kind": "static", "contestant": "quaff", "passed": False}, {"passed": None}]},
    }
    assert run.missed_bars(measured) == [
        "in_process: hello",
        "in_process: form: it broke",
        "http: json",
        "import",
        "scaling: static quaff",
    ]
    assert run.missed_bars({"in_process": {"rows": [], "failures": []}}) == []
    batteries = {"rows": [{"title": "CORS: preflight", "passed": False}, {"title": "more", "passed": None}]}
    assert run.missed_bars({"batteries": batteries}) == ["batteries: CORS: preflight"]
    protocols = {
        "rows": [{"title": "async hello", "passed": False}],
        "memory": [{"title": "idle WebSockets, Quaff", "passed": False}, {"passed": None}],
        "failures": ["async hello: Robyn (its own): robyn is not installed"],
    }
    assert run.missed_bars({"protocols": protocols}) == [
        "protocols: async hello",
        "protocols: idle WebSockets, Quaff",
        "protocols: async hello: Robyn (its own): robyn is not installed",
    ]


def test_help_is_printed_by_the_script() -> None:
    """The script runs from anywhere with the standard library alone."""
    done = start("--help")
    assert done.returncode == 0, done.stderr
    assert "Measure Quaff against Flask and Falcon" in done.stdout


def test_an_only_run_measures_one_scenario_and_keeps_nothing(real_flask: str, tmp_path: Path) -> None:
    """From the command line to the figure, against the real Flask."""
    done = start("--only", "hello", "--quick", "--as-is", "--python", sys.executable, "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "hello          flask" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_batteries_are_measured_from_the_command_line(real_flask: str, tmp_path: Path) -> None:
    """The proxy's rows against Werkzeug's middleware on the real Flask; a choice is not kept."""
    done = start("--battery", "proxy", "--quick", "--as-is", "--python", sys.executable, "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "  proxy-direct         flask " in done.stdout
    assert "  proxy-forwarded      flask " in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_kept_as_json_and_markdown(real_flask: str, tmp_path: Path) -> None:
    """The import times against the real Flask, with the facts of the interpreter and no name of this machine."""
    done = start("--import", "--quick", "--as-is", "--python", sys.executable, "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    results = json.loads(path.read_text())
    assert results["packages"]["flask"] == real_flask
    assert results["import"]["quick"] is True
    assert str(ROOT) not in path.read_text() + path.with_suffix(".md").read_text()
