"""`Compress`: what apps, blueprints and views say about compression, and what the pipeline gets from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar, cast
from weakref import WeakSet

from ...blueprints import Blueprint
from ...globals import active_context, active_request_context
from ...pipeline.parts import Battery, Part, Target, mark_view
from ...pipeline.phases import Stage
from .caches import CacheBackend, DictCache, Memo
from .encoders import decompress, make_coder
from .finisher import Finisher, Kept
from .negotiation import choose_coding
from .settings import (
    DEFAULTS,
    CompressSettings,
    override_keys,
    read_settings,
    set_defaults,
    words,
)
from .static import CodedFiles
from .streaming import CodedIterable

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

__all__ = ["CacheBackend", "Compress", "DictCache"]

_EXEMPT: Final = object()
"""The mark of views that are not compressed."""


class Compress(Battery):
    """Compresses responses with zstd, Brotli, gzip or deflate, as the client accepts it; Flask-Compress 1.25.

    ::

        compress = Compress()


        def create_app():
            app = Quaff(__name__)
            compress.init_app(app)
            return app

    Compressed are bodies of at least `COMPRESS_MIN_SIZE` bytes, and streams, of the types in `COMPRESS_MIMETYPES`. The
    settings are read when a route is first used, so that they may be set after `init_app`.

    :param app: an app, or a blueprint to compress its views only.
    """

    def __init__(self, app: Any = None) -> None:
        self.app: Any = None
        self._apps: WeakSet[Any] = WeakSet()
        self._known: WeakSet[Any] = WeakSet()
        self._blueprints: set[str] = set()
        self._exempt_blueprints: set[str] = set()
        self._kept = Kept(Memo(DEFAULTS["COMPRESS_MEMO_SIZE"]), CodedFiles(DEFAULTS["COMPRESS_STATIC_CACHE_SIZE"]))
        if app is not None:
            self.app = None if isinstance(app, Blueprint) else app
            self.init_app(app)

    def init_app(self, app: Any) -> None:
        """Compress the responses of an app, or of a blueprint's views in the apps that it is registered on."""
        if isinstance(app, Blueprint):
            app.record(self._join_blueprint)
            return
        self._prepare(app)
        self._apps.add(app)
        app.add_battery(self)

    def _prepare(self, app: Any) -> None:
        set_defaults(app.config)
        self._known.add(app)
        self._make_cache(app.config["COMPRESS_CACHE_BACKEND"], app.config["COMPRESS_CACHE_KEY"])

    def _make_cache(self, backend: Any, key: Any) -> None:
        # What is no function is an error of the first request, as for all settings.
        kept = self._kept
        if kept.cache is None and callable(backend):
            kept.cache = cast(CacheBackend, backend())
        if kept.cache_key is None and callable(key):
            kept.cache_key = cast(Callable[..., str], key)

    def _join_blueprint(self, state: Any) -> None:
        self._prepare(state.app)
        self._blueprints.add(f"{state.name_prefix}.{state.name}".lstrip("."))
        state.app.add_battery(self)

    @property
    def cache(self) -> CacheBackend | None:
        """Where compressed bodies are kept, by `cache_key` and their digest; None for the memo alone.

        The `Cache` of `quaff.ext.caching` may be one, and `DictCache()`.
        """
        return self._kept.cache

    @cache.setter
    def cache(self, cache: CacheBackend | None) -> None:
        self._kept.cache = cache
        for app in self._known:
            # Whether it may wait is decided when a route is compiled.
            app._revision.bump()

    @property
    def cache_key(self) -> Callable[..., str] | None:
        """What makes the first half of a key for `cache` from the request; None for the body's digest alone."""
        return self._kept.cache_key

    @cache_key.setter
    def cache_key(self, make: Callable[..., str] | None) -> None:
        self._kept.cache_key = make

    # What views say ----------------------------------------------------------------------------------------------------

    def compressed(self, **options: Any) -> Callable[[F], F]:
        """Return a decorator that has a view compressed, also where `COMPRESS_REGISTER` is false.

        ::

            @app.get("/report")
            @compress.compressed(min_size=100, br_level=9)
            def report(): ...

        :param options: settings for this view: the configuration keys in lower case, without `COMPRESS_`. Quaff 0.1.
        :raises CompressOptionError: for an option that there is not. A wrong value is an error of the first request.
        """
        overrides = override_keys(options)
        return lambda view: mark_view(view, self, overrides)

    def exempt(self, view: T) -> T:
        """Leave the responses of a view, or of a blueprint, as they are: a decorator. Quaff 0.1.

        For pages that show a secret beside something that the request chose, whose size would tell the secret (BREACH).
        """
        if isinstance(view, Blueprint):
            view.record(lambda state: self._exempt_blueprints.add(f"{state.name_prefix}.{state.name}".lstrip(".")))
            return view
        marked: Any = view  # Any: what is no blueprint is a function
        return mark_view(marked, self, _EXEMPT)  # type: ignore[no-any-return]

    # What the pipeline asks --------------------------------------------------------------------------------------------

    def parts_for(self, target: Target) -> Iterable[Part]:
        """Return what finishes the responses of a route: nothing where nothing is compressed."""
        if target.is_websocket or target.is_automatic_options:
            return ()
        marks = target.marks(self)
        overrides: dict[str, Any] = {}
        for mark in marks:
            overrides.update({} if mark is _EXEMPT else mark)
        settings = read_settings(target.app.config, overrides)
        wanted = bool(marks) or (settings.registers and self._covers(target))
        if not wanted or _EXEMPT in marks or not settings.compresses_anything or self._is_exempt(target, settings):
            return ()
        return self._parts(settings, target.endpoint)

    def _parts(self, settings: CompressSettings, endpoint: str) -> Iterator[Part]:
        finisher = self._finisher(settings, endpoint)
        yield Part(
            stage=Stage.COMPRESS,
            finish=finisher.finish,
            acts_on=finisher.acts_on(),
            finish_body=finisher.finish_body if finisher.codes_text else None,
            min_size=settings.min_size,
            # Another cache may wait for a server; a dict does not.
            blocking=self.cache is not None and type(self.cache) is not DictCache,
        )

    def _covers(self, target: Target) -> bool:
        return target.app in self._apps or not self._blueprints.isdisjoint(target.blueprints)

    def _is_exempt(self, target: Target, settings: CompressSettings) -> bool:
        names = {target.endpoint, *target.blueprints}
        return not names.isdisjoint(settings.exempt) or not self._exempt_blueprints.isdisjoint(target.blueprints)

    def _finisher(self, settings: CompressSettings, endpoint: str) -> Finisher:
        self._kept.memo.limit = settings.memo_size
        self._kept.files.limit = settings.static_size
        self._make_cache(settings.cache_backend, settings.cache_key)
        return Finisher(settings, self._kept, endpoint)

    # COMPAT: what Flask-Compress has besides ---------------------------------------------------------------------------

    def after_request(self, response: Any) -> Any:
        """Return a response compressed, as the current request accepts it; without a response an empty 204.

        The pipeline does this by itself. This is for programs that call it on their own.

        :raises RuntimeError: outside of a request, or without a response outside of an app.
        """
        if response is None:
            return self._current_app().response_class(status=204)
        context = active_request_context()
        if context is None:
            raise RuntimeError("Compress.after_request needs a request, whose Accept-Encoding it follows.")
        settings = read_settings(context.app.config)
        return self._finisher(settings, context.request.endpoint or "").finish(context, response)

    def _current_app(self) -> Any:
        context = active_context()
        app = self.app if context is None else context.app
        if app is None:
            raise RuntimeError("Compress.after_request needs an app: give one to Compress(), or push an app context.")
        return app

    def _settings(self) -> CompressSettings:
        context = active_context()
        app = self.app or (next(iter(self._known), None) if context is None else context.app)
        return read_settings({} if app is None else app.config)

    @property
    def enabled_algorithms(self) -> tuple[str, ...]:
        """The codings for whole bodies, as configured."""
        return self._settings().algorithms

    @property
    def streaming_algorithms(self) -> tuple[str, ...]:
        """The codings for streams, as configured."""
        return self._settings().streaming_algorithms

    @property
    def compress_mimetypes_set(self) -> frozenset[str]:
        """The types that are compressed, as configured."""
        return self._settings().mimetypes

    @property
    def streaming_endpoint_with_conditional(self) -> frozenset[str]:
        """The endpoints whose streams are answered conditionally, as configured."""
        return self._settings().conditional_streams


# COMPAT: functions of Flask-Compress that tests of programs use --------------------------------------------------------


def _choose_algorithm(algorithms: tuple[str, ...], accept_encoding: str) -> str | None:
    return choose_coding(tuple(algorithms), accept_encoding)


def _format(algo: str | list[str]) -> tuple[str, ...]:
    return words(algo)


def _compress_data(app: Any, data: bytes, algorithm: str) -> bytes:
    return make_coder(algorithm, read_settings(app.config)).compress(data)


def _uncompress_data(data: bytes, algorithm: str) -> bytes:
    return decompress(data, algorithm)


def _compress_chunks(app: Any, chunks: Iterable[bytes], algorithm: str) -> Iterator[bytes]:
    return iter(CodedIterable(chunks, make_coder(algorithm, read_settings(app.config)).begin()))
