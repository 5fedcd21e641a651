"""What `importlib.metadata` says about "flask" under the alias."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from typing import Final

from .aliases import FLASK_VERSION

FILES: Final = {
    "METADATA": f"""\
Metadata-Version: 2.1
Name: Flask
Version: {FLASK_VERSION}
Summary: Flask's API, provided by Quaff.
Requires-Python: >=3.11
Requires-Dist: quaff
""",
    "entry_points.txt": "[console_scripts]\nflask = flask.cli:main\n",
    "top_level.txt": "flask\n",
    "INSTALLER": "quaff\n",
}
"""The metadata files of the stand-in, by name."""


class FlaskDistribution(Distribution):
    """The distribution "flask" that Quaff stands in for. It has metadata and an entry point, but no files."""

    def read_text(self, filename: str) -> str | None:
        """Return the text of a metadata file, or None when the distribution has no such file."""
        return FILES.get(filename)

    def locate_file(self, path: object) -> Path:
        """Return the place of *path* next to the package `quaff`."""
        return Path(__file__).parents[2] / str(path)


def find_flask(context: DistributionFinder.Context) -> Iterator[Distribution]:
    """Yield the stand-in for a search by the name "flask", and for a search of everything.

    A search that gives a path of its own (pip looking into one folder) finds what is there and nothing else.
    """
    if "path" not in vars(context) and (context.name is None or context.name.lower() == "flask"):
        yield FlaskDistribution()
