"""The request and the response: Werkzeug's, with what a measurement showed to be hot made cheap.

Both are subclasses, so `isinstance` checks against Werkzeug's hold. A request reads its environ when an attribute is
first used, where Werkzeug fills a dozen attributes and wraps the headers for each request. A response validates what it
is given (headers, status, cookies) and hands a single-chunk body to the server without building iterators around it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from http import HTTPStatus
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, ClassVar

from werkzeug.datastructures import EnvironHeaders, FileStorage, ImmutableMultiDict
from werkzeug.datastructures import Headers as _HeadersBase
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.utils import get_content_type
from werkzeug.wrappers import Request as RequestBase
from werkzeug.wrappers import Response as ResponseBase
from werkzeug.wsgi import ClosingIterator

from . import json
from ._internal.attributes import lazy
from ._internal.lazy import resolve
from .cookies import dump_cookie, find_cookie, parse_cookies
from .formparser import Parameters, load_form, parse_query
from .globals import NO_CONTEXT, current_context
from .headers import Headers, check_status
from .helpers import _split_blueprint_path
from .streaming import AsyncBody
from .streams import body_stream, read_body

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from werkzeug.routing import Rule


def _decode_wsgi(text: str) -> str:
    # RFC: PEP 3333 passes bytes as latin-1; what is not UTF-8 shows as U+FFFD, as in Werkzeug.
    return text if text.isascii() else text.encode("latin1").decode(errors="replace")


def _active_config() -> Mapping[str, Any] | None:
    bound = current_context.get()
    return None if bound is NO_CONTEXT else bound.app.config


def _is_debugging() -> bool:
    bound = current_context.get()
    return bound is not NO_CONTEXT and bound.app.debug


_NO_JSON = RequestBase._cached_json
"""What stands in the place of the JSON that was read while there is none."""


class Request(RequestBase):
    """An incoming request, with the rule that matched it."""

    json_module: Any = json
    parameter_storage_class = Parameters

    url_rule: Rule | None = None
    """The rule that matched the URL, or None before matching and for requests that match none."""

    view_args: dict[str, Any] | None = None
    """The values of the rule's variables, converted; None when no rule matched."""

    routing_exception: HTTPException | None = None
    """Why no rule matched: raised when the request is dispatched."""

    _args: ImmutableMultiDict[str, str] | None = None
    _body_is_read = False
    _cached_data: bytes | None = None  # type: ignore[assignment]  # unset while nothing is cached
    _query_string: bytes | None = None
    _stream: IO[bytes] | None = None

    _own_cookies: ClassVar[bool] = True
    """Whether no subclass has another `cookies`."""

    _own_stream: ClassVar[bool] = True
    """Whether no subclass has another `stream`."""

    _has_files = False
    """Whether there may be uploaded files to close."""

    _max_content_length: int | None = None
    _max_form_memory_size: int | None = None
    _max_form_parts: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        between = [vars(base) for base in cls.__mro__[: cls.__mro__.index(Request)]]
        cls._own_cookies = not any("cookies" in names for names in between)
        cls._own_stream = not any("stream" in names for names in between)

    def __init__(self, environ: WSGIEnvironment, populate_request: bool = True, shallow: bool = False) -> None:
        # PERF: Werkzeug's __init__ computes what the lazy attributes below read on demand (3 µs a request).
        self.environ = environ
        self.shallow = shallow
        if populate_request and not shallow:
            environ["werkzeug.request"] = self

    @lazy
    def method(self) -> str:
        """The request method in upper case, such as `GET`."""
        return str(self.environ.get("REQUEST_METHOD", "GET")).upper()

    @lazy
    def scheme(self) -> str:
        """`http` or `https`."""
        return self.environ.get("wsgi.url_scheme", "http")  # type: ignore[no-any-return]

    @lazy
    def server(self) -> tuple[str, int | None] | None:
        """The server's name and port; a None port means a Unix socket."""
        name = self.environ.get("SERVER_NAME")
        if name is None:
            return None
        try:
            return name, int(self.environ["SERVER_PORT"])
        except (KeyError, ValueError, TypeError):
            return name, None

    @lazy
    def root_path(self) -> str:
        """The path under which the app is mounted, without a trailing slash."""
        return _decode_wsgi(self.environ.get("SCRIPT_NAME") or "").rstrip("/")

    @lazy
    def path(self) -> str:
        """The path below `root_path`, decoded, with one leading slash."""
        return "/" + _decode_wsgi(self.environ.get("PATH_INFO") or "").lstrip("/")

    @property
    def query_string(self) -> bytes:  # Werkzeug stores it in the instance
        """What follows the `?`, as the client sent it."""
        made = self._query_string
        if made is None:
            made = self._query_string = self.environ.get("QUERY_STRING", "").encode("latin1")
        return made

    @query_string.setter
    def query_string(self, value: bytes) -> None:
        self._query_string = value

    @lazy
    def headers(self) -> EnvironHeaders:  # type: ignore[override]
        """The request headers, read-only."""
        return EnvironHeaders(self.environ)

    @lazy
    def remote_addr(self) -> str | None:
        """The address of the client, or of the last proxy when no proxy is trusted."""
        return self.environ.get("REMOTE_ADDR")

    @property
    def args(self) -> ImmutableMultiDict[str, str]:  # Werkzeug stores it in the instance
        """The parameters of the query string.

        :raises werkzeug.exceptions.BadRequest: when the query holds raw bytes that are not UTF-8.
        """
        made = self._args
        if made is None:
            replaced = self._query_string
            query = self.environ.get("QUERY_STRING", "") if replaced is None else replaced.decode("latin1")
            kind: Any = self.parameter_storage_class  # Any: Werkzeug declares the base class only
            made = self._args = parse_query(query, kind)
        return made

    @args.setter
    def args(self, value: ImmutableMultiDict[str, str]) -> None:
        self._args = value

    @property
    def stream(self) -> IO[bytes]:  # Werkzeug stores it in the instance
        """The body as a stream that ends where the body ends.

        Reading raises `RequestEntityTooLarge` (413) past `max_content_length` and `ClientDisconnected` (400) when the
        client sent less than it announced.
        """
        made = self._stream
        if made is not None:
            return made
        if self._body_is_read:
            # What is read is gone: a second reader must not wait for more.
            made = BytesIO()
        elif self.shallow:
            raise RuntimeError(
                "This request was created with 'shallow=True', reading from the input stream is disabled."
            )
        else:
            made = body_stream(self.environ, self.max_content_length)
        self._stream = made
        return made

    @stream.setter
    def stream(self, value: IO[bytes]) -> None:
        self._stream = value

    async def load_body(self) -> bytes:
        """Wait for the whole body and return it; afterwards `data`, `get_json` and `form` have it at hand. Quaff 0.1.

        For async views and bodies that are too large to be there from the start (over a megabyte).

        :raises werkzeug.exceptions.RequestEntityTooLarge: when it is larger than `max_content_length`.
        :raises werkzeug.exceptions.ClientDisconnected: when it is shorter than announced (a 400).
        """
        if self._cached_data is None:
            stream: Any = self.stream
            self._cached_data = b"".join([chunk async for chunk in stream])
        return self._cached_data

    async def load_form(self) -> ImmutableMultiDict[str, str]:
        """Wait for a form and return its fields; `files` has its files then, large ones on disk. Quaff 0.1.

        For async views; the form is parsed in a worker thread as it arrives.
        """
        # PERF: here, because `asyncio` is not loaded for programs that never come here.
        from ._internal.threads import run_in_thread

        return await run_in_thread(lambda: self.form)

    @property
    def is_disconnected(self) -> bool:
        """Whether the client has gone away, so that nobody waits for the answer. Quaff 0.1.

        For long work in synchronous code; an async view is cancelled. Under a WSGI server nobody can tell: False.
        """
        exchange = self.environ.get("quaff.exchange")
        return exchange is not None and exchange.look_for_disconnect()

    @lazy
    def cookies(self) -> ImmutableMultiDict[str, str]:
        """The cookies of the request; the first of a name comes first."""
        kind: Any = self.dict_storage_class  # Any: Werkzeug declares the base class only
        parsed: ImmutableMultiDict[str, str] = parse_cookies(self.environ.get("HTTP_COOKIE", ""), kind)
        return parsed

    def find_cookie(self, name: str) -> str | None:
        """Return the value of one cookie without parsing the others, or None."""
        if not self._own_cookies or "cookies" in self.__dict__:
            return self.cookies.get(name)
        header = self.environ.get("HTTP_COOKIE")
        return find_cookie(header, name) if header else None

    @property
    def max_content_length(self) -> int | None:
        """The most bytes of body that are read; `MAX_CONTENT_LENGTH` unless set on this request (Flask 3.1)."""
        if self._max_content_length is not None:
            return self._max_content_length
        bound = current_context.get()
        if bound is NO_CONTEXT:
            return RequestBase.max_content_length
        return bound.app.config["MAX_CONTENT_LENGTH"]  # type: ignore[no-any-return]

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._max_content_length = value

    @property
    def max_form_memory_size(self) -> int | None:
        """The most bytes that a form field may take; `MAX_FORM_MEMORY_SIZE` unless set on this request (Flask 3.1)."""
        if self._max_form_memory_size is not None:
            return self._max_form_memory_size
        config = _active_config()
        if config is None:
            return RequestBase.max_form_memory_size
        return config["MAX_FORM_MEMORY_SIZE"]  # type: ignore[no-any-return]

    @max_form_memory_size.setter
    def max_form_memory_size(self, value: int | None) -> None:
        self._max_form_memory_size = value

    @property  # type: ignore[override]  # None is "no limit", as Werkzeug reads it
    def max_form_parts(self) -> int | None:
        """The most fields that a form may have; `MAX_FORM_PARTS` unless set on this request (Flask 3.1)."""
        if self._max_form_parts is not None:
            return self._max_form_parts
        config = _active_config()
        if config is None:
            return RequestBase.max_form_parts
        return config["MAX_FORM_PARTS"]  # type: ignore[no-any-return]

    @max_form_parts.setter
    def max_form_parts(self, value: int | None) -> None:
        self._max_form_parts = value

    @property
    def endpoint(self) -> str | None:
        """The endpoint that matched the URL, or None."""
        rule = self.url_rule
        return None if rule is None else rule.endpoint

    @property
    def blueprint(self) -> str | None:
        """The name of the blueprint that the endpoint belongs to, dotted when nested, or None."""
        endpoint = self.endpoint
        if endpoint is not None and "." in endpoint:
            return endpoint.rpartition(".")[0]
        return None

    @property
    def blueprints(self) -> list[str]:
        """The names of the blueprint and its parents, innermost first."""
        name = self.blueprint
        return [] if name is None else _split_blueprint_path(name)

    @property
    def is_json(self) -> bool:
        """Whether the content type says that the body is JSON."""
        # PERF: the common spelling, without parsing the header.
        return self.environ.get("CONTENT_TYPE") == "application/json" or super().is_json

    def get_data(self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False) -> Any:
        """Return the whole body as bytes, or as text.

        :param cache: keep it, so that it can be asked for again.
        :param parse_form_data: parse a form first; what is left of its body is then returned, usually nothing.
        :raises werkzeug.exceptions.RequestEntityTooLarge: when it is larger than `max_content_length`.
        :raises werkzeug.exceptions.ClientDisconnected: when it is shorter than announced (a 400).
        """
        data = self._cached_data
        if data is None:
            if parse_form_data:
                self._load_form_data()
            if self._stream is not None or self.shallow or not self._own_stream:
                data = self.stream.read()
            else:
                data = read_body(self.environ, self.max_content_length)
                self._body_is_read = True
            if cache:
                self._cached_data = data
        return data.decode(errors="replace") if as_text else data

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Return the body as JSON.

        :param force: whatever the content type is.
        :param silent: None instead of an error.
        :param cache: keep the result, so that it can be asked for again.
        :raises werkzeug.exceptions.BadRequest: when the body is not JSON (400).
        :raises werkzeug.exceptions.UnsupportedMediaType: when the content type is not JSON (415).
        """
        if cache and self._cached_json is _NO_JSON and self.environ.get("CONTENT_TYPE") == "application/json":
            # PERF: the usual case in one step; errors, and everything else, in Werkzeug's.
            data = self.get_data()
            try:
                value = self.json_module.loads(data)
            except ValueError:
                pass
            else:
                self._cached_json = (value, value)
                return value
        return super().get_json(force=force, silent=silent, cache=cache)

    def _load_form_data(self) -> None:
        if "form" in self.__dict__:
            return
        values = self.__dict__
        if self.form_data_parser_class is not FormDataParser or not self.want_form_data_parsed:
            super()._load_form_data()
            self.stream = values.pop("stream")
        else:
            config = _active_config()
            self.stream, values["form"], values["files"] = load_form(
                self,
                max_parts=self.max_form_parts,
                max_memory=self.max_form_memory_size,
                max_content_length=self.max_content_length,
                compat=() if config is None else config.get("COMPAT", ()),
            )
        self._has_files = True
        self._explain_missing_files()

    def _explain_missing_files(self) -> None:
        """In debug mode, make `request.files[...]` say so when the form was not sent as multipart."""
        if _is_debugging() and self.mimetype != "multipart/form-data" and not self.files:
            resolve("attach_enctype_error_multidict")(self)

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        """Raise the error for a body that is not JSON: 400, or 415 when *e* is None; details only in debug mode."""
        try:
            return super().on_json_loading_failed(e)
        except BadRequest as error:
            if _is_debugging():
                raise
            raise BadRequest from error

    def close(self) -> None:
        """Close the uploaded files. Called when the request is torn down."""
        files: ImmutableMultiDict[str, FileStorage] | None = self.__dict__.get("files")
        if files:
            super().close()


STATUS_LINES: dict[int, str] = {code: f"{code} {text.upper()}" for code, text in HTTP_STATUS_CODES.items()}
"""Status code -> status line, as Werkzeug writes it."""

# RFC: 9110 sections 8.7 and 10.2.2: two of these hold URLs, which Werkzeug makes ASCII; the third may be spelt in many ways.
_SPECIAL_NAMES = frozenset({"location", "content-location", "content-length"})

_plain_names: set[str] = set()
"""Header names that are none of these, as they were written. SECURITY: bounded, for a name may be made from data."""


_PLAIN_URL = re.compile(
    r"(?:https?://[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*(?::[1-9][0-9]{0,3})?)?"
    r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@/-]*)?"
    r"(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]+)?"
)
"""URLs that `werkzeug.urls.iri_to_uri` leaves as they are: most of those that a program redirects to."""


def _is_plain(name: str) -> bool:
    if name.lower() in _SPECIAL_NAMES:
        return False
    if len(_plain_names) < 1_000:
        _plain_names.add(name)
    return True


_OVERRIDABLE = ("get_wsgi_headers", "get_app_iter", "get_wsgi_response", "iter_encoded", "close", "__call__")


class Response(ResponseBase):
    """The response that views return, by default HTML."""

    default_mimetype: str | None = "text/html"
    json_module: Any = json
    autocorrect_location_header = False

    _sends_itself: ClassVar[bool] = True
    """Whether no subclass changed how a response is turned into WSGI, so that the short way may be used."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._sends_itself = all(getattr(cls, name) is getattr(Response, name) for name in _OVERRIDABLE)

    def __init__(
        self,
        response: Iterable[bytes] | bytes | Iterable[str] | str | AsyncIterable[bytes | str] | None = None,
        status: int | str | HTTPStatus | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
        mimetype: str | None = None,
        content_type: str | None = None,
        direct_passthrough: bool = False,
    ) -> None:
        self.headers = Headers.adopt(headers) if isinstance(headers, _HeadersBase) else Headers(headers)
        if content_type is None:
            if mimetype is None and "Content-Type" not in self.headers:
                mimetype = self.default_mimetype
            if mimetype is not None:
                content_type = get_content_type(mimetype, "utf-8")
        if content_type is not None:
            self.headers["Content-Type"] = content_type
        self.status = self.default_status if status is None else status
        self.direct_passthrough = direct_passthrough
        self._on_close: list[Callable[[], Any]] = []
        if response is None:
            self.response = []
        elif isinstance(response, (str, bytes, bytearray)):
            self.set_data(response)
        else:
            self.response = AsyncBody(response) if isinstance(response, AsyncIterable) else response

    @classmethod
    def of_body(cls, body: bytes, content_type: str) -> Response:
        """Return a 200 response without running `__init__`: for callers that know that nothing of it is overridden."""
        self = cls.__new__(cls)
        # PERF: what `Headers.wrap` does, without the call.
        self.headers = headers = Headers.__new__(Headers)
        headers._list = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        self._status = "200 OK"
        self._status_code = 200
        self.direct_passthrough = False
        self._on_close = []
        self.response = [body]
        return self

    def _clean_status(self, value: str | int | HTTPStatus) -> tuple[str, int]:
        line = STATUS_LINES.get(value) if isinstance(value, int) else None
        if line is not None:
            return line, int(value)
        check_status(value)
        return super()._clean_status(value)

    @classmethod
    def force_type(cls, response: Any, environ: WSGIEnvironment | None = None) -> Response:
        """Turn another response object or a WSGI callable into this class.

        :raises TypeError: for a WSGI callable when no *environ* is given to call it with.
        """
        is_error = isinstance(response, HTTPException) and type(response).__call__ is HTTPException.__call__
        if is_error and response.response is None and environ is not None:
            # PERF: Werkzeug would run the exception as a WSGI app through its test client.
            response = response.get_response(environ)
        forced: Response = super().force_type(response, environ)  # type: ignore[assignment]
        if not isinstance(forced.headers, Headers):
            forced.headers = Headers.adopt(forced.headers)
        return forced

    def set_cookie(  # noqa: PLR0913, PLR0917 - COMPAT: Werkzeug's signature
        self,
        key: str,
        value: str = "",
        max_age: timedelta | int | None = None,
        expires: str | datetime | int | float | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = None,
        partitioned: bool = False,
    ) -> None:
        """Add a `Set-Cookie` header; the parameters are Werkzeug's.

        :raises quaff.errors.HeaderError: when a part holds characters that would end the cookie (a `ValueError`).
        """
        cookie = dump_cookie(
            key,
            value=value,
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            max_size=self.max_cookie_size,
            samesite=samesite,
            partitioned=partitioned,
        )
        self.headers.add("Set-Cookie", cookie)

    @property
    def max_cookie_size(self) -> int:  # type: ignore[override]
        """The size from which a cookie warns, because browsers may drop it; `MAX_COOKIE_SIZE`."""
        config = _active_config()
        return ResponseBase.max_cookie_size if config is None else config["MAX_COOKIE_SIZE"]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send the response as a WSGI app does."""
        body = self.response
        if type(body) is list and len(body) == 1 and not self._on_close and self._sends_itself:
            headers = self._plain_headers(body[0])
            if headers is not None:
                start_response(self._status, headers)
                return [] if environ["REQUEST_METHOD"] == "HEAD" else body
        return super().__call__(environ, start_response)

    def get_app_iter(self, environ: WSGIEnvironment) -> Iterable[bytes]:
        """Return the body as a WSGI server takes it."""
        body = super().get_app_iter(environ)
        code = self._status_code
        has_content = environ["REQUEST_METHOD"] != "HEAD" and code >= 200 and code not in (204, 304)
        if has_content and isinstance(self.response, AsyncBody) and isinstance(body, ClosingIterator):
            # A server with an event loop takes the pieces there (`servers/exchange.py`).
            body.async_body = self.response  # type: ignore[attr-defined]
        return body

    def _plain_headers(self, chunk: Any) -> list[tuple[str, str]] | None:
        """Return the headers to send for a body of one chunk, or None when Werkzeug has to work them out."""
        if type(chunk) is not bytes or self._status_code in (204, 304) or self._status_code < 200:
            return None
        pairs: list[tuple[str, str]] = self.headers._list.copy()
        has_length = False
        for name, value in pairs:
            if name == "Content-Length":
                has_length = True
            elif name not in _plain_names and not _is_plain(name) and not self._is_plain_location(name, value):
                return None
        if not has_length and self.automatically_set_content_length:
            pairs.append(("Content-Length", str(len(chunk))))
        return pairs

    def _is_plain_location(self, name: str, value: str) -> bool:
        # PERF: a redirect costs as much as ten simple answers when Werkzeug takes its URL apart and together again.
        return name == "Location" and not self.autocorrect_location_header and _PLAIN_URL.fullmatch(value) is not None
