"""How the app builds URLs, and what it needs of a request's host for that."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from werkzeug.routing import BuildError, MapAdapter
from werkzeug.utils import redirect as _werkzeug_redirect
from werkzeug.wrappers import Response as ResponseBase
from werkzeug.wsgi import get_host

from .appbase import AppBase
from .ctx import RequestContext
from .globals import current_context
from .helpers import _split_blueprint_path, check_redirect_location
from .wrappers import Request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_ALLOWED_IN_ANCHOR = "%!#$&'()*+,/:;=?@"


def _subdomain_of(environ: WSGIEnvironment, server_name: str) -> str | None:
    """Return `<invalid>`, which no rule matches, when the host is not below *server_name*; else None for Werkzeug to see.

    COMPAT: Werkzeug finds that out itself and warns in the name of its caller; people filter that warning by `flask.app`.
    """
    host = get_host(environ).lower()
    scheme = environ["wsgi.url_scheme"]
    name = server_name.lower().removesuffix(":443" if scheme in {"https", "wss"} else ":80")
    labels = name.split(".")
    if host.split(".")[-len(labels) :] == labels:
        return None
    warnings.warn_explicit(
        f"Current server name {host!r} doesn't match configured server name {name!r}",
        UserWarning,
        filename=__file__,
        lineno=sys._getframe().f_lineno,
        module="flask.app",
    )
    return "<invalid>"


class URLs(AppBase):
    """The methods around URLs, each of which a subclass may override."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return the adapter that matches and builds URLs for *request*, or outside of one for `SERVER_NAME`.

        :raises werkzeug.exceptions.BadRequest: when the request's host is malformed or not in `TRUSTED_HOSTS`.
        """
        config = self.config
        if request is None:
            if config["SERVER_NAME"] is None:
                return None
            adapter: MapAdapter = self.url_map.bind(
                config["SERVER_NAME"],
                script_name=config["APPLICATION_ROOT"],
                url_scheme=config["PREFERRED_URL_SCHEME"],
            )
            return adapter
        from .hosts import refuse_host

        refused = refuse_host(request.environ)
        if refused is not None:
            raise refused
        if config["TRUSTED_HOSTS"] is not None:
            request.trusted_hosts = config["TRUSTED_HOSTS"]
        request.host = get_host(request.environ, request.trusted_hosts)
        server_name, subdomain = config["SERVER_NAME"], None
        if self.url_map.host_matching:
            server_name = None
        elif not self.subdomain_matching:
            # COMPAT: Flask 3.1: without subdomain matching SERVER_NAME does not restrict the host.
            subdomain = self.url_map.default_subdomain or ""
        elif server_name is not None:
            subdomain = _subdomain_of(request.environ, server_name)
        bound: MapAdapter = self.url_map.bind_to_environ(request.environ, server_name=server_name, subdomain=subdomain)
        return bound

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

    def url_for(
        self,
        /,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        _external: bool | None = None,
        **values: Any,
    ) -> str:
        """Build a URL for *endpoint*: a path within a request, a full URL outside of one.

        :param _anchor: goes behind a `#`.
        :param _method: chooses among the rules of one endpoint.
        :param _scheme: makes the URL external, with this scheme.
        :param _external: True for a full URL.
        :param values: for the rule's variables; those that are none go into the query.
        :raises werkzeug.routing.BuildError: when no rule of the endpoint takes these values.
        :raises RuntimeError: outside of a request when `SERVER_NAME` is not set.
        """
        bound = current_context.get()
        context = bound.request_context
        if _external is None:
            _external = context is None or _scheme is not None
        if context is not None and endpoint[:1] == ".":
            blueprint = context.request.blueprint
            endpoint = endpoint[1:] if blueprint is None else f"{blueprint}{endpoint}"
        if _scheme is not None and not _external:
            raise ValueError("When specifying '_scheme', '_external' must be True.")
        if self.url_default_functions:
            self.inject_url_defaults(endpoint, values)
        short = context is not None and not _external and _method is None
        url = self._build_path(context, endpoint, values) if short else None
        if url is None:
            adapter = self._adapter_to_build(bound)
            try:
                url = adapter.build(
                    endpoint, values, method=_method, url_scheme=_scheme, force_external=bool(_external)
                )
            except BuildError as error:
                values.update(_anchor=_anchor, _method=_method, _scheme=_scheme, _external=_external)
                return self.handle_url_build_error(error, endpoint, values)
        if _anchor is not None:
            url = f"{url}#{quote(_anchor, safe=_ALLOWED_IN_ANCHOR)}"
        return url

    def _build_path(self, context: RequestContext, endpoint: str, values: dict[str, Any]) -> str | None:
        """Return the URL in the short way, or None when the map has to build it."""
        builder = self.url_builder()
        if builder is None:
            return None
        path = builder.build(endpoint, values)
        if path is None:
            return None
        mounted = context.environ.get("SCRIPT_NAME")
        if not mounted:
            return f"/{path.lstrip('/')}"
        return f"{context.request.root_path}/{path.lstrip('/')}"

    def _adapter_to_build(self, bound: Any) -> MapAdapter:
        if bound.request_context is not None:
            adapter = bound.request_context.url_adapter
        elif bound.app_context is not None:
            adapter = bound.app_context.url_adapter
        else:
            adapter = self.create_url_adapter(None)
        if adapter is None:
            raise RuntimeError(
                "Unable to build URLs outside an active request"
                " without 'SERVER_NAME' configured. Also configure"
                " 'APPLICATION_ROOT' and 'PREFERRED_URL_SCHEME' as"
                " needed."
            )
        return adapter  # type: ignore[no-any-return]
