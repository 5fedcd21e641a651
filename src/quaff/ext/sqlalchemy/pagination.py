"""Pages: a slice of a query's rows, and how many pages there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from ...globals import current_context
from ...helpers import abort

PER_PAGE: Final = 20
"""How many items are on a page when nobody says."""


class Pagination:
    """One page of a query. Made by `SQLAlchemy.paginate` and `Query.paginate`; iterating gives the items.

    A subclass says in `_query_items` and `_query_count` how the database is asked.

    :param page: the page, from 1; during a request the `page` of the query string by default.
    :param per_page: the most items on a page; during a request the `per_page` of the query string by default, else 20.
    :param max_per_page: the most that `per_page` may be; None for no bound.
    :param error_out: answer 404 for a page that is empty (unless it is the first), and for numbers that are none or below 1.
    :param count: ask how many items there are in all, which is a query more.
    :param kwargs: what the subclass needs.
    """

    def __init__(
        self,
        page: int | None = None,
        per_page: int | None = None,
        max_per_page: int | None = 100,
        error_out: bool = True,
        count: bool = True,
        **kwargs: Any,
    ) -> None:
        self._query_args = kwargs
        self.page, self.per_page = self._prepare_page_args(
            page=page, per_page=per_page, max_per_page=max_per_page, error_out=error_out
        )
        self.max_per_page = max_per_page
        self.items: list[Any] = self._query_items()
        """The items on this page."""
        if not self.items and self.page != 1 and error_out:
            abort(404)
        self.total: int | None = self._query_count() if count else None
        """How many items there are on all pages; None when it was not asked."""

    @staticmethod
    def _prepare_page_args(
        *,
        page: int | None = None,
        per_page: int | None = None,
        max_per_page: int | None = None,
        error_out: bool = True,
    ) -> tuple[int, int]:
        page = _number("page", page, 1, error_out)
        per_page = _number("per_page", per_page, PER_PAGE, error_out)
        if max_per_page is not None:
            per_page = min(per_page, max_per_page)
        return _at_least_one(page, 1, error_out), _at_least_one(per_page, PER_PAGE, error_out)

    @property
    def _query_offset(self) -> int:
        return (self.page - 1) * self.per_page

    def _query_items(self) -> list[Any]:
        raise NotImplementedError

    def _query_count(self) -> int:
        raise NotImplementedError

    @property
    def first(self) -> int:
        """The number of the first item on this page, counted from 1; 0 when the page is empty."""
        return self._query_offset + 1 if self.items else 0

    @property
    def last(self) -> int:
        """The number of the last item on this page; 0 when the page is empty."""
        return self._query_offset + len(self.items) if self.items else 0

    @property
    def pages(self) -> int:
        """How many pages there are; 0 when there are no items, or they were not counted."""
        return -(-self.total // self.per_page) if self.total else 0

    @property
    def has_prev(self) -> bool:
        """Whether there is a page before this one."""
        return self.page > 1

    @property
    def prev_num(self) -> int | None:
        """The number of the page before this one, or None."""
        return self.page - 1 if self.has_prev else None

    def prev(self, *, error_out: bool = False) -> Pagination:
        """Return the page before this one."""
        return self._turn(-1, error_out)

    @property
    def has_next(self) -> bool:
        """Whether there is a page after this one."""
        return self.page < self.pages

    @property
    def next_num(self) -> int | None:
        """The number of the page after this one, or None."""
        return self.page + 1 if self.has_next else None

    def next(self, *, error_out: bool = False) -> Pagination:
        """Return the page after this one."""
        return self._turn(1, error_out)

    def _turn(self, step: int, error_out: bool) -> Pagination:
        other = type(self)(
            page=self.page + step,
            per_page=self.per_page,
            max_per_page=self.max_per_page,
            error_out=error_out,
            count=False,
            **self._query_args,
        )
        other.total = self.total
        return other

    def iter_pages(
        self, *, left_edge: int = 2, left_current: int = 2, right_current: int = 4, right_edge: int = 2
    ) -> Iterator[int | None]:
        """Yield the numbers of pages for links to them, with None in the place of those that are left out.

        With 20 pages, on page 7: 1, 2, None, 5, 6, 7, 8, 9, 10, 11, None, 19, 20.

        :param left_edge: how many of the first pages.
        :param left_current: how many pages before this one.
        :param right_current: how many pages after this one.
        :param right_edge: how many of the last pages.
        """
        end = self.pages + 1
        groups = (
            (1, 1 + left_edge),
            (self.page - left_current, self.page + right_current + 1),
            (end - right_edge, end),
        )
        done = 1
        for start, stop in groups:
            first, last = max(start, done), min(stop, end)
            if done >= end:
                return
            if first > done:
                yield None
            yield from range(first, last)
            done = max(done, last)

    def __iter__(self) -> Iterator[Any]:
        yield from self.items


class SelectPagination(Pagination):
    """One page of a `select`. Made by `SQLAlchemy.paginate`."""

    def _query_items(self) -> list[Any]:
        select = self._query_args["select"].limit(self.per_page).offset(self._query_offset)
        return list(self._query_args["session"].execute(select).unique().scalars())

    def _query_count(self) -> int:
        rows = self._query_args["select"].options(sa_orm.lazyload("*")).order_by(None).subquery()
        count: int = self._query_args["session"].execute(sa.select(sa.func.count()).select_from(rows)).scalar()
        return count


class QueryPagination(Pagination):
    """One page of a query. Made by `Query.paginate`."""

    def _query_items(self) -> list[Any]:
        items: list[Any] = self._query_args["query"].limit(self.per_page).offset(self._query_offset).all()
        return items

    def _query_count(self) -> int:
        # It leaves eager loads out by itself.
        count: int = self._query_args["query"].order_by(None).count()
        return count


def _number(name: str, given: int | None, default: int, error_out: bool) -> int:
    """Return a number that was given, or that of the query string, or the default."""
    context = current_context.get().request_context
    if given is not None or context is None:
        return default if given is None else given
    try:
        return int(context.request.args.get(name, default))
    except (TypeError, ValueError):
        if error_out:
            abort(404)
        return default


def _at_least_one(number: int, default: int, error_out: bool) -> int:
    if number >= 1:
        return number
    if error_out:
        abort(404)
    return default
