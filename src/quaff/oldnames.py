"""Names of the app that Flask removed, for old code: each works and warns once per place that uses it.

The rows are in `_internal/deprecations.py`; `tests/test_oldnames.py` goes through all of them.
"""

from __future__ import annotations

import json
from typing import Any

from ._internal.deprecations import warn_old
from .json.provider import DefaultJSONProvider


class _OldConfigAttribute:
    """An attribute that stood for a config key."""

    def __init__(self, name: str, key: str) -> None:
        self._name, self._key = name, key

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        warn_old(f"app.{self._name}")
        return instance.config[self._key]

    def __set__(self, instance: Any, value: Any) -> None:
        warn_old(f"app.{self._name}")
        instance.config[self._key] = value


class _CodersProvider(DefaultJSONProvider):
    """The JSON provider of an app that has a `json_encoder` or a `json_decoder`."""

    encoder: type[json.JSONEncoder] | None = None
    decoder: type[json.JSONDecoder] | None = None

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return *obj* as JSON text, through the encoder class."""
        if self.encoder is None:
            return super().dumps(obj, **kwargs)
        # `default` would take the place of the encoder's own method.
        kwargs.setdefault("cls", self.encoder)
        kwargs.setdefault("ensure_ascii", self.ensure_ascii)
        kwargs.setdefault("sort_keys", self.sort_keys)
        return json.dumps(obj, **kwargs)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the object that JSON text stands for, through the decoder class."""
        if self.decoder is not None:
            kwargs.setdefault("cls", self.decoder)
        return super().loads(s, **kwargs)


class _OldCoder:
    """`app.json_encoder` or `app.json_decoder`: assigning a class makes the app's JSON go through it."""

    def __init__(self, which: str) -> None:
        self._which = which

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        warn_old(f"app.json_{self._which}")
        return getattr(instance.json, self._which, None)

    def __set__(self, instance: Any, value: Any) -> None:
        warn_old(f"app.json_{self._which}")
        if not isinstance(instance.json, _CodersProvider):
            instance.json = _CodersProvider(instance)
        setattr(instance.json, self._which, value)


class OldAppNames:
    """Mixed into the app class."""

    json_encoder = _OldCoder("encoder")
    json_decoder = _OldCoder("decoder")

    session_cookie_name = _OldConfigAttribute("session_cookie_name", "SESSION_COOKIE_NAME")
    send_file_max_age_default = _OldConfigAttribute("send_file_max_age_default", "SEND_FILE_MAX_AGE_DEFAULT")
    use_x_sendfile = _OldConfigAttribute("use_x_sendfile", "USE_X_SENDFILE")
    propagate_exceptions = _OldConfigAttribute("propagate_exceptions", "PROPAGATE_EXCEPTIONS")
    templates_auto_reload = _OldConfigAttribute("templates_auto_reload", "TEMPLATES_AUTO_RELOAD")

    @property
    def env(self) -> str:
        """What the config key `ENV` says: by default `development` in debug mode, else `production`."""
        warn_old("app.env")
        config: Any = getattr(self, "config")  # noqa: B009 - an attribute of the class this is mixed into
        return str(config.get("ENV") or ("development" if config["DEBUG"] else "production"))

    @env.setter
    def env(self, value: str) -> None:
        warn_old("app.env")
        getattr(self, "config")["ENV"] = value  # noqa: B009

    @property
    def got_first_request(self) -> bool:
        """Whether the app has begun to serve."""
        warn_old("app.got_first_request")
        return bool(getattr(self, "_got_first_request"))  # noqa: B009
