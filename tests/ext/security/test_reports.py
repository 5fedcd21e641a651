"""Reports of violated policies: what is read of them, and what becomes of it."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from quaff import Quaff
from quaff.ext.security.reports import (
    BODY_MAX,
    ENDPOINT,
    LOGGED_MAX,
    REPORTS_MAX,
    TEXT_MAX,
    ReportLog,
    Violation,
    add_report_route,
    csp_violation,
    read_reports,
)

OLD = {
    "csp-report": {
        "document-uri": "https://shop.example/cart?token=secret#top",
        "referrer": "",
        "violated-directive": "script-src 'self'",
        "effective-directive": "script-src-elem",
        "original-policy": "script-src 'self'; report-uri /csp",
        "disposition": "report",
        "blocked-uri": "https://evil.example/x.js?y=1",
        "source-file": "https://shop.example/cart",
        "line-number": 12,
        "script-sample": "",
        "status-code": 200,
    }
}
"""As browsers send it for `report-uri` (CSP level 2)."""

NEW = [
    {
        "age": 10,
        "type": "csp-violation",
        "url": "https://shop.example/cart?token=secret",
        "user_agent": "Mozilla/5.0",
        "body": {
            "documentURL": "https://shop.example/cart?token=secret",
            "blockedURL": "inline",
            "effectiveDirective": "script-src-elem",
            "disposition": "enforce",
            "sourceFile": "https://shop.example/cart?token=secret",
            "lineNumber": 7,
            "sample": "alert(1)",
        },
    },
    {"age": 1, "type": "deprecation", "url": "https://shop.example/", "body": {"id": "x"}},
]
"""As browsers send it for `report-to` (Reporting API)."""


def test_report_uri() -> None:
    """The report of `report-uri` is read; queries, which may hold secrets, are left out."""
    assert read_reports("application/csp-report", json.dumps(OLD).encode()) == [
        Violation(
            document="https://shop.example/cart",
            directive="script-src-elem",
            blocked="https://evil.example/x.js",
            disposition="report",
            source="https://shop.example/cart",
            line=12,
        )
    ]


def test_reporting_api() -> None:
    """The list of the Reporting API is read; reports of other kinds are left out."""
    assert read_reports("application/reports+json; charset=utf-8", json.dumps(NEW).encode()) == [
        Violation(
            document="https://shop.example/cart",
            directive="script-src-elem",
            blocked="inline",
            source="https://shop.example/cart",
            line=7,
            sample="alert(1)",
        )
    ]


def test_old_browsers_have_no_effective_directive() -> None:
    """Then the name of the directive that is violated is taken, without its values."""
    report = {"csp-report": {"violated-directive": "img-src 'self' a.example", "blocked-uri": "data"}}
    assert read_reports("application/csp-report", json.dumps(report).encode())[0].directive == "img-src"


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_other_content_types_are_refused(content_type: str) -> None:
    """SECURITY: a form of another site's cannot be sent as a report."""
    with pytest.raises(UnsupportedMediaType):
        read_reports(content_type, json.dumps(OLD).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"7",
        b"{}",
        b'{"csp-report": 7}',
        b'["x"]',
        b"\xff\xfe",
        b"[" * 60_000,
        json.dumps([{}] * (REPORTS_MAX + 1)).encode(),
    ],
)
def test_what_is_no_report_is_refused(body: bytes) -> None:
    """SECURITY: anything else is a 400, and no traceback in the log."""
    with pytest.raises(BadRequest):
        read_reports("application/csp-report", body)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*OLD["csp-report"], "body"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*OLD["csp-report"]]), anything))
def test_any_values_give_texts_of_one_line(report: dict[str, Any]) -> None:
    """SECURITY: whatever a report holds, what is logged is one short line of ASCII."""
    violation = read_reports("application/csp-report", json.dumps({"csp-report": report}).encode())[0]
    line = violation.summary()
    assert line.isascii()
    assert line.isprintable()
    for text in (violation.document, violation.blocked, violation.sample):
        # An escape is at most ten characters.
        assert len(text) <= TEXT_MAX * 10


@pytest.mark.parametrize("value", ["x\r\nFAKE", "x\x1b[31m", "x\u2028y", "é"])
def test_control_characters_are_escaped(value: str) -> None:
    """SECURITY: CVE-2024-1681 of Flask-CORS: a line end in what is logged makes a line of the attacker's own."""
    report = {"csp-report": {"document-uri": value, "blocked-uri": value, "effective-directive": value}}
    line = read_reports("application/csp-report", json.dumps(report).encode())[0].summary()
    assert line.isascii()
    assert line.isprintable()


def test_summary() -> None:
    """One line says what, by which directive, where."""
    violation = read_reports("application/csp-report", json.dumps(OLD).encode())[0]
    assert violation.summary() == (
        "script-src-elem would block https://evil.example/x.js on https://shop.example/cart (https://shop.example/cart:12)"
    )
    assert Violation(document="d", directive="img-src", blocked="b").summary() == "img-src blocks b on d"


class Lines:
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, message: str, *args: object) -> None:
        self.lines.append(message % args)


def test_each_violation_is_logged_once() -> None:
    """A page that many people open writes one line."""
    log, lines = ReportLog(), Lines()
    for _ in range(3):
        log.note(lines, Violation(document="d", directive="img-src", blocked="b"))
    log.note(lines, Violation(document="d", directive="img-src", blocked="c"))
    assert lines.lines == ["CSP: img-src blocks b on d", "CSP: img-src blocks c on d"]


def test_the_log_is_bounded() -> None:
    """SECURITY: who sends ever new reports gets so many lines, and one that says that there are no more."""
    log, lines = ReportLog(), Lines()
    for number in range(LOGGED_MAX + 50):
        log.note(lines, Violation(document=str(number), directive="img-src", blocked="b"))
    assert len(lines.lines) == LOGGED_MAX + 1
    assert lines.lines[-1] == f"CSP: more than {LOGGED_MAX} different violations; further ones are not logged"


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def reporting(request: pytest.FixtureRequest) -> Quaff:
    """Give an app that takes reports at /csp."""
    app = Quaff("reporting", compiled=request.param)
    add_report_route(app, "/csp")
    return app


def test_the_endpoint(reporting: Quaff, caplog: pytest.LogCaptureFixture) -> None:
    """A report is logged and announced, and the answer has no content."""
    heard: list[Violation] = []

    def hear(app: Any, violation: Violation) -> None:
        heard.append(violation)

    with csp_violation.connected_to(hear, reporting), caplog.at_level(logging.WARNING):
        response = reporting.test_client().post("/csp", data=json.dumps(OLD), content_type="application/csp-report")
    assert (response.status_code, response.data) == (204, b"")
    assert [violation.directive for violation in heard] == ["script-src-elem"]
    assert [record.getMessage() for record in caplog.records] == [f"CSP: {heard[0].summary()}"]
    assert "secret" not in caplog.text


def test_the_endpoint_refuses(reporting: Quaff) -> None:
    """SECURITY: other methods, other content, too much of it."""
    client = reporting.test_client()
    assert client.get("/csp").status_code == 405
    assert client.post("/csp", data="x=1").status_code == 415
    assert client.post("/csp", data=b"{", content_type="application/csp-report").status_code == 400
    big = json.dumps({"csp-report": {"script-sample": "x" * BODY_MAX}})
    assert client.post("/csp", data=big, content_type="application/csp-report").status_code == 413


def test_the_route_is_added_once(reporting: Quaff) -> None:
    """A path is added once; another one has the same view, so that violations are counted together."""
    add_report_route(reporting, "/csp")
    add_report_route(reporting, "/other")
    rules = [rule.rule for rule in reporting.url_map.iter_rules(ENDPOINT)]
    assert sorted(rules) == ["/csp", "/other"]
    answer = reporting.test_client().post("/other", data=json.dumps(OLD), content_type="application/csp-report")
    assert answer.status_code == 204
