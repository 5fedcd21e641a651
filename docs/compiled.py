"""Shows on the design page what is really compiled: the text of a generated function, taken from a running app."""

from __future__ import annotations

from pathlib import Path

from werkzeug.test import create_environ, run_wsgi_app

from quaff import Quaff


def hello_source() -> str:
    """Return the source of the function that serves a route without hooks whose view returns a string."""
    app = Quaff("hello", static_folder=None, compiled=True)
    app.add_url_rule("/", "hello", lambda: "Hello, World!")
    run_wsgi_app(app, create_environ("/"))
    table = app._table
    if table is None:
        raise RuntimeError("the app compiled nothing")
    source: str = table.static["/"]["GET"].__quaff_source__  # type: ignore[attr-defined]
    return source


def write_compiled(target: Path) -> None:
    """Write the generated function as a code block into a file that the design page includes."""
    target.parent.mkdir(exist_ok=True)
    target.write_text(f"```python\n{hello_source()}```\n", encoding="utf-8")
