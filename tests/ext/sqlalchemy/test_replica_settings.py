"""`SQLALCHEMY_REPLICAS` is understood in each form, and what cannot be right is said with the key that it stands under."""

from __future__ import annotations

from typing import Any

import pytest

from quaff.ext.sqlalchemy.problems import DatabaseUrlError, SQLAlchemySettingsError
from quaff.ext.sqlalchemy.replica_settings import EngineOptions, read_replica_settings
from quaff.ext.sqlalchemy.urls import read_url


def read(value: Any, **config: Any) -> Any:
    """Return the settings of an app with a default database and one called `logs`."""
    options: dict[str | None, EngineOptions] = {}
    for key, url in ((None, "postgresql+psycopg://primary/app"), ("logs", "sqlite:///logs.db")):
        given = {"url": read_url(url, "URI"), "pool_size": 7}
        options[key] = EngineOptions(given, dict(given))
    return read_replica_settings({"SQLALCHEMY_REPLICAS": value, **config}, options)


def urls(value: Any) -> dict[str | None, list[str]]:
    """Return bind key -> URLs."""
    return {key: [str(options["url"]) for options in found] for key, found in read(value).replicas.items()}


@pytest.mark.parametrize("value", [None, {}, [], "", {"logs": []}])
def test_none(value: Any) -> None:
    """Nothing, in each form."""
    assert read(value) is None


def test_forms() -> None:
    """One, several, with arguments, and by bind key."""
    one = "sqlite:///one.db"
    assert urls(one) == {None: [one]}
    assert urls([one, "sqlite:///two.db"]) == {None: [one, "sqlite:///two.db"]}
    assert urls({"url": one, "pool_size": 3}) == {None: [one]}
    assert urls({None: [one, {"url": "sqlite:///two.db"}], "logs": one}) == {
        None: [one, "sqlite:///two.db"],
        "logs": [one],
    }


def test_arguments_are_the_primarys_and_its_own() -> None:
    """What a replica does not say itself is as with its primary."""
    (options,) = read({"url": "sqlite:///one.db", "echo": True}).replicas[None]
    assert options["pool_size"] == 7
    assert options["echo"] is True


def test_a_replica_of_a_server_is_not_waited_for_long() -> None:
    """Two seconds, unless the settings say otherwise."""
    (options,) = read("postgresql+psycopg://replica/app").replicas[None]
    assert options["connect_args"] == {"connect_timeout": 2}
    (options,) = read({"url": "postgresql+psycopg://replica/app", "connect_args": {"connect_timeout": 9}}).replicas[
        None
    ]
    assert options["connect_args"] == {"connect_timeout": 9}
    (options,) = read("postgresql+psycopg://replica/app?connect_timeout=8").replicas[None]
    assert "connect_args" not in options


def test_stickiness() -> None:
    """Five seconds by default."""
    assert read("sqlite:///one.db").stickiness.seconds == 5
    assert read("sqlite:///one.db", SQLALCHEMY_REPLICAS_STICKY=0).stickiness.seconds == 0
    assert read("sqlite:///one.db", SQLALCHEMY_REPLICAS_COOKIE="wrote").stickiness.cookie == "wrote"


@pytest.mark.parametrize(
    "value, message",
    [
        (7, r"SQLALCHEMY_REPLICAS is a URL, a dict .* It is not 7"),
        ({"logs": [7]}, r"SQLALCHEMY_REPLICAS\['logs'\] is a URL"),
        ({"other": "sqlite://"}, r"replicas of 'other', and there is no such bind key, only None, 'logs'\."),
    ],
)
def test_what_cannot_be_right(value: Any, message: str) -> None:
    """It is said when the app is set up."""
    with pytest.raises(SQLAlchemySettingsError, match=message):
        read(value)


def test_a_url_that_cannot_be_read() -> None:
    """The message names this key, not that of the primary."""
    with pytest.raises(DatabaseUrlError, match=r"^SQLALCHEMY_REPLICAS cannot be read"):
        read("nonsense")


@pytest.mark.parametrize("value", [-1, 1.5, "5", True])
def test_a_time_that_is_none(value: Any) -> None:
    """Whole seconds."""
    with pytest.raises(SQLAlchemySettingsError, match="SQLALCHEMY_REPLICAS_STICKY is a whole number of seconds"):
        read("sqlite:///one.db", SQLALCHEMY_REPLICAS_STICKY=value)
