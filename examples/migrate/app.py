from quaff import Quaff
from quaff.ext.migrate import Migrate, upgrade
from quaff.ext.sqlalchemy import SQLAlchemy

# The folder migrations/ was made with these commands, the models growing in between:
#   quaff db init
#   quaff db migrate -m "add notes"
#   quaff db migrate -m "notes have an author"
# Try: quaff db history; quaff db upgrade; quaff db current; quaff db check
app = Quaff(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///notes.db"
db = SQLAlchemy(app)
Migrate(app, db)


class Note(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    text = db.Column(db.String(200), nullable=False)
    author = db.Column(db.String(40))


@app.get("/")
def index():
    notes = db.session.execute(db.select(Note).order_by(Note.id)).scalars()
    return [{"text": note.text, "author": note.author} for note in notes]


@app.post("/<author>/<text>")
def write(author, text):
    db.session.add(Note(text=text, author=author))
    db.session.commit()
    return "written", 201


if __name__ == "__main__":
    with app.app_context():
        upgrade()
    app.run(port=5001)
