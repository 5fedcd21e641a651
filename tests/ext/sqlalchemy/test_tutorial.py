"""The program of the tutorials, word for word, on every database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config['SQLALCHEMY_DATABASE_URI'] = {url!r}
db = SQLAlchemy(app)

class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    username = db.Column(db.String(80), unique=True, nullable=False)
    email = db.Column(db.String(120), unique=True, nullable=False)

    def __repr__(self):
        return f'<User {{self.username}}>'

db.create_all()

db.session.add(User(username="john_doe", email="john@example.com"))
db.session.commit()

users = User.query.all()
user = User.query.filter_by(username="john_doe").first()
print(users, user)
"""


def run_tutorial(folder: Path, url: str) -> str:
    """Run the program as a user does, and return what it prints."""
    program = folder / "tutorial.py"
    program.write_text(TUTORIAL.format(url=url))
    done = subprocess.run(
        [sys.executable, "-m", "quaff", program.name], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_file_is_below_the_instance_folder(tmp_path: Path) -> None:
    """With the URL of the tutorials, a user is stored and found, all at module level; the second run finds the tables."""
    assert run_tutorial(tmp_path, "sqlite:///your_database_file.db") == "[<User john_doe>] <User john_doe>"
    assert (tmp_path / "instance/your_database_file.db").is_file()
    with pytest.raises(AssertionError, match="IntegrityError"):
        run_tutorial(tmp_path, "sqlite:///your_database_file.db")


def test_on_every_database(tmp_path: Path, database_url: str) -> None:
    """It runs the same on MariaDB and PostgreSQL."""
    assert run_tutorial(tmp_path, database_url) == "[<User john_doe>] <User john_doe>"
