"""The package, and its place under the name of the extension."""

from __future__ import annotations

import subprocess
import sys

import pytest

from quaff.ext import caching

SUBMODULES = (
    "backends",
    "backends.base",
    "backends.filesystemcache",
    "backends.memcache",
    "backends.nullcache",
    "backends.rediscache",
    "backends.simplecache",
    "contrib",
    "contrib.googlecloudstoragecache",
    "contrib.uwsgicache",
    "jinja2ext",
    "signals",
    "utils",
)
"""The modules of Flask-Caching 2.5.1."""


def test_names() -> None:
    """Each public name is there."""
    assert all(hasattr(caching, name) for name in caching.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        caching.nothing  # noqa: B018


def test_version() -> None:
    """The old attribute says which Flask-Caching this is, and warns."""
    with pytest.warns(DeprecationWarning, match="__version__"):
        assert caching.__version__ == "2.5.1"


def test_alias() -> None:
    """Under the alias `flask_caching` and all its modules are this package and its modules."""
    program = (
        "import importlib, sys; from quaff import install_as_flask; install_as_flask(); import flask_caching\n"
        "assert flask_caching.Cache is importlib.import_module('quaff.ext.caching').Cache\n"
        f"for name in {SUBMODULES!r}:\n"
        "    ours = importlib.import_module('quaff.ext.caching.' + name)\n"
        "    theirs = importlib.import_module('flask_caching.' + name)\n"
        "    names = [n for n, v in vars(ours).items() if getattr(v, '__module__', '').startswith('quaff.ext.caching')]\n"
        "    assert all(getattr(theirs, n) is getattr(ours, n) for n in names), name\n"
        "import importlib.metadata as m; print(m.version('flask-caching'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "2.5.1\n", done.stderr


def test_quaff_does_not_load_it() -> None:
    """`import quaff` leaves the battery, cachelib and the stores' libraries alone; the battery loads no store's library."""
    heavy = "('quaff.ext', 'cachelib', 'redis', 'pymemcache', 'sqlalchemy', 'jinja2')"
    program = (
        f"import sys, quaff; assert not [m for m in {heavy} if m in sys.modules]\n"
        "import quaff.ext.caching as c; app = quaff.Quaff('a'); c.Cache(app, config={'CACHE_TYPE': 'simple'}, "
        "with_jinja2_ext=False)\n"
        "print([m for m in ('redis', 'pymemcache', 'sqlalchemy', 'jinja2', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stdout + done.stderr
