"""What `importlib.metadata` says about Flask, and about the extensions that batteries replace, under the alias."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path

from .aliases import VERSIONS


class StandIn(Distribution):
    """A distribution that Quaff stands in for. It has metadata, and entry points where it has commands, but no files.

    :param name: in lower case with hyphens, as in `aliases.VERSIONS`.
    """

    def __init__(self, name: str) -> None:
        package = name.replace("-", "_")
        self._files = {
            "METADATA": f"""\
Metadata-Version: 2.1
Name: {name.title() if name == "flask" else name}
Version: {VERSIONS[name]}
Summary: The API of {name}, provided by Quaff.
Requires-Python: >=3.11
Requires-Dist: quaff
""",
            "top_level.txt": f"{package}\n",
            "INSTALLER": "quaff\n",
        }
        if name == "flask":
            self._files["entry_points.txt"] = "[console_scripts]\nflask = flask.cli:main\n"

    def read_text(self, filename: str) -> str | None:
        """Return the text of a metadata file, or None when the distribution has no such file."""
        return self._files.get(filename)

    def locate_file(self, path: object) -> Path:
        """Return the place of *path* next to the package `quaff`."""
        return Path(__file__).parents[2] / str(path)


def find_stand_ins(context: DistributionFinder.Context, replaced: frozenset[str]) -> Iterator[Distribution]:
    """Yield the stand-ins for a search by name, and all of them for a search of everything.

    A search that gives a path of its own (pip looking into one folder) finds what is there and nothing else.

    :param replaced: the packages in whose place Quaff is found.
    """
    if "path" in vars(context):
        return
    wanted = None if context.name is None else re.sub(r"[-_.]+", "-", context.name).lower()
    for name in VERSIONS:
        if name.replace("-", "_") in replaced and wanted in {None, name}:
            yield StandIn(name)
