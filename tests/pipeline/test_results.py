"""Results become responses: the short ways give what the long way gives."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.exceptions import MethodNotAllowed, NotFound

from quaff import Quaff, Response, after_this_request, session
from quaff.pipeline.results import (
    Answer,
    finish_anew,
    make_plain_response,
    opens_session_to_refresh,
    run_after_functions,
    save_session,
)


def facts(response: Any) -> Any:
    """Return all that a response sends."""
    return response.status, sorted(response.headers), response.get_data()


@pytest.mark.parametrize("error", [NotFound(), MethodNotAllowed(["GET", "PUT"]), NotFound("own <text>")], ids=repr)
def test_answer_is_the_errors_response(app: Quaff, error: Any) -> None:
    """A finished answer sends what the exception itself would send."""
    answer = Answer(error)
    expected = error.get_response()
    assert (answer.code, answer.status, answer.body) == (expected.status_code, expected.status, expected.get_data())
    assert sorted(answer.headers) == sorted(expected.headers)
    assert facts(answer.response(Response)) == facts(expected)


def test_each_response_of_an_answer_is_its_own() -> None:
    """An after hook may change the response of one request; the next gets a fresh one."""
    answer = Answer(NotFound())
    first = answer.response(Response)
    first.headers["X-Changed"] = "1"
    first.set_data("changed")
    second = answer.response(Response)
    assert "X-Changed" not in second.headers
    assert second.get_data() == answer.body
    assert type(second) is Response


class OwnResponse(Response):
    pass


RESULTS: list[Any] = ["text ü", "", b"bytes", {"a": 1}, [1], ("created", 201), Response("made"), bytearray(b"array")]


@pytest.mark.parametrize("cls", [Response, OwnResponse])
@pytest.mark.parametrize("result", RESULTS, ids=repr)
def test_the_short_way_is_the_long_way(app: Quaff, result: Any, cls: type[Response]) -> None:
    """`make_plain_response` makes what `app.make_response` makes, of the app's class."""
    app.response_class = cls
    with app.test_request_context():
        short, long = make_plain_response(app, result), app.make_response(result)
        assert facts(short) == facts(long)
        assert type(short) is type(long) is cls


def test_a_response_is_passed_through(app: Quaff) -> None:
    """A response of the app's class is itself."""
    response = Response("made")
    assert make_plain_response(app, response) is response


def test_none_is_explained(app: Quaff) -> None:
    """What is no result raises Flask's message."""
    with app.test_request_context(), pytest.raises(TypeError, match="did not return a valid response"):
        make_plain_response(app, None)


def test_an_answer_becomes_a_response(app: Quaff) -> None:
    """A finished answer that somebody wants to see is a response of the app's class."""
    app.response_class = OwnResponse
    made = make_plain_response(app, Answer(NotFound()))
    assert type(made) is OwnResponse
    assert made.status_code == 404


def test_after_functions_run_in_order(app: Quaff) -> None:
    """Functions of `after_this_request` run in the order of registration, those that they register too."""
    seen: list[int] = []

    def first(response: Response) -> Response:
        seen.append(1)
        after_this_request(lambda response: (seen.append(3), response)[1])  # type: ignore[func-returns-value]
        return response

    with app.test_request_context() as context:
        after_this_request(first)
        after_this_request(lambda response: (seen.append(2), Response("other"))[1])  # type: ignore[func-returns-value]
        assert run_after_functions(context, Response()).get_data() == b"other"
    assert seen == [1, 2, 3]


def test_a_session_is_saved(app: Quaff) -> None:
    """A session that was written sets its cookie; a null session is never saved."""
    with app.test_request_context() as context:
        session["user"] = 7
        response = Response()
        save_session(context, response)
        assert response.headers["Set-Cookie"].startswith("session=")
    app.secret_key = None
    with app.test_request_context() as context:
        assert session.get("user") is None
        response = Response()
        save_session(context, response)
        assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("permanent", [True, False])
def test_only_permanent_sessions_are_refreshed(app: Quaff, permanent: bool) -> None:
    """The cookie of a permanent session is opened to be sent again; others, foreign ones and none are left alone."""
    app.add_url_rule("/", "view", lambda: (session.update(n=1), setattr(session, "permanent", permanent), "written")[2])  # type: ignore[func-returns-value]
    cookie = app.test_client().get("/").headers["Set-Cookie"].partition(";")[0]
    with app.test_request_context(headers={"Cookie": cookie}) as context:
        assert opens_session_to_refresh(context) is permanent
    for other in ("session=nonsense", "other=1", "session=eyJfcGVybWFuZW50Ijp0cnVlfQ.x.y"):
        with app.test_request_context(headers={"Cookie": other}) as context:
            assert not opens_session_to_refresh(context)


def test_finish_anew(app: Quaff) -> None:
    """A request during which the app changed is finished with the hooks as they are now, a 404 too."""
    app.after_request(lambda response: (response.headers.__setitem__("X-After", "1"), response)[1])
    with app.test_request_context():
        assert finish_anew(app, "text").headers["X-After"] == "1"
        missed = finish_anew(app, Answer(NotFound()))
        assert (missed.status_code, missed.headers["X-After"]) == (404, "1")
