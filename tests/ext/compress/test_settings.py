"""The configuration keys: what they may be, and what is said about those that cannot be right."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from quaff.ext.compress import settings as module
from quaff.ext.compress.settings import (
    CODINGS,
    DEFAULTS,
    NEVER,
    CompressOptionError,
    override_keys,
    read_settings,
    set_defaults,
    words,
)


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_said", set())


def test_defaults_of_the_extension() -> None:
    """The 17 keys of Flask-Compress have its values."""
    own = {key for key in DEFAULTS if key not in EXTENSION}
    assert {key: DEFAULTS[key] for key in EXTENSION if EXTENSION[key] is not ...} == {
        key: value for key, value in EXTENSION.items() if value is not ...
    }
    assert len(EXTENSION) == 17
    assert len(own) == 6
    assert "text/html" in DEFAULTS["COMPRESS_MIMETYPES"]
    assert "application/json" in DEFAULTS["COMPRESS_MIMETYPES"]


EXTENSION: dict[str, Any] = {
    "COMPRESS_MIMETYPES": ...,
    "COMPRESS_ALGORITHM": ["zstd", "br", "gzip", "deflate"],
    "COMPRESS_ALGORITHM_STREAMING": ["zstd", "br", "deflate"],
    "COMPRESS_LEVEL": 6,
    "COMPRESS_BR_LEVEL": 4,
    "COMPRESS_BR_MODE": 0,
    "COMPRESS_BR_WINDOW": 22,
    "COMPRESS_BR_BLOCK": 0,
    "COMPRESS_ZSTD_LEVEL": 3,
    "COMPRESS_DEFLATE_LEVEL": -1,
    "COMPRESS_MIN_SIZE": 500,
    "COMPRESS_CACHE_KEY": None,
    "COMPRESS_CACHE_BACKEND": None,
    "COMPRESS_REGISTER": True,
    "COMPRESS_STREAMS": True,
    "COMPRESS_EVALUATE_CONDITIONAL_REQUEST": True,
    "COMPRESS_STREAMING_ENDPOINT_CONDITIONAL": ["static"],
}
"""Key -> the default value in Flask-Compress 1.25; `...` for a long list."""


def test_defaults_do_not_share_lists() -> None:
    """An app that changes a list in its configuration changes no other app."""
    one: dict[str, Any] = {"COMPRESS_LEVEL": 9}
    set_defaults(one)
    one["COMPRESS_MIMETYPES"].append("text/x-one")
    other: dict[str, Any] = {}
    set_defaults(other)
    assert "text/x-one" not in other["COMPRESS_MIMETYPES"]
    assert one["COMPRESS_LEVEL"] == 9
    assert other["COMPRESS_LEVEL"] == 6


def test_without_configuration() -> None:
    """An app that never heard of compression gives the default settings."""
    settings = read_settings({})
    assert settings.algorithms == CODINGS
    assert settings.min_size == 500
    assert settings.lists("text/html")
    assert not settings.cross_site
    assert settings.compresses_anything


def test_lists_may_be_strings() -> None:
    """COMPAT: a list may be written as a string with commas, as from an environment variable."""
    settings = read_settings(
        {
            "COMPRESS_ALGORITHM": "gzip, br , zstd",
            "COMPRESS_ALGORITHM_STREAMING": "deflate",
            "COMPRESS_MIMETYPES": "Text/HTML, application/json",
            "COMPRESS_EXEMPT_ENDPOINTS": "account, admin.users",
        }
    )
    assert settings.algorithms == ("gzip", "br", "zstd")
    assert settings.streaming_algorithms == ("deflate",)
    assert settings.mimetypes == {"text/html", "application/json"}
    assert settings.exempt == {"account", "admin.users"}


@pytest.mark.parametrize(
    "value, expected",
    [(None, ()), ("", ()), ("a", ("a",)), ("a, b", ("a", "b")), (["a", " b "], ("a", "b")), (("a",), ("a",)), ([], ())],
)
def test_words(value: Any, expected: tuple[str, ...]) -> None:
    """Lists come as lists, tuples, strings or nothing."""
    assert words(value) == expected


def test_a_coding_counts_once() -> None:
    """Naming a coding twice changes nothing."""
    assert read_settings({"COMPRESS_ALGORITHM": ["br", "gzip", "br"]}).algorithms == ("br", "gzip")


REFUSED: dict[str, tuple[str, Any, str]] = {
    "a number as text": ("COMPRESS_MIN_SIZE", "500", "COMPRESS_MIN_SIZE is a whole number from 0 to"),
    "a bool": ("COMPRESS_LEVEL", True, "COMPRESS_LEVEL is a whole number from -1 to 9, and not True."),
    "a fraction": ("COMPRESS_LEVEL", 6.5, "and not 6.5."),
    "too high": ("COMPRESS_LEVEL", 10, "from -1 to 9, and not 10."),
    "too low": ("COMPRESS_BR_WINDOW", 9, "from 10 to 24, and not 9."),
    "Brotli's level": ("COMPRESS_BR_LEVEL", 12, "from 0 to 11"),
    "Brotli's mode": ("COMPRESS_BR_MODE", 3, "from 0 to 2"),
    "Brotli's block": ("COMPRESS_BR_BLOCK", 8, "COMPRESS_BR_BLOCK is 0 or a whole number from 16 to 24, and not 8."),
    "zstd's level": ("COMPRESS_ZSTD_LEVEL", 23, "from -131072 to 22"),
    "deflate's level": ("COMPRESS_DEFLATE_LEVEL", -2, "from -1 to 9"),
    "a negative size": ("COMPRESS_MIN_SIZE", -1, "from 0 to"),
    "a negative memo": ("COMPRESS_MEMO_SIZE", -1, "from 0 to"),
    "a negative cache": ("COMPRESS_STATIC_CACHE_SIZE", -1, "from 0 to"),
    "a coding's library": (
        "COMPRESS_ALGORITHM",
        ["brotli"],
        "no coding; did you mean 'br'? Codings are: zstd, br, gzip,",
    ),
    "a suffix": (
        "COMPRESS_ALGORITHM_STREAMING",
        "gz",
        "COMPRESS_ALGORITHM_STREAMING has 'gz', which is no coding; did",
    ),
    "a misspelt coding": ("COMPRESS_ALGORITHM", ["gzipp"], "did you mean 'gzip'?"),
    "no coding": ("COMPRESS_ALGORITHM", ["identity"], "has 'identity', which is no coding. Codings are:"),
    "a type with parameters": ("COMPRESS_MIMETYPES", ["text/html; charset=utf-8"], "without parameters"),
    "half a type": ("COMPRESS_MIMETYPES", ["html"], "has 'html'; it lists types such as 'text/html'"),
    "everything": ("COMPRESS_MIMETYPES", ["*/*"], "has '*/*'"),
    "a key that is no function": ("COMPRESS_CACHE_KEY", "url", "COMPRESS_CACHE_KEY is something to call, or None"),
    "a cache by name": ("COMPRESS_CACHE_BACKEND", "SimpleCache", "COMPRESS_CACHE_BACKEND is something to call"),
}
"""What is wrong -> key, value, and a part of what is said about it."""


@pytest.mark.parametrize("what", REFUSED)
def test_values_that_cannot_be_right(what: str) -> None:
    """A value that cannot be right is refused; the message names the key, the value and what it may be."""
    key, value, message = REFUSED[what]
    with pytest.raises(CompressOptionError) as raised:
        read_settings({key: value})
    assert message in str(raised.value)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("key", ["COMPRESS_LEVEL", "COMPRESS_BR_LEVEL", "COMPRESS_ZSTD_LEVEL", "COMPRESS_MIN_SIZE"])
def test_the_ends_of_the_ranges(key: str) -> None:
    """The smallest and the largest value of each key are allowed."""
    low, high = module._RANGES[key]
    for value in (low, high):
        read_settings({key: value})


def test_families_of_types() -> None:
    """`text/*` stands for all that begin like that, but for event streams; other types have to be named."""
    settings = read_settings({"COMPRESS_MIMETYPES": ["text/*", "application/json"]})
    assert settings.lists("text/markdown")
    assert settings.lists("application/json")
    assert not settings.lists("application/wasm")
    assert not settings.lists("text/event-stream")
    assert not settings.lists("")


@pytest.mark.parametrize("mimetype", [*sorted(NEVER), "video/mp4", "audio/ogg", "IMAGE/PNG"])
def test_types_that_are_never_compressed(mimetype: str, caplog: pytest.LogCaptureFixture) -> None:
    """Event streams and what is compressed already stay as they are, even when somebody lists them; the log says so."""
    with caplog.at_level(logging.WARNING, "quaff.compress"):
        settings = read_settings({"COMPRESS_MIMETYPES": ["text/html", mimetype]})
    assert not settings.lists(mimetype.lower())
    assert settings.lists("text/html")
    assert f"COMPRESS_MIMETYPES has {mimetype!r}, which is never compressed" in caplog.text


def test_image_families_leave_out_what_is_compressed() -> None:
    """`image/*` compresses drawings, and leaves photographs alone."""
    settings = read_settings({"COMPRESS_MIMETYPES": ["image/*"]})
    assert settings.lists("image/svg+xml")
    assert not settings.lists("image/jpeg")


@pytest.mark.parametrize(
    "config",
    [
        {"COMPRESS_MIMETYPES": []},
        {"COMPRESS_MIMETYPES": None},
        {"COMPRESS_MIMETYPES": ["image/png"]},
        {"COMPRESS_ALGORITHM": [], "COMPRESS_ALGORITHM_STREAMING": []},
    ],
)
def test_nothing_to_compress(config: dict[str, Any]) -> None:
    """Without types or without codings nothing is compressed."""
    assert not read_settings(config).compresses_anything


def test_misspelt_keys_are_noticed_once(caplog: pytest.LogCaptureFixture) -> None:
    """A key that looks like one of ours has no effect, and the log guesses which was meant; other keys are the app's."""
    config = {"COMPRESS_MINSIZE": 1, "COMPRESS_MY_ARCHIVES_AT_NIGHT": True}
    with caplog.at_level(logging.WARNING, "quaff.compress"):
        read_settings(config)
        read_settings(config)
    assert [record.getMessage() for record in caplog.records] == [
        "COMPRESS_MINSIZE is no setting of Compress and has no effect; did you mean COMPRESS_MIN_SIZE?"
    ]


def test_options_of_one_view() -> None:
    """Options of a view are the configuration keys in lower case, and win over the app's."""
    overrides = override_keys({"min_size": 1, "br_level": 11, "algorithm": ["br"]})
    settings = read_settings({"COMPRESS_MIN_SIZE": 9000, "COMPRESS_LEVEL": 1}, overrides)
    assert (settings.min_size, settings.br_level, settings.algorithms, settings.level) == (1, 11, ("br",), 1)


@pytest.mark.parametrize(
    "name, guess",
    [("minsize", "'min_size'"), ("MIN-SIZE", ""), ("register", ""), ("cache_key", ""), ("levels", "'level'")],
)
def test_options_that_no_view_has(name: str, guess: str) -> None:
    """An unknown option is refused with a guess and the list; so is one that belongs to the app."""
    with pytest.raises(CompressOptionError, match="which is no option of one view") as raised:
        override_keys({name: 1})
    assert guess in str(raised.value)
    assert "Options are: algorithm, algorithm_streaming, br_block" in str(raised.value)


@pytest.mark.parametrize(
    "endpoint, is_static",
    [
        ("static", True),
        ("admin.static", True),
        ("a.b.static", True),
        ("staticx", False),
        ("uploads", False),
        ("", False),
    ],
)
def test_static_endpoints(endpoint: str, is_static: bool) -> None:
    """`static` stands for the static files of the app and of blueprints; others have to be named."""
    assert read_settings({}).serves_static(endpoint) is is_static
    assert read_settings({"COMPRESS_STATIC_ENDPOINTS": ["uploads"]}).serves_static(endpoint) is (endpoint == "uploads")


@pytest.mark.parametrize("compat, trusts", [((), False), (("compress-cache-key",), True), (None, False)])
def test_the_old_cache_key(compat: Any, trusts: bool) -> None:
    """`COMPAT` gives the old cache key back."""
    assert read_settings({"COMPAT": compat}).trusts_cache_key is trusts
