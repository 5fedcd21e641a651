"""Sessions of requests that run at once, over each protocol and in each pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from quaff import Quaff, request, stream_with_context
from quaff.ext.sqlalchemy import SQLAlchemy
from tests.protocols.conftest import Serve, interface, serve  # noqa: F401 - fixtures
from tests.protocols.harness import KINDS, as_kind, until

from .apps import add_user, make_app

Made = tuple[Quaff, SQLAlchemy[Any]]


@pytest.fixture(params=["1", "0"], ids=["compiled", "reference"])
def pipeline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test in each pipeline."""
    monkeypatch.setenv("QUAFF_COMPILED", request.param)


@pytest.fixture
def made(tmp_path: Path, pipeline: None) -> Iterator[Made]:
    """Give an app of each pipeline with a database of a hundred users, and views of each kind that read it."""
    app = make_app(tmp_path)
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    db = SQLAlchemy(app)
    user = add_user(db)
    with app.app_context():
        db.create_all()
        db.session.add_all(user(id=number, name=f"name {number}") for number in range(1, 101))
        db.session.commit()

    def view(number: int) -> Any:
        found = db.session.get(user, number)
        assert found is not None
        # Left in the session, for the end of the request to drop.
        found.name = "changed"
        if number % 10 == 0 and request.path.startswith("/sync"):
            # Left in the transaction. Not on a loop: who waits there for a lock of SQLite holds up who has it.
            db.session.flush()
        if number % 3 == 0:
            raise ValueError(number)
        if number % 5 == 0:
            return app.response_class(stream_with_context(each.name for each in user.query.filter_by(id=number - 1)))
        return f"name {number}"

    for kind in KINDS:
        app.add_url_rule(f"/{kind}/<int:number>", f"view_{kind}", as_kind(kind, view))
    yield app, db
    db.engine.dispose()


@pytest.mark.parametrize("kind", KINDS)
def test_no_connection_is_left(made: Made, serve: Serve, kind: str) -> None:  # noqa: F811
    """Of a hundred requests at once, a third of which fail, each answers right; at the end no connection is in use."""
    app, db = made
    served = serve(app)

    def ask(number: int) -> tuple[int, str]:
        answer = served.client.get(f"/{kind}/{number}")
        return answer.status_code, answer.text

    with ThreadPoolExecutor(8) as threads:
        answers = dict(zip(range(1, 101), threads.map(ask, range(1, 101)), strict=True))
    for number, (status, text) in answers.items():
        if number % 3 == 0:
            assert status == 500
        else:
            assert (status, text) == (200, f"name {number - 1 if number % 5 == 0 else number}")
    assert until(lambda: db.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
