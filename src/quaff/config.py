"""The app's configuration: a dict that can be filled from files, objects, mappings and the environment.

Only upper-case keys come in through the loaders, so that a configuration file may hold helpers of its own. Every change
calls `Config._on_change` when it is set: the app uses that to notice that what it compiled from the configuration is
stale. Changes inside a nested dict or list are not seen.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import IO, Any, ClassVar, Generic, Protocol, Self, TypeVar, overload

from werkzeug.utils import import_string

T = TypeVar("T")

Load = Callable[[IO[Any]], Mapping[str, Any]]


class HasConfig(Protocol):
    """Anything with a `config`: in practice the app, which lives in a higher layer."""

    @property
    def config(self) -> dict[str, Any]:
        """The configuration."""
        raise NotImplementedError


class ConfigAttribute(Generic[T]):
    """An attribute of the app that is stored under a key of its configuration.

    :param name: the key of the configuration.
    :param get_converter: turns the stored value into what reading the attribute gives.
    """

    def __init__(self, name: str, get_converter: Callable[[Any], T] | None = None) -> None:
        self.__name__ = name
        self.get_converter = get_converter

    @overload
    def __get__(self, obj: None, owner: type[HasConfig]) -> Self: ...

    @overload
    def __get__(self, obj: HasConfig, owner: type[HasConfig]) -> T: ...

    def __get__(self, obj: HasConfig | None, owner: type[HasConfig] | None = None) -> T | Self:
        if obj is None:
            return self
        value = obj.config[self.__name__]
        if self.get_converter is not None:
            return self.get_converter(value)
        return value  # type: ignore[no-any-return]  # without a converter the caller vouches for T

    def __set__(self, obj: HasConfig, value: Any) -> None:
        obj.config[self.__name__] = value


class Config(dict[str, Any]):
    """The app's configuration, a dict with loaders.

    Values come from a Python file, a module or class, another file format, a mapping or environment variables::

        app.config.from_object("shop.defaults")
        app.config.from_file("config.toml", load=tomllib.load, text=False)
        app.config.from_prefixed_env()

    :param root_path: the folder that relative file names start from; for an app's own configuration its `root_path`.
    :param defaults: the first content.
    """

    _on_change: Callable[[], None] | None = None
    """Called after every change. The app sets it; None calls nothing."""

    _unsaved: ClassVar[frozenset[str]] = frozenset({"_on_change"})

    def __init__(self, root_path: str | os.PathLike[str], defaults: Mapping[str, Any] | None = None) -> None:
        super().__init__(defaults or {})
        self.root_path = root_path

    # Loaders ---------------------------------------------------------------------------------------------------------

    def from_envvar(self, variable_name: str, silent: bool = False) -> bool:
        """Load the Python file whose name is in the environment variable *variable_name*.

        :param silent: return False, instead of raising, when the variable is not set or the file does not exist.
        :return: whether a file was loaded.
        :raises RuntimeError: when the variable is not set or empty.
        """
        filename = os.environ.get(variable_name)
        if filename:
            return self.from_pyfile(filename, silent=silent)
        if silent:
            return False
        raise RuntimeError(
            f"The environment variable {variable_name!r} is not set and so the configuration could not be loaded."
            " Set it to the path of a configuration file."
        )

    def from_prefixed_env(self, prefix: str = "FLASK", *, loads: Callable[[str], Any] = json.loads) -> bool:
        """Load every environment variable that starts with *prefix* and an underscore, in sorted order.

        The key is what follows the prefix. A double underscore goes one level down: `FLASK_DB__POOL__SIZE=5` sets
        `config["DB"]["POOL"]["SIZE"]`, and makes the dicts that are missing.

        :param loads: turns the text into a value; when it raises, the text itself is kept. By default JSON.
        :return: always True.
        """
        start = f"{prefix}_"
        for variable in sorted(name for name in os.environ if name.startswith(start)):
            value: Any = os.environ[variable]
            with suppress(Exception):
                value = loads(value)
            *path, key = variable[len(start) :].split("__")
            target: dict[str, Any] = self
            for part in path:
                target = target.setdefault(part, {})
            target[key] = value
            if path:
                self._changed()
        return True

    def from_pyfile(self, filename: str | os.PathLike[str], silent: bool = False) -> bool:
        """Run a Python file and load the upper-case names that it defines.

        :param filename: absolute, or relative to the root path.
        :param silent: return False, instead of raising, when the file does not exist.
        :return: whether the file was loaded.
        :raises OSError: when the file cannot be read.
        :raises SyntaxError: when it is not Python.
        """
        path = os.path.join(self.root_path, filename)
        module = ModuleType("config")
        module.__file__ = path
        with _reading_config():
            source = _read_unless_missing(path, (errno.ENOENT, errno.EISDIR, errno.ENOTDIR) if silent else ())
            if source is None:
                return False
            exec(compile(source, path, "exec"), module.__dict__)  # noqa: S102 - the operator's own file
        self.from_object(module)
        return True

    def from_object(self, obj: object | str) -> None:
        """Load the upper-case attributes of an object, most often a module or a class.

        A class is read as it is: to use its properties, pass an instance. A dict has no such attributes; use
        `from_mapping` for one.

        :param obj: the object, or the name to import it by, as `"package.module"` or `"package.module:Name"`.
        """
        source = import_string(obj) if isinstance(obj, str) else obj
        for key in dir(source):
            if key.isupper():
                self[key] = getattr(source, key)

    def from_file(self, filename: str | os.PathLike[str], load: Load, silent: bool = False, text: bool = True) -> bool:
        """Load a file in any format that *load* understands; only upper-case keys are taken.

        ::

            app.config.from_file("config.json", load=json.load)
            app.config.from_file("config.toml", load=tomllib.load, text=False)

        :param filename: absolute, or relative to the root path.
        :param load: called with the open file, returns a mapping.
        :param silent: return False, instead of raising, when the file does not exist.
        :param text: open as text, or else as bytes.
        :return: whether the file was loaded.
        :raises OSError: when the file cannot be read.
        """
        path = os.path.join(self.root_path, filename)
        with _reading_config():
            try:
                with open(path, "r" if text else "rb") as file:
                    mapping = load(file)
            except OSError as error:
                if silent and error.errno in (errno.ENOENT, errno.EISDIR):
                    return False
                raise
        return self.from_mapping(mapping)

    def from_mapping(self, mapping: Mapping[str, Any] | None = None, **kwargs: Any) -> bool:
        """Take over the items whose keys are upper-case; keyword arguments win over *mapping*.

        :return: always True.
        """
        for key, value in {**dict(mapping or {}), **kwargs}.items():
            if key.isupper():
                self[key] = value
        return True

    def get_namespace(self, namespace: str, lowercase: bool = True, trim_namespace: bool = True) -> dict[str, Any]:
        """Return the items whose keys start with *namespace*, ready to be keyword arguments.

        With `IMAGE_STORE_TYPE` and `IMAGE_STORE_PATH` configured, `get_namespace("IMAGE_STORE_")` has the keys `type`
        and `path`.

        :param lowercase: make the keys lower-case.
        :param trim_namespace: leave the namespace out of the keys.
        """
        cut = len(namespace) if trim_namespace else 0
        found = {key[cut:]: value for key, value in self.items() if key.startswith(namespace)}
        return {key.lower(): value for key, value in found.items()} if lowercase else found

    # Noticing changes --------------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change()

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._changed()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._changed()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Store all items of a mapping or of pairs, as `dict.update` does, whatever the case of their keys."""
        super().update(*args, **kwargs)
        self._changed()

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]  # dict itself gives back a dict for `|`
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of *key*, storing *default* when there is none."""
        # Extensions call this on every request for keys that are long there: no change, and nothing to compile anew.
        known = key in self
        value = super().setdefault(key, default)
        if not known:
            self._changed()
        return value

    def pop(self, key: str, *default: Any) -> Any:
        """Remove *key* and return its value, or the default; without one raise `KeyError`."""
        known = key in self
        value = super().pop(key, *default)
        if known:
            self._changed()
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove the last item and return it."""
        item = super().popitem()
        self._changed()
        return item

    def clear(self) -> None:
        """Remove all items."""
        super().clear()
        self._changed()

    def __getstate__(self) -> dict[str, Any]:
        # A copy, and a pickled one, belongs to nobody: changing it must not reach the app that made the original.
        return {name: value for name, value in self.__dict__.items() if name not in self._unsaved}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {dict.__repr__(self)}>"


def _read_unless_missing(path: str, missing: tuple[int, ...]) -> bytes | None:
    """Return the content of a file, or None when opening it fails with one of the error numbers *missing*."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        if error.errno in missing:
            return None
        raise


@contextmanager
def _reading_config() -> Iterator[None]:
    """Say in an `OSError` that it was a configuration file that could not be read."""
    try:
        yield
    except OSError as error:
        error.strerror = f"Unable to load configuration file ({error.strerror})"
        raise
