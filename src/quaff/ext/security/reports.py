"""Reports of violated policies, as browsers send them: read, written to the log, and announced with a signal.

Two formats are in use: `report-uri` has browsers send one report as `application/csp-report`, `report-to` a list as
`application/reports+json` (the Reporting API). Both become `Violation` objects.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from blinker import Namespace
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from ...globals import current_context

ENDPOINT: Final = "csp_reports"

BODY_MAX: Final = 64 * 1024
"""The most bytes of a report, or of a list of them."""

REPORTS_MAX: Final = 100
"""The most reports in a list."""

TEXT_MAX: Final = 200
"""The most characters of a text in a report that are kept. SECURITY: anybody may send reports, with anything in them."""

LOGGED_MAX: Final = 1_000
"""So many different violations are logged by a process; more are counted nowhere, but still announced."""

csp_violation: Final = Namespace().signal("csp-violation")
"""Sent by the app for each report that its endpoint gets, with `violation`. Receivers run in the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """What a browser did not load, or would not have loaded. All texts are what the browser says, cut to 200 characters."""

    document: str
    """The URL of the page, without its query: that may hold secrets."""

    directive: str
    """The directive that forbids it, such as `script-src-elem`."""

    blocked: str
    """The URL that was blocked, without its query, or a word such as `inline` or `eval`."""

    disposition: str = "enforce"
    """`enforce`, or `report` for a policy that is only reported."""

    source: str = ""
    """The file in which it was asked for."""

    line: int = 0
    """The line of that file, or 0."""

    sample: str = ""
    """The beginning of an inline script or style, for directives with `'report-sample'`."""

    def summary(self) -> str:
        """Return it as one line of ASCII, for a log."""
        place = f" ({self.source}:{self.line})" if self.source else ""
        verb = "would block" if self.disposition == "report" else "blocks"
        return f"{self.directive} {verb} {self.blocked} on {self.document}{place}"


def read_reports(content_type: str, body: bytes) -> list[Violation]:
    """Return the violations in the body of a report; reports of other kinds are left out.

    :raises werkzeug.exceptions.UnsupportedMediaType: for another content type (415).
    :raises werkzeug.exceptions.BadRequest: when it is no report (400).
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in {"application/csp-report", "application/reports+json", "application/json"}:
        raise UnsupportedMediaType("A report has the content type application/csp-report or application/reports+json.")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("The report is not JSON.") from None
    if isinstance(data, dict) and isinstance(data.get("csp-report"), dict):
        return [_from_report_uri(data["csp-report"])]
    if isinstance(data, list) and len(data) <= REPORTS_MAX and all(isinstance(report, dict) for report in data):
        bodies = (report.get("body") for report in data if report.get("type") == "csp-violation")
        return [_from_reporting_api(found) for found in bodies if isinstance(found, dict)]
    raise BadRequest(f"The body is neither a CSP report nor a list of at most {REPORTS_MAX} reports.")


def _from_report_uri(report: Mapping[str, Any]) -> Violation:
    return Violation(
        document=_url(report.get("document-uri")),
        directive=_text(report.get("effective-directive") or report.get("violated-directive")).partition(" ")[0],
        blocked=_url(report.get("blocked-uri")),
        disposition=_text(report.get("disposition")) or "enforce",
        source=_url(report.get("source-file")),
        line=_number(report.get("line-number")),
        sample=_text(report.get("script-sample")),
    )


def _from_reporting_api(report: Mapping[str, Any]) -> Violation:
    return Violation(
        document=_url(report.get("documentURL")),
        directive=_text(report.get("effectiveDirective")).partition(" ")[0],
        blocked=_url(report.get("blockedURL")),
        disposition=_text(report.get("disposition")) or "enforce",
        source=_url(report.get("sourceFile")),
        line=_number(report.get("lineNumber")),
        sample=_text(report.get("sample")),
    )


def _text(value: Any) -> str:
    """Return a text of a report in printable ASCII, so that it stays one line wherever it is shown."""
    return ascii(value[:TEXT_MAX])[1:-1] if isinstance(value, str) else ""


def _url(value: Any) -> str:
    return _text(value.partition("?")[0].partition("#")[0]) if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 10**9 else 0


class ReportLog:
    """Writes each violation to the log once per process. SECURITY: who sends reports cannot fill the disk with them."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()

    def note(self, logger: Any, violation: Violation) -> None:
        """Write a line, unless there was one for the same directive, thing and page."""
        key = (violation.directive, violation.blocked, violation.document)
        with self._lock:
            if key in self._seen or len(self._seen) > LOGGED_MAX:
                return
            self._seen.add(key)
            is_last = len(self._seen) > LOGGED_MAX
        if is_last:
            logger.warning("CSP: more than %d different violations; further ones are not logged", LOGGED_MAX)
        else:
            logger.warning("CSP: %s", violation.summary())


def make_report_view() -> Callable[[], tuple[str, int]]:
    """Return a view that takes reports: it logs them, announces them, and answers 204."""
    log = ReportLog()

    def csp_reports() -> tuple[str, int]:
        context: Any = current_context.get()
        request, app = context.request, context.app
        request.max_content_length = BODY_MAX
        for violation in read_reports(request.content_type or "", request.get_data()):
            log.note(app.logger, violation)
            csp_violation.send(app, violation=violation)
        return "", 204

    return csp_reports


def add_report_route(app: Any, path: str) -> None:
    """Let an app take reports at *path*, unless it does so already."""
    if not any(rule.rule == path and rule.endpoint == ENDPOINT for rule in app.url_map.iter_rules()):
        app.add_url_rule(path, ENDPOINT, app.view_functions.get(ENDPOINT) or make_report_view(), methods=["POST"])
