"""The list of calls: exact, in order, and of the request alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import profile
from benchmarks.contestants import ROOT, clean_environment


def outer(items: list[int]) -> int:
    """Call a Python function and a built-in one."""
    return inner(items) + len(items)


def inner(items: list[int]) -> int:
    """Call a built-in."""
    return sum(items)


def test_calls_are_listed_in_order_with_their_depth() -> None:
    """Every Python call once, where it is made."""
    calls = profile.record_calls(outer, [1, 2])
    assert [(call.depth, call.function) for call in calls] == [(0, "outer"), (1, "inner")]
    assert calls[0].place.endswith(f"test_profile.py:{outer.__code__.co_firstlineno}")


def test_calls_into_c_are_listed_on_demand() -> None:
    """Built-ins have a depth and no place, and the profiler's own call is not among them."""
    calls = profile.record_calls(outer, [1, 2], builtins=True)
    assert [(call.depth, call.function, bool(call.place)) for call in calls] == [
        (0, "outer", True),
        (1, "inner", True),
        (2, "sum", False),
        (1, "len", False),
    ]


def test_an_exception_ends_the_recording() -> None:
    """The profiler is off afterwards, and the exception is the function's own."""
    with pytest.raises(ZeroDivisionError):
        profile.record_calls(lambda: 1 // 0)
    assert sys.getprofile() is None


@pytest.mark.parametrize("scenario", ["hello", "user", "session", "url_for"])
def test_a_request_is_listed_from_the_app_on(scenario: str) -> None:
    """The first call is the app itself, nothing of the harness is counted, and the view is among the calls."""
    calls = profile.calls_of("quaff", scenario)
    assert calls[0].depth == 0
    assert not [call for call in calls if "worker.py" in call.place or "profile.py" in call.place]
    assert [call for call in calls if "flask_apps.py" in call.place]


def test_the_count_is_the_same_each_time() -> None:
    """The list is a property of the code, not of the moment."""
    assert profile.calls_of("quaff", "user") == profile.calls_of("quaff", "user")


def test_the_list_ends_with_the_count(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints one call a line, indented, without the folders of this machine, and then the number."""
    assert profile.main(["user", "--builtins"]) == 0
    *lines, blank, last = capsys.readouterr().out.splitlines()
    assert blank == ""
    assert last.endswith(" into C")
    assert int(last.split()[0]) + int(last.split(", ")[1].split()[0]) == len(lines)
    assert str(ROOT) not in "".join(lines)


def test_an_unknown_scenario_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped name ends with the list of names, not with a traceback."""
    with pytest.raises(SystemExit):
        profile.main(["helo"])
    assert "there is no scenario 'helo'; there are: hello" in capsys.readouterr().err


def test_places_are_shortened() -> None:
    """A place starts at its package, or with its file."""
    assert profile.shorten("/opt/lib/python3.13/site-packages/flask/app.py:12") == "flask/app.py:12"
    assert profile.shorten("/home/me/project/src/quaff/app.py:7") == "quaff/app.py:7"
    assert profile.shorten("/usr/lib/python3.13/json/encoder.py:3") == "encoder.py:3"
    assert profile.shorten("<generated>:1") == "<generated>:1"


def test_the_script_does_not_hide_the_standard_library() -> None:
    """Started as a file, `import profile` elsewhere still finds the standard library's module."""
    script = str(ROOT / "benchmarks" / "profile.py")
    code = f"import runpy, sys; sys.argv = [{script!r}, 'hello']; sys.path.insert(0, {script.rpartition('/')[0]!r})\n"
    code += f"try: runpy.run_path({script!r}, run_name='__main__')\nexcept SystemExit: pass\n"
    code += "import cProfile; print(cProfile._pyprofile.Profile.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=clean_environment(), timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Profile"
