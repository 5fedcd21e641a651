"""JSON through the current app's provider: `dumps`, `loads`, `jsonify` and their file-based relatives.

`provider` holds the provider itself, `strict` the reader for `JSON_STRICT`, `tag` the lossless format of the session
cookie. Outside of an app context the functions here use the standard library with the default provider's extra types.
"""

from __future__ import annotations

import json as _json
from typing import IO, Any, AnyStr

from ..globals import active_context, current_context
from .provider import _default

__all__ = ["dump", "dumps", "jsonify", "load", "loads"]


def dumps(obj: Any, **kwargs: Any) -> str:
    """Return *obj* as JSON text.

    With an app context, by the app's provider; otherwise by `json.dumps`.

    :param kwargs: options of the provider's `dumps`.
    """
    context = active_context()
    if context is not None:
        return context.app.json.dumps(obj, **kwargs)  # type: ignore[no-any-return]
    kwargs.setdefault("default", _default)
    return _json.dumps(obj, **kwargs)


def dump(obj: Any, fp: IO[str], **kwargs: Any) -> None:
    """Write *obj* as JSON text to a file that is open for text, by the app's provider or `json.dump`.

    :param kwargs: options of the provider's `dump`.
    """
    context = active_context()
    if context is not None:
        context.app.json.dump(obj, fp, **kwargs)
        return
    kwargs.setdefault("default", _default)
    _json.dump(obj, fp, **kwargs)


def loads(s: str | bytes, **kwargs: Any) -> Any:
    """Return the object that JSON text, or its UTF-8 bytes, stands for.

    With an app context, by the app's provider; otherwise by `json.loads`.

    :param kwargs: options of the provider's `loads`.
    :raises ValueError: for what is not JSON.
    """
    context = active_context()
    if context is not None:
        return context.app.json.loads(s, **kwargs)
    return _json.loads(s, **kwargs)


def load(fp: IO[AnyStr], **kwargs: Any) -> Any:
    """Return the object that the JSON in a file stands for, by the app's provider or `json.load`.

    :param fp: a file open for text, or for bytes in UTF-8.
    :param kwargs: options of the provider's `load`.
    """
    context = active_context()
    if context is not None:
        return context.app.json.load(fp, **kwargs)
    return _json.load(fp, **kwargs)


def jsonify(*args: Any, **kwargs: Any) -> Any:  # Any: an instance of app.response_class, whatever that is set to
    """Return a response with the arguments as its JSON body, by the current app's provider.

    One positional argument is the body itself, several become a list, keyword arguments become an object, and no
    argument at all is `null`. A view may as well return a dict or a list.

    :raises TypeError: for positional and keyword arguments together.
    :raises RuntimeError: outside of an app context.
    """
    return current_context.get().app.json.response(*args, **kwargs)
