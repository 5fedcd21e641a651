"""The reference pipeline: Flask's way through the app's overridable methods."""

from __future__ import annotations

from typing import Any

import pytest

from quaff import Quaff
from quaff.globals import active_context
from quaff.pipeline import reference
from tests.contracts.test_calls import environ, start_response


def make_app(view: Any = lambda: "answer") -> Quaff:
    """Return an app on the reference pipeline, with one view."""
    app = Quaff("reference", static_folder=None, compiled=False)
    app.add_url_rule("/", "view", view)
    return app


def body(result: Any) -> bytes:
    """Return what is sent."""
    return b"".join(result)


def test_serves() -> None:
    """It takes an app and what a server passes, and returns the body."""
    assert body(reference.serve(make_app(), environ("/"), start_response)) == b"answer"
    assert active_context() is None


def test_goes_through_the_methods() -> None:
    """Each step is a method of the app that a subclass may override, called in Flask's order."""
    names = (
        "request_context", "full_dispatch_request", "preprocess_request", "dispatch_request", "finalize_request",
        "make_response", "process_response", "do_teardown_request", "do_teardown_appcontext",
    )  # fmt: skip
    called: list[str] = []
    app = make_app()

    def noting(name: str, original: Any) -> Any:
        def method(*args: Any, **kwargs: Any) -> Any:
            called.append(name)
            return original(*args, **kwargs)

        return method

    for name in names:
        setattr(app, name, noting(name, getattr(app, name)))
    body(reference.serve(app, environ("/"), start_response))
    assert tuple(called) == names


def test_an_unhandled_error() -> None:
    """`handle_exception` gets what nobody handled; the teardown functions see it too."""
    seen: list[Any] = []
    error = LookupError("view")

    def view() -> str:
        raise error

    app = make_app(view)
    app.handle_exception = lambda e: (seen.append(e), app.make_response(("own", 500)))[1]  # type: ignore[func-returns-value, method-assign]
    app.teardown_request(seen.append)
    assert body(reference.serve(app, environ("/"), start_response)) == b"own"
    assert seen == [error, error]


class Stop(BaseException):
    pass


def test_what_is_no_error_passes() -> None:
    """`SystemExit` and the like reach the server, through the teardown functions."""
    seen: list[Any] = []

    def view() -> str:
        raise Stop

    app = make_app(view)
    app.teardown_request(seen.append)
    with pytest.raises(Stop):
        reference.serve(app, environ("/"), start_response)
    assert [type(error) for error in seen] == [Stop]
    assert active_context() is None


def test_serves_any_app() -> None:
    """It can serve an app that is compiled, for the paths that the compiled pipeline leaves to it."""
    app = Quaff("reference", static_folder=None, compiled=True)
    app.add_url_rule("/branch/", "view", lambda: "answer")
    assert app.test_client().get("/branch").status_code == 308
    assert body(reference.serve(app, environ("/branch/"), start_response)) == b"answer"


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    """`QUAFF_COMPILED=0` puts every app on the reference pipeline that does not say otherwise itself."""
    monkeypatch.setenv("QUAFF_COMPILED", "0")
    assert not Quaff("reference").compiled
    assert Quaff("reference", compiled=True).compiled
    monkeypatch.setenv("QUAFF_COMPILED", "1")
    assert Quaff("reference").compiled
