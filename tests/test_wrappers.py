"""Requests: Werkzeug's `Request` over the same environ is the oracle. Responses have a file of their own beside this one."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import quote

import pytest
import werkzeug.wrappers
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.exceptions import BadRequest, NotFound, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.test import EnvironBuilder

from quaff import Blueprint, Quaff, Request, json, request
from quaff.debughelpers import DebugFilesKeyError
from quaff.sessions import SecureCookieSessionInterface

# What is compared with Werkzeug's request, attribute by attribute.
ATTRIBUTES = (
    "accept_charsets accept_encodings accept_languages accept_mimetypes access_control_request_headers "
    "access_control_request_method access_route args authorization base_url cache_control charset content_encoding "
    "content_length content_md5 content_type cookies date full_path host host_url if_match if_modified_since "
    "if_none_match if_range if_unmodified_since is_json is_multiprocess is_multithread is_run_once is_secure "
    "max_forwards method mimetype mimetype_params origin path pragma query_string range referrer remote_addr "
    "remote_user root_path root_url scheme script_root server trusted_hosts url url_root user_agent values "
    "want_form_data_parsed"
).split()

text = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=12)
paths = st.text(max_size=15).map(lambda path: "/" + path.encode(errors="replace").decode("latin1"))


def headers_strategy() -> st.SearchStrategy[dict[str, str]]:
    """Return environ entries for headers that requests give structure to."""
    return st.fixed_dictionaries(
        {},
        optional={
            "HTTP_ACCEPT": st.sampled_from(["", "text/html", "text/html;q=0.5, */*", "application/json, text/*;q=x"]),
            "HTTP_ACCEPT_LANGUAGE": st.sampled_from(["de", "de-DE,de;q=0.9,en;q=0.8", ";;,"]),
            "HTTP_AUTHORIZATION": st.sampled_from(["Basic YTpi", "Bearer x", "Basic !", "Digest a=b", ""]),
            "HTTP_CACHE_CONTROL": st.sampled_from(["no-cache", "max-age=5", "max-age=x"]),
            "HTTP_DATE": st.sampled_from(["Tue, 15 Nov 1994 08:12:31 GMT", "yesterday"]),
            "HTTP_HOST": st.sampled_from(
                ["localhost", "shop.example:8080", "shop.example:80", "[::1]:5000", "127.0.0.1"]
            ),
            "HTTP_IF_NONE_MATCH": st.sampled_from(['"a", W/"b"', "*", "a"]),
            "HTTP_IF_MODIFIED_SINCE": st.sampled_from(["Tue, 15 Nov 1994 08:12:31 GMT", "x"]),
            "HTTP_MAX_FORWARDS": st.sampled_from(["1", "x", "-1"]),
            "HTTP_ORIGIN": text,
            "HTTP_PRAGMA": st.sampled_from(["no-cache, x", ""]),
            "HTTP_RANGE": st.sampled_from(["bytes=0-5", "bytes=-5", "bytes=x", "rows=1-2"]),
            "HTTP_REFERER": text,
            "HTTP_USER_AGENT": text,
            "HTTP_X_FORWARDED_FOR": st.sampled_from(["1.2.3.4, 5.6.7.8", "x"]),
        },
    )


def environs() -> st.SearchStrategy[dict[str, Any]]:
    """Return whole environs, as servers make them, with some keys left out."""
    basics = st.fixed_dictionaries(
        {"REQUEST_METHOD": st.sampled_from(["GET", "post", "DELETE", "OPTIONS", "X-Y"]), "PATH_INFO": paths},
        optional={
            "CONTENT_LENGTH": st.sampled_from(["", "0", "5", "x", "-1"]),
            "CONTENT_TYPE": st.sampled_from(
                [
                    "",
                    "text/plain",
                    "application/json",
                    "application/vnd.x+json; charset=utf-8",
                    "text/html; Charset=LATIN1; x=y",
                ]
            ),
            "QUERY_STRING": st.sampled_from(
                ["", "a=1&b=2&a=3", "a", "a=%20+%C3%A9", "&&=;", "ü=ä".encode().decode("latin1")]
            ),
            "REMOTE_ADDR": st.sampled_from(["127.0.0.1", "::1", ""]),
            "REMOTE_USER": text,
            "SCRIPT_NAME": st.sampled_from(["", "/", "/app", "/app/", "/\xc3\xa4"]),
            "SERVER_NAME": st.sampled_from(["localhost", "shop.example", "unix:/run/shop"]),
            "SERVER_PORT": st.sampled_from(["80", "443", "5000", "x", ""]),
            "wsgi.url_scheme": st.sampled_from(["http", "https"]),
        },
    )
    fixed = {"wsgi.multiprocess": False, "wsgi.multithread": True, "wsgi.run_once": False, "wsgi.input": io.BytesIO()}
    return st.builds(
        lambda a, b: {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http", **fixed, **a, **b},
        basics,
        headers_strategy(),
    )


def outcome(request: Any, name: str) -> Any:
    """Return what reading an attribute gives: a value that can be compared, or the class of what it raised."""
    try:
        value = getattr(request, name)
    except Exception as error:
        return type(error)
    return list(value.items(multi=True)) if isinstance(value, MultiDict) else value


def both(environ: dict[str, Any]) -> tuple[Request, werkzeug.wrappers.Request]:
    """Return Quaff's and Werkzeug's request for the same environ."""
    return Request(dict(environ)), werkzeug.wrappers.Request(dict(environ))


# Like Werkzeug's -------------------------------------------------------------------------------------------------------


@given(environ=environs())
@settings(max_examples=200, deadline=None)
def test_each_attribute_is_that_of_werkzeug(environ: dict[str, Any]) -> None:
    """For any environ each attribute has Werkzeug's value, or raises what Werkzeug raises."""
    ours, theirs = both(environ)
    for name in ATTRIBUTES:
        assert repr(outcome(ours, name)) == repr(outcome(theirs, name)), name
    assert list(ours.headers) == list(theirs.headers)
    assert repr(ours) == repr(theirs)


@given(environ=environs(), order=st.permutations(ATTRIBUTES))
@settings(max_examples=30, deadline=None)
def test_the_order_of_reading_does_not_matter(environ: dict[str, Any], order: list[str]) -> None:
    """Lazy attributes do not disturb each other: whatever was read before, a value is the same."""
    one, two = Request(dict(environ)), Request(dict(environ))
    for name in order:
        outcome(one, name)
    for name in ATTRIBUTES:
        assert repr(outcome(one, name)) == repr(outcome(two, name)), name


@pytest.mark.parametrize(
    "missing", ["SCRIPT_NAME", "QUERY_STRING", "SERVER_PORT", "REMOTE_ADDR", "REQUEST_METHOD", "PATH_INFO"]
)
def test_an_environ_without_a_key(missing: str) -> None:
    """Servers may leave keys out; the attributes then have Werkzeug's defaults."""
    environ = EnvironBuilder("/a?b=c").get_environ()
    environ.pop(missing, None)
    ours, theirs = both(environ)
    for name in ("root_path", "query_string", "server", "remote_addr", "method", "path", "url"):
        assert outcome(ours, name) == outcome(theirs, name)


def test_it_is_a_werkzeug_request() -> None:
    """`isinstance` checks against Werkzeug's classes hold, and the environ knows its request."""
    environ = EnvironBuilder().get_environ()
    made = Request(environ)
    assert isinstance(made, werkzeug.wrappers.Request)
    assert environ["werkzeug.request"] is made
    Request(unknown := EnvironBuilder().get_environ(), populate_request=False)
    assert "werkzeug.request" not in unknown


def test_attributes_can_be_replaced() -> None:
    """Middleware and tests set attributes on a request; what they set is what is read, also by dependents."""
    made = Request(EnvironBuilder("/a?b=1").get_environ())
    made.method, made.path, made.scheme = "PUT", "/other", "https"  # type: ignore[misc]
    made.query_string = b"c=2"  # type: ignore[misc]
    made.remote_addr = "9.9.9.9"  # type: ignore[misc]
    assert (made.method, made.path, made.remote_addr, made.is_secure) == ("PUT", "/other", "9.9.9.9", True)
    assert made.args["c"] == "2"
    assert made.url == "https://localhost/other?c=2"


def test_a_class_attribute_of_a_subclass_wins() -> None:
    """A subclass may override a lazy attribute by a value or a property, and the storage class of parameters."""

    class Mine(Request):
        remote_addr = "fixed"  # type: ignore[assignment]
        parameter_storage_class = MultiDict  # type: ignore[assignment]

        @property
        def method(self) -> str:  # type: ignore[override]
            return "MINE"

    made = Mine(EnvironBuilder("/?a=1").get_environ())
    assert (made.remote_addr, made.method) == ("fixed", "MINE")
    assert type(made.args) is MultiDict
    assert isinstance(Request(EnvironBuilder("/?a=1").get_environ()).args, ImmutableMultiDict)


@given(raw=st.binary(max_size=30))
@settings(max_examples=100, deadline=None)
def test_a_query_of_any_bytes_never_fails_otherwise(raw: bytes) -> None:
    """A query is parsed or is a 400, whatever bytes a client sends; percent-encoded bytes are Werkzeug's."""
    environ = EnvironBuilder().get_environ()
    environ["QUERY_STRING"] = raw.decode("latin1")
    try:
        parsed = Request(environ).args
    except BadRequest:
        with pytest.raises(UnicodeDecodeError):
            raw.decode()
    else:
        assert all(isinstance(value, str) for _, value in parsed.items(multi=True))
    environ["QUERY_STRING"] = "a=" + quote(raw)
    assert Request(environ).args["a"] == werkzeug.wrappers.Request(dict(environ)).args["a"]


# The body --------------------------------------------------------------------------------------------------------------


UPLOAD = (
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="n.txt"\r\n\r\ncontent\r\n--x--\r\n'
)
BODIES: dict[str, tuple[str, bytes]] = {
    "form": ("application/x-www-form-urlencoded", "a=1&b=ü&b=%C3%A9+x".encode()),
    "multipart": ("multipart/form-data; boundary=x", UPLOAD),
    "text": ("text/plain", b"raw"),
    "json": ("application/json", b'{"a": [1, null]}'),
    "nothing": ("", b""),
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("first", ["form", "data", "stream", "json", "files", "values", "get_data"])
def test_the_body_is_read_as_by_werkzeug(kind: str, first: str) -> None:
    """Whichever way the body is asked for first, every way gives what Werkzeug gives after the same start."""
    content_type, body = BODIES[kind]

    def value(made: Any, name: str) -> Any:
        if name == "stream":
            return made.stream.read()
        if name == "json":
            return made.get_json(silent=True)
        if name == "get_data":
            return made.get_data()
        found = getattr(made, name)
        if name == "files":
            return [(key, file.filename, file.read()) for key, file in found.items(multi=True)]
        return list(found.items(multi=True)) if hasattr(found, "items") else found

    def read(cls: type[Any]) -> list[Any]:
        made = cls(
            EnvironBuilder(
                "/?q=1",
                method="POST",
                input_stream=io.BytesIO(body),
                content_type=content_type,
                content_length=len(body),
            ).get_environ()
        )
        try:
            return [value(made, name) for name in (first, "form", "data", "files", "values", "json")]
        finally:
            made.close()

    assert read(Request) == read(werkzeug.wrappers.Request)


def test_a_shallow_request_reads_no_body() -> None:
    """With `shallow` reading the body explains itself."""
    made = Request(EnvironBuilder(method="POST", data=b"x").get_environ(), shallow=True)
    for read in (lambda: made.stream, lambda: made.get_data(), lambda: made.form):
        with pytest.raises(RuntimeError, match="shallow=True"):
            read()


@pytest.fixture(params=[True, False], ids=["compiled", "reference"])
def app(request: pytest.FixtureRequest) -> Quaff:
    """Give an app of each pipeline."""
    return make_app(compiled=request.param)


def make_app(compiled: bool) -> Quaff:
    """Return an app whose views read the body in different ways."""
    app = Quaff("shop", compiled=compiled)
    app.config["TRAP_BAD_REQUEST_ERRORS"] = False

    @app.post("/<how>")
    def read(how: str) -> Any:
        if how == "json":
            return {"got": request.json}
        if how == "silent":
            return {"got": request.get_json(silent=True)}
        if how == "form":
            return {"got": request.form.to_dict()}
        if how == "files":
            return request.files["f"].read()
        if how == "limit":
            request.max_content_length = 3
        return request.get_data()

    return app


def test_limits_come_from_the_config_and_from_the_request(app: Quaff) -> None:
    """MAX_CONTENT_LENGTH is 32 MiB unless set; a request may have its own, before the body is read."""
    with app.test_request_context("/"):
        assert request.max_content_length == 32 * 1024 * 1024
        assert (request.max_form_memory_size, request.max_form_parts) == (500_000, 1_000)
        request.max_content_length, request.max_form_memory_size, request.max_form_parts = 1, 2, 3
        assert (request.max_content_length, request.max_form_memory_size, request.max_form_parts) == (1, 2, 3)
        request.max_content_length = 0
        assert request.max_content_length == 0
    app.config.update(MAX_CONTENT_LENGTH=None, MAX_FORM_MEMORY_SIZE=7, MAX_FORM_PARTS=8)
    with app.test_request_context("/"):
        assert request.max_content_length is None
        assert (request.max_form_memory_size, request.max_form_parts) == (7, 8)


def test_limits_outside_of_an_app_are_those_of_werkzeug() -> None:
    """A request that no app serves has Werkzeug's limits."""
    made, theirs = Request({}), werkzeug.wrappers.Request
    assert made.max_content_length is theirs.max_content_length
    assert made.max_form_memory_size == theirs.max_form_memory_size
    assert made.max_form_parts == theirs.max_form_parts


@pytest.mark.parametrize("how", ["data", "json", "form"])
def test_a_body_over_the_limit_is_a_413(app: Quaff, how: str) -> None:
    """However it is read, a body over MAX_CONTENT_LENGTH is a 413."""
    app.config["MAX_CONTENT_LENGTH"] = 10
    types = {"data": "text/plain", "json": "application/json", "form": "application/x-www-form-urlencoded"}
    response = app.test_client().post(f"/{how}", data=b"a=1&b=2222222", content_type=types[how])
    assert response.status_code == 413
    assert app.test_client().post("/limit", data=b"1234").status_code == 413
    assert app.test_client().post("/limit", data=b"123").data == b"123"


@pytest.mark.parametrize("debug", [True, False])
def test_broken_json_is_a_400(app: Quaff, debug: bool) -> None:
    """The reason is in the answer in debug mode only; a wrong type is a 415, and `silent` gives None for both."""
    app.config.update(DEBUG=debug, PROPAGATE_EXCEPTIONS=False)
    client = app.test_client()
    response = client.post("/json", data="{", content_type="application/json")
    assert response.status_code == 400
    assert ("Failed to decode JSON" in response.text) == debug
    assert client.post("/json", data="{}", content_type="text/plain").status_code == 415
    for content_type in ("application/json", "text/plain"):
        assert client.post("/silent", data="{", content_type=content_type).json == {"got": None}


def test_json_errors_outside_of_an_app() -> None:
    """A request that no app serves raises the errors without details."""
    environ = EnvironBuilder(method="POST", data="{", content_type="application/json").get_environ()
    with pytest.raises(BadRequest) as caught:
        _ = Request(environ).json
    assert caught.value.description == BadRequest.description
    with pytest.raises(UnsupportedMediaType):
        _ = Request(EnvironBuilder(method="POST", data="{").get_environ()).json


def test_an_app_reads_json_with_its_provider(app: Quaff) -> None:
    """`request.json` goes through `app.json`, and a request alone uses the module."""
    app.json.loads = lambda text, **kwargs: "mine"  # type: ignore[method-assign, assignment]
    assert "mine" in app.test_client().post("/json", json={"a": 1}).get_data(as_text=True)
    with app.test_request_context(json={"a": 1}):
        assert request.json == "mine"
    assert Request.json_module is json


def test_a_missing_file_is_explained_in_debug_mode(app: Quaff) -> None:
    """In debug mode, a file that was sent as a plain field raises an error that tells of the form's encoding."""
    app.testing = True
    app.debug = True
    with pytest.raises(DebugFilesKeyError, match='Put enctype="multipart/form-data" on the form'):
        app.test_client().post("/files", data={"f": "name.txt"})
    app.debug = False
    assert app.test_client().post("/files", data={"f": "name.txt"}).status_code == 400
    assert app.test_client().post("/files", data={"f": (io.BytesIO(b"content"), "n")}).data == b"content"


def test_close_closes_the_uploads() -> None:
    """Closing a request closes its files, and does nothing when none were parsed."""
    made = Request(EnvironBuilder(method="POST", data={"f": (io.BytesIO(b"x"), "n")}).get_environ())
    made.close()
    assert "files" not in vars(made)
    upload = made.files["f"]
    made.close()
    assert upload.closed


def test_uploads_are_closed_when_the_request_ends(app: Quaff) -> None:
    """The app closes what it parsed."""
    kept: list[Any] = []
    app.add_url_rule("/keep", "keep", lambda: str(kept.append(request.files["f"])), methods=["POST"])
    app.test_client().post("/keep", data={"f": (io.BytesIO(b"x"), "n")})
    assert kept[0].closed


# Cookies ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["a=1; b=2", "a=1; a=2", 'a="quoted \\"x\\""; b=', "  a=1 ;b", "", "ab=1; a=2; b=3", "A=1; a=2", "a"]
)
def test_one_cookie_is_found_as_in_all_cookies(header: str) -> None:
    """`find_cookie` gives what `cookies.get` gives, without parsing the others, before and after they were parsed."""
    environ = EnvironBuilder(headers={"Cookie": header}).get_environ()
    oracle = werkzeug.wrappers.Request(environ).cookies
    for name in ("a", "b", "ab", "A", "none"):
        fresh = Request(environ)
        assert fresh.find_cookie(name) == oracle.get(name)
        assert "cookies" not in vars(fresh)
        assert fresh.cookies.get(name) == fresh.find_cookie(name) == oracle.get(name)


def test_a_subclass_may_change_the_cookies() -> None:
    """A request class with `cookies` of its own decides what the session cookie is."""
    app = Quaff("shop")
    app.secret_key = "key"
    signed = SecureCookieSessionInterface().get_signing_serializer(app)
    assert signed is not None

    class Mine(Request):
        @property
        def cookies(self) -> Any:  # type: ignore[override]
            return {"session": signed.dumps({"a": 1})}

    app.request_class = Mine
    opened = SecureCookieSessionInterface().open_session(app, Mine({}))
    assert opened == {"a": 1}


# Flask's own -----------------------------------------------------------------------------------------------------------


def test_routing_attributes(app: Quaff) -> None:
    """Endpoint, blueprint and blueprints come from the rule that matched; before that there are none."""
    outer, inner = Blueprint("outer", "shop"), Blueprint("inner", "shop")
    seen: dict[str, Any] = {}

    def look(**values: Any) -> str:
        seen.update(endpoint=request.endpoint, own=request.blueprint, all=request.blueprints, args=request.view_args)
        return ""

    app.add_url_rule("/plain", "plain", look)
    inner.add_url_rule("/nested/<name>", "nested", look)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    client = app.test_client()
    client.get("/plain")
    assert seen == {"endpoint": "plain", "own": None, "all": [], "args": {}}
    client.get("/nested/x")
    assert seen == {
        "endpoint": "outer.inner.nested",
        "own": "outer.inner",
        "all": ["outer.inner", "outer"],
        "args": {"name": "x"},
    }
    fresh = Request({})
    assert (fresh.endpoint, fresh.blueprint, fresh.blueprints, fresh.url_rule) == (None, None, [], None)
    assert (fresh.view_args, fresh.routing_exception) == (None, None)


def test_a_routing_exception_may_be_set() -> None:
    """Programs put an error of their own there; it is raised when the request is dispatched."""
    app = Quaff("shop", compiled=False)
    app.add_url_rule("/", "index", lambda: "hello")

    class Strict(Request):
        routing_exception = NotFound()

    app.request_class = Strict
    assert app.test_client().get("/").status_code == 404


def test_the_limit_error_says_what_happened() -> None:
    """The 413 is Werkzeug's exception, for handlers to catch."""
    made = Request(EnvironBuilder(method="POST", data=b"12345").get_environ())
    made.max_content_length = 3
    with pytest.raises(RequestEntityTooLarge):
        made.get_data()
