from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from quaff import Quaff, jsonify, request
from quaff.ext.sqlalchemy import SQLAlchemy
from quaff.ext.sqlalchemy.model import Model


class Base(Model, DeclarativeBase):
    pass


# Try: curl -d title=Emma -d author=Austen http://localhost:5001/books; curl http://localhost:5001/books
app = Quaff(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
app.config["SQLALCHEMY_RECORD_QUERIES"] = True
db = SQLAlchemy(app, model_class=Base)


class Author(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Book(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books", lazy="joined")


@app.get("/books")
def books():
    page = db.paginate(db.select(Book).order_by(Book.title), max_per_page=50)
    found = [{"title": book.title, "author": book.author.name} for book in page]
    return jsonify(books=found, pages=page.pages, total=page.total)


@app.post("/books")
def add():
    name = request.form["author"]
    author = db.session.scalars(db.select(Author).filter_by(name=name)).first() or Author(name=name)
    book = Book(title=request.form["title"], author=author)
    db.session.add(book)
    db.session.commit()
    return jsonify(id=book.id), 201


@app.get("/books/<int:number>")
def book(number):
    return jsonify(title=db.get_or_404(Book, number, description="There is no such book.").title)


# The only app of this `db` is meant, so this needs no context.
db.create_all()

if __name__ == "__main__":
    app.run(port=5001)
