"""What is put into a store beside plain values."""

from __future__ import annotations

import re

from werkzeug.exceptions import MethodNotAllowed, NotFound

from quaff import Response
from quaff.ext.caching.pages import Raised, Snapshot, etag_of, freeze_error, freeze_response


def test_a_response_as_data() -> None:
    """A plain response is frozen, and comes back as a new one each time."""
    frozen = freeze_response(Response("é", 404, {"X-A": "1"}))
    assert frozen is not None
    assert frozen.body == "é".encode()
    first, second = frozen.thaw(), frozen.thaw()
    first.headers["X-A"] = "2"
    first.set_data("other")
    assert (second.status_code, second.headers["X-A"], second.get_data(as_text=True)) == (404, "1", "é")
    assert frozen == Snapshot("404 NOT FOUND", tuple(second.headers), "é".encode())


def test_responses_that_are_more() -> None:
    """Streams, files, responses with something to close or with attributes of their own are not frozen."""
    streamed = Response(iter(["a"]))
    passed = Response("a", direct_passthrough=True)
    closing = Response("a")
    closing.call_on_close(lambda: None)
    extended = Response("a")
    extended.user = "alice"  # type: ignore[attr-defined]
    for response in (streamed, passed, closing, extended):
        assert freeze_response(response) is None


def test_errors_as_data() -> None:
    """A plain error is frozen; one with more to say is not."""
    assert freeze_error(NotFound("gone")) == Raised(404, "gone")
    assert isinstance(Raised(404, "gone").thaw(), NotFound)
    assert freeze_error(MethodNotAllowed(["GET"])) is None

    class Own(NotFound):
        pass

    assert freeze_error(Own()) is None
    assert freeze_error(NotFound(response=Response("x"))) is None


def test_entity_tags() -> None:
    """They are strong, quoted, and of the content."""
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag_of(b"a"))
    assert etag_of(b"a") == etag_of(b"a") != etag_of(b"b")
