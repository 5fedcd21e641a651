"""The programs under `examples/` run as they stand, as `python app.py` and, written for Flask, as `python -m quaff`."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import zlib
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.examples.programs import EXAMPLES, Program, copied, started

NAMES = ("hello", "hooks", "middleware", "proxyfix")
WITHOUT_FLASK = ("caching", "compress", "cors", "limiter", "migrate", "proxies", "security", "sqlalchemy")
"""Programs that are there once, for what they show is Quaff's own."""

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


def test_proxies(tmp_path: Path, free_port: int) -> None:
    """The nearest address that is no proxy of ours counts; junk is refused, and so is what comes with an underscore."""
    with _run("proxies", "quaff", tmp_path, free_port) as program:
        forwarded = {"X-Forwarded-For": "6.6.6.6, 192.0.2.7, 10.0.0.5", "X-Forwarded-Proto": "https"}
        assert program.get("/", forwarded).text == "192.0.2.7 over https"
        assert program.get("/", forwarded | {"X_Forwarded_For": "6.6.6.6"}).text == "192.0.2.7 over https"
        assert program.get("/", {"X-Forwarded-For": "unknown"}).text == "somebody over http"
        assert program.get("/", {"X-Forwarded-For": "junk"}).status == 400
        assert program.get("/").text == "127.0.0.1 over http"
        program.wait_for("192.0.2.7 - - [")
        _assert_stops(program)


def test_security(tmp_path: Path, free_port: int) -> None:
    """Plain requests are redirected, but for the health check; over HTTPS the script has the nonce of the header."""
    with _run("security", "quaff", tmp_path, free_port) as program:
        plain = program.get("/?a=1")
        assert (plain.status, plain.headers["Location"]) == (308, f"https://127.0.0.1:{free_port}/?a=1")
        assert program.get("/healthz").text == "ok"
        page = program.get("/", {"X-Forwarded-Proto": "https"})
        nonce = re.search(r'<script nonce="([^"]+)">', page.text)
        assert nonce is not None
        assert f"'nonce-{nonce[1]}'" in page.headers["Content-Security-Policy"]
        assert page.headers["Strict-Transport-Security"] == "max-age=63072000"
        widget = program.get("/widget", {"X-Forwarded-Proto": "https"})
        assert widget.text == "for the pages of a partner"
        assert "X-Frame-Options" not in widget.headers
        assert "frame-ancestors https://partner.example" in widget.headers["Content-Security-Policy"]
        assert "report-uri /csp-reports" in widget.headers["Content-Security-Policy"]
        _assert_stops(program)


def test_cors(tmp_path: Path, free_port: int) -> None:
    """A page of another origin gets prices, a preflight that no hook sees, and a 500 it can read; `/internal` is shut."""
    with _run("cors", "quaff", tmp_path, free_port) as program:
        page = {"Origin": "http://localhost:5001"}
        allowed = "Access-Control-Allow-Origin"
        assert "<script>" in program.get("/").text
        assert program.get("/prices", page).headers[allowed] == "*"
        failed = program.get("/api/broken", page)
        assert (failed.status, failed.headers[allowed]) == (500, "http://localhost:5001")
        assert program.get("/internal", page).headers[allowed] is None
        connection = http.client.HTTPConnection("127.0.0.1", free_port, timeout=30)
        try:
            asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-client"}
            connection.request("OPTIONS", "/api/orders", headers=page | asked)
            preflight = connection.getresponse()
            preflight.read()
            assert (preflight.status, preflight.headers["Access-Control-Allow-Headers"]) == (200, "x-client")
            connection.request("PUT", "/api/orders", headers=page | {"X-Client": "page"})
            order = connection.getresponse()
            assert (order.read(), order.headers[allowed]) == (b'{"orders":1}\n', "http://localhost:5001")
        finally:
            connection.close()
        assert program.interrupt() in (0, 130)


def test_limiter(tmp_path: Path, free_port: int) -> None:
    """The fourth search is one too many; a report costs two for its key; only failed logins count; health always passes."""
    with _run("limiter", "quaff", tmp_path, free_port) as program:
        searches = [program.get("/search") for _ in range(4)]
        assert [answer.status for answer in searches] == [200, 200, 200, 429]
        assert searches[1].text == "found; you may search 1 more times"
        assert searches[1].headers["RateLimit"].startswith('"3-per-60";r=1;t=')
        assert searches[3].text == "too often: 3 per 1 minute"
        for key in ("one", "two"):
            reports = [program.get("/report", {"X-Api-Key": key}).status for _ in range(3)]
            assert reports == [200, 200, 429]
        assert [program.get("/health").status for _ in range(5)] == [200] * 5
        assert _log_in(free_port, ["tea", "tea", "tea", "coffee", "coffee", "tea"]) == [200, 200, 200, 401, 401, 429]
        _assert_stops(program)


def test_sqlalchemy(tmp_path: Path, free_port: int) -> None:
    """Books are stored with their authors and listed by pages; one that there is not is a 404."""
    with _run("sqlalchemy", "quaff", tmp_path, free_port) as program:
        for title in ("Emma", "Persuasion"):
            assert _post(free_port, "/books", f"title={title}&author=Austen") == 201
        listed = json.loads(program.get("/books?per_page=1&page=2").text)
        assert listed == {"books": [{"title": "Persuasion", "author": "Austen"}], "pages": 2, "total": 2}
        assert program.get("/books?page=3").status == 404
        assert json.loads(program.get("/books/1").text) == {"title": "Emma"}
        missing = program.get("/books/9")
        assert (missing.status, "There is no such book." in missing.text) == (404, True)
        _assert_stops(program)


def _post(port: int, path: str, form: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, form, {"Content-Type": "application/x-www-form-urlencoded"})
        return connection.getresponse().status
    finally:
        connection.close()


def _log_in(port: int, passwords: list[str]) -> list[int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    found = []
    try:
        for password in passwords:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/login", f"password={password}", headers)
            answer = connection.getresponse()
            answer.read()
            found.append(answer.status)
    finally:
        connection.close()
    return found


def test_compress(tmp_path: Path, free_port: int) -> None:
    """Pages come compressed over the wire, a stream piece by piece, and the exempt page as it is."""
    with _run("compress", "quaff", tmp_path, free_port) as program:
        headers = {"Accept-Encoding": "deflate"}
        connection = http.client.HTTPConnection("127.0.0.1", free_port, timeout=30)
        try:
            connection.request("GET", "/", headers=headers)
            page = connection.getresponse()
            assert (page.headers["Content-Encoding"], page.headers["Vary"]) == ("deflate", "Accept-Encoding")
            assert b"<li>Item 999</li>" in zlib.decompress(page.read())
            connection.request("GET", "/steps", headers=headers)
            stream = connection.getresponse()
            reader, pieces = zlib.decompressobj(), []
            while coded := stream.read1():
                pieces.append(reader.decompress(coded))
        finally:
            connection.close()
        assert [piece for piece in pieces if piece] == [f"<p>step {number}</p>\n".encode() for number in (1, 2, 3)]
        assert program.get("/report", headers).headers["Content-Encoding"] is None
        assert program.get("/token", headers).headers["Content-Encoding"] is None
        assert program.get("/").headers["Vary"] == "Accept-Encoding"
        _assert_stops(program)


def test_caching(tmp_path: Path, free_port: int) -> None:
    """A page and its fragment are made once, until their tag is forgotten; a private page is made for each visit."""
    with _run("caching", "quaff", tmp_path, free_port) as program:
        first = program.get("/")
        assert program.get("/").text == first.text
        assert program.get("/", {"If-None-Match": first.headers["ETag"]}).status == 304
        visit = program.get("/hello")
        assert visit.text == program.get("/hello").text == "Visit 1"
        cookie = visit.headers["Set-Cookie"].partition(";")[0]
        assert program.get("/hello", {"Cookie": cookie}).text == "Visit 2"
        german, english = (program.get("/language", {"Accept-Language": name}).text for name in ("de", "en"))
        assert german.startswith("de ")
        assert english.startswith("en ")
        assert program.get("/language", {"Accept-Language": "de"}).text == german
        connection = http.client.HTTPConnection("127.0.0.1", free_port, timeout=30)
        connection.request("POST", "/prices/tea/5", headers={"Content-Length": "0"})
        assert connection.getresponse().status == 200
        connection.close()
        changed = program.get("/").text
        assert "<li>tea: 6.0</li>" in changed
        assert changed.partition("<footer>")[2] == first.text.partition("<footer>")[2]
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
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()) == sorted(NAMES + WITHOUT_FLASK)


def test_flask_programs_need_the_alias(tmp_path: Path) -> None:
    """What answers for `import flask` in a program started by `python -m quaff` is Quaff, whatever is installed."""
    (tmp_path / "which.py").write_text("import flask, sys\nprint(flask.Flask.__module__, sys.argv)\n")
    done = subprocess.run(
        [sys.executable, "-m", "quaff", "which.py", "a"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "quaff.app ['which.py', 'a']"


def test_migrate(tmp_path: Path, free_port: int) -> None:
    """The program brings its tables up to the newest migration before it serves, and then runs on them."""
    shutil.copytree(EXAMPLES / "migrate" / "migrations", tmp_path / "migrations")
    with _run("migrate", "quaff", tmp_path, free_port) as program:
        assert "notes have an author" in program.output()
        assert _post(free_port, "/Ada/hello", "") == 201
        assert json.loads(program.get("/").text) == [{"text": "hello", "author": "Ada"}]
        _assert_stops(program)
    done = subprocess.run(
        [sys.executable, "-m", "quaff.cli", "db", "current"], cwd=tmp_path, text=True, capture_output=True, check=True
    )
    assert done.stdout == "7be25d80c3a4 (head)\n"
