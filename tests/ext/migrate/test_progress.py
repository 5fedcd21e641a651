"""A line for each revision with its time, and signs of life in long ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from quaff.ext.migrate.progress import Progress, format_duration, shorten
from tests.ext.migrate.histories import add_revision
from tests.ext.migrate.projects import Project


def ticks(*times: float) -> Iterator[float]:
    """Give the times of a clock, then whole seconds from the last."""
    yield from times
    yield from count(int(times[-1]))


@pytest.mark.parametrize(
    "seconds,text",
    [
        (0, "0 ms"),
        (0.0124, "12 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3780, "1 h 3 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """A time is told as people say it."""
    assert format_duration(seconds) == text


def test_long_statements() -> None:
    """A statement is told on one line, and cut off when it is long."""
    assert shorten("SELECT\n\t1") == "SELECT 1"
    assert shorten("x" * 30, 10) == "x" * 9 + "…"


def test_lines() -> None:
    """Each revision has its line, and several have one for all."""
    told: list[str] = []
    clock = ticks(0, 0, 2, 2, 5, 5)
    with Progress(told.append, heartbeat=0, clock=lambda: next(clock)) as progress:
        progress.begin("upgrade a first", 1, 2)
        progress.finish()
        progress.begin("upgrade b second", 2, 2)
        progress.finish()
    assert told == [
        "[1/2] upgrade a first: done in 2.0 s",
        "[2/2] upgrade b second: done in 3.0 s",
        "2 revisions in 5.0 s",
    ]


def test_failure() -> None:
    """A revision that fails has its line too, and no sum follows."""
    told: list[str] = []
    clock = ticks(0, 0, 2)
    with pytest.raises(ZeroDivisionError), Progress(told.append, heartbeat=0, clock=lambda: next(clock)) as progress:
        progress.begin("upgrade a first", 1, 1)
        progress.fail()
        raise ZeroDivisionError
    assert told == ["[1/1] upgrade a first: failed after 2.0 s"]


def test_signs_of_life() -> None:
    """A revision that takes long is told again and again, with the statement that runs; when it is over, no more."""
    told: list[str] = []
    enough = threading.Event()
    line = "[1/1] upgrade a first: running for 0 ms, at: ALTER TABLE t ADD n INTEGER"

    def tell(each: str) -> None:
        told.append(each)
        if told.count(line) == 2:
            enough.set()

    with Progress(tell, heartbeat=0.001, clock=lambda: 0) as progress:
        progress.begin("upgrade a first", 1, 1)
        progress.executing("ALTER TABLE t\n ADD n INTEGER")
        assert enough.wait(60)
    for thread in threading.enumerate():
        if thread.name == "quaff-migrate-progress":
            thread.join(60)
            assert not thread.is_alive()


def test_quiet() -> None:
    """Quiet is quiet, and starts no thread."""
    before = threading.active_count()
    told: list[str] = []
    with Progress(told.append, quiet=True, heartbeat=0.001) as progress:
        progress.begin("upgrade a first", 1, 1)
        assert threading.active_count() == before
        progress.finish()
        progress.say("anything")
    assert told == []


def test_on_the_command_line(project: Project) -> None:
    """An upgrade tells the revisions; `--quiet` nothing, not even Alembic's lines; a short one has no sign of life."""
    project.run("init")
    add_revision(project, "one", None, "", message="first")
    add_revision(project, "two", "one", "", message="second")
    output = project.run("upgrade")
    assert "[1/2] upgrade one first: done in " in output
    assert "[2/2] upgrade two second: done in " in output
    assert "2 revisions in " in output
    assert "running for" not in output
    assert "[1/1] downgrade two second: done in " in project.run("downgrade")
    assert project.run("upgrade", "--quiet") == ""


def test_the_heartbeat_is_a_setting(project: Project) -> None:
    """`MIGRATE_HEARTBEAT` says after how many seconds a revision that runs is mentioned."""
    project.run("init")
    add_revision(project, "one", None, 'op.execute("SELECT 1")\nselect.select([], [], [], 0.3)')
    project.app.config["MIGRATE_HEARTBEAT"] = 0.01
    assert "[1/1] upgrade one The revision one: running for " in project.run("upgrade")
