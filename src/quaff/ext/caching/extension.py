"""The class `Cache`."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Final
from weakref import WeakKeyDictionary

from cachelib.serializers import BaseSerializer

from ...globals import active_request_context, current_context
from ...pipeline.parts import Battery, Part, Target, mark_view
from . import memoize as memoizing
from .arguments import normalize_call
from .backends.base import serializer_for
from .bound import Bound
from .building import build_backend, is_remote, is_shared, location_of
from .cached import CachedEngine
from .engine import decorate
from .keys import Hash, QueryArgs, variant_key
from .pages import Page, Variants
from .part import part_for
from .rules import Rules
from .settings import CacheSettingsError, Seconds, Settings, read_settings
from .store import Store
from .tags import Tags, forget
from .variants import values_of

_gives_pages: Final = ContextVar("quaff.caching.pages", default=False)
"""Whether `Cache.get` returns pages as they are stored: for calls of our own that go through a subclass's `get`."""

Function = Callable[..., Any]


class Cache(Battery):
    """The cache of one app or several.

    ::

        cache = Cache(app, config={"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 60})


        @app.get("/news")
        @cache.cached(timeout=30)
        def news():
            return render_template("news.html", items=latest())

    An app may have several of them, and one may serve several apps. The settings are the `CACHE_...` keys of the app's
    configuration, of *config*, and of what `init_app` is given, in this order; what the app's configuration holds when a
    request comes counts.

    :param app: the app; or call `init_app` later.
    :param with_jinja2_ext: whether templates get `{% cache %}`.
    :param config: settings of this cache.
    """

    def __init__(self, app: Any = None, with_jinja2_ext: bool = True, config: dict[str, Any] | None = None) -> None:
        _check_config(config)
        self.with_jinja2_ext = with_jinja2_ext
        self.config = config
        self.app: Any = None
        self.source_check: bool | None = None
        self.hash_method: Hash | None = None
        self.serializer: BaseSerializer | None = None
        self.enable_signals = False
        self._bound: WeakKeyDictionary[Any, Bound] = WeakKeyDictionary()
        if app is not None:
            self.init_app(app, config)

    # Apps -------------------------------------------------------------------------------------------------------------

    def init_app(self, app: Any, config: dict[str, Any] | None = None) -> None:
        """Bind the cache to an app.

        :raises CacheSettingsError: for a setting that cannot be right (a `ValueError`).
        """
        _check_config(config)
        if not hasattr(app, "config"):
            raise TypeError(f"A cache belongs to an app: give init_app the app, not {app!r}.")
        settings = self._read(app, config or {})
        _warn_about(settings)
        if self.with_jinja2_ext:
            from .jinja2ext import install

            install(app, self)
        self._set_cache(app, settings, config or {})
        self.app = app

    def _read(self, app: Any, explicit: Mapping[str, Any]) -> Settings:
        settings = read_settings({**app.config, **(self.config or {}), **explicit}, app.config.get("COMPAT", ()))
        self.serializer = self._get_serializer(settings.config["CACHE_SERIALIZER"])
        self.source_check = settings.source_check
        self.enable_signals = settings.enable_signals
        self.hash_method = settings.hash_method
        return settings

    def _set_cache(self, app: Any, settings: Settings, explicit: dict[str, Any]) -> None:
        backend = build_backend(app, settings)
        if self.serializer is not None:
            if hasattr(backend, "serializer"):
                backend.serializer = self.serializer
            else:
                warnings.warn(
                    f"CACHE_SERIALIZER is set but {type(backend).__name__} does not use a serializer.",
                    stacklevel=4,
                )
        elif getattr(backend, "serializer", None) is not None:
            backend.serializer = serializer_for(backend, pickled=settings.pickled)
        app.extensions.setdefault("cache", {})[self] = backend
        self._bind(app, backend, settings, explicit)

    def _bind(self, app: Any, backend: Any, settings: Settings, explicit: dict[str, Any]) -> Bound:
        store = Store(backend, is_remote=is_remote(backend), is_shared=is_shared(backend), name=location_of(backend))
        given = _own_settings(app)
        bound = self._bound[app] = Bound(app, settings, store, app._revision.value, given, explicit)
        return bound

    def bound(self) -> Bound:
        """Return the cache as it is bound to the current app, or to the app that it was bound to last.

        :raises RuntimeError: when that is none.
        """
        context = current_context.get()
        app = context.app if context.app_context is not None or context.request_context is not None else self.app
        if app is None or (app not in self._bound and self.app is None):
            raise RuntimeError("This cache is not bound to an app yet: call cache.init_app(app) before it is used.")
        return self.bound_to(app if app in self._bound else self.app)

    def bound_to(self, app: Any) -> Bound:
        """Return the cache as it is bound to *app*, with the settings as they are now."""
        bound = self._bound[app]
        backend = app.extensions["cache"][self]
        if backend is not bound.store.backend:
            # COMPAT: tests put another store there.
            bound = self._bind(app, backend, bound.settings, bound.explicit)
        elif bound.revision != app._revision.value:
            bound.revision = app._revision.value
            if bound.given != _own_settings(app):
                self._set_cache(app, self._read(app, bound.explicit), bound.explicit)
                bound = self._bound[app]
                close = getattr(backend, "close", None)
                if callable(close):
                    close()
        return bound

    def parts_for(self, target: Target) -> Iterable[Part]:
        """Return what a route with a cached view needs."""
        engines = [engine for engine in target.marks(self) if isinstance(engine, CachedEngine)]
        if not engines or target.is_websocket or target.app not in self._bound:
            return
        yield part_for(engines[-1], target, self.bound_to(target.app))

    def _get_serializer(self, serializer: Any) -> BaseSerializer | None:
        if serializer is None or serializer == "pickle":
            return None
        if isinstance(serializer, type) and issubclass(serializer, BaseSerializer):
            try:
                return serializer()
            except TypeError as error:
                raise CacheSettingsError(f"Couldn't instantiate serializer: {serializer!r}!") from error
        if not isinstance(serializer, BaseSerializer):
            raise CacheSettingsError(
                "`CACHE_SERIALIZER` must be a `cachelib.serializers.BaseSerializer` subclass or instance, or 'pickle',"
                f" not {serializer!r}."
            )
        return serializer

    def _get_hash_method(self, hash_method: Hash | None) -> Hash:
        return hash_method or self.hash_method or hashlib.sha256

    def _get_source_check(self, source_check: bool | None) -> bool | None:
        return self.source_check if source_check is None else source_check

    # The store --------------------------------------------------------------------------------------------------------

    @property
    def cache(self) -> Any:
        """The store of the current app, for what this class has no method for."""
        return self.bound().store.backend

    @property
    def reads_directly(self) -> bool:
        """Whether nobody has put another `get` in the place of ours. Quaff 0.1."""
        return type(self).get is Cache.get and "get" not in self.__dict__

    @property
    def is_unpatched(self) -> bool:
        """Whether nobody has put others in the place of our methods by which a value is found. Quaff 0.1."""
        cls = type(self)
        return all(getattr(cls, name) is method for name, method in _LOOKUPS.items()) and not (
            self.__dict__.keys() & _LOOKUPS.keys()
        )

    def fetch(self, bound: Bound, key: str) -> Any:
        """Return what is stored at *key*: pages and lists of variants as such. Quaff 0.1."""
        if self.reads_directly:
            return bound.store.get(key)
        token = _gives_pages.set(True)
        try:
            return self.get(key)
        finally:
            _gives_pages.reset(token)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value at a key, or None. When the store does not answer, there is none."""
        store = self.bound().store
        found = store.call("get", _none, *args, **kwargs)
        if type(found) is Variants and not _gives_pages.get():
            values = values_of(active_request_context(), found.names)
            key = args[0] if args else kwargs["key"]
            found = None if values is None else store.get(variant_key(key, found.token, values))
        return found.value if type(found) is Page and not _gives_pages.get() else found

    def has(self, *args: Any, **kwargs: Any) -> bool:
        """Tell whether there is a value at a key."""
        return bool(self.bound().store.call("has", _false, *args, **kwargs))

    def set(self, *args: Any, **kwargs: Any) -> bool | None:
        """Store a value: `set(key, value, timeout=None)`; the timeout in seconds, None for the default, 0 for ever."""
        result: bool | None = self.bound().store.call("set", _false, *args, **kwargs)
        return result

    def add(self, *args: Any, **kwargs: Any) -> bool:
        """Store a value unless there is one; tell whether it was stored."""
        return bool(self.bound().store.call("add", _false, *args, **kwargs))

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        """Delete the value at a key."""
        return bool(self.bound().store.call("delete", _false, *args, **kwargs))

    def delete_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Delete the values at several keys; return the keys that are gone."""
        result: list[Any] = self.bound().store.call("delete_many", list, *args, **kwargs)
        return result

    def clear(self) -> bool:
        """Delete all values; of Redis and SQL, those with the cache's prefix."""
        return bool(self.bound().store.call("clear", _false))

    def get_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Return the values at several keys, None where there is none."""
        found = self.bound().store.call("get_many", lambda: [None] * len(args), *args, **kwargs)
        return [value.value if type(value) is Page else value for value in found]

    def set_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Store several values, given as a dict; return the keys of those that were stored."""
        result: list[Any] = self.bound().store.call("set_many", list, *args, **kwargs)
        return result

    def get_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the values at several keys by key, None where there is none."""
        found = self.bound().store.call("get_dict", lambda: dict.fromkeys(args), *args, **kwargs)
        return {key: value.value if type(value) is Page else value for key, value in found.items()}

    def unlink(self, *args: Any, **kwargs: Any) -> Any:
        """Delete values in the background of a Redis server; of other stores, as `delete_many` does."""
        store = self.bound().store
        if callable(getattr(store.backend, "unlink", None)):
            return store.call("unlink", list, *args, **kwargs)
        return self.delete_many(*args, **kwargs)

    # Decorators -------------------------------------------------------------------------------------------------------

    def cached(  # noqa: PLR0913, PLR0917 - COMPAT: Flask-Caching's signature
        self,
        timeout: Seconds = None,
        key_prefix: str | Callable[[], str] = "view/%s",
        unless: Function | None = None,
        forced_update: Function | None = None,
        is_stale: Function | None = None,
        response_filter: Function | None = None,
        query_string: bool = False,
        hash_method: Hash | None = None,
        cache_none: bool = False,
        make_cache_key: Function | None = None,
        source_check: bool | None = None,
        response_hit_indication: bool | None = False,
        *,
        vary_on: Collection[str] = (),
        tags: Tags = None,
        stale_for: Seconds = None,
        public: bool = False,
        etag: bool | None = None,
    ) -> Callable[[Function], Any]:
        """Cache what a view returns, by the path of the request, or what a function returns, by a key of its own.

        The decorated function has the attributes `uncached` (the function), `cache_timeout` and `make_cache_key`; the last
        two may be set. Put it below `app.route`.

        :param timeout: seconds or a timedelta; None is `CACHE_DEFAULT_TIMEOUT`, 0 for ever.
        :param key_prefix: the key, with the path in the place of `%s`; or a function that returns the key.
        :param unless: when it returns True, the function is called without the cache; it gets the function and its
            arguments if it takes any.
        :param forced_update: when it returns True, the function is called and what it returns is stored.
        :param is_stale: gets a value that was found; when it returns True, the function is called.
        :param response_filter: gets what the function returned; when it returns False, that is not stored.
        :param query_string: whether the query is part of the key; the order of its parameters does not matter.
        :param hash_method: the hash constructor; None is `CACHE_HASH_METHOD`.
        :param cache_none: whether None is a value too.
        :param make_cache_key: returns the key for the arguments of a call.
        :param source_check: whether the function's source code is part of the key.
        :param response_hit_indication: whether hits have the header `hit_cache: True`.
        :param vary_on: what else is part of the key: names of headers, `session`, `user`, `query`.
        :param tags: names under which `delete_tagged` finds what is stored; or a function of the arguments that returns
            them.
        :param stale_for: seconds for which a value is still given after its time, while it is made anew.
        :param public: that the result is the same for everybody, although the session, the user or `Authorization` is read.
        :param etag: whether the response has an entity tag; None is `CACHE_ETAG`.
        """
        rules = Rules(
            timeout=timeout,
            key_prefix=key_prefix,
            unless=unless,
            forced_update=forced_update,
            is_stale=is_stale,
            response_filter=response_filter,
            query_string=query_string,
            hash_method=hash_method,
            cache_none=cache_none,
            make_cache_key=make_cache_key,
            source_check=source_check,
            response_hit_indication=bool(response_hit_indication),
            vary_on=vary_on,
            tags=tags,
            stale_for=stale_for,
            public=public,
            etag=etag,
        )

        def decorator(f: Function) -> Any:
            engine = CachedEngine(self, f, rules)
            decorated = decorate(engine)
            decorated.make_cache_key = engine.usual_key
            return mark_view(decorated, self, engine)

        return decorator

    def memoize(  # noqa: PLR0913, PLR0917 - COMPAT: Flask-Caching's signature
        self,
        timeout: Seconds = None,
        make_name: Callable[[str], str] | None = None,
        unless: Function | None = None,
        forced_update: Function | None = None,
        is_stale: Function | None = None,
        response_filter: Function | None = None,
        hash_method: Hash | None = None,
        cache_none: bool = False,
        source_check: bool | None = None,
        args_to_ignore: Collection[str] | None = None,
        *,
        tags: Tags = None,
        stale_for: Seconds = None,
        public: bool = False,
    ) -> Callable[[Function], Any]:
        """Cache what a function returns, by its arguments.

        The decorated function has the attributes `uncached`, `cache_timeout`, `make_cache_key` and `delete_memoized`. The
        other parameters are those of `cached`.

        :param make_name: gets the function's name and returns the one that is part of the key.
        :param args_to_ignore: names of arguments that are not part of the key; `self` for a method that is the same for all
            objects.
        """
        rules = Rules(
            timeout=timeout,
            make_name=make_name,
            unless=unless,
            forced_update=forced_update,
            is_stale=is_stale,
            response_filter=response_filter,
            hash_method=hash_method,
            cache_none=cache_none,
            source_check=source_check,
            args_to_ignore=args_to_ignore or (),
            tags=tags,
            stale_for=stale_for,
            public=public,
        )

        def decorator(f: Function) -> Any:
            memoized = decorate(memoizing.MemoizedEngine(self, f, rules))
            memoized.make_cache_key = self._memoize_make_cache_key(make_name, hash_method, source_check, args_to_ignore)
            memoized.delete_memoized = lambda: self.delete_memoized(memoized)
            return memoized

        return decorator

    # Forgetting -------------------------------------------------------------------------------------------------------

    def delete_cached(
        self, f: Any, path: str | None = None, query_args: QueryArgs | None = None, **kwargs: Any
    ) -> bool:
        """Delete what is cached of a view: `cache.delete_cached(view, "/works", {"limit": 15})`.

        :param f: the decorated view.
        :param path: the path of the request; without it, it is built from *kwargs*.
        :param query_args: the query, for a view with `query_string=True`: a text, a mapping or pairs.
        :param kwargs: the view's arguments.
        """
        return self.delete(f.make_cache_key(path=path, query_args=query_args, **kwargs))

    def delete_tagged(self, *tags: str) -> None:
        """Forget everything that has one of these tags. Quaff 0.1."""
        forget(self.bound().store, tags)

    def delete_memoized(self, f: Any, *args: Any, **kwargs: Any) -> None:
        """Forget what a memoized function returned: for these arguments, or without any for all.

        Of `instance.method` that is what it returned for the instance, of `Class.method` for all of them. A classmethod
        with arguments needs its class as the first one.

        :raises TypeError: when *f* is no function.
        """
        if not callable(f):
            raise TypeError("Deleting messages by relative name is not supported, please use a function reference.")
        if not (args or kwargs):
            memoizing.versions_of(self, f, reset=True)
            return
        args = memoizing.with_owner(f, args)
        memoized: Any = f
        self.delete(memoized.make_cache_key(memoized.uncached, *args, **kwargs))

    def delete_memoized_verhash(self, f: Any, *args: Any) -> None:
        """Delete the version of a memoized function: its values are not found any more, and stay until they expire.

        :raises TypeError: when *f* is no function.
        """
        if not callable(f):
            raise TypeError("Deleting messages by relative name is not supported, please use a function reference.")
        memoizing.versions_of(self, f, delete=True)

    # COMPAT: names that programs and tests use although they begin with `_` ------------------------------------------

    def _memvname(self, funcname: str) -> str:
        return f"{funcname}_memver"

    def _memoize_make_cache_key(
        self,
        make_name: Callable[[str], str] | None = None,
        hash_method: Hash | None = None,
        source_check: bool | None = None,
        args_to_ignore: Collection[str] | None = None,
    ) -> Callable[..., str]:
        return memoizing.key_maker(self, make_name, hash_method, source_check, args_to_ignore or ())

    def _memoize_kwargs_to_args(self, f: Function, *args: Any, **kwargs: Any) -> Any:
        ignored = kwargs.pop("args_to_ignore", None) or ()
        return normalize_call(f, args, kwargs, ignored)

    def _memoize_version(self, f: Function, args: Any = None, **options: Any) -> tuple[str, str | None]:
        ignored = options.pop("args_to_ignore", None) or ()
        options.pop("kwargs", None)
        return memoizing.versions_of(self, f, args, ignored=ignored, **options)


_LOOKUPS: Final = {
    name: getattr(Cache, name)
    for name in (
        "bound",
        "bound_to",
        "fetch",
        "get",
        "get_many",
        "has",
        "_get_hash_method",
        "_get_source_check",
        "_memvname",
    )
}


def _check_config(config: object) -> None:
    if not (config is None or isinstance(config, dict)):
        raise ValueError("`config` must be an instance of dict or None")


def _own_settings(app: Any) -> dict[str, Any]:
    return {key: value for key, value in app.config.items() if key.startswith("CACHE_") or key == "COMPAT"}


def _warn_about(settings: Settings) -> None:
    config = settings.config
    if config["CACHE_TYPE"] in ("NullCache", "null") and not config["CACHE_NO_NULL_WARNING"]:
        warnings.warn("Flask-Caching: CACHE_TYPE is set to NullCache, caching is effectively disabled.", stacklevel=4)


def _none() -> None:
    return None


def _false() -> bool:
    return False
