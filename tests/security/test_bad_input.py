"""Bad input of every kind: a clear answer, nothing lost, and never a traceback to the client outside of debug mode."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

import pytest
from itsdangerous import URLSafeTimedSerializer

from quaff import Quaff
from quaff.sessions import SecureCookieSessionInterface

if TYPE_CHECKING:
    from quaff.testing import FlaskClient

JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=B"

TERMINATED: dict[str, Any] = {"wsgi.input_terminated": True}
CHUNKED = TERMINATED | {"HTTP_TRANSFER_ENCODING": "chunked"}


def check_clear(response: Any, status: int) -> None:
    """Hold that the answer is an error page of its own, without anything of the program's inside."""
    assert response.status_code == status
    assert b"<!doctype html>" in response.data
    for inside in (b"Traceback", b"/quaff/", b"File ", b"UnicodeDecodeError"):
        assert inside not in response.data


# --- encodings ---


@pytest.mark.parametrize(
    "path, seen",
    [
        ("/path/%zz", "%zz"),
        ("/path/%", "%"),
        ("/path/100%", "100%"),
        ("/path/%ff", "\ufffd"),
        ("/path/%c3%28", "\ufffd("),
        ("/path/%c0%af", "\ufffd\ufffd"),
        ("/path/%e2%82", "\ufffd"),
        ("/path/%ed%a0%80", "\ufffd\ufffd\ufffd"),
        ("/path/%c3%a9", "é"),
    ],
)
def test_a_path_with_bad_encoding_is_read_as_in_flask(
    client: FlaskClient, reached: list[Any], path: str, seen: str
) -> None:
    """What does not decode shows as itself or as U+FFFD; nothing raises."""
    assert client.get(path).status_code == 200
    assert reached == [seen]


def test_a_path_of_raw_bytes_is_read(client: FlaskClient, reached: list[Any]) -> None:
    """Some clients do not percent-encode at all."""
    for raw in ("/path/\xc3\xa9", "/path/\xff"):
        assert client.get("/", environ_overrides={"PATH_INFO": raw}).status_code == 200
    assert reached == ["é", "\ufffd"]


@pytest.mark.parametrize(
    "query, seen",
    [
        ("a=%zz", "%zz"),
        ("a=%", "%"),
        ("a=%ff", "%FF"),
        ("a=%c3%28", "%C3("),
        ("a=%e2%82%ac", "€"),
        ("a=\xc3\xa9", "é"),
        ("a=%00", "\0"),
    ],
)
def test_a_query_with_bad_percent_encoding_is_read_as_in_flask(
    client: FlaskClient, reached: list[Any], query: str, seen: str
) -> None:
    """What does not decode stays percent-encoded; nothing raises."""
    assert client.get("/args", environ_overrides={"QUERY_STRING": query}).status_code == 200
    assert reached == [{"a": [seen]}]


@pytest.mark.parametrize("query", ["a=\xff", "\xff", "a=1&b=\xc3", "a=\xed\xa0\x80"], ids=ascii)
def test_a_query_of_raw_bytes_that_are_not_utf8_is_a_400(client: FlaskClient, reached: list[Any], query: str) -> None:
    """Flask: 500 with `UnicodeDecodeError`."""
    response = client.get("/args", environ_overrides={"QUERY_STRING": query})
    check_clear(response, 400)
    assert b"The query string is not valid UTF-8" in response.data
    assert reached == []


def test_a_view_that_does_not_read_the_query_does_not_mind(client: FlaskClient) -> None:
    """Nothing is parsed that nobody reads."""
    assert client.get("/cookies", environ_overrides={"QUERY_STRING": "a=\xff"}).status_code == 200


@pytest.mark.parametrize(
    "body, seen", [(b"a=%zz", "%zz"), (b"a=%ff", "%FF"), ("a=é".encode(), "é"), (b"a=%c3%a9+b", "é b")]
)
def test_a_form_with_bad_percent_encoding_is_read_as_in_flask(
    client: FlaskClient, reached: list[Any], body: bytes, seen: str
) -> None:
    """As the query."""
    assert client.post("/form", data=body, content_type=URLENCODED).status_code == 200
    assert reached[0]["form"] == {"a": [seen]}


@pytest.mark.parametrize("body", [b"a=\xff", b"\xff", b"a=1&b=\xc3"])
def test_a_form_of_bytes_that_are_not_utf8_is_a_400(client: FlaskClient, reached: list[Any], body: bytes) -> None:
    """Flask: an empty form, which the view takes for a form without fields."""
    response = client.post("/form", data=body, content_type=URLENCODED)
    check_clear(response, 400)
    assert b"The form is not valid UTF-8" in response.data
    assert reached == []


@pytest.mark.parametrize("cookie", ["bad=\xff; good=1", "good=1; bad=\xc3", "\xff=1; good=1"], ids=ascii)
def test_a_cookie_that_is_not_utf8_harms_no_other(client: FlaskClient, reached: list[Any], cookie: str) -> None:
    """Flask: 500 on each request of that browser, until its user clears the cookies."""
    assert client.get("/cookies", headers={"Cookie": cookie}).status_code == 200
    assert reached[0]["good"] == "1"
    assert client.get("/session", headers={"Cookie": f"session=\xff; {cookie}"}).status_code == 200
    assert reached[1] == {}


# --- JSON ---


@pytest.mark.parametrize("body", ["", "{", "[1,]", "nul", "{'a': 1}", '{"a": 1} x', "\x00", '"\n"', "\\", "{}{}"])
def test_broken_json_is_a_400(client: FlaskClient, reached: list[Any], body: str) -> None:
    """The view is never given half a document."""
    check_clear(client.post("/json", data=body, content_type=JSON), 400)
    assert reached == []


def test_json_that_is_not_utf8_is_a_400(client: FlaskClient) -> None:
    """Bytes that are no text are no JSON."""
    check_clear(client.post("/json", data=b'"\xff"', content_type=JSON), 400)


def test_too_many_digits_are_a_400(client: FlaskClient) -> None:
    """Python refuses to convert more than 4,300 digits, with an error of its own."""
    check_clear(client.post("/json", data="1" * 5000, content_type=JSON), 400)


def test_the_wrong_type_is_a_415(client: FlaskClient, reached: list[Any]) -> None:
    """Also when there is no body or no type at all."""
    check_clear(client.post("/json", data="{}", content_type="text/plain"), 415)
    check_clear(client.post("/json"), 415)
    assert reached == []


def test_in_debug_mode_the_answer_says_what_is_wrong(app: Quaff, client: FlaskClient) -> None:
    """The developer sees the parser's words; a stranger does not."""
    assert b"Expecting" not in client.post("/json", data="{", content_type=JSON).data
    app.debug = True
    assert b"Expecting" in client.post("/json", data="{", content_type=JSON).data


# --- sizes ---

BODIES = {
    "/body": (None, b"x" * 1001),
    "/stream": (None, b"x" * 1001),
    "/json": (JSON, b'"' + b"x" * 999 + b'"'),
    "/form urlencoded": (URLENCODED, b"a=" + b"x" * 999),
    "/form multipart": (
        MULTIPART,
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'.ljust(993, b"x") + b"\r\n--B--\r",
    ),
}
"""View -> a body of 1,001 bytes for it."""


@pytest.mark.parametrize("view, sent", BODIES.items(), ids=BODIES)
@pytest.mark.parametrize("how", [{}, TERMINATED], ids=["open", "terminated"])
def test_an_announced_body_over_the_limit_is_a_413(
    app: Quaff, client: FlaskClient, reached: list[Any], view: str, sent: tuple[str | None, bytes], how: dict[str, Any]
) -> None:
    """Whichever way the view reads it; at the limit it is accepted."""
    content_type, body = sent
    assert len(body) == 1001
    path = view.partition(" ")[0]
    app.config["MAX_CONTENT_LENGTH"] = 1000
    check_clear(client.post(path, data=body, content_type=content_type, environ_overrides=how), 413)
    assert reached == []
    app.config["MAX_CONTENT_LENGTH"] = 1001
    assert client.post(path, data=body, content_type=content_type, environ_overrides=how).status_code == 200


@pytest.mark.parametrize("view, sent", BODIES.items(), ids=BODIES)
def test_a_chunked_body_over_the_limit_is_a_413(
    app: Quaff, client: FlaskClient, reached: list[Any], view: str, sent: tuple[str | None, bytes]
) -> None:
    """Flask hands out the first bytes as if they were all. At the limit it is accepted."""
    content_type, body = sent
    path = view.partition(" ")[0]

    def post() -> Any:
        return client.post(path, input_stream=io.BytesIO(body), content_type=content_type, environ_overrides=CHUNKED)

    app.config["MAX_CONTENT_LENGTH"] = 1000
    check_clear(post(), 413)
    assert reached == []
    app.config["MAX_CONTENT_LENGTH"] = 1001
    assert post().status_code == 200


@pytest.mark.parametrize("view, sent", BODIES.items(), ids=BODIES)
@pytest.mark.parametrize("how", [{}, TERMINATED], ids=["open", "terminated"])
@pytest.mark.parametrize("arrived", [0, 5, 1000])
def test_a_body_shorter_than_announced_is_a_400(
    client: FlaskClient,
    reached: list[Any],
    view: str,
    sent: tuple[str | None, bytes],
    how: dict[str, Any],
    arrived: int,
) -> None:
    """The connection broke; what came never passes for the whole. Flask under Granian: 200."""
    content_type, body = sent
    response = client.post(
        view.partition(" ")[0],
        input_stream=io.BytesIO(body[:arrived]),
        content_type=content_type,
        environ_overrides=how | {"CONTENT_LENGTH": "1001"},
    )
    check_clear(response, 400)
    assert reached == []


def test_too_many_parts_are_a_413(client: FlaskClient, reached: list[Any]) -> None:
    """1,000 parts are accepted, 1,001 are not."""
    part = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    assert client.post("/form", data=part * 1000 + b"--B--", content_type=MULTIPART).status_code == 200
    check_clear(client.post("/form", data=part * 1001 + b"--B--", content_type=MULTIPART), 413)
    assert len(reached) == 1


def test_a_field_that_is_too_large_is_a_413(client: FlaskClient, reached: list[Any]) -> None:
    """500,000 bytes of memory, also when the form as a whole is small enough."""
    part = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    body = part + b"x" * 500_001 + b"\r\n--B--"
    check_clear(client.post("/form", data=body, content_type=MULTIPART), 413)
    assert reached == []


# --- sessions ---


def _sign(key: str, salt: str = "cookie-session", data: Any = None) -> str:
    interface = SecureCookieSessionInterface()
    serializer = URLSafeTimedSerializer(
        key,
        salt=salt,
        serializer=interface.serializer,
        signer_kwargs={"key_derivation": interface.key_derivation, "digest_method": interface.digest_method},
    )
    return str(serializer.dumps({"user": "mallory"} if data is None else data))


def _good(app: Quaff) -> str:
    return _sign(app.config["SECRET_KEY"], data={"user": "alice"})


TAMPERED = {
    "another key": lambda good: _sign("another key"),
    "another salt": lambda good: _sign("a key for tests of at least 32 bytes", salt="other"),
    "payload changed": lambda good: "x" + good[1:],
    "payload of another": lambda good: _sign("another key").partition(".")[0] + "." + good.partition(".")[2],
    "signature cut": lambda good: good[:-1],
    "signature gone": lambda good: good.rpartition(".")[0],
    "signature empty": lambda good: good.rpartition(".")[0] + ".",
    "time changed": lambda good: ".".join([good.split(".")[0], "AAAAAA", good.split(".")[2]]),
    "time gone": lambda good: ".".join([good.split(".")[0], good.split(".")[2]]),
    "upper case": lambda good: good.upper(),
    "something behind": lambda good: good + "A",
    "something before": lambda good: "." + good,
    "empty": lambda good: "",
    "dots": lambda good: "..",
    "many dots": lambda good: "." * 1000,
    "no base64": lambda good: "$$$.$$$.$$$",
    "spaces": lambda good: "a b",
    "quoted rubbish": lambda good: '"\\"',
    "not latin": lambda good: "\xff\xfe",
    "NUL": lambda good: "\\000.\\000",
    "long": lambda good: "A" * 30_000,
    "compressed rubbish": lambda good: ".eJw" + good[4:],
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_session_is_an_empty_one(
    app: Quaff, client: FlaskClient, reached: list[Any], caplog: pytest.LogCaptureFixture, tamper: Any
) -> None:
    """No error, no message about it to the client, at most one line in the log."""
    response = client.get("/session", headers={"Cookie": f"session={tamper(_good(app))}"})
    assert (response.status_code, reached) == (200, [{}])
    assert len(caplog.records) <= 1


def test_the_untampered_session_is_read(app: Quaff, client: FlaskClient, reached: list[Any]) -> None:
    """What the test above starts from is accepted, also as the first of two, quoted, and among many."""
    many = "; ".join(f"c{number}=x" for number in range(200))
    for header in (
        "session={}",
        "session={}; session=bad",
        'session="{}"',
        "=session=bad; session={}",
        many + "; session={}",
    ):
        client.get("/session", headers={"Cookie": header.format(_good(app))})
    assert reached == [{"user": "alice"}] * 5


@pytest.mark.parametrize("data", [[], "text", 1, None], ids=repr)
def test_a_session_of_another_shape_is_no_500(app: Quaff, client: FlaskClient, data: Any) -> None:
    """Something else may have been signed with the same key and salt."""
    signed = _sign(app.config["SECRET_KEY"], data=[data] if data is None else data)
    assert client.get("/session", headers={"Cookie": f"session={signed}"}).status_code == 200


# --- hosts ---


@pytest.mark.parametrize(
    "host, status",
    [
        ("good.test", 200),
        ("good.test:8000", 200),
        ("sub.wild.test", 200),
        ("wild.test", 200),
        ("evil.test", 400),
        ("good.test.evil.test", 400),
        ("xgood.test", 400),
        ("xwild.test", 400),
        ("good.test@evil.test", 400),
        ("evil.test#good.test", 400),
        ("", 400),
    ],
)
@pytest.mark.parametrize("path", ["/where", "/nothing"])
def test_only_trusted_hosts_are_served(app: Quaff, client: FlaskClient, host: str, status: int, path: str) -> None:
    """`TRUSTED_HOSTS`: a name, or a dot and a name for all below it. Nothing else is even routed."""
    app.config["TRUSTED_HOSTS"] = ["good.test", ".wild.test"]
    response = client.get(path, environ_overrides={"HTTP_HOST": host})
    assert response.status_code == (404 if status == 200 and path == "/nothing" else status)


# --- views ---


@pytest.mark.parametrize(
    "result, message",
    [
        (
            None,
            "did not return a valid response. The function either returned None or ended without a return statement",
        ),
        ((), "did not return a valid response tuple. The tuple must have the form"),
        (("a",), "did not return a valid response tuple. The tuple must have the form"),
        (("a", 200, {}, 1), "did not return a valid response tuple. The tuple must have the form"),
        ((None, 200), "did not return a valid response"),
        (1, "did not return a valid response. The return type must be a string, dict, list, tuple"),
        (object(), "did not return a valid response. The return type must be a string, dict, list, tuple"),
    ],
    ids=["None", "empty tuple", "tuple of one", "tuple of four", "None in a tuple", "int", "object"],
)
def test_a_view_that_returns_no_response_says_so(
    app: Quaff, client: FlaskClient, caplog: pytest.LogCaptureFixture, result: Any, message: str
) -> None:
    """The client gets a plain 500; the log says what it may return, in Flask's words, and for None names the view."""

    @app.get("/odd")
    def odd_view() -> Any:
        return result

    check_clear(client.get("/odd"), 500)
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is TypeError
    assert message in str(record.exc_info[1])
    assert "'odd_view'" in str(record.exc_info[1]) or result is not None


def test_an_error_of_a_view_is_logged_once_and_shown_to_nobody(
    app: Quaff, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """One record with the traceback, a page without it."""

    @app.get("/error")
    def error() -> Any:
        raise RuntimeError("the password is hunter2")

    response = client.get("/error")
    check_clear(response, 500)
    assert b"hunter2" not in response.data
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "hunter2" in str(record.exc_info[1])
