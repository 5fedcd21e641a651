"""`SQLALCHEMY_REPLICAS` and what belongs to it: read, checked, and made into engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from .problems import SQLAlchemySettingsError
from .sticky import Stickiness
from .urls import read_url

REPLICAS: Final = "SQLALCHEMY_REPLICAS"
"""The configuration key: a URL, a list of them, or a dict of either by bind key (None for the default)."""

STICKY: Final = "SQLALCHEMY_REPLICAS_STICKY"
"""Seconds that a client who wrote reads from the primary in later requests; 5 by default, 0 for never."""

COOKIE: Final = "SQLALCHEMY_REPLICAS_COOKIE"
"""The name of the cookie by which such a client is known."""

CONNECT_TIMEOUT: Final = 2
"""Seconds that connecting to a replica may take, unless the settings say otherwise: the primary is there to be asked."""

_CONNECT_TIMEOUTS: Final = frozenset({"aiomysql", "asyncmy", "mysqldb", "psycopg", "psycopg2", "pymysql"})
"""Drivers with an argument `connect_timeout`, in seconds."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The arguments of an engine."""

    given: dict[str, Any]
    """As they were configured."""

    completed: dict[str, Any]
    """With the defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSettings:
    """What the configuration says about replicas."""

    replicas: Mapping[str | None, tuple[dict[str, Any], ...]]
    """Bind key -> the arguments of its replicas' engines, each with `url`."""

    stickiness: Stickiness
    """How long a client that wrote reads from the primary."""


def read_replica_settings(
    config: Mapping[str, Any], options: Mapping[str | None, EngineOptions]
) -> ReplicaSettings | None:
    """Return what the configuration says about replicas, or None when there are none.

    :param options: bind key -> the arguments of its engine.
    :raises SQLAlchemySettingsError: for a value of the wrong kind, or a bind key that there is not.
    :raises DatabaseUrlError: for a URL that cannot be read.
    """
    by_key = _by_bind_key(config.get(REPLICAS) or {})
    for key in by_key:
        if key not in options:
            known = ", ".join(map(repr, options))
            raise SQLAlchemySettingsError(
                f"{REPLICAS} has replicas of {key!r}, and there is no such bind key, only {known}."
            )
    found = {key: _read_all(key, value, options[key].given) for key, value in by_key.items() if value}
    if not found:
        return None
    seconds = config.get(STICKY, Stickiness.seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
        raise SQLAlchemySettingsError(f"{STICKY} is a whole number of seconds, 0 for never, not {seconds!r}.")
    stickiness = Stickiness(seconds=seconds, cookie=str(config.get(COOKIE) or Stickiness.cookie))
    return ReplicaSettings(replicas=found, stickiness=stickiness)


def _by_bind_key(value: Any) -> Mapping[str | None, Any]:
    if isinstance(value, Mapping) and "url" not in value:
        return value
    return {None: value}


def _read_all(key: str | None, value: Any, of_primary: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    entries = value if isinstance(value, (list, tuple)) else [value]
    where = REPLICAS if key is None else f"{REPLICAS}[{key!r}]"
    return tuple(_read_one(where, entry, of_primary) for entry in entries)


def _read_one(where: str, entry: Any, of_primary: Mapping[str, Any]) -> dict[str, Any]:
    own = {"url": entry} if isinstance(entry, (str, sa.URL)) else entry
    if not isinstance(own, Mapping) or "url" not in own:
        raise SQLAlchemySettingsError(
            f"{where} is a URL, a dict with a 'url' in it, or a list of these; by bind key in a dict. It is not {entry!r}."
        )
    made = {**of_primary, **own, "url": read_url(own["url"], where)}
    driver = made["url"].get_driver_name()
    if driver in _CONNECT_TIMEOUTS and "connect_timeout" not in made["url"].query:
        made["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT, **made.get("connect_args", {})}
    return made
