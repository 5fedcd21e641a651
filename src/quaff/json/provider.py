"""How an app turns objects into JSON and back: the provider behind `app.json`.

`DefaultJSONProvider` writes what `json.dumps` writes, byte for byte, through encoders that are built once per settings
instead of once per call. A subclass, or an assignment on the instance at run time, may replace any of its methods and
settings, and every short cut here looks first whether that happened.
"""

from __future__ import annotations

import dataclasses
import json
import json.encoder
import json.scanner
import sys
import uuid
import weakref
from collections.abc import Callable
from datetime import date
from typing import IO, Any, AnyStr

from werkzeug.http import http_date

from .strict import parse_strict

# `Any` for apps and responses: both are classes of higher layers, and `app.response_class` may be any class.

_COMPACT = (",", ":")
_SPACED = (", ", ": ")

Encode = Callable[[Any, int], tuple[str, ...]]
Settings = tuple[Callable[[Any], Any], bool, bool, tuple[str, str]]


class JSONProvider:
    """The JSON operations of an app; subclass it to use another JSON library.

    A subclass needs `dumps` and `loads`; the other methods stand on these. To use it, set `json_provider_class` on an
    app class, or `app.json` to an instance.

    :param app: kept as a weak reference in `_app`.
    """

    def __init__(self, app: Any) -> None:
        self._app: Any = weakref.proxy(app)

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return *obj* as JSON text.

        :param kwargs: options of the library behind it.
        """
        raise NotImplementedError

    def dump(self, obj: Any, fp: IO[str], **kwargs: Any) -> None:
        """Write *obj* as JSON text to a file; the options are those of `dumps`."""
        fp.write(self.dumps(obj, **kwargs))

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the object that JSON text, or its UTF-8 bytes, stands for.

        :param kwargs: options of the library behind it.
        """
        raise NotImplementedError

    def load(self, fp: IO[AnyStr], **kwargs: Any) -> Any:
        """Return the object that the JSON in a file stands for; the options are those of `loads`."""
        return self.loads(fp.read(), **kwargs)

    def _prepare_response_obj(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args and kwargs:
            raise TypeError("app.json.response() takes either args or kwargs, not both")
        if not args and not kwargs:
            return None
        if len(args) == 1:
            return args[0]
        return args or kwargs

    def response(self, *args: Any, **kwargs: Any) -> Any:
        """Return a response of the app's class with the arguments as its JSON body; `jsonify` calls this.

        One positional argument is the body itself, several become a list, keyword arguments become an object, and no
        argument at all is `null`.

        :raises TypeError: for positional and keyword arguments together.
        """
        obj = self._prepare_response_obj(args, kwargs)
        return self._app.response_class(self.dumps(obj), mimetype="application/json")

    def response_body(self, obj: Any) -> bytes:
        """Return the bytes that this class's `response(obj)` would send. Quaff 0.1."""
        return _as_bytes(self.dumps(obj))


def _as_bytes(text: str | bytes) -> bytes:
    # COMPAT: providers on top of bytes libraries return bytes from `dumps`, and Flask sends them.
    return text if isinstance(text, bytes) else text.encode()


def _default(o: Any) -> Any:
    """Return a JSON type for *o*, for what `json.dumps` does not know itself."""
    if isinstance(o, date):
        return http_date(o)
    # PERF: where nobody imported `decimal`, nothing is a decimal number.
    decimal: Any = sys.modules.get("decimal")
    if isinstance(o, uuid.UUID) or (decimal is not None and isinstance(o, decimal.Decimal)):
        return str(o)
    if dataclasses.is_dataclass(o):
        return dataclasses.asdict(o)  # type: ignore[arg-type]  # for a class itself, asdict raises the right TypeError
    if hasattr(o, "__html__"):
        return str(o.__html__())
    raise TypeError(f"Object of type {type(o).__name__} is not JSON serializable")


def _build_encode(
    default: Callable[[Any], Any], ensure_ascii: bool, sort_keys: bool, separators: tuple[str, str]
) -> Encode | None:
    """Return the encoder that `json.dumps` would make for these settings, or None where there is no C encoder."""
    make = json.encoder.c_make_encoder  # type: ignore[attr-defined]  # an undocumented name, checked below
    if make is None:
        return None
    escape = json.encoder.encode_basestring_ascii if ensure_ascii else json.encoder.encode_basestring
    # PERF: without the dict of markers that finds circular references: one shared by threads would find false ones, and
    # a new encoder per call costs as much as encoding a small object. What is circular ends in a RecursionError instead.
    return make(None, default, escape, None, separators[1], separators[0], sort_keys, False, True)  # type: ignore[no-any-return]


_scan_once = json.scanner.make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # the stub is wrong


# What the short cut in `loads` may meet: bad JSON, a strict or missing configuration, an app that is gone.
_UNUSUAL = (ValueError, StopIteration, RecursionError, AttributeError, ReferenceError)


class DefaultJSONProvider(JSONProvider):
    """JSON through the standard library, with a few types more.

    Dates and datetimes become HTTP dates, `uuid.UUID` and `decimal.Decimal` strings, dataclasses objects, and anything
    with an `__html__` method the text that it returns.
    """

    default: Callable[[Any], Any] = staticmethod(_default)
    """Called with an object that is not a JSON type; returns one, or raises `TypeError`."""

    ensure_ascii: bool = True
    """Write every character outside ASCII as an escape. False makes shorter text in most languages."""

    sort_keys: bool = True
    """Sort the keys of objects, so that equal objects give equal text. Keys of mixed types then raise `TypeError`."""

    compact: bool | None = None
    """Whether `response` leaves out blanks and line ends. None: unless the app is in debug mode."""

    mimetype: str = "application/json"
    """The mimetype of what `response` returns."""

    _own_dumps: bool = True
    """Whether `dumps` is this class's, and so nothing but `_encode`."""

    # The encoder last used for each of the two sets of separators, with the settings that it was built from.
    _compact_encoder: tuple[Settings | None, Encode | None] = (None, None)
    _spaced_encoder: tuple[Settings | None, Encode | None] = (None, None)

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return *obj* as JSON text.

        :param kwargs: options of `json.dumps`; `default`, `ensure_ascii` and `sort_keys` default to the attributes.
        :raises TypeError: for what is not a JSON type.
        :raises ValueError: for an object that contains itself.
        """
        if not kwargs:
            return self._encode(obj, _SPACED)
        if len(kwargs) == 1 and kwargs.get("separators") == _COMPACT:
            return self._encode(obj, _COMPACT)
        kwargs.setdefault("default", self.default)
        kwargs.setdefault("ensure_ascii", self.ensure_ascii)
        kwargs.setdefault("sort_keys", self.sort_keys)
        return json.dumps(obj, **kwargs)

    def _encoder(self, separators: tuple[str, str]) -> tuple[Settings, Encode | None]:
        """Return the settings as they are now, and the encoder for them."""
        settings = (self.default, self.ensure_ascii, self.sort_keys, separators)
        known, encode = self._compact_encoder if separators is _COMPACT else self._spaced_encoder
        if known != settings:
            encode = _build_encode(*settings)
            if separators is _COMPACT:
                self._compact_encoder = (settings, encode)
            else:
                self._spaced_encoder = (settings, encode)
        return settings, encode

    def _encode(self, obj: Any, separators: tuple[str, str]) -> str:
        settings, encode = self._encoder(separators)
        if encode is not None:
            try:
                return "".join(encode(obj, 0))
            except RecursionError:
                # Fall through: the standard library tells an object that contains itself from one that is too deep.
                pass
        default, ensure_ascii, sort_keys, _ = settings
        return json.dumps(obj, default=default, ensure_ascii=ensure_ascii, sort_keys=sort_keys, separators=separators)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the object that JSON text stands for.

        Text is read as `json.loads` reads it. Bytes come from outside, so more is refused: what is not UTF-8 (RFC 8259
        section 8.1; a byte order mark may stand before it), and nesting of any depth is a `ValueError` at worst. With
        `JSON_STRICT` in the app's configuration, so are NaN and infinities, keys that occur twice and half surrogate pairs.

        :param s: text, or UTF-8 bytes.
        :param kwargs: options of `json.loads`.
        :raises ValueError: for what is not JSON.
        """
        # PERF: the usual text, without blanks around it, is read here by one call of the C scanner. This attempt only ever
        # gives up: whatever is unusual is read again below, with all questions asked.
        if not kwargs:
            try:
                if isinstance(s, str):
                    text = s
                else:
                    text = "" if self._app.config.get("JSON_STRICT") else s.decode()
                value, end = _scan_once(text, 0)
                if end == len(text):
                    return value
            except _UNUSUAL:
                pass
        if isinstance(s, (bytes, bytearray)):
            return self._loads_bytes(s, kwargs)
        return json.loads(s, **kwargs)

    def _loads_bytes(self, s: bytes | bytearray, kwargs: dict[str, Any]) -> Any:
        strict = self._config("JSON_STRICT", False)
        try:
            # RFC: 8259 section 8.1: a parser may ignore a byte order mark; Windows tools send one.
            text = s.decode("utf-8-sig")
            if strict:
                return parse_strict(text, **kwargs)
            return json.loads(text, **kwargs)
        except RecursionError as error:
            raise ValueError("The JSON is nested too deeply.") from error
        except ValueError:
            # Text in UTF-16 and UTF-32 holds NUL bytes, which JSON does not: it ends here even where it is valid UTF-8.
            if not strict and "json-encodings" in self._config("COMPAT", ()):
                return json.loads(s, **kwargs)
            encoding = json.detect_encoding(s)
            if encoding != "utf-8":
                raise ValueError(f"The JSON is not plain UTF-8; it looks like {encoding}.") from None
            raise

    def _config(self, key: str, default: Any) -> Any:
        try:
            return self._app.config.get(key, default)
        except (AttributeError, ReferenceError):
            # The app is gone or is a stand-in without a configuration: providers are usable on their own.
            return default

    def response(self, *args: Any, **kwargs: Any) -> Any:
        """Return a response of the app's class with the arguments as its JSON body; `jsonify` calls this.

        One positional argument is the body itself, several become a list, keyword arguments become an object, and no
        argument at all is `null`. A line end follows; in debug mode, unless `compact` is set, the text is indented.

        :raises TypeError: for positional and keyword arguments together.
        """
        obj = self._prepare_response_obj(args, kwargs)
        return self._app.response_class(self._response_text(obj), mimetype=self.mimetype)

    def response_body(self, obj: Any) -> bytes:
        """Return the bytes that this class's `response(obj)` would send. Quaff 0.1."""
        return self._response_text(obj).encode()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "dumps":
            super().__setattr__("_own_dumps", False)
        if name[:1] != "_":
            revision = getattr(getattr(self, "_app", None), "_revision", None)
            if revision is not None:
                revision.bump()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._own_dumps = cls.dumps is DefaultJSONProvider.dumps

    def body_encoder(self) -> Encode | None:
        """Return the encoder whose joined pieces, with a line end, are the `response_body`; None if that takes more.

        It is good until an attribute of the provider is set, which makes a new revision of the app. Quaff 0.1.
        """
        is_compact = self.compact or (self.compact is None and not self._app.debug)
        usual = type(self).response_body is DefaultJSONProvider.response_body and "response_body" not in self.__dict__
        return self._encoder(_COMPACT)[1] if is_compact and usual and self._own_dumps else None

    def _response_text(self, obj: Any) -> str:
        compact = self.compact
        if compact is False or (compact is None and self._app.debug):
            return f"{self.dumps(obj, indent=2)}\n"
        # PERF: through `_encode` and not `dumps`, unless that is somebody else's: two calls and two dicts less.
        if self._own_dumps:
            return self._encode(obj, _COMPACT) + "\n"
        return f"{self.dumps(obj, separators=_COMPACT)}\n"
