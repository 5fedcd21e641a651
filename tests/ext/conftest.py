"""Database servers that are started once for all tests of a run that need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.ext.servers import MariaDB, PostgreSQL, Server, running


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a MariaDB server of this run's own. For tests with `service("mariadb-server")`; none of them may end it."""
    with running(MariaDB(tmp_path_factory.mktemp("mariadb"))) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a PostgreSQL server of this run's own. For tests with `service("postgresql")`; none of them may end it."""
    with running(PostgreSQL(tmp_path_factory.mktemp("postgresql"))) as server:
        yield server


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("mariadb", marks=pytest.mark.service("mariadb-server")),
        pytest.param("postgresql", marks=pytest.mark.service("postgresql")),
    ]
)
def database_url(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    """Give the URL of an empty database, of each kind in turn."""
    return new_database(request.param)


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Callable[[str], str]]:
    """Give a function that makes an empty database of a kind and returns its URL; it is dropped afterwards.

    The kinds are `sqlite`, `mariadb` and `postgresql`.
    """
    import sqlalchemy as sa

    made: list[tuple[sa.URL, str]] = []

    def execute(url: sa.URL, statement: str) -> None:
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.execute(sa.text(statement))

    def make(kind: str) -> str:
        name = f"test_{next(_numbers)}"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        server: Server = request.getfixturevalue(f"{kind}_server")
        url = sa.make_url(server.uri)
        execute(url, f"CREATE DATABASE {name}")
        made.append((url, name))
        return url.set(database=name).render_as_string(hide_password=False)

    yield make
    for url, name in made:
        execute(url, f"DROP DATABASE {name}" + (" WITH (FORCE)" if url.get_backend_name() == "postgresql" else ""))


_numbers = iter(range(1, 1_000_000))
