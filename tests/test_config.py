"""The configuration: every loader, and that every change is noticed."""

from __future__ import annotations

import copy
import json
import os
import pickle
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaff.config import Config, ConfigAttribute

LOADED_HERE = "from this module"
not_loaded_here = "lower-case"


class Holder:
    """Stands in for the app: something with a config."""

    TESTING: ConfigAttribute[bool] = ConfigAttribute("TESTING")
    lifetime: ConfigAttribute[int] = ConfigAttribute("LIFETIME", get_converter=int)

    def __init__(self, root: Path) -> None:
        self.config: dict[str, Any] = Config(root)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """An empty configuration rooted in a folder of its own."""
    return Config(tmp_path)


# from_pyfile and from_envvar -------------------------------------------------------------------------------------------


def test_pyfile_gives_its_upper_case_names(config: Config, tmp_path: Path) -> None:
    """Only upper-case names of a Python file are loaded, relative to the root path."""
    (tmp_path / "shop.cfg").write_text("import os\nNAME = 'shop'\nSIZE = 2 * 3\nhelper = 1\nMixed = 2\n")
    assert config.from_pyfile("shop.cfg") is True
    assert config == {"NAME": "shop", "SIZE": 6}


def test_pyfile_knows_its_own_name(config: Config, tmp_path: Path) -> None:
    """`__file__` in the configuration file is its path."""
    (tmp_path / "shop.cfg").write_text("HERE = __file__")
    config.from_pyfile(Path("shop.cfg"))
    assert config["HERE"] == os.fspath(tmp_path / "shop.cfg")


def test_pyfile_may_be_absolute(config: Config, tmp_path: Path) -> None:
    """An absolute name is not taken as relative to the root path."""
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "x.cfg").write_text("X = 1")
    assert Config("/nowhere").from_pyfile(other / "x.cfg")


def test_pyfile_honours_its_declared_encoding(config: Config, tmp_path: Path) -> None:
    """The file is compiled from bytes, so that a coding line counts."""
    (tmp_path / "x.cfg").write_bytes("# -*- coding: latin-1 -*-\nNAME = 'Grün'\n".encode("latin-1"))
    config.from_pyfile("x.cfg")
    assert config["NAME"] == "Grün"


def test_missing_pyfile_says_what_it_was(config: Config) -> None:
    """The error is the system's, and says that a configuration file could not be read."""
    with pytest.raises(
        FileNotFoundError, match=r"Unable to load configuration file \(No such file or directory\)"
    ) as info:
        config.from_pyfile("missing.cfg")
    assert info.value.filename.endswith("missing.cfg")


@pytest.mark.parametrize("name", ["missing.cfg", ".", "file/below"])
def test_silence_covers_only_what_is_missing(config: Config, tmp_path: Path, name: str) -> None:
    """A missing file, a folder and a path through a file are passed over in silence."""
    (tmp_path / "file").write_text("")
    assert config.from_pyfile(name, silent=True) is False
    assert config == {}


def test_a_broken_pyfile_shows_its_own_error(config: Config, tmp_path: Path) -> None:
    """A syntax error is the message itself, with file and line, even when missing files are passed over."""
    (tmp_path / "x.cfg").write_text("OK = 1\nNOT OK\n")
    with pytest.raises(SyntaxError) as info:
        config.from_pyfile("x.cfg", silent=True)
    assert info.value.filename == os.fspath(tmp_path / "x.cfg")
    assert info.value.lineno == 2


def test_an_error_inside_the_file_is_not_silenced(config: Config, tmp_path: Path) -> None:
    """When the configuration file itself opens something missing, that is an error and not a missing configuration."""
    (tmp_path / "x.cfg").write_text("open('/does/not/exist')")
    with pytest.raises(FileNotFoundError):
        config.from_pyfile("x.cfg", silent=True)


def test_envvar_names_the_file(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is found through the environment."""
    (tmp_path / "x.cfg").write_text("X = 1")
    monkeypatch.setenv("SHOP_SETTINGS", "x.cfg")
    assert config.from_envvar("SHOP_SETTINGS") is True
    assert config == {"X": 1}


@pytest.mark.parametrize("value", [None, ""])
def test_an_unset_envvar_is_an_error(config: Config, value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unset or empty variable raises, and the message names it."""
    if value is not None:
        monkeypatch.setenv("SHOP_SETTINGS", value)
    with pytest.raises(RuntimeError, match="'SHOP_SETTINGS' is not set"):
        config.from_envvar("SHOP_SETTINGS")
    assert config.from_envvar("SHOP_SETTINGS", silent=True) is False


def test_an_envvar_with_a_missing_file(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence reaches through to the file."""
    monkeypatch.setenv("SHOP_SETTINGS", "missing.cfg")
    with pytest.raises(FileNotFoundError, match="Unable to load configuration file"):
        config.from_envvar("SHOP_SETTINGS")
    assert config.from_envvar("SHOP_SETTINGS", silent=True) is False


# from_prefixed_env -----------------------------------------------------------------------------------------------------


def _environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    monkeypatch.setattr("os.environ", variables)


def test_prefixed_env_reads_json_or_text(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are JSON where they can be, else text; other variables are left alone."""
    _environment(
        monkeypatch,
        FLASK_STRING="value",
        FLASK_BOOL="true",
        FLASK_INT="1",
        FLASK_FLOAT="1.2",
        FLASK_LIST="[1, 2]",
        FLASK_DICT='{"k": "v"}',
        NOT_FLASK_X="1",
        FLASKY="1",
    )
    assert config.from_prefixed_env() is True
    assert config == {"STRING": "value", "BOOL": True, "INT": 1, "FLOAT": 1.2, "LIST": [1, 2], "DICT": {"k": "v"}}


def test_prefixed_env_takes_another_prefix_and_loader(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefix and conversion are the caller's choice; a conversion that fails leaves the text."""
    _environment(monkeypatch, SHOP_A="1", SHOP_B="x", FLASK_C="2")
    config.from_prefixed_env("SHOP", loads=int)
    assert config == {"A": 1, "B": "x"}


def test_prefixed_env_goes_into_nested_dicts(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Double underscores go down a level, make what is missing and keep what is there."""
    config["EXIST"] = {"kept": 1, "inner": {"a": 1}}
    _environment(
        monkeypatch,
        FLASK_EXIST__inner__b="2",
        FLASK_EXIST__new="3",
        FLASK_NEW__a__b="4",
    )
    config.from_prefixed_env()
    assert config == {"EXIST": {"kept": 1, "inner": {"a": 1, "b": 2}, "new": 3}, "NEW": {"a": {"b": 4}}}


def test_prefixed_env_is_read_in_order(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nested key comes after its parent, whatever the order of the environment."""
    _environment(monkeypatch, FLASK_A__b="2", FLASK_A='{"a": 1}')
    config.from_prefixed_env()
    assert config["A"] == {"a": 1, "b": 2}


# from_object, from_file, from_mapping ----------------------------------------------------------------------------------


def test_object_by_name_and_by_itself(config: Config) -> None:
    """A module may be given as its name or as the module."""
    config.from_object(__name__)
    assert config["LOADED_HERE"] == "from this module"
    assert "not_loaded_here" not in config


def test_object_takes_inherited_attributes(config: Config) -> None:
    """A class gives what it inherits, too, and properties only as an instance."""

    class Base:
        A = 1
        B = 1

    class Test(Base):
        B = 2

        @property
        def C(self) -> int:
            return self.B + 1

    config.from_object(Test())
    assert config == {"A": 1, "B": 2, "C": 3}


def test_object_that_cannot_be_imported(config: Config) -> None:
    """A wrong name is an import error."""
    with pytest.raises(ImportError):
        config.from_object("no.such.module")


@pytest.mark.parametrize(
    "name, text, load, as_text",
    [
        ("c.json", b'{"A": 1, "B": {"x": 2}, "skipped": 3}', json.load, True),
        ("c.toml", b"A = 1\nskipped = 3\n[B]\nx = 2\n", tomllib.load, False),
    ],
)
def test_file_in_any_format(
    config: Config, tmp_path: Path, name: str, text: bytes, load: Callable[..., Any], as_text: bool
) -> None:
    """The loader gets the file open as text or bytes, and upper-case keys of what it returns are taken."""
    (tmp_path / name).write_bytes(text)
    assert config.from_file(name, load=load, text=as_text) is True
    assert config == {"A": 1, "B": {"x": 2}}


def test_missing_file(config: Config) -> None:
    """A missing file is an error unless passed over."""
    with pytest.raises(FileNotFoundError, match="Unable to load configuration file"):
        config.from_file("missing.json", load=json.load)
    assert config.from_file("missing.json", load=json.load, silent=True) is False
    assert config.from_file(".", load=json.load, silent=True) is False


def test_mapping_and_keywords(config: Config) -> None:
    """Upper-case keys are taken from a mapping and from keyword arguments, which win."""
    assert config.from_mapping({"A": 1, "B": 1, "low": 1}, B=2, other=3) is True
    assert config.from_mapping() is True
    assert config == {"A": 1, "B": 2}


def test_mapping_takes_one_positional_argument(config: Config) -> None:
    """As in Flask, more than one mapping is a TypeError."""
    with pytest.raises(TypeError):
        config.from_mapping({}, {})  # type: ignore[call-arg]


# Reading ---------------------------------------------------------------------------------------------------------------


def test_namespace(config: Config) -> None:
    """A namespace gives keyword arguments; case and prefix can be kept."""
    config.update({"IMAGE_TYPE": "fs", "IMAGE_PATH": "/img", "OTHER": 1})
    assert config.get_namespace("IMAGE_") == {"type": "fs", "path": "/img"}
    assert config.get_namespace("IMAGE_", lowercase=False) == {"TYPE": "fs", "PATH": "/img"}
    assert config.get_namespace("IMAGE_", trim_namespace=False) == {"image_type": "fs", "image_path": "/img"}
    assert config.get_namespace("IMAGE_", lowercase=False, trim_namespace=False) == {
        "IMAGE_TYPE": "fs",
        "IMAGE_PATH": "/img",
    }


def test_repr_names_the_class(config: Config) -> None:
    """The representation shows the content and the class, also of a subclass."""

    class Settings(Config):
        pass

    assert repr(config) == "<Config {}>"
    assert repr(Settings("/", {"A": 1})) == "<Settings {'A': 1}>"


def test_defaults_are_copied(tmp_path: Path) -> None:
    """The defaults fill the configuration and stay what they were."""
    defaults = {"A": 1}
    config = Config(tmp_path, defaults)
    config["A"] = 2
    assert defaults == {"A": 1}
    assert config.root_path == tmp_path


def test_attribute_reads_and_writes_the_config(tmp_path: Path) -> None:
    """An attribute is the configuration key, converted when read."""
    holder = Holder(tmp_path)
    holder.TESTING = True
    assert holder.config["TESTING"] is True
    holder.config["LIFETIME"] = "31"
    assert holder.lifetime == 31
    assert isinstance(Holder.__dict__["lifetime"], ConfigAttribute)
    assert Holder.lifetime is Holder.__dict__["lifetime"]


# Noticing changes ------------------------------------------------------------------------------------------------------


def _or(config: Config) -> None:
    config |= {"A": 5}


CHANGES: dict[str, Callable[[Config], object]] = {
    "set": lambda config: config.__setitem__("NEW", 1),
    "delete": lambda config: config.__delitem__("A"),
    "update": lambda config: config.update(A=2),
    "or": _or,
    "setdefault": lambda config: config.setdefault("NEW", 1),
    "pop": lambda config: config.pop("A"),
    "popitem": lambda config: config.popitem(),
    "clear": lambda config: config.clear(),
    "from_mapping": lambda config: config.from_mapping(A=2),
    "from_object": lambda config: config.from_object(__name__),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_told(config: Config, change: Callable[[Config], object]) -> None:
    """Whichever way the configuration changes, `_on_change` hears of it, after the change."""
    config["A"] = 1
    seen: list[dict[str, Any]] = []
    config._on_change = lambda: seen.append(dict(config))
    change(config)
    assert seen
    assert seen[-1] == config


def test_nested_environment_keys_are_told(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader that writes into nested dicts says so itself, since those are not watched."""
    config["DB"] = {}
    told: list[bool] = []
    config._on_change = lambda: told.append("a" in config["DB"])
    _environment(monkeypatch, FLASK_DB__a="1")
    config.from_prefixed_env()
    assert told[-1] is True


def test_reading_tells_nobody(config: Config) -> None:
    """Look-ups and copies are no changes."""
    config["A"] = 1
    config._on_change = lambda: pytest.fail("nothing changed")
    assert config["A"] == config.get("A") == config.copy()["A"] == (config | {})["A"]
    assert config.get_namespace("A") == {"": 1}
    assert config.setdefault("A", 2) == 1
    assert config.pop("MISSING", None) is None


def test_a_failed_change_raises_as_a_dict_does(config: Config) -> None:
    """Missing keys are KeyErrors, and no change."""
    config._on_change = lambda: pytest.fail("nothing changed")
    with pytest.raises(KeyError):
        config.pop("MISSING")
    with pytest.raises(KeyError):
        del config["MISSING"]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_copies_are_on_their_own(config: Config, duplicate: Callable[[Config], Config]) -> None:
    """A copied or pickled configuration keeps content and root path, and does not report to the app of the first."""
    config["A"] = {"b": 1}
    told: list[str] = []
    config._on_change = lambda: told.append("changed")
    twin = duplicate(config)
    twin["C"] = 1
    assert type(twin) is Config
    assert twin == {"A": {"b": 1}, "C": 1}
    assert twin.root_path == config.root_path
    assert told == []


def test_a_subclass_with_its_own_init_works() -> None:
    """A subclass that never calls Config.__init__ can still be changed."""

    class Bare(Config):
        def __init__(self) -> None:
            dict.__init__(self)

    bare = Bare()
    bare["A"] = 1
    assert bare == {"A": 1}
