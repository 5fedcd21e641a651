"""Importing this module installs the alias: `import quaff.compat.site`.

For processes that start others. In a virtual environment, the line `import quaff.compat.site` in a file `quaff.pth` in
`site-packages` gives the alias to every program that runs there, and to their child processes.
"""

from __future__ import annotations

from .install import install_as_flask

install_as_flask()
