"""The keys of template fragments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quaff.ext.caching import make_template_fragment_key


def test_flask_cachings_form() -> None:
    """Usual names give the keys that Flask-Caching gives."""
    assert make_template_fragment_key("menu") == "_template_fragment_cache_menu"
    assert make_template_fragment_key("menu", ["a", "b"]) == "_template_fragment_cache_menu_a_b"
    assert make_template_fragment_key("menu", [5]) == "_template_fragment_cache_menu_5"


parts = st.lists(st.text(alphabet="ab_", max_size=3), min_size=1, max_size=3)


@given(parts, parts)
def test_borders(first: list[str], second: list[str]) -> None:
    """Two lists of parts of one length have the same key only if they are equal."""
    if len(first) == len(second):
        same = make_template_fragment_key("f", first) == make_template_fragment_key("f", second)
        assert same == (first == second)
