"""The keys of template fragments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

TEMPLATE_FRAGMENT_KEY_TEMPLATE: Final = "_template_fragment_cache_%s%s"


def make_template_fragment_key(fragment_name: str, vary_on: Iterable[Any] | None = None) -> str:
    """Return the key of a fragment, to delete it: `cache.delete(make_template_fragment_key("menu", [user.id]))`.

    COMPAT: the parts are joined by `_`, as in Flask-Caching. Where that could be read in two ways, because one of several
    holds a `_`, their lengths are added.

    :param vary_on: the further arguments of `{% cache %}`, in their order.
    """
    parts = [str(part) for part in vary_on or ()]
    name = f"{fragment_name}_" if parts else fragment_name
    key = TEMPLATE_FRAGMENT_KEY_TEMPLATE % (name, "_".join(parts))
    if len(parts) > 1 and any("_" in part or not part for part in parts):
        # SECURITY: ["a_b", "c"] and ["a", "b_c"] may be two users.
        key = f"{key}.{'.'.join(str(len(part)) for part in parts)}"
    return key
