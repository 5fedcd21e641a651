"""`{% cache %}` in templates."""

from __future__ import annotations

import logging
from typing import Any

import cachelib.simple
import pytest

from quaff import Quaff, g, render_template_string, request, session
from quaff.ext.caching import Cache, PrivateResult, make_template_fragment_key
from quaff.ext.caching.jinja2ext import JINJA_CACHE_ATTR_NAME, CacheExtension
from tests.ext.caching.apps import Counted, make_app


def test_fragments() -> None:
    """A fragment is rendered once for its name and what it varies on."""
    app, cache = make_app()
    count = Counted()
    source = "{% cache 60, 'menu', who %}{{ who }} {{ count() }}{% endcache %}"
    with app.test_request_context("/"):
        for who, expected in (("a", "a 1"), ("a", "a 1"), ("b", "b 2"), ("<b>", "<b> 3")):
            assert render_template_string(source, who=who, count=count) == expected.replace("<b>", "&lt;b&gt;")
        assert cache.get(make_template_fragment_key("menu", ["a"])) == "a 1"
        cache.delete(make_template_fragment_key("menu", ["a"]))
        assert render_template_string(source, who="a", count=count) == "a 4"


def test_the_place_is_the_name() -> None:
    """Without a name it is the template's file and the line."""
    app, cache = make_app()
    with app.test_request_context("/"):
        assert render_template_string("{% cache 30 %}{{ a }}{% endcache %}", a=1) == "1"
        assert cache.get(make_template_fragment_key("None1")) == "1"


def test_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds, None for the default, `del` to delete and render."""
    now = [1_700_000_000.0]
    monkeypatch.setattr(cachelib.simple, "time", lambda: now[0])
    app, _ = make_app(CACHE_DEFAULT_TIMEOUT=100)
    count = Counted()

    def render(timeout: str) -> str:
        return render_template_string("{% cache " + timeout + ", 'f' %}{{ count() }}{% endcache %}", count=count)

    with app.test_request_context("/"):
        assert [render("5"), render("5")] == ["1", "1"]
        now[0] += 6
        assert [render("None"), render("None")] == ["2", "2"]
        now[0] += 50
        assert render("None") == "2"
        assert [render("'del'"), render("'del'"), render("5")] == ["3", "4", "5"]


@pytest.mark.parametrize("what", ["session.user", "request.cookies.id", "g._login_user"])
def test_what_is_one_persons(what: str) -> None:
    """A fragment that reads it is rendered each time; in debug mode that is an error; with a key of its own it is cached."""
    for debug in (False, True):
        app, cache = make_app(DEBUG=debug)

        @app.get("/")
        def view() -> str:
            g._login_user = request.args["user"]
            session["user"] = request.args["user"]
            return render_template_string("{% cache 60, 'f' %}{{ " + what + " }}{% endcache %}")

        @app.get("/keyed")
        def keyed() -> str:
            g._login_user = session["user"] = request.args["user"]
            return render_template_string("{% cache 60, 'f', session.user %}{{ " + what + " }}{% endcache %}")

        for user in ("alice", "bob"):
            client = app.test_client()
            client.set_cookie("id", user)
            assert client.get(f"/keyed?user={user}").text == user
            if debug:
                with pytest.raises(PrivateResult, match="template fragment"):
                    client.get(f"/?user={user}")
            else:
                assert client.get(f"/?user={user}").text == user
        assert cache


def test_a_store_that_fails(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The page is rendered nevertheless, with a line in the log."""
    app, cache = make_app()

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(app.extensions["cache"][cache], "get", broken)
    monkeypatch.setattr(app.extensions["cache"][cache], "delete", broken)
    with app.test_request_context("/"), caplog.at_level(logging.ERROR, "quaff.caching"):
        assert render_template_string("{% cache 5, 'f' %}a{% endcache %}") == "a"
        assert render_template_string("{% cache 'del', 'f' %}b{% endcache %}") == "b"
    assert len(caplog.records) == 2


def test_installing() -> None:
    """The Jinja environment is not made for it; one that is there gets the tag as well, and it may be left out."""
    app, _ = make_app()
    assert "jinja_env" not in app.__dict__
    assert CacheExtension.identifier in app.jinja_env.extensions
    app = Quaff("made", static_folder=None)
    app.config["CACHE_TYPE"] = "SimpleCache"
    environment = app.jinja_env
    cache = Cache(app)
    assert getattr(environment, JINJA_CACHE_ATTR_NAME) is cache
    assert CacheExtension.identifier in environment.extensions
    without = Quaff("without", static_folder=None)
    Cache(without, with_jinja2_ext=False, config={"CACHE_TYPE": "SimpleCache"})
    assert CacheExtension.identifier not in without.jinja_env.extensions
    assert Quaff("other", static_folder=None).jinja_options == {}
