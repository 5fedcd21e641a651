"""Which module stands behind which name, as data.

A battery that takes the place of an extension has its rows here. With `QUAFF_BATTERIES=0` in the environment the
extensions stay what they are, and only Flask itself is replaced.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

FLASK_VERSION: Final = "3.1.3"
"""The Flask whose API Quaff has: what `importlib.metadata.version("flask")` answers under the alias."""

PUBLIC_NAMES: Final = (
    "Blueprint Config Flask Request Response abort after_this_request appcontext_popped appcontext_pushed "
    "appcontext_tearing_down before_render_template copy_current_request_context current_app flash g "
    "get_flashed_messages get_template_attribute got_request_exception has_app_context has_request_context json jsonify "
    "make_response message_flashed redirect render_template render_template_string request request_finished "
    "request_started request_tearing_down send_file send_from_directory session stream_template stream_template_string "
    "stream_with_context template_rendered url_for"
).split()
"""What `from flask import *` gives."""

MODULES: Final[dict[str, str]] = {
    "flask.app": "quaff.app",
    "flask.blueprints": "quaff.blueprints",
    "flask.cli": "quaff.cli",
    "flask.config": "quaff.config",
    "flask.ctx": "quaff.ctx",
    "flask.debughelpers": "quaff.debughelpers",
    "flask.globals": "quaff.globals",
    "flask.helpers": "quaff.helpers",
    "flask.json": "quaff.json",
    "flask.logging": "quaff.logging",
    "flask.sansio.app": "quaff.appbase",
    "flask.sansio.blueprints": "quaff.blueprints",
    "flask.sansio.scaffold": "quaff.scaffold",
    # COMPAT: moved to flask.sansio in Flask 2.3; extensions still try the old place first.
    "flask.scaffold": "quaff.scaffold",
    "flask.sessions": "quaff.sessions",
    "flask.signals": "quaff.signals",
    "flask.templating": "quaff.templating",
    "flask.testing": "quaff.testing",
    "flask.typing": "quaff.typing",
    "flask.views": "quaff.views",
    "flask.wrappers": "quaff.wrappers",
}
"""Name -> the module that it is. Submodules follow: `flask.json.tag` is `quaff.json.tag`."""

BATTERIES: Final[dict[str, str]] = {
    "flask_caching": "quaff.ext.caching",
    "flask_compress": "quaff.ext.compress",
    "flask_compress.flask_compress": "quaff.ext.compress.extension",
    "flask_cors": "quaff.ext.cors",
    "flask_limiter": "quaff.ext.limiter",
    "flask_migrate": "quaff.ext.migrate",
    "flask_sslify": "quaff.ext.security.sslify",
    "flask_sqlalchemy": "quaff.ext.sqlalchemy",
    "flask_talisman": "quaff.ext.security.talisman",
    "flask_talisman.talisman": "quaff.ext.security.talisman",
}
"""Extension -> the battery that takes its place. Submodules follow: `flask_cors.core` is `quaff.ext.cors.core`."""

BATTERY_ROOTS: Final = frozenset(name for name in BATTERIES if "." not in name)
"""The packages that batteries take the place of."""

VERSIONS: Final[dict[str, str]] = {
    "flask": FLASK_VERSION,
    "flask-caching": "2.5.1",
    "flask-compress": "1.25",
    "flask-cors": "6.0.5",
    "flask-limiter": "4.1.1",
    "flask-migrate": "4.1.0",
    "flask-sqlalchemy": "3.1.1",
    "flask-sslify": "0.1.5",
    "flask-talisman": "1.1.0",
}
"""Distribution -> the version whose API Quaff has, for `importlib.metadata`."""

NAMESPACES: Final = frozenset({"flask.sansio", "flask.ext", "werkzeug.contrib"})
"""Packages that have no counterpart and nothing in them but their submodules."""


def real_name(name: str) -> str | None:
    """Return the name of the module behind alias *name*, or None when there is no such alias.

    >>> real_name("flask.json.tag"), real_name("flask.sansio.app"), real_name("flask.nothing")
    ('quaff.json.tag', 'quaff.appbase', None)
    """
    parent, rest = name, ""
    while parent:
        target = MODULES.get(parent) or BATTERIES.get(parent)
        if target is not None:
            return target + rest
        parent, dot, child = parent.rpartition(".")
        rest = dot + child + rest
    return None
