"""Alembic's configuration, with Quaff's templates. Importing this module imports Alembic."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from ._needs import need_alembic

need_alembic()

import alembic  # noqa: E402 - only where it is installed
from alembic.config import Config as AlembicConfig  # noqa: E402

alembic_version: Final = tuple(int(part) for part in alembic.__version__.split(".")[:3] if part.isdigit())
"""The version of Alembic, as numbers."""


class Config(AlembicConfig):
    """Alembic's `Config`: what is in `alembic.ini`, and the options of one command.

    :param args: as for Alembic's class, the path of `alembic.ini` first.
    :param template_directory: where `init` finds its templates; by default in this package.
    :param kwargs: as for Alembic's class.
    """

    def __init__(self, *args: Any, template_directory: str | None = None, **kwargs: Any) -> None:
        self.template_directory = template_directory
        super().__init__(*args, **kwargs)
        if "stdout" not in kwargs:
            # Alembic's default is the output that the process had when Alembic was imported.
            self.stdout = sys.stdout

    def get_template_directory(self) -> str:
        """Return the folder that holds the templates for `init`, each a folder."""
        return self.template_directory or str(Path(__file__).resolve().parent / "templates")


def make_config(directory: str, x_args: Iterable[str] = (), options: Iterable[str] = ()) -> Config:
    """Return the configuration for the migrations in a folder.

    :param x_args: what `-x` gave, for `context.get_x_argument()` in `env.py`.
    :param options: names of flags that `env.py` finds set in `config.cmd_opts`, such as `autogenerate`.
    """
    config = Config(os.path.join(directory, "alembic.ini"))
    set_script_location(config, directory)
    config.cmd_opts = Namespace(x=list(x_args), **dict.fromkeys(options, True))
    return config


def set_script_location(config: Config, directory: str) -> None:
    """Tell Alembic where the migrations are; a per cent sign in a path is no interpolation."""
    config.set_main_option("script_location", directory.replace("%", "%%"))
