"""The class `Cache`."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import cachelib
import pytest
from cachelib.serializers import BaseSerializer, JSONSerializer, SimpleSerializer

from quaff import Blueprint, Quaff
from quaff.ext.caching import Cache, CacheSettingsError
from quaff.ext.caching.backends import FileSystemCache, NullCache, SimpleCache
from quaff.ext.caching.serializers import SafeSerializer
from tests.ext.caching.apps import PIPELINES, Counted, make_app


def new_app(**config: Any) -> Quaff:
    """Return an app with these settings."""
    app = Quaff("new", static_folder=None)
    app.config.update(CACHE_NO_NULL_WARNING=True, **config)
    return app


def test_settings_come_from_three_places() -> None:
    """The app's configuration, the cache's, and what `init_app` is given; the last one counts most."""
    app = new_app(CACHE_TYPE="NullCache", CACHE_DEFAULT_TIMEOUT=1, CACHE_THRESHOLD=1)
    cache = Cache(config={"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 2})
    cache.init_app(app, config={"CACHE_DEFAULT_TIMEOUT": 3})
    backend = app.extensions["cache"][cache]
    assert isinstance(backend, SimpleCache)
    assert (backend.default_timeout, backend._threshold) == (3, 1)
    assert cache.config == {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 2}
    assert cache.app is app


@pytest.mark.parametrize("compiled", PIPELINES)
def test_configured_after_init(compiled: bool) -> None:
    """What the app's configuration says when a request comes counts, although `init_app` was earlier."""
    cache = Cache()
    app = Quaff("late", static_folder=None, compiled=compiled)
    app.config["CACHE_NO_NULL_WARNING"] = True
    cache.init_app(app)
    count = Counted()
    app.add_url_rule("/", "view", cache.cached()(lambda: f"{count()}"))
    client = app.test_client()
    assert [client.get("/").text, client.get("/").text] == ["1", "2"]
    app.config["CACHE_TYPE"] = "SimpleCache"
    assert [client.get("/").text, client.get("/").text] == ["3", "3"]
    app.config["CACHE_ETAG"] = False
    assert "ETag" not in client.get("/").headers
    assert isinstance(app.extensions["cache"][cache], SimpleCache)


def test_a_change_of_something_else_keeps_the_store() -> None:
    """What is cached survives other changes of the app."""
    app, cache = make_app()
    with app.app_context():
        cache.set("a", 1)
        app.config["OTHER"] = 1
        app.add_url_rule("/new", "new", lambda: "new")
        assert cache.get("a") == 1


def test_another_store_in_its_place() -> None:
    """A test may put another store into `app.extensions`."""
    app, cache = make_app()
    app.extensions["cache"][cache] = NullCache()
    with app.app_context():
        cache.set("a", 1)
        assert cache.get("a") is None
        assert isinstance(cache.cache, NullCache)


def test_methods() -> None:
    """All of the store's methods are there, in an app context or without one."""
    _, cache = make_app()
    assert cache.set("a", 1, timeout=60)
    assert (cache.get("a"), cache.has("a"), cache.has("b")) == (1, True, False)
    assert (cache.add("a", 2), cache.add("b", 2)) == (False, True)
    assert cache.set_many({"c": 3, "d": 4}) == ["c", "d"]
    assert cache.get_many("a", "c", "x") == [1, 3, None]
    assert cache.get_dict("a", "x") == {"a": 1, "x": None}
    assert cache.delete("a")
    assert not cache.delete("a")
    assert cache.delete_many("b", "nothing") == ["b", "nothing"]
    assert cache.unlink("c") == ["c"]
    assert cache.cache.inc("n", 2) == 2
    assert cache.clear()
    assert cache.get("d") is None


def test_pages_are_given_as_values() -> None:
    """Who asks for the key of a page gets what the view returned, by whatever method."""
    app, cache = make_app()
    app.add_url_rule("/", "view", cache.cached(tags=["t"])(lambda: "page"))
    app.test_client().get("/")
    with app.app_context():
        assert cache.get("view//") == "page"
        assert cache.get_many("view//") == ["page"]
        assert cache.get_dict("view//") == {"view//": "page"}


def test_not_bound() -> None:
    """A cache that no app has says so; a class of its own is no app either."""
    cache = Cache()
    for use in (lambda: cache.get("a"), cache.memoize()(lambda: 1)):
        with pytest.raises(RuntimeError, match=r"call cache\.init_app"):
            use()
    with pytest.raises(TypeError, match="give init_app the app"):
        cache.init_app(Blueprint("b", __name__))
    with pytest.raises(ValueError, match="`config` must be"):
        Cache(config="SimpleCache")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`config` must be"):
        cache.init_app(new_app(), config=[])  # type: ignore[arg-type]


def test_an_app_that_was_not_initialised() -> None:
    """In its context the cache's own app is used."""
    _, cache = make_app()
    with new_app().app_context():
        cache.set("a", 1)
    assert cache.get("a") == 1


def test_null_warning() -> None:
    """Without a type nothing is cached, which is said once, unless that is wanted."""
    app = Quaff("null", static_folder=None)
    with pytest.warns(UserWarning, match="effectively disabled"):
        Cache(app)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Cache(new_app())


@pytest.mark.parametrize(
    "config, message",
    [
        ({"CACHE_TYPE": "nothing.like.it"}, "cannot be imported"),
        ({"CACHE_TYPE": "FileSystemCache"}, "CACHE_DIR"),
        ({"CACHE_TYPE": "SimpleCache", "CACHE_SERIALIZER": "json"}, "CACHE_SERIALIZER"),
        ({"CACHE_TYPE": "SimpleCache", "CACHE_SERIALIZER": object()}, "BaseSerializer"),
        ({"CACHE_TYPE": "SimpleCache", "CACHE_HASH_METHOD": "md5"}, "CACHE_HASH_METHOD"),
    ],
)
def test_settings_that_cannot_be_right(config: dict[str, Any], message: str) -> None:
    """They are refused at once, and nothing is left in the app."""
    app = new_app()
    with pytest.raises(CacheSettingsError, match=message):
        Cache(app, config=config)
    assert "cache" not in app.extensions


class Needy(SimpleSerializer):
    """A serializer that cannot be made without arguments."""

    def __init__(self, protocol: int) -> None:
        self.protocol = protocol


def test_serializers(tmp_path: Path) -> None:
    """A class or an object of cachelib's kind; without one, plain data in files and pickles only when asked for."""
    by_class = Cache(new_app(), config={"CACHE_TYPE": "simple", "CACHE_SERIALIZER": JSONSerializer})
    assert isinstance(by_class.cache.serializer, JSONSerializer)
    own = JSONSerializer()
    assert (
        Cache(new_app(), config={"CACHE_TYPE": "cachelib.SimpleCache", "CACHE_SERIALIZER": own}).cache.serializer is own
    )
    files = {"CACHE_TYPE": "filesystem", "CACHE_DIR": str(tmp_path)}
    assert type(Cache(new_app(), config=files).cache.serializer) is SafeSerializer
    for config, compat in (({**files, "CACHE_SERIALIZER": "pickle"}, ()), (files, ("cache-pickle",))):
        assert type(Cache(new_app(COMPAT=compat), config=config).cache.serializer) is BaseSerializer
    plain = {"CACHE_TYPE": "cachelib.FileSystemCache", "CACHE_ARGS": [str(tmp_path)]}
    cache = Cache(new_app(), config=plain)
    assert type(cache.cache) is cachelib.FileSystemCache
    assert type(cache.cache.serializer) is SafeSerializer
    with pytest.raises(CacheSettingsError, match="instantiate"):
        Cache(new_app(), config={"CACHE_TYPE": "simple", "CACHE_SERIALIZER": Needy})
    with pytest.warns(UserWarning, match="does not use a serializer"):
        Cache(new_app(), config={"CACHE_SERIALIZER": own})


@pytest.mark.parametrize("config", [{}, {"CACHE_SERIALIZER": "pickle"}, {"CACHE_SERIALIZER": JSONSerializer}])
def test_views_with_every_serializer(config: dict[str, Any], tmp_path: Path) -> None:
    """Pages, their entity tags, variants and tags work with whatever writes the values."""
    app, cache = make_app(CACHE_TYPE="FileSystemCache", CACHE_DIR=str(tmp_path), **config)
    count = Counted()
    app.add_url_rule("/", "view", cache.cached()(lambda: f"{count()}"))
    client = app.test_client()
    first, second = client.get("/"), client.get("/")
    assert (first.text, second.text, first.headers["ETag"]) == ("1", "1", second.headers["ETag"])
    assert client.get("/", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_files_are_shared_by_apps(tmp_path: Path) -> None:
    """Two processes, or apps, with one directory see each other's pages, made of any kind of result."""
    config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(tmp_path)}
    count = Counted()
    answers = []
    for _ in range(2):
        app, cache = make_app(**config)
        app.add_url_rule("/text", "text", cache.cached()(lambda: f"{count()}"))
        app.add_url_rule("/json", "json", cache.cached()(lambda: {"n": count()}))
        app.add_url_rule("/tuple", "tuple", cache.cached()(lambda: (f"{count()}", 404, {"X-A": "b"})))
        client = app.test_client()
        answers.append([(client.get(path).status, client.get(path).text) for path in ("/text", "/json", "/tuple")])
        assert isinstance(app.extensions["cache"][cache], FileSystemCache)
    assert answers[0] == answers[1]
    assert count.calls == 3


def test_a_result_that_cannot_be_stored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is given and not cached, and the log says once what to do."""
    app, cache = make_app(CACHE_TYPE="FileSystemCache", CACHE_DIR=str(tmp_path))
    things = cache.memoize()(lambda: object())
    with caplog.at_level("INFO", "quaff.caching"), app.app_context():
        assert things() is not things()
    assert caplog.text.count("CACHE_SERIALIZER") == 1


def test_defaults_of_the_helpers() -> None:
    """Hash method and source check of a decorator count more than those of the settings."""
    cache = Cache()
    assert cache._get_hash_method(None) is hashlib.sha256
    assert cache._get_hash_method(hashlib.md5) is hashlib.md5
    cache.source_check = True
    assert (cache._get_source_check(None), cache._get_source_check(False)) == (True, False)


def test_names_that_programs_use() -> None:
    """The private helpers of Flask-Caching that its users call are there."""
    _, cache = make_app()

    def f(a: int, b: int = 2) -> None: ...

    assert cache._memoize_kwargs_to_args(f, b=3, a=1) == ((1, 3), {})
    assert cache._memoize_kwargs_to_args(f, 1, args_to_ignore=["b"]) == ((1, None), {})
    name, version = cache._memoize_version(f, args=(1,), kwargs={}, args_to_ignore=None)
    assert cache.get(cache._memvname(name)) == version
    assert cache._memoize_version(f, delete=True) == (name, None)


def test_parentheses() -> None:
    """`@cache.cached` without them says so."""
    _, cache = make_app()
    with pytest.raises(TypeError, match="parentheses"):
        cache.cached(lambda: "view")  # type: ignore[arg-type]
