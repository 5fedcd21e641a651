"""The module-level functions: the app's provider where there is an app, the standard library otherwise."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest

from quaff import Quaff, json, render_template_string, request
from quaff.json.provider import DefaultJSONProvider, JSONProvider


class Loud(DefaultJSONProvider):
    """Writes and reads differently from the standard library, to be recognised."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return super().dumps(obj, **kwargs).upper()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return ["read", super().loads(s, **kwargs)]


def test_without_an_app() -> None:
    """The functions work anywhere, with the further types of the default provider and unsorted keys."""
    assert json.dumps({"b": dt.date(2020, 1, 1), "a": 1}) == '{"b": "Wed, 01 Jan 2020 00:00:00 GMT", "a": 1}'
    assert json.dumps([1, 2], separators=(",", ":")) == "[1,2]"
    assert json.dumps({1}, default=list) == "[1]"
    assert json.loads('{"a": 1}') == {"a": 1}
    assert json.loads(b"[1.5]", parse_float=str) == ["1.5"]
    file = io.StringIO()
    json.dump({"d": dt.date(2020, 1, 1)}, file)
    file.seek(0)
    assert json.load(file) == {"d": "Wed, 01 Jan 2020 00:00:00 GMT"}


def test_with_an_app(app: Quaff) -> None:
    """In an app context the app's provider does all four."""
    app.json = Loud(app)
    with app.app_context():
        assert json.dumps("abc") == '"ABC"'
        assert json.loads("1") == ["read", 1]
        file = io.StringIO()
        json.dump("abc", file)
        assert file.getvalue() == '"ABC"'
        file.seek(0)
        assert json.load(file) == ["read", "ABC"]


def test_options_reach_the_provider(app: Quaff) -> None:
    """Options are passed on."""
    with app.app_context():
        assert json.dumps({"b": 1, "a": 1}, sort_keys=False) == '{"b": 1, "a": 1}'
        assert json.loads("[1.5]", parse_float=str) == ["1.5"]


def test_jsonify_makes_a_response(app: Quaff) -> None:
    """`jsonify` is the provider's `response`."""
    with app.test_request_context():
        response = json.jsonify(a=1)
    assert isinstance(response, app.response_class)
    assert response.data == b'{"a":1}\n'
    assert response.mimetype == "application/json"


def test_jsonify_needs_an_app() -> None:
    """Outside of an app context there is no response class."""
    with pytest.raises(RuntimeError, match=r"Working outside of application context\."):
        json.jsonify(a=1)


def test_request_bodies_go_through_the_provider(app: Quaff) -> None:
    """`request.get_json` reads with the app's provider."""
    app.json = Loud(app)
    with app.test_request_context(data="[1]", content_type="application/json") as context:
        assert context.request.get_json() == ["read", [1]]


@pytest.mark.parametrize("body", [b"[" * 100_000, '{"a":1}'.encode("utf-16"), b"\xef\xbb1", b"{", b""])
def test_bad_bodies_are_bad_requests(app: Quaff, body: bytes) -> None:
    """Whatever is wrong with a JSON body, the answer is 400 and the view does not see it."""

    @app.post("/")
    def index() -> Any:
        return str(request.get_json())

    response = app.test_client().post("/", data=body, content_type="application/json")
    assert response.status_code == 400


def test_strictness_is_configured(app: Quaff) -> None:
    """JSON_STRICT turns what readers disagree about into bad requests."""

    @app.post("/")
    def index() -> Any:
        return str(request.get_json())

    client = app.test_client()
    assert client.post("/", data=b'{"a":1,"a":2}', content_type="application/json").text == "{'a': 2}"
    app.config["JSON_STRICT"] = True
    assert client.post("/", data=b'{"a":1,"a":2}', content_type="application/json").status_code == 400


def test_a_provider_class_can_be_chosen() -> None:
    """`json_provider_class` decides what `app.json` is."""

    class Shop(Quaff):
        json_provider_class = Loud

    shop = Shop(__name__)
    assert isinstance(shop.json, Loud)
    assert issubclass(DefaultJSONProvider, JSONProvider)


def test_templates_write_json_through_the_provider(app: Quaff) -> None:
    """The filter `tojson` knows the provider's types."""
    with app.app_context():
        text = render_template_string("{{ data|tojson }}", data={"d": dt.date(2021, 2, 1), "x": "</script>"})
    assert text == '{"d": "Mon, 01 Feb 2021 00:00:00 GMT", "x": "\\u003c/script\\u003e"}'
