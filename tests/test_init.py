"""The package's door: what is there at once, what comes later, and what the names are."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import quaff
from quaff import globals as quaff_globals

LATER = ["install_as_flask", "render_template", "render_template_string", "stream_template", "stream_template_string"]

WHERE = {
    "Blueprint": "quaff.blueprints",
    "Config": "quaff.config",
    "Quaff": "quaff.app",
    "Request": "quaff.wrappers",
    "Response": "quaff.wrappers",
    "abort": "quaff.helpers",
    "after_this_request": "quaff.ctx",
    "copy_current_request_context": "quaff.ctx",
    "flash": "quaff.helpers",
    "has_app_context": "quaff.ctx",
    "has_request_context": "quaff.ctx",
    "jsonify": "quaff.json",
    "make_response": "quaff.helpers",
    "redirect": "quaff.helpers",
    "render_template": "quaff.templating",
    "render_template_string": "quaff.templating",
    "send_file": "quaff.helpers",
    "send_from_directory": "quaff.helpers",
    "stream_template": "quaff.templating",
    "stream_template_string": "quaff.templating",
    "stream_with_context": "quaff.helpers",
    "url_for": "quaff.helpers",
}


def run(code: str) -> str:
    """Return what a fresh interpreter prints for *code*."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name, module", WHERE.items())
def test_each_name_comes_from_its_module(name: str, module: str) -> None:
    """A name on the door is the object of the module where a Flask developer looks for it."""
    value = getattr(quaff, name)
    assert value is getattr(sys.modules[module], name)
    assert value.__module__ == module


@pytest.mark.parametrize("name", ["current_app", "g", "request", "session"])
def test_the_proxies_are_those_of_globals(name: str) -> None:
    """The typed names on the door are the very proxies."""
    assert getattr(quaff, name) is getattr(quaff_globals, name)


def test_flask_is_the_same_class() -> None:
    """`Flask` is an alias, not a subclass: `isinstance` holds both ways."""
    assert quaff.Flask is quaff.Quaff
    assert isinstance(quaff.Flask("shop"), quaff.Quaff)


@pytest.mark.parametrize("name", LATER)
def test_late_names_are_listed_and_kept(name: str) -> None:
    """A name that loads on first use is in `dir`, and after that use it is a plain attribute."""
    assert name in dir(quaff)
    value = getattr(quaff, name)
    assert vars(quaff)[name] is value
    assert getattr(quaff, name) is value


def test_an_unknown_name() -> None:
    """A name that is not there is an AttributeError that names module and attribute."""
    with pytest.raises(AttributeError, match="module 'quaff' has no attribute 'flash_message'"):
        _ = quaff.flash_message  # type: ignore[attr-defined]
    assert not hasattr(quaff, "Markup")


def test_json_is_the_module() -> None:
    """`from quaff import json` is the package with `dumps` and `loads`, as in Flask."""
    assert quaff.json is sys.modules["quaff.json"]
    assert quaff.json.loads("[1]") == [1]


@pytest.mark.parametrize(
    "module", ["jinja2", "click", "granian", "werkzeug.serving", "werkzeug.test", "itsdangerous", "asyncio"]
)
def test_import_leaves_the_heavy_parts_out(module: str) -> None:
    """`import quaff` does not load what a worker process may never need."""
    assert run(f"import sys, quaff; print({module!r} in sys.modules)") == "False"


def test_making_an_app_loads_none_of_them_either() -> None:
    """An app with a route, a blueprint and a hook is made without Jinja2, Click and the test client."""
    code = """
import sys
from quaff import Blueprint, Quaff
app, part = Quaff("shop"), Blueprint("part", "shop")
part.add_url_rule("/", "index", lambda: "hello")
app.before_request(lambda: None)
app.register_blueprint(part)
print(sorted({"jinja2", "click", "werkzeug.test", "werkzeug.serving", "itsdangerous"} & set(sys.modules)))
"""
    assert run(code) == "[]"


def test_star_import_does_not_fail() -> None:
    """`from quaff import *` brings the usual names."""
    assert run("from quaff import *; print(Quaff.__name__, callable(url_for))") == "Quaff True"


def test_the_first_program() -> None:
    """The program in the package's docstring runs and answers."""
    lines = (quaff.__doc__ or "").splitlines()
    program = "\n".join(line[4:] for line in lines if line.startswith("    "))
    scope: dict[str, Any] = {"__name__": "shop"}
    exec(program, scope)
    assert scope["app"].test_client().get("/").text == "Hello, World!"
