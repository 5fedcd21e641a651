"""Explanations for mistakes that are hard to see."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from jinja2 import ChoiceLoader, DictLoader, FileSystemLoader
from werkzeug.exceptions import BadRequestKeyError
from werkzeug.routing import RequestRedirect

from quaff import Blueprint, Quaff, render_template, request
from quaff.debughelpers import (
    DebugFilesKeyError,
    FormDataRoutingRedirect,
    UnexpectedUnicodeError,
    _dump_loader_info,
    _name_source,
    attach_enctype_error_multidict,
    explain_template_loading_attempts,
)
from quaff.testing import FlaskClient


def test_a_form_without_the_encoding_for_files(app: Quaff, client: FlaskClient) -> None:
    """In debug mode, asking for a file that came as a plain field explains what the form lacks."""
    app.debug = True

    @app.post("/")
    def upload() -> str:
        return str(request.files["photo"].filename)

    with pytest.raises(DebugFilesKeyError) as info:
        client.post("/", data={"photo": "cat.jpg"})
    text = str(info.value)
    assert "There is no file 'photo' in request.files." in text
    assert "'application/x-www-form-urlencoded' instead of 'multipart/form-data'" in text
    assert "no file contents were transmitted" in text
    assert 'Put enctype="multipart/form-data" on the form.' in text
    assert text.endswith("This was submitted: 'cat.jpg'")
    sent = client.post("/", data={"photo": (io.BytesIO(b"x"), "cat.jpg")})
    assert sent.text == "cat.jpg"


def test_a_file_that_is_nowhere_in_the_form(app: Quaff) -> None:
    """A key that is in neither is the usual error."""
    with app.test_request_context("/", method="POST", data={"other": "x"}):
        files_class = type(request.files)
        attach_enctype_error_multidict(request)
        assert type(request.files).__name__ == files_class.__name__
        assert isinstance(request.files, files_class)
        with pytest.raises(BadRequestKeyError):
            request.files["photo"]
        with pytest.raises(DebugFilesKeyError):
            request.files["other"]


def test_outside_of_debug_mode_it_is_a_bad_request(app: Quaff, client: FlaskClient) -> None:
    """Clients get a 400 and no explanation."""

    @app.post("/")
    def upload() -> str:
        return str(request.files["photo"].filename)

    app.config["TRAP_BAD_REQUEST_ERRORS"] = False
    response = client.post("/", data={"photo": "cat.jpg"})
    assert response.status_code == 400
    assert b"enctype" not in response.data


@pytest.mark.parametrize("path, mentions_slash", [("/form", True), ("/form?a=1", True), ("/other", False)])
def test_a_redirect_that_would_drop_the_body(app: Quaff, path: str, mentions_slash: bool) -> None:
    """The error names both URLs, and the slash where that is the difference."""
    with app.test_request_context(path, method="POST") as context:
        context.request.routing_exception = RequestRedirect("http://localhost/form/?a=1")
        text = str(FormDataRoutingRedirect(context.request))
    assert f"A request was sent to 'http://localhost{path}'" in text
    assert "canonical URL 'http://localhost/form/?a=1'" in text
    assert ("ends with a slash" in text) is mentions_slash
    assert text.endswith("This exception is only raised in debug mode.")


def test_it_is_raised_in_debug_mode(app: Quaff, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """308, the usual redirect, keeps the body; with 301 debug mode stops the request."""
    app.debug = True
    app.add_url_rule("/form/", "form", view_func=lambda: request.form["a"], methods=["POST"])
    assert client.post("/form", data={"a": "kept"}, follow_redirects=True).text == "kept"
    monkeypatch.setattr(RequestRedirect, "code", 301)
    with pytest.raises(FormDataRoutingRedirect):
        client.post("/form", data={"a": "lost"})


# Templates -------------------------------------------------------------------------------------------------------------


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture
def records(app: Quaff) -> Records:
    """What the app logs."""
    handler = Records()
    app.logger.setLevel(logging.INFO)
    app.logger.addHandler(handler)
    return handler


def test_looking_for_a_template_is_explained(app: Quaff, client: FlaskClient, records: Records) -> None:
    """With EXPLAIN_TEMPLATE_LOADING the log says who was asked, where, and what is probably wrong."""
    blueprint = Blueprint("shop", "shop.views", root_path="/srv/shop", template_folder="pages")
    blueprint.add_url_rule("/", "index", view_func=lambda: render_template("missing.html"))
    app.register_blueprint(blueprint)
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    app.testing = False
    assert client.get("/").status_code == 500
    text = next(text for text in records.texts if text.startswith("Locating"))
    assert text.startswith("Locating template 'missing.html':\n    1: trying loader of application 'tests.conftest'")
    assert "    2: trying loader of blueprint 'shop' (shop.views)" in text
    assert "       searchpath:\n         - /srv/shop/pages\n       -> no match" in text
    assert "Error: the template could not be found." in text
    assert "looked up from an endpoint that belongs to the blueprint 'shop'" in text
    assert "See https://flask.palletsprojects.com/blueprints/#templates" in text


@pytest.mark.parametrize(
    "found, warning",
    [
        ([True, True], "Warning: multiple loaders returned a match for the template."),
        ([False, False], "Error: the template could not be found."),
        ([True, False], None),
    ],
)
def test_the_explanation_counts_matches(app: Quaff, records: Records, found: list[bool], warning: str | None) -> None:
    """One match is right; none and several get a remark, which outside of blueprints is all."""
    attempts: list[Any] = [(DictLoader({}), app, ("text", None, None) if hit else None) for hit in found]
    explain_template_loading_attempts(app, "page.html", attempts)
    (text,) = records.texts
    assert text.count("-> found ('<string>')") == sum(found)
    assert ("Warning:" in text or "Error:" in text) is (warning is not None)
    assert warning is None or text.endswith(warning)


def test_what_is_said_about_a_loader() -> None:
    """Simple attributes are shown; private and complicated ones are not."""
    lines = list(_dump_loader_info(FileSystemLoader(["/a", "/b"], encoding="utf-8")))
    assert lines == [
        "class: jinja2.loaders.FileSystemLoader",
        "encoding: 'utf-8'",
        "followlinks: False",
        "searchpath:",
        "  - /a",
        "  - /b",
    ]
    assert list(_dump_loader_info(ChoiceLoader([]))) == ["class: jinja2.loaders.ChoiceLoader", "loaders:"]
    assert list(_dump_loader_info(ChoiceLoader([DictLoader({})]))) == ["class: jinja2.loaders.ChoiceLoader"]


def test_what_is_neither_app_nor_blueprint() -> None:
    """Anything else is shown by its representation."""
    assert _name_source(5) == "5"


def test_a_name_kept_for_old_programs() -> None:
    """Programs that catch UnexpectedUnicodeError still find it."""
    assert issubclass(UnexpectedUnicodeError, AssertionError)
    assert issubclass(UnexpectedUnicodeError, UnicodeError)
