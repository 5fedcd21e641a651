"""What old Flask programs did with the names that are back."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import io
import json
import threading
import uuid

import pytest
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from quaff import Quaff
from quaff.compat import old_flask
from quaff.ctx import RequestContext
from quaff.globals import app_ctx, request_ctx


def test_stacks_outside_of_a_context() -> None:
    """Without a context there is nothing on top."""
    assert old_flask._request_ctx_stack.top is None
    assert old_flask._app_ctx_stack.top is None
    assert old_flask._app_ctx_stack.pop() is None


def test_tops_of_the_stacks(app: Quaff) -> None:
    """The tops are the contexts, and extensions keep things on them."""
    with app.test_request_context("/path"):
        top = old_flask._request_ctx_stack.top
        assert isinstance(top, RequestContext)
        assert top.request.path == "/path"
        assert top is request_ctx._get_current_object()
        old_flask._app_ctx_stack.top.database = "connection"
        assert app_ctx.database == "connection"
    with app.app_context():
        assert old_flask._request_ctx_stack.top is None
        assert old_flask._app_ctx_stack.top.app is app


def test_pushing_and_popping(app: Quaff) -> None:
    """What is pushed is on top until it is popped."""
    outer, inner = app.test_request_context("/outer"), app.test_request_context("/inner")
    stack = old_flask._request_ctx_stack
    with outer:
        stack.push(inner)
        assert stack.top is inner
        assert stack.pop() is inner
        assert stack.top is outer
        assert stack.pop() is None


def test_safe_join(tmp_path: object) -> None:
    """A path below the folder is joined, one that leaves it is a 404."""
    assert old_flask.safe_join("/var/www", "a", "b.txt") == "/var/www/a/b.txt"
    for path in ("../secret", "/etc/passwd", "a/../../b"):
        with pytest.raises(NotFound):
            old_flask.safe_join("/var/www", path)


def test_total_seconds() -> None:
    """Whole seconds, days included."""
    assert old_flask.total_seconds(dt.timedelta(days=1, seconds=2, microseconds=900_000)) == 86_402


def test_get_env(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is production unless the variable says something else."""
    monkeypatch.delenv("FLASK_ENV", raising=False)
    assert old_flask.get_env() == "production"
    monkeypatch.setenv("FLASK_ENV", "development")
    assert old_flask.get_env() == "development"


@pytest.mark.parametrize("value, is_address", [("127.0.0.1", True), ("::1", True), ("localhost", False), ("", False)])
def test_is_ip(value: str, is_address: bool) -> None:
    """Addresses of both versions, and nothing else."""
    assert old_flask.is_ip(value) is is_address


def test_locked_cached_property() -> None:
    """Threads that ask at once make it compute once; it can be set and deleted."""
    computed: list[int] = []
    barrier = threading.Barrier(8)

    class Thing:
        @old_flask.locked_cached_property
        def value(self) -> int:
            """Documented."""
            computed.append(1)
            return len(computed)

    thing = Thing()

    def read() -> None:
        barrier.wait()
        assert thing.value == 1

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert computed == [1]
    thing.value = 7
    assert thing.value == 7
    del thing.value
    assert thing.value == 2
    assert Thing.value.__doc__ == "Documented."


@dataclasses.dataclass
class Point:
    """Something that JSON does not know."""

    x: int


class Page:
    """Something that is HTML."""

    def __html__(self) -> str:
        return "<b>"


def test_json_encoder() -> None:
    """A subclass adds its own types to those that Flask knows."""

    class Encoder(old_flask.JSONEncoder):
        def default(self, o: object) -> object:
            return "set" if isinstance(o, set) else super().default(o)

    values = [
        dt.date(2024, 2, 29),
        decimal.Decimal("1.50"),
        uuid.UUID(int=1),
        Point(3),
        Page(),
        {1},
    ]
    assert json.loads(json.dumps(values, cls=Encoder)) == [
        "Thu, 29 Feb 2024 00:00:00 GMT",
        "1.50",
        "00000000-0000-0000-0000-000000000001",
        {"x": 3},
        "<b>",
        "set",
    ]
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(object(), cls=Encoder)


def test_json_decoder() -> None:
    """It is that of the standard library, for subclasses."""
    assert json.loads('{"a": [1]}', cls=old_flask.JSONDecoder) == {"a": [1]}


def test_htmlsafe_json() -> None:
    """The result can stand in a script."""
    safe = old_flask.htmlsafe_dumps({"a": "</script>&'"})
    assert safe == '{"a": "\\u003c/script\\u003e\\u0026\\u0027"}'
    assert isinstance(safe, Markup)
    assert old_flask.tojson_filter([1]) == "[1]"
    file = io.StringIO()
    old_flask.htmlsafe_dump("<", file)
    assert file.getvalue() == '"\\u003c"'
