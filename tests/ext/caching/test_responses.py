"""The response that says how long it is kept."""

from __future__ import annotations

from datetime import timedelta

from quaff import Quaff, Response
from quaff.ext.caching import CachedResponse


def test_it_takes_the_place_of_another() -> None:
    """Status, headers and body are those of the response it was given; the timeout is in seconds."""
    cached = CachedResponse(Response("body", 201, {"X-A": "1"}), timedelta(minutes=1))
    assert isinstance(cached, Response)
    assert (cached.status_code, cached.headers["X-A"], cached.get_data(as_text=True), cached.timeout) == (
        201,
        "1",
        "body",
        60,
    )
    assert CachedResponse(Response("x"), None).timeout is None


def test_it_is_a_response_of_a_view(app: Quaff) -> None:
    """A view may return it without any cache."""
    app.add_url_rule("/", view_func=lambda: CachedResponse(Response("x"), 5), endpoint="i")
    assert app.test_client().get("/").text == "x"
