"""What the reloader watches: the project and what it imports, and nothing that was installed."""

from __future__ import annotations

import os
import sys
import sysconfig
import types
from pathlib import Path

import pytest
from werkzeug import _reloader

from quaff.servers import reloader
from quaff.servers.reloader import (
    StatLoop,
    is_child,
    is_watched,
    loop_name,
    project_roots,
    run_with_reloader,
    walk_watched,
)
from tests.servers.process import write


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a program in it, as the current folder and the only one that is imported from."""
    folder = Path(os.path.realpath(tmp_path)) / "project"
    write(folder, "app.py", "one = 1\n")
    write(folder, "package/views.py", "two = 2\n")
    write(folder, "package/page.html", "<p>")
    write(folder, ".venv/lib/installed.py", "")
    write(folder, "my-env/pyvenv.cfg", "")
    write(folder, "my-env/lib/installed.py", "")
    write(folder, "node_modules/tool.py", "")
    write(folder, "__pycache__/app.py", "")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", ["", sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")])
    monkeypatch.setattr(reloader, "_imported_folders", lambda: iter(()))
    return folder


def test_the_current_folder_is_a_root(project: Path) -> None:
    """The empty entry of `sys.path` stands for the current folder; Python's own folders are none."""
    assert project_roots() == [str(project)]


def test_folders_inside_a_root_are_not_roots(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is watched once."""
    monkeypatch.setattr(sys, "path", ["", str(project / "package")])
    assert project_roots() == [str(project)]


def test_a_folder_beside_with_the_same_beginning_is_a_root(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`project-two` is not inside `project`."""
    beside = project.with_name("project-two")
    beside.mkdir()
    monkeypatch.setattr(sys, "path", ["", str(beside)])
    assert project_roots() == [str(project), str(beside)]


def test_imported_folders_are_roots(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was imported from elsewhere, an editable install for example, is watched; installed packages are not."""
    monkeypatch.undo()
    monkeypatch.chdir(project)
    elsewhere = write(Path(os.path.realpath(tmp_path)) / "elsewhere", "library.py", "")
    module = types.ModuleType("library")
    module.__file__ = str(elsewhere)
    monkeypatch.setitem(sys.modules, "library", module)
    roots = project_roots()
    assert str(elsewhere.parent) in roots
    assert not any("site-packages" in root for root in roots)


def test_extra_files_are_watched_where_they_are(project: Path, tmp_path: Path) -> None:
    """An extra file outside of the project adds its folder."""
    extra = write(Path(os.path.realpath(tmp_path)) / "config", "settings.toml", "")
    assert project_roots([str(extra)]) == sorted([str(project), str(extra.parent)])


@pytest.mark.parametrize("too_much", [os.sep, str(Path.home())])
def test_the_whole_disk_is_never_watched(project: Path, monkeypatch: pytest.MonkeyPatch, too_much: str) -> None:
    """A program that is started in the root or home folder does not watch everything below."""
    monkeypatch.setattr(sys, "path", [too_much, ""])
    assert project_roots() == [str(project)]


def test_a_project_below_the_prefix_of_python_is_watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a container the app may live in `/usr/local/app` beside a Python in `/usr/local`."""
    prefix = Path(os.path.realpath(tmp_path))
    project = prefix / "app"
    project.mkdir()
    monkeypatch.setattr(reloader, "_INSTALLED", (str(prefix) + os.sep,))
    monkeypatch.setattr(reloader, "_imported_folders", lambda: iter(()))
    monkeypatch.setattr(sys, "path", ["", str(prefix / "lib")])
    monkeypatch.chdir(project)
    (prefix / "lib").mkdir()
    assert project_roots() == [str(project)]


@pytest.mark.parametrize(
    "path,watched",
    [
        ("/p/app.py", True),
        ("/p/page.html", False),
        ("/p/app.pyc", False),
        ("/p/settings.toml", True),
        ("/p/data/rows.csv", True),
        ("/p/database/rows.csv", False),
        ("/p/skip_me.py", False),
    ],
)
def test_source_and_extra_files_count(path: str, watched: bool) -> None:
    """Python source and extra files or folders restart the program, unless a pattern takes them out."""
    assert is_watched(path, {"/p/settings.toml", "/p/data"}, {"*/skip_*"}) is watched


def test_environments_and_caches_are_skipped(project: Path) -> None:
    """Nothing is looked for in virtual environments, caches and the folders of other tools."""
    found = set(walk_watched([str(project)], set(), set()))
    assert found == {str(project / "app.py"), str(project / "package" / "views.py")}


def touch(path: Path, seconds: float) -> None:
    """Move the time of *path* by some seconds, as editing it later would."""
    stamp = path.stat().st_mtime + seconds
    os.utime(path, (stamp, stamp))


def test_the_stat_loop_sees_a_change(project: Path) -> None:
    """A file with another time than before has changed, once; also when the time went backwards, as with git."""
    with StatLoop() as loop:
        assert isinstance(loop, StatLoop)
        assert loop.changed() is None
        touch(project / "app.py", 5)
        assert loop.changed() == str(project / "app.py")
        assert loop.changed() is None
        touch(project / "package" / "views.py", -5)
        assert loop.changed() == str(project / "package" / "views.py")


def test_the_stat_loop_ignores_new_and_removed_files(project: Path) -> None:
    """A new file is not imported by anybody yet; a removed one is noticed when its importer changes."""
    with StatLoop() as loop:
        assert isinstance(loop, StatLoop)
        new = write(project, "new.py", "")
        (project / "package" / "views.py").unlink()
        assert loop.changed() is None
        touch(new, 5)
        assert loop.changed() == str(new)


def test_a_change_ends_the_process_with_code_3(project: Path) -> None:
    """Exit code 3 is how Werkzeug's parent process knows that it should start the child again."""
    with StatLoop() as loop:
        touch(project / "app.py", 5)
        with pytest.raises(SystemExit) as caught:
            loop.run_step()
    assert caught.value.code == 3


@pytest.mark.parametrize(
    "installed,reloader_type,name",
    [
        (True, "auto", "quaff-watchfiles"),
        (True, "watchfiles", "quaff-watchfiles"),
        (True, "stat", "quaff-stat"),
        (True, "watchdog", "watchdog"),
        (False, "auto", "quaff-stat"),
        (False, "watchfiles", "quaff-stat"),
        (False, "stat", "quaff-stat"),
    ],
)
def test_watchfiles_is_preferred(
    monkeypatch: pytest.MonkeyPatch, installed: bool, reloader_type: str, name: str
) -> None:
    """The operating system's notices are used where the package for them is there; other names are Werkzeug's."""
    monkeypatch.setattr(reloader.importlib.util, "find_spec", lambda module: object() if installed else None)
    assert loop_name(reloader_type) == name
    assert name in {*_reloader.reloader_loops, "watchdog"}


def test_werkzeugs_loops_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registering Quaff's loops takes none of Werkzeug's away."""
    loop_name()
    assert _reloader.reloader_loops["stat"] is _reloader.StatReloaderLoop
    assert _reloader.reloader_loops["quaff-stat"] is StatLoop


def test_werkzeugs_function_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extensions replace `werkzeug._reloader.run_with_reloader`; theirs is called."""
    calls = []
    monkeypatch.setattr(_reloader, "run_with_reloader", lambda *args, **options: calls.append((args, options)))

    def start() -> None:
        raise AssertionError

    run_with_reloader(start, "stat", extra_files=["a"], interval=2)
    assert calls == [((start,), {"reloader_type": "quaff-stat", "extra_files": ["a"], "interval": 2})]


@pytest.mark.parametrize("value,expected", [("true", True), ("", False), (None, False)])
def test_the_child_knows_itself(monkeypatch: pytest.MonkeyPatch, value: str | None, expected: bool) -> None:
    """Werkzeug marks the child in its environment."""
    if value is None:
        monkeypatch.delenv("WERKZEUG_RUN_MAIN", raising=False)
    else:
        monkeypatch.setenv("WERKZEUG_RUN_MAIN", value)
    assert is_child() is expected
    assert is_child() is __import__("werkzeug.serving").serving.is_running_from_reloader()
