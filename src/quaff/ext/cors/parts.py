"""What CORS gives to the pipeline of a route, once it is known which policy the route has.

A route whose answers are the same for everybody gets constant headers. Others look at `Origin`, in one call. OPTIONS has
a guard that answers preflights before all hooks and limits: their policy is that of the rule that would serve the method
which the browser asks for. The headers come from a finisher in all cases, so errors have them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from werkzeug.exceptions import Forbidden, HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Rule

from ...headers import add_vary
from ...pipeline.parts import Part
from ...pipeline.phases import Stage
from ...pipeline.results import Answer
from .origins import OriginRules, judge_handshake
from .policy import KNOWN_MAX, LONGEST_KNOWN, METHOD_KEY, ORIGIN_KEY, Pairs, Policy, put_answer, put_pairs
from .problems import LOG, shown
from .settings import ALL_METHODS
from .table import ByPath

Choose = Callable[[Rule, str], ByPath]
"""Gives the policy of a rule and method."""

EVALUATED: Final = "cors_is_evaluated"
"""The attribute that a request context has when the response has its headers already."""


def parts_for_view(choice: ByPath) -> Iterable[Part]:
    """Return the parts for a route and a method other than OPTIONS."""
    if choice.is_empty:
        return ()
    policy = choice.everywhere
    if policy is None:
        return (Part(stage=Stage.CORS, add_headers=_add_by_path(choice)),)
    if policy.constant is not None and policy.settings.allow_private_network is None:
        return (Part(stage=Stage.CORS, headers=policy.constant),)
    return (Part(stage=Stage.CORS, headers=_vary(policy), add_headers=_add(policy)),)


def _vary(policy: Policy) -> Pairs:
    return (("Vary", "Origin"),) if policy.varies and not policy.is_single else ()


def _add(policy: Policy) -> Callable[[Any, int, Any], None]:
    """Return what adds the headers for one policy.

    PERF: `Policy.answer` and `put_answer` written out for the usual response: one Python call, and one more for an origin
    that was not met before. tests/ext/cors/test_parts.py counts them.
    """
    if policy.settings.allow_private_network is not None:
        return _add_all(policy)
    without_origin, known, learn = policy.without_origin, policy.known, policy.learn
    refusal_varies = policy.varies and policy.is_single

    def add_headers(context: Any, _code: int, headers: Any) -> None:
        origin = context.environ.get("HTTP_ORIGIN")
        pairs = known.get(origin) if origin else without_origin
        if pairs is None:
            pairs = learn(origin)
        if not pairs:
            if refusal_varies:
                add_vary(headers, "Origin")
            return
        present = getattr(headers, "_list", None)
        if present is None or EVALUATED in context.__dict__:
            _put(context, headers, policy, pairs)
            return
        for name, _ in present:
            if len(name) == 27 and name.lower() == "access-control-allow-origin":
                return
        present += pairs

    return add_headers


def _add_all(policy: Policy) -> Callable[[Any, int, Any], None]:
    def add_headers(context: Any, _code: int, headers: Any) -> None:
        _put(context, headers, policy, policy.answer(context.environ))

    return add_headers


def _add_by_path(choice: ByPath) -> Callable[[Any, int, Any], None]:
    def add_headers(context: Any, _code: int, headers: Any) -> None:
        policy = choice.policy_at(context.environ)
        if policy is not None:
            _put(context, headers, policy, policy.answer(context.environ))

    return add_headers


def _put(context: Any, headers: Any, policy: Policy, pairs: Pairs) -> None:
    if EVALUATED not in context.__dict__:
        put_answer(headers, policy, pairs)


def put_on_response(context: Any, policy: Policy, response: Any) -> Any:
    """Add the headers to a response, in the place of the route's own policy, and return it."""
    if EVALUATED not in context.__dict__:
        environ = context.environ
        is_options = environ["REQUEST_METHOD"] == "OPTIONS"
        put_answer(response.headers, policy, policy.answer_options(environ) if is_options else policy.answer(environ))
        setattr(context, EVALUATED, True)
    return response


class Preflights:
    """The policies of preflights: those of the rules that would serve the methods that they ask for.

    :param own: what applies where no rule serves such a method: the policy of the path.
    :param choose: gives the policy of a rule and method.
    """

    def __init__(self, own: ByPath, choose: Choose) -> None:
        self._own = own
        self._is_decided = own.is_decided
        self._add_own = None if own.everywhere is None else _add(own.everywhere)
        self.vary: Pairs = () if own.everywhere is None else _vary(own.everywhere)
        """The header that all answers have, whatever their origin and method."""

        self._choose = choose
        self._known: dict[tuple[str, str, str], Policy | None] = {}
        self._answers: dict[tuple[str, str], Answer] = {}

    def policy_of(self, context: Any) -> Policy | None:
        """Return the policy of a request with `Access-Control-Request-Method`."""
        environ = context.environ
        method: str = environ[METHOD_KEY].upper()
        path: str = environ.get("PATH_INFO", "")
        # The host is part of it for apps whose rules have hosts; for others that costs a few entries.
        key = (environ.get("HTTP_HOST", ""), path, method)
        if key in self._known:
            return self._known[key]
        policy = self._find(context, method)
        # SECURITY: bounded in every direction, for all three are the client's.
        if method in ALL_METHODS and len(path) <= LONGEST_KNOWN:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[key] = policy
        return policy

    def _find(self, context: Any, method: str) -> Policy | None:
        adapter = context.url_adapter
        try:
            rule = None if adapter is None else adapter.match(method=method, return_rule=True)[0]
        except HTTPException:
            # No rule for this method, or a redirect.
            rule = None
        choice = self._own if rule is None else self._choose(rule, method)
        return choice.policy_at(context.environ)

    def guard(self, context: Any) -> Any:
        """Answer a preflight that has a policy, as the app answers OPTIONS; let everything else pass."""
        environ = context.environ
        if METHOD_KEY not in environ or environ["REQUEST_METHOD"] != "OPTIONS":
            return None
        failure = context.request.routing_exception
        if failure is not None and not isinstance(failure, (NotFound, MethodNotAllowed)):
            # A redirect, or a request that is refused as a whole.
            return None
        if self.policy_of(context) is None:
            return None
        app = context.app
        if app.overrides("make_default_options_response"):
            return app.make_default_options_response()
        return self._answer(context)

    def _answer(self, context: Any) -> Answer:
        """Return what `app.make_default_options_response` makes, as a finished answer that is remembered."""
        environ = context.environ
        path: str = environ.get("PATH_INFO", "")
        key = (environ.get("HTTP_HOST", ""), path)
        answer = self._answers.get(key)
        if answer is None:
            allow = ", ".join(sorted(context.url_adapter.allowed_methods()))
            kind = context.app.response_class().headers["Content-Type"]
            answer = Answer.of("200 OK", b"", [("Content-Type", kind), ("Allow", allow)])
            if len(path) <= LONGEST_KNOWN:
                if len(self._answers) >= KNOWN_MAX:
                    self._answers.clear()
                self._answers[key] = answer
        return answer

    def add_headers(self, context: Any, code: int, headers: Any) -> None:
        """Add the headers to the answer of a preflight, or of any other request."""
        environ = context.environ
        is_options = environ["REQUEST_METHOD"] == "OPTIONS"
        if self._is_decided and not is_options:
            if self._add_own is not None:
                self._add_own(context, code, headers)
            return
        asks = is_options and METHOD_KEY in environ
        policy = self.policy_of(context) if asks else self._own.policy_at(environ)
        if policy is not None:
            pairs = policy.answer_options(environ) if is_options else policy.answer(environ)
            if self.vary and EVALUATED not in context.__dict__:
                put_pairs(headers, pairs)
            else:
                _put(context, headers, policy, pairs)


def parts_for_options(own: ByPath, choose: Choose, *, answers: bool) -> Iterable[Part]:
    """Return the parts for OPTIONS, and for requests that match no rule.

    :param answers: whether preflights are answered here, not by a view.
    """
    preflights = Preflights(own, choose)
    guard = preflights.guard if answers else None
    return (Part(stage=Stage.CORS, guard=guard, headers=preflights.vary, add_headers=preflights.add_headers),)


def parts_for_websocket(choice: ByPath) -> Iterable[Part]:
    """Return the guard that refuses the handshakes of foreign sites, where the settings want one."""

    def guard(context: Any) -> None:
        environ = context.environ
        policy = choice.policy_at(environ)
        rules = None if policy is None else policy.settings.websocket_origins
        if rules is not None:
            _check_handshake(rules, environ)

    policy = choice.everywhere
    if choice.is_empty or (policy is not None and policy.settings.websocket_origins is None):
        return ()
    return (Part(stage=Stage.CORS, guard=guard),)


def _check_handshake(rules: OriginRules, environ: Any) -> None:
    origin = environ.get(ORIGIN_KEY)
    host = environ.get("HTTP_HOST", "")
    if judge_handshake(rules, origin, environ["wsgi.url_scheme"], host):
        return
    LOG.warning(
        "CORS: refused a WebSocket handshake for %s at %s from the origin %s. If that is a site of yours, name it in origins"
        " or websocket_origins; if it is the app itself behind a proxy, set TRUSTED_PROXIES.",
        shown(environ.get("PATH_INFO", "")),
        shown(host),
        shown(origin),
    )
    raise Forbidden("Pages of this origin may not open a WebSocket here.")
