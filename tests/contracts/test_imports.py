"""`import quaff` loads little, and nothing that a production worker does not use."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

MODULES = 187
"""Werkzeug's wrappers and routing, blinker and the json module alone are 145 of these; `import flask` loads 260."""

GUESTS = (
    "asyncio",
    "click",
    "granian",
    "http.server",
    "importlib.metadata",
    "itsdangerous",
    "jinja2",
    "quaff.cli",
    "quaff.compat",
    "quaff.ext",
    "quaff.servers",
    "quaff.templating",
    "quaff.testing",
    "socketserver",
    "werkzeug.debug",
    "werkzeug.serving",
    "werkzeug.test",
)
"""Modules that load only when something of them is used."""


@cache
def modules_after(statement: str) -> frozenset[str]:
    """Return the modules that a fresh interpreter has loaded after *statement*."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], text=True, check=True, capture_output=True)
    return frozenset(done.stdout.split())


def added() -> frozenset[str]:
    """Return what `import quaff` loads beyond a bare interpreter."""
    return modules_after("import quaff") - modules_after("pass")


@pytest.mark.parametrize("guest", GUESTS)
def test_import_brings_no_guest(guest: str) -> None:
    """This module is not loaded by `import quaff`."""
    loaded = {name for name in added() if name == guest or name.startswith(f"{guest}.")}
    assert loaded == set()


def test_import_budget() -> None:
    """`import quaff` loads no more modules than this."""
    assert len(added()) <= MODULES, sorted(added())


def test_an_app_loads_no_guests_either() -> None:
    """Making an app, registering a route and answering a request need neither templates nor command line nor servers."""
    program = (
        "import quaff; app = quaff.Quaff('made'); app.add_url_rule('/', view_func=lambda: 'hi'); "
        "print(b''.join(app({'REQUEST_METHOD': 'GET', 'PATH_INFO': '/', 'SCRIPT_NAME': '', 'SERVER_NAME': 'x', "
        "'SERVER_PORT': '80', 'wsgi.url_scheme': 'http', 'QUERY_STRING': ''}, lambda *a: None)).decode())"
    )
    loaded = modules_after(program)
    assert "hi" in loaded, "the printed answer stands among the names"
    heavy = ("click", "jinja2", "granian", "http.server", "werkzeug.serving", "werkzeug.test")
    assert loaded.isdisjoint(heavy)
