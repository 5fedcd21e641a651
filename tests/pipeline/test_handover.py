"""What a coroutine handler hands to a worker thread as one call."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from quaff import Quaff, Response
from quaff.pipeline.handover import first_answer, handle_error, parts_of, pass_on, preprocess_all
from quaff.streaming import AsyncBody
from tests.contracts.test_calls import environ


def test_the_first_answer_ends_it() -> None:
    """Functions after the one that answers are not called; without an answer there is None."""
    seen: list[str] = []

    def hook(name: str, answer: Any) -> Any:
        return lambda: seen.append(name) or answer

    assert first_answer((hook("a", None), hook("b", ""), hook("c", "late"))) == ""
    assert seen == ["a", "b"]
    assert first_answer((hook("d", None),)) is None


def test_a_response_is_passed_on() -> None:
    """Each function gets what the one before it returned."""
    assert pass_on((lambda text: f"{text}1", lambda text: f"{text}2"), "r") == "r12"


def test_preprocessors_get_endpoint_and_values(app: Quaff) -> None:
    """And may change the values in place."""
    app.add_url_rule("/<lang>", "page", lambda lang: lang)
    with app.test_request_context("/de") as context:
        preprocess_all((lambda endpoint, values: values.update(seen=endpoint),), context.request)
        assert context.request.view_args == {"lang": "de", "seen": "page"}


def test_an_error_is_the_current_one() -> None:
    """The app's methods look at `sys.exc_info()`; what they return is returned, what they raise is raised."""
    error = LookupError("gone")
    assert handle_error(lambda caught: (caught, sys.exc_info()[1]), error) == (error, error)

    def again(caught: Exception) -> None:
        raise caught

    with pytest.raises(LookupError, match="gone"):
        handle_error(again, error)


def test_the_parts_of_a_whole_response() -> None:
    """Status line, headers and bytes; nothing for HEAD but the length."""
    status, headers, body = parts_of(Response("text", 201), environ("/"))
    assert (status, dict(headers)["Content-Length"], body) == ("201 CREATED", "4", b"text")
    status, headers, body = parts_of(Response("text"), environ("/") | {"REQUEST_METHOD": "HEAD"})
    assert (dict(headers)["Content-Length"], body) == ("4", b"")


def test_the_parts_of_a_stream() -> None:
    """An iterable stays one, and closes with its response."""
    closed: list[bool] = []
    response = Response(iter(["a", "b"]))
    response.call_on_close(lambda: closed.append(True))
    body: Any = parts_of(response, environ("/"))[2]
    assert list(body) == [b"a", b"b"]
    body.close()
    assert closed == [True]


def test_an_async_body_is_handed_out_itself() -> None:
    """So that the loop can iterate it without a thread for each piece."""

    async def pieces() -> Any:
        yield "a"

    source = AsyncBody(pieces())
    assert parts_of(Response(source), environ("/"))[2] is source  # type: ignore[arg-type]  # an iterable of bytes


@pytest.mark.parametrize(
    "status, method", [(204, "GET"), (304, "GET"), (204, "HEAD"), (200, "HEAD"), (103, "GET")], ids=str
)
def test_an_async_body_that_is_not_sent(status: int, method: str) -> None:
    """Where there is no content to be sent, none is asked for; closing what stands in for it closes the source."""
    notes: list[str] = []

    class Source:
        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> bytes:
            notes.append("asked")
            return b"content"

        async def aclose(self) -> None:
            notes.append("closed")

    response = Response(Source(), status)  # type: ignore[arg-type]  # an iterable of bytes
    response.call_on_close(lambda: notes.append("called"))
    line, _, body = parts_of(response, environ("/") | {"REQUEST_METHOD": method})
    assert int(line[:3]) == status
    assert not isinstance(body, AsyncBody)
    assert list(body) == []
    body.close()  # type: ignore[union-attr]  # not bytes
    assert notes == ["closed", "called"]
