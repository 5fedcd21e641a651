"""What the decorators are told."""

from __future__ import annotations

from typing import Any

import pytest

from quaff.ext.caching.rules import Rules


@pytest.mark.parametrize(
    "options, word",
    [
        ({"unless": True}, "unless"),
        ({"forced_update": 5}, "forced_update"),
        ({"is_stale": "x"}, "is_stale"),
        ({"response_filter": [200]}, "response_filter"),
        ({"make_cache_key": "key"}, "make_cache_key"),
        ({"make_name": "name"}, "make_name"),
        ({"vary_on": "session"}, "vary_on"),
        ({"args_to_ignore": "self"}, "args_to_ignore"),
        ({"timeout": lambda: 0}, "with parentheses"),
    ],
)
def test_what_makes_no_sense(options: dict[str, Any], word: str) -> None:
    """It is refused where the decorator stands, with the name of the option."""
    with pytest.raises(TypeError, match=word):
        Rules(**options)


def test_a_hash_method_that_is_none() -> None:
    """It is refused as the setting is."""
    with pytest.raises(ValueError, match="hash_method"):
        Rules(hash_method="md5")  # type: ignore[arg-type]


def test_names_to_vary_on() -> None:
    """They are in lower case and in order, with `query` for the query."""
    assert Rules(vary_on=["User", "Accept-Language", "query"]).varies == ("?", "accept-language", "user")
