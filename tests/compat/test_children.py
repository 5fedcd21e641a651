"""Child processes of a program that runs under the alias run under it, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from quaff.compat import install_as_flask, uninstall_flask_alias

from .conftest import Run

PROGRAM = """
import multiprocessing, os, sys
import flask

def work(queue):
    import flask, quaff
    queue.put((flask.Flask is quaff.Quaff, os.getpid() != {pid_of_parent}, __name__))

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    queue = context.Queue()
    child = context.Process(target=work, args=(queue,))
    child.start()
    print(*queue.get(timeout=30))
    child.join()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_a_child_has_the_alias(run_python: Run, tmp_path: Path, method: str) -> None:
    """A child that starts from nothing imports Quaff as `flask`, in the main script that it runs again as well."""
    (tmp_path / "program.py").write_text(PROGRAM.format(method=method, pid_of_parent=0), encoding="utf-8")
    name = "__main__" if method == "fork" else "__mp_main__"
    assert run_python("-m", "quaff", "program.py").stdout.split() == ["True", "True", name]


def test_no_trace_after_the_alias(no_alias: None) -> None:
    """Taking the alias away takes it out of what children receive."""
    from multiprocessing import spawn

    original = spawn.get_preparation_data
    install_as_flask()
    assert "quaff flask alias" in spawn.get_preparation_data("child")
    uninstall_flask_alias()
    assert spawn.get_preparation_data is original
