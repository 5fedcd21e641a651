"""`changes/check.py` refuses what has no change note, and nothing else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.source import ROOT

_spec = importlib.util.spec_from_file_location("changes_check", ROOT / "changes" / "check.py")
assert _spec is not None
assert _spec.loader is not None
check = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(check)


@pytest.mark.parametrize(
    "files, message, refused",
    [
        (["src/quaff/app.py"], "faster", True),
        (["src/quaff/app.py", "changes/README.md"], "faster", True),
        (["src/quaff/app.py", "changes/check.py"], "faster", True),
        (["src/quaff/app.py", "changes/faster-hello.speed.md"], "faster", False),
        (["src/quaff/app.py", "CHANGES.md"], "release", False),
        (["src/quaff/app.py"], "a comment [no change note]", False),
        (["tests/test_app.py", "README.md"], "words", False),
        ([], "", False),
    ],
)
def test_judge_change(files: list[str], message: str, refused: bool) -> None:
    """A change of the source needs a fragment, a release or an excuse; other changes need nothing."""
    assert (check.judge_change(files, message) is not None) is refused


def _commit(folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    git = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=n@example.com"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", name], check=True)


def _run_check(folder: Path, *arguments: str) -> tuple[int, str]:
    script = str(ROOT / "changes" / "check.py")
    done = subprocess.run([sys.executable, script, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_in_a_repository(tmp_path: Path) -> None:
    """The commits since the base are judged together, and the whole history when it does not reach so far back."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    _commit(tmp_path, "README.md")
    _commit(tmp_path, "src/a.py")
    code, said = _run_check(tmp_path)
    assert code == 1
    assert "src/ changed without a fragment" in said
    _commit(tmp_path, "changes/a.fix.md")
    assert _run_check(tmp_path, "HEAD~2") == (0, "changes: ok\n")
    assert _run_check(tmp_path, "HEAD~20") == (0, "changes: ok\n")
