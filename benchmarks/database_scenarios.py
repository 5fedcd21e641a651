"""The pages on a database, and the bars: what is asked of the apps in `database_apps.py`."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import database_apps
from benchmarks.scenario import Scenario

OWN_BAR = 0.05
"""What may be Quaff's of a request with many queries, as a share of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page, and how many times as many requests a second Quaff has to answer as Flask."""

    name: str
    title: str
    query: str = ""
    bar: float
    own_bar: float | None = None
    """The share of the request that may be Quaff's; None for a page of one query."""

    @property
    def path(self) -> str:
        """Its address below the server."""
        return f"/{self.name}?{self.query}" if self.query else f"/{self.name}"

    @property
    def scenario(self) -> Scenario:
        """The request, with Flask's and Quaff's app."""
        return Scenario(
            name=f"database:{self.name}",
            title=self.title,
            build=database_apps.build,
            path=f"/{self.name}",
            query=self.query,
            body=None,
            # SQLAlchemy alone takes the place that Falcon has elsewhere.
            falcon=database_apps.bare_app,
        )


PAGES = {
    page.name: page
    for page in (
        Page(name="db", title="one row by its key", bar=3),
        Page(name="queries", title="20 rows, one by one", query="n=20", bar=1.5, own_bar=OWN_BAR),
        Page(name="fortunes", title="a table, sorted, in a template", bar=1.5),
        Page(name="updates", title="20 rows read, changed and committed", query="n=20", bar=1.3, own_bar=OWN_BAR),
    )
}
