"""Pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.exceptions import NotFound

from quaff import Quaff
from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.pagination import Pagination

from .apps import add_user, make_app

Made = tuple[Quaff, SQLAlchemy[Any], Any]


class Numbers(Pagination):
    """Pages of numbers that no database has."""

    def _query_items(self) -> list[int]:
        return list(range(1, self._query_args["size"] + 1))[self._query_offset :][: self.per_page]

    def _query_count(self) -> int:
        return int(self._query_args["size"])


def test_a_page_in_the_middle() -> None:
    """What is on it, and where it is."""
    page = Numbers(page=2, per_page=10, size=25)
    assert list(page) == page.items == list(range(11, 21))
    assert (page.total, page.pages, page.first, page.last) == (25, 3, 11, 20)
    assert (page.has_prev, page.prev_num, page.has_next, page.next_num) == (True, 1, True, 3)
    assert page.next().items == list(range(21, 26))
    assert page.next().last == 25
    assert page.prev().items == list(range(1, 11))
    assert page.prev().total == 25


def test_the_ends() -> None:
    """Before the first page and after the last there is none."""
    assert Numbers(size=3).prev_num is None
    assert Numbers(size=3).next_num is None
    empty = Numbers(size=0)
    assert (empty.first, empty.last, empty.pages, empty.has_next, list(empty.iter_pages())) == (0, 0, 0, False, [])
    with pytest.raises(NotFound):
        Numbers(size=3).next(error_out=True)
    assert Numbers(size=3).next().items == []


def test_without_a_count() -> None:
    """It is not asked how many there are."""
    page = Numbers(size=50, count=False)
    assert (page.total, page.pages) == (None, 0)


@pytest.mark.parametrize("arguments", [{"page": 0}, {"page": -1}, {"per_page": 0}, {"page": 9, "per_page": 20}])
def test_numbers_that_cannot_be_right(arguments: dict[str, int]) -> None:
    """They are a 404, or with `error_out=False` the default."""
    with pytest.raises(NotFound):
        Numbers(size=5, **arguments)
    page = Numbers(size=5, error_out=False, **arguments)
    assert page.per_page == 20
    assert page.page == (9 if arguments.get("page") == 9 else 1)


def test_a_bound_to_what_users_ask_for() -> None:
    """100 is the most, unless the bound is lifted."""
    assert Numbers(size=5, per_page=1000).per_page == 100
    assert Numbers(size=5, per_page=1000, max_per_page=None).per_page == 1000


@pytest.mark.parametrize(
    "query,expected",
    [("", (1, 20)), ("page=2&per_page=2", (2, 2)), ("per_page=500", (1, 100))],
)
def test_the_query_string(app: Quaff, query: str, expected: tuple[int, int]) -> None:
    """During a request the numbers come from the query string, unless they are given."""
    with app.test_request_context(f"/?{query}"):
        page = Numbers(size=5)
        assert (page.page, page.per_page) == expected
        assert Numbers(size=5, page=1, per_page=3).per_page == 3


@pytest.mark.parametrize("query", ["page=x", "per_page=x", "page=", "page=0", "page=99999999999999999999"])
def test_a_query_string_that_cannot_be_right(app: Quaff, query: str) -> None:
    """It is a 404, or counts as if it were not there."""
    with app.test_request_context(f"/?{query}"):
        with pytest.raises(NotFound):
            Numbers(size=5)
        assert Numbers(size=5, error_out=False).per_page == 20


@pytest.mark.parametrize(
    "page,arguments,expected",
    [
        (1, {}, [1, 2, 3, 4, 5, None, 19, 20]),
        (7, {}, [1, 2, None, 5, 6, 7, 8, 9, 10, 11, None, 19, 20]),
        (20, {}, [1, 2, None, 18, 19, 20]),
        (4, {}, [1, 2, 3, 4, 5, 6, 7, 8, None, 19, 20]),
        (15, {}, [1, 2, None, 13, 14, 15, 16, 17, 18, 19, 20]),
        (
            10,
            {"left_edge": 0, "right_edge": 0, "left_current": 1, "right_current": 1},
            [None, 9, 10, 11, None],
        ),
        (1, {"left_edge": 30}, list(range(1, 21))),
        (2, {"left_edge": 1, "left_current": 0, "right_current": 0, "right_edge": 1}, [1, 2, None, 20]),
    ],
)
def test_links_to_pages(page: int, arguments: dict[str, int], expected: list[int | None]) -> None:
    """The first, the last and those around this one; None where some are left out."""
    assert list(Numbers(page=page, per_page=5, size=100).iter_pages(**arguments)) == expected


def test_a_subclass_has_to_say_how() -> None:
    """The base class asks no database."""
    with pytest.raises(NotImplementedError):
        Pagination()
    with pytest.raises(NotImplementedError):
        Pagination._query_count(object.__new__(Pagination))


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Give an app in a context, its database with fifty users, and their model."""
    app = make_app(tmp_path)
    db = SQLAlchemy(app)
    user = add_user(db)
    with app.app_context():
        db.create_all()
        db.session.add_all(user(name=f"{number:02}") for number in range(50))
        db.session.commit()
        yield app, db, user


@pytest.mark.parametrize("style", ["select", "query"])
def test_pages_of_a_table(made: Made, style: str) -> None:
    """A `select` and a query give the same pages."""
    _, db, user = made
    if style == "select":
        statement = db.select(user).where(user.name < "25").order_by(user.name.desc())
        page = db.paginate(statement, page=2, per_page=10)
    else:
        page = user.query.filter(user.name < "25").order_by(user.name.desc()).paginate(page=2, per_page=10)
    assert [each.name for each in page] == [f"{number:02}" for number in range(14, 4, -1)]
    assert (page.total, page.pages) == (25, 3)
    assert [each.name for each in page.next()] == ["04", "03", "02", "01", "00"]


def test_pages_with_a_joined_collection(made: Made) -> None:
    """An eager load of a collection neither repeats items nor changes their number."""
    _, db, user = made

    class Post(db.Model):  # type: ignore[name-defined,misc]
        id = db.Column(db.Integer, primary_key=True)
        user_id = db.Column(db.ForeignKey(user.id))
        author = db.relationship(user, backref=db.backref("posts", lazy="joined"))

    db.create_all()
    db.session.add_all(Post(user_id=1) for _ in range(3))
    db.session.commit()
    page = db.paginate(db.select(user).order_by(user.id), per_page=5, page=1)
    assert [each.id for each in page] == [1, 2, 3, 4, 5]
    assert (len(page.items[0].posts), page.total) == (3, 50)
