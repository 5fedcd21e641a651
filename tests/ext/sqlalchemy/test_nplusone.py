"""quaff.ext.sqlalchemy.nplusone: who loads one object after another is told so, once, with the place and the way out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

sa = pytest.importorskip("sqlalchemy")

from jinja2 import Environment, FileSystemLoader  # noqa: E402
from sqlalchemy.orm import (  # noqa: E402
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    selectinload,
    undefer,
)

from quaff.ext.sqlalchemy.nplusone import NPlusOneError, NPlusOneWarning, find_place, mode_for, watch  # noqa: E402


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(deferred=True, default="A. Writer")
    books: Mapped[list[Book]] = relationship(back_populates="author", order_by="Book.id")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


@pytest.fixture(scope="module")
def engine() -> Iterator[sa.Engine]:
    """Give a database with five authors who wrote two books each."""
    engine = sa.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Author(books=[Book(), Book()]) for _ in range(5)])
        session.commit()
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: sa.Engine) -> Iterator[Session]:
    """Give a session of that database."""
    with Session(engine) as session:
        yield session


def test_a_relationship_that_is_loaded_object_by_object(session: Session) -> None:
    """The warning names the relationship, the line that reads it and what to write; it comes once for all of them."""
    watch(session, "warn")

    def count() -> list[int]:
        return [len(author.books) for author in session.scalars(sa.select(Author))]

    line = count.__code__.co_firstlineno + 1
    with pytest.warns(NPlusOneWarning) as caught:
        assert count() == [2] * 5
    (warning,) = caught
    assert (warning.filename, warning.lineno) == (__file__, line)
    assert str(warning.message) == (
        "N+1 queries: Author.books was loaded 3 times in one request, with a query for each Author, at"
        f" {__file__}:{line} (return [len(author.books) for author in session.scalars(sa.select(Author))])."
        " Load it together with the objects: select(Author).options(selectinload(Author.books))."
    )


def test_the_advice_helps(session: Session) -> None:
    """What the warning says to write brings no warning."""
    watch(session, "raise")
    for author in session.scalars(sa.select(Author).options(selectinload(Author.books))):
        assert len(author.books) == 2
    session.expunge_all()
    for author in session.scalars(sa.select(Author).options(undefer(Author.name))):
        assert author.name == "A. Writer"


def test_the_other_way_round(session: Session) -> None:
    """A many-to-one relationship counts what is asked for: an author who is known already is not."""
    watch(session, "raise", threshold=5)
    with pytest.raises(
        NPlusOneError, match=r"Book\.author was loaded 5 times in one request, with a query for each Book"
    ):
        for book in session.scalars(sa.select(Book)):
            assert book.author.id == book.author_id
    session.expunge_all()
    assert len(session.scalars(sa.select(Author)).all()) == 5
    for book in session.scalars(sa.select(Book)):
        assert book.author.id


def test_columns_that_are_loaded_object_by_object(session: Session) -> None:
    """Deferred columns, and those that a commit expired, are as slow; the advice fits them."""
    watch(session, "raise")
    with pytest.raises(NPlusOneError, match=r"columns of Author were loaded 3 times .*[(]undefer\("):
        for author in session.scalars(sa.select(Author)):
            assert author.name
    session.rollback()
    books = session.scalars(sa.select(Book)).all()
    session.commit()
    with pytest.raises(NPlusOneError, match=r"columns of Book .*'expire_on_commit': False"):
        assert [book.author_id for book in books]


def test_fewer_than_the_threshold(session: Session) -> None:
    """Up to the threshold, nothing happens; nor do queries count that the program writes itself."""
    watch(session, "raise", threshold=3)
    for author in session.scalars(sa.select(Author).limit(2)):
        assert author.books
    for number in range(1, 11):
        assert session.get(Book, number)
        assert session.scalars(sa.select(Book).filter_by(id=number)).one()


def test_relationships_count_apart(session: Session) -> None:
    """Two relationships that are loaded twice are not one that is loaded four times."""
    watch(session, "raise")
    for author in session.scalars(sa.select(Author).limit(2)):
        assert author.books
    session.expunge_all()
    for book in session.scalars(sa.select(Book).filter(Book.id.in_([1, 3]))):
        assert book.author


def test_the_line_of_a_template(session: Session, tmp_path: Path) -> None:
    """In a template, it is the template's line that is named."""
    (tmp_path / "list.html").write_text(
        "<ul>\n{% for author in authors %}\n  {{ author.books|length }}\n{% endfor %}\n"
    )
    template = Environment(loader=FileSystemLoader(tmp_path), autoescape=True).get_template("list.html")
    watch(session, "warn")
    with pytest.warns(NPlusOneWarning, match=r"list\.html:3 \(\{\{ author\.books\|length \}\}\)"):
        template.render(authors=session.scalars(sa.select(Author)).all())


def test_without_a_place() -> None:
    """A stack that is not the program's has no place."""
    assert find_place(None) is None


def test_off_is_free(session: Session) -> None:
    """A session that is not watched has no listener."""
    watch(session, "off")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for author in session.scalars(sa.select(Author)):
            assert author.books
    assert not list(session.dispatch.do_orm_execute)


def test_what_the_setting_means() -> None:
    """Without a setting it warns in debug mode only; a setting holds in any mode."""
    assert (mode_for(None, debug=True), mode_for(None, debug=False)) == ("warn", "off")
    assert (mode_for("raise", debug=False), mode_for("off", debug=True)) == ("raise", "off")
    with pytest.raises(ValueError, match="SQLALCHEMY_N_PLUS_ONE is one of 'off', 'warn', 'raise', not 'loud'"):
        mode_for("loud", debug=True)
