"""The app by which Quaff's SQLAlchemy battery is held against Flask-SQLAlchemy, and what it asks of a database.

The pages are those of the TechEmpower benchmarks: `/db` gets one row by its key, `/queries?n=20` twenty, `/fortunes` reads
a table, adds a row and renders all, sorted, in a template, and `/updates?n=20` reads twenty rows, changes and commits them.
All of it goes through the ORM. The lines are the same for both frameworks. `bare_app` does the same work with SQLAlchemy
alone, without a framework: what a framework adds is what it takes beyond that.

`python -m benchmarks.database_apps URL` makes the database and fills it.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast
from urllib.parse import parse_qs

from benchmarks.flask_apps import TEMPLATES, Framework, WSGIApp

DATABASE = "BENCH_DATABASE"
"""The variable that holds the URL of the database."""

PLACES = {"flask": "flask_sqlalchemy", "quaff": "quaff.ext.sqlalchemy"}
WORLDS, FORTUNES = 10_000, 12
HIGHEST = 10_000
ADDED = "Additional fortune added at request time."
SEED = 7
"""Every app draws the same numbers, so that the answers can be compared."""

HTML = "text/html; charset=utf-8"
JSON = "application/json"


def url_of_database() -> str:
    """Return the URL of the database that this process is to use."""
    return os.environ[DATABASE]


def define_models(base: Any) -> tuple[Any, Any]:
    """Return the models `World` and `Fortune` on *base*. Any: SQLAlchemy is not at hand where this file is checked."""
    sa = import_module("sqlalchemy")

    class World(base):
        __tablename__ = "world"
        id = sa.Column(sa.Integer, primary_key=True)
        random_number = sa.Column("randomnumber", sa.Integer, nullable=False)

    class Fortune(base):
        __tablename__ = "fortune"
        id = sa.Column(sa.Integer, primary_key=True)
        message = sa.Column(sa.String(2048), nullable=False)

    return World, Fortune


class Work:
    """What the pages ask of the database, whoever holds the session.

    :param session: returns the session of a request, or stands for it.
    :param models: `World` and `Fortune`.
    """

    def __init__(self, models: tuple[Any, Any]) -> None:
        self._world, self._fortune = models
        self._select = import_module("sqlalchemy").select
        self._draw = random.Random(SEED)

    def _number(self) -> int:
        return self._draw.randint(1, WORLDS)

    def one(self, session: Any) -> dict[str, int]:
        """Get one row by its key."""
        return describe(session.get(self._world, self._number()))

    def several(self, session: Any, count: int) -> list[dict[str, int]]:
        """Get *count* rows by their keys, one by one."""
        return [describe(session.get(self._world, self._number())) for _ in range(count)]

    def fortunes(self, session: Any) -> list[Any]:
        """Read all fortunes, add one and sort them."""
        fortunes = list(session.scalars(self._select(self._fortune)))
        fortunes.append(self._fortune(id=0, message=ADDED))
        fortunes.sort(key=lambda fortune: fortune.message)
        return fortunes

    def update(self, session: Any, count: int) -> list[dict[str, int]]:
        """Get *count* rows, give each a new number and commit."""
        worlds = [session.get(self._world, key) for key in sorted(self._draw.sample(range(1, WORLDS + 1), count))]
        for world in worlds:
            world.random_number = self._draw.randint(1, HIGHEST)
        changed = [describe(world) for world in worlds]
        session.commit()
        return changed


def describe(world: Any) -> dict[str, int]:
    """Return a row as the pages send it."""
    return {"id": world.id, "randomNumber": world.random_number}


def build(framework: Framework) -> WSGIApp:
    """Make the app on the module `flask` or `quaff`, with the library that it has for SQLAlchemy."""
    app: Any = framework.Flask(__name__, template_folder=str(TEMPLATES))
    app.config["SQLALCHEMY_DATABASE_URI"] = url_of_database()
    db = import_module(PLACES[cast(Any, framework).__name__]).SQLAlchemy(app)
    work, session = Work(define_models(db.Model)), db.session
    module: Any = framework
    request, jsonify = module.request, module.jsonify

    def count() -> int:
        return cast(int, request.args.get("n", 1, type=int))

    app.add_url_rule("/db", "db", lambda: jsonify(work.one(session)))
    app.add_url_rule("/queries", "queries", lambda: jsonify(work.several(session, count())))
    app.add_url_rule(
        "/fortunes", "fortunes", lambda: module.render_template("fortunes.html", fortunes=work.fortunes(session))
    )
    app.add_url_rule("/updates", "updates", lambda: jsonify(work.update(session, count())))
    return cast(WSGIApp, app)


def bare_app() -> WSGIApp:
    """Make a bare WSGI function that does the same with a session of SQLAlchemy's, Jinja and the standard library."""
    sa, orm = import_module("sqlalchemy"), import_module("sqlalchemy.orm")
    jinja2 = import_module("jinja2")
    engine = sa.create_engine(url_of_database())
    work = Work(define_models(orm.declarative_base()))
    make = orm.sessionmaker(engine)
    template = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True).get_template(
        "fortunes.html"
    )
    encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
    pages: dict[str, Callable[[Any, int], tuple[str, str]]] = {
        "/db": lambda session, count: (encode(work.one(session)) + "\n", JSON),
        "/queries": lambda session, count: (encode(work.several(session, count)) + "\n", JSON),
        "/fortunes": lambda session, count: (template.render(fortunes=work.fortunes(session)), HTML),
        "/updates": lambda session, count: (encode(work.update(session, count)) + "\n", JSON),
    }

    def bare(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        count = int(parse_qs(environ["QUERY_STRING"]).get("n", ["1"])[0])
        with make() as session:
            text, mimetype = pages[environ["PATH_INFO"]](session, count)
        body = text.encode()
        start_response("200 OK", [("Content-Type", mimetype), ("Content-Length", str(len(body)))])
        return [body]

    return bare


def fill(url: str) -> None:
    """Make the database at *url*, which must not exist yet if a server has it, and fill it."""
    sa, orm = import_module("sqlalchemy"), import_module("sqlalchemy.orm")
    place = sa.engine.make_url(url)
    if place.get_backend_name() == "postgresql":
        server = sa.create_engine(place.set(database="postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{place.database}"'))
        server.dispose()
    base = orm.declarative_base()
    world, fortune = define_models(base)
    engine = sa.create_engine(url)
    base.metadata.create_all(engine)
    draw = random.Random(SEED + 1)
    with orm.Session(engine) as session:
        session.add_all([world(id=key, random_number=draw.randint(1, HIGHEST)) for key in range(1, WORLDS + 1)])
        session.add_all(
            [fortune(id=key, message=f"Fortune {key * 7919 % 100} of <b>the day</b>") for key in range(1, FORTUNES + 1)]
        )
        session.commit()
    engine.dispose()


if __name__ == "__main__":
    fill(sys.argv[1])
