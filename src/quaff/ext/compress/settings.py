"""The settings of compression: Flask-Compress's 17 configuration keys and six of our own, read and checked in one place."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...errors import QuaffError

CODINGS: Final = ("zstd", "br", "gzip", "deflate")
"""The content codings, in the order in which they are offered by default."""

DEFAULTS: Final[dict[str, Any]] = {
    "COMPRESS_MIMETYPES": [
        "text/html",
        "text/css",
        "text/plain",
        "text/xml",
        "text/x-component",
        "text/javascript",
        "application/x-javascript",
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/vnd.api+json",
        "application/xml",
        "application/xhtml+xml",
        "application/rss+xml",
        "application/atom+xml",
        "application/vnd.ms-fontobject",
        "application/x-font-ttf",
        "application/x-font-opentype",
        "application/x-font-truetype",
        "image/svg+xml",
        "image/x-icon",
        "image/vnd.microsoft.icon",
        "font/ttf",
        "font/eot",
        "font/otf",
        "font/opentype",
    ],
    "COMPRESS_LEVEL": 6,
    "COMPRESS_BR_LEVEL": 4,
    "COMPRESS_BR_MODE": 0,
    "COMPRESS_BR_WINDOW": 22,
    "COMPRESS_BR_BLOCK": 0,
    "COMPRESS_ZSTD_LEVEL": 3,
    "COMPRESS_DEFLATE_LEVEL": -1,
    "COMPRESS_MIN_SIZE": 500,
    "COMPRESS_CACHE_KEY": None,
    "COMPRESS_CACHE_BACKEND": None,
    "COMPRESS_REGISTER": True,
    "COMPRESS_STREAMS": True,
    "COMPRESS_EVALUATE_CONDITIONAL_REQUEST": True,
    "COMPRESS_STREAMING_ENDPOINT_CONDITIONAL": ["static"],
    "COMPRESS_ALGORITHM": list(CODINGS),
    "COMPRESS_ALGORITHM_STREAMING": ["zstd", "br", "deflate"],
    # Quaff's own.
    "COMPRESS_CROSS_SITE": False,
    "COMPRESS_EXEMPT_ENDPOINTS": [],
    "COMPRESS_MEMO_SIZE": 4 * 1024 * 1024,
    "COMPRESS_PRECOMPRESSED": True,
    "COMPRESS_STATIC_CACHE_SIZE": 16 * 1024 * 1024,
    "COMPRESS_STATIC_ENDPOINTS": ["static"],
}
"""Configuration key -> default value; those of Flask-Compress 1.25, and Quaff's own after them."""

PER_VIEW: Final = frozenset(DEFAULTS) - {
    "COMPRESS_CACHE_BACKEND",
    "COMPRESS_CACHE_KEY",
    "COMPRESS_EXEMPT_ENDPOINTS",
    "COMPRESS_MEMO_SIZE",
    "COMPRESS_REGISTER",
    "COMPRESS_STATIC_CACHE_SIZE",
    "COMPRESS_STATIC_ENDPOINTS",
    "COMPRESS_STREAMING_ENDPOINT_CONDITIONAL",
}
"""The keys that `Compress.compressed` takes for one view: in lower case and without the prefix."""

NEVER: Final = frozenset(
    {
        "text/event-stream",
        "application/gzip",
        "application/x-7z-compressed",
        "application/x-brotli",
        "application/x-bzip2",
        "application/x-gzip",
        "application/x-rar-compressed",
        "application/x-xz",
        "application/zip",
        "application/zstd",
        "font/woff",
        "font/woff2",
        "image/avif",
        "image/gif",
        "image/heic",
        "image/jpeg",
        "image/jxl",
        "image/png",
        "image/webp",
    }
)
"""Types that are never compressed: event streams, and what is compressed already."""

_NEVER_FAMILIES: Final = frozenset({"audio", "video", "multipart"})

_RANGES: Final[dict[str, tuple[int, int]]] = {
    "COMPRESS_LEVEL": (-1, 9),
    "COMPRESS_DEFLATE_LEVEL": (-1, 9),
    "COMPRESS_BR_LEVEL": (0, 11),
    "COMPRESS_BR_MODE": (0, 2),
    "COMPRESS_BR_WINDOW": (10, 24),
    "COMPRESS_BR_BLOCK": (0, 24),
    "COMPRESS_ZSTD_LEVEL": (-131072, 22),
    "COMPRESS_MIN_SIZE": (0, 2**31),
    "COMPRESS_MEMO_SIZE": (0, 2**40),
    "COMPRESS_STATIC_CACHE_SIZE": (0, 2**40),
}
"""Key of a whole number -> its smallest and largest value; those of the libraries."""

_MEANT: Final = {"brotli": "br", "zstandard": "zstd", "zst": "zstd", "gz": "gzip", "x-gzip": "gzip", "zlib": "deflate"}

logger: Final = logging.getLogger("quaff.compress")

_said: set[str] = set()


class CompressOptionError(QuaffError, ValueError):
    """A setting of compression has an unknown name or a value that cannot be right."""

    code = "Q740"


def warn_once(message: str) -> None:
    """Log a warning, unless this process has logged the same one."""
    if message not in _said:
        _said.add(message)
        logger.warning(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressSettings:
    """How responses are compressed, checked."""

    mimetypes: frozenset[str]
    """Types that are compressed, in lower case and without parameters."""

    families: frozenset[str]
    """First halves of types that are compressed whatever their second half is: `text` for `text/*`."""

    algorithms: tuple[str, ...]
    """Codings for whole bodies and static files, the preferred one first."""

    streaming_algorithms: tuple[str, ...]
    """Codings for streams, the preferred one first."""

    level: int
    """Of gzip: 1 is fast, 9 is small, 0 does not compress, -1 is zlib's default."""

    br_level: int
    """Of Brotli, 0 to 11."""

    br_mode: int
    """Of Brotli: 0 for anything, 1 for text, 2 for fonts."""

    br_window: int
    """Of Brotli: the base-2 logarithm of the window's size in bytes, 10 to 24."""

    br_block: int
    """Of Brotli: the base-2 logarithm of the largest block, 16 to 24; 0 lets the library choose."""

    zstd_level: int
    """Of zstd, up to 22; 0 is zstd's default, below 0 it is faster."""

    deflate_level: int
    """Of deflate, as for gzip."""

    min_size: int
    """Bytes from which on a body of known size is compressed."""

    registers: bool
    """Whether all views are compressed, and not only those that are marked."""

    streams: bool
    """Whether streams are compressed, files among them."""

    evaluates: bool
    """Whether `If-None-Match` and its like are answered for compressed responses."""

    conditional_streams: frozenset[str]
    """Endpoints whose streams are answered conditionally too."""

    cross_site: bool
    """Whether personal responses are compressed for requests that another site caused."""

    exempt: frozenset[str]
    """Endpoints, and names of blueprints, that are not compressed."""

    memo_size: int
    """Bytes that the memo of compressed bodies may take."""

    precompressed: bool
    """Whether the compressed siblings of static files are used."""

    static_size: int
    """Bytes that compressed static files may take in memory."""

    static_endpoints: frozenset[str]
    """Endpoints that serve static files; `static` stands for blueprints' as well."""

    cache_key: Callable[..., str] | None
    """Makes the key for the cache of a request."""

    cache_backend: Callable[[], Any] | None
    """Makes the cache."""

    trusts_cache_key: bool
    """Whether the key alone says what a response is; `compress-cache-key` in `COMPAT`."""

    def lists(self, mimetype: str) -> bool:
        """Tell whether responses of a type, in lower case and without parameters, are compressed."""
        if mimetype in self.mimetypes:
            return True
        return mimetype.partition("/")[0] in self.families and mimetype not in NEVER

    def serves_static(self, endpoint: str) -> bool:
        """Tell whether an endpoint serves static files, the app's or a blueprint's."""
        return endpoint in self.static_endpoints or ("static" in self.static_endpoints and endpoint.endswith(".static"))

    @property
    def compresses_anything(self) -> bool:
        """Whether there are types and codings at all."""
        return bool(self.mimetypes or self.families) and bool(self.algorithms or self.streaming_algorithms)


def set_defaults(config: dict[str, Any]) -> None:
    """Put the default values into a configuration, where there are none."""
    for key, value in DEFAULTS.items():
        config.setdefault(key, list(value) if isinstance(value, list) else value)


def override_keys(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of one view by their configuration keys.

    :raises CompressOptionError: for a name that is none.
    """
    found = {}
    for name, value in options.items():
        key = f"COMPRESS_{name.upper()}"
        if key not in PER_VIEW:
            known = sorted(known.removeprefix("COMPRESS_").lower() for known in PER_VIEW)
            raise CompressOptionError(
                f"compressed() got {name!r}, which is no option of one view{_guess(name, known)}"
                f" Options are: {', '.join(known)}."
            )
        found[key] = value
    return found


def read_settings(config: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> CompressSettings:
    """Read the settings from a configuration.

    :param overrides: values of one view, by configuration key.
    :raises CompressOptionError: for a value that cannot be right.
    """
    values = DEFAULTS | {key: config[key] for key in DEFAULTS if key in config} | dict(overrides or {})
    _warn_about_unknown(config)
    numbers = {key: _number(key, values[key]) for key in _RANGES}
    mimetypes, families = _types(values["COMPRESS_MIMETYPES"])
    return CompressSettings(
        mimetypes=mimetypes,
        families=families,
        algorithms=_codings("COMPRESS_ALGORITHM", values["COMPRESS_ALGORITHM"]),
        streaming_algorithms=_codings("COMPRESS_ALGORITHM_STREAMING", values["COMPRESS_ALGORITHM_STREAMING"]),
        level=numbers["COMPRESS_LEVEL"],
        br_level=numbers["COMPRESS_BR_LEVEL"],
        br_mode=numbers["COMPRESS_BR_MODE"],
        br_window=numbers["COMPRESS_BR_WINDOW"],
        br_block=numbers["COMPRESS_BR_BLOCK"],
        zstd_level=numbers["COMPRESS_ZSTD_LEVEL"],
        deflate_level=numbers["COMPRESS_DEFLATE_LEVEL"],
        min_size=numbers["COMPRESS_MIN_SIZE"],
        registers=bool(values["COMPRESS_REGISTER"]),
        streams=bool(values["COMPRESS_STREAMS"]),
        evaluates=bool(values["COMPRESS_EVALUATE_CONDITIONAL_REQUEST"]),
        conditional_streams=frozenset(words(values["COMPRESS_STREAMING_ENDPOINT_CONDITIONAL"])),
        cross_site=bool(values["COMPRESS_CROSS_SITE"]),
        exempt=frozenset(words(values["COMPRESS_EXEMPT_ENDPOINTS"])),
        memo_size=numbers["COMPRESS_MEMO_SIZE"],
        precompressed=bool(values["COMPRESS_PRECOMPRESSED"]),
        static_size=numbers["COMPRESS_STATIC_CACHE_SIZE"],
        static_endpoints=frozenset(words(values["COMPRESS_STATIC_ENDPOINTS"])),
        cache_key=_callable("COMPRESS_CACHE_KEY", values["COMPRESS_CACHE_KEY"]),
        cache_backend=_callable("COMPRESS_CACHE_BACKEND", values["COMPRESS_CACHE_BACKEND"]),
        trusts_cache_key="compress-cache-key" in (config.get("COMPAT") or ()),
    )


def words(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the words of a list, or of a string with commas between them.

    >>> words("gzip, br"), words(["gzip"]), words(None)
    (('gzip', 'br'), ('gzip',), ())
    """
    if value is None:
        return ()
    listed = value.split(",") if isinstance(value, str) else value
    return tuple(word.strip() for word in listed if word.strip())


def _guess(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "."


def _warn_about_unknown(config: Mapping[str, Any]) -> None:
    for key in config:
        if key.startswith("COMPRESS_") and key not in DEFAULTS:
            close = difflib.get_close_matches(key, DEFAULTS, n=1, cutoff=0.8)
            # A key that looks like none of ours may well be the app's own.
            if close:
                warn_once(f"{key} is no setting of Compress and has no effect; did you mean {close[0]}?")


def _number(key: str, value: object) -> int:
    low, high = _RANGES[key]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise CompressOptionError(f"{key} is a whole number from {low} to {high}, and not {value!r}.")
    if key == "COMPRESS_BR_BLOCK" and 0 < value < 16:
        raise CompressOptionError(f"{key} is 0 or a whole number from 16 to 24, and not {value!r}.")
    return value


def _callable(key: str, value: Any) -> Callable[..., Any] | None:
    if value is not None and not callable(value):
        raise CompressOptionError(f"{key} is something to call, or None, and not {value!r}.")
    return value or None


def _codings(key: str, value: str | Iterable[str] | None) -> tuple[str, ...]:
    names = words(value)
    for name in names:
        if name not in CODINGS:
            meant = f"; did you mean {_MEANT[name]!r}?" if name in _MEANT else _guess(name, CODINGS)
            raise CompressOptionError(
                f"{key} has {name!r}, which is no coding{meant} Codings are: {', '.join(CODINGS)}."
            )
    return tuple(dict.fromkeys(names))


def _types(value: str | Iterable[str] | None) -> tuple[frozenset[str], frozenset[str]]:
    exact, families = set(), set()
    for word in words(value):
        mimetype = word.lower()
        family, _, kind = mimetype.partition("/")
        if mimetype in NEVER or family in _NEVER_FAMILIES:
            warn_once(
                f"COMPRESS_MIMETYPES has {word!r}, which is never compressed: it is already, or it is a live stream."
            )
        elif kind == "*" and family != "*":
            families.add(family)
        elif not kind or "*" in mimetype or ";" in mimetype:
            raise CompressOptionError(
                f"COMPRESS_MIMETYPES has {word!r}; it lists types such as 'text/html', without parameters, and 'text/*' for"
                " all that begin like that."
            )
        else:
            exact.add(mimetype)
    return frozenset(exact), frozenset(families)
