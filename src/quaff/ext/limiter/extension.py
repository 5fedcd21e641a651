"""`Limiter`: the class that users know, and the battery that takes part in the pipeline."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypedDict, TypeVar, Unpack, overload

from ..._internal.threads import run_in_thread
from ...blueprints import Blueprint
from ...globals import active_app_context, current_context, raise_no_request
from ...pipeline.parts import Battery, Part, Target, mark_view
from .constants import EXEMPT_BY_DEFAULT, LOCAL, ConfigVars, ExemptionScope
from .context import LimiterContext, RequestLimit
from .decorator import RouteLimit
from .messages import SCOPE, MessageLimit
from .parts import parts_for
from .registry import Blueprints, Exempted, Limited
from .rules import Limit, MetaLimit, Provider
from .settings import OPTIONS, LimiterOptions, unknown_option
from .site import Site
from .util import get_remote_address

F = TypeVar("F", bound=Callable[..., Any])


class LimitOptions(TypedDict, total=False):
    """The keyword arguments of `Limiter.limit` and `Limiter.shared_limit`."""

    key_func: Callable[[], str] | None
    """Returns for whom a request counts; None for the limiter's."""

    per_method: bool
    """Whether each method has its own count. False by default; HEAD goes with GET."""

    methods: Sequence[str] | None
    """The methods that are limited; None for all."""

    error_message: str | Callable[[], str] | None
    """The description of the error 429."""

    exempt_when: Callable[[], bool] | None
    """Returns whether the current request does not count."""

    override_defaults: bool
    """Whether the default limits do not apply beside it. True by default; on a blueprint, it means those around it too."""

    deduct_when: Callable[[Any], bool] | None
    """Called with the response; returns whether the request counts after all."""

    on_breach: Callable[[RequestLimit], Any] | None
    """Called with what is broken; a response that it returns is sent."""

    cost: int | Callable[[], int]
    """What a request costs, 1 by default."""

    meta_limits: Sequence[Provider | MetaLimit] | None
    """Limits on how often this one may be broken."""

    on_store_failure: str | None
    """`fail_open`, `fail_closed` or `local` while the store is down; None for what the app says. Quaff's own."""


class Limiter(Battery):
    """Rate limits for an app, with the names of Flask-Limiter 4.1.

    ::

        limiter = Limiter(get_remote_address, app=app, default_limits=["100/hour"])


        @app.get("/search")
        @limiter.limit("10/minute")
        def search(): ...

    :param key_func: returns for whom a request counts, as text; by default the config's `RATELIMIT_KEY_FUNC`, or else the
        client's address.
    :param app: the app; or call `init_app` later, for as many apps as there are. Each app counts on its own.
    :param options: see `LimiterOptions`, and the config keys.
    :raises TypeError: for an option that there is not.
    :raises limits.errors.ConfigurationError: for a setting that cannot be right.
    """

    def __init__(
        self, key_func: Callable[[], str] | None = None, *, app: Any = None, **options: Unpack[LimiterOptions]
    ) -> None:
        if key_func is not None and not callable(key_func):
            raise TypeError(f"key_func is a function that returns whom a request counts for, not {key_func!r}.")
        if hasattr(key_func, "wsgi_app"):
            raise TypeError("The first argument of Limiter() is the key function. Write Limiter(key_func, app=app).")
        for name in options:
            if name not in OPTIONS:
                raise TypeError(unknown_option(name))
        self.logger = logging.getLogger("flask-limiter")
        self.logger.addHandler(logging.NullHandler())
        self.request_filters: list[Callable[[], bool]] = []
        self.enabled_override: bool | None = None
        self._given_key_func = key_func
        self._options: dict[str, Any] = dict(options)
        self._blueprints = Blueprints()
        self._sites: weakref.WeakKeyDictionary[Any, Site] = weakref.WeakKeyDictionary()
        self._last_site: Callable[[], Site | None] = lambda: None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Any) -> None:
        """Limit the requests of an app. Its config may be set before or after.

        :raises limits.errors.ConfigurationError: for a setting that cannot be right.
        :raises ValueError: for a text that names no limit.
        """
        if isinstance(app, Blueprint):
            raise TypeError(
                f"init_app() takes an app. To limit the blueprint {app.name!r}, write limiter.limit('...')({app.name})."
            )
        if app not in self._sites:
            site = Site(self, app, self._options, self._blueprints)
            self._sites[app] = site
            site.warn_about_config()
            if app.before_request_funcs.get(None):
                # COMPAT: what a limit is keyed by may be set in a before_request function that was registered before.
                site.has_hook = True
                app.before_request(partial(look_in_hook, weakref.ref(site)))
            app.add_battery(self)
            if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
                # Click is there anyway, then.
                from .commands import cli

                app.cli.add_command(cli, "limiter")
        self._last_site = weakref.ref(self._sites[app])
        app.extensions.setdefault("limiter", set()).add(self)

    # Decorators ------------------------------------------------------------------------------------------------------

    def limit(
        self,
        limit_value: Provider,
        *,
        scope: str | Callable[[str], str] | None = None,
        **options: Unpack[LimitOptions],
    ) -> RouteLimit:
        """Limit a view, another function, a blueprint, or the code in a `with` block.

        ::

            @limiter.limit("10/minute; 100/day", methods=["POST"])
            def login(): ...

        :param limit_value: the limit as text, or a function that returns it for the current request.
        :param scope: a text, or a function of the endpoint that returns it, for counting apart what has the same endpoint.
        :param options: see `LimitOptions`.
        """
        return self._make(limit_value, scope, shared=False, options=options)

    def shared_limit(
        self, limit_value: Provider, scope: str | Callable[[str], str], **options: Unpack[LimitOptions]
    ) -> RouteLimit:
        """Limit what is decorated with the result, and all else with the same scope, together.

        :param limit_value: the limit as text, or a function that returns it for the current request.
        :param scope: a text, or a function of the endpoint that returns it, for what is counted together.
        :param options: see `LimitOptions`.
        """
        return self._make(limit_value, scope, shared=True, options=options)

    def _make(self, limit_value: Provider, scope: Any, *, shared: bool, options: LimitOptions) -> RouteLimit:
        given: dict[str, Any] = dict(options)
        key_function = given.pop("key_func", None)
        given.setdefault("override_defaults", True)
        return RouteLimit(
            limit_provider=limit_value, limiter=self, key_function=key_function, scope=scope, shared=shared, **given
        )

    def limit_messages(
        self,
        limit_value: Provider,
        *,
        key_func: Callable[[], str] | None = None,
        scope: str | Callable[[str], str] | None = SCOPE,
        cost: int | Callable[[str | bytes], int] = 1,
        exempt_when: Callable[[], bool] | None = None,
        on_breach: Callable[[RequestLimit], Any] | None = None,
        on_store_failure: str | None = None,
    ) -> Callable[[F], F]:
        """Limit the messages that the handler of a WebSocket receives. Quaff 0.1.

        They are counted for the client, over all its connections to the endpoint. The message that is one too many is not
        received: the connection is closed with 1008.

        ::

            @app.websocket("/chat")
            @limiter.limit_messages("20/second")
            async def chat(): ...

        :param key_func: returns for whom messages count; called once, when the connection is opened.
        :param cost: what a message costs, or a function of the message that returns it.
        """
        limit = Limit(
            limit_value,
            key_function=key_func,
            scope=scope,
            exempt_when=exempt_when,
            on_breach=on_breach,
            on_store_failure=on_store_failure,
        ).bind(self)
        if isinstance(cost, int) and cost < 0:
            raise ValueError(f"The cost of a message is 0 or more, not {cost}.")

        def decorate(handler: F) -> F:
            self.note_change()
            return mark_view(handler, self, MessageLimit(limit, cost))

        return decorate

    @overload
    def exempt(self, obj: Blueprint, *, flags: ExemptionScope = ...) -> Blueprint: ...

    @overload
    def exempt(self, obj: F, *, flags: ExemptionScope = ...) -> F: ...

    @overload
    def exempt(self, obj: None = None, *, flags: ExemptionScope = ...) -> Callable[[F], F]: ...

    def exempt(self, obj: Any = None, *, flags: ExemptionScope = EXEMPT_BY_DEFAULT) -> Any:
        """Exempt a view or a blueprint from limits: `@limiter.exempt`, `limiter.exempt(blueprint)`, or with *flags*.

        :param flags: from what. By default from the limits of the application, default and meta limits. An exempted view
            has no limits of its own either.
        """
        if obj is None:
            return partial(self.exempt, flags=flags)
        self.note_change()
        if isinstance(obj, Blueprint):
            self._blueprints.exemptions[obj.name] = flags
            return obj
        return mark_view(obj, self, Exempted(flags))

    def request_filter(self, fn: F) -> F:
        """Call *fn* for each request; when it returns something true, the request is exempt from all limits."""
        self.request_filters.append(fn)
        self.note_change()
        return fn

    def add_blueprint_limit(self, blueprint: Blueprint, limit: Limit) -> None:
        """Limit all views of a blueprint; what `limiter.limit("...")(blueprint)` does."""
        self._blueprints.limits.setdefault(blueprint.name, []).append(limit)
        self.note_change()

    # The current request ---------------------------------------------------------------------------------------------

    @property
    def context(self) -> LimiterContext:
        """What this limiter knows about the current request."""
        context = current_context.get().request_context
        if context is None:
            raise_no_request()
        site = self.find_site(context.app)
        return LimiterContext() if site is None else site.state_of(context)

    @property
    def current_limit(self) -> RequestLimit | None:
        """The limit that the client of the current request should hear about: one that is broken, else the smallest."""
        return self.context.shown

    @property
    def current_limits(self) -> list[RequestLimit]:
        """All limits that were looked at for the current request, the smallest window first."""
        return self.context.limits

    def check(self) -> None:
        """Look at the limits of the current request now: those of the application, the default ones and the view's.

        For requests that the app does not bring through its pipeline, such as those of a mounted application.

        :raises RateLimitExceeded: when one is broken.
        """
        context = current_context.get().request_context
        if context is None:
            raise_no_request()
        site = self.find_site(context.app)
        if site is not None:
            site.look_at_all(context)

    def identify_request(self) -> str:
        """Return what stands for the current request's route in keys; an empty text when nothing is limited."""
        context = current_context.get().request_context
        if context is None:
            raise_no_request()
        site = self.find_site(context.app)
        return "" if site is None else site.identify(context)

    # Where is counted ------------------------------------------------------------------------------------------------

    @property
    def enabled(self) -> bool:
        """Whether anything is limited; may be set at any time, for all apps of this limiter."""
        if self.enabled_override is not None:
            return self.enabled_override
        site = self._last_site()
        if site is None:
            return bool(self._options.get("enabled", True))
        site.refresh()
        return site.settings.enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self.enabled_override = bool(value)
        self.note_change()

    @property
    def app(self) -> Any:
        """The app that was given last, or None."""
        site = self._last_site()
        return None if site is None else site.app

    @property
    def initialized(self) -> bool:
        """Whether it limits an app."""
        return bool(self._sites)

    @property
    def key_func(self) -> Callable[[], str]:
        """What says for whom a request counts, unless a limit has a function of its own."""
        if self._given_key_func is not None:
            return self._given_key_func
        site = self._last_site()
        found: Callable[[], str] | None = None if site is None else site.app.config.get(ConfigVars.KEY_FUNC)
        return found or get_remote_address

    @property
    def site(self) -> Site:
        """The part for the current app, or the one that was given last.

        :raises RuntimeError: without any app.
        """
        active = active_app_context()
        site = (None if active is None else self._sites.get(active.app)) or self._last_site()
        if site is None:
            raise RuntimeError("This limiter has no app. Call limiter.init_app(app) first.")
        site.refresh()
        return site

    @property
    def storage(self) -> Any:
        """The storage, of the library `limits`. Any: what it has beside the interface depends on it."""
        backend = self.site.backend
        return None if backend is None else backend.counting.storage

    @property
    def limiter(self) -> Any:
        """The strategy, of the library `limits`; that of the memory while the store is down."""
        backend = self.site.backend
        if backend is None:
            return None
        return (backend.local if backend.breaker.is_open else backend.counting).strategy

    # COMPAT: tests and tools look at these.

    @property
    def _key_func(self) -> Callable[[], str]:
        return self.key_func

    @property
    def _storage(self) -> Any:
        return self.storage

    @property
    def _limiter(self) -> Any:
        return self.limiter

    @property
    def _in_memory_fallback(self) -> tuple[Limit, ...]:
        return self.site.settings.fallback_limits

    @property
    def _in_memory_fallback_enabled(self) -> bool:
        return self.site.settings.on_store_failure == LOCAL

    def reset(self) -> None:
        """Forget all counts; where the store cannot do that, a warning is logged."""
        try:
            self.storage.reset()
            self.logger.info("Storage has been reset and all limits cleared")
        except NotImplementedError:
            self.logger.warning("This storage type does not support being reset")

    # For the pipeline and the decorators -----------------------------------------------------------------------------

    def parts_for(self, target: Target) -> Iterable[Part]:
        """Return what it does for a route: nothing where nothing is limited."""
        site = self.find_site(target.app)
        return () if site is None else parts_for(site, target, target.marks(self))

    def find_site(self, app: Any) -> Site | None:
        """Return the part for an app if anything is limited there."""
        site = self._sites.get(app)
        if site is None:
            return None
        site.refresh()
        return site if site.is_enabled else None

    def note_change(self) -> None:
        """Have the routes of all apps compiled anew."""
        for app in list(self._sites):
            app._revision.bump()

    def enter(self, limited: Limited) -> None:
        """Look at the limits of a decorated function that is being called."""
        context = current_context.get().request_context
        site = self._site_of(context)
        if site is not None:
            site.enter(context, limited)

    async def enter_async(self, limited: Limited) -> None:
        """Look at the limits of a decorated coroutine function that is being called."""
        context = current_context.get().request_context
        site = self._site_of(context)
        if site is None or site.is_entered(context, limited):
            return
        # What is called may wait: for the store, or in a function of the user's.
        await run_in_thread(site.enter, context, limited)

    def look_at_code(self, place: str, limits: Sequence[Limit]) -> None:
        """Look at the limits of a piece of code; *place* tells it from others."""
        context = current_context.get().request_context
        site = self._site_of(context)
        if site is not None:
            site.look_at_call(context, place, limits, None)

    def _site_of(self, context: Any) -> Site | None:
        if context is None:
            if self.initialized:
                raise_no_request()
            return None
        return self.find_site(context.app)


def look_in_hook(reference: weakref.ref[Site]) -> None:
    """Look at the first limits of a request, as a before_request function."""
    site, context = reference(), current_context.get().request_context
    if site is not None and context is not None:
        site.look_in_hook(context)
