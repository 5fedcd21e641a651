"""Blueprints: parts of an app that are recorded now and registered, once or several times, later."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from functools import update_wrapper
from typing import IO, Any

from . import typing as ft
from ._internal.deprecations import warn_old
from .errorhandlers import ErrorHandler
from .errors import SetupError
from .globals import active_context, raise_no_app
from .helpers import send_from_directory
from .hooks import AfterRequest, BeforeRequest, ContextProcessor, F, Teardown, URLDefaults, URLPreprocessor
from .scaffold import Scaffold, _endpoint_from_view_func, _sentinel, setupmethod
from .wrappers import Response

DeferredSetupFunction = Callable[["BlueprintSetupState"], None]


class BlueprintSetupState:
    """What a recorded function gets when the blueprint is registered: the app, the blueprint and the options."""

    def __init__(self, blueprint: Blueprint, app: Any, options: Any, first_registration: bool) -> None:
        self.app = app
        self.blueprint = blueprint
        self.options = options
        self.first_registration = first_registration
        subdomain = options.get("subdomain")
        self.subdomain: str | None = blueprint.subdomain if subdomain is None else subdomain
        url_prefix = options.get("url_prefix")
        self.url_prefix: str | None = blueprint.url_prefix if url_prefix is None else url_prefix
        self.name: str = options.get("name", blueprint.name)
        self.name_prefix: str = options.get("name_prefix", "")
        self.url_defaults = {**blueprint.url_values_defaults, **dict(options.get("url_defaults", ()))}

    def add_url_rule(
        self, rule: str, endpoint: str | None = None, view_func: ft.RouteCallable | None = None, **options: Any
    ) -> None:
        """Add a rule to the app with the blueprint's prefix, subdomain, name and defaults put before its own."""
        if self.url_prefix is not None:
            rule = f"{self.url_prefix.rstrip('/')}/{rule.lstrip('/')}" if rule else self.url_prefix
        options.setdefault("subdomain", self.subdomain)
        if endpoint is None:
            endpoint = _endpoint_from_view_func(view_func)
        defaults = {**self.url_defaults, **options.pop("defaults", {})}
        full_endpoint = f"{self.name_prefix}.{self.name}.{endpoint}".lstrip(".")
        self.app.add_url_rule(rule, full_endpoint, view_func, defaults=defaults, **options)


class Blueprint(Scaffold):
    """A group of views, hooks, templates and static files that is registered on an app, or on another blueprint.

    :param name: goes before each endpoint, with a dot.
    :param url_prefix: goes before each URL.
    :param subdomain: the subdomain of all its routes.
    :param url_defaults: default values for all its routes.
    :param cli_group: the name of its command group; None to merge its commands into the app's.
    """

    _got_registered_once = False

    def __init__(  # noqa: PLR0913, PLR0917 - COMPAT: Flask's signature
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, Any] | None = None,
        root_path: str | None = None,
        cli_group: Any = _sentinel,
    ) -> None:
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        if not name:
            raise ValueError("'name' may not be empty.")
        if "." in name:
            raise ValueError("'name' may not contain a dot '.' character.")
        self.name = name
        self.url_prefix = url_prefix
        self.subdomain = subdomain
        self.deferred_functions: list[DeferredSetupFunction] = []
        self.url_values_defaults: dict[str, Any] = {} if url_defaults is None else url_defaults
        self.cli_group = cli_group
        self._blueprints: list[tuple[Blueprint, dict[str, Any]]] = []

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_registered_once:
            raise SetupError(
                f"The setup method '{f_name}' can no longer be called on the blueprint"
                f" '{self.name}'. It has already been registered at least once, any"
                " changes will not be applied consistently.\n"
                "Make sure all imports, decorators, functions, etc. needed to set up"
                " the blueprint are done before registering it."
            )

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Return how long browsers may cache a file, in seconds; None to ask each time. `SEND_FILE_MAX_AGE_DEFAULT`."""
        bound = active_context()
        if bound is None:
            raise_no_app()
        value = bound.app.config["SEND_FILE_MAX_AGE_DEFAULT"]
        return int(value.total_seconds()) if isinstance(value, timedelta) else value

    def send_static_file(self, filename: str) -> Response:
        """Return the response for a file of `static_folder`; the view of the `static` endpoint."""
        if self.static_folder is None:
            raise RuntimeError("'static_folder' must be set to serve static_files.")
        response: Response = send_from_directory(
            self.static_folder, filename, max_age=self.get_send_file_max_age(filename)
        )
        return response

    def open_resource(self, resource: str, mode: str = "rb", encoding: str | None = "utf-8") -> IO[Any]:
        """Open a file relative to `root_path` for reading.

        :raises ValueError: for a mode other than `r`, `rt` and `rb`.
        """
        if mode not in {"r", "rt", "rb"}:
            raise ValueError("Resources can only be opened for reading.")
        path = os.path.join(self.root_path, resource)
        return open(path, mode) if mode == "rb" else open(path, mode, encoding=encoding)

    @setupmethod
    def record(self, func: DeferredSetupFunction) -> None:
        """Call *func* with the `BlueprintSetupState` each time the blueprint is registered."""
        self.deferred_functions.append(func)

    @setupmethod
    def record_once(self, func: DeferredSetupFunction) -> None:
        """Call *func* when the blueprint is registered on an app for the first time only."""

        def wrapper(state: BlueprintSetupState) -> None:
            if state.first_registration:
                func(state)

        self.record(update_wrapper(wrapper, func))

    def make_setup_state(
        self, app: Any, options: dict[str, Any], first_registration: bool = False
    ) -> BlueprintSetupState:
        """Return the object that recorded functions get. Override it to pass something richer."""
        return BlueprintSetupState(self, app, options, first_registration)

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Nest *blueprint* in this one; options as for `app.register_blueprint`."""
        if blueprint is self:
            raise ValueError("Cannot register a blueprint on itself")
        self._blueprints.append((blueprint, options))

    def register(self, app: Any, options: dict[str, Any]) -> None:
        """Put everything recorded here onto *app*. Called by `app.register_blueprint`.

        :raises ValueError: when the name is taken.
        """
        own_name = options.get("name", self.name)
        name = f"{options.get('name_prefix', '')}.{own_name}".lstrip(".")
        self._check_name_is_free(app, name, own_name)
        first = not any(registered is self for registered in app.blueprints.values())
        app.blueprints[name] = self
        self._got_registered_once = True
        state = self.make_setup_state(app, options, first)
        if self.has_static_folder:
            state.add_url_rule(
                f"{self.static_url_path}/<path:filename>", view_func=self.send_static_file, endpoint="static"
            )
        self._merge_blueprint_funcs(app, name)
        for deferred in self.deferred_functions:
            deferred(state)
        self._register_commands(app, name, options.get("cli_group", self.cli_group))
        for nested, nested_options in self._blueprints:
            nested.register(app, _nested_options(state, nested, nested_options, name))

    def _check_name_is_free(self, app: Any, name: str, own_name: str) -> None:
        if name not in app.blueprints:
            return
        which = "this" if app.blueprints[name] is self else "a different"
        where = f" '{name}'" if own_name != name else ""
        raise ValueError(
            f"The name '{own_name}' is already registered for"
            f" {which} blueprint{where}. Use 'name=' to"
            f" provide a unique name."
        )

    def _register_commands(self, app: Any, name: str, group: Any) -> None:
        # PERF: reading `cli` imports Click.
        if "cli" not in self.__dict__ or not self.cli.commands:
            return
        if group is None:
            app.cli.commands.update(self.cli.commands)
            return
        self.cli.name = name if group is _sentinel else group
        app.cli.add_command(self.cli)

    def _merge_blueprint_funcs(self, app: Any, name: str) -> None:
        def full(key: str | None) -> str:
            return name if key is None else f"{name}.{key}"

        for key, by_code in self.error_handler_spec.items():
            copied: dict[Any, Any] = defaultdict(dict)
            copied.update({code: dict(handlers) for code, handlers in by_code.items()})
            app.error_handler_spec[full(key)] = copied
        for endpoint, func in self.view_functions.items():
            app.view_functions[endpoint] = func
        for registry in (
            "before_request_funcs",
            "after_request_funcs",
            "teardown_request_funcs",
            "before_websocket_funcs",
            "after_websocket_funcs",
            "teardown_websocket_funcs",
            "url_default_functions",
            "url_value_preprocessors",
            "template_context_processors",
        ):
            for key, functions in getattr(self, registry).items():
                getattr(app, registry)[full(key)].extend(functions)

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Record a URL rule; the app gets it, prefixed, when the blueprint is registered.

        :raises ValueError: when the endpoint or the view's name holds a dot.
        """
        if endpoint and "." in endpoint:
            raise ValueError("'endpoint' may not contain a dot '.' character.")
        if view_func and "." in getattr(view_func, "__name__", ""):
            raise ValueError("'view_func' name may not contain a dot '.' character.")

        def add(state: BlueprintSetupState) -> None:
            state.add_url_rule(
                rule, endpoint, view_func, provide_automatic_options=provide_automatic_options, **options
            )

        self.record(add)

    @setupmethod
    def app_template_filter(
        self, name: str | None = None
    ) -> Callable[[ft.TemplateFilterCallable], ft.TemplateFilterCallable]:
        """Register the decorated function as a template filter of the app."""

        def decorator(f: ft.TemplateFilterCallable) -> ft.TemplateFilterCallable:
            self.add_app_template_filter(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_app_template_filter(self, f: ft.TemplateFilterCallable, name: str | None = None) -> None:
        """Register *f* as a template filter of the app."""
        self.record_once(lambda state: state.app.jinja_env.filters.update({name or f.__name__: f}))

    @setupmethod
    def app_template_test(
        self, name: str | None = None
    ) -> Callable[[ft.TemplateTestCallable], ft.TemplateTestCallable]:
        """Register the decorated function as a template test of the app."""

        def decorator(f: ft.TemplateTestCallable) -> ft.TemplateTestCallable:
            self.add_app_template_test(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_app_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """Register *f* as a template test of the app."""
        self.record_once(lambda state: state.app.jinja_env.tests.update({name or f.__name__: f}))

    @setupmethod
    def app_template_global(
        self, name: str | None = None
    ) -> Callable[[ft.TemplateGlobalCallable], ft.TemplateGlobalCallable]:
        """Register the decorated function as a global of the app's templates."""

        def decorator(f: ft.TemplateGlobalCallable) -> ft.TemplateGlobalCallable:
            self.add_app_template_global(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_app_template_global(self, f: ft.TemplateGlobalCallable, name: str | None = None) -> None:
        """Register *f* as a global of the app's templates."""
        self.record_once(lambda state: state.app.jinja_env.globals.update({name or f.__name__: f}))

    @setupmethod
    def before_app_request(self, f: BeforeRequest) -> BeforeRequest:
        """Like `app.before_request`: before each request of the app, not only this blueprint's."""
        self.record_once(lambda state: state.app.before_request_funcs[None].append(f))
        return f

    @setupmethod
    def before_app_first_request(self, f: ft.BeforeFirstRequestCallable) -> ft.BeforeFirstRequestCallable:
        """Call *f* once, before the first request of the process. Removed in Flask 2.3; works here with a warning."""
        warn_old("Blueprint.before_app_first_request", depth=1)
        self.record_once(lambda state: state.app.before_first_request_funcs.append(f))
        return f

    @setupmethod
    def after_app_request(self, f: AfterRequest) -> AfterRequest:
        """Like `app.after_request`: after each request of the app, not only this blueprint's."""
        self.record_once(lambda state: state.app.after_request_funcs[None].append(f))
        return f

    @setupmethod
    def teardown_app_request(self, f: Teardown) -> Teardown:
        """Like `app.teardown_request`: for each request of the app, not only this blueprint's."""
        self.record_once(lambda state: state.app.teardown_request_funcs[None].append(f))
        return f

    @setupmethod
    def before_app_websocket(self, f: F) -> F:
        """Like `app.before_websocket`: before each WebSocket of the app, not only this blueprint's. Quaff 0.1."""
        self.record_once(lambda state: state.app.before_websocket_funcs[None].append(f))
        return f

    @setupmethod
    def after_app_websocket(self, f: F) -> F:
        """Like `app.after_websocket`: after each WebSocket of the app, not only this blueprint's. Quaff 0.1."""
        self.record_once(lambda state: state.app.after_websocket_funcs[None].append(f))
        return f

    @setupmethod
    def teardown_app_websocket(self, f: Teardown) -> Teardown:
        """Like `app.teardown_websocket`: for each WebSocket of the app, not only this blueprint's. Quaff 0.1."""
        self.record_once(lambda state: state.app.teardown_websocket_funcs[None].append(f))
        return f

    @setupmethod
    def app_context_processor(self, f: ContextProcessor) -> ContextProcessor:
        """Like `app.context_processor`: for templates that any view renders."""
        self.record_once(lambda state: state.app.template_context_processors[None].append(f))
        return f

    @setupmethod
    def app_errorhandler(self, code: type[Exception] | int) -> Callable[[ErrorHandler], ErrorHandler]:
        """Like `app.errorhandler`: for errors of any view, and of the routing."""

        def decorator(f: ErrorHandler) -> ErrorHandler:
            self.record_once(lambda state: state.app.register_error_handler(code, f))
            return f

        return decorator

    @setupmethod
    def app_url_value_preprocessor(self, f: URLPreprocessor) -> URLPreprocessor:
        """Like `app.url_value_preprocessor`: for each request of the app."""
        self.record_once(lambda state: state.app.url_value_preprocessors[None].append(f))
        return f

    @setupmethod
    def app_url_defaults(self, f: URLDefaults) -> URLDefaults:
        """Like `app.url_defaults`: for URLs of the whole app."""
        self.record_once(lambda state: state.app.url_default_functions[None].append(f))
        return f


def _nested_options(
    state: BlueprintSetupState, nested: Blueprint, options: dict[str, Any], name: str
) -> dict[str, Any]:
    """Return the registration options of a nested blueprint: its own, within its parent's prefix and subdomain."""
    merged = {**options, "name_prefix": name}
    subdomain = options.get("subdomain")
    if subdomain is None:
        subdomain = nested.subdomain
    if state.subdomain is not None:
        subdomain = state.subdomain if subdomain is None else f"{subdomain}.{state.subdomain}"
    if subdomain is not None:
        merged["subdomain"] = subdomain
    prefix = options.get("url_prefix")
    if prefix is None:
        prefix = nested.url_prefix
    if state.url_prefix is not None:
        outer = state.url_prefix
        prefix = outer if prefix is None else f"{outer.rstrip('/')}/{prefix.lstrip('/')}"
    if prefix is not None:
        merged["url_prefix"] = prefix
    return merged
