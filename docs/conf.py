"""Configuration of the documentation; build it with `make docs`."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from compiled import write_compiled  # noqa: E402 - these stand beside this file
from measured import write_page  # noqa: E402

project = "Quaff"
author = "Quaff contributors"
copyright = "2026, Quaff contributors"
release = version = installed_version("quaff")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "_generated", "README.md"]
source_suffix = {".md": "markdown"}
nitpicky = False
# Docstrings write code in single backticks.
default_role = "code"

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Values are left out: some are long tables, and others say where a module lies on the machine that builds.
autodoc_default_options = {"members": True, "show-inheritance": True, "no-value": True}
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"Quaff {release}"
html_static_path = ["_static"]
html_show_sphinx = False

write_page(HERE / "_generated" / "measured.md")
write_compiled(HERE / "_generated" / "compiled.md")
