"""A client that wrote reads from the primary for a few seconds; its cookie cannot be made up, and makes no page private."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from itsdangerous import TimestampSigner

from quaff.ext.caching import Cache
from quaff.ext.sqlalchemy import sticky

from .test_replicas import Cluster, fill


@pytest.fixture
def cluster(tmp_path: Any) -> Cluster:
    """Give an app with a replica, and views that read and write."""
    return make_cluster(tmp_path)


def make_cluster(tmp_path: Any, **config: Any) -> Cluster:
    """Return an app with a replica, and views that read and write."""
    made = Cluster(
        fill(f"sqlite:///{tmp_path}/main.db", "primary"), fill(f"sqlite:///{tmp_path}/replica.db", "replica"), **config
    )
    app, db, place = made.app, made.db, made.Place

    @app.get("/")
    def read() -> str:
        return made.read()

    @app.post("/")
    def write() -> str:
        db.session.execute(sa.update(place).values(id=1))
        db.session.commit()
        return "written"

    @app.post("/async")
    async def write_async() -> str:
        await db.async_session.execute(sa.update(place).values(id=1))
        await db.async_session.commit()
        return "written"

    return made


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Give what lets seconds pass for the signatures."""
    now = [1_700_000_000]
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: now[0])

    def move(seconds: int) -> None:
        now[0] += seconds

    return move


@pytest.mark.parametrize("path", ["/", "/async"])
def test_the_next_requests_read_what_was_written(cluster: Cluster, pass_time: Callable[[int], None], path: str) -> None:
    """Of this client, for five seconds."""
    client, other = cluster.app.test_client(), cluster.app.test_client()
    assert client.get("/").text == "replica"
    client.post(path)
    assert client.get("/").text == "primary"
    assert other.get("/").text == "replica"
    pass_time(5)
    assert client.get("/").text == "primary"
    pass_time(1)
    assert client.get("/").text == "replica"


def test_the_cookie(cluster: Cluster) -> None:
    """It is set by requests that wrote only, and no script can read it."""
    client = cluster.app.test_client()
    assert "Set-Cookie" not in client.get("/").headers
    (header,) = client.post("/").headers.getlist("Set-Cookie")
    assert header.startswith("db_primary=")
    assert header.endswith("; Max-Age=6; HttpOnly; Path=/; SameSite=Lax")
    # A request that only reads does not make it last longer.
    assert "Set-Cookie" not in client.get("/").headers


def test_it_is_secure_where_the_sessions_is(tmp_path: Any) -> None:
    """With the path and domain of the session's cookie."""
    cluster = make_cluster(tmp_path, SESSION_COOKIE_SECURE=True, SESSION_COOKIE_PATH="/app")
    (header,) = cluster.app.test_client().post("/").headers.getlist("Set-Cookie")
    assert "; Secure;" in header
    assert "Path=/app" in header


@pytest.mark.parametrize("value", ["1", "", "1.aaaa.bbbb", "1.ZVPvAA.0000000000000000000000000000"])
def test_one_that_was_made_up_is_worth_nothing(cluster: Cluster, value: str) -> None:
    """Else anybody could move all reading to the primary."""
    client = cluster.app.test_client()
    client.set_cookie("db_primary", value)
    assert client.get("/").text == "replica"


def test_one_of_another_purpose_is_worth_nothing(cluster: Cluster) -> None:
    """The same key signs other things."""
    client = cluster.app.test_client()
    client.set_cookie("db_primary", TimestampSigner("a key for tests", salt="other").sign("1").decode())
    assert client.get("/").text == "replica"


def test_an_older_key_is_still_known(cluster: Cluster) -> None:
    """When keys are rotated."""
    client = cluster.app.test_client()
    client.post("/")
    cluster.app.config.update(SECRET_KEY="a newer key", SECRET_KEY_FALLBACKS=["a key for tests"])
    assert client.get("/").text == "primary"


@pytest.mark.parametrize(
    "config", [{"SQLALCHEMY_REPLICAS_STICKY": 0}, {"SECRET_KEY": None}], ids=["switched off", "without a key"]
)
def test_without_it_only_the_request_itself_sticks(tmp_path: Any, config: dict[str, Any]) -> None:
    """There is no cookie."""
    cluster = make_cluster(tmp_path)
    cluster.app.config.update(config)
    if "SQLALCHEMY_REPLICAS_STICKY" in config:
        cluster = make_cluster(tmp_path / "..", **config)
    client = cluster.app.test_client()
    assert "Set-Cookie" not in client.post("/").headers
    assert client.get("/").text == "replica"


def test_its_name_and_time_are_settings(tmp_path: Any, pass_time: Callable[[int], None]) -> None:
    """For sites that have a cookie of that name, or slower replicas."""
    cluster = make_cluster(tmp_path, SQLALCHEMY_REPLICAS_COOKIE="wrote", SQLALCHEMY_REPLICAS_STICKY=60)
    client = cluster.app.test_client()
    client.post("/")
    assert client.get_cookie("wrote") is not None
    pass_time(59)
    assert client.get("/").text == "primary"


def test_a_page_stays_cacheable(cluster: Cluster) -> None:
    """That the choice looked at a cookie makes nobody's page of it."""
    cache = Cache(cluster.app, config={"CACHE_TYPE": "SimpleCache"})
    calls: list[str] = []

    @cluster.app.get("/cached")
    @cache.cached()
    def cached() -> str:
        calls.append(cluster.read())
        return calls[-1]

    client = cluster.app.test_client()
    client.set_cookie("db_primary", "1")
    assert [client.get("/cached").text, client.get("/cached").text] == ["replica", "replica"]
    assert calls == ["replica"]


def test_outside_of_requests_nothing_is_remembered(cluster: Cluster) -> None:
    """There is nobody to give a cookie to."""
    with cluster.app.app_context():
        cluster.write(9)
        assert sticky.has_just_written(sticky.Stickiness()) is False
