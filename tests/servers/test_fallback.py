"""Which options leave the server to Werkzeug, and how a replaced `run_simple` is noticed."""

from __future__ import annotations

import ssl
import subprocess
import sys
from typing import Any

import pytest
import werkzeug.serving

from quaff.servers.errors import SettingsError
from quaff.servers.fallback import is_werkzeugs, needs_werkzeug, replaced_run_simple, run_werkzeug
from tests.servers.process import clean_environment


def app(environ: Any, start_response: Any) -> list[bytes]:
    """Be something to serve."""
    raise AssertionError("nobody asks")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"threaded": True, "use_reloader": True, "use_debugger": True, "use_evalex": False},
        {"processes": 1},
        {"processes": None},
        {"ssl_context": ("cert.pem", "key.pem")},
        {"ssl_context": None},
        {"passthrough_errors": False, "request_handler": None, "static_files": None},
        {"extra_files": ["a"], "exclude_patterns": ["b"], "reloader_type": "stat", "reloader_interval": 2},
        {"threads": 3, "access_log": False},
    ],
)
def test_granian_does_the_common_things(options: dict[str, Any]) -> None:
    """What Granian can do itself does not slow the server down."""
    assert needs_werkzeug("127.0.0.1", options) == ""


@pytest.mark.parametrize(
    "host,options,reason",
    [
        ("unix:///tmp/a.sock", {}, "host='unix:///tmp/a.sock'"),
        ("127.0.0.1", {"threaded": False}, "threaded=False"),
        ("127.0.0.1", {"processes": 2, "threaded": True}, "processes=2"),
        ("127.0.0.1", {"passthrough_errors": True}, "passthrough_errors"),
        ("127.0.0.1", {"request_handler": object}, "request_handler"),
        ("127.0.0.1", {"static_files": {"/a": "b"}}, "static_files"),
        ("127.0.0.1", {"ssl_context": "adhoc"}, "ssl_context='adhoc'"),
        ("127.0.0.1", {"ssl_context": ("cert.pem", None)}, "an ssl_context that is an object"),
        ("127.0.0.1", {"ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}, "an ssl_context that is an object"),
    ],
)
def test_werkzeug_does_the_rest(host: str, options: dict[str, Any], reason: str) -> None:
    """What only Werkzeug's server knows goes there, and the reason can be printed."""
    assert needs_werkzeug(host, options) == reason


def test_the_real_run_simple_is_recognised() -> None:
    """Werkzeug's own function, by whatever name it was imported, is not taken for a replacement."""
    assert is_werkzeugs(werkzeug.serving.run_simple)
    assert is_werkzeugs(werkzeug.run_simple)
    assert replaced_run_simple() is None


def test_a_replacement_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test puts there is what is called."""

    def run_simple(*args: Any, **options: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(werkzeug.serving, "run_simple", run_simple)
    assert replaced_run_simple() is run_simple


def test_a_mock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object without a name or a module is a replacement too."""
    from unittest.mock import Mock

    mock = Mock()
    monkeypatch.setattr(werkzeug.serving, "run_simple", mock)
    assert replaced_run_simple() is mock


def test_looking_for_a_replacement_loads_nothing() -> None:
    """Where nobody imported Werkzeug's server nobody can have replaced it, and it stays unloaded."""
    code = (
        "import sys\n"
        "from quaff.servers.fallback import replaced_run_simple\n"
        "assert replaced_run_simple() is None\n"
        "assert 'werkzeug.serving' not in sys.modules, 'loaded'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=clean_environment(), timeout=60)


def test_werkzeug_gets_its_own_options(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Options that only Quaff has are left out, the others arrive; one line says why this server was chosen."""
    calls = []
    monkeypatch.delenv("WERKZEUG_RUN_MAIN", raising=False)
    monkeypatch.setattr(werkzeug.serving, "run_simple", lambda *args, **options: calls.append((args, options)))
    options = {"threaded": False, "use_reloader": True, "threads": 2, "access_log": False, "interface": "wsgi"}
    run_werkzeug(app, "127.0.0.1", 5001, options, "threaded=False")
    assert calls == [(("127.0.0.1", 5001, app), {"threaded": False, "use_reloader": True})]
    assert capsys.readouterr().out == " * Server: Werkzeug, because of threaded=False\n"


def test_werkzeug_serves_wsgi_only() -> None:
    """Asking for RSGI together with what only Werkzeug's server can do is a contradiction, and the message says which."""
    with pytest.raises(SettingsError, match="interface='rsgi' cannot be had with threaded=False"):
        run_werkzeug(app, "127.0.0.1", 5001, {"interface": "rsgi"}, "threaded=False")
