"""What a development server says: Flask's lines, and the address that answers."""

from __future__ import annotations

import logging

import pytest

from quaff.servers.banner import (
    addresses,
    say_interface,
    say_no_console,
    say_no_debugger,
    say_what,
    say_where,
    style,
)
from quaff.servers.interface import Choice


@pytest.fixture(autouse=True)
def not_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as the process that the user started."""
    monkeypatch.delenv("WERKZEUG_RUN_MAIN", raising=False)


def test_the_app_and_the_mode_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The first two lines are those of Flask, on standard output."""
    say_what(False, "shop")
    say_what(True, None)
    assert capsys.readouterr().out == " * Serving Quaff app 'shop'\n * Debug mode: off\n * Debug mode: on\n"


def test_what_is_unknown_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A plain WSGI callable has neither name nor mode."""
    say_what(None, None)
    assert capsys.readouterr().out == ""


def test_the_child_of_a_reloader_is_silent(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each change the server starts again; its banner does not."""
    monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
    say_what(True, "shop")
    say_interface(Choice("rsgi", "the view 'chat' is async"))
    say_no_debugger(Choice("http1", "'/ws' is a WebSocket"))
    say_no_console("0.0.0.0")
    assert capsys.readouterr().out == ""
    assert not caplog.records


def test_only_an_event_loop_is_worth_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """That an app is served over WSGI goes without saying; over anything else, the reason stands with it."""
    say_interface(Choice("wsgi", "every view and hook is sync"))
    say_interface(Choice("rsgi", "the view 'chat' is async"))
    say_interface(Choice("http1", "'/ws' is a WebSocket"))
    lines = [" * Interface: RSGI: the view 'chat' is async", " * Interface: HTTP1: '/ws' is a WebSocket"]
    assert capsys.readouterr().out.splitlines() == lines


def test_a_missing_debugger_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever misses the debugger is told why it is off, where errors are instead, and how to have it."""
    say_no_debugger(Choice("http1", "'/ws' is a WebSocket"))
    words = "off, because '/ws' is a WebSocket; tracebacks are in the log. --interface wsgi brings it back."
    assert capsys.readouterr().out == f" * Debugger: {words}\n"


@pytest.mark.parametrize(
    "scheme,host,port,urls",
    [
        ("http", "127.0.0.1", 5001, ["http://127.0.0.1:5001/"]),
        ("http", "localhost", 5001, ["http://localhost:5001/"]),
        ("https", "::1", 443, ["https://[::1]:443/"]),
    ],
)
def test_urls_have_the_host_that_was_given(scheme: str, host: str, port: int, urls: list[str]) -> None:
    """The URL can be clicked, also with IPv6."""
    assert addresses(scheme, host, port) == urls


@pytest.mark.parametrize("host,first", [("0.0.0.0", "http://127.0.0.1:80/"), ("::", "http://[::1]:80/")])
def test_all_addresses_are_spelled_out(host: str, first: str) -> None:
    """For all addresses the local one is named, and the one that others use; 0.0.0.0 is no address to visit."""
    urls = addresses("http", host, 80)
    assert urls[0] == first
    assert len(urls) == len(set(urls)) <= 2


def test_where_it_runs_goes_through_the_logger(caplog: pytest.LogCaptureFixture) -> None:
    """As with Flask: a program that silences the logger `werkzeug` silences these lines."""
    with caplog.at_level(logging.INFO, "werkzeug"):
        say_where("http", "127.0.0.1", 5001)
    text = caplog.text
    assert " * Running on http://127.0.0.1:5001/" in text
    assert "Press CTRL+C to quit" in text
    assert "Do not use it in a production deployment" in text


def test_running_on_all_addresses_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """That other machines can connect is worth a line of its own."""
    with caplog.at_level(logging.INFO, "werkzeug"):
        say_where("http", "0.0.0.0", 5001)
    assert " * Running on all addresses (0.0.0.0)" in caplog.text


def test_a_missing_console_is_explained(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever misses the debugger's console is told why it is off."""
    with caplog.at_level(logging.INFO, "werkzeug"):
        say_no_console("127.0.0.1")
        assert not caplog.records
        say_no_console("0.0.0.0")
    assert "Debugger console: off, because 0.0.0.0 can be reached from other machines." in caplog.text


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file or a pipe there are no escape sequences."""
    assert style("text", "31") == "text"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert style("text", "31") == "\033[31mtext\033[0m"
