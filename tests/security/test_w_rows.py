"""Findings W1-W16 and W24-W26: what Flask and Werkzeug let through, and what the app answers instead.

Each test is named after its row and runs through a whole app, in both pipelines.
"""

from __future__ import annotations

import io
import json
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from quaff.errors import HeaderError
from tests.watchdog import limited_work

if TYPE_CHECKING:
    from quaff import Quaff, Response
    from quaff.testing import FlaskClient

JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=B"


def part(disposition: str, value: str = "v") -> str:
    """Give one part of a multipart body."""
    return f"--B\r\nContent-Disposition: {disposition}\r\n\r\n{value}\r\n"


def check_refused(response: Any, status: int, reached: list[Any]) -> None:
    """Hold that the view saw nothing and that the client sees no traceback."""
    assert response.status_code == status
    assert reached == []
    assert b"Traceback" not in response.data
    assert b"/quaff/" not in response.data


# --- W1-W3: sizes ---


@pytest.mark.parametrize("depth", [10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_w1_deep_json_is_a_400(
    client: FlaskClient, reached: list[Any], caplog: pytest.LogCaptureFixture, depth: int, opening: str
) -> None:
    """Werkzeug: 500 with a full traceback in the log for each such request."""
    check_refused(client.post("/json", data=opening * depth, content_type=JSON), 400, reached)
    assert len(caplog.records) <= 1
    assert not any(record.exc_info for record in caplog.records)


def test_w1_deep_json_that_is_closed_is_no_500(client: FlaskClient) -> None:
    """Whole JSON of any depth is read or refused."""
    for depth in (100, 1_000, 50_000):
        assert client.post("/json", data="[" * depth + "]" * depth, content_type=JSON).status_code in {200, 400}


@pytest.mark.parametrize(
    "body",
    ["a&" * 1_000_000, "a&" * 1000 + "a", "a=" + "x" * 500_000, "&" * 1001],
    ids=["2 MB", "1,001", "500 kB", "empty"],
)
def test_w2_large_urlencoded_forms_are_a_413(client: FlaskClient, reached: list[Any], body: str) -> None:
    """Werkzeug: 200 after 0.7 s; its limits hold for multipart only."""
    with limited_work():
        check_refused(client.post("/form", data=body, content_type=URLENCODED), 413, reached)


def test_w2_forms_at_the_limit_are_accepted(client: FlaskClient, reached: list[Any]) -> None:
    """1,000 fields, and 500,000 bytes."""
    assert client.post("/form", data="&".join("a" * 1000), content_type=URLENCODED).status_code == 200
    assert client.post("/form", data="a=" + "x" * 499_998, content_type=URLENCODED).status_code == 200
    assert [len(seen["form"]["a"]) for seen in reached] == [1000, 1]


def test_w2_limits_are_settings(app: Quaff, client: FlaskClient, reached: list[Any]) -> None:
    """`MAX_FORM_PARTS` and `MAX_FORM_MEMORY_SIZE` hold for both kinds of form; `COMPAT` lifts the urlencoded ones."""
    app.config.update(MAX_FORM_PARTS=2, MAX_FORM_MEMORY_SIZE=100)
    for body, status in [("a&b", 200), ("a&b&c", 413), ("a=" + "x" * 99, 413)]:
        assert client.post("/form", data=body, content_type=URLENCODED).status_code == status
    app.config["COMPAT"] = ("form-limits",)
    assert client.post("/form", data="a&b&c=" + "x" * 100, content_type=URLENCODED).status_code == 200


def test_w3_bodies_are_limited_by_default(app: Quaff, client: FlaskClient, reached: list[Any]) -> None:
    """Werkzeug: no limit. 32 MiB; a body that announces more is refused before it is read."""
    assert app.config["MAX_CONTENT_LENGTH"] == 32 * 1024 * 1024
    announced = {"CONTENT_LENGTH": str(32 * 1024 * 1024 + 1)}
    check_refused(client.post("/body", environ_overrides=announced), 413, reached)
    check_refused(client.post("/json", content_type=JSON, environ_overrides=announced), 413, reached)
    check_refused(client.post("/form", content_type=MULTIPART, environ_overrides=announced), 413, reached)


# --- W4-W7: multipart ---


@pytest.mark.parametrize(
    "body, content_type",
    [
        (part('form-data; name="a"'), MULTIPART),
        (part('form-data; name="a"') + "--B-", MULTIPART),
        (part('form-data; name="a"')[:-20], MULTIPART),
        ("no multipart at all", MULTIPART),
        (part('form-data; name="a"') + "--B--", "multipart/form-data"),
        (part('form-data; name="a"') + "--B--", "multipart/form-data; boundary="),
        (part('form-data; name="a"') + "--B--", "multipart/form-data; boundary=C"),
    ],
)
def test_w4_broken_multipart_is_a_400(client: FlaskClient, reached: list[Any], body: str, content_type: str) -> None:
    """Werkzeug: 200 with an empty form."""
    check_refused(client.post("/form", data=body, content_type=content_type), 400, reached)


def test_w4_lenient_multipart_can_be_had_back(app: Quaff, client: FlaskClient, reached: list[Any]) -> None:
    """`COMPAT` brings the silence back, for programs that live with it."""
    app.config["COMPAT"] = ("lenient-multipart",)
    assert client.post("/form", data="x", content_type=MULTIPART).status_code == 200
    assert reached == [{"form": {}, "files": {}}]


def test_w5_a_long_boundary_is_a_400(client: FlaskClient, reached: list[Any]) -> None:
    """Werkzeug: a boundary of 70 kB is accepted. RFC 2046 ends it at 70 characters; Werkzeug's test client needs 72."""
    for size, status in ((72, 200), (81, 400), (70_000, 400)):
        boundary = "x" * size
        body = part('form-data; name="a"').replace("--B", f"--{boundary}") + f"--{boundary}--"
        response = client.post("/form", data=body, content_type=f"multipart/form-data; boundary={boundary}")
        assert response.status_code == status
    assert len(reached) == 1


@pytest.mark.parametrize(
    "disposition",
    [
        "form-data; name=\"comment\"; name*=utf-8''role",
        "form-data; name*=utf-8''role",
        'form-data; name="f"; filename="safe.txt"; filename*=utf-8\'\'..%2Fevil.php',
        'form-data; name="f"; filename="safe.txt"; filename*0="evil"; filename*1=".php"',
        "form-data; name=\"f\"; filename*0*=utf-8''evil.php",
        'form-data; name="a"; name="b"',
        'form-data; name="f"; filename="safe.txt"; filename="evil.php"',
        'form-data; name="a"; x "; name*=utf-8\'\'role"',
    ],
)
def test_w6_hidden_names_are_a_400(client: FlaskClient, reached: list[Any], disposition: str) -> None:
    """Werkzeug: the hidden value wins over the one that a filter in front reads."""
    check_refused(client.post("/form", data=part(disposition) + "--B--", content_type=MULTIPART), 400, reached)


def test_w7_file_names_are_bare_names(app: Quaff, client: FlaskClient, reached: list[Any]) -> None:
    """Werkzeug: passed on as sent. Here the raw one has a name of its own."""
    body = (
        part('form-data; name="f"; filename="../../x\0.txt"')
        + part('form-data; name="g"; filename="C:\\\\d\\\\y"')
        + "--B--"
    )
    client.post("/form", data=body, content_type=MULTIPART)
    app.config["COMPAT"] = ("raw-filenames",)
    client.post("/form", data=body, content_type=MULTIPART)
    assert reached[0]["files"] == {"f": ("x.txt", "../../x\0.txt"), "g": ("y", "C:\\d\\y")}
    assert reached[1]["files"] == {"f": ("../../x\0.txt", "../../x\0.txt"), "g": ("C:\\d\\y", "C:\\d\\y")}


# --- W8: header parsers ---


HEADERS = (
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Cache-Control",
    "Content-Type",
    "Cookie",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Pragma",
    "Range",
    "User-Agent",
    "X-Forwarded-For",
)


@pytest.mark.parametrize("header", HEADERS)
def test_w8_long_headers_cost_little(client: FlaskClient, header: str) -> None:
    """Reading any header takes time in proportion to its length: moments even at eight times what the server accepts."""
    for piece in ("a,", "a;q=1,", '"', "\\", "=", ";", " ", 'a="', "bytes=0-1,", "%", 'Digest a="'):
        with limited_work():
            response = client.get("/headers", headers={header: piece * (256 * 1024 // len(piece))})
        assert response.status_code == 200, piece


# --- W9: the clock ---


@pytest.mark.parametrize("step, user", [(-1, "alice"), (-59, "alice"), (3600, "alice"), (-3600, None)])
def test_w9_a_small_step_of_the_clock_logs_nobody_out(
    client: FlaskClient, reached: list[Any], monkeypatch: pytest.MonkeyPatch, step: int, user: str | None
) -> None:
    """Werkzeug's session is lost when the clock is set back by a second; a minute is tolerated here, an hour is not."""
    cookie = client.get("/login").headers["Set-Cookie"].partition(";")[0]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + step)
    client.get("/session", headers={"Cookie": cookie})
    assert reached == [{"user": user} if user else {}]


# --- W10-W12: what a view sets ---

REFUSED_WHERE_SET: dict[str, Any] = {
    "W10 NUL in a value": lambda response: response.headers.set("X-A", "a\x00"),
    "W10 0x01 in a value": lambda response: response.headers.add("X-A", "\x01"),
    "W10 DEL in a value": lambda response: response.headers.__setitem__("X-A", "\x7f"),
    "W10 CRLF in a value": lambda response: response.headers.__setitem__("X-A", "a\r\nX-Evil: 1"),
    "W10 CR in a name": lambda response: response.headers.__setitem__("X\r", "1"),
    "W10 colon in a name": lambda response: response.headers.__setitem__("X:", "1"),
    "W10 empty name": lambda response: response.headers.__setitem__("", "1"),
    "W10 space in a name": lambda response: response.headers.extend({"X Y": "1"}),
    "W10 by attribute": lambda response: setattr(response, "content_type", "text/html\x00"),
    "W10 by an ETag": lambda response: response.set_etag("a\x00"),
    "W10 by a location": lambda response: setattr(response, "location", "/\r\nX-Evil: 1"),
    "W10 by a set": lambda response: response.vary.add("Accept\x00"),
    "W10 by a policy": lambda response: setattr(response.content_security_policy, "default_src", "'self'\r\n"),
    "W10 by a file name": lambda response: response.headers.add("Content-Disposition", "attachment", filename="a\n"),
    "W11 status": lambda response: setattr(response, "status", "200 OK\r\nX-Evil: 1"),
    "W11 NUL in the status": lambda response: setattr(response, "status", "200 O\x00K"),
    "W12 domain": lambda response: response.set_cookie("k", "v", domain="a; Secure"),
    "W12 key": lambda response: response.set_cookie("k;a", "v"),
    "W12 empty key": lambda response: response.set_cookie("", "v"),
    "W12 CRLF in the key": lambda response: response.set_cookie("k\r\n", "v"),
    "W12 path": lambda response: response.set_cookie("k", "v", path="/\r\n"),
    "W12 SameSite": lambda response: response.set_cookie("k", "v", samesite="Lax; Domain=evil.test"),
    "W12 expires": lambda response: response.set_cookie("k", "v", expires="x; Domain=evil.test"),
    "W12 delete": lambda response: response.delete_cookie("k;a"),
}


@pytest.mark.parametrize("change", REFUSED_WHERE_SET.values(), ids=REFUSED_WHERE_SET)
def test_w10_w11_w12_refused_where_it_is_set(
    app: Quaff, client: FlaskClient, reached: list[Any], caplog: pytest.LogCaptureFixture, change: Any
) -> None:
    """Werkzeug accepts these and Granian drops them. Here: 500, one record in the log that points at the line."""
    app.config["SET"] = change
    response = client.get("/set")
    check_refused(response, 500, reached)
    assert not [name for name, value in response.headers if "evil" in (name + value).lower()]
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.exc_info is not None
    assert record.exc_info[0] is HeaderError


@pytest.mark.parametrize("change", REFUSED_WHERE_SET.values(), ids=REFUSED_WHERE_SET)
def test_w10_w11_w12_is_a_value_error(app: Quaff, change: Any) -> None:
    """A program that catches Werkzeug's `ValueError` catches this one."""
    response: Response = app.response_class("body")
    before = list(response.headers)
    with pytest.raises(ValueError, match=r"must|cannot be sent|is not|holds"):
        change(response)
    assert list(response.headers) == before
    assert response.status == "200 OK"


@pytest.mark.parametrize(
    "result",
    [
        ("body", {"X-A": "a\x00"}),
        ("body", [("X-A", "a\r\n")]),
        ("body", 200, {"X:": "1"}),
        ("body", "200 OK\r\nX-Evil: 1"),
        ({"json": 1}, {"X-A": "\x01"}),
        (b"body", 200, {"Content-Type": "text/html\n"}),
    ],
    ids=repr,
)
def test_w10_w11_in_what_a_view_returns(app: Quaff, client: FlaskClient, result: Any) -> None:
    """A tuple is no way around the check."""
    app.add_url_rule("/returned", view_func=lambda: result)
    response = client.get("/returned")
    assert response.status_code == 500
    assert "X-Evil" not in response.headers


# --- W13-W14: redirects ---


@pytest.mark.parametrize(
    "target",
    [
        "/\t/evil.test",
        "/\n/evil.test",
        "\x01//evil.test",
        " //evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "///evil.test",
        "////evil.test",
        "javascript:alert(1)",
        "JaVa\tScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "https:evil.test",
        "https:/evil.test",
        "https:\\\\evil.test",
        "https://user@evil.test",
        "//good.test@evil.test",
        "/a\r\nX-Evil: 1",
        "/\x00",
    ],
    ids=ascii,
)
def test_w13_w14_redirects_that_lead_elsewhere_than_they_seem(app: Quaff, client: FlaskClient, target: str) -> None:
    """Werkzeug strips what hides the target and sends the browser there; here the app has to mean it."""
    app.config["TARGET"] = target
    response = client.get("/go")
    assert response.status_code == 500
    assert "Location" not in response.headers


@pytest.mark.parametrize(
    "target", ["/", "/a?next=//evil.test", "/a#//b", "https://other.test/x", "relative", "?a=1", "/ü"]
)
def test_w13_w14_plain_redirects_work(app: Quaff, client: FlaskClient, target: str) -> None:
    """What is what it seems to be is sent."""
    app.config["TARGET"] = target
    assert client.get("/go").status_code == 302


# --- W15-W16: hosts and proxies ---


@pytest.mark.parametrize(
    "host", ["a,b", "a@b", "", "a b", "ev/il?x#y", "a:0", "a:99999", "a:", "[::1", "a\\b", "x" * 300]
)
@pytest.mark.parametrize("path", ["/where", "/path/x", "/nothing", "/json"])
def test_w15_a_malformed_host_is_a_400(client: FlaskClient, reached: list[Any], host: str, path: str) -> None:
    """Werkzeug: `request.url` is `http:///where`, and 200. Here no view runs, nor is the answer a 404 or a 405."""
    check_refused(client.get(path, environ_overrides={"HTTP_HOST": host}), 400, reached)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "<script>"},
        {"X-Forwarded-For": "1.2.3.4.5"},
        {"X-Forwarded-For": "\xff, \xff"},
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Host": "ev il/"},
        {"X-Forwarded-Host": "a@b"},
        {"X-Forwarded-Port": "x"},
        {"X-Forwarded-Prefix": "//evil.test"},
    ],
    ids=str,
)
def test_w16_what_a_proxy_cannot_have_meant_is_a_400(
    app: Quaff, client: FlaskClient, reached: list[Any], headers: dict[str, str]
) -> None:
    """Werkzeug: `remote_addr` is `<script>`, the scheme `javascript`."""
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)  # type: ignore[method-assign]
    check_refused(client.get("/where", headers=headers), 400, reached)


def test_w16_what_a_proxy_says_is_used(app: Quaff, client: FlaskClient, reached: list[Any]) -> None:
    """Good values take effect."""
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "public.test"}
    client.get("/where", headers=headers)
    assert reached == [["https://public.test/where", "203.0.113.7"]]


def test_w16_without_a_proxy_the_headers_mean_nothing(client: FlaskClient, reached: list[Any]) -> None:
    """A client can send them; nobody listens."""
    headers = {"X-Forwarded-For": "<script>", "X-Forwarded-Proto": "javascript", "X-Forwarded-Host": "evil.test"}
    client.get("/where", headers=headers)
    assert reached == [["http://localhost/where", "127.0.0.1"]]


# --- W24-W26: types, JSON, paths ---


@pytest.mark.parametrize("content_type", ["text/plain", "text/json", URLENCODED, "", "application/x-json", MULTIPART])
def test_w24_json_as_another_type_is_a_415(client: FlaskClient, reached: list[Any], content_type: str) -> None:
    """A browser can send those cross-site without asking (CVE-2021-32677)."""
    check_refused(client.post("/json", data="{}", content_type=content_type), 415, reached)


def test_w24_a_form_as_another_type_is_no_form(client: FlaskClient, reached: list[Any]) -> None:
    """The fields of a `text/plain` body are not read."""
    client.post("/form", data="a=1", content_type="text/plain")
    assert reached == [{"form": {}, "files": {}}]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin1"])
def test_w25_json_that_is_not_utf8_is_a_400(client: FlaskClient, reached: list[Any], encoding: str) -> None:
    """Werkzeug guesses the encoding, which a filter in front does not."""
    body = '{"admin": "é"}'.encode(encoding)
    check_refused(client.post("/json", data=body, content_type=JSON), 400, reached)


@pytest.mark.parametrize("body", ["NaN", "-Infinity", "1e400", '{"a": 1, "a": 2}', '"\\ud800"', "[Infinity]"])
def test_w25_json_that_means_two_things_is_a_400_when_strict(
    app: Quaff, client: FlaskClient, reached: list[Any], body: str
) -> None:
    """With `JSON_STRICT`; without it they are read as in Flask."""
    assert client.post("/json", data=body, content_type=JSON).status_code == 200
    reached.clear()
    app.config["JSON_STRICT"] = True
    check_refused(client.post("/json", data=body, content_type=JSON), 400, reached)


@pytest.mark.parametrize("path", ["/path/%00", "/path/a%00b", "/%00", "/%00/where", "/where%00"])
def test_w26_nul_in_the_path_is_a_400(client: FlaskClient, reached: list[Any], path: str) -> None:
    """Werkzeug: the view gets it, and the file system ends the name there or raises."""
    check_refused(client.get(path), 400, reached)


def test_rows_are_not_vacuous(client: FlaskClient, reached: list[Any]) -> None:
    """The views that the rows above keep from running do run for good input."""
    assert client.post("/json", data=json.dumps({"a": 1}), content_type=JSON).status_code == 200
    assert client.post("/form", data=part('form-data; name="a"') + "--B--", content_type=MULTIPART).status_code == 200
    assert client.post("/body", input_stream=io.BytesIO(b"12345"), content_length=5).status_code == 200
    assert client.get("/path/a").status_code == 200
    assert reached == ["{'a': 1}", {"form": {"a": ["v"]}, "files": {}}, 5, "a"]
