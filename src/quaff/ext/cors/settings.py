"""The options of CORS: where they come from, what they default to, and what they may be.

An option is looked for in the dict of its resource, then among the keyword arguments, then in the app's configuration, then
here. The configuration is read when a route is compiled, so it may be loaded after `init_app`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypedDict

from .origins import OriginRules, Pattern, compile_origins, complaint_about, is_regex
from .problems import LOG, CorsOptionError, guess
from .resources import Options, read_resources

ALL_METHODS: Final = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"]

ANY_WITH_CREDENTIALS: Final = "cors-any-with-credentials"
"""The name in `COMPAT` that lets every origin in with credentials, as Flask-CORS does."""

BY_PREFIX: Final = "cors-prefix-match"
"""The name in `COMPAT` that matches expressions as Flask-CORS does."""

UNKNOWN_OPTIONS: Final = "cors-unknown-options"
"""The name in `COMPAT` that lets a misspelt `origins` leave every origin in, as Flask-CORS does."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"", "0", "false", "no", "off"})


class CrossOriginOptions(TypedDict, total=False):
    """The keyword arguments of `cross_origin`, for type checkers; `CorsSettings` says what they mean."""

    origins: Pattern | Iterable[Pattern] | None
    methods: str | Iterable[str]
    expose_headers: str | Iterable[str] | None
    allow_headers: Pattern | Iterable[Pattern]
    supports_credentials: bool
    max_age: timedelta | int | str | None
    send_wildcard: bool
    vary_header: bool
    automatic_options: bool
    always_send: bool
    allow_private_network: bool | None
    websocket_origins: bool | Pattern | Iterable[Pattern]


class CorsOptions(CrossOriginOptions, total=False):
    """The keyword arguments of `CORS`, for type checkers; `CorsSettings` says what they mean."""

    resources: Any  # Any: one pattern, several, or a dict of patterns and options
    intercept_exceptions: bool


DEFAULTS: Final[Options] = {
    "origins": "*",
    "methods": ALL_METHODS,
    "allow_headers": "*",
    "expose_headers": None,
    "supports_credentials": False,
    "max_age": None,
    "send_wildcard": False,
    "automatic_options": True,
    "vary_header": True,
    "resources": "/*",
    "intercept_exceptions": True,
    "always_send": True,
    "allow_private_network": None,
    "websocket_origins": False,
}
"""Option -> what it is when nobody says anything."""

CONFIG_KEYS: Final = {f"CORS_{name.upper()}": name for name in DEFAULTS}
"""Key of the configuration -> option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsSettings:
    """All options for one resource or view, checked and ready to be used."""

    origins: OriginRules
    """Whose pages may read the answers: origins, expressions or `*`; by default `*`. See `quaff.ext.cors.origins`."""

    methods: frozenset[str] = frozenset()
    """The methods that a preflight allows; by default the seven of `ALL_METHODS`. A string may name several, with commas."""

    allow_headers: OriginRules
    """The request headers that a preflight allows, names or expressions; by default `*`: those that it asks for."""

    expose_headers: str | None = None
    """The response headers that scripts may read; by default only those that they always may."""

    supports_credentials: bool = False
    """Whether requests may carry cookies, client certificates and passwords. Refused together with open origins."""

    max_age: str | None = None
    """Seconds that browsers may remember a preflight, a `timedelta`, or None for what they do by themselves (5 seconds)."""

    send_wildcard: bool = False
    """Answer `*` where every origin is let in, instead of the origin itself. Then the answer is the same for everybody."""

    automatic_options: bool = True
    """For `cross_origin`: answer OPTIONS without the view."""

    vary_header: bool = True
    """Whether answers that depend on the origin say so, in `Vary`. Turn it off only where nothing is cached."""

    intercept_exceptions: bool = True
    """COMPAT: without effect since Flask 1.1. Error pages have the headers of other answers."""

    always_send: bool = True
    """Send the headers also when a request names no origin."""

    allow_private_network: bool | None = None
    """The answer when a page on a public network asks for this one; None, the default, for no answer, which means no."""

    websocket_origins: OriginRules | None = None
    """The sites beside the app's own whose WebSocket handshakes are accepted; None, the default, for all, unchecked.

    The option is `True` for those in `origins`, or origins of its own.
    """

    is_open: bool = False
    """Whether an origin that nobody has thought of is let in."""

    @property
    def is_constant(self) -> bool:
        """Whether the headers are the same for each origin, and without one."""
        return self.origins.any and self.send_wildcard and self.always_send


def merge_options(config: Mapping[str, Any], *given: Options) -> dict[str, Any]:
    """Return all options: the defaults, over them the configuration, and over that what is *given*, the last one winning.

    A key of the configuration that is None counts as not set.
    """
    options = dict(DEFAULTS)
    options.update({name: config[key] for key, name in CONFIG_KEYS.items() if config.get(key) is not None})
    for more in given:
        options.update(more)
    return options


def make_settings(options: Options, compat: Iterable[str] = (), *, where: str = "CORS") -> CorsSettings:
    """Check the options and return them as settings.

    :param options: with all options, or some; `resources` does not belong to them.
    :param compat: the app's `COMPAT`.
    :param where: begins the sentence of an error.
    :raises CorsOptionError: for a value that cannot be right, and for open origins together with credentials.
    """
    by_prefix = BY_PREFIX in compat
    origins = compile_origins(_as_patterns(options.get("origins"), "origins"), by_prefix=by_prefix)
    switches = {
        name: _as_bool(name, options[name])
        for name in DEFAULTS
        if isinstance(DEFAULTS[name], bool) and name in options and name != "websocket_origins"
    }
    private = options.get("allow_private_network")
    settings = CorsSettings(
        origins=origins,
        methods=frozenset(name.upper() for name in _as_tokens("methods", options.get("methods")) or ()),
        allow_headers=_compile_headers(options.get("allow_headers"), by_prefix=by_prefix),
        expose_headers=", ".join(_as_tokens("expose_headers", options.get("expose_headers")) or ()) or None,
        max_age=_as_seconds(options.get("max_age")),
        allow_private_network=None if private is None else _as_bool("allow_private_network", private),
        websocket_origins=_websocket_rules(options.get("websocket_origins", False), origins, by_prefix=by_prefix),
        is_open=origins.lets_strangers_in,
        **switches,
    )
    _check_together(settings, compat, where)
    _check_names(settings, options, compat, where)
    return settings


def check_options(options: Options, compat: Iterable[str] | None = None) -> None:
    """Check keyword arguments by themselves, when they are given.

    What the configuration may yet change is left for the moment when a route is compiled: `origins` that are open only by
    default.

    :param compat: the app's `COMPAT`; None when there is no app yet, which leaves what it allows for later, too.
    :raises CorsOptionError: for a value that cannot be right.
    """
    if compat is None:
        compat = (ANY_WITH_CREDENTIALS, UNKNOWN_OPTIONS)
    for _, own in read_resources(options.get("resources", DEFAULTS["resources"])):
        together = {**options, **own}
        for name in together:
            if name not in DEFAULTS:
                LOG.warning("Unknown option passed to Flask-CORS: %s%s", name, guess(name, DEFAULTS))
        together.setdefault("origins", None)
        make_settings(together, compat)


def warn_about(settings: CorsSettings) -> None:
    """Log what is suspicious about settings, though not wrong."""
    for literal in settings.origins.literals:
        complaint = complaint_about(literal)
        if complaint is not None:
            LOG.warning("CORS lets the origin %r in, which no browser sends: it %s.", literal, complaint)
    for pattern in settings.origins.patterns:
        if pattern.pattern.endswith((".*", ".+")) and not settings.is_open:
            LOG.warning(
                "CORS lets in what matches %r, which ends with %r: also hosts that only begin like yours. End it there.",
                pattern.pattern,
                pattern.pattern[-2:],
            )


def _check_together(settings: CorsSettings, compat: Iterable[str], where: str) -> None:
    if settings.origins.any and settings.supports_credentials and settings.send_wildcard:
        raise CorsOptionError(
            f"{where}: browsers refuse the answer '*' for requests with credentials (Fetch standard, CORS protocol and"
            " credentials). Turn supports_credentials off, or list the origins."
        )
    if settings.is_open and settings.supports_credentials and ANY_WITH_CREDENTIALS not in compat:
        raise CorsOptionError(
            f"{where}: supports_credentials with origins that anybody may have, such as '*', would let every site read what"
            " your users see when they are logged in. List the sites that may: origins=['https://app.example.com'], or"
            f" CORS_ORIGINS in the configuration. COMPAT = ({ANY_WITH_CREDENTIALS!r},) does what Flask-CORS did."
        )


def _check_names(settings: CorsSettings, options: Options, compat: Iterable[str], where: str) -> None:
    wrong = [name for name in options if name not in DEFAULTS and "origin" in name.lower()]
    if wrong and settings.is_open and UNKNOWN_OPTIONS not in compat:
        # SECURITY: who writes `origin=` believes that the others are shut out.
        raise CorsOptionError(
            f"{where}: there is no option {wrong[0]!r}{guess(wrong[0], DEFAULTS)}; as it stands, every origin is let in."
            f" COMPAT = ({UNKNOWN_OPTIONS!r},) ignores such names, as Flask-CORS did."
        )


def _as_patterns(value: Any, name: str) -> list[Pattern]:
    if value is None:
        return []
    if isinstance(value, (str, re.Pattern)):
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping)):
        return list(value)
    raise CorsOptionError(
        f"{name} is {value!r}, which is a {type(value).__name__}. It is a string, a regular expression, or a list of these."
    )


def _compile_headers(value: Any, *, by_prefix: bool) -> OriginRules:
    """Return the rules for header names; their patterns are expressions, and names have no case, as with origins."""
    literals: set[str] = set()
    patterns: list[re.Pattern[str]] = []
    entries = _as_patterns(value, "allow_headers")
    for entry in entries:
        if isinstance(entry, re.Pattern):
            patterns.append(entry)
        elif not isinstance(entry, str):
            raise CorsOptionError(
                f"allow_headers holds {entry!r}; each entry is the name of a header, or an expression."
            )
        elif not is_regex(entry):
            literals.update(_as_tokens("allow_headers", entry) or ())
        else:
            patterns.append(_as_expression(entry))
    return OriginRules(
        any=any(entry in {"*", ".*"} for entry in entries),
        literals=tuple(sorted(literals)),
        exact=frozenset(literal.lower() for literal in literals),
        patterns=tuple(patterns),
        by_prefix=by_prefix,
    )


def _as_expression(entry: str) -> re.Pattern[str]:
    try:
        return re.compile(".*" if entry == "*" else entry, re.IGNORECASE)
    except re.error as error:
        raise CorsOptionError(f"allow_headers holds {entry!r}, which is no regular expression: {error}.") from error


def _as_tokens(name: str, value: Any) -> list[str] | None:
    """Return the words of a list or of a string with commas, sorted.

    SECURITY: they become headers; a line end in one that comes from the environment would end the header.
    """
    if value is None:
        return None
    if isinstance(value, str):
        value = value.split(",")
    elif not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
        raise CorsOptionError(f"{name} is {value!r}; it is a string such as 'A, B', or a list of strings.")
    words = sorted(word.strip() if isinstance(word, str) else str(word) for word in value)
    for word in words:
        if word and _TOKEN.fullmatch(word) is None:
            raise CorsOptionError(f"{name} holds {word!r}; a name is made of letters, digits and !#$%&'*+-.^_`|~.")
    return [word for word in words if word]


def _as_bool(name: str, value: Any) -> bool:
    # SECURITY: the text "False", as it comes from an environment variable, is true to Python.
    if isinstance(value, str):
        word = value.strip().lower()
        if word not in _TRUE | _FALSE:
            raise CorsOptionError(f"{name} is {value!r}; it is True or False.")
        return word in _TRUE
    return bool(value)


def _as_seconds(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = int(value.total_seconds())
    text = str(value).strip()
    if isinstance(value, bool) or re.fullmatch(r"-?[0-9]+", text) is None:
        raise CorsOptionError(f"max_age is {value!r}; it is a number of whole seconds, or a timedelta.")
    return text


def _websocket_rules(value: Any, origins: OriginRules, *, by_prefix: bool) -> OriginRules | None:
    if isinstance(value, bool) or value is None:
        rules = origins if value else None
    elif isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        rules = origins if _as_bool("websocket_origins", value) else None
    else:
        rules = compile_origins(_as_patterns(value, "websocket_origins"), by_prefix=by_prefix)
    if rules is not None and rules.lets_strangers_in:
        raise CorsOptionError(
            "websocket_origins would check the origin of WebSocket handshakes and let every origin in, because origins are"
            " '*' or as open. List the sites in origins, or in websocket_origins itself; [] is for the app's own pages only."
        )
    return rules
