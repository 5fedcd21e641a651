"""The class `CORS`: cross-origin resource sharing for an app or a blueprint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from .choice import AppCors
from .settings import CorsOptions, check_options
from .table import Entry

if TYPE_CHECKING:
    from ...app import Quaff
    from ...blueprints import Blueprint, BlueprintSetupState


class CORS:
    """Let pages of other sites use an app, or the views of a blueprint.

    ::

        CORS(app, origins=["https://shop.example.com", "https://*.partner.example"])

        cors = CORS(resources={"/api/*": {"origins": "https://shop.example.com"}})
        cors.init_app(app)

    Options come from the dict of the resource, else from the keyword arguments, else from `CORS_*` in the app's
    configuration, else from the defaults. Of several resources that a path is within, the most specific one decides. A
    blueprint's come before the app's, and a view's own `cross_origin` before both.

    Beside the options of `quaff.ext.cors.settings.CorsSettings` there is `resources`: a path (`/api/*`), a list of paths, or
    a dict of paths and options; by default `/*`. Behaves as Flask-CORS 6.0.5, but for what the documentation lists.

    :param app: the app or blueprint; without it, `init_app` is called later.
    :param options: the options.
    :raises CorsOptionError: a `ValueError`, when an option has a value that cannot be right.
    """

    def __init__(self, app: Quaff | Blueprint | None = None, **options: Unpack[CorsOptions]) -> None:
        self._options: Mapping[str, Any] = dict(options)
        if app is not None:
            self.init_app(app)
        elif options:
            check_options(self._options)

    def init_app(self, app: Quaff | Blueprint, **options: Unpack[CorsOptions]) -> None:
        """Let pages of other sites use *app*, an app or a blueprint.

        A blueprint takes the configuration of the app that it is registered on. One object may serve several apps.

        :param options: win over those given to the class.
        :raises CorsOptionError: a `ValueError`, when an option has a value that cannot be right.
        """
        given = (self._options, dict(options))
        config = getattr(app, "config", None)
        check_options({**self._options, **options}, None if config is None else config.get("COMPAT", ()))
        if config is None:
            # A blueprint knows no app until it is registered.
            app.record(lambda state: _add_blueprint(state, given))  # type: ignore[union-attr]  # apps have a config
        else:
            AppCors.of(app).add(Entry(None, given))


def _add_blueprint(state: BlueprintSetupState, given: tuple[Mapping[str, Any], ...]) -> None:
    name = f"{state.name_prefix}.{state.name}".lstrip(".")
    AppCors.of(state.app).add(Entry(name, given))
