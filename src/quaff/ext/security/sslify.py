"""Flask-SSLify 0.1.5: its class and its settings, on the code of `SecurityHeaders`."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any, Final

from ...globals import current_context
from ...pipeline.parts import Battery, Part, Target
from ...pipeline.phases import Stage
from .checks import check_flag, check_seconds, check_words
from .headers import HSTS, HeaderSet, hsts_value
from .https import Exemptions
from .parts import Enforcement, hint_at_proxy, make_add_headers, make_guard, trusts_forwarded
from .problems import SecurityOptionError
from .settings import Settings

YEAR_IN_SECS: Final = 31536000


class SSLify(Battery):
    """Redirects to HTTPS and sends `Strict-Transport-Security`; `SecurityHeaders` and `Talisman` do that and more.

    An argument that is given counts more than the app's configuration: `SSLIFY_AGE`, `SSLIFY_SUBDOMAINS`,
    `SSLIFY_PERMANENT` and `SSLIFY_SKIPS`. Attributes that are changed later count from the next request on.

    :param app: an app or a blueprint; without one, call `init_app`.
    :param age: seconds for which browsers use HTTPS only.
    :param subdomains: whether that holds for all subdomains as well.
    :param permanent: redirect with 301 instead of 302.
    :param skips: beginnings of paths, without the first slash, that are left alone.
    :raises ValueError: for a value that cannot be right.
    """

    def __init__(
        self,
        app: Any = None,
        age: int = YEAR_IN_SECS,
        subdomains: bool = False,
        permanent: bool = False,
        skips: Iterable[str] | str | None = None,
    ) -> None:
        self._apps: weakref.WeakKeyDictionary[Any, set[str | None]] = weakref.WeakKeyDictionary()
        self.hsts_age = age
        self.hsts_include_subdomains = subdomains
        self.permanent = permanent
        self.skip_list = skips
        self._settings({})
        if app is not None:
            self.init_app(app)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        for app in list(self._apps):
            app._revision.bump()

    def init_app(self, app: Any) -> None:
        """Take part in an app, or in the routes of a blueprint."""
        if hasattr(app, "add_battery"):
            self._attach(app, None)
        else:
            app.record(lambda state: self._attach(state.app, f"{state.name_prefix}.{state.name}".lstrip(".")))

    @property
    def hsts_header(self) -> str:
        """The value of `Strict-Transport-Security`, with the configuration of the current app, if there is one."""
        bound: Any = current_context.get().app_context
        return hsts_value(self._settings({} if bound is None else bound.app.config)[0])

    def parts_for(self, target: Target) -> Iterable[Part]:
        """Return the guard and the header of a route; what `Battery` asks for."""
        app = target.app
        names = self._apps.get(app, set())
        if not names & {None, *target.blueprints}:
            return ()
        settings, skips = self._settings(app.config)
        trusting = trusts_forwarded(app.config)
        headers = HeaderSet(constant=(), secure=((HSTS, hsts_value(settings)),), made=(), problems=())
        add_headers = make_add_headers(headers, trusting=trusting, exempt=skips)
        enforcement = Enforcement(
            permanent=settings.force_https_permanent,
            keep_method=False,
            code=None,
            host=None,
            exempt=skips,
            hint=hint_at_proxy,
        )
        guard = make_guard(None if app.debug else enforcement, trusting=trusting, has_nonce=False)
        return (
            Part(stage=Stage.HTTPS, guard=guard),
            Part(stage=Stage.HEADERS, add_headers=add_headers),
        )

    def _attach(self, app: Any, blueprint: str | None) -> None:
        self._settings(app.config)
        self._apps.setdefault(app, set()).add(blueprint)
        app.add_battery(self)
        app._revision.bump()

    def _settings(self, config: Any) -> tuple[Settings, Exemptions]:
        age = config.get("SSLIFY_AGE", self.hsts_age) if self.hsts_age == YEAR_IN_SECS else self.hsts_age
        settings = Settings(
            strict_transport_security_max_age=check_seconds("SSLIFY_AGE", age),
            strict_transport_security_include_subdomains=check_flag(
                "SSLIFY_SUBDOMAINS", self.hsts_include_subdomains or config.get("SSLIFY_SUBDOMAINS")
            ),
            force_https_permanent=check_flag("SSLIFY_PERMANENT", self.permanent or config.get("SSLIFY_PERMANENT")),
        )
        skips = check_words(None, "SSLIFY_SKIPS", self.skip_list or config.get("SSLIFY_SKIPS"))
        if not all(skip.lstrip("/") for skip in skips):
            raise SecurityOptionError(
                "SSLIFY_SKIPS holds an empty path, which every path begins with: name what is left alone."
            )
        # COMPAT: a beginning of a path, not a whole segment: 'health' is for '/healthz', too.
        return settings, Exemptions(prefixes=tuple(f"/{skip.lstrip('/')}" for skip in skips))
