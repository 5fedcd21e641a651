"""The names that Flask, Werkzeug, Jinja2, MarkupSafe and ItsDangerous removed and that the alias gives back, as data.

The table of `_internal/deprecations.py` is for what lives in Quaff with or without the alias (`app.env`); this one is for
names of modules. `tests/compat/test_removed.py` runs over all rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from .patching import Removed

_rows: defaultdict[str, dict[str, Removed]] = defaultdict(dict)


def rows_of(module: str) -> Mapping[str, Removed]:
    """Return the removed names of *module*, which is named as it is in `sys.modules`; empty for any other module."""
    return _rows.get(module, {})


def all_rows() -> Mapping[str, Mapping[str, Removed]]:
    """Return all rows: module -> name -> row."""
    return _rows


def _shown(module: str, name: str) -> str:
    package, _, below = module.partition(".")
    return ".".join(filter(None, ("flask" if package == "quaff" else package, below, name)))


def _moved(module: str, removed_in: str, names: str, to: str) -> None:
    """Give back names that exist elsewhere: *names* is "old" or "old=new" words, *to* the module that has them."""
    for word in names.split():
        old, _, new = word.partition("=")
        target = f"{to}:{new or old}"
        _rows[module][old] = Removed(_shown(module, old), removed_in, _shown(to, new or old), target)


def _kept(module: str, removed_in: str, holder: str, **instead: str) -> None:
    """Give back names that Quaff implements in the `compat` module *holder*; the words say what to use now."""
    for name, text in instead.items():
        row = Removed(_shown(module, name), removed_in, text, f"quaff.compat.{holder}:{name}")
        _rows[module][name] = row


# Flask -----------------------------------------------------------------------------------------------------------------

_moved("flask", "Flask 3.0", "Markup escape", to="markupsafe")
_moved("quaff.helpers", "Flask 2.1", "url_quote=quote", to="urllib.parse")
_moved("quaff.helpers", "", "_endpoint_from_view_func find_package", to="quaff.scaffold")
_moved("flask", "Flask 1.0", "Session=SecureCookieSession", to="quaff.sessions")

_CONTEXT: Final = {
    "_request_ctx_stack": "flask.request, or flask.globals.request_ctx for the context itself",
    "_app_ctx_stack": "flask.g to keep data, or flask.globals.app_ctx for the context itself",
}
for _module in (
    "flask",
    "quaff.globals",
    "quaff.ctx",
    "quaff.app",
    "quaff.templating",
    "quaff.testing",
    "quaff.helpers",
):
    _kept(_module, "Flask 3.0", "old_flask", **_CONTEXT)

_SAFE_JOIN: Final = "werkzeug.utils.safe_join, which returns None for an unsafe path"
_kept("flask", "Flask 2.1", "old_flask", safe_join=_SAFE_JOIN)
_kept(
    "quaff.helpers",
    "Flask 2.1",
    "old_flask",
    safe_join=_SAFE_JOIN,
    total_seconds="timedelta.total_seconds()",
)
_kept(
    "quaff.helpers",
    "Flask 3.0",
    "old_flask",
    locked_cached_property="werkzeug.utils.cached_property, with a lock of your own where one is needed",
    is_ip="ipaddress.ip_address()",
)
_kept("quaff.helpers", "Flask 2.3", "old_flask", get_env="app.debug, or a config key of your own")
_kept("quaff.sessions", "Flask 2.1", "old_flask", total_seconds="timedelta.total_seconds()")
_kept("quaff.sessions", "Flask 3.0", "old_flask", is_ip="ipaddress.ip_address()")
_kept(
    "quaff.json",
    "Flask 2.3",
    "old_flask",
    JSONEncoder="a subclass of flask.json.provider.DefaultJSONProvider as app.json_provider_class",
    JSONDecoder="a subclass of flask.json.provider.DefaultJSONProvider as app.json_provider_class",
    htmlsafe_dumps="jinja2.utils.htmlsafe_json_dumps()",
    htmlsafe_dump="jinja2.utils.htmlsafe_json_dumps()",
    tojson_filter="the tojson filter of Jinja2",
)
_moved("quaff.testing", "Flask 2.0", "make_test_environ_builder=EnvironBuilder", to="quaff.testing")
_kept("quaff.views", "Flask 2.2", "old_flask", MethodViewType="flask.views.MethodView, which needs no metaclass")
_kept("flask", "Flask 2.0", "old_flask", json_available="flask.json, which is always there")
_kept("flask", "Flask 3.0", "old_flask", signals_available="the signals, which are always there")

# Werkzeug: names that older releases had at the top ---------------------------------------------------------------------

_moved(
    "werkzeug",
    "Werkzeug 1.0",
    "Accept Authorization CallbackDict CharsetAccept CombinedMultiDict EnvironHeaders ETags FileMultiDict FileStorage "
    "Headers HeaderSet ImmutableDict ImmutableList ImmutableMultiDict ImmutableTypeConversionDict LanguageAccept "
    "MIMEAccept MultiDict RequestCacheControl ResponseCacheControl TypeConversionDict WWWAuthenticate",
    to="werkzeug.datastructures",
)
_moved(
    "werkzeug",
    "Werkzeug 1.0",
    "dump_cookie dump_header dump_options_header generate_etag http_date HTTP_STATUS_CODES is_entity_header "
    "is_hop_by_hop_header is_resource_modified parse_accept_header parse_cache_control_header parse_cookie parse_date "
    "parse_dict_header parse_etags parse_list_header parse_options_header parse_set_header quote_etag "
    "quote_header_value remove_entity_headers remove_hop_by_hop_headers unquote_etag unquote_header_value "
    "cookie_date=http_date",
    to="werkzeug.http",
)
_moved("werkzeug", "Werkzeug 1.0", "Local LocalManager LocalProxy LocalStack release_local", to="werkzeug.local")
_moved("werkzeug", "Werkzeug 1.0", "DebuggedApplication", to="werkzeug.debug")
_moved("werkzeug", "Werkzeug 1.0", "abort Aborter", to="werkzeug.exceptions")
_moved("werkzeug", "Werkzeug 1.0", "parse_form_data", to="werkzeug.formparser")
_moved("werkzeug", "Werkzeug 1.0", "check_password_hash generate_password_hash", to="werkzeug.security")
_moved("werkzeug", "Werkzeug 1.0", "create_environ EnvironBuilder run_wsgi_app", to="werkzeug.test")
_moved("werkzeug", "Werkzeug 1.0", "iri_to_uri uri_to_iri", to="werkzeug.urls")
_moved("werkzeug", "Werkzeug 1.0", "escape", to="markupsafe")
_moved("werkzeug", "Werkzeug 1.0", "UserAgent", to="werkzeug.user_agent")
_moved("werkzeug", "Werkzeug 1.0", "DispatcherMiddleware", to="werkzeug.middleware.dispatcher")
_moved("werkzeug", "Werkzeug 1.0", "SharedDataMiddleware", to="werkzeug.middleware.shared_data")
_moved(
    "werkzeug",
    "Werkzeug 1.0",
    "append_slash_redirect cached_property environ_property find_modules header_property import_string redirect "
    "secure_filename",
    to="werkzeug.utils",
)
_moved(
    "werkzeug",
    "Werkzeug 1.0",
    "ClosingIterator FileWrapper get_current_url get_host LimitedStream responder wrap_file",
    to="werkzeug.wsgi",
)

# Werkzeug: names that went away ------------------------------------------------------------------------------------------

_URLS: Final = {
    "url_decode": "urllib.parse.parse_qsl()",
    "url_encode": "urllib.parse.urlencode()",
    "url_fix": "urllib.parse.quote()",
    "url_quote": "urllib.parse.quote()",
    "url_quote_plus": "urllib.parse.quote_plus()",
    "url_unquote": "urllib.parse.unquote()",
    "url_unquote_plus": "urllib.parse.unquote_plus()",
}
_kept(
    "werkzeug.urls",
    "Werkzeug 3.0",
    "old_urls",
    **_URLS,
    url_decode_stream="urllib.parse.parse_qsl()",
    url_encode_stream="urllib.parse.urlencode()",
    url_join="urllib.parse.urljoin()",
    url_parse="urllib.parse.urlsplit()",
    url_unparse="urllib.parse.urlunsplit()",
    BaseURL="urllib.parse.SplitResult",
    URL="urllib.parse.SplitResult",
    BytesURL="urllib.parse.SplitResultBytes",
)
_kept("werkzeug.urls", "Werkzeug 2.1", "old_urls", Href="urllib.parse.urlencode()")
_kept("werkzeug", "Werkzeug 1.0", "old_urls", **_URLS, Href="urllib.parse.urlencode()")

_kept(
    "werkzeug.security",
    "Werkzeug 2.1",
    "old_werkzeug",
    safe_str_cmp="hmac.compare_digest()",
    pbkdf2_bin="hashlib.pbkdf2_hmac()",
    pbkdf2_hex="hashlib.pbkdf2_hmac()",
)

_UTILS: Final = {
    "format_string": "string.Template",
    "html": "markupsafe.Markup, or a template",
    "xhtml": "markupsafe.Markup, or a template",
    "HTMLBuilder": "markupsafe.Markup, or a template",
}
_kept(
    "werkzeug.utils",
    "Werkzeug 2.1",
    "old_werkzeug",
    **_UTILS,
    invalidate_cached_property="del instance.name",
)
_moved("werkzeug.utils", "Werkzeug 2.1", "unescape", to="html")
_moved("werkzeug", "Werkzeug 1.0", "unescape", to="html")
_kept("werkzeug", "Werkzeug 1.0", "old_werkzeug", **_UTILS)

_moved("werkzeug.http", "Werkzeug 2.1", "cookie_date=http_date", to="werkzeug.http")
_HTTP: Final = {
    "parse_authorization_header": "werkzeug.datastructures.Authorization.from_header()",
    "parse_www_authenticate_header": "werkzeug.datastructures.WWWAuthenticate.from_header()",
}
_kept("werkzeug.http", "Werkzeug 3.0", "old_werkzeug", **_HTTP)
_kept("werkzeug", "Werkzeug 1.0", "old_werkzeug", **_HTTP)

_moved("werkzeug.wsgi", "Werkzeug 1.0", "DispatcherMiddleware", to="werkzeug.middleware.dispatcher")
_moved("werkzeug.wsgi", "Werkzeug 1.0", "SharedDataMiddleware", to="werkzeug.middleware.shared_data")
_moved("werkzeug.wsgi", "Werkzeug 1.0", "ProxyMiddleware", to="werkzeug.middleware.http_proxy")
_PATHS: Final = {
    "peek_path_info": 'environ["PATH_INFO"]',
    "pop_path_info": 'environ["PATH_INFO"]',
}
_kept(
    "werkzeug.wsgi",
    "Werkzeug 2.3",
    "old_werkzeug",
    **_PATHS,
    get_query_string='environ["QUERY_STRING"]',
    get_script_name='environ["SCRIPT_NAME"]',
)
_kept("werkzeug", "Werkzeug 1.0", "old_werkzeug", **_PATHS)
_kept(
    "werkzeug.wsgi",
    "Werkzeug 3.0",
    "old_werkzeug",
    make_line_iter="the stream itself, which iterates over lines",
    make_chunk_iter="the stream's read()",
)
_kept("werkzeug", "Werkzeug 1.0", "old_werkzeug", make_line_iter="the stream itself, which iterates over lines")

_moved("werkzeug.routing", "Werkzeug 2.2", "NumberConverter DEFAULT_CONVERTERS", to="werkzeug.routing.converters")
_kept("werkzeug.routing", "Werkzeug 2.2", "old_werkzeug", parse_rule="the rule's own converters, in Rule._converters")
_moved("werkzeug.serving", "Werkzeug 2.1", "run_with_reloader", to="werkzeug._reloader")
_moved("werkzeug.local", "Werkzeug 2.1", "get_ident", to="threading")

_WRAPPERS: Final = dict.fromkeys(
    "AcceptMixin AuthorizationMixin CommonRequestDescriptorsMixin ETagRequestMixin UserAgentMixin StreamOnlyMixin "
    "CORSRequestMixin BaseRequest PlainRequest".split(),
    "werkzeug.wrappers.Request, which has it all",
) | dict.fromkeys(
    "CommonResponseDescriptorsMixin ETagResponseMixin ResponseStreamMixin WWWAuthenticateMixin CORSResponseMixin "
    "BaseResponse".split(),
    "werkzeug.wrappers.Response, which has it all",
)
_kept("werkzeug.wrappers", "Werkzeug 2.1", "old_wrappers", **_WRAPPERS)
_kept("werkzeug", "Werkzeug 1.0", "old_wrappers", **_WRAPPERS)

# Jinja2, MarkupSafe, ItsDangerous -------------------------------------------------------------------------------------

for _module in ("jinja2", "jinja2.utils"):
    _moved(_module, "Jinja 3.1", "Markup escape", to="markupsafe")
for _module in ("jinja2", "jinja2.filters"):
    _moved(
        _module,
        "Jinja 3.1",
        "contextfilter=pass_context evalcontextfilter=pass_eval_context environmentfilter=pass_environment",
        to="jinja2",
    )
for _module in ("jinja2", "jinja2.utils"):
    _moved(
        _module,
        "Jinja 3.1",
        "contextfunction=pass_context evalcontextfunction=pass_eval_context environmentfunction=pass_environment",
        to="jinja2",
    )
_moved("jinja2.utils", "Jinja 3.1", "unicode_urlencode=url_quote", to="jinja2.utils")
_moved("jinja2.utils", "Jinja 3.0", "soft_unicode=soft_str", to="markupsafe")
_moved("markupsafe", "MarkupSafe 2.1", "soft_unicode=soft_str", to="markupsafe")
_BUILT_IN: Final = "nothing: it is built in since Jinja 2.9, leave the extension out"
_kept(
    "jinja2.ext",
    "Jinja 3.1",
    "old_jinja",
    with_=_BUILT_IN,
    autoescape=_BUILT_IN,
    WithExtension=_BUILT_IN,
    AutoEscapeExtension=_BUILT_IN,
)

_kept(
    "itsdangerous",
    "ItsDangerous 2.1",
    "old_jws",
    JSONWebSignatureSerializer="itsdangerous.URLSafeSerializer, or a library for JWT",
    TimedJSONWebSignatureSerializer="itsdangerous.URLSafeTimedSerializer, or a library for JWT",
)

# Whole modules -----------------------------------------------------------------------------------------------------------


def _gone(removed_in: str, modules: Mapping[str, tuple[str, str]]) -> dict[str, Removed]:
    return {name: Removed(name, removed_in, instead, f"{target}:") for name, (target, instead) in modules.items()}


_WRAPPER_MODULES: Final = "accept auth base_request base_response common_descriptors cors etag json user_agent".split()

GONE: Final[Mapping[str, Removed]] = {
    **_gone("Flask 2.0", {"flask._compat": ("quaff.compat.old_python", "Python 3's own names")}),
    **_gone("Werkzeug 2.0", {"werkzeug._compat": ("quaff.compat.old_python", "Python 3's own names")}),
    **_gone("ItsDangerous 2.1", {"itsdangerous.jws": ("quaff.compat.old_jws", "itsdangerous.URLSafeTimedSerializer")}),
    **_gone("Jinja 3.0", {"jinja2._compat": ("quaff.compat.old_python", "Python 3's own names")}),
    **_gone(
        "Werkzeug 1.0",
        {
            "werkzeug.contrib.atom": ("feedwerk.atom", "the distribution feedwerk"),
            "werkzeug.contrib.cache": ("cachelib", "the distribution cachelib"),
            "werkzeug.contrib.fixers": ("quaff.compat.old_contrib", "werkzeug.middleware.proxy_fix"),
            "werkzeug.contrib.lint": ("werkzeug.middleware.lint", "werkzeug.middleware.lint"),
            "werkzeug.contrib.profiler": ("werkzeug.middleware.profiler", "werkzeug.middleware.profiler"),
            "werkzeug.contrib.securecookie": ("secure_cookie.cookie", "the distribution secure-cookie"),
            "werkzeug.contrib.sessions": ("secure_cookie.session", "the distribution secure-cookie"),
        },
    ),
    **_gone(
        "Werkzeug 2.1",
        {
            **{
                f"werkzeug.wrappers.{name}": ("quaff.compat.old_wrappers", "Request and Response of werkzeug.wrappers")
                for name in _WRAPPER_MODULES
            },
            "werkzeug.useragents": ("werkzeug.user_agent", "werkzeug.user_agent"),
        },
    ),
}
"""Modules that were removed, by name."""
