"""Refuses a commit that changes `src/` without a change fragment.

    python changes/check.py [BASE]

BASE is the commit to compare with, by default the parent of the last commit; the whole history counts when it does not
reach that far back. `[no change note]` in the message of one of the commits excuses them.
"""

from __future__ import annotations

import subprocess
import sys

EXCUSE = "[no change note]"


def judge_change(files: list[str], messages: str) -> str | None:
    """Return why a change of these files is refused, or None."""
    if not any(name.startswith("src/") for name in files):
        return None
    if (
        any(name.startswith("changes/") and name.count(".") == 2 and name.endswith(".md") for name in files)
        or "CHANGES.md" in files
    ):
        return None
    if EXCUSE in messages:
        return None
    return f"src/ changed without a fragment in changes/ (see changes/README.md), nor {EXCUSE!r} in a commit message"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def main(arguments: list[str]) -> int:
    """Judge the commits since BASE and return the exit code."""
    base = arguments[0] if arguments else "HEAD~1"
    known = bool(_git("rev-parse", "--verify", "--quiet", base))
    files = _git("diff", "--name-only", f"{base}..HEAD") if known else _git("ls-tree", "-r", "--name-only", "HEAD")
    messages = _git("log", "--format=%B", f"{base}..HEAD" if known else "HEAD")
    refusal = judge_change(files.splitlines(), messages)
    sys.stdout.write(f"changes: {refusal or 'ok'}\n")
    return 1 if refusal else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
