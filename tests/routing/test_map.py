"""The URL map: Werkzeug's, with a revision and one converter more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map as WerkzeugMap

from quaff import Quaff
from quaff._internal.tracking import Revision
from quaff.routing import Map, Rule


def watched(*rules: Rule) -> Map:
    """Return a map with a revision, as an app's has one."""
    url_map = Map(list(rules))
    url_map.revision = Revision()
    return url_map


def test_is_werkzeugs() -> None:
    """Extensions that check find Werkzeug's class, with all its converters."""
    url_map = Map()
    assert isinstance(url_map, WerkzeugMap)
    assert set(WerkzeugMap().converters) < set(url_map.converters)


CHANGES: dict[str, Callable[[Map], object]] = {
    "add": lambda url_map: url_map.add(Rule("/more", endpoint="more")),
    "strict_slashes": lambda url_map: setattr(url_map, "strict_slashes", False),
    "merge_slashes": lambda url_map: setattr(url_map, "merge_slashes", False),
    "redirect_defaults": lambda url_map: setattr(url_map, "redirect_defaults", False),
    "sort_parameters": lambda url_map: setattr(url_map, "sort_parameters", True),
    "host_matching": lambda url_map: setattr(url_map, "host_matching", True),
    "default_subdomain": lambda url_map: setattr(url_map, "default_subdomain", "www"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_noticed(change: str) -> None:
    """A new rule and each setting that matching or building depends on make a new revision."""
    url_map = watched(Rule("/", endpoint="home"))
    assert url_map.revision is not None
    before = url_map.revision.value
    CHANGES[change](url_map)
    assert url_map.revision.value > before


def test_using_it_is_no_change() -> None:
    """Matching, building and Werkzeug's own sorting leave the revision alone."""
    url_map = watched(Rule("/", endpoint="home"))
    assert url_map.revision is not None
    before = url_map.revision.value
    adapter = url_map.bind("localhost")
    assert adapter.match("/") == ("home", {})
    assert adapter.build("home") == "/"
    assert [rule.endpoint for rule in url_map.iter_rules()] == ["home"]
    assert url_map.revision.value == before


def test_an_apps_map_tells_the_app() -> None:
    """A rule that is added to `app.url_map` behind the app's back makes the compiled routes stale."""
    app = Quaff("map")
    before = app._revision.value
    app.url_map.add(Rule("/late", endpoint="late"))
    assert app._revision.value > before


def test_matchable() -> None:
    """Only a map that does not look at the host can be matched by path and method alone."""
    assert Map().matchable()
    assert not Map(host_matching=True).matchable()
    assert not Map(default_subdomain="www").matchable()


def test_rules_of() -> None:
    """The rules of an endpoint come in the order in which they are tried; an unknown endpoint has none."""
    url_map = Map([Rule("/", endpoint="page"), Rule("/<int:number>", endpoint="page"), Rule("/x", endpoint="x")])
    assert [rule.rule for rule in url_map.rules_of("page")] == ["/<int:number>", "/"]
    assert url_map.rules_of("nobody") == []


SAFE = ["a", "a/b", "a.b/c..d", "ü/b c", "..a", "...", "a/...", "~"]
UNSAFE = ["..", "a/..", "../a", "a/../b", ".", "a/./b", "a/", "C:", "a\\b", "a\nb", "a\x00b", "a\x7f", "a:b"]


@pytest.mark.parametrize("path", SAFE)
def test_safe_path_takes(path: str) -> None:
    """`safe_path` takes paths that stay below the folder they are joined to."""
    adapter = Map([Rule("/files/<safe_path:name>", endpoint="file")]).bind("localhost")
    assert adapter.match(f"/files/{path}") == ("file", {"name": path})


@pytest.mark.parametrize("path", UNSAFE)
def test_safe_path_refuses(path: str) -> None:
    """What could leave the folder, on any system, is a 404."""
    adapter = Map([Rule("/files/<safe_path:name>", endpoint="file")], merge_slashes=False).bind("localhost")
    with pytest.raises(NotFound):
        adapter.match(f"/files/{path}")
