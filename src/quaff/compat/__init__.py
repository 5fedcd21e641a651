"""The Flask alias: `import flask` gives Quaff, whether or not the real Flask is installed.

`install_as_flask()` puts one finder in front of `sys.meta_path`. It answers three questions:

- *Where is module `flask...`?* Submodules are the very objects of Quaff (`flask.app is quaff.app`), so that classes are
  identical and patching one name patches the other. `flask` itself is a small module of its own that reads, sets and
  deletes through to `quaff` (`flask_module.py`); it is the only place where names that Flask has removed exist.
- *Which distribution is "flask"?* Flask 3.1.3, in front of one that may be installed (`metadata.py`).
- *What does Werkzeug, Jinja2, ... no longer have?* Modules that lost names get them back as they load (`removed.py` is
  the list, `patching.py` the mechanism, `old_*.py` the code). Each use warns once, and says what to write instead.

Nothing is imported before a program asks for it: a virtual environment may install the alias at every start of its
interpreter (`site.py`), and most of those programs never import Flask.

Nothing else in Quaff imports this package. Read first: `tests/compat/test_alias.py`.
"""

from __future__ import annotations

from .install import flask_alias_installed, install_as_flask, uninstall_flask_alias

__all__ = ["flask_alias_installed", "install_as_flask", "uninstall_flask_alias"]
