"""The set-up half of the app: configuration, rules, blueprints, templates; nothing of it needs a request.

COMPAT: this is what Flask has as `flask.sansio.app.App`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, ValuesView
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from werkzeug.datastructures import ImmutableDict
from werkzeug.exceptions import Aborter, BadRequest, BadRequestKeyError
from werkzeug.routing import BuildError, Rule
from werkzeug.routing import Map as MapBase
from werkzeug.utils import redirect as _werkzeug_redirect
from werkzeug.wrappers import Response as ResponseBase

from . import typing as ft
from ._internal.attributes import lazy
from ._internal.lazy import resolve
from ._internal.tracking import Revision, TrackedList, track
from .blueprints import Blueprint
from .config import Config, ConfigAttribute
from .ctx import _AppCtxGlobals
from .errors import SetupError
from .helpers import _split_blueprint_path, check_redirect_location, get_debug_flag
from .json.provider import DefaultJSONProvider, JSONProvider
from .logging import create_logger
from .oldnames import OldAppNames
from .routing import Map
from .scaffold import Scaffold, _endpoint_from_view_func, find_package, setupmethod
from .sessions import SecureCookieSessionInterface, SessionInterface
from .wrappers import Request, Response

if TYPE_CHECKING:
    import logging

    from jinja2 import BaseLoader
    from jinja2 import Environment as JinjaEnvironment

    from .mounting import Mount
    from .pipeline.parts import Battery, PartsOfApp
    from .routing.builder import UrlBuilder

_QUIET: Final = frozenset(
    {
        "_got_first_request",
        "_table",
        "url_builder_made",
        "cli",
        "jinja_env",
        "jinja_loader",
        "logger",
        "name",
        "parts_of_app",
    }
)
"""Attributes whose change does not concern the compiled routes."""

_REGISTRIES: Final = frozenset(
    {
        "after_request_funcs",
        "after_websocket_funcs",
        "before_first_request_funcs",
        "before_request_funcs",
        "before_websocket_funcs",
        "error_handler_spec",
        "teardown_appcontext_funcs",
        "teardown_request_funcs",
        "teardown_websocket_funcs",
        "template_context_processors",
        "url_default_functions",
        "url_value_preprocessors",
        "view_functions",
    }
)
"""Attributes that are tracked also when they are replaced as a whole."""


def _make_timedelta(value: timedelta | int | None) -> timedelta | None:
    return value if value is None or isinstance(value, timedelta) else timedelta(seconds=value)


class _LazyClass:
    """A class attribute whose value is imported on first use."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __get__(self, instance: object, owner: type) -> Any:
        return resolve(self._key)


class AppBase(OldAppNames, Scaffold):
    """The set-up half of `Quaff`, with Flask's class attributes for customizing it in a subclass."""

    aborter_class = Aborter
    """Makes `app.aborter`, which `abort` calls."""

    jinja_environment: Any = _LazyClass("Environment")
    """The class of `jinja_env`."""

    app_ctx_globals_class = _AppCtxGlobals
    """The class of `g`."""

    config_class = Config
    """The class of `config`."""

    testing = ConfigAttribute[bool]("TESTING")
    """The config value `TESTING`: errors propagate to the test client."""

    secret_key = ConfigAttribute["str | bytes | None"]("SECRET_KEY")
    """The config value `SECRET_KEY`, which signs sessions. Keep it long, random and out of the code."""

    permanent_session_lifetime = ConfigAttribute[timedelta](
        "PERMANENT_SESSION_LIFETIME",
        get_converter=_make_timedelta,  # type: ignore[arg-type]
    )
    """How long permanent sessions live; a `timedelta`, or a number of seconds when set."""

    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    """Makes `app.json`."""

    jinja_options: ClassVar[dict[str, Any]] = {}
    """Options for the Jinja environment."""

    url_rule_class = Rule
    """The class of rules."""

    url_map_class: type[MapBase] = Map
    """The class of `url_map`. Maps of other libraries work, but only `quaff.routing.Map` is compiled."""

    test_client_class: Any = None
    """The class of `test_client()`; None for `quaff.testing.FlaskClient`."""

    test_cli_runner_class: Any = None
    """The class of `test_cli_runner()`; None for `quaff.testing.FlaskCliRunner`."""

    request_class: type[Request] = Request
    """The class of requests."""

    response_class: type[Response] = Response
    """The class of responses."""

    session_interface: SessionInterface = SecureCookieSessionInterface()
    """Opens and saves sessions."""

    compiled = True
    """Whether routes are compiled; False runs every request in the reference pipeline."""

    _own_methods: ClassVar[dict[str, Any]] = {}
    """The methods of `Quaff` as they were defined. COMPAT: monitoring tools replace them on the class itself."""

    default_config: Any = ImmutableDict(
        {
            "APPLICATION_ROOT": "/",
            "COMPAT": (),
            "DEBUG": None,
            "EXPLAIN_TEMPLATE_LOADING": False,
            "JSON_STRICT": False,
            "MAX_CONTENT_LENGTH": 32 * 1024 * 1024,
            "MAX_COOKIE_SIZE": 4093,
            "MAX_FORM_MEMORY_SIZE": 500_000,
            "MAX_FORM_PARTS": 1_000,
            "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
            "PREFERRED_URL_SCHEME": "http",
            "PROPAGATE_EXCEPTIONS": None,
            "PROVIDE_AUTOMATIC_OPTIONS": True,
            "SECRET_KEY": None,
            "SECRET_KEY_FALLBACKS": None,
            "SEND_FILE_MAX_AGE_DEFAULT": None,
            "SERVER_NAME": None,
            "SESSION_COOKIE_DOMAIN": None,
            "SESSION_COOKIE_HTTPONLY": True,
            "SESSION_COOKIE_NAME": "session",
            "SESSION_COOKIE_PARTITIONED": False,
            "SESSION_COOKIE_PATH": None,
            "SESSION_COOKIE_SAMESITE": None,
            "SESSION_COOKIE_SECURE": False,
            "SESSION_REFRESH_EACH_REQUEST": True,
            "TEMPLATES_AUTO_RELOAD": None,
            "TESTING": False,
            "TRAP_BAD_REQUEST_ERRORS": None,
            "TRAP_HTTP_EXCEPTIONS": False,
            "TRUSTED_HOSTS": None,
            "USE_X_SENDFILE": False,
        }
    )
    """The configuration before anything is loaded. SECURITY: Flask has no MAX_CONTENT_LENGTH; set it to None for that."""

    def __init__(  # noqa: PLR0913, PLR0917 - COMPAT: Flask's signature
        self,
        import_name: str,
        static_url_path: str | None = None,
        static_folder: str | os.PathLike[str] | None = "static",
        static_host: str | None = None,
        host_matching: bool = False,
        subdomain_matching: bool = False,
        template_folder: str | os.PathLike[str] | None = "templates",
        instance_path: str | None = None,
        instance_relative_config: bool = False,
        root_path: str | None = None,
    ) -> None:
        super().__init__(
            import_name=import_name,
            static_folder=static_folder,
            static_url_path=static_url_path,
            template_folder=template_folder,
            root_path=root_path,
        )
        if instance_path is None:
            instance_path = self.auto_find_instance_path()
        elif not os.path.isabs(instance_path):
            raise ValueError("If an instance path is provided it must be absolute. A relative path was given instead.")
        self.instance_path = instance_path
        self.config = self.make_config(instance_relative_config)
        self.aborter = self.make_aborter()
        self.json: JSONProvider = self.json_provider_class(self)
        self.url_build_error_handlers: list[Callable[[Exception, str, dict[str, Any]], str]] = []
        self.teardown_appcontext_funcs: list[ft.TeardownCallable] = TrackedList(self._revision)
        self.before_first_request_funcs: list[ft.BeforeFirstRequestCallable] = TrackedList(self._revision)
        self.shell_context_processors: list[ft.ShellContextProcessorCallable] = []
        self.blueprints: dict[str, Blueprint] = {}
        self.extensions: dict[str, Any] = {}
        self.url_map: Any = self.url_map_class(host_matching=host_matching)
        if isinstance(self.url_map, Map):
            self.url_map.revision = Revision(parent=self._revision)
        self.batteries: list[Battery] = TrackedList(self._revision)
        """What `add_battery` added, in that order."""

        self.closes_contexts = False
        """Whether something of this app calls `quaff.ctx.call_on_close`. The compiled routes look for it then."""

        self.mounts: tuple[Mount, ...] = ()
        """What `mount` has mounted, the longest prefix first."""

        self.subdomain_matching = subdomain_matching
        self._got_first_request = False
        self.url_builder_made: UrlBuilder | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        revision = self.__dict__.get("_revision")
        if revision is not None and name not in _QUIET:
            if name in _REGISTRIES:
                value = track(value, revision)
            elif name == "config" and isinstance(value, Config):
                value._on_change = revision.bump
            revision.bump()
        elif name == "_got_first_request" and not value and revision is not None:
            # COMPAT: tests and `app.run` open the set-up again in this way.
            revision.bump()
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._revision.bump()

    def overrides(self, *names: str) -> bool:
        """Tell whether a subclass, this object, or somebody who patched the class replaces one of Quaff's own methods."""
        cls, own = type(self), self._own_methods
        return any(name in self.__dict__ or getattr(cls, name) is not own[name] for name in names)

    @lazy
    def parts_of_app(self) -> PartsOfApp:
        """What batteries do for each route, as the reference pipeline asks for it."""
        # PERF: by the first request, not by `import quaff`.
        from .pipeline.parts import PartsOfApp

        return PartsOfApp()

    def add_battery(self, battery: Battery) -> None:
        """Let a battery take part in the pipeline of each route; one that was added before is not added again. Quaff 0.1.

        Several of one kind are independent of each other. What they do is ordered by `quaff.pipeline.phases.Stage`.
        """
        if not any(added is battery for added in self.batteries):
            self.batteries.append(battery)

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_first_request:
            raise SetupError(
                f"The setup method '{f_name}' can no longer be called"
                " on the application. It has already handled its first"
                " request, any changes will not be applied consistently.\n"
                "Make sure all imports, decorators, functions, etc. needed"
                " to set up the application are done before running it."
            )

    @lazy
    def name(self) -> str:
        """The import name; for a script that runs as `__main__` the name of its file."""
        if self.import_name != "__main__":
            return self.import_name
        file: str | None = getattr(sys.modules["__main__"], "__file__", None)
        return "__main__" if file is None else os.path.splitext(os.path.basename(file))[0]

    @lazy
    def logger(self) -> logging.Logger:
        """The standard logger with the app's name, with a handler of Flask's format if none is configured."""
        app: Any = self  # Any: pyright does not see through `lazy` when it compares with a protocol
        return create_logger(app)

    @lazy
    def jinja_env(self) -> JinjaEnvironment:
        """The Jinja environment, made on first use; change it only before the first template is loaded."""
        return self.create_jinja_environment()

    def create_jinja_environment(self) -> JinjaEnvironment:
        """Make the Jinja environment."""
        raise NotImplementedError

    def make_config(self, instance_relative: bool = False) -> Config:
        """Make the configuration, with file names relative to the root path or to the instance folder."""
        defaults = {**self.default_config, "DEBUG": get_debug_flag()}
        return self.config_class(self.instance_path if instance_relative else self.root_path, defaults)

    def make_aborter(self) -> Aborter:
        """Make the object that `abort` calls."""
        return self.aborter_class()

    def auto_find_instance_path(self) -> str:
        """Return the folder for files that do not belong in version control, when none is given."""
        prefix, package_path = find_package(self.import_name)
        if prefix is None:
            return os.path.join(package_path, "instance")
        return os.path.join(prefix, "var", f"{self.name}-instance")

    def create_global_jinja_loader(self) -> BaseLoader:
        """Make the loader that asks the app's and each blueprint's own loader in turn."""
        loader: BaseLoader = resolve("DispatchingJinjaLoader")(self)
        return loader

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Tell whether a template's variables are escaped; strings are, and files by their ending."""
        return filename is None or filename.endswith((".html", ".htm", ".xml", ".xhtml", ".svg"))

    @property
    def debug(self) -> bool:
        """The config value `DEBUG`: error pages with the debugger, propagating errors, templates reloaded."""
        return self.config["DEBUG"]  # type: ignore[no-any-return]

    @debug.setter
    def debug(self, value: bool) -> None:
        self.config["DEBUG"] = value
        # PERF: an environment that is still to be made reads the flag itself.
        if self.config["TEMPLATES_AUTO_RELOAD"] is None and "jinja_env" in self.__dict__:
            self.jinja_env.auto_reload = value

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register *blueprint*; options override its own: url_prefix, subdomain, url_defaults, name, cli_group.

        :raises ValueError: when a blueprint of that name is registered already.
        """
        blueprint.register(self, options)

    def iter_blueprints(self) -> ValuesView[Blueprint]:
        """Return the blueprints in the order in which they were registered."""
        return self.blueprints.values()

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Serve the URL *rule* with *view_func*; what `route` does, without a decorator.

        :param endpoint: the name for `url_for`; by default the view's name.
        :param provide_automatic_options: whether OPTIONS is answered with the allowed methods; by default yes unless
            the view takes OPTIONS itself.
        :param options: for Werkzeug's `Rule`: methods, defaults, strict_slashes, host, subdomain, redirect_to, ...
        :raises AssertionError: when the endpoint has another view already.
        :raises TypeError: when *methods* is a string.
        """
        if endpoint is None:
            endpoint = _endpoint_from_view_func(view_func)
        methods = options.pop("methods", None)
        if methods is None:
            methods = getattr(view_func, "methods", None) or ("GET",)
        if isinstance(methods, str):
            raise TypeError('Allowed methods must be a list of strings, for example: @app.route(..., methods=["POST"])')
        allowed = {method.upper() for method in methods}
        required: set[str] = set(getattr(view_func, "required_methods", ()))
        if provide_automatic_options is None:
            provide_automatic_options = getattr(view_func, "provide_automatic_options", None)
        if provide_automatic_options is None:
            provide_automatic_options = "OPTIONS" not in allowed and bool(self.config["PROVIDE_AUTOMATIC_OPTIONS"])
            if provide_automatic_options:
                required.add("OPTIONS")
        made = self.url_rule_class(rule, methods=allowed | required, endpoint=endpoint, **options)
        made.provide_automatic_options = provide_automatic_options  # type: ignore[attr-defined]
        self.url_map.add(made)
        if view_func is not None:
            old = self.view_functions.get(endpoint)
            if old is not None and old != view_func:
                raise SetupError(f"View function mapping is overwriting an existing endpoint function: {endpoint}")
            self.view_functions[endpoint] = view_func

    @setupmethod
    def template_filter(
        self, name: str | None = None
    ) -> Callable[[ft.TemplateFilterCallable], ft.TemplateFilterCallable]:
        """Register the decorated function as a template filter, by its own name or *name*."""

        def decorator(f: ft.TemplateFilterCallable) -> ft.TemplateFilterCallable:
            self.add_template_filter(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_template_filter(self, f: ft.TemplateFilterCallable, name: str | None = None) -> None:
        """Register *f* as a template filter."""
        self.jinja_env.filters[name or f.__name__] = f

    @setupmethod
    def template_test(self, name: str | None = None) -> Callable[[ft.TemplateTestCallable], ft.TemplateTestCallable]:
        """Register the decorated function as a template test, by its own name or *name*."""

        def decorator(f: ft.TemplateTestCallable) -> ft.TemplateTestCallable:
            self.add_template_test(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """Register *f* as a template test."""
        self.jinja_env.tests[name or f.__name__] = f

    @setupmethod
    def template_global(
        self, name: str | None = None
    ) -> Callable[[ft.TemplateGlobalCallable], ft.TemplateGlobalCallable]:
        """Register the decorated function as a global of templates, by its own name or *name*."""

        def decorator(f: ft.TemplateGlobalCallable) -> ft.TemplateGlobalCallable:
            self.add_template_global(f, name=name)
            return f

        return decorator

    @setupmethod
    def add_template_global(self, f: ft.TemplateGlobalCallable, name: str | None = None) -> None:
        """Register *f* as a global of templates."""
        self.jinja_env.globals[name or f.__name__] = f

    @setupmethod
    def teardown_appcontext(self, f: ft.TeardownCallable) -> ft.TeardownCallable:
        """Call *f* with the unhandled error, or None, when an app context ends."""
        self.teardown_appcontext_funcs.append(f)
        return f

    @setupmethod
    def shell_context_processor(self, f: ft.ShellContextProcessorCallable) -> ft.ShellContextProcessorCallable:
        """Add the names that *f* returns to the interactive shell."""
        self.shell_context_processors.append(f)
        return f

    def trap_http_exception(self, e: Exception) -> bool:
        """Tell whether an HTTP error is to be treated like any error: `TRAP_HTTP_EXCEPTIONS`, `TRAP_BAD_REQUEST_ERRORS`."""
        if self.config["TRAP_HTTP_EXCEPTIONS"]:
            return True
        trap_bad_request = self.config["TRAP_BAD_REQUEST_ERRORS"]
        # A missing form key hides a bug while one develops.
        if trap_bad_request is None and self.debug and isinstance(e, BadRequestKeyError):
            return True
        return bool(trap_bad_request) and isinstance(e, BadRequest)

    def should_ignore_error(self, error: BaseException | None) -> bool:
        """Tell whether teardown functions shall not see *error*. By default they see all."""
        return False

    def redirect(self, location: str, code: int = 302) -> ResponseBase:
        """Return a redirect to *location*.

        :raises ValueError: for a location that would surprise: a scheme other than http and https, or one that leaves the
            site only after it is normalised.
        """
        check_redirect_location(location, self.config["COMPAT"])
        return _werkzeug_redirect(location, code=code, Response=self.response_class)

    def inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None:
        """Let the url_defaults functions add to *values* in place."""
        names: list[str | None] = [None]
        if "." in endpoint:
            names += reversed(_split_blueprint_path(endpoint.rpartition(".")[0]))
        for name in names:
            for function in self.url_default_functions.get(name, ()):
                function(endpoint, values)

    def handle_url_build_error(self, error: BuildError, endpoint: str, values: dict[str, Any]) -> str:
        """Ask `url_build_error_handlers` for a URL; raise the error when none has one."""
        for handler in self.url_build_error_handlers:
            try:
                result = handler(error, endpoint, values)
            except BuildError as raised:
                error = raised
            else:
                if result is not None:
                    return result
        raise error

    def url_builder(self) -> UrlBuilder:
        """Return the builder for the map and the functions of the user's as they are now."""
        made = self.url_builder_made
        revision = self._revision.value
        if made is None or made.revision != revision:
            from .routing.builder import UrlBuilder

            # With subdomains, whether a path will do depends on where the request came in.
            usual = (
                isinstance(self.url_map, Map)
                and not self.subdomain_matching
                and not any(self.url_default_functions.values())
                and not self.overrides("create_url_adapter", "inject_url_defaults")
            )
            made = self.url_builder_made = UrlBuilder(
                self.url_map,
                revision,
                usable=usual,
                serves_helper=not self.overrides("url_for"),
            )
        return made


App = AppBase
"""COMPAT: the same class under the name that it has in `flask.sansio.app`."""
