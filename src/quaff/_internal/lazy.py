"""The one list of references from lower layers to higher ones.

Layers import downwards only. Where a lower layer must hand out something that lives above it (an app its test client, a
scaffold its command group), it names it here. Each reference is imported when it is first used, which also keeps
Jinja2, Click, the servers and the test client out of `import quaff`.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

REFERENCES: dict[str, str] = {
    "AppGroup": "quaff.cli:AppGroup",
    "DispatchingJinjaLoader": "quaff.templating:DispatchingJinjaLoader",
    "AsyncClient": "quaff.testing.async_client:AsyncClient",
    "Environment": "quaff.templating:Environment",
    "FlaskCliRunner": "quaff.testing:FlaskCliRunner",
    "FlaskClient": "quaff.testing:FlaskClient",
    "FormDataRoutingRedirect": "quaff.debughelpers:FormDataRoutingRedirect",
    "Quaff": "quaff.app:Quaff",
    "TestEnvironBuilder": "quaff.testing:EnvironBuilder",
    "websocket_scope": "quaff.testing.async_client:websocket_scope",
    "build_rsgi": "quaff.servers.rsgi:build_rsgi",
    "serve_asgi": "quaff.servers.asgi:serve_asgi",
    "WebSocketSession": "quaff.testing.websocket:WebSocketSession",
    "attach_enctype_error_multidict": "quaff.debughelpers:attach_enctype_error_multidict",
    "cli main": "quaff.cli:main",
    "flask_alias_installed": "quaff.compat:flask_alias_installed",
    "install_as_flask": "quaff.compat:install_as_flask",
    "uninstall_flask_alias": "quaff.compat:uninstall_flask_alias",
    "mounted_lifespan": "quaff.servers.mounted:mounted_lifespan",
    "serve_mounted_over_wsgi": "quaff.servers.mounted:serve_mounted_over_wsgi",
    "load_dotenv": "quaff.cli:load_dotenv",
    "run_development": "quaff.servers:run_development",
}
"""Key -> `module:attribute`. `tests/contracts/test_layers.py` resolves each of them."""


@cache
def resolve(key: str) -> Any:  # Any: each reference has its own type
    """Return the object behind a reference of `REFERENCES`, importing its module on first use.

    :raises KeyError: for a key that is not listed.
    """
    module, _, attribute = REFERENCES[key].partition(":")
    return getattr(importlib.import_module(module), attribute)
