"""Environment variables: those in `.env` files, and the `QUAFF_*` names for Flask's."""

from __future__ import annotations

import os
from typing import Final

import click

from .._internal.imports import need

_OWN: Final = frozenset({"QUAFF_COMPILED", "QUAFF_REQUIRE_SERVICES"})
"""Variables that are Quaff's alone: they have no namesake in Flask."""


def adopt_environment() -> None:
    """Let each variable `QUAFF_NAME` stand for `FLASK_NAME`; where both are set, `QUAFF_NAME` wins.

    Everything below reads the names that Flask has: `FLASK_APP`, `FLASK_DEBUG`, `FLASK_RUN_PORT`, ...
    """
    for name, value in list(os.environ.items()):
        if name.startswith("QUAFF_") and name not in _OWN:
            os.environ[f"FLASK_{name.removeprefix('QUAFF_')}"] = value


def _path_is_ancestor(path: str, other: str) -> bool:
    """Tell whether the folder *path* contains *other*: joining the rest to it gives *other* again."""
    return os.path.join(path, other[len(path) :].lstrip(os.sep)) == other


def load_dotenv(path: str | os.PathLike[str] | None = None, load_defaults: bool = True) -> bool:
    """Set environment variables from files, and tell whether there were any in them.

    A variable that is set already stays. Between the files, *path* wins over `.env`, and `.env` over `.flaskenv`. The
    two defaults are looked for in the current folder and those above it. Without python-dotenv nothing is read, and a
    tip says so where a file is waiting.

    :param path: a file to read; one that does not exist is passed over.
    :param load_defaults: whether to look for `.env` and `.flaskenv`. New in Flask 3.1.
    """
    try:
        dotenv = need("dotenv", "dotenv", "Reading .env files")
    except ImportError:
        if path or os.path.isfile(".env") or os.path.isfile(".flaskenv"):
            tip = " * Tip: There are .env files present. Install python-dotenv to use them."
            click.secho(tip, fg="yellow", err=True)
        adopt_environment()
        return False
    values: dict[str, str | None] = {}
    if load_defaults:
        for name in (".flaskenv", ".env"):
            if found := dotenv.find_dotenv(name, usecwd=True):
                values |= dotenv.dotenv_values(found, encoding="utf-8")
    if path is not None and os.path.isfile(path):
        values |= dotenv.dotenv_values(path, encoding="utf-8")
    for name, value in values.items():
        if value is not None:
            os.environ.setdefault(name, value)
    adopt_environment()
    return bool(values)
