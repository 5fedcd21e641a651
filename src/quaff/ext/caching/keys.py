"""Keys: pure functions from what a value depends on to a text.

Two different inputs never share a key. The usual forms are those of Flask-Caching, so that entries and `make_cache_key`
survive the switch; where those could collide, something is added. A hash is taken of an encoding in which each part is
preceded by its length.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from werkzeug.datastructures import MultiDict

Hash = Callable[..., Any]
"""A hash constructor such as `hashlib.sha256`."""

QueryArgs = str | Mapping[str, Any] | Iterable[tuple[str, Any]]

SAFE_LENGTH: Final = 200
_SAFE: Final = re.compile(rf"[A-Za-z0-9_:./%-]{{1,{SAFE_LENGTH}}}")
_HASHED: Final = "h:"
_LOOKS_HASHED: Final = re.compile(r"[0-9a-f]{32}#*\Z")


def encode_parts(parts: Iterable[str]) -> bytes:
    """Return *parts* as bytes in which their borders can be told: no two lists of parts give the same.

    >>> encode_parts(["ab", "c"]) == encode_parts(["a", "bc"])
    False
    """
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    # PERF: a list, because a generator is a call for each part.
    return b"".join([b"%d:%b" % (len(part), part) for part in encoded])


def digest(parts: Iterable[str], method: Hash = hashlib.sha256) -> str:
    """Return the hash of *parts* in hexadecimal."""
    return str(method(encode_parts(parts)).hexdigest())


def path_of(request_path: str, host: str | None = None) -> str:
    """Return the part of a key that stands for a path; with *host*, for rules that are only for some hosts.

    A path that ends like a hash gets a `#` behind it: what follows the path in other keys is a hash, and a client chooses
    the path.

    >>> path_of("/works"), path_of("/", "admin.example.org")
    ('/works', '//admin.example.org/')
    """
    path = request_path if host is None else f"//{host}{request_path}"
    return f"{path}#" if _LOOKS_HASHED.search(path) else path


def fill_prefix(key_prefix: str, path: str) -> str:
    """Put *path* where *key_prefix* has `%s`."""
    return key_prefix.replace("%s", path) if key_prefix.count("%") == key_prefix.count("%s") else key_prefix % path


def query_pairs(query_args: QueryArgs) -> list[tuple[str, str]]:
    """Return the parameters of a query as pairs: a query string, a mapping, a `MultiDict` or pairs."""
    if isinstance(query_args, str):
        return parse_qsl(query_args.lstrip("?"), keep_blank_values=True)
    pairs: Any = query_args
    if isinstance(pairs, MultiDict):
        items: Iterable[tuple[str, Any]] = pairs.items(multi=True)
    else:
        items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return [(key, str(value)) for key, value in items]


def query_digest(pairs: Iterable[tuple[str, str]], method: Hash, source: str | None = None) -> str:
    """Return the hash of a query whatever the order of its parameters.

    COMPAT: Flask-Caching's form: the text of a sorted tuple, which names each pair without doubt.
    """
    hashed = method(str(tuple(sorted(pairs))).encode("utf-8", "backslashreplace"))
    if source is not None:
        hashed.update(source.encode())
    return str(hashed.hexdigest())


def variant_key(key: str, token: str, values: Iterable[str]) -> str:
    """Return the key of one variant of what stands at *key*."""
    return f"variant:{digest([key, token, *values])}"


def stored_key(key: str, prefix: str = "") -> str:
    """Return *key* behind *prefix* as every store takes it: unchanged when it is short and plain, else its hash.

    SECURITY: CVE-2020-13254: in Memcached's protocol a space or a newline in a key starts the next command.

    >>> stored_key("view//works", "shop_"), stored_key("a b")[:2], len(stored_key("x" * 9999))
    ('shop_view//works', 'h:', 66)
    """
    if len(prefix) + len(key) <= SAFE_LENGTH and _SAFE.fullmatch(key) and not key.startswith(_HASHED):
        return prefix + key
    return f"{prefix}{_HASHED}{digest([key])}"


def safe_prefix(prefix: str | None) -> str:
    """Return a prefix that can stand before `stored_key`'s keys in any store."""
    if not prefix or (len(prefix) <= SAFE_LENGTH // 2 and _SAFE.fullmatch(prefix)):
        return prefix or ""
    return f"{digest([prefix])[:32]}:"
