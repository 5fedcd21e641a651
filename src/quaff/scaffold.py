"""What apps and blueprints have in common: hooks, error handlers, routes, templates and static files."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from . import typing as ft
from ._internal.attributes import lazy
from ._internal.lazy import resolve
from ._internal.sentinels import UNSET
from ._internal.tracking import TrackedDict
from .errorhandlers import ErrorHandlers
from .helpers import get_root_path
from .hooks import F, Hooks, setupmethod

if TYPE_CHECKING:
    from click import Group
    from jinja2 import BaseLoader

__all__ = ["Scaffold", "find_package", "setupmethod"]

_sentinel = UNSET
# COMPAT: Flask's name for "not given".

RouteDecorated = TypeVar("RouteDecorated", bound=ft.RouteCallable)


class Scaffold(Hooks, ErrorHandlers):
    """The common base of the app class and of `Blueprint`.

    :param import_name: the name of the module or package it is defined in, usually `__name__`.
    :param static_folder: the folder of static files, relative to `root_path`; None for none.
    :param static_url_path: the URL prefix of static files; by default `/` and the folder's name.
    :param template_folder: the folder of templates, relative to `root_path`; None for none.
    :param root_path: where relative paths start; by default the folder of the module.
    """

    name: str
    _static_folder: str | None = None
    _static_url_path: str | None = None

    def __init__(
        self,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        root_path: str | None = None,
    ) -> None:
        Hooks.__init__(self)
        self._init_error_handlers()
        self.import_name = import_name
        self.static_folder = static_folder
        self.static_url_path = static_url_path
        self.template_folder = template_folder
        self.root_path = get_root_path(import_name) if root_path is None else root_path
        self.view_functions: dict[str, ft.RouteCallable] = TrackedDict(self._revision)
        self._command_adders: list[Callable[[Group], object]] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @lazy
    def cli(self) -> Group:
        """The Click group for commands of this app or blueprint: `@app.cli.command()`."""
        group: Group = resolve("AppGroup")()
        group.name = self.name
        for add in self._command_adders:
            add(group)
        return group

    def add_cli_commands(self, add: Callable[[Group], object]) -> None:
        """Call *add* with `cli` when that is first used, or now if it was. For batteries. Quaff 0.1.

        PERF: reading `cli` imports Click, which an app that serves requests does without.
        """
        if "cli" in self.__dict__:
            add(self.cli)
        else:
            self._command_adders.append(add)

    @property
    def static_folder(self) -> str | None:
        """The absolute path of the folder of static files, or None."""
        if self._static_folder is None:
            return None
        return os.path.join(self.root_path, self._static_folder)

    @static_folder.setter
    def static_folder(self, value: str | os.PathLike[str] | None) -> None:
        self._static_folder = None if value is None else os.fspath(value).rstrip("\\/")

    @property
    def has_static_folder(self) -> bool:
        """Whether there is a folder of static files, so that a route for it exists."""
        return self.static_folder is not None

    @property
    def static_url_path(self) -> str | None:
        """The URL prefix of static files, without a trailing slash, or None without a folder."""
        if self._static_url_path is not None:
            return self._static_url_path
        folder = self.static_folder
        return None if folder is None else f"/{os.path.basename(folder)}".rstrip("/")

    @static_url_path.setter
    def static_url_path(self, value: str | None) -> None:
        self._static_url_path = None if value is None else value.rstrip("/")

    @lazy
    def jinja_loader(self) -> BaseLoader | None:
        """The loader of this object's templates: its template folder, unless overridden."""
        if self.template_folder is None:
            return None
        from jinja2 import FileSystemLoader

        return FileSystemLoader(os.path.join(self.root_path, self.template_folder))

    def _method_route(
        self, method: str, rule: str, options: dict[str, Any]
    ) -> Callable[[RouteDecorated], RouteDecorated]:
        if "methods" in options:
            raise TypeError("Use the 'route' decorator to use the 'methods' argument.")
        return self.route(rule, methods=[method], **options)

    @setupmethod
    def get(self, rule: str, **options: Any) -> Callable[[RouteDecorated], RouteDecorated]:
        """Short for `route(rule, methods=["GET"])`."""
        return self._method_route("GET", rule, options)

    @setupmethod
    def post(self, rule: str, **options: Any) -> Callable[[RouteDecorated], RouteDecorated]:
        """Short for `route(rule, methods=["POST"])`."""
        return self._method_route("POST", rule, options)

    @setupmethod
    def put(self, rule: str, **options: Any) -> Callable[[RouteDecorated], RouteDecorated]:
        """Short for `route(rule, methods=["PUT"])`."""
        return self._method_route("PUT", rule, options)

    @setupmethod
    def delete(self, rule: str, **options: Any) -> Callable[[RouteDecorated], RouteDecorated]:
        """Short for `route(rule, methods=["DELETE"])`."""
        return self._method_route("DELETE", rule, options)

    @setupmethod
    def patch(self, rule: str, **options: Any) -> Callable[[RouteDecorated], RouteDecorated]:
        """Short for `route(rule, methods=["PATCH"])`."""
        return self._method_route("PATCH", rule, options)

    @setupmethod
    def route(self, rule: str, **options: Any) -> Callable[[RouteDecorated], RouteDecorated]:
        """Serve the URL *rule* with the decorated view function.

        The endpoint, for `url_for`, is the function's name unless `endpoint` is given. Other options are those of
        `add_url_rule` and of Werkzeug's `Rule`.

        >>> from quaff import Quaff
        >>> app = Quaff("shop")
        >>> @app.route("/items/<int:number>", methods=["GET", "PUT"])
        ... def item(number):
        ...     return {"number": number}
        """

        def decorator(f: RouteDecorated) -> RouteDecorated:
            endpoint = options.pop("endpoint", None)
            self.add_url_rule(rule, endpoint, f, **options)
            return f

        return decorator

    @setupmethod
    def websocket(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Serve WebSocket connections to the URL *rule* with the decorated function. Quaff 0.1.

        It talks through `quaff.websocket`; a coroutine function awaits its methods. Options are those of `route`.

        >>> from quaff import Quaff, websocket
        >>> app = Quaff("chat")
        >>> @app.websocket("/chat/<room>")
        ... async def chat(room):
        ...     async for message in websocket:
        ...         await websocket.send(f"{room}: {message}")
        """

        def decorator(f: F) -> F:
            endpoint = options.pop("endpoint", None)
            self.add_url_rule(rule, endpoint, f, provide_automatic_options=False, websocket=True, **options)
            return f

        return decorator

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Register a URL rule; `App` and `Blueprint` each say how."""
        raise NotImplementedError

    @setupmethod
    def endpoint(self, endpoint: str) -> Callable[[F], F]:
        """Make the decorated function the view of *endpoint*, whose rules are added elsewhere."""

        def decorator(f: F) -> F:
            self.view_functions[endpoint] = f
            return f

        return decorator


def _endpoint_from_view_func(view_func: Any) -> str:
    """Return the default endpoint of a view: its name. COMPAT: extensions use this under several modules."""
    if view_func is None:
        raise AssertionError("expected view func if endpoint is not provided.")
    name: str = view_func.__name__
    return name


def _find_package_path(import_name: str) -> str:
    """Return the folder that contains the top-level package or module of *import_name*."""
    root_name = import_name.partition(".")[0]
    try:
        spec = importlib.util.find_spec(root_name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return os.getcwd()
    if not spec.submodule_search_locations:
        return os.path.dirname(spec.origin or "")
    if spec.origin is not None and spec.origin != "namespace":
        return os.path.dirname(os.path.dirname(spec.origin))
    return os.path.dirname(_namespace_location(import_name, list(spec.submodule_search_locations)))


def _namespace_location(import_name: str, locations: list[str]) -> str:
    """Return which of a namespace package's folders holds *import_name*."""
    spec = importlib.util.find_spec(import_name)
    if spec is None or not spec.submodule_search_locations:
        return locations[0]
    package = pathlib.Path(os.path.commonpath(list(spec.submodule_search_locations)))
    return next((place for place in locations if package.is_relative_to(place)), locations[0])


def find_package(import_name: str) -> tuple[str | None, str]:
    """Return the prefix that a package is installed under, or None, and the folder that contains it.

    The prefix decides where the instance folder is: `PREFIX/var/NAME-instance` for an installed app.
    """
    package_path = _find_package_path(import_name)
    prefix = os.path.abspath(sys.prefix)
    if pathlib.PurePath(package_path).is_relative_to(prefix):
        return prefix, package_path
    parent, folder = os.path.split(package_path)
    if folder.lower() != "site-packages":
        return None, package_path
    above, lib = os.path.split(parent)
    if lib.lower() == "lib":  # Windows: PREFIX/Lib/site-packages
        return above, package_path
    if os.path.basename(above).lower() == "lib":  # elsewhere: PREFIX/lib/pythonX.Y/site-packages
        return os.path.dirname(above), package_path
    return parent, package_path
