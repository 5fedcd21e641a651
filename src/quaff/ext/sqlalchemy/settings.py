"""The settings of an app's databases: Flask-SQLAlchemy's configuration keys, older ones, and a few of our own.

They are read by `init_app`, as in Flask-SQLAlchemy: the engines exist from then on.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from .problems import SQLAlchemySettingsError
from .urls import read_url

URI: Final = "SQLALCHEMY_DATABASE_URI"
BINDS: Final = "SQLALCHEMY_BINDS"

DEFAULTS: Final[Mapping[str, Any]] = {
    URI: None,
    "SQLALCHEMY_ENGINE_OPTIONS": {},
    "SQLALCHEMY_ECHO": False,
    BINDS: {},
    "SQLALCHEMY_RECORD_QUERIES": False,
    "SQLALCHEMY_TRACK_MODIFICATIONS": False,
}
"""Flask-SQLAlchemy's keys, and what they are when nobody sets them."""

OWN_KEYS: Final = frozenset(
    {
        "SQLALCHEMY_ASYNC_ENGINE_OPTIONS",
        "SQLALCHEMY_CONFLICT_AS_409",
        "SQLALCHEMY_N_PLUS_ONE",
        "SQLALCHEMY_N_PLUS_ONE_THRESHOLD",
        "SQLALCHEMY_REPLICAS",
        "SQLALCHEMY_REPLICAS_COOKIE",
        "SQLALCHEMY_REPLICAS_STICKY",
        "SQLALCHEMY_RETRY_AFTER",
        "SQLALCHEMY_RETRY_READS",
        "SQLALCHEMY_UNAVAILABLE_AS_503",
    }
)
"""The keys that are Quaff's own; the modules that they are for read them."""

OLD_OPTIONS: Final[Mapping[str, str]] = {
    "SQLALCHEMY_MAX_OVERFLOW": "max_overflow",
    "SQLALCHEMY_POOL_RECYCLE": "pool_recycle",
    "SQLALCHEMY_POOL_SIZE": "pool_size",
    "SQLALCHEMY_POOL_TIMEOUT": "pool_timeout",
}
"""COMPAT: a key of Flask-SQLAlchemy 2 -> the argument of `create_engine` that it stood for."""

COMMIT_ON_TEARDOWN: Final = "SQLALCHEMY_COMMIT_ON_TEARDOWN"
NATIVE_UNICODE: Final = "SQLALCHEMY_NATIVE_UNICODE"

_OLD: Final = (*OLD_OPTIONS, COMMIT_ON_TEARDOWN, NATIVE_UNICODE)
_KNOWN: Final = (*DEFAULTS, *OWN_KEYS, *_OLD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an app's configuration says about its databases, checked."""

    engine_options: Mapping[str | None, dict[str, Any]]
    """Bind key, None for the default -> the arguments of its engine, with `url`."""

    record_queries: bool
    """Whether `get_recorded_queries` has something to return."""

    track_modifications: bool
    """Whether commits are signalled."""

    commit_on_teardown: bool
    """COMPAT: whether a session is committed when its context ends without an error."""


def read_settings(config: dict[str, Any], engine_options: Mapping[str, Any], *, stacklevel: int = 1) -> Settings:
    """Return the settings of an app, and put the defaults into its configuration.

    :param config: the app's configuration.
    :param engine_options: what `SQLAlchemy` was given for all engines.
    :param stacklevel: how far out the caller is that warnings are shown for.
    :raises SQLAlchemySettingsError: when there is no URL, or a value of the wrong kind.
    :raises sqlalchemy.exc.ArgumentError: for a URL that cannot be read.
    """
    for key, default in DEFAULTS.items():
        config.setdefault(key, type(default)(default) if isinstance(default, dict) else default)
    options = _bind_options(config, engine_options)
    default_options = {**engine_options, **_old_options(config), **_mapping(config, "SQLALCHEMY_ENGINE_OPTIONS")}
    if config[URI] is not None:
        default_options["url"] = config[URI]
    if "url" in default_options:
        options[None] = {**options.get(None, {}), **default_options}
    if not options:
        raise _no_url(config)
    for bind_key, arguments in options.items():
        where = URI if bind_key is None else f"{BINDS}[{bind_key!r}]"
        if "url" not in arguments:
            raise SQLAlchemySettingsError(f"{where} is a URL, or a dict with a 'url' in it.")
        arguments["url"] = read_url(arguments["url"], where)
        arguments.setdefault("echo", config["SQLALCHEMY_ECHO"])
        arguments.setdefault("echo_pool", config["SQLALCHEMY_ECHO"])
    _warn(config, stacklevel + 1)
    return Settings(
        engine_options=options,
        record_queries=bool(config["SQLALCHEMY_RECORD_QUERIES"]),
        track_modifications=bool(config["SQLALCHEMY_TRACK_MODIFICATIONS"]),
        commit_on_teardown=bool(config.get(COMMIT_ON_TEARDOWN)),
    )


def _mapping(config: Mapping[str, Any], key: str) -> Mapping[Any, Any]:
    value = config[key]
    if not isinstance(value, Mapping):
        raise SQLAlchemySettingsError(f"{key} is a dict, not {value!r}.")
    return value


def _bind_options(config: Mapping[str, Any], engine_options: Mapping[str, Any]) -> dict[str | None, dict[str, Any]]:
    options: dict[str | None, dict[str, Any]] = {}
    for key, value in _mapping(config, BINDS).items():
        given = {"url": value} if isinstance(value, (str, sa.URL)) else value
        if not isinstance(given, Mapping):
            raise SQLAlchemySettingsError(f"{BINDS}[{key!r}] is a URL, or a dict with a 'url' in it, not {value!r}.")
        options[key] = {**engine_options, **given}
    return options


def _old_options(config: Mapping[str, Any]) -> dict[str, Any]:
    return {option: config[key] for key, option in OLD_OPTIONS.items() if config.get(key) is not None}


def _no_url(config: Mapping[str, Any]) -> SQLAlchemySettingsError:
    error = SQLAlchemySettingsError(f"Either '{URI}' or '{BINDS}' must be set.")
    close = [key for key in difflib.get_close_matches(URI, config, n=1, cutoff=0.8) if key != URI]
    close += [key for key in ("DATABASE_URL", "DATABASE_URI", "SQLALCHEMY_DATABASE_URL") if config.get(key)]
    if close:
        error.add_note(f"The configuration has {close[0]!r}: is it called {URI!r}?")
    else:
        error.add_note(
            f"Set it before: app.config[{URI!r}] = 'sqlite:///app.db', and then db = SQLAlchemy(app) or db.init_app(app)."
        )
    return error


def _warn(config: Mapping[str, Any], stacklevel: int) -> None:
    for key in _OLD:
        if config.get(key) is not None:
            warnings.warn(f"{key} {_advice(key)}", DeprecationWarning, stacklevel=stacklevel + 1)
    for key in config:
        if key.startswith("SQLALCHEMY_") and key not in _KNOWN:
            close = difflib.get_close_matches(key, _KNOWN, n=1, cutoff=0.85)
            if close:
                warnings.warn(
                    f"{key} is not a configuration key. Did you mean {close[0]}?",
                    UserWarning,
                    stacklevel=stacklevel + 1,
                )


def _advice(key: str) -> str:
    if key in OLD_OPTIONS:
        return f"is deprecated. Write SQLALCHEMY_ENGINE_OPTIONS = {{{OLD_OPTIONS[key]!r}: ...}}."
    if key == COMMIT_ON_TEARDOWN:
        return "is deprecated: what a request has half done is committed as well. Call db.session.commit() where it is done."
    return "is without effect: text is Unicode."
