"""`SecurityHeaders`: HTTPS and the headers that browsers protect pages by, for an app, a blueprint or a view."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeVar

from ...globals import current_context
from ...pipeline.parts import Battery, Part, Target, mark_view
from .cookies import CookieSettings, apply_cookies
from .headers import HeaderSet, build_headers, find_missing_nonces, with_report_endpoint
from .https import Exemptions
from .live import LivePolicy
from .parts import Enforcement, build_parts, hint_at_proxy, trusts_forwarded
from .problems import SecurityOptionError, as_sentence
from .reports import ENDPOINT, add_report_route
from .settings import (
    APP_OPTIONS,
    OPTIONS,
    OWASP_DEFAULTS,
    Settings,
    Source,
    check_names,
    check_value,
    from_config,
    resolve,
)

F = TypeVar("F", bound=Callable[..., Any])

EXTENSION: Final = "quaff.security"
"""The key in `app.extensions`: a list of `Scope`, the app's and its blueprints'."""


def csp_nonce() -> str:
    """Return the nonce of the current request; an empty string where its policy has none.

    In templates: `<script nonce="{{ csp_nonce() }}">`.
    """
    context: Any = current_context.get().request_context
    return "" if context is None else getattr(context.made_request, "csp_nonce", "")


@dataclass(eq=False)
class Scope:
    """One `init_app`: for an app or for one of its blueprints."""

    owner: Any
    """The object whose `init_app` it was."""

    blueprint: str | None
    """The name of the blueprint, or None for the whole app."""

    given: dict[str, Any]
    """The options that were given in code, then or since."""

    app: Any
    """A weak reference to the app."""

    revision: Any
    """The app's revision."""

    told: set[str] = field(default_factory=set)
    """What was written to the log already."""

    cookies: CookieSettings | None = None
    """How the session cookie was set up, for an app."""

    def warn(self, app: Any, message: str) -> None:
        """Write a warning to the app's log, once."""
        if message not in self.told:
            self.told.add(message)
            app.logger.warning("%s", message)


class SecurityHeaders(Battery):
    """Redirects to HTTPS and sends security headers, by default those of the OWASP list.

    ::

        security = SecurityHeaders(app, force_https_exempt=["/healthz"])


        @app.get("/embed")
        @security(frame_options=None, content_security_policy={"frame-ancestors": "https://partner.example"})
        def embed(): ...

    Options are those of `Settings`; each can also be set as an attribute, and in the app's configuration as
    `SECURITY_HEADERS_` and its name in upper case. A header that a view sets itself is left alone.

    :param app: an app or a blueprint; without one, call `init_app`.
    :raises SecurityOptionError: for an option that there is not, or that cannot be right (a `ValueError`).
    """

    prefix: ClassVar[str] = "SECURITY_HEADERS_"
    """What the keys in the configuration start with."""

    defaults: ClassVar[Mapping[str, Any]] = OWASP_DEFAULTS
    """Where the defaults differ from those of `Settings`."""

    strict: ClassVar[bool] = True
    """Whether a policy that browsers ignore in part is an error; otherwise it is a warning in the log."""

    _positional: ClassVar[tuple[str, ...]] = ()

    _scopes: list[Scope]
    _preset: dict[str, Any]

    def __init__(self, app: Any = None, *args: Any, **options: Any) -> None:
        object.__setattr__(self, "_scopes", [])
        object.__setattr__(self, "_preset", {})
        if app is None:
            self._preset.update(self._check_given(args, options))
        else:
            self.init_app(app, *args, **options)

    def init_app(self, app: Any, *args: Any, **options: Any) -> None:
        """Take part in an app, or in the routes of a blueprint.

        The scope of a blueprint takes the place of the app's in its routes. The configuration is read when a route is first
        asked for; what is wrong with it now is reported now.

        :raises SecurityOptionError: for an option that there is not, or that cannot be right (a `ValueError`).
        """
        given = {**self._preset, **self._check_given(args, options)}
        if hasattr(app, "add_battery"):
            self._attach(app, given, None)
        else:
            app.record(lambda state: self._attach(state.app, given, f"{state.name_prefix}.{state.name}".lstrip(".")))

    def __call__(self, **options: Any) -> Callable[[F], F]:
        """Return a decorator that gives a view options of its own.

        :raises SecurityOptionError: for an option that there is not, or that is the same for all views.
        """
        name = type(self).__name__
        check_names(f"@{name}(...)", options)
        for option in sorted(APP_OPTIONS & set(options)):
            raise SecurityOptionError(f"@{name}({option}=...) cannot be: this option is the same for the whole app.")
        for option, value in options.items():
            check_value(option, value, f"@{name}({option}=...)")

        def decorate(view: F) -> F:
            return mark_view(view, self, dict(options))

        return decorate

    def exempt(self, view: F) -> F:
        """Let a view be reached without HTTPS: a health check, or where a certificate is fetched."""
        return self(force_https=False)(view)

    def parts_for(self, target: Target) -> Iterable[Part]:
        """Return the guard and the headers of a route; what `Battery` asks for."""
        scope = self._scope_for(target)
        if scope is None:
            return ()
        app = target.app
        options = self._view_options(target)
        settings = self._settings(scope, app, options)
        if scope.cookies is not None:
            scope.cookies = apply_cookies(
                app.config, settings, scope.cookies, self._is_given(scope, app, "session_cookie_samesite")
            )
        if settings.content_security_policy_report_endpoint is not None and ENDPOINT not in app.view_functions:
            raise SecurityOptionError(
                f"app.config['{self.prefix}CONTENT_SECURITY_POLICY_REPORT_ENDPOINT'] came too late: the route is added by"
                " init_app. Set it before."
            )
        headers = build_headers(settings)
        self._report_problems(scope, app, headers, settings, options)
        is_forced = settings.force_https and not app.debug and not _is_exempt(settings.force_https_exempt, target)
        return build_parts(
            headers,
            settings,
            _enforcement(settings) if is_forced else None,
            trusting=trusts_forwarded(app.config),
            is_websocket=target.is_websocket,
        )

    def __getattr__(self, name: str) -> Any:
        """Return the value of an option, as the app that was initialised last has it."""
        if name not in OPTIONS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        scopes = self._scopes
        given = scopes[-1].given if scopes else self._preset
        if name not in given:
            app = scopes[-1].app() if scopes else None
            config = {} if app is None else from_config(self.prefix, app.config, is_ours=self.strict).values
            value = config.get(name, self.defaults.get(name, getattr(Settings(), name)))
        else:
            value = given[name]
        if isinstance(value, Mapping) and not isinstance(value, LivePolicy):
            # A copy, whose changes count: nobody's defaults are changed, and none of the user's own mappings.
            return LivePolicy(value, lambda policy: setattr(self, name, policy))
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in OPTIONS:
            object.__setattr__(self, name, value)
            return
        for given in (self._preset, *(scope.given for scope in self._scopes)):
            given[name] = value
        for scope in self._scopes:
            scope.revision.bump()

    def _check_given(self, args: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
        name = type(self).__name__
        if len(args) > len(self._positional):
            raise TypeError(f"{name}() takes the app, and everything else by keyword")
        given = {**dict(zip(self._positional, args, strict=False)), **options}
        check_names(f"{name}(...)", given)
        for option, value in given.items():
            check_value(option, value, f"{name}({option}=...)")
        return given

    def _attach(self, app: Any, given: dict[str, Any], blueprint: str | None) -> None:
        scopes: list[Scope] = app.extensions.setdefault(EXTENSION, [])
        scope = next((s for s in scopes if s.owner is self and s.blueprint == blueprint), None)
        if scope is None:
            scope = Scope(self, blueprint, {}, weakref.ref(app), app._revision)
            scopes.append(scope)
            # Those of apps that are gone are forgotten, for tests make many.
            self._scopes[:] = [*(old for old in self._scopes if old.app() is not None), scope]
        scope.given = dict(given)
        settings = self._settings(scope, app, {})
        headers = build_headers(settings)
        if self.strict:
            self._report_problems(scope, app, headers, settings, {})
        app.jinja_env.globals["csp_nonce"] = csp_nonce
        if blueprint is None:
            scope.cookies = apply_cookies(
                app.config, settings, None, self._is_given(scope, app, "session_cookie_samesite")
            )
        if settings.content_security_policy_report_endpoint is not None:
            add_report_route(app, settings.content_security_policy_report_endpoint)
        app.add_battery(self)
        app._revision.bump()

    def _settings(self, scope: Scope, app: Any, options: Mapping[str, Any]) -> Settings:
        name = type(self).__name__
        settings = resolve(
            (
                Source(lambda option: f"@{name}({option}=...)", options),
                Source(lambda option: f"{name}({option}=...)", scope.given),
                from_config(self.prefix, app.config, is_ours=self.strict),
                Source(lambda option: f"{name}.defaults[{option!r}]", self.defaults),
            )
        )
        return with_report_endpoint(settings, app.config["APPLICATION_ROOT"])

    def _is_given(self, scope: Scope, app: Any, option: str) -> bool:
        """Tell whether an option is more than a default."""
        return option in scope.given or self.prefix + option.upper() in app.config

    def _scope_for(self, target: Target) -> Scope | None:
        """Return the scope of this object for a route; None when a more special one serves it, or none does."""
        depths: dict[str | None, int] = {None: 0}
        depths.update({name: depth for depth, name in enumerate(reversed(target.blueprints), 1)})
        scopes = [s for s in target.app.extensions.get(EXTENSION, ()) if s.blueprint in depths]
        deepest = max((depths[scope.blueprint] for scope in scopes), default=0)
        mine = (scope for scope in scopes if scope.owner is self and depths[scope.blueprint] == deepest)
        return next(mine, None)

    def _view_options(self, target: Target) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for options in target.marks(self):
            merged.update(options)
        return merged

    def _report_problems(
        self, scope: Scope, app: Any, headers: HeaderSet, settings: Settings, options: Mapping[str, Any]
    ) -> None:
        problems = list(headers.problems)
        nonce_in = "content_security_policy_nonce_in"
        # A view's policy need not have all directives, and neither need one that replaces the default's.
        if nonce_in in options or ("content_security_policy" not in options and self._is_given(scope, app, nonce_in)):
            problems += find_missing_nonces(settings)
        if problems and self.strict:
            raise SecurityOptionError(as_sentence(type(self).__name__, problems))
        for problem in problems:
            scope.warn(app, as_sentence(type(self).__name__, [problem]))


def _enforcement(settings: Settings) -> Enforcement:
    paths = (item for item in settings.force_https_exempt if isinstance(item, str) and item.startswith("/"))
    return Enforcement(
        permanent=settings.force_https_permanent,
        keep_method=settings.force_https_keep_method,
        code=settings.force_https_code,
        host=settings.force_https_host,
        exempt=Exemptions.of(paths),
        hint=hint_at_proxy,
    )


def _is_exempt(items: tuple[Any, ...], target: Target) -> bool:
    """Tell whether a route is exempt by its endpoint or its view; paths are looked at when requests come."""
    return bool(target.endpoint) and any(item == target.endpoint or item is target.view for item in items)
