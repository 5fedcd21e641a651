"""The development server, as real processes: quick to start, immediate to stop, nothing run twice."""

from __future__ import annotations

import http.client
import inspect
import json
import re
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import werkzeug.serving

from quaff.servers import development, run_development
from quaff.servers.development import (
    OWN_OPTIONS,
    WERKZEUG_OPTIONS,
    check_options,
    debugged,
    development_settings,
)
from quaff.servers.settings import is_loopback
from tests.servers import certificates
from tests.servers.developed import SCRIPT, serving, start
from tests.servers.process import PATIENCE, Answer, ServerProcess, ask, in_background, write

# Starting -------------------------------------------------------------------------------------------------------------


def test_it_says_where_it_runs_and_answers_there(tmp_path: Path) -> None:
    """The banner has Flask's lines, names the free port that was picked, and requests there are answered."""
    with serving(tmp_path) as server:
        assert server.get().text == "Hello, World!"
        assert server.port > 0
        for line in (
            r"^ \* Serving Quaff app 'app'$",
            r"^ \* Debug mode: off$",
            rf"^ \* Running on http://127\.0\.0\.1:{server.port}/$",
            r"^Press CTRL\+C to quit$",
        ):
            server.wait_for(line)


def test_the_very_object_of_the_script_is_served(tmp_path: Path) -> None:
    """The script is not imported a second time: the app that answers is the one in `__main__`."""
    with serving(tmp_path) as server:
        assert json.loads(server.get("/who").body) == {"main": True, "name": "__main__"}
        assert server.output.count("the script runs") == 1


def test_it_is_one_process(tmp_path: Path) -> None:
    """Without the reloader there are no child processes to leave behind."""
    with serving(tmp_path) as server:
        server.get()
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
        if not children.exists():
            pytest.skip("this system does not list the children of a process")
        assert children.read_text().split() == []


def test_requests_run_at_the_same_time(tmp_path: Path) -> None:
    """Two requests that wait for each other are both answered."""
    with serving(tmp_path) as server:
        with in_background(lambda: server.get("/meet")) as other:
            assert server.get("/meet").text == "met"
        answer = other.get_nowait()
        assert isinstance(answer, Answer)
        assert answer.text == "met"


def test_the_process_environment_stays_private(tmp_path: Path) -> None:
    """Passwords in environment variables are not in the environ of requests."""
    with serving(tmp_path, environment={"DATABASE_PASSWORD": "hunter2"}) as server:
        environ = server.get("/environ").text
    assert "hunter2" not in environ
    assert "REQUEST_METHOD" in environ


def test_requests_are_logged_as_flask_does(tmp_path: Path) -> None:
    """There is a line for each request, unless it is switched off."""
    with serving(tmp_path) as server:
        server.get("/?a=1")
        server.wait_for(r'^127\.0\.0\.1 - - \[.*\] "GET /\?a=1 HTTP/1\.1" 200 -$')
    with serving(tmp_path, access_log=False) as server:
        server.get("/?a=1")
        server.stop()
        assert "GET /" not in server.output


def test_the_recipe_for_silence_works(tmp_path: Path) -> None:
    """`logging.getLogger("werkzeug").setLevel(ERROR)` silences banner and lines, as with Flask."""
    quiet = SCRIPT.replace("app = Quaff", "import logging; logging.getLogger('werkzeug').setLevel(40)\napp = Quaff")
    quiet = quiet.replace("port=0", "port=int(sys.argv[2])")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    write(tmp_path, "app.py", quiet)
    with ServerProcess(["app.py", "{}", str(port)], tmp_path, port=port) as server:
        assert server.get_when(lambda answer: answer.status == 200).text == "Hello, World!"
        server.stop()
        assert "Running on" not in server.output
        assert "GET /" not in server.output


def test_a_host_name_can_be_given(tmp_path: Path) -> None:
    """The banner shows the host as it was given."""
    with serving(tmp_path, host="localhost") as server:
        assert f" * Running on http://localhost:{server.port}/" in server.output
        assert server.get().status == 200


def test_the_answer_is_the_same_as_the_test_clients(tmp_path: Path) -> None:
    """An unhandled error without debug mode is a 500 that tells the client nothing, and a traceback in the log."""
    with serving(tmp_path) as server:
        answer = server.get("/error")
        assert answer.status == 500
        for secret in ("detail", "s3cret", "Traceback", "app.py"):
            assert secret not in answer.text
        server.wait_for("ValueError: a detail of the error")


# Stopping -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [True, False], ids=["terminal", "process"])
def test_ctrl_c_stops_it_cleanly(tmp_path: Path, group: bool) -> None:
    """Ctrl-C ends the server without a traceback, `app.run` returns, and the exit code is 0 as with Flask."""
    with serving(tmp_path) as server:
        server.get()
        assert server.stop(signal.SIGINT, group=group) == 0
        assert "after run" in server.output
        assert "Traceback" not in server.output


def test_sigterm_stops_it_cleanly(tmp_path: Path) -> None:
    """SIGTERM, which containers send, ends the process in the same order, with code 0."""
    with serving(tmp_path) as server:
        server.get()
        assert server.stop(signal.SIGTERM) == 0
        assert "Traceback" not in server.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_running_request_does_not_delay_the_stop(tmp_path: Path, number: signal.Signals) -> None:
    """A request that would take half a minute is cut off, and nothing is printed about it."""
    with serving(tmp_path) as server:
        with in_background(lambda: server.get("/slow")) as result:
            server.wait_for("slow began")
            assert server.stop(number) == 0
        assert isinstance(result.get_nowait(), Exception)
        assert "panicked" not in server.output
        assert "Traceback" not in server.output


def test_a_busy_request_does_not_delay_the_stop(tmp_path: Path) -> None:
    """Also one that computes, and so holds the interpreter again and again while the process ends."""
    busy = SCRIPT.replace("time.sleep(30)", "end = time.time() + 30\n    while time.time() < end: sum(range(1000))")
    with serving(tmp_path, busy) as server:
        with in_background(lambda: server.get("/slow")):
            server.wait_for("slow began")
            assert server.stop(signal.SIGINT) == 0
        assert "after run" in server.output
        assert "panicked" not in server.output


def test_exit_functions_run(tmp_path: Path) -> None:
    """Functions registered with atexit run, also when a request had to be cut off."""
    code = "import atexit\natexit.register(print, 'goodbye', flush=True)\n" + SCRIPT
    with serving(tmp_path, code) as server:
        with in_background(lambda: server.get("/slow")):
            server.wait_for("slow began")
            assert server.stop(signal.SIGINT) == 0
        assert server.output.count("goodbye") == 1


def test_the_port_is_free_afterwards(tmp_path: Path) -> None:
    """Stopping and starting on the same port works at once."""
    with serving(tmp_path) as server:
        server.get()
        port = server.port
        server.stop()
    again = SCRIPT.replace("port=0", f"port={port}")
    with serving(tmp_path, again) as server:
        assert server.port == port
        assert server.get().status == 200


def test_a_program_keeps_its_own_sigterm_handler(tmp_path: Path) -> None:
    """A handler that the program set is left in place."""
    own = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('mine', flush=True))\n" + SCRIPT
    with serving(tmp_path, own) as server:
        server.send(signal.SIGTERM)
        server.wait_for("^mine$")
        assert server.get().status == 200


def test_ctrl_c_works_for_a_background_process(tmp_path: Path) -> None:
    """A shell without job control starts background processes with SIGINT ignored; the server can be stopped anyway."""
    ignoring = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + SCRIPT
    with serving(tmp_path, ignoring) as server:
        server.get()
        assert server.stop(signal.SIGINT) == 0


def test_it_can_run_in_a_thread(tmp_path: Path) -> None:
    """Outside the main thread no signal can be handled; the server runs all the same and ends with the process."""
    code = SCRIPT.replace(
        "app.run(port=0, **json.loads(sys.argv[1]))",
        "threading.Thread(target=app.run, kwargs={'port': 0}, daemon=True).start(); time.sleep(60)",
    )
    with serving(tmp_path, code) as server:
        assert server.get().status == 200
        server.stop(signal.SIGINT)
        assert "panicked" not in server.output


# What goes wrong ------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_one_clear_message(tmp_path: Path) -> None:
    """The message says which port, and how to choose another; there is no traceback, and the exit code is 1."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with start(tmp_path, SCRIPT.replace("port=0", f"port={port}")) as server:
            assert server.wait() == 1
    assert f"Port {port} is in use by another program." in server.output
    assert f"app.run(port={port + 1})" in server.output
    assert "Traceback" not in server.output
    assert "Running on" not in server.output


def test_a_host_that_is_not_here_is_one_clear_message(tmp_path: Path) -> None:
    """An address of another machine is named."""
    with start(tmp_path, host="192.0.2.1") as server:
        assert server.wait() == 1
    assert "192.0.2.1 is not an address of this machine" in server.output
    assert "Traceback" not in server.output


def test_unknown_options_are_refused_with_a_guess() -> None:
    """A misspelt option is an error that says what was meant, as for any function."""
    with pytest.raises(TypeError, match=r"run\(\) has no option 'use_reloded'\. Did you mean 'use_reloader'\?"):
        check_options({"use_reloded": True})
    with pytest.raises(TypeError, match=r"There are: access_log, exclude_patterns, "):
        check_options({"zzz": True})
    check_options(dict.fromkeys(OWN_OPTIONS | WERKZEUG_OPTIONS))


def test_the_options_are_werkzeugs() -> None:
    """Every option of Werkzeug's server is known, and none that it does not have."""
    names = set(inspect.signature(werkzeug.serving.run_simple).parameters)
    assert names - {"hostname", "port", "application"} == WERKZEUG_OPTIONS
    assert not names & OWN_OPTIONS


# Debug mode -----------------------------------------------------------------------------------------------------------


def test_debug_mode_shows_errors_and_reloads(tmp_path: Path) -> None:
    """With debug=True an error is shown in the browser, and a change of the code is served after a moment."""
    with serving(tmp_path, debug=True, reloader_type="stat") as server:
        page = server.get_when(lambda answer: answer.status == 500, "/error")
        assert "Werkzeug Debugger" in page.text
        assert "a detail of the error" in page.text
        write(tmp_path, "app.py", SCRIPT.replace("Hello, World!", "Hello again!"))
        assert server.get_when(lambda answer: answer.text == "Hello again!")
        assert server.output.count(" * Running on ") == 1
        assert "Debugger PIN" in server.output
        assert server.stop(signal.SIGINT) == 0
        assert "panicked" not in server.output


def test_watchfiles_reloads(tmp_path: Path) -> None:
    """With the package watchfiles a change is noticed through the operating system."""
    pytest.importorskip("watchfiles")
    with serving(tmp_path, use_reloader=True) as server:
        server.get_when(lambda answer: answer.status == 200)
        server.wait_for("Restarting with watchfiles")
        write(tmp_path, "app.py", SCRIPT.replace("Hello, World!", "Hello again!"))
        assert server.get_when(lambda answer: answer.text == "Hello again!")
        assert server.stop(signal.SIGTERM) == 0
        assert "Traceback" not in server.output


def test_a_reload_cuts_off_running_requests(tmp_path: Path) -> None:
    """A request that is still running does not keep the new code from being served."""
    with serving(tmp_path, use_reloader=True) as server:
        server.get_when(lambda answer: answer.status == 200)
        with in_background(lambda: server.get("/slow")):
            server.wait_for("slow began")
            write(tmp_path, "app.py", SCRIPT.replace("Hello, World!", "Hello again!"))
            assert server.get_when(lambda answer: answer.text == "Hello again!")
        assert server.stop(signal.SIGINT) == 0
        assert "panicked" not in server.output


def test_extra_files_reload(tmp_path: Path) -> None:
    """A configuration file that is named restarts the server when it changes."""
    settings = write(tmp_path, "settings.toml", "a = 1\n")
    options = {"use_reloader": True, "extra_files": [str(settings)]}
    with serving(tmp_path, **options) as server:
        server.get_when(lambda answer: answer.status == 200)
        write(tmp_path, "settings.toml", "a = 2\n")
        server.wait_for(rf"Detected change in '.*{settings.name}', reloading")
        server.wait_for("the script runs", times=3)


def test_debug_is_off_unless_asked_for(tmp_path: Path) -> None:
    """Neither the debugger nor the reloader runs by accident."""
    with serving(tmp_path) as server:
        assert "Debugger" not in server.get("/error").text
        assert server.get("/console").status == 404
        assert "Restarting" not in server.output


def ask_debugger(application: Any, host: str = "127.0.0.1") -> str:
    """Return the page of the debugger's console as *application* answers it."""
    from werkzeug.test import Client

    return Client(application).get("/console", headers={"Host": host}).text


def failing(environ: Any, start_response: Any) -> list[bytes]:
    """Be the app behind the debugger."""
    start_response("404 NOT FOUND", [("Content-Type", "text/plain")])
    return [b"no page"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "::", "192.168.1.9", "example.test"])
def test_the_console_needs_a_loopback_address(host: str, caplog: pytest.LogCaptureFixture) -> None:
    """W1.1/DBG: where other machines can connect, errors are shown and nothing can be executed."""
    application: Any = debugged(failing, host)
    assert application.evalex is is_loopback(host)
    assert ("Interactive Console" in ask_debugger(application)) is is_loopback(host)


def test_the_console_can_be_switched_off() -> None:
    """`use_evalex=False` leaves the tracebacks and takes the console."""
    application: Any = debugged(failing, "127.0.0.1", evalex=False)
    assert application.evalex is False
    assert ask_debugger(application) == "no page"


def test_the_debugger_trusts_only_the_host_it_serves() -> None:
    """A page of another name, through DNS rebinding, gets no console."""
    application: Any = debugged(failing, "127.0.0.1")
    assert "Interactive Console" not in ask_debugger(application, "evil.test")


# TLS and Werkzeug's server --------------------------------------------------------------------------------------------


def test_https_with_a_certificate(tmp_path: Path) -> None:
    """A pair of files in `ssl_context` serves HTTPS, on Granian."""
    authority = certificates.make(tmp_path, "authority")
    pair = certificates.make(tmp_path, "server", issuer=authority)
    code = SCRIPT.replace("**json.loads(sys.argv[1])", "ssl_context=tuple(json.loads(sys.argv[1])['pair'])")
    with serving(tmp_path, code, pair=[str(pair.certificate), str(pair.key)]) as server:
        assert f" * Running on https://127.0.0.1:{server.port}/" in server.output
        trust = ssl.create_default_context(cafile=str(authority.certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=trust, timeout=PATIENCE)
        answer = ask(connection)
        assert (answer.text, answer.headers["server"]) == ("Hello, World!", "granian")


def test_an_adhoc_certificate_is_werkzeugs(tmp_path: Path) -> None:
    """`ssl_context="adhoc"` works, through Werkzeug's server, and says so."""
    with serving(tmp_path, ssl_context="adhoc") as server:
        assert " * Server: Werkzeug, because of ssl_context='adhoc'" in server.output
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        answer = ask(http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=PATIENCE))
        assert answer.text == "Hello, World!"


@pytest.mark.parametrize(
    "options,reason", [({"threaded": False}, "threaded=False"), ({"passthrough_errors": True}, "")]
)
def test_options_of_werkzeugs_server_fall_back_to_it(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    """Such options work as with Flask, banner included."""
    with serving(tmp_path, **options) as server:
        assert server.get().headers["server"].startswith("Werkzeug/")
        assert f" * Server: Werkzeug, because of {reason}" in server.output
        assert " * Serving Quaff app 'app'" in server.output
        assert server.stop(signal.SIGINT) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no unix sockets there")
def test_a_unix_socket_is_werkzeugs(tmp_path: Path) -> None:
    """`host="unix://..."` works as with Flask."""
    from tests.servers.process import UnixConnection

    path = tmp_path / "app.sock"
    with start(tmp_path, host=f"unix://{path}") as server:
        server.wait_for("Press CTRL")
        assert ask(UnixConnection(path)).text == "Hello, World!"


# Settings and replacements --------------------------------------------------------------------------------------------


def test_settings_of_the_development_server() -> None:
    """One worker, without TLS, with as many threads as were asked for."""
    settings = development_settings("127.0.0.1", 5000, {"threads": 3})
    assert (settings.workers, settings.threads, settings.uses_tls) == (1, 3, False)
    assert development_settings("127.0.0.1", 5000, {}).threads >= 8
    assert development_settings("127.0.0.1", 5000, {"interface": "rsgi"}).interface == "rsgi"


def test_a_replaced_run_simple_is_called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """COMPAT: what a test puts in the place of `run_simple` gets Werkzeug's arguments, and no server starts."""
    calls = []
    monkeypatch.setattr(werkzeug.serving, "run_simple", lambda *args, **options: calls.append((args, options)))
    run_development(failing, "localhost", 8000, use_reloader=False, threaded=True, access_log=True, interface="wsgi")
    assert calls == [(("localhost", 8000, failing), {"use_reloader": False, "threaded": True})]


@pytest.mark.parametrize("banner", [True, False])
def test_the_banner_can_be_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], banner: bool
) -> None:
    """The command line has printed it already."""
    from quaff import Quaff

    monkeypatch.delenv("WERKZEUG_RUN_MAIN", raising=False)
    monkeypatch.setattr(werkzeug.serving, "run_simple", lambda *args, **options: None)
    run_development(Quaff("shop"), "127.0.0.1", 5000, banner=banner)
    assert bool(re.search("Serving Quaff app 'shop'", capsys.readouterr().out)) is banner


def test_signal_handlers_are_given_back() -> None:
    """After a run the handlers of the process are those that it had."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with development._stop_signals():
        assert signal.getsignal(signal.SIGTERM) is not before[1] or before[1] is not signal.SIG_DFL
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
