"""One app with a view for each kind of input, in both pipelines, as it runs in production: neither testing nor debug."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from quaff import Quaff, Response, current_app, make_response, redirect, request, session

if TYPE_CHECKING:
    from quaff.testing import FlaskClient


def reach(what: Any) -> dict[str, Any]:
    """Note what reached a view, and say it to the client."""
    current_app.config["REACHED"].append(what)
    return {"reached": what}


def take_json() -> Any:
    """Read a JSON body."""
    return reach(repr(request.get_json())[:100])


def take_form() -> Any:
    """Read a form: its fields, and both names of its files."""
    files = {name: (file.filename, file.raw_filename) for name, file in request.files.items()}  # type: ignore[attr-defined]
    return reach({"form": request.form.to_dict(flat=False), "files": files})


def take_body() -> Any:
    """Read the whole body at once."""
    return reach(len(request.get_data()))


def take_stream() -> Any:
    """Read the body in pieces."""
    return reach(sum(len(chunk) for chunk in iter(lambda: request.stream.read(1000), b"")))


def take_args() -> Any:
    """Read the query."""
    return reach(request.args.to_dict(flat=False))


def take_cookies() -> Any:
    """Read the cookies."""
    return reach(dict(request.cookies))


PARSED_HEADERS = (
    "accept_charsets",
    "accept_encodings",
    "accept_languages",
    "accept_mimetypes",
    "access_route",
    "authorization",
    "cache_control",
    "cookies",
    "if_match",
    "if_none_match",
    "if_range",
    "mimetype_params",
    "pragma",
    "range",
    "user_agent",
)
"""What a request parses out of its headers."""


def take_headers() -> Any:
    """Parse every header that a request can parse."""
    return reach(len([getattr(request, name) for name in PARSED_HEADERS]))


def take_session() -> Any:
    """Read the session."""
    return reach(dict(session))


def take_path(rest: str) -> Any:
    """Read a variable of the path."""
    return reach(rest)


def log_in() -> str:
    """Write the session."""
    session["user"] = "alice"
    return "in"


def say_where() -> Any:
    """Say under which URL the app was reached, and from where."""
    return reach([request.url, request.remote_addr])


def go() -> Any:
    """Redirect to what the test chose."""
    return redirect(current_app.config["TARGET"])


def set_something() -> Response:
    """Let the test change the response."""
    response = make_response("body")
    current_app.config["SET"](response)
    reach("set")
    return response


VIEWS = {
    "/json": take_json,
    "/form": take_form,
    "/body": take_body,
    "/stream": take_stream,
    "/args": take_args,
    "/cookies": take_cookies,
    "/headers": take_headers,
    "/session": take_session,
    "/path/<path:rest>": take_path,
    "/login": log_in,
    "/where": say_where,
    "/go": go,
    "/set": set_something,
}
"""Rule -> view. The first four take POST."""


def build_app(compiled: bool) -> Quaff:
    """Build the app. Each view says what reached it, so that a test sees what did not."""
    app = Quaff("tests.security", root_path=os.path.dirname(__file__), compiled=compiled)
    app.config.update(SECRET_KEY="a key for tests of at least 32 bytes", REACHED=[])
    for number, (rule, view) in enumerate(VIEWS.items()):
        app.add_url_rule(rule, view_func=view, methods=["POST"] if number < 4 else ["GET"])
    return app


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give the app in each pipeline."""
    return build_app(request.param)


@pytest.fixture
def client(app: Quaff) -> FlaskClient:
    """Give a client that sends the `Cookie` header that a test writes, and keeps no cookies."""
    return app.test_client(use_cookies=False)


@pytest.fixture
def reached(app: Quaff) -> list[Any]:
    """Give the list of what the views were given."""
    seen: list[Any] = app.config["REACHED"]
    return seen
