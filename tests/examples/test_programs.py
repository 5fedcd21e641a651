"""The programs under `examples/` run as they stand, as `python app.py` and, written for Flask, as `python -m quaff`."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.examples.programs import EXAMPLES, Program, copied, started

NAMES = ("hello", "hooks", "middleware", "proxyfix")
COMMANDS = {"quaff": ("app.py",), "flask": ("-m", "quaff", "flask_app.py")}
either_import = pytest.mark.parametrize("written_for", COMMANDS)


def _run(name: str, written_for: str, folder: Path, port: int) -> AbstractContextManager[Program]:
    command = COMMANDS[written_for]
    copied(name, command[-1], folder, port)
    return started(folder, *command, port=port)


def _assert_stops(program: Program) -> None:
    assert program.interrupt() in (0, 130)
    assert "Traceback" not in program.output()


@either_import
def test_hello(written_for: str, tmp_path: Path, free_port: int) -> None:
    """The smallest program says where it runs, answers there, and stops at once on Ctrl-C."""
    with _run("hello", written_for, tmp_path, free_port) as program:
        assert re.search(rf"Running on http://(localhost|127\.0\.0\.1):{free_port}", program.output())
        answer = program.get("/")
        assert (answer.status, answer.text) == (200, "Hello, World!")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert program.get("/nowhere").status == 404
        assert program.get("/", host="localhost").text == "Hello, World!"
        _assert_stops(program)


@either_import
def test_hello_as_it_stands(written_for: str) -> None:
    """Started from its own folder, unchanged, the program answers on port 5001."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 5001))
        except OSError:
            pytest.skip("port 5001 is in use")
    folder = EXAMPLES / "hello"
    try:
        with started(folder, *COMMANDS[written_for], port=5001) as program:
            assert program.get("/").text == "Hello, World!"
            _assert_stops(program)
    finally:
        (folder / "output.txt").unlink()


@either_import
def test_hooks(written_for: str, tmp_path: Path, free_port: int) -> None:
    """All hooks run: before logs the headers, first runs once, after sets its header, teardown takes the error."""
    with _run("hooks", written_for, tmp_path, free_port) as program:
        answer = program.get("/", {"X-Seen": "by the hook"})
        assert (answer.status, answer.text) == (200, "Hello, World!")
        assert answer.headers["X-Frame-Options"] == "DENY"
        program.wait_for("by the hook")
        failed = program.get("/fail")
        assert failed.status == 500
        assert "ValueError" not in failed.text
        assert failed.headers["X-Frame-Options"] == "DENY"
        program.wait_for("the request failed: ValueError('on purpose')")
        program.get("/")
        output = program.output()
        assert output.count("first request\n") == 1
        assert output.count("Headers: ") == 3
        assert output.index("first request\n") < output.index("Headers: ")
        assert "before_first_request" in output, "the deprecation warning names what it is about"
        assert program.interrupt() in (0, 130)


@either_import
def test_proxyfix(written_for: str, tmp_path: Path, free_port: int) -> None:
    """With ProxyFix around `wsgi_app` the forwarded address and scheme count, and without the headers the real ones."""
    with _run("proxyfix", written_for, tmp_path, free_port) as program:
        forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
        assert program.get("/", forwarded).text == "192.0.2.7 over https"
        assert program.get("/").text == "127.0.0.1 over http"
        _assert_stops(program)


@either_import
def test_middleware(written_for: str, tmp_path: Path, free_port: int) -> None:
    """A middleware class around `wsgi_app` sees each request and passes it on."""
    with _run("middleware", written_for, tmp_path, free_port) as program:
        assert program.get("/").text == "Hello, World!"
        assert program.get("/other").status == 404
        program.wait_for("request: GET /\n")
        program.wait_for("request: GET /other\n")
        _assert_stops(program)


@pytest.mark.parametrize("name", NAMES)
def test_both_versions_are_one_program(name: str) -> None:
    """`app.py` and `flask_app.py` differ in the name of the package that they import, and in nothing else."""
    ours, theirs = (
        sorted(filter(None, (EXAMPLES / name / file).read_text(encoding="utf-8").splitlines()))
        for file in ("app.py", "flask_app.py")
    )
    assert sorted(line.replace("from quaff import", "from flask import") for line in ours) == theirs


def test_every_example_is_run() -> None:
    """Each folder of `examples/` is one of those that these tests start."""
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()) == sorted(NAMES)


def test_flask_programs_need_the_alias(tmp_path: Path) -> None:
    """What answers for `import flask` in a program started by `python -m quaff` is Quaff, whatever is installed."""
    (tmp_path / "which.py").write_text("import flask, sys\nprint(flask.Flask.__module__, sys.argv)\n")
    done = subprocess.run(
        [sys.executable, "-m", "quaff", "which.py", "a"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "quaff.app ['which.py', 'a']"
