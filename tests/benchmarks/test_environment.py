"""The interpreters are found and asked; an environment is made once and again when its pins change."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks import environment
from benchmarks.contestants import ROOT
from benchmarks.environment import PreparationError
from quaff.compat.aliases import VERSIONS

VERSION = "{}.{}".format(*sys.version_info[:2])


def test_ask_tells_the_version_and_the_packages() -> None:
    """The facts are those of the interpreter that is asked; a package that is not there is None."""
    facts = environment.ask(sys.executable)
    assert facts["python"] == platform.python_version()
    assert facts["packages"].keys() == set(environment.PACKAGES)
    assert facts["packages"]["werkzeug"].startswith("3.1.")


def test_what_is_no_python_is_refused(tmp_path: Path) -> None:
    """A program that fails is reported with what it said."""
    shim = tmp_path / "python"
    shim.write_text("#!/bin/sh\necho no such version >&2\nexit 127\n")
    shim.chmod(0o755)
    with pytest.raises(PreparationError, match="is not a Python that runs:\nno such version"):
        environment.ask(str(shim))
    assert not environment.works(str(shim), VERSION)
    assert not environment.works(str(tmp_path / "nothing"), VERSION)


def test_an_interpreter_works_for_its_own_version() -> None:
    """`python3.1` is not 3.13: the version is compared by its parts."""
    assert environment.works(sys.executable, VERSION)
    assert not environment.works(sys.executable, "3.1")


def test_the_running_interpreter_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without 3.13 and 3.11 the measurement runs on what there is."""
    monkeypatch.setattr(environment, "candidates", lambda version: [])
    assert environment.find_pythons() == [sys.executable]


def test_interpreters_are_looked_for_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This interpreter, then the PATH, then pyenv's versions, the newest first."""
    for patch in ("2", "11"):
        place = tmp_path / "versions" / f"3.99.{patch}" / "bin"
        place.mkdir(parents=True)
        (place / "python").touch()
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: f"/on/the/path/{name}")
    first, *rest = environment.candidates("3.99")
    assert first == "/on/the/path/python3.99"
    assert sorted(rest) == [str(tmp_path / "versions" / f"3.99.{patch}" / "bin/python") for patch in ("11", "2")]
    assert next(iter(environment.candidates(VERSION))) == sys.executable


def test_an_environment_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The second call finds it; a change of the pins makes it anew."""
    pins, commands = tmp_path / "requirements.txt", []
    pins.write_text("falcon==4.4.0\n")
    monkeypatch.setattr(environment, "REQUIREMENTS", pins)
    monkeypatch.setattr(environment, "CACHE", tmp_path / "cache")

    def run(command: list[str]) -> None:
        commands.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(environment, "run", run)
    inside = environment.prepare(sys.executable)
    assert inside == str(tmp_path / "cache" / f"cpython-{platform.python_version()}" / "bin" / "python")
    assert [command[0] for command in commands] == [sys.executable, inside, inside]
    assert "--require-hashes" in commands[1]
    assert commands[2][-2:] == ["--editable", str(ROOT)]
    environment.prepare(sys.executable)
    assert len(commands) == 3
    pins.write_text("falcon==4.4.1\n")
    environment.prepare(sys.executable)
    assert len(commands) == 6


def test_a_command_that_fails_is_shown() -> None:
    """The error holds the command and the end of what it said."""
    with pytest.raises(PreparationError, match=r"print\(1/0\)` failed:(.|\n)*ZeroDivisionError"):
        environment.run([sys.executable, "-c", "print(1/0)"])


def test_the_machine_is_described_without_its_name() -> None:
    """Processor, cores and system are told; the name of the host is nobody's business."""
    line = environment.machine_line()
    assert " core" in line
    assert line.endswith(f"{platform.system()} {platform.machine()}")
    assert platform.node() not in line or not platform.node()
    assert "/" not in line


def test_the_extensions_are_those_that_batteries_replace() -> None:
    """They are measured in the versions whose API the batteries have."""
    text = environment.REQUIREMENTS.read_text()
    for name in environment.EXTENSIONS:
        assert f"\n{name}=={VERSIONS[name]} " in text
    assert f"\nflask-sqlalchemy=={VERSIONS['flask-sqlalchemy']} " in text
    # Migrations are no part of a request.
    assert {*environment.EXTENSIONS, "flask-sqlalchemy", "flask-migrate"} == VERSIONS.keys() - {"flask"}


def test_the_pins_hold_what_is_measured() -> None:
    """Flask, Werkzeug, Falcon, Granian, all peers and extensions are pinned exactly, with hashes; no index is named."""
    text = environment.REQUIREMENTS.read_text()
    for pin in ("flask==3.1.3", "werkzeug==3.1.9", "falcon==", "granian==2.8.7", "jinja2==", "hatchling=="):
        assert pin in text
    for peer in (*environment.PEERS, *environment.EXTENSIONS):
        assert f"\n{peer}==" in text
    assert "--hash=sha256:" in text
    assert "://" not in text
