"""The guard and the headers of a route, as the pipeline calls them: one function each, with everything decided before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from werkzeug.exceptions import Forbidden
from werkzeug.wsgi import get_host

from ...hosts import refuse_host
from ...pipeline.parts import Part
from ...pipeline.phases import Stage
from ...pipeline.results import Answer
from ...wrappers import STATUS_LINES
from .csp import make_nonce
from .headers import HeaderSet, NonceHeader
from .https import NOTHING_EXEMPT, SECURE_SCHEMES, Exemptions, Verdict, judge, redirect_code, secure_url
from .settings import Settings

Guard = Callable[[Any], Any]
AddHeaders = Callable[[Any, int, Any], None]

_FORWARDED: Final = "HTTP_X_FORWARDED_PROTO"
_HINTED: Final = "quaff.security.hinted"
_REFUSAL: Final = "This WebSocket has to be opened over a secure connection: use wss:// in place of ws://."


_BEHIND_PROXY: Final = (
    "A request over plain HTTP says 'X-Forwarded-Proto: https', and is redirected to HTTPS all the same: nobody is trusted"
    " to set that header. If a proxy in front of the app does, name it: app.config['TRUSTED_PROXIES'] = 1. Without that the"
    " redirect leads here again and again."
)


def hint_at_proxy(app: Any) -> None:
    """Say in the app's log, once, what a redirect loop comes from."""
    if _HINTED not in app.extensions:
        app.extensions[_HINTED] = True
        app.logger.warning("%s", _BEHIND_PROXY)


def trusts_forwarded(config: Any) -> bool:
    """Tell whether an app's `COMPAT` asks to believe a client's own `X-Forwarded-Proto: https`, as the extensions do."""
    return "trust-forwarded-proto" in config.get("COMPAT", ())


@dataclass(frozen=True, slots=True)
class Enforcement:
    """How HTTPS is forced on a route. `enforce` is a guard's verdict for a request that is not secure."""

    permanent: bool
    keep_method: bool
    code: int | None
    host: str | None
    exempt: Exemptions
    hint: Callable[[Any], None]
    """Called with the app when a proxy seems to be in front that is not in `TRUSTED_PROXIES`."""

    def enforce(self, context: Any) -> Any:
        """Return the redirect, or None for an exempt path; raise for a WebSocket, and for a host that is not trusted."""
        environ = context.environ
        path = environ.get("PATH_INFO", "")
        verdict = judge(
            is_secure=False, is_exempt=self.exempt.cover(path), is_websocket=context.made_websocket is not None
        )
        if verdict is Verdict.SERVE:
            return None
        if environ.get(_FORWARDED, "").lower() == "https" and not context.app.config.get("TRUSTED_PROXIES"):
            self.hint(context.app)
        if verdict is Verdict.REFUSE:
            raise Forbidden(_REFUSAL)
        host = self.host or self._host_of(context.app, environ)
        url = secure_url(host, environ.get("SCRIPT_NAME", "") + path, environ.get("QUERY_STRING", ""))
        method = environ["REQUEST_METHOD"]
        code = redirect_code(method, permanent=self.permanent, keep_method=self.keep_method, code=self.code)
        # PERF: what Werkzeug's `redirect` makes, with less of a page, and without a response object where nobody wants one.
        # The URL is quoted, so that there is nothing in it to check.
        kind = ("Content-Type", "text/plain; charset=utf-8")
        return Answer.of(STATUS_LINES[code], f"Use {url}\n".encode(), [kind, ("Location", url)])

    def _host_of(self, app: Any, environ: Any) -> str:
        """Return the host that the client named.

        SECURITY: guards run before a refused host becomes a 400, and nobody is sent to such a host.
        """
        refusal = refuse_host(environ)
        if refusal is not None:
            raise refusal
        trusted = app.config["TRUSTED_HOSTS"]
        host: str | None = environ.get("HTTP_HOST")
        if trusted is None and host:
            return host.removesuffix(":80")
        return get_host(environ, trusted)


def make_guard(enforcement: Enforcement | None, *, trusting: bool, has_nonce: bool) -> Guard | None:
    """Return the guard of a route; None when it has nothing to do."""
    if enforcement is None:
        return _give_nonce if has_nonce else None
    enforce = enforcement.enforce
    exact, prefixes = enforcement.exempt.exact, enforcement.exempt.prefixes

    def guard(context: Any) -> Any:
        environ = context.environ
        if environ["wsgi.url_scheme"] in SECURE_SCHEMES or (trusting and environ.get(_FORWARDED) == "https"):
            return None
        # PERF: `Exemptions.cover`, for health checks, which come all the time, without the calls.
        path = environ.get("PATH_INFO", "")
        return None if path in exact or path.startswith(prefixes) else enforce(context)

    def guard_with_nonce(context: Any) -> Any:
        # PERF: `_give_nonce` and `guard`, without the calls.
        request = context.request
        if getattr(request, "csp_nonce", None) is None:
            request.csp_nonce = make_nonce()
        environ = context.environ
        if environ["wsgi.url_scheme"] in SECURE_SCHEMES or (trusting and environ.get(_FORWARDED) == "https"):
            return None
        return enforce(context)

    return guard_with_nonce if has_nonce else guard


def _give_nonce(context: Any) -> None:
    request = context.request
    # Two policies on one route share the nonce of the request.
    if getattr(request, "csp_nonce", None) is None:
        request.csp_nonce = make_nonce()


def make_add_headers(headers: HeaderSet, *, trusting: bool, exempt: Exemptions = NOTHING_EXEMPT) -> AddHeaders | None:
    """Return what adds the headers that are not constant; None when all are.

    :param exempt: paths whose responses do without the headers that are for HTTPS only.
    """
    if not headers.secure and not headers.made:
        return None
    of_https = tuple((name.lower(), (name, value)) for name, value in headers.secure)
    made = tuple((header.name.lower(), header) for header in headers.made)
    return _adding(of_https, made, headers.has_nonce, trusting, exempt)


def _adding(
    of_https: tuple[tuple[str, tuple[str, str]], ...],
    made: tuple[tuple[str, NonceHeader], ...],
    has_nonce: bool,
    trusting: bool,
    exempt: Exemptions,
) -> AddHeaders:
    ours = frozenset(key for key, _ in (*of_https, *made))
    has_exemptions = bool(exempt)

    # PERF: loops, because a comprehension is a call in CPython 3.11. The values were checked when the route was compiled, so
    # they go in without another check.
    def add_headers(context: Any, code: int, target: Any) -> None:
        environ = context.environ
        secure = environ["wsgi.url_scheme"] in SECURE_SCHEMES or (trusting and environ.get(_FORWARDED) == "https")
        pairs = target._list
        taken = []
        for name, _ in pairs:
            if (key := name.lower()) in ours:
                taken.append(key)
        if secure and not (has_exemptions and exempt.cover(environ.get("PATH_INFO", ""))):
            for key, pair in of_https:
                if key not in taken:
                    pairs.append(pair)
        # RFC: 9111 section 3.2: the headers of a 304 take the place of stored ones. The stored page has its own nonce.
        if made and not (has_nonce and code == 304):
            nonce = "" if not has_nonce else getattr(context.made_request, "csp_nonce", None) or _late_nonce(context)
            for key, header in made:
                if key not in taken:
                    pairs.append((header.name, nonce.join(header.secure if secure else header.plain)))

    return add_headers


def keep_private(context: Any, code: int, headers: Any) -> None:
    """Have no cache keep a response for which the session was read, unless its headers say something about that."""
    session = context.opened_session
    if session is not None and getattr(session, "accessed", True) and "Cache-Control" not in headers:
        headers["Cache-Control"] = "private, no-store"


def _late_nonce(context: Any) -> str:
    """Return a nonce where no guard ran: a guard of an earlier stage answered, or routing failed before them."""
    _give_nonce(context)
    nonce: str = context.request.csp_nonce
    return nonce


def build_parts(
    headers: HeaderSet, settings: Settings, enforcement: Enforcement | None, *, trusting: bool, is_websocket: bool
) -> list[Part]:
    """Return the parts of a route."""
    # A nonce is for pages; a WebSocket has none.
    guard = make_guard(enforcement, trusting=trusting, has_nonce=headers.has_nonce and not is_websocket)
    add_headers = make_add_headers(headers, trusting=trusting)
    parts = [] if guard is None else [Part(stage=Stage.HTTPS, guard=guard)]
    if headers.constant or add_headers is not None:
        parts.append(Part(stage=Stage.HEADERS, headers=headers.constant, add_headers=add_headers))
    if settings.private_sessions and not is_websocket:
        parts.append(Part(stage=Stage.HEADERS, add_headers=keep_private))
    return parts
