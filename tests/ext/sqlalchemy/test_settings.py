"""The settings: keys, their order, and what is wrong with them."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import sqlalchemy as sa

from quaff.ext.sqlalchemy.problems import DatabaseUrlError, SQLAlchemySettingsError
from quaff.ext.sqlalchemy.settings import DEFAULTS, OLD_OPTIONS, Settings, read_settings

URI = "SQLALCHEMY_DATABASE_URI"


def read(config: dict[str, Any], **engine_options: Any) -> Settings:
    """Return the settings that a configuration makes."""
    return read_settings(config, engine_options)


def options(config: dict[str, Any], key: str | None = None, **engine_options: Any) -> dict[str, Any]:
    """Return the arguments of one engine."""
    return read(config, **engine_options).engine_options[key]


def test_defaults_are_put_into_the_config() -> None:
    """Programs find each key of Flask-SQLAlchemy, and no two apps share a dict."""
    config: dict[str, Any] = {URI: "sqlite://"}
    made = read(config)
    assert config == {**DEFAULTS, URI: "sqlite://"}
    assert config["SQLALCHEMY_BINDS"] is not DEFAULTS["SQLALCHEMY_BINDS"]
    assert (made.record_queries, made.track_modifications, made.commit_on_teardown) == (False, False, False)
    assert made.engine_options == {None: {"url": sa.make_url("sqlite://"), "echo": False, "echo_pool": False}}


def test_which_option_wins() -> None:
    """The URL wins over ENGINE_OPTIONS, these over the older keys, and those over what the class was given."""
    config = {URI: "sqlite://", "SQLALCHEMY_ENGINE_OPTIONS": {"pool_size": 3, "url": "sqlite:///no"}}
    made = options(config, pool_size=1, max_overflow=1)
    assert (made["pool_size"], made["max_overflow"], str(made["url"])) == (3, 1, "sqlite://")


def test_binds() -> None:
    """A bind is a URL or a dict; the options of the class are for it, those of the configuration are not."""
    config = {
        "SQLALCHEMY_BINDS": {"a": "sqlite:///a", "b": {"url": sa.URL.create("sqlite"), "echo": True}},
        "SQLALCHEMY_ENGINE_OPTIONS": {"max_overflow": 9},
        "SQLALCHEMY_ECHO": "debug",
    }
    made = read(config, pool_size=1).engine_options
    assert set(made) == {"a", "b"}
    assert made["a"] == {"url": sa.make_url("sqlite:///a"), "pool_size": 1, "echo": "debug", "echo_pool": "debug"}
    assert made["b"]["echo"] is True


def test_a_default_bind_in_binds() -> None:
    """The key None in BINDS is the default one; the configuration's own is added to it."""
    made = options({"SQLALCHEMY_BINDS": {None: {"url": "sqlite://", "pool_size": 2}}})
    assert made["pool_size"] == 2
    made = options({URI: "sqlite:///x", "SQLALCHEMY_BINDS": {None: {"url": "sqlite://", "pool_size": 2}}})
    assert (made["pool_size"], made["url"].database) == (2, "x")


@pytest.mark.parametrize(
    "config,note",
    [
        ({}, "Set it before: app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///app.db'"),
        ({"SQLALCHEMY_DATABASE_URL": "x"}, "The configuration has 'SQLALCHEMY_DATABASE_URL': is it called"),
        ({"DATABASE_URL": "x"}, "The configuration has 'DATABASE_URL': is it called"),
    ],
)
def test_no_url(config: dict[str, Any], note: str) -> None:
    """Flask-SQLAlchemy's message, and a note about what to do or which key was probably meant."""
    with pytest.raises(SQLAlchemySettingsError) as info:
        read(config)
    assert str(info.value) == "Either 'SQLALCHEMY_DATABASE_URI' or 'SQLALCHEMY_BINDS' must be set."
    assert info.value.__notes__[0].startswith(note)


@pytest.mark.parametrize(
    "config,message",
    [
        ({"SQLALCHEMY_BINDS": ["sqlite://"]}, "SQLALCHEMY_BINDS is a dict, not"),
        ({"SQLALCHEMY_BINDS": {"a": 1}}, r"SQLALCHEMY_BINDS\['a'\] is a URL, or a dict with a 'url' in it, not 1"),
        ({"SQLALCHEMY_BINDS": {"a": {"echo": 1}}}, r"SQLALCHEMY_BINDS\['a'\] is a URL, or a dict with a 'url' in it"),
        ({URI: "sqlite://", "SQLALCHEMY_ENGINE_OPTIONS": "x"}, "SQLALCHEMY_ENGINE_OPTIONS is a dict, not 'x'"),
    ],
)
def test_values_that_cannot_be_right(config: dict[str, Any], message: str) -> None:
    """A value of the wrong kind is refused by its key."""
    with pytest.raises(SQLAlchemySettingsError, match=message):
        read(config)


def test_a_malformed_url_of_a_bind() -> None:
    """The message names the bind."""
    with pytest.raises(DatabaseUrlError, match=r"^SQLALCHEMY_BINDS\['a'\] cannot be read as the URL of a database"):
        read({"SQLALCHEMY_BINDS": {"a": "nothing"}})


@pytest.mark.parametrize("key", OLD_OPTIONS)
def test_old_keys(key: str) -> None:
    """An older key still counts, with a warning that shows what to write."""
    with pytest.warns(DeprecationWarning, match=f"{key} is deprecated. Write SQLALCHEMY_ENGINE_OPTIONS") as caught:
        assert options({URI: "sqlite://", key: 7})[OLD_OPTIONS[key]] == 7
    assert caught[0].filename == __file__


def test_old_keys_that_do_nothing() -> None:
    """NATIVE_UNICODE is without effect, None is as good as not set, and COMMIT_ON_TEARDOWN is kept."""
    with pytest.warns(DeprecationWarning, match="SQLALCHEMY_NATIVE_UNICODE is without effect"):
        read({URI: "sqlite://", "SQLALCHEMY_NATIVE_UNICODE": True})
    with pytest.warns(DeprecationWarning, match="db.session.commit"):
        assert read({URI: "sqlite://", "SQLALCHEMY_COMMIT_ON_TEARDOWN": True}).commit_on_teardown
    assert "pool_size" not in options({URI: "sqlite://", "SQLALCHEMY_POOL_SIZE": None})


def test_misspelt_keys() -> None:
    """A key that looks like one of these is asked about; one of the program's own is left alone."""
    with pytest.warns(UserWarning, match="SQLALCHEMY_ENGINE_OPTION is not .* Did you mean SQLALCHEMY_ENGINE_OPTIONS"):
        read({URI: "sqlite://", "SQLALCHEMY_ENGINE_OPTION": {}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read({URI: "sqlite://", "SQLALCHEMY_FANCY": 1, "SQLALCHEMY_REPLICAS": []})
