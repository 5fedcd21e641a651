"""A worker process from its fork to its end, without a supervisor around it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from quaff.servers.interface import Choice
from quaff.servers.process import HANDLED, READY, how_it_serves
from tests.servers.process import PATIENCE, clean_environment

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")

PARENT = """\
import os, signal, sys, time
from quaff.servers.process import HANDLED, become_worker
from quaff.servers.settings import Address, ServeSettings
from quaff.servers.sockets import listen

settings = ServeSettings(bind=Address("127.0.0.1", 0), workers=1, interface={interface!r})
listener = listen(settings.bind)
ready_read, ready_write = os.pipe()


def app(environ, start_response):
    start_response("200 OK", [])
    return [b"fine"]


def load():
{load}


signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
pid = os.fork()
if pid == 0:
    os.close(ready_read)
    become_worker(load, listener, settings, 1, ready_write)
signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
os.close(ready_write)
said = os.read(ready_read, 1000)
print("said", said, flush=True)
{then}
print("code", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def run(
    folder: Path,
    *,
    load: str = "return app",
    then: str = "os.kill(pid, signal.SIGTERM)",
    interface: str | None = None,
) -> str:
    """Run the program, and return what it and its worker printed."""
    code = PARENT.replace("{load}", textwrap.indent(load, "    ")).replace("{then}", then)
    code = code.replace("{interface!r}", repr(interface))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout


def test_a_worker_says_that_it_serves_and_stops_with_code_0(tmp_path: Path) -> None:
    """It writes to its pipe once it serves, and over which interface; SIGTERM ends it well."""
    output = run(tmp_path)
    assert f"said {READY + b' over WSGI: a WSGI callable'!r}" in output
    assert "code 0" in output


ASYNC_APP = """\
from quaff import Quaff
app = Quaff("tests.servers.process")
@app.get("/")
async def index():
    return "fine"
return app
"""


@pytest.mark.parametrize(
    "interface,said",
    [
        (None, "RSGI: "),
        ("rsgi", "RSGI: --interface"),
        ("wsgi", "WSGI: --interface"),
        ("http1", "HTTP1: --interface"),
    ],
)
def test_an_async_app_is_served_on_a_loop(tmp_path: Path, interface: str | None, said: str) -> None:
    """The worker looks at the app that it loaded, unless the settings decide; it stops as well as any other."""
    output = run(tmp_path, load=ASYNC_APP, interface=interface)
    assert f" over {said}" in output
    assert "code 0" in output
    assert "Traceback" not in output


def test_an_app_with_a_websocket_is_served_by_quaffs_own_server(tmp_path: Path) -> None:
    """That is what the worker says, and why; it stops as well as any other."""
    load = ASYNC_APP.replace("return app\n", "app.websocket('/ws')(index)\nreturn app\n")
    output = run(tmp_path, load=load)
    said = READY + b" over HTTP1: '/ws' is a WebSocket"
    assert f"said {said!r}" in output
    assert "code 0" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("interface", ["rsgi", "http1"])
def test_an_interface_that_the_app_does_not_speak_is_one_message(tmp_path: Path, interface: str) -> None:
    """A loop for a WSGI function is refused without a traceback, and nothing is served."""
    output = run(tmp_path, then="", interface=interface)
    assert "said b''" in output
    assert f"Error: interface={interface!r}: the app is of the type 'function'" in output
    assert "Traceback" not in output
    assert "code 1" in output


def test_the_first_worker_speaks_for_all() -> None:
    """All workers run the same app, so one line is enough; it is short enough to be read at once."""
    choice = Choice("rsgi", "the view 'chat' is async")
    assert how_it_serves(1, choice) == b" over RSGI: the view 'chat' is async"
    assert how_it_serves(2, choice) == b""
    assert len(how_it_serves(1, Choice("rsgi", "the view '" + "a" * 10_000 + "' is async"))) == 400


def test_a_worker_that_cannot_load_says_nothing(tmp_path: Path) -> None:
    """The pipe is closed without a word, the error is printed, and the code is 1."""
    output = run(tmp_path, load="raise RuntimeError('no database')", then="")
    assert "said b''" in output
    assert "RuntimeError: no database" in output
    assert "code 1" in output


@pytest.mark.parametrize(
    "exit_call,code", [("sys.exit(2)", 2), ("sys.exit('words')", 1), ("sys.exit()", 1), ("sys.exit(0)", 0)]
)
def test_a_loader_may_choose_the_exit_code(tmp_path: Path, exit_call: str, code: int) -> None:
    """A number is passed on; anything else is a failure."""
    output = run(tmp_path, load=exit_call, then="")
    assert f"code {code}" in output
    assert "Traceback" not in output


def test_ctrl_c_is_the_supervisors_affair(tmp_path: Path) -> None:
    """A worker ignores SIGINT and SIGHUP, which a terminal sends to every process."""
    then = (
        "os.kill(pid, signal.SIGINT); os.kill(pid, signal.SIGHUP); time.sleep(0.3)\n"
        "print('still', os.waitpid(pid, os.WNOHANG), flush=True)\n"
        "os.kill(pid, signal.SIGTERM)"
    )
    output = run(tmp_path, then=then)
    assert "still (0, 0)" in output
    assert "code 0" in output


def test_sigterm_during_the_import_ends_it_at_once(tmp_path: Path) -> None:
    """An import that takes long is not waited for."""
    load = "os.write(ready_write, b'loading'); time.sleep(60)"
    output = run(tmp_path, load=load)
    assert "said b'loading'" in output
    assert f"code {-signal.SIGTERM}" in output


def test_signals_during_the_fork_are_kept() -> None:
    """The signals that are blocked around a fork are those that a worker treats differently from its supervisor."""
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD} == set(HANDLED)


def test_the_pipe_is_closed_after_the_word() -> None:
    """A reader sees the word and then the end; it is never left waiting for more."""
    read, written = os.pipe()
    os.write(written, READY)
    os.close(written)
    assert select.select([read], [], [], 1)[0] == [read]
    assert os.read(read, 10) == READY
    assert os.read(read, 10) == b""
    os.close(read)
