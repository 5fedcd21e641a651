"""COMPAT: the names that programs import from `flask_cors.core`, over what this battery is made of.

`from flask_cors.core import *` gives them, and the module `re`, as there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...globals import active_context, active_request_context, raise_no_app, raise_no_request
from ...headers import Headers
from .origins import ANY, Pattern, is_regex
from .parts import put_on_response
from .policy import (
    ACL_ALLOW_HEADERS,
    ACL_CREDENTIALS,
    ACL_EXPOSE_HEADERS,
    ACL_MAX_AGE,
    ACL_METHODS,
    ACL_ORIGIN,
    ACL_RESPONSE_PRIVATE_NETWORK,
    Policy,
    allowed_headers,
    allowed_origin,
    put_answer,
)
from .problems import LOG, CorsOptionError
from .resources import read_resources
from .settings import ALL_METHODS, CONFIG_KEYS, DEFAULTS, CorsSettings, make_settings, merge_options

__all__ = [
    "ACL_ALLOW_HEADERS",
    "ACL_CREDENTIALS",
    "ACL_EXPOSE_HEADERS",
    "ACL_MAX_AGE",
    "ACL_METHODS",
    "ACL_ORIGIN",
    "ACL_REQUEST_HEADERS",
    "ACL_REQUEST_HEADER_PRIVATE_NETWORK",
    "ACL_REQUEST_METHOD",
    "ACL_RESPONSE_PRIVATE_NETWORK",
    "ALL_METHODS",
    "CONFIG_OPTIONS",
    "DEFAULT_OPTIONS",
    "FLASK_CORS_EVALUATED",
    "LOG",
    "RegexObject",
    "ensure_iterable",
    "flexible_str",
    "get_allow_headers",
    "get_app_kwarg_dict",
    "get_cors_headers",
    "get_cors_options",
    "get_cors_origins",
    "get_regexp_pattern",
    "merge_options",
    "parse_resources",
    "probably_regex",
    "re",
    "re_fix",
    "sanitize_regex_param",
    "serialize_options",
    "set_cors_headers",
    "try_match_any_pattern",
    "try_match_pattern",
]

ACL_REQUEST_METHOD = "Access-Control-Request-Method"
ACL_REQUEST_HEADERS = "Access-Control-Request-Headers"
ACL_REQUEST_HEADER_PRIVATE_NETWORK = "Access-Control-Request-Private-Network"
CONFIG_OPTIONS = list(CONFIG_KEYS)
DEFAULT_OPTIONS = dict(DEFAULTS)
FLASK_CORS_EVALUATED = "_FLASK_CORS_EVALUATED"
RegexObject = re.Pattern


def probably_regex(maybe_regex: Pattern) -> bool:
    """Tell whether a pattern is, or looks like, a regular expression."""
    return is_regex(maybe_regex)


def re_fix(reg: Pattern) -> Pattern:
    """Return `.*` for `*`, which is no expression, and anything else as it is."""
    return ANY if reg == "*" else reg


def get_regexp_pattern(regexp: Pattern) -> str:
    """Return a pattern as text."""
    return regexp.pattern if isinstance(regexp, re.Pattern) else str(regexp)


def try_match_pattern(value: Any, pattern: Pattern, caseSensitive: bool = True) -> bool:  # noqa: N803 - COMPAT
    """Tell whether a value is the literal *pattern*, or begins as an expression says.

    :param caseSensitive: whether the case of a literal matters; that of an expression is a matter of its flags.
    """
    if isinstance(pattern, re.Pattern):
        return pattern.match(value) is not None
    return str(value) == str(pattern) if caseSensitive else str(value).casefold() == str(pattern).casefold()


def try_match_any_pattern(inst: str, patterns: Iterable[Pattern], caseSensitive: bool = True) -> bool:  # noqa: N803
    """Tell whether `try_match_pattern` says yes to one of several patterns."""
    return any(try_match_pattern(inst, pattern, caseSensitive) for pattern in patterns)


def flexible_str(obj: Any) -> str | None:
    """Return None for None, the sorted members of an iterable with commas between them, and anything else as text."""
    if obj is None:
        return None
    if isinstance(obj, str) or not isinstance(obj, Iterable):
        return str(obj)
    return ", ".join(str(item) for item in sorted(obj))


def ensure_iterable(inst: Any) -> Iterable[Any]:
    """Return an iterable as it is, and a string or anything else in a list."""
    return [inst] if isinstance(inst, str) or not isinstance(inst, Iterable) else inst


def sanitize_regex_param(param: Any) -> list[Pattern]:
    """Return one pattern or several as a list, with `.*` for `*`."""
    return [re_fix(pattern) for pattern in ensure_iterable(param)]


def parse_resources(resources: Any) -> list[tuple[Pattern, Mapping[str, Any]]]:
    """Return the patterns of `resources`, expressions compiled, with their options; those of a dict most specific first.

    :raises CorsOptionError: for what is no pattern.
    """
    return [(_compiled(re_fix(pattern)), own) for pattern, own in read_resources(resources)]


def _compiled(pattern: Pattern) -> Pattern:
    if not is_regex(pattern):
        return pattern
    try:
        return re.compile(pattern)
    except re.error as error:
        raise CorsOptionError(f"resources holds {pattern!r}, which is no regular expression: {error}.") from error


def get_app_kwarg_dict(appInstance: Any = None) -> dict[str, Any]:  # noqa: N803 - COMPAT
    """Return the options in the configuration of an app, by default the current one."""
    app = appInstance
    if app is None:
        bound = active_context()
        app = raise_no_app() if bound is None else bound.app
    config = getattr(app, "config", {})
    return {name: config[key] for key, name in CONFIG_KEYS.items() if config.get(key) is not None}


def serialize_options(opts: Mapping[str, Any]) -> CorsSettings:
    """Return options as settings.

    :raises CorsOptionError: for a value that cannot be right.
    """
    return make_settings({name: value for name, value in opts.items() if name != "resources"})


def get_cors_options(appInstance: Any, *dicts: Mapping[str, Any]) -> CorsSettings:  # noqa: N803 - COMPAT
    """Return the settings that follow from the defaults, an app's configuration and *dicts*, the last one winning."""
    merged = {**DEFAULTS, **get_app_kwarg_dict(appInstance)}
    for more in dicts:
        merged.update(more)
    merged.pop("resources", None)
    config: Mapping[str, Any] = getattr(appInstance, "config", {})
    return make_settings(merged, config.get("COMPAT", ()))


def get_cors_origins(options: CorsSettings, request_origin: str | None) -> list[str] | None:
    """Return the value of `Access-Control-Allow-Origin` in a list, or None."""
    allowed = allowed_origin(options, request_origin)
    return None if allowed is None else [allowed]


def get_allow_headers(options: CorsSettings, acl_request_headers: str | None) -> str | None:
    """Return those of the headers that a preflight asks for which are allowed; None when it asks for none."""
    return allowed_headers(options, acl_request_headers)


def get_cors_headers(options: CorsSettings, request_headers: Any, request_method: str) -> dict[str, str]:
    """Return the headers that answer a request."""
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request_headers.items()}
    policy = Policy(options)
    is_options = request_method == "OPTIONS"
    headers = Headers()
    put_answer(headers, policy, policy.answer_options(environ) if is_options else policy.answer(environ))
    return dict(headers)


def set_cors_headers(resp: Any, options: CorsSettings) -> Any:
    """Add the headers that answer the current request to a response, once, and return it."""
    context = active_request_context()
    if context is None:
        raise_no_request()
    return put_on_response(context, Policy(options), resp)
