"""What is done to a response, step by step: whether it may be compressed, whether it varies, how, and its validators."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from werkzeug.wsgi import wrap_file

from ...headers import Headers, add_vary
from ...pipeline.results import HTML, JSON
from ...streaming import AsyncBody
from .caches import CacheBackend, Memo, body_key, through_cache
from .conditional import answer_condition, coded_etag, has_conditions, judge_conditions
from .encoders import Coder, make_coders
from .negotiation import MAX_HEADER, best_codings, choose_coding
from .settings import CompressSettings
from .static import CodedFiles, OpenFile, Sibling, find_file, find_sibling
from .streaming import CodedIterable, CodedLater, coded_async, slices
from .verdict import Traits, is_shared, is_withheld, may_be_coded, read_headers

_TRAITS: Final[dict[tuple[str, str], Traits]] = {pair: read_headers([pair]) for pair in (HTML, JSON)}
"""What the headers say that a view's text, dict or list has by itself."""

_VARY: Final = ("Vary", "Accept-Encoding")
_STATUSES: Final = frozenset(filter(may_be_coded, range(200, 300))) | {304}


@dataclass(slots=True)
class Kept:
    """What outlives a request: shared by all routes of a `Compress`."""

    memo: Memo
    files: CodedFiles
    cache: CacheBackend | None = None
    cache_key: Callable[..., str] | None = None


def _is_on_loop() -> bool:
    # PERF: `asyncio` is not imported for this; where it is not, no loop runs.
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def _joined(pieces: Any) -> bytes:
    return b"".join(piece.encode() if isinstance(piece, str) else bytes(piece) for piece in pieces)


class Finisher:
    """Compresses the responses of one route.

    :param endpoint: of the route, or an empty string.
    """

    def __init__(self, settings: CompressSettings, kept: Kept, endpoint: str) -> None:
        self.settings = settings
        self._kept = kept
        self._coders = make_coders(
            tuple(dict.fromkeys((*settings.algorithms, *settings.streaming_algorithms))), settings
        )
        self._whole = tuple(name for name in settings.algorithms if name in self._coders)
        self._streamed = tuple(name for name in settings.streaming_algorithms if name in self._coders)
        self._is_static = settings.serves_static(endpoint)
        self._direct = frozenset(filter(settings.lists, ("text/html", "application/json")))
        self.codes_text = bool(self._direct)
        """Whether HTML or JSON is compressed at all."""

        self._judges_streams = self._is_static or endpoint in settings.conditional_streams

    def acts_on(self) -> Callable[[Any, bytes], bool]:
        """Return what tells whether a body takes a response object: what is left to threads, and what may be 304."""
        if self._kept.cache is not None:
            return lambda context, body: True
        if not self.codes_text:
            return lambda context, body: False
        direct_size = min((coder.thread_size for coder in self._coders.values()), default=0)
        evaluates = self.settings.evaluates

        def acts_on(context: Any, body: bytes) -> bool:
            return len(body) > direct_size or (evaluates and has_conditions(context.environ))

        return acts_on

    def finish_body(self, context: Any, code: int, body: bytes, headers: Headers) -> bytes:
        """Return the body to send for one of HTML or JSON, and change its headers: `finish` without a response object."""
        pairs = headers._list
        if len(pairs) == 2 and code == 200 and pairs[0] in _TRAITS:
            # PERF: the headers that a view's text, dict or list has by itself need not be read.
            traits = _TRAITS[pairs[0]]
            if traits.mimetype not in self._direct:
                return body
            pairs.append(_VARY)
        else:
            traits = read_headers(pairs)
            if not may_be_coded(code) or traits.is_fixed or not self.settings.lists(traits.mimetype):
                return body
            self._note_vary(headers, traits)
        environ = context.environ
        accepted = environ.get("HTTP_ACCEPT_ENCODING")
        if not accepted or not self._may_code(environ, traits):
            return body
        coding = choose_coding(self._whole, accepted)
        if coding is None:
            return body
        _mark_coded(headers, traits, coding)
        coder = self._coders[coding]
        coded = self._kept.memo.compress(coder, body) if is_shared(environ, traits) else coder.compress(body)
        _set_length(headers, len(coded))
        return coded

    def finish(self, context: Any, response: Any) -> Any:
        """Return the response to send: the same one, compressed if that is to be."""
        settings = self.settings
        body = response.response
        data = None
        if type(body) is list or type(body) is tuple:
            # PERF: nearly every body is one piece, and most are small; nothing else is looked at then.
            data = body[0] if len(body) == 1 and type(body[0]) is bytes else _joined(body)
            if data and len(data) < settings.min_size:
                return response
        status = response.status_code
        if status not in _STATUSES:
            return response
        headers = response.headers
        traits = read_headers(headers._list if type(headers) is Headers else headers)
        if traits.is_fixed or (traits.mimetype not in settings.mimetypes and not settings.lists(traits.mimetype)):
            return response
        if not self._is_worth(status, data, traits):
            return response
        self._note_vary(response.headers, traits)
        environ = context.environ
        if status == 304 or data == b"" or not self._may_code(environ, traits):
            return response
        if data is not None:
            self._code_whole(context, response, traits, data)
        elif not (self._is_static and self._code_static(environ, response, traits)):
            self._code_stream(environ, response, traits)
        return response

    def _is_worth(self, status: int, data: bytes | None, traits: Traits) -> bool:
        """Tell whether a response is large enough, or is a stream, so that some client gets it compressed."""
        if data is None and not self.settings.streams:
            return False
        size = len(data) if data else traits.length
        if status == 304 and not size:
            # RFC: 9110 section 15.4.5: it has the `Vary` of the 200, of whose size nothing is known.
            return True
        if size is None:
            return data is None
        return size >= self.settings.min_size

    def _may_code(self, environ: dict[str, Any], traits: Traits) -> bool:
        """Tell whether the request allows for it."""
        if not environ.get("HTTP_ACCEPT_ENCODING"):
            return False
        # RFC: 9110 section 14.2: parts are parts of the body as it is. What asks for one gets nothing else.
        if "HTTP_RANGE" in environ:
            return False
        return self.settings.cross_site or not (traits.is_personal and is_withheld(environ, traits))

    def _note_vary(self, headers: Any, traits: Traits) -> None:
        if "vary" in traits.headers:
            add_vary(headers, "Accept-Encoding")
        else:
            headers["Vary"] = "Accept-Encoding"

    def _begin(self, environ: dict[str, Any], response: Any, traits: Traits, coding: str, *, judges: bool) -> bool:
        """Set the validators for a coding; tell whether the body is wanted, for which the headers are set then."""
        etag = traits.headers.get("etag")
        modified = traits.headers.get("last-modified")
        if judges and self.settings.evaluates and (etag or modified):
            tag = None if etag is None else coded_etag(etag, coding)
            status = judge_conditions(environ, tag, modified)
            if status is not None:
                if tag is not None:
                    response.headers["ETag"] = tag
                answer_condition(response, status)
                return False
        _mark_coded(response.headers, traits, coding)
        response.direct_passthrough = False
        return True

    # Whole bodies ------------------------------------------------------------------------------------------------------

    def _code_whole(self, context: Any, response: Any, traits: Traits, data: bytes) -> None:
        environ = context.environ
        coding = choose_coding(self._whole, environ["HTTP_ACCEPT_ENCODING"])
        if coding is None or not self._begin(environ, response, traits, coding, judges=True):
            return
        coder, kept = self._coders[coding], self._kept
        shared = is_shared(environ, traits)
        # SECURITY: RFC 9111 section 5.2.2.5: what is not to be stored is stored nowhere.
        cache = (
            None if kept.cache is None or "no-store" in traits.headers.get("cache-control", "").lower() else kept.cache
        )
        if cache is not None:
            _set_body(response, self._through_cache(context, cache, coder, data))
        elif len(data) > coder.thread_size and _is_on_loop():
            self._code_in_thread(response, coder, data, shared=shared)
        else:
            _set_body(response, kept.memo.compress(coder, data) if shared else coder.compress(data))

    def _through_cache(self, context: Any, cache: CacheBackend, coder: Coder, data: bytes) -> bytes:
        make_key = self._kept.cache_key
        made = None if make_key is None else make_key(context.request)
        key = body_key(coder.name, made, data, trusts_key=self.settings.trusts_cache_key)
        return through_cache(cache, key, partial(coder.compress, data))

    def _code_in_thread(self, response: Any, coder: Coder, data: bytes, *, shared: bool) -> None:
        """Leave the work to the thread in which a server iterates the body. The length is not known before."""
        memo = self._kept.memo
        if not shared or not memo.holds(data):
            response.response = CodedIterable(slices(data), coder.begin(), flush=False)
        else:
            coded = memo.find(coder, data)
            if coded is not None:
                _set_body(response, coded)
                return
            response.response = CodedLater(partial(memo.compress, coder, data))
        response.headers.remove("Content-Length")

    # Streams -----------------------------------------------------------------------------------------------------------

    def _code_stream(self, environ: dict[str, Any], response: Any, traits: Traits) -> None:
        coding = choose_coding(self._streamed, environ["HTTP_ACCEPT_ENCODING"])
        if coding is None or not self._begin(environ, response, traits, coding, judges=self._judges_streams):
            return
        response.headers.remove("Content-Length")
        body, coder = response.response, self._coders[coding]
        if isinstance(body, AsyncBody):
            response.response = coded_async(body, coder.begin(), thread_size=coder.thread_size)
        else:
            response.response = CodedIterable(body, coder.begin(), flush=find_file(body) is None)

    # Static files ------------------------------------------------------------------------------------------------------

    def _code_static(self, environ: dict[str, Any], response: Any, traits: Traits) -> bool:
        """Send a static file compressed; False when that has to be done as for any stream."""
        accepted = environ["HTTP_ACCEPT_ENCODING"]
        file = find_file(response.response)
        if file is None or len(accepted) > MAX_HEADER:
            return False
        if self.settings.precompressed:
            # A sibling needs no library.
            sibling = find_sibling(file, best_codings(self.settings.algorithms, accepted))
            if sibling is not None:
                self._send_sibling(environ, response, traits, file, sibling)
                return True
        coding = choose_coding(self._whole, accepted)
        if not self._kept.files.takes(file):
            return False
        if coding is not None and self._begin(environ, response, traits, coding, judges=True):
            self._send_kept(response, file, coding)
        return True

    def _send_sibling(
        self, environ: dict[str, Any], response: Any, traits: Traits, file: OpenFile, sibling: Sibling
    ) -> None:
        if not self._begin(environ, response, traits, sibling.coding, judges=True):
            sibling.file.close()
            return
        file.file.close()
        # The server's own way to send a file, as `send_file` has it.
        response.response = wrap_file(environ, sibling.file)
        response.direct_passthrough = True
        response.headers["Content-Length"] = str(sibling.size)

    def _send_kept(self, response: Any, file: OpenFile, coding: str) -> None:
        files, coder = self._kept.files, self._coders[coding]
        coded = files.find(file, coder.key)
        if coded is None and _is_on_loop():
            response.headers.remove("Content-Length")
            response.response = CodedLater(partial(files.make, file, coder.key, coder.compress), file.file.close)
            return
        try:
            _set_body(response, files.make(file, coder.key, coder.compress) if coded is None else coded)
        finally:
            file.file.close()


def _mark_coded(headers: Any, traits: Traits, coding: str) -> None:
    """Say in the headers that the body is in a coding."""
    etag = traits.headers.get("etag")
    if etag is not None:
        headers["ETag"] = coded_etag(etag, coding)
    headers["Content-Encoding"] = coding
    if "accept-ranges" in traits.headers:
        # RFC: 9110 section 14.3: of this form, no parts can be had.
        headers.remove("Accept-Ranges")


def _set_body(response: Any, coded: bytes) -> None:
    response.response = [coded]
    _set_length(response.headers, len(coded))


def _set_length(headers: Any, length: int) -> None:
    # PERF: nearly every response has a length, and replacing it in this way takes no further call.
    pairs = headers._list
    for index, (name, _) in enumerate(pairs):
        if name == "Content-Length":
            pairs[index] = (name, str(length))
            return
    headers["Content-Length"] = str(length)
