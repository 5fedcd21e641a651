"""Making the store that the settings name."""

from __future__ import annotations

from typing import Any

from cachelib import RedisCache as CachelibRedisCache
from werkzeug.utils import ImportStringError, import_string

from .backends.base import BaseCache
from .backends.rediscache import client_options
from .settings import CacheSettingsError, Settings


def build_backend(app: Any, settings: Settings) -> Any:
    """Return the store for *app*: of a class of ours or cachelib's, or from a function `(app, config, args, kwargs)`.

    :raises CacheSettingsError: when there is no such class or function, or it lacks a setting.
    """
    config = settings.config
    try:
        factory = import_string(settings.type)
    except ImportStringError as error:
        raise CacheSettingsError(f"`CACHE_TYPE` {config['CACHE_TYPE']!r} cannot be imported: {error}") from error
    args = list(config["CACHE_ARGS"])
    options = {"ignore_delete_many_errors": bool(config["CACHE_IGNORE_ERRORS"]), **(config["CACHE_OPTIONS"] or {})}
    options["default_timeout"] = settings.default_timeout
    if settings.type.startswith("cachelib."):
        return _of_cachelib(factory, config, args, options)
    if settings.type.endswith(".FileSystemCache") and not config["CACHE_DIR"] and not args:
        raise CacheSettingsError("`CACHE_DIR` is not set: FileSystemCache needs the path of a directory of its own.")
    if isinstance(factory, type) and issubclass(factory, BaseCache):
        factory = factory.factory
    return factory(app, config, args, options)


def _of_cachelib(factory: Any, config: dict[str, Any], args: list[Any], options: dict[str, Any]) -> Any:
    if isinstance(factory, type) and issubclass(factory, CachelibRedisCache):
        host = args[0] if args else options.get("host", "localhost")
        if isinstance(host, str):
            options = client_options(config, options)
    return factory(*args, **options)


def is_remote(backend: Any) -> bool:
    """Tell whether a call of a store may wait for another machine."""
    own = getattr(backend, "is_remote", None)
    return _is_remote_in_cachelib(backend) if own is None else bool(own)


def is_shared(backend: Any) -> bool:
    """Tell whether other processes see what is in a store."""
    own = getattr(backend, "is_shared", None)
    if own is not None:
        return bool(own)
    return _is_remote_in_cachelib(backend) or any(cls.__module__ == "cachelib.file" for cls in type(backend).__mro__)


def _is_remote_in_cachelib(backend: Any) -> bool:
    local = {"cachelib.base", "cachelib.file", "cachelib.simple", "cachelib.uwsgi"}
    modules = {cls.__module__ for cls in type(backend).__mro__}
    return any(name.startswith("cachelib.") for name in modules - local)


def location_of(backend: Any) -> str:
    """Return where a store is, for the log, without a password."""
    return str(getattr(backend, "location", type(backend).__name__))
