"""What happens to responses: which are compressed, which vary, and their headers. In both pipelines and on a loop."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quaff import (
    EventStream,
    Quaff,
    Response,
    abort,
    after_this_request,
    jsonify,
    redirect,
    request,
    send_file,
    session,
)
from quaff.ext.compress.negotiation import choose_coding
from quaff.ext.compress.settings import CODINGS
from quaff.pipeline.parts import Battery, Part, Target
from quaff.pipeline.phases import Stage
from tests.contracts.test_calls import answer, calls_of, environ
from tests.ext.compress.apps import ALL, PAGE, both_pipelines, get, get_on_loop, make_app, read, varies

STRONG, WEAK = '"abc"', 'W/"abc"'


def tagged(etag: str) -> Response:
    """Return a response with an ETag."""
    return Response(PAGE, headers={"ETag": etag})


VIEWS: dict[str, Callable[[], Any]] = {
    "text": lambda: PAGE,
    "bytes": lambda: PAGE.encode(),
    "dict": lambda: {"items": PAGE},
    "list": lambda: [PAGE],
    "created": lambda: (PAGE, 201),
    "with headers": lambda: (PAGE, {"X-More": "1"}),
    "object": lambda: Response(PAGE),
    "json object": lambda: jsonify(items=PAGE),
    "plain": lambda: Response(PAGE, mimetype="text/plain"),
    "svg": lambda: Response(PAGE, mimetype="image/svg+xml"),
    "several pieces": lambda: Response([PAGE[:100], PAGE[100:].encode()]),
    "tuple of pieces": lambda: Response((PAGE[:100].encode(), PAGE[100:].encode())),
    "with other vary": lambda: Response(PAGE, headers={"Vary": "Origin"}),
    "of a file": lambda: send_file(io.BytesIO(PAGE.encode()), "text/html"),
    "stream": lambda: (line + "\n" for line in PAGE.splitlines()),
    "session": lambda: session.setdefault("a", PAGE),
}
"""What -> a view whose response is compressed."""

UNTOUCHED: dict[str, Callable[[], Any]] = {
    "small": lambda: "x" * 499,
    "small dict": lambda: {"a": 1},
    "small object": lambda: Response("x" * 499),
    "empty": lambda: Response(),
    "no content": lambda: ("", 204),
    "png": lambda: Response(PAGE, mimetype="image/png"),
    "woff2": lambda: Response(PAGE, mimetype="font/woff2"),
    "no type": lambda: Response(PAGE, content_type=""),
    "coded": lambda: Response(PAGE, headers={"Content-Encoding": "x-own"}),
    "no-transform": lambda: Response(PAGE, headers={"Cache-Control": "no-transform"}),
    "digest": lambda: Response(PAGE, headers={"Content-Digest": "sha-256=:abc=:"}),
    "part": lambda: Response(PAGE, 206, headers={"Content-Range": "bytes 0-9/9999"}),
    "accelerated": lambda: Response(headers={"X-Accel-Redirect": "/a", "Content-Length": "9999"}),
    "not found": lambda: abort(404, PAGE),
    "redirect": lambda: redirect("/" + "x" * 600),
    "error": lambda: (PAGE, 500),
    "events": lambda: EventStream(iter([PAGE])),
    "events by hand": lambda: Response(iter([PAGE]), mimetype="text/event-stream"),
    "short stream": lambda: Response(iter(["x"]), headers={"Content-Length": "1"}),
}
"""What -> a view whose response nobody gets compressed."""


def app_of(view: Callable[[], Any], compiled: bool = True, **config: Any) -> Quaff:
    """Return an app with this view at `/`."""
    app, _ = make_app(compiled, **config)
    app.add_url_rule("/", "view", view, methods=["GET", "POST"])
    return app


def async_app_of(view: Callable[[], Any], **config: Any) -> Quaff:
    """Return an app with this view, async."""

    async def async_view() -> Any:
        return view()

    return app_of(async_view, **config)


@both_pipelines
@pytest.mark.parametrize("accept", [*CODINGS, ALL, "gzip;q=0.5, br;q=0.9"])
@pytest.mark.parametrize("what", VIEWS)
def test_compressed(what: str, accept: str, compiled: bool) -> None:
    """A large response of a type that is worth it is compressed as the client likes it, whatever the view returned."""
    plain = read(get(app_of(VIEWS[what], compiled), accept=None))
    response = get(app_of(VIEWS[what], compiled), accept=accept)
    offered = ("zstd", "br", "deflate") if what in {"stream", "of a file"} else CODINGS
    assert response.headers.get("Content-Encoding") == choose_coding(offered, accept)
    assert read(response) == plain
    assert "accept-encoding" in varies(response)
    if response.content_encoding:
        assert "Accept-Ranges" not in response.headers
        assert len(response.data) < len(plain) / 2


@both_pipelines
@pytest.mark.parametrize("what", VIEWS)
def test_identity_varies(what: str, compiled: bool) -> None:
    """A client that cannot read a coding gets the body as it is, and caches learn that others get it compressed."""
    for accept in (None, "", "identity", "gzip;q=0", "what"):
        response = get(app_of(VIEWS[what], compiled), accept=accept)
        assert "Content-Encoding" not in response.headers
        assert PAGE[:20].encode() in response.data
        assert varies(response).count("accept-encoding") == 1


@both_pipelines
@pytest.mark.parametrize("what", UNTOUCHED)
def test_untouched(what: str, compiled: bool) -> None:
    """What is small, of another type, an error, a part, an event stream or coded already stays; it does not vary either."""
    own = get(app_of(UNTOUCHED[what], compiled, register=False))
    response = get(app_of(UNTOUCHED[what], compiled))
    assert (response.status, response.data) == (own.status, own.data)
    assert sorted(response.headers) == sorted(own.headers)
    assert "accept-encoding" not in varies(response)


@pytest.mark.parametrize("what", [what for what in VIEWS if what != "session"])
def test_on_a_loop(what: str) -> None:
    """On an event loop, async views are compressed as others are."""
    plain = read(get_on_loop(async_app_of(VIEWS[what]), accept=None))
    response = get_on_loop(async_app_of(VIEWS[what]))
    assert response.headers["Content-Encoding"] == "zstd"
    assert read(response) == plain
    assert "accept-encoding" in varies(response)


@pytest.mark.parametrize("what", UNTOUCHED)
def test_untouched_on_a_loop(what: str) -> None:
    """On an event loop, what stays as it is under a synchronous server stays as well."""
    response = get_on_loop(async_app_of(UNTOUCHED[what]))
    assert response.headers.get("Content-Encoding") in {None, "x-own"}
    assert "accept-encoding" not in varies(response)


@both_pipelines
def test_other_words_of_vary_stay(compiled: bool) -> None:
    """`Accept-Encoding` is added to what a response depends on already, once."""
    response = get(app_of(VIEWS["with other vary"], compiled))
    assert varies(response) == ["origin", "accept-encoding"]
    own = get(app_of(lambda: Response(PAGE, headers={"Vary": "accept-encoding"}), compiled))
    assert varies(own) == ["accept-encoding"]
    everything = get(app_of(lambda: Response(PAGE, headers={"Vary": "*"}), compiled))
    assert varies(everything) == ["*"]


@both_pipelines
@pytest.mark.parametrize("size, compressed", [(499, False), (500, True)])
def test_the_smallest_size(size: int, compressed: bool, compiled: bool) -> None:
    """A body of `COMPRESS_MIN_SIZE` bytes is compressed, one byte less is not; bytes count, not characters."""
    for view in (lambda: "x" * size, lambda: Response("x" * size), lambda: Response(["x" * (size - 1), "x"])):
        response = get(app_of(view, compiled))
        assert ("Content-Encoding" in response.headers) is compressed
        assert ("accept-encoding" in varies(response)) is compressed
    assert "Content-Encoding" in get(app_of(lambda: "ä" * 250, compiled)).headers


@both_pipelines
@pytest.mark.parametrize("what", VIEWS)
def test_head(what: str, compiled: bool) -> None:
    """HEAD has the headers of GET, the length of the compressed form included, and no body."""
    app = app_of(VIEWS[what], compiled)
    got, head = get(app), get(app, method="HEAD")
    assert head.data == b""
    assert {name: value for name, value in head.headers if name != "Set-Cookie"} == {
        name: value for name, value in got.headers if name != "Set-Cookie"
    }


@both_pipelines
def test_a_head_view_of_its_own(compiled: bool) -> None:
    """A view that answers HEAD with a length and no body is left alone, but varies as its GET does."""
    response = get(app_of(lambda: Response(headers={"Content-Length": "9000"}), compiled), method="HEAD")
    assert response.headers["Content-Length"] == "9000"
    assert "Content-Encoding" not in response.headers
    assert varies(response) == ["accept-encoding"]


@both_pipelines
def test_post(compiled: bool) -> None:
    """Answers to POST are compressed too."""
    response = get(app_of(VIEWS["text"], compiled), method="POST")
    assert read(response) == PAGE.encode()
    assert response.content_encoding == "zstd"


@both_pipelines
def test_automatic_options(compiled: bool) -> None:
    """An answer without a body is not given one for the sake of a coding."""
    response = get(app_of(VIEWS["text"], compiled), method="OPTIONS")
    assert (response.data, response.content_encoding, varies(response)) == (b"", None, [])


@both_pipelines
def test_error_handlers_that_answer(compiled: bool) -> None:
    """An error handler that answers 200, as single-page apps do for unknown paths, is compressed."""
    app = app_of(VIEWS["text"], compiled)
    app.register_error_handler(404, lambda error: (PAGE, 200))
    response = get(app, "/unknown")
    assert (response.status_code, response.content_encoding, read(response)) == (200, "zstd", PAGE.encode())


@both_pipelines
def test_after_request_functions_see_the_body(compiled: bool) -> None:
    """Functions of the app's see and change the body before it is compressed."""
    app = app_of(VIEWS["text"], compiled)

    @app.after_request
    def shout(response: Any) -> Any:
        response.set_data(response.get_data().upper())
        return response

    assert read(get(app)) == PAGE.upper().encode()


@both_pipelines
def test_after_this_request(compiled: bool) -> None:
    """So do those of one request."""

    def view() -> str:
        @after_this_request
        def mark(response: Any) -> Any:
            response.headers["Content-Type"] = "image/png"
            return response

        return PAGE

    assert get(app_of(view, compiled)).content_encoding is None


# Validators ------------------------------------------------------------------------------------------------------------


@both_pipelines
@pytest.mark.parametrize("etag, expected", [(STRONG, '"abc:br"'), (WEAK, WEAK)])
def test_etags(etag: str, expected: str, compiled: bool) -> None:
    """A strong ETag names the coding, a weak one stays; the client that has it gets a 304 and nothing else."""
    app = app_of(lambda: tagged(etag), compiled)
    first = get(app, accept="br")
    assert first.headers["ETag"] == expected
    second = get(app, accept="br", If_None_Match=first.headers["ETag"])
    assert (second.status_code, second.data) == (304, b"")
    assert second.headers["ETag"] == expected
    assert varies(second) == ["accept-encoding"]
    assert "Content-Encoding" not in second.headers
    assert "Content-Length" not in second.headers


@both_pipelines
def test_etags_of_other_forms(compiled: bool) -> None:
    """A client that has another form of the body gets the one that it asks for."""
    app = app_of(lambda: tagged(STRONG), compiled)
    for theirs in ('"abc"', '"abc:gzip"'):
        response = get(app, accept="br", If_None_Match=theirs)
        assert (response.status_code, response.headers["ETag"]) == (200, '"abc:br"')
    plain = get(app, accept=None)
    assert plain.headers["ETag"] == STRONG


@both_pipelines
def test_views_that_answer_conditionally(compiled: bool) -> None:
    """A view that makes its own 304 is left to it; that varies as its 200 does, and keeps its ETag."""

    def view() -> Response:
        response = tagged(STRONG)
        response.make_conditional(request)
        return response

    app = app_of(view, compiled)
    known = get(app, accept="br", If_None_Match=STRONG)
    assert (known.status_code, known.headers["ETag"], varies(known)) == (304, STRONG, ["accept-encoding"])
    coded = get(app, accept="br", If_None_Match='"abc:br"')
    assert (coded.status_code, coded.headers["ETag"]) == (304, '"abc:br"')


@both_pipelines
def test_a_bare_304_varies(compiled: bool) -> None:
    """RFC 9110 section 15.4.5: a 304 has the `Vary` of the 200, also when nothing is known of that one's size."""
    response = get(app_of(lambda: Response(status=304, headers={"ETag": STRONG}), compiled))
    assert varies(response) == ["accept-encoding"]
    small = get(app_of(lambda: Response(status=304, headers={"Content-Length": "9"}), compiled))
    assert varies(small) == []
    image = get(app_of(lambda: Response(status=304, mimetype="image/png"), compiled))
    assert varies(image) == []


@both_pipelines
def test_conditions_may_be_left_to_the_app(compiled: bool) -> None:
    """Without `COMPRESS_EVALUATE_CONDITIONAL_REQUEST` nothing but the ETag is changed."""
    app = app_of(lambda: tagged(STRONG), compiled, evaluate_conditional_request=False)
    response = get(app, accept="br", If_None_Match='"abc:br"')
    assert (response.status_code, response.headers["ETag"]) == (200, '"abc:br"')


@both_pipelines
def test_if_match(compiled: bool) -> None:
    """A client that wants one form only gets a 412 when there is another."""
    app = app_of(lambda: tagged(STRONG), compiled)
    assert get(app, accept="br", If_Match='"abc:br"').status_code == 200
    refused = get(app, accept="br", If_Match='"abc"')
    assert (refused.status_code, refused.data) == (412, b"")


@both_pipelines
def test_if_modified_since(compiled: bool) -> None:
    """A date alone is answered too."""
    date = "Mon, 03 Nov 2025 10:00:00 GMT"
    app = app_of(lambda: Response(PAGE, headers={"Last-Modified": date}), compiled)
    assert get(app, If_Modified_Since=date).status_code == 304
    assert get(app, If_Modified_Since="Sun, 02 Nov 2025 10:00:00 GMT").status_code == 200


@both_pipelines
def test_headers_of_a_304_stay(compiled: bool) -> None:
    """SECURITY: a 304 keeps what is not about the body: cookies, policies, cache rules."""

    def view() -> Response:
        headers = {"ETag": STRONG, "Content-Security-Policy": "default-src 'self'", "Cache-Control": "max-age=9"}
        response = Response(PAGE, headers=headers)
        response.set_cookie("a", "b")
        return response

    app = app_of(view, compiled)
    response = get(app, accept="br", If_None_Match='"abc:br"')
    assert response.status_code == 304
    assert response.headers["Content-Security-Policy"] == "default-src 'self'"
    assert response.headers["Cache-Control"] == "max-age=9"
    assert response.headers["Set-Cookie"].startswith("a=b")


@both_pipelines
def test_streams_are_not_answered_conditionally(compiled: bool) -> None:
    """COMPAT: only streams of the endpoints that are listed are answered with 304."""

    def view() -> Response:
        return Response(iter([PAGE]), headers={"ETag": STRONG})

    app = app_of(view, compiled)
    assert get(app, accept="br", If_None_Match='"abc:br"').status_code == 200
    listed = app_of(view, compiled, streaming_endpoint_conditional=["view"])
    assert get(listed, accept="br", If_None_Match='"abc:br"').status_code == 304


@both_pipelines
def test_what_asks_for_a_part_gets_the_body_as_it_is(compiled: bool) -> None:
    """A request with `Range` never gets a coding: its parts are parts of the body as it is."""
    app = app_of(lambda: PAGE, compiled)
    response = get(app, Range="bytes=0-9")
    assert (response.content_encoding, response.data) == (None, PAGE.encode())
    assert varies(response) == ["accept-encoding"]
    files = app_of(VIEWS["of a file"], compiled)
    part = get(files, Range="bytes=0-9")
    assert part.content_encoding is None
    assert PAGE.encode().startswith(part.data)


# Streams ---------------------------------------------------------------------------------------------------------------


class Source:
    """A stream that notes that it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield PAGE.encode()

    def close(self) -> None:
        self.closed += 1


@both_pipelines
@pytest.mark.parametrize("accept", [ALL, None])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_streams_are_closed(method: str, accept: str | None, compiled: bool) -> None:
    """Whether it is read or not, compressed or not, a stream is closed once, and its response's functions are called."""
    source, called = Source(), []

    def view() -> Response:
        response = Response(source)
        response.call_on_close(lambda: called.append(1))
        return response

    response = get(app_of(view, compiled), accept=accept, method=method)
    response.close()
    assert (source.closed, called) == (1, [1])


@both_pipelines
def test_streams_may_be_left_alone(compiled: bool) -> None:
    """Without `COMPRESS_STREAMS`, streams and files are not compressed, and do not vary; whole bodies are."""
    for what in ("stream", "of a file"):
        response = get(app_of(VIEWS[what], compiled, streams=False))
        assert (response.content_encoding, varies(response)) == (None, [])
        assert read(response).startswith(PAGE[:20].encode())
    assert get(app_of(VIEWS["text"], compiled, streams=False)).content_encoding == "zstd"


@both_pipelines
def test_gzip_for_streams_has_to_be_asked_for(compiled: bool) -> None:
    """COMPAT: gzip is not among the codings of streams by default; it may be listed, and is flushed like the others."""
    assert get(app_of(VIEWS["stream"], compiled), accept="gzip").content_encoding is None
    response = get(app_of(VIEWS["stream"], compiled, algorithm_streaming=["gzip"]), accept="gzip")
    assert response.content_encoding == "gzip"
    assert read(response) == PAGE.encode()


# Secrets ---------------------------------------------------------------------------------------------------------------


CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}


def secret_page() -> str:
    """Return a page with a secret that repeats what the request says: what BREACH needs."""
    secret = session.get("secret", "")
    return f"<p>{request.args.get('q', '')}</p><input value='token={secret}'>" + "<br>" * 200


def sizes_of_guesses(app: Quaff, guesses: str, **headers: str) -> set[int]:
    """Return the sizes that a page has with one guess after the other."""
    client = app.test_client()
    with client.session_transaction() as opened:
        opened["secret"] = "7"
    found = set()
    for guess in guesses:
        got = client.get(f"/?q=token={guess}", headers={"Accept-Encoding": "gzip", **headers})
        found.add(len(got.data))
    return found


@both_pipelines
def test_other_sites_learn_nothing_from_sizes(compiled: bool) -> None:
    """SECURITY: with requests that another site causes, the size of a personal page says nothing about its secret."""
    app = app_of(secret_page, compiled)
    guesses = "0123456789"
    assert len(sizes_of_guesses(app, guesses, **CROSS_SITE)) == 1
    # What it would say otherwise.
    assert len(sizes_of_guesses(app, guesses, **{"Sec-Fetch-Site": "same-origin"})) > 1
    assert len(sizes_of_guesses(app_of(secret_page, compiled, cross_site=True), guesses, **CROSS_SITE)) > 1


@both_pipelines
def test_public_pages_are_compressed_for_other_sites(compiled: bool) -> None:
    """Who follows a link from another site gets public pages compressed, with cookies and without."""
    app = app_of(VIEWS["text"], compiled)
    response = get(app, Sec_Fetch_Site="cross-site", Cookie="theme=dark")
    assert response.content_encoding == "zstd"


# Any request, any response ---------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(0, 3000),
    accept=st.sampled_from([None, "", ALL, "gzip", "br;q=0.5, gzip;q=0.4", "*", "*;q=0", "identity", "gzip;q=x"]),
    mimetype=st.sampled_from(["text/html", "application/json", "image/png", "text/event-stream"]),
    status=st.sampled_from([200, 201, 204, 206, 404]),
    etag=st.sampled_from([None, STRONG, WEAK]),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
def test_pipelines_agree(
    size: int, accept: str | None, mimetype: str, status: int, etag: str | None, method: str
) -> None:
    """Both pipelines and a loop send the same response, and what the client reads is what the view returned."""
    body = (PAGE * 2)[:size]

    def view() -> Response:
        headers = {} if etag is None else {"ETag": etag}
        return Response(body, status, headers, mimetype=mimetype)

    answers = [
        get(app_of(view, True), accept=accept, method=method),
        get(app_of(view, False), accept=accept, method=method),
        get_on_loop(async_app_of(view), accept=accept, method=method),
    ]
    assert len({(answer.status, answer.data) for answer in answers}) == 1
    names = [sorted((name.lower(), value) for name, value in answer.headers) for answer in answers]
    assert names[0] == names[1] == names[2]
    if method != "HEAD" and status != 204:
        assert read(answers[0]) == body.encode()


class Saying(Battery):
    """A battery that says things about the response, of which some matter for its body."""

    def __init__(self, constant: tuple[tuple[str, str], ...], added: tuple[tuple[str, str], ...]) -> None:
        self.constant = constant
        self.added = added

    def parts_for(self, target: Target) -> Iterator[Part]:
        yield Part(stage=Stage.CORS, headers=self.constant, add_headers=self.add)

    def add(self, context: Any, code: int, headers: Any) -> None:
        """Add the headers of a request."""
        for name, value in self.added:
            headers.add(name, value)


HEADERS = st.lists(
    st.sampled_from(
        [
            ("Vary", "Origin"),
            ("Vary", "Cookie, accept-encoding"),
            ("Cache-Control", "private"),
            ("Cache-Control", "public, no-transform"),
            ("ETag", STRONG),
            ("ETag", WEAK),
            ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
            ("Content-Encoding", "own"),
            ("X-Other", "1"),
        ]
    ),
    max_size=2,
    unique_by=lambda pair: pair[0],
).map(tuple)


@settings(max_examples=60, deadline=None)
@given(
    size=st.sampled_from([0, 100, 490, 500, 3000, 70_000]),
    accept=st.sampled_from([None, "", ALL, "gzip", "br;q=0.5, gzip;q=0.4", "*;q=0", "identity"]),
    kind=st.sampled_from(["text", "bytes", "dict"]),
    constant=HEADERS,
    added=HEADERS,
    sent=st.dictionaries(
        st.sampled_from(["If-None-Match", "If-Modified-Since", "If-Match", "Authorization", "Range", "Sec-Fetch-Site"]),
        st.sampled_from([STRONG, '"abc:br", "abc:gzip", "abc:zstd"', "Wed, 21 Oct 2015 07:28:00 GMT", "cross-site"]),
        max_size=2,
    ),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
def test_bodies_are_finished_alike_without_a_response(
    size: int, accept: str | None, kind: str, constant: Any, added: Any, sent: dict[str, str], method: str
) -> None:
    """What is sent without a response object is what `finish` would have made of it, whatever other batteries say."""
    text = (PAGE * 50)[:size]
    view: Callable[[], Any] = {"text": lambda: text, "bytes": text.encode, "dict": lambda: {"a": text}}[kind]
    answers = []
    for compiled in (True, False):
        app = app_of(view, compiled)
        app.add_battery(Saying(constant, added))
        # The third one is found in the memo.
        cookie = {**sent, "Cookie": "a=b"}
        answers += [get(app, accept=accept, method=method, headers=cookie) for _ in range(3)]
    assert len({(answer.status, answer.data) for answer in answers}) == 1
    headers = [sorted((name.lower(), value) for name, value in answer.headers) for answer in answers]
    assert all(found == headers[0] for found in headers)


def test_text_takes_no_response_object() -> None:
    """A text or a dict is compressed in the compiled pipeline without a call of `finish`, and so is what only varies."""
    for view in (lambda: PAGE, lambda: {"a": PAGE}):
        app = app_of(view)
        for accept in (ALL, None):
            sent = environ("/")
            if accept is not None:
                sent["HTTP_ACCEPT_ENCODING"] = accept
            for _ in range(3):
                answer(app, sent)
            calls = calls_of(answer, app, sent)
            assert "finisher.py:finish_body" in calls
            assert not {"finisher.py:finish", "wrappers.py:of_body"} & set(calls)
