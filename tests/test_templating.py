"""Templates: where they come from, what they see and how they are rendered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jinja2 import BaseLoader, DictLoader, TemplateNotFound

from quaff import (
    Blueprint,
    Quaff,
    before_render_template,
    g,
    render_template,
    render_template_string,
    request,
    session,
    stream_template,
    stream_template_string,
    template_rendered,
    templating,
)
from quaff import ctx as quaff_ctx
from quaff.testing import FlaskClient


@pytest.fixture
def pages(app: Quaff, tmp_path: Path) -> Path:
    """The app's template folder, with a few templates."""
    app.template_folder = os.fspath(tmp_path)
    for name, text in {
        "page.html": "<p>{{ value }}</p>",
        "page.txt": "{{ value }}",
        "where.html": "{{ request.path }} {{ session.user }} {{ g.user }} {{ config.TESTING }}",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_rendering_a_template(app: Quaff, pages: Path) -> None:
    """By name, from the template folder, with the variables given."""
    with app.app_context():
        assert render_template("page.html", value=42) == "<p>42</p>"
        assert render_template("page.html") == "<p></p>"


def test_html_is_escaped(app: Quaff, pages: Path) -> None:
    """HTML templates and strings escape what they insert; other files do not."""
    with app.app_context():
        assert render_template("page.html", value="<b>") == "<p>&lt;b&gt;</p>"
        assert render_template("page.txt", value="<b>") == "<b>"
        assert render_template_string("{{ value }}", value="<b>") == "&lt;b&gt;"
        assert render_template_string("{% autoescape false %}{{ v }}{% endautoescape %}", v="<b>") == "<b>"


def test_the_first_of_several_names(app: Quaff, pages: Path) -> None:
    """Of a list, the first that exists is rendered; a template object may be given, too."""
    with app.app_context():
        assert render_template(["missing.html", "page.html"], value=1) == "<p>1</p>"
        template = app.jinja_env.from_string("object {{ value }}")
        assert render_template(template, value=1) == "object 1"
        with pytest.raises(TemplateNotFound):
            render_template(["missing.html", "neither.html"])
        with pytest.raises(TemplateNotFound, match=r"missing\.html"):
            render_template("missing.html")


def test_what_every_template_sees(app: Quaff, pages: Path) -> None:
    """Request, session, g and config are there without being passed."""
    with app.test_request_context("/here"):
        session["user"], g.user = "s", "g"
        assert render_template("where.html") == "/here s g True"
        assert render_template_string("{{ url_for.__name__ }} {{ get_flashed_messages() }}") == "url_for []"


def test_without_a_request(app: Quaff) -> None:
    """In an app context there is g, and no request."""
    with app.app_context():
        g.user = "me"
        assert render_template_string("{{ g.user }}") == "me"
        with pytest.raises(RuntimeError, match=r"Working outside of request context\."):
            render_template_string("{{ request.path }}")


def test_context_processors_add_but_do_not_replace(app: Quaff, client: FlaskClient) -> None:
    """Processors of app and blueprint give variables; those passed to the call win."""
    blueprint = Blueprint("part", __name__)
    app.context_processor(lambda: {"a": "app", "b": "app", "c": "app"})
    blueprint.context_processor(lambda: {"b": "blueprint", "c": "blueprint"})
    source = "{{ a }} {{ b }} {{ c }}"
    app.add_url_rule("/app", "app", view_func=lambda: render_template_string(source, c="call"))
    blueprint.add_url_rule("/part", "part", view_func=lambda: render_template_string(source, c="call"))
    app.register_blueprint(blueprint)
    assert client.get("/app").text == "app app call"
    assert client.get("/part").text == "app blueprint call"


def test_rendering_needs_an_app() -> None:
    """Outside of an app context there is no environment."""
    for function in (render_template_string, stream_template_string, render_template, stream_template):
        with pytest.raises(RuntimeError, match=r"Working outside of application context\."):
            function("x")


# Streaming -------------------------------------------------------------------------------------------------------------


def test_streaming_a_template(app: Quaff, pages: Path, client: FlaskClient) -> None:
    """The pieces come while the request is still there."""

    @app.get("/<kind>")
    def index(kind: str) -> Any:
        if kind == "file":
            return stream_template("where.html")
        return stream_template_string("{{ request.path }}{% for n in numbers %},{{ n }}{% endfor %}", numbers=[1, 2])

    assert client.get("/file").text == "/file   True"
    response = client.get("/text")
    assert response.is_streamed
    assert response.text == "/text,1,2"


def test_streaming_without_a_request(app: Quaff) -> None:
    """In an app context a stream works as well."""
    with app.app_context():
        assert "".join(stream_template_string("a{{ value }}", value=1)) == "a1"


def test_signals_around_rendering(app: Quaff, pages: Path) -> None:
    """One signal before and one after, with template and context; after the last piece when streaming."""
    events: list[Any] = []

    def before(sender: Any, template: Any, context: Any, **extra: Any) -> None:
        events.append(("before", sender, template.name, context["value"]))
        context["value"] = 2

    def after(sender: Any, template: Any, context: Any, **extra: Any) -> None:
        events.append(("after", sender, template.name, context["value"]))

    with (
        app.app_context(),
        before_render_template.connected_to(before, app),
        template_rendered.connected_to(after, app),
    ):
        assert render_template("page.html", value=1) == "<p>2</p>"
        assert events == [("before", app, "page.html", 1), ("after", app, "page.html", 2)]
        events.clear()
        pieces = stream_template("page.html", value=1)
        assert [event[0] for event in events] == ["before"]
        assert "".join(pieces) == "<p>2</p>"
        assert [event[0] for event in events] == ["before", "after"]


def test_the_context_is_completed_once(app: Quaff) -> None:
    """`update_template_context`, which programs override, is called once for each rendering."""
    calls: list[dict[str, Any]] = []
    original = app.update_template_context

    def update(context: dict[str, Any]) -> None:
        calls.append(dict(context))
        original(context)

    app.update_template_context = update  # type: ignore[method-assign]
    with app.app_context():
        render_template_string("{{ a }}", a=1)
        list(stream_template_string("{{ a }}", a=2))
    assert calls == [{"a": 1}, {"a": 2}]


# Where templates come from ---------------------------------------------------------------------------------------------


def _blueprint(name: str, folder: Path, **templates: str) -> Blueprint:
    folder.mkdir()
    for template, text in templates.items():
        (folder / f"{template}.html").write_text(text)
    return Blueprint(name, __name__, template_folder=os.fspath(folder))


@pytest.mark.parametrize("explain", [False, True])
def test_the_app_comes_before_its_blueprints(app: Quaff, tmp_path: Path, explain: bool) -> None:
    """The app may override a blueprint's template, an earlier blueprint a later one's."""
    app.config["EXPLAIN_TEMPLATE_LOADING"] = explain
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "a.html").write_text("app")
    app.template_folder = os.fspath(tmp_path / "app")
    app.register_blueprint(_blueprint("one", tmp_path / "one", a="one", b="one"))
    app.register_blueprint(_blueprint("two", tmp_path / "two", a="two", b="two", c="two"))
    app.register_blueprint(Blueprint("none", __name__))
    with app.app_context():
        assert [render_template(f"{name}.html") for name in "abc"] == ["app", "one", "two"]
        with pytest.raises(TemplateNotFound):
            render_template("d.html")
    assert sorted(app.jinja_env.list_templates()) == ["a.html", "b.html", "c.html"]


def test_an_app_without_a_folder(app: Quaff) -> None:
    """Without a template folder there is nothing to find, and no error before it is looked for."""
    app.template_folder = None
    app.register_blueprint(Blueprint("none", __name__))
    assert app.jinja_env.list_templates() == []
    with app.app_context(), pytest.raises(TemplateNotFound):
        render_template("page.html")


def test_a_loader_of_ones_own() -> None:
    """An app may make another loader, which the environment then uses."""

    class Shop(Quaff):
        def create_global_jinja_loader(self) -> Any:
            return DictLoader({"page.html": "from a dict"})

    shop = Shop(__name__)
    with shop.app_context():
        assert render_template("page.html") == "from a dict"


def test_the_environment_knows_its_app(app: Quaff) -> None:
    """The loader dispatches by default, and can be given as an option."""
    environment = app.jinja_env
    assert isinstance(environment, templating.Environment)
    assert environment.app is app
    assert isinstance(environment.loader, templating.DispatchingJinjaLoader)
    assert isinstance(environment.loader, BaseLoader)
    given = DictLoader({})
    assert templating.Environment(app, loader=given).loader is given


def test_the_default_processor_has_its_name_here(app: Quaff) -> None:
    """Extensions look `_default_template_ctx_processor` up in this module."""
    assert templating._default_template_ctx_processor is quaff_ctx._default_template_ctx_processor
    with app.test_request_context():
        assert set(templating._default_template_ctx_processor()) <= {"g", "request", "session"}
        assert templating._default_template_ctx_processor()["request"] is request._get_current_object()


def test_quaff_does_not_load_jinja() -> None:
    """Jinja is loaded by the first use of a template, not by `import quaff`."""
    code = (
        "import sys, quaff; assert 'jinja2' not in sys.modules; quaff.render_template; assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
