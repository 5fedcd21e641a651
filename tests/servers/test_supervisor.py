"""The production server, as real processes: workers live, die, are replaced and reloaded; clients notice little."""

from __future__ import annotations

import http.client
import os
import re
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from quaff.servers.settings import Address
from tests.servers.process import (
    PATIENCE,
    Answer,
    ServerProcess,
    UnixConnection,
    alive,
    ask,
    in_background,
    write,
)
from tests.servers.supervised import RUN, SERVICE, serving, start, workers

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")


def wait_for_text(path: Path, text: str) -> None:
    """Wait until *text* is in the file *path*: a line is written just after the client has its answer."""
    end = time.monotonic() + PATIENCE
    while text not in path.read_text():
        assert time.monotonic() < end, f"{text!r} is not in {path.read_text()!r}"
        time.sleep(0.01)


def pid_of(answer: Answer) -> int:
    """Return which worker answered."""
    return int(answer.text.split()[1])


# Starting -------------------------------------------------------------------------------------------------------------


def test_all_workers_serve(tmp_path: Path) -> None:
    """The port is answered by each of the workers, and the app knows that there are several."""
    with serving(tmp_path, workers=3) as server:
        pids = set(workers(server).values())
        assert len(pids) == 3
        answers = [server.get_when(lambda answer, pid=pid: pid_of(answer) == pid) for pid in pids]  # type: ignore[misc]
        assert {answer.text.split()[2] for answer in answers} == {"True"}
        assert os.getpid() not in pids
        assert server.pid not in pids


def test_one_worker_is_alone(tmp_path: Path) -> None:
    """With a single worker the app is told that there are no others."""
    with serving(tmp_path, workers=1) as server:
        assert server.get().text.split()[2] == "False"


def test_where_it_serves_is_said_once_the_app_is_there(tmp_path: Path) -> None:
    """The line with the address comes after the first worker has imported the app."""
    with serving(tmp_path, threads=5) as server:
        assert f"Serving on http://127.0.0.1:{server.port} with 2 workers of 5 threads" in server.output
        assert server.output.index("Started worker 1") < server.output.index("Serving on")


ASYNC_SERVICE = """\
import asyncio, os
from quaff import Quaff

VERSION = "one"
app = Quaff(__name__)


@app.get("/")
async def index():
    return f"{VERSION} {os.getpid()} True"


@app.get("/slow")
async def slow():
    print("slow began", flush=True)
    await asyncio.sleep(1)
    return "finished"


@app.get("/endless")
async def endless():
    print("endless began", flush=True)
    await asyncio.sleep(3600)
"""


def test_the_interface_is_said_once(tmp_path: Path) -> None:
    """The first worker's line says over what the app is served, and why; the others say the same app's nothing."""
    with serving(tmp_path, ASYNC_SERVICE, workers=3) as server:
        assert server.get().status == 200
        lines = [line for line in server.output.splitlines() if "Started worker" in line]
        assert len(lines) == 3
        assert re.search(r"Started worker 1 \(pid \d+\) over RSGI: .*'index'", lines[0])
        assert server.output.count("over RSGI") == 1
    with serving(tmp_path, workers=2) as server:
        assert server.output.count(" over WSGI: a WSGI callable\n") == 1


def test_an_async_app_is_reloaded_and_stopped_in_order(tmp_path: Path) -> None:
    """Over RSGI too a reload serves new code, running requests finish, and the exit code is 0."""
    with serving(tmp_path, ASYNC_SERVICE, workers=1) as server:
        with in_background(lambda: server.get("/slow")) as result:
            server.wait_for("slow began")
            write(tmp_path, "service.py", ASYNC_SERVICE.replace('"one"', '"two"'))
            server.send(signal.SIGHUP)
            server.wait_for("Started worker 1", times=2)
            assert server.get_when(lambda answer: answer.text.startswith("two"))
            answer = result.get(timeout=PATIENCE)
        assert isinstance(answer, Answer)
        assert answer.text == "finished"
        assert server.stop(signal.SIGTERM, group=False) == 0
        assert "Traceback" not in server.output
        assert "Killing" not in server.output


def test_an_async_request_without_end_is_cancelled_in_time(tmp_path: Path) -> None:
    """A view that only waits is ended before the worker would be killed, so that the app can shut down."""
    with serving(tmp_path, ASYNC_SERVICE, workers=1, graceful_timeout=3) as server:
        with in_background(lambda: server.get("/endless")):
            server.wait_for("endless began")
            assert server.stop(signal.SIGTERM, group=False) == 0
        assert "Killing" not in server.output
        assert "Stopped worker 1" in server.output


def test_the_supervisor_does_not_import_the_app(tmp_path: Path) -> None:
    """The app is imported in the workers only: that is what makes reloading possible."""
    code = "import os\nprint('imported by', os.getpid(), flush=True)\n" + SERVICE
    with serving(tmp_path, code) as server:
        importers = {int(pid) for pid in re.findall(r"imported by (\d+)", server.output)}
        assert importers == set(workers(server).values())


def test_an_app_that_cannot_be_imported_ends_the_start(tmp_path: Path) -> None:
    """One worker tries, one error is printed, and the exit code is not 0."""
    with start(tmp_path, "raise RuntimeError('no database')\n") as server:
        assert server.wait() == 1
    assert server.output.count("RuntimeError: no database") == 1
    assert "Serving on" not in server.output


def test_the_exit_code_of_the_loader_is_passed_on(tmp_path: Path) -> None:
    """What loads the app may choose the exit code, and print the message itself."""
    with start(tmp_path, "import sys\nprint('no app', flush=True)\nsys.exit(2)\n") as server:
        assert server.wait() == 2
    assert server.output.strip() == "no app"


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    """A second server on the same port does not start, and names the port and a way out."""
    with serving(tmp_path) as server:
        with start(tmp_path / "second", bind=f"127.0.0.1:{server.port}") as second:
            assert second.wait() == 1
        assert f"refused: Port {server.port} is in use by another program." in second.output
        assert f"quaff serve --bind 127.0.0.1:{server.port + 1}" in second.output
        assert server.get().status == 200


def test_the_pid_file_names_the_supervisor(tmp_path: Path) -> None:
    """The file holds the process to signal, keeps a second server away, and is gone afterwards."""
    path = tmp_path / "app.pid"
    with serving(tmp_path, pid_file=str(path)) as server:
        assert int(path.read_text()) == server.pid
        with start(tmp_path / "second", pid_file=str(path)) as second:
            assert second.wait() == 1
        assert f"belongs to process {server.pid}, which runs" in second.output
        assert server.stop(signal.SIGTERM, group=False) == 0
    assert not path.exists()


# Stopping -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number,group",
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True), (signal.SIGINT, False)],
)
def test_it_stops_cleanly(tmp_path: Path, number: signal.Signals, group: bool) -> None:
    """SIGTERM and Ctrl-C end everything with code 0 and without a traceback; no worker stays behind."""
    with serving(tmp_path) as server:
        pids = workers(server).values()
        assert server.stop(number, group=group) == 0
        assert "Traceback" not in server.output
        assert not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_requests_finish(tmp_path: Path, number: signal.Signals) -> None:
    """A request that runs when the server is stopped is answered; new connections are refused at once."""
    with serving(tmp_path) as server:
        with in_background(lambda: server.get("/slow")) as result:
            server.wait_for("slow began")
            server.send(number, group=True)
            server.wait_for("Stopping")
            server.wait_for("Stopped worker")
            assert server.wait() == 0
        answer = result.get_nowait()
        assert isinstance(answer, Answer)
        assert answer.status == 200
        with pytest.raises(ConnectionError):
            server.get()


def test_a_stuck_request_is_killed_in_the_end(tmp_path: Path) -> None:
    """After the graceful time-out the worker is killed, and the server ends all the same."""
    with serving(tmp_path, graceful_timeout=0.5) as server:
        with in_background(lambda: server.get("/stuck")) as result:
            server.wait_for("stuck began")
            assert server.stop(signal.SIGTERM, group=False) == 0
        assert isinstance(result.get_nowait(), Exception)
        assert re.search(r"Killing worker \d \(pid \d+\): it did not stop in time", server.output)


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    """Who presses Ctrl-C twice does not want to wait for anybody."""
    with serving(tmp_path, graceful_timeout=60) as server:
        with in_background(lambda: server.get("/stuck")):
            server.wait_for("stuck began")
            server.send(signal.SIGINT, group=True)
            server.wait_for("Stopping")
            began = time.monotonic()
            assert server.stop(signal.SIGINT) == 0
            assert time.monotonic() - began < PATIENCE / 2


def test_it_can_be_stopped_while_the_app_is_imported(tmp_path: Path) -> None:
    """An import that takes long does not delay the stop."""
    with start(tmp_path, "import time\nprint('importing', flush=True)\ntime.sleep(60)\n") as server:
        server.wait_for("importing")
        assert server.stop(signal.SIGTERM, group=False) == 0


def test_exit_functions_of_the_app_run(tmp_path: Path) -> None:
    """Workers end as programs do: atexit functions run, and threads that are no daemons are waited for."""
    code = (
        "import atexit, threading, time\n"
        "atexit.register(lambda: print('goodbye', flush=True))\n"
        "main = threading.main_thread()\n"
        "def last_words():\n"
        "    while not stopped.is_set(): time.sleep(0.01)\n"
        "    print('thread done', flush=True)\n"
        "stopped = threading.Event()\n"
        "threading.Thread(target=last_words).start()\n"
        "import threading as t\n"
        "t._register_atexit(stopped.set)\n"
    ) + SERVICE
    with serving(tmp_path, code, workers=1) as server:
        assert server.stop(signal.SIGTERM, group=False) == 0
        assert server.output.count("goodbye") == 1
        assert server.output.count("thread done") == 1


def test_workers_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    """When the supervisor is killed outright, its workers notice, finish and free the port."""
    with serving(tmp_path) as server:
        pids = workers(server).values()
        server.send(signal.SIGKILL)
        end = time.monotonic() + PATIENCE
        while any(alive(pid) for pid in pids) and time.monotonic() < end:
            time.sleep(0.05)
        assert not any(alive(pid) for pid in pids)


# Dying ----------------------------------------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    """R-KILL: `kill -9` of a worker costs nobody else anything, and soon there are as many workers as before."""
    with serving(tmp_path) as server:
        before = workers(server)
        os.kill(before[1], signal.SIGKILL)
        answers = [server.get() for _ in range(20)]
        assert {answer.status for answer in answers} == {200}
        server.wait_for(rf"worker 1 \(pid {before[1]}\) was killed by signal 9\. A new one starts in 0\.5 seconds\.")
        server.wait_for(r"Started worker 1", times=2)
        assert workers(server)[1] != before[1]
        assert workers(server)[2] == before[2]
        assert server.get_when(lambda answer: pid_of(answer) == workers(server)[1])


def test_waiting_connections_survive_the_only_worker(tmp_path: Path) -> None:
    """The listening socket is the supervisor's: who connects while no worker lives waits, and is answered."""
    with serving(tmp_path, workers=1) as server:
        os.kill(workers(server)[1], signal.SIGKILL)
        server.wait_for("was killed by signal 9")
        assert server.get().status == 200


def test_a_worker_that_ends_itself_is_replaced(tmp_path: Path) -> None:
    """Also a worker whose app ends the process."""
    with serving(tmp_path, workers=1) as server:
        with pytest.raises((OSError, http.client.HTTPException)):
            server.get("/exit")
        server.wait_for("ended with code 7. A new one starts")
        assert server.get_when(lambda answer: answer.status == 200)


def test_dying_again_and_again_backs_off(tmp_path: Path) -> None:
    """A worker that dies young each time is replaced ever later, and the server never gives up."""
    with serving(tmp_path, workers=1) as server:
        for times in (1, 2, 3):
            os.kill(workers(server)[1], signal.SIGKILL)
            server.wait_for("was killed by signal 9", times=times)
            server.wait_for("Started worker 1", times=times + 1)
        delays = [float(delay) for delay in re.findall(r"starts in ([\d.]+) seconds", server.output)]
        assert delays == [0.5, 1.0, 2.0]
        assert server.get().status == 200


def test_it_stops_while_a_replacement_is_due(tmp_path: Path) -> None:
    """A stop during the back-off starts nobody any more."""
    with serving(tmp_path, workers=1) as server:
        os.kill(workers(server)[1], signal.SIGKILL)
        server.wait_for("was killed by signal 9")
        assert server.stop(signal.SIGTERM, group=False) == 0
        assert server.output.count("Started worker") == 1


# Reloading ------------------------------------------------------------------------------------------------------------


def test_a_reload_serves_new_code(tmp_path: Path) -> None:
    """R-HUP: after SIGHUP new workers with the new code have replaced all old ones."""
    with serving(tmp_path) as server:
        before = set(workers(server).values())
        write(tmp_path, "service.py", SERVICE.replace('"one"', '"two"'))
        server.send(signal.SIGHUP)
        server.wait_for("Stopped worker", times=2)
        assert {server.get().text.split()[0] for _ in range(10)} == {"two"}
        assert not before & set(workers(server).values())
        assert not any(alive(pid) for pid in before)


def test_a_reload_loses_no_request(tmp_path: Path) -> None:
    """R-HUP: with clients knocking all the time, every one of them is answered."""
    with serving(tmp_path) as server:
        failures: list[object] = []
        done = threading.Event()

        def knock() -> None:
            while not done.is_set():
                try:
                    if server.get().status != 200:
                        failures.append("status")
                except Exception as error:
                    failures.append(error)

        clients = [threading.Thread(target=knock) for _ in range(3)]
        for client in clients:
            client.start()
        for reload in (1, 2):
            server.send(signal.SIGHUP)
            server.wait_for("Stopped worker", times=2 * reload)
        done.set()
        for client in clients:
            client.join(PATIENCE)
        assert failures == []


def test_a_reload_lets_running_requests_finish(tmp_path: Path) -> None:
    """A request that an old worker runs is answered by it."""
    with serving(tmp_path, workers=1) as server:
        old = workers(server)[1]
        with in_background(lambda: server.get("/slow")) as result:
            server.wait_for("slow began")
            server.send(signal.SIGHUP)
            assert server.get_when(lambda answer: pid_of(answer) != old)
        answer = result.get_nowait()
        assert isinstance(answer, Answer)
        assert pid_of(answer) == old


def test_bad_code_never_replaces_good(tmp_path: Path) -> None:
    """R-HUP: code that cannot be imported is reported, and the old code goes on; the next reload can be good again."""
    with serving(tmp_path) as server:
        before = set(workers(server).values())
        write(tmp_path, "service.py", "def broken(:\n")
        server.send(signal.SIGHUP)
        server.wait_for(r"The reload was given up: the new worker 1 \(pid \d+\) did not start\.")
        assert "SyntaxError" in server.output
        assert {pid_of(server.get()) for _ in range(10)} <= before
        write(tmp_path, "service.py", SERVICE.replace('"one"', '"two"'))
        server.send(signal.SIGHUP)
        server.wait_for("Stopped worker", times=2)
        assert server.get().text.startswith("two")


def test_code_that_never_finishes_importing_is_given_up(tmp_path: Path) -> None:
    """New code that hangs while it is imported is killed after the boot time-out; the old code goes on."""
    with serving(tmp_path, boot_timeout=1) as server:
        write(tmp_path, "service.py", "import time\ntime.sleep(60)\n")
        server.send(signal.SIGHUP)
        server.wait_for(r"Killing worker 1 \(pid \d+\): it did not start in time")
        server.wait_for("The reload was given up")
        assert server.get().text.startswith("one")


def test_two_reloads_at_once_are_one_after_the_other(tmp_path: Path) -> None:
    """A second SIGHUP during a reload makes sure that the newest code is served everywhere in the end."""
    with serving(tmp_path) as server:
        write(tmp_path, "service.py", SERVICE.replace('"one"', '"two"'))
        server.send(signal.SIGHUP)
        server.wait_for("Reloading")
        write(tmp_path, "service.py", SERVICE.replace('"one"', '"three"'))
        server.send(signal.SIGHUP)
        server.wait_for("Reloading", times=2)
        server.get_when(lambda answer: answer.text.startswith("three"))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and {server.get().text.split()[0] for _ in range(10)} != {"three"}:
            time.sleep(0.1)
        assert {server.get().text.split()[0] for _ in range(10)} == {"three"}


def test_the_access_log_is_opened_anew(tmp_path: Path) -> None:
    """Requests are logged into the file, and after a rotation and a reload into the new one."""
    path = tmp_path / "access.log"
    with serving(tmp_path, access_log=str(path)) as server:
        server.get("/first?token=secret")
        wait_for_text(path, "/first")
        path.rename(tmp_path / "access.log.1")
        server.send(signal.SIGHUP)
        server.wait_for("Stopped worker", times=2)
        server.get("/second")
        server.stop(signal.SIGTERM, group=False)
    assert re.search(r'^127\.0\.0\.1 - - \[.*\] "GET /first HTTP/1\.1" 200 - ', (tmp_path / "access.log.1").read_text())
    assert "/second" in path.read_text()
    assert "secret" not in path.read_text() + (tmp_path / "access.log.1").read_text()


def test_there_is_no_access_log_by_default(tmp_path: Path) -> None:
    """Requests are not printed unless asked for."""
    with serving(tmp_path) as server:
        server.get("/quiet")
        server.stop(signal.SIGTERM, group=False)
        assert "/quiet" not in server.output


def test_the_access_log_can_be_the_output(tmp_path: Path) -> None:
    """A dash sends the lines to standard output."""
    with serving(tmp_path, access_log="-") as server:
        server.get("/seen")
        server.wait_for(r'"GET /seen HTTP/1\.1" 200 - \d+\.\dms$')


def test_an_access_log_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    """A folder that does not exist is noticed before anything is served."""
    with start(tmp_path, access_log=str(tmp_path / "missing" / "access.log")) as server:
        assert server.wait() == 1
    assert "FileNotFoundError" in server.output


# Sockets and processes -----------------------------------------------------------------------------------------------------


def test_a_unix_socket(tmp_path: Path) -> None:
    """A unix socket is served by all workers, has its permissions, and is removed in the end."""
    path = tmp_path / "app.sock"
    with serving(tmp_path, bind=f"unix:{path}", unix_permissions=0o600) as server:
        server.wait_for(f"Serving on unix:{path} with")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert ask(UnixConnection(path)).status == 200
        os.kill(workers(server)[1], signal.SIGKILL)
        server.wait_for("Started worker 1", times=2)
        assert ask(UnixConnection(path)).status == 200
        assert server.stop(signal.SIGTERM, group=False) == 0
    assert not path.exists()


def test_output_is_not_printed_twice(tmp_path: Path) -> None:
    """What the program had printed into its buffer before workers were forked appears once."""
    write(tmp_path, "service.py", SERVICE)
    write(tmp_path, "run.py", "print('before', end=' ')\n" + RUN)
    server = ServerProcess(["run.py", '{"bind": "127.0.0.1:0", "workers": 2}'], tmp_path, {"PYTHONUNBUFFERED": ""})
    with server:
        server.wait_for(r"Started worker \d+", times=2)
        server.stop(signal.SIGTERM, group=False)
        assert server.output.count("before") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_supervisor_has_no_threads(tmp_path: Path) -> None:
    """Forking a process with threads is unsafe; the supervisor has only its main thread."""
    with serving(tmp_path) as server:
        assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) == 1


def test_an_address_of_its_own_is_announced() -> None:
    """An address prints as it is bound, IPv6 in brackets."""
    assert str(Address("::1", 80)) == "[::1]:80"
