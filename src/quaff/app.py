"""The app class: its halves joined, and what an app does around requests."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from datetime import timedelta
from types import FunctionType
from typing import IO, TYPE_CHECKING, Any, Literal

from werkzeug.routing import Rule as Rule  # noqa: PLC0414 - COMPAT: extensions import it from here

from ._internal.lazy import resolve
from .dispatch import Dispatch
from .globals import current_context, g, raise_no_request, request, session
from .helpers import get_debug_flag, get_flashed_messages, get_load_dotenv, send_from_directory
from .hooks import F, setupmethod
from .wrappers import Response

if TYPE_CHECKING:
    from jinja2 import Environment as JinjaEnvironment

    from .lifespan import Lifespan


def _is_compiled(argument: bool | None) -> bool:
    if argument is not None:
        return argument
    return os.environ.get("QUAFF_COMPILED", "1").lower() not in {"0", "false", "no"}


class Quaff(Dispatch):
    """An application: the central object, and a WSGI callable.

    >>> from quaff import Quaff
    >>> app = Quaff(__name__)
    >>> @app.route("/")
    ... def hello():
    ...     return "Hello, World!"
    >>> app.test_client().get("/").text
    'Hello, World!'

    :param import_name: the name of the app's module or package, usually `__name__`: where resources are looked for.
    :param static_url_path: the URL prefix of static files; by default the folder's name.
    :param static_folder: the folder of static files; None for none.
    :param static_host: the host of the static route, with *host_matching*.
    :param host_matching: match hosts too; each route then needs a host.
    :param subdomain_matching: match subdomains of `SERVER_NAME`.
    :param template_folder: the folder of templates.
    :param instance_path: the folder for files that are not versioned; an absolute path.
    :param instance_relative_config: load configuration files from the instance folder.
    :param root_path: where relative paths start; by default the module's folder.
    :param compiled: False to run each request in the reference pipeline; by default the environment variable
        `QUAFF_COMPILED` decides, and without it routes are compiled.
    """

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
        compiled: bool | None = None,
    ) -> None:
        super().__init__(
            import_name=import_name,
            static_url_path=static_url_path,
            static_folder=static_folder,
            static_host=static_host,
            host_matching=host_matching,
            subdomain_matching=subdomain_matching,
            template_folder=template_folder,
            instance_path=instance_path,
            instance_relative_config=instance_relative_config,
            root_path=root_path,
        )
        self.compiled = _is_compiled(compiled)
        if self.has_static_folder:
            if bool(static_host) != host_matching:
                raise AssertionError("Invalid static_host/host_matching combination")
            # The view must not hold the app: an app without references is freed at once.
            this = weakref.ref(self)

            def send_static_file(**values: Any) -> Response:
                app = this()
                if app is None:
                    raise RuntimeError("The app of this route is gone.")
                return app.send_static_file(**values)

            self.add_url_rule(
                f"{self.static_url_path}/<path:filename>",
                endpoint="static",
                host=static_host,
                view_func=send_static_file,
            )

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Return how long browsers may cache a file, in seconds; None to ask each time. `SEND_FILE_MAX_AGE_DEFAULT`."""
        bound = current_context.get()
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

    def open_resource(self, resource: str, mode: str = "rb", encoding: str | None = None) -> IO[Any]:
        """Open a file relative to `root_path` for reading.

        :raises ValueError: for a mode other than `r`, `rt` and `rb`.
        """
        if mode not in {"r", "rt", "rb"}:
            raise ValueError("Resources can only be opened for reading.")
        path = os.path.join(self.root_path, resource)
        return open(path, mode) if mode == "rb" else open(path, mode, encoding=encoding)

    def open_instance_resource(self, resource: str, mode: str = "rb", encoding: str | None = "utf-8") -> IO[Any]:
        """Open a file of the instance folder, for reading or, unlike resources, for writing."""
        path = os.path.join(self.instance_path, resource)
        return open(path, mode) if "b" in mode else open(path, mode, encoding=encoding)

    def create_jinja_environment(self) -> JinjaEnvironment:
        """Make the Jinja environment from `jinja_options`, with Flask's globals in it."""
        options = dict(self.jinja_options)
        options.setdefault("autoescape", self.select_jinja_autoescape)
        if "auto_reload" not in options:
            auto_reload = self.config["TEMPLATES_AUTO_RELOAD"]
            options["auto_reload"] = self.debug if auto_reload is None else auto_reload
        environment: JinjaEnvironment = self.jinja_environment(self, **options)
        environment.globals.update(
            url_for=self.url_for,
            get_flashed_messages=get_flashed_messages,
            config=self.config,
            # Imported templates have no context; these are for them.
            request=request,
            session=session,
            g=g,
        )
        environment.policies["json.dumps_function"] = self.json.dumps
        return environment

    def make_shell_context(self) -> dict[str, Any]:
        """Return the names of the interactive shell: `app`, `g`, and what the processors add."""
        names: dict[str, Any] = {"app": self, "g": g}
        for processor in self.shell_context_processors:
            names.update(processor())
        return names

    # Around serving --------------------------------------------------------------------------------------------------

    @property
    def lifespan(self) -> Lifespan:
        """What is to be done once per process around serving; servers start and stop it. Quaff 0.1."""
        made: Lifespan | None = self.__dict__.get("_lifespan")
        if made is not None:
            return made
        # PERF: imported by apps that use it and by servers with an event loop, not by `import quaff`.
        from .lifespan import Lifespan

        # Of two threads that ask at once, both get the first one's.
        kept: Lifespan = self.__dict__.setdefault("_lifespan", Lifespan(self))
        return kept

    def before_serving(self, f: F) -> F:
        """Call *f*, sync or async, once in each process, before the first request. Quaff 0.1, as in Quart.

        It is called without arguments, inside an app context. When it raises, the process does not serve.
        """
        return self.lifespan.before_serving(f)

    def while_serving(self, f: F) -> F:
        """Run the generator function *f*, sync or async, around serving. Quaff 0.1, as in Quart.

        It has one `yield`. What stands before it runs before the first request, after the `before_serving` functions; the
        rest runs after the last request, last registered first. It also runs when something later fails at the start.

        >>> from quaff import Quaff
        >>> app = Quaff("shop")
        >>> @app.while_serving
        ... async def pool():
        ...     app.extensions["pool"] = []
        ...     yield
        ...     app.extensions["pool"].clear()
        """
        return self.lifespan.while_serving(f)

    def after_serving(self, f: F) -> F:
        """Call *f*, sync or async, once in each process, after the last request. Quaff 0.1, as in Quart.

        Each of these functions runs whatever the others raise.
        """
        return self.lifespan.after_serving(f)

    def after_response(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Call *function*, sync or async, in the background when the response of the current request has gone. Quaff 0.1.

        It runs in an app context, with the context variables of this moment, and outside of the request: pass it what it
        needs to know of that. An error is logged. A process that is killed loses the calls that it has not made yet.
        For views and whatever runs before them, and for error handlers; an after_request function, which has the response,
        calls `response.call_on_close` instead.

        :raises RuntimeError: outside of a request and of a WebSocket.
        """
        context = current_context.get().request_context
        if context is None:
            raise_no_request()
        from .after_response import CallAfterResponse, run_after_response

        call = CallAfterResponse(self, function, args, kwargs)
        calls = context.after_response_calls
        if calls is None:
            calls = context.after_response_calls = []

            def attach(response: Response) -> Response:
                # Every server closes a response when its last byte is sent, or the client is gone.
                response.call_on_close(lambda: run_after_response(self, calls))
                return response

            context._after_request_functions.append(attach)
        calls.append(call)

    @setupmethod
    def mount(
        self, prefix: str, application: Callable[..., Any], *, kind: Literal["wsgi", "asgi"] | None = None
    ) -> None:
        """Let *application* serve each request whose path is *prefix* or below it. Quaff 0.1.

        It sees the prefix as `SCRIPT_NAME` or `root_path`, and the rest as the path. The longest prefix wins, and wins over
        routes of this app. The hooks, error handlers and sessions of this app have no part in these requests; middleware
        around `app.wsgi_app` and `TRUSTED_HOSTS` have. An ASGI application is started and stopped together with this app.

        :param prefix: a path that begins with a slash, as it reads decoded: `/café`.
        :param application: a WSGI or ASGI application, or another Quaff app.
        :param kind: `wsgi` or `asgi`, where it cannot be told from the parameters of *application*.
        :raises ValueError: for a prefix that is no path, or that something is mounted at.
        :raises TypeError: when *application* is no application, or its kind is not clear.
        """
        # PERF: imported by apps that mount something, not by `import quaff`.
        from .mounting import Kind, Mount, add_mount, detect_kind, normalize_prefix

        if application is self:
            raise ValueError("An app cannot be mounted below itself.")
        if kind not in {None, "wsgi", "asgi"}:
            raise ValueError(f"kind={kind!r}: an application is mounted as 'wsgi' or as 'asgi'.")
        known: Kind = kind or ("quaff" if isinstance(application, Quaff) else detect_kind(application))
        made = Mount(normalize_prefix(prefix), application, known)
        is_new = all(mount.application is not application for mount in self.mounts)
        mounts = add_mount(self.mounts, made)
        if known != "wsgi" and is_new:
            self.while_serving(made.lifespan)
        self.mounts = mounts

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: Any,
    ) -> None:
        """Serve the app while developing. For production use `quaff serve`.

        :param host: the address to listen on; by default the host of `SERVER_NAME`, else 127.0.0.1.
        :param port: the port; by default that of `SERVER_NAME`, else 5000.
        :param debug: turn debug mode on or off: reloader and debugger.
        :param load_dotenv: read `.env` and `.flaskenv`.
        :param options: for the server; options that only Werkzeug's server knows choose that one.
        """
        if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
            if os.environ.get("WERKZEUG_RUN_MAIN") != "true":
                print(
                    " * Ignoring a call to 'app.run()' that would block the current 'flask' CLI command.\n"
                    "   Only call 'app.run()' in an 'if __name__ == \"__main__\"' guard.",
                    file=sys.stderr,
                )
            return
        if get_load_dotenv(load_dotenv):
            resolve("load_dotenv")()
            # A file may have set it after this app read it.
            if "FLASK_DEBUG" in os.environ:
                self.debug = get_debug_flag()
        if debug is not None:
            self.debug = bool(debug)
        named_host, _, named_port = (self.config.get("SERVER_NAME") or "").partition(":")
        options.setdefault("use_reloader", self.debug)
        options.setdefault("use_debugger", self.debug)
        options.setdefault("threaded", True)
        try:
            resolve("run_development")(
                self,
                host or named_host or "127.0.0.1",
                int(port) if port is not None else int(named_port or 5000),
                **options,
            )
        finally:
            # COMPAT: an interactive session may go on setting up.
            self._got_first_request = False

    def test_client(self, use_cookies: bool = True, **kwargs: Any) -> Any:
        """Return a client that calls the app without a server: `app.test_client().get("/")`."""
        cls = self.test_client_class or resolve("FlaskClient")
        return cls(self, self.response_class, use_cookies=use_cookies, **kwargs)

    def test_async_client(self, use_cookies: bool = True, **kwargs: Any) -> Any:
        """Return a client for async tests, which runs the app on the test's loop. Quaff 0.1.

        `response = await app.test_async_client().get("/")`
        """
        return resolve("AsyncClient")(self, self.response_class, use_cookies=use_cookies, **kwargs)

    def test_websocket(self, *args: Any, subprotocols: tuple[str, ...] = (), client: Any = None, **kwargs: Any) -> Any:
        """Return a WebSocket to the app without a server, for a with block. Quaff 0.1.

        ::

            with app.test_websocket("/echo") as session:
                session.send("hello")
                assert session.receive() == "hello"

        :param args: as for a request of the test client, as is *kwargs*: path, headers, query string, ...
        :param subprotocols: what the client offers.
        :param client: a test client whose cookies are sent along.
        """
        scope = resolve("websocket_scope")(client or self.test_client(), args, kwargs, subprotocols)
        return resolve("WebSocketSession")(self, scope)

    def test_cli_runner(self, **kwargs: Any) -> Any:
        """Return a runner that calls the app's commands."""
        cls = self.test_cli_runner_class or resolve("FlaskCliRunner")
        return cls(self, **kwargs)


Quaff._own_methods = {
    name: value
    for cls in reversed(Quaff.__mro__)
    for name, value in vars(cls).items()
    if isinstance(value, FunctionType)
}

Flask = Quaff
"""COMPAT: the same class under Flask's name."""
