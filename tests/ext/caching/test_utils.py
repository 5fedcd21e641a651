"""Flask-Caching's helpers under their names."""

from __future__ import annotations

from datetime import timedelta

from quaff.ext.caching import utils


def test_names() -> None:
    """Each of them is there, and does what it did."""
    assert all(hasattr(utils, name) for name in utils.__all__)
    assert utils.normalize_timeout(timedelta(seconds=1.5)) == 2
    assert utils.query_args_as_pairs("a=1") == [("a", "1")]
    assert utils.TEMPLATE_FRAGMENT_KEY_TEMPLATE % ("a", "b") == "_template_fragment_cache_ab"
    assert utils.make_template_fragment_key("a") == "_template_fragment_cache_a"
