"""The query class of `Model.query`, with answers of 404 and pages."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

import sqlalchemy.exc as sa_exc
import sqlalchemy.orm as sa_orm

from ...helpers import abort
from .pagination import Pagination, QueryPagination

T = TypeVar("T")


def abort_404(description: str | None) -> NoReturn:
    """Answer 404 with a description of one's own, or the usual one."""
    abort(404, description=description)


class Query(sa_orm.Query[T]):
    """SQLAlchemy's query, with what a view needs. SQLAlchemy calls queries legacy; `db.select` is the newer way."""

    def get_or_404(self, ident: Any, description: str | None = None) -> T:
        """Return the row with primary key *ident*, or answer 404."""
        found: T | None = self.get(ident)
        if found is None:
            abort_404(description)
        return found

    def first_or_404(self, description: str | None = None) -> T:
        """Return the first row, or answer 404."""
        found = self.first()
        if found is None:
            abort_404(description)
        return found

    def one_or_404(self, description: str | None = None) -> T:
        """Return the only row; answer 404 when there is none or several."""
        try:
            return self.one()
        except (sa_exc.NoResultFound, sa_exc.MultipleResultsFound):
            abort_404(description)

    def paginate(
        self,
        *,
        page: int | None = None,
        per_page: int | None = None,
        max_per_page: int | None = None,
        error_out: bool = True,
        count: bool = True,
    ) -> Pagination:
        """Return one page of the rows. The arguments are those of `SQLAlchemy.paginate`."""
        return QueryPagination(
            query=self, page=page, per_page=per_page, max_per_page=max_per_page, error_out=error_out, count=count
        )
