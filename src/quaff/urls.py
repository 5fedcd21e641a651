"""How the app builds URLs, and what it needs of a request's host for that."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from werkzeug.routing import BuildError, MapAdapter
from werkzeug.wsgi import get_host

from .appbase import AppBase
from .ctx import RequestContext
from .globals import current_context
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
        request.__dict__["host"] = get_host(request.environ, request.trusted_hosts)
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
        context = bound if type(bound) is RequestContext else bound.request_context
        if context is not None and _external is None and _scheme is None and _method is None and _anchor is None:
            # PERF: a path for this site is what nearly every call asks for.
            builder = self.url_builder()
            path = builder.build(endpoint, values)
            if path is not None:
                return path if not context.environ.get("SCRIPT_NAME") else f"{context.request.root_path}{path}"
        return self._build_url(bound, endpoint, values, _anchor, _method, _scheme, _external)

    def _build_url(
        self,
        bound: Any,
        endpoint: str,
        values: dict[str, Any],
        _anchor: str | None,
        _method: str | None,
        _scheme: str | None,
        _external: bool | None,
    ) -> str:
        """Build a URL through Werkzeug's adapter."""
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
        adapter = self._adapter_to_build(bound)
        try:
            url = adapter.build(endpoint, values, method=_method, url_scheme=_scheme, force_external=bool(_external))
        except BuildError as error:
            values.update(_anchor=_anchor, _method=_method, _scheme=_scheme, _external=_external)
            return self.handle_url_build_error(error, endpoint, values)
        if _anchor is not None:
            url = f"{url}#{quote(_anchor, safe=_ALLOWED_IN_ANCHOR)}"
        return url

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
