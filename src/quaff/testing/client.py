"""The test client: Werkzeug's, with the app's configuration, contexts that can be kept, and access to the session."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import copy
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import werkzeug.test
from werkzeug.wrappers import Request as BaseRequest

from ..sessions import SessionMixin

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.test import TestResponse

    from ..app import Quaff


class EnvironBuilder(werkzeug.test.EnvironBuilder):
    """Werkzeug's builder of WSGI environs, with defaults from an app.

    :param path: the path, or a whole URL.
    :param base_url: where the app is; *path* is relative to it. By default made of the arguments that follow and of
        `SERVER_NAME`, `APPLICATION_ROOT` and `PREFERRED_URL_SCHEME`.
    :param subdomain: put in front of `SERVER_NAME`.
    :param url_scheme: instead of `PREFERRED_URL_SCHEME`.
    :param args: as for `werkzeug.test.EnvironBuilder`, as is *kwargs*: `method`, `json`, `data`, `headers`, ...
    :raises TypeError: for *base_url* together with *subdomain* or *url_scheme*.
    """

    def __init__(
        self,
        app: Quaff,
        path: str = "/",
        base_url: str | None = None,
        subdomain: str | None = None,
        url_scheme: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if base_url is not None and (subdomain or url_scheme):
            raise _BothBases('Cannot pass "subdomain" or "url_scheme" with "base_url".')
        if base_url is None:
            base_url, path = _place(app, path, subdomain, url_scheme)
        self.app = app
        super().__init__(path, base_url, *args, **kwargs)

    def json_dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return *obj* as JSON text, by the app's provider."""
        text: str = self.app.json.dumps(obj, **kwargs)
        return text


class _BothBases(TypeError, AssertionError):
    """Contradicting arguments. COMPAT: Flask raises AssertionError for them."""


def _place(app: Quaff, path: str, subdomain: str | None, url_scheme: str | None) -> tuple[str, str]:
    """Return the base URL for a path or URL, and the path below it."""
    config = app.config
    host = config.get("SERVER_NAME") or "localhost"
    if subdomain:
        host = f"{subdomain}.{host}"
    url = urlsplit(path)
    scheme = url.scheme or url_scheme or config["PREFERRED_URL_SCHEME"]
    root = config["APPLICATION_ROOT"].lstrip("/")
    path = f"{url.path}?{url.query}" if url.query else url.path
    return f"{scheme}://{url.netloc or host}/{root}", path


@cache
def _get_werkzeug_version() -> str:
    return importlib.metadata.version("werkzeug")


class FlaskClient(werkzeug.test.Client):
    """A client that calls the app directly. `app.test_client()` makes it.

    In a `with` block the context of the last request stays, so that `request`, `session` and `g` can be looked at::

        with app.test_client() as client:
            client.get("/?page=2")
            assert request.args["page"] == "2"

    `environ_base` is what every request starts from: `REMOTE_ADDR` and `HTTP_USER_AGENT`, and what a test adds.
    """

    application: Quaff

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preserve_context = False
        self._new_contexts: list[AbstractContextManager[Any]] = []
        self._context_stack = ExitStack()
        self.environ_base: dict[str, Any] = {
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_USER_AGENT": f"Werkzeug/{_get_werkzeug_version()}",
        }

    @contextmanager
    def session_transaction(self, *args: Any, **kwargs: Any) -> Iterator[SessionMixin]:
        """Open the client's session for a `with` block and store it afterwards.

        ::

            with client.session_transaction() as session:
                session["user"] = 42

        :param args: as for `app.test_request_context`, as is *kwargs*: a session may depend on the request.
        :raises TypeError: when the client keeps no cookies.
        :raises RuntimeError: when the app has no session, for example because it has no secret key.
        """
        if self._cookies is None:
            raise TypeError("Cookies are disabled. Create a client with 'use_cookies=True'.")
        app = self.application
        context = app.test_request_context(*args, **kwargs)
        request = context.request
        self._add_cookies_to_wsgi(request.environ)
        with context:
            session = app.session_interface.open_session(app, request)
        if session is None:
            raise RuntimeError("Session backend did not open a session.")

        yield session

        if app.session_interface.is_null_session(session):
            return
        response = app.response_class()
        with context:
            app.session_interface.save_session(app, session, response)
        self._update_cookies_from_response(
            request.host.partition(":")[0], request.path, response.headers.getlist("Set-Cookie")
        )

    def _copy_environ(self, other: WSGIEnvironment) -> WSGIEnvironment:
        environ = {**self.environ_base, **other}
        if self.preserve_context:
            environ["werkzeug.debug.preserve_context"] = self._new_contexts.append
        return environ

    def _request_from_builder_args(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> BaseRequest:
        kwargs["environ_base"] = self._copy_environ(kwargs.get("environ_base", {}))
        builder = EnvironBuilder(self.application, *args, **kwargs)
        try:
            return builder.get_request()
        finally:
            builder.close()

    def _make_request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> BaseRequest:
        """Return the request that the arguments of `open` describe: a builder, an environ, a request, or options."""
        given = args[0] if args else None
        if isinstance(given, werkzeug.test.EnvironBuilder):
            builder = copy(given)
            builder.environ_base = self._copy_environ(dict(builder.environ_base or {}))
            return builder.get_request()
        if isinstance(given, dict):
            return EnvironBuilder.from_environ(
                given, app=self.application, environ_base=self._copy_environ({})
            ).get_request()
        if isinstance(given, BaseRequest):
            request = copy(given)
            request.environ = self._copy_environ(request.environ)
            return request
        return self._request_from_builder_args(args, kwargs)

    def open(self, *args: Any, buffered: bool = False, follow_redirects: bool = False, **kwargs: Any) -> TestResponse:
        """Send a request and return the response.

        :param args: as for `EnvironBuilder`, as is *kwargs*; or one builder, environ or request.
        :param buffered: read the whole body and close the response.
        :param follow_redirects: send further requests until the answer is no redirect.
        """
        request = self._make_request(args, kwargs)
        # Contexts kept from the request before end now: they must not pile up over redirects or within one block.
        self._context_stack.close()
        response = super().open(request, buffered=buffered, follow_redirects=follow_redirects)
        response.json_module = self.application.json  # type: ignore[assignment]  # has what is needed of the module
        for context in self._new_contexts:
            self._context_stack.enter_context(context)
        self._new_contexts.clear()
        return response

    def __enter__(self) -> Self:
        if self.preserve_context:
            raise RuntimeError("Cannot nest client invocations")
        self.preserve_context = True
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.preserve_context = False
        self._context_stack.close()


QuaffClient = FlaskClient
"""The same class under Quaff's name."""
