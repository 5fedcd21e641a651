"""Names of the app that Flask removed."""

from __future__ import annotations

import inspect
import json
import warnings
from datetime import timedelta
from typing import Any

import pytest

from quaff import Blueprint, Quaff, request
from quaff._internal.deprecations import OLD
from quaff.oldnames import OldAppNames

CONFIG_KEYS = {
    "session_cookie_name": ("SESSION_COOKIE_NAME", "session", "sid"),
    "send_file_max_age_default": ("SEND_FILE_MAX_AGE_DEFAULT", None, timedelta(hours=1)),
    "use_x_sendfile": ("USE_X_SENDFILE", False, True),
    "propagate_exceptions": ("PROPAGATE_EXCEPTIONS", None, True),
    "templates_auto_reload": ("TEMPLATES_AUTO_RELOAD", None, False),
}


def use_all_names() -> dict[str, Any]:
    """Return, for each removed name, a function that uses it."""
    app, blueprint = Quaff("shop"), Blueprint("b", "shop")
    uses: dict[str, Any] = {
        "app.before_first_request": lambda: app.before_first_request(lambda: None),
        "Blueprint.before_app_first_request": lambda: blueprint.before_app_first_request(lambda: None),
        "app.env": lambda: app.env,
        "app.got_first_request": lambda: app.got_first_request,
        "app.json_encoder": lambda: app.json_encoder,
        "app.json_decoder": lambda: app.json_decoder,
    }
    uses.update({f"app.{name}": lambda name=name: getattr(app, name) for name in CONFIG_KEYS})
    return uses


USES = use_all_names()


@pytest.mark.parametrize("name", USES)
def test_each_use_warns_once_at_the_users_line(name: str) -> None:
    """One use is one deprecation warning, which names the thing, when it went and what to do, at the line of the use."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        USES[name]()
    assert len(caught) == 1
    assert caught[0].category is DeprecationWarning
    assert caught[0].filename == __file__
    row = OLD[name]
    assert str(caught[0].message) == (
        f"{name!r} was removed in {row.removed_in} and works in Quaff for old code only: {row.instead}."
    )


@pytest.mark.parametrize("name", USES)
def test_one_place_warns_once(name: str) -> None:
    """Under Python's default filter a line in a loop warns on its first run only."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            USES[name]()
    assert len(caught) == 1


def test_no_old_name_is_untested() -> None:
    """Every attribute of the mixin has a row in the table and a use above."""
    names = {f"app.{name}" for name in vars(OldAppNames) if not name.startswith("_")}
    assert names <= set(OLD)
    assert names <= set(USES)


@pytest.mark.parametrize("name", CONFIG_KEYS)
def test_config_attributes(name: str) -> None:
    """The attribute reads and writes the config key, in both directions."""
    key, default, other = CONFIG_KEYS[name]
    app = Quaff("shop")
    with pytest.deprecated_call():
        assert getattr(app, name) == default
    app.config[key] = other
    with pytest.deprecated_call():
        assert getattr(app, name) == other
    with pytest.deprecated_call():
        setattr(app, name, default)
    assert app.config[key] == default


@pytest.mark.parametrize("name", CONFIG_KEYS)
def test_looking_at_the_class_does_not_warn(name: str) -> None:
    """Tools that walk over the class's attributes get the descriptor and no warning."""
    assert inspect.isdatadescriptor(getattr(Quaff, name))


@pytest.mark.parametrize(
    "config, expected",
    [
        ({"DEBUG": False}, "production"),
        ({"DEBUG": True}, "development"),
        ({"ENV": "staging", "DEBUG": True}, "staging"),
    ],
)
def test_env(config: dict[str, Any], expected: str) -> None:
    """`app.env` follows the debug flag unless the config says otherwise."""
    app = Quaff("shop")
    app.config.update(config)
    with pytest.deprecated_call():
        assert app.env == expected


def test_env_can_be_set() -> None:
    """Setting `app.env` writes the config key ENV."""
    app = Quaff("shop")
    with pytest.deprecated_call():
        app.env = "staging"
    assert app.config["ENV"] == "staging"


@pytest.mark.parametrize("compiled", [True, False])
def test_got_first_request(compiled: bool) -> None:
    """It is false before and true after the first request, in both pipelines."""
    app = Quaff("shop", compiled=compiled)
    with pytest.deprecated_call():
        assert app.got_first_request is False
    app.test_client().get("/")
    with pytest.deprecated_call():
        assert app.got_first_request is True


@pytest.mark.parametrize("compiled", [True, False])
def test_a_json_encoder_class_encodes_responses(compiled: bool) -> None:
    """What views return, and `jsonify`, go through the class; types that it does not know are its business."""

    class Encoder(json.JSONEncoder):
        def default(self, o: Any) -> Any:
            return sorted(o) if isinstance(o, set) else super().default(o)

    app = Quaff("shop", compiled=compiled)
    with pytest.deprecated_call():
        app.json_encoder = Encoder

    @app.route("/")
    def tags() -> Any:
        return {"tags": {"b", "a"}}

    assert app.test_client().get("/").get_json() == {"tags": ["a", "b"]}
    with pytest.deprecated_call():
        assert app.json_encoder is Encoder
    with pytest.raises(TypeError):
        app.json.dumps({"x": object()})


@pytest.mark.parametrize("compiled", [True, False])
def test_a_json_decoder_class_decodes_requests(compiled: bool) -> None:
    """`request.get_json()` goes through the class."""

    class Decoder(json.JSONDecoder):
        def decode(self, s: str, *args: Any) -> Any:
            return {"wrapped": super().decode(s, *args)}

    app = Quaff("shop", compiled=compiled)
    with pytest.deprecated_call():
        app.json_decoder = Decoder

    @app.post("/")
    def echo() -> Any:
        return request.get_json()

    assert app.test_client().post("/", json=[1]).text == '{"wrapped":[1]}\n'
