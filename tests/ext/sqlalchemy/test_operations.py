"""quaff.ext.sqlalchemy.operations: what `db` does when something goes wrong, on each kind of database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy import exc  # noqa: E402

from quaff import Blueprint, Quaff, request  # noqa: E402
from quaff.ext.sqlalchemy import SQLAlchemy  # noqa: E402
from quaff.ext.sqlalchemy.failures import DatabaseConflict, DatabaseUnavailable, Kind  # noqa: E402
from quaff.ext.sqlalchemy.nplusone import NPlusOneError, NPlusOneWarning  # noqa: E402


class Shop:
    """An app with customers and their orders.

    :param url: of the database.
    :param config: more of the configuration.
    """

    def __init__(self, url: str, **config: Any) -> None:
        self.app = app = Quaff("shop")
        app.config.update(SQLALCHEMY_DATABASE_URI=url, **config)
        self.db = db = SQLAlchemy(app)

        class Customer(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            username = db.Column(db.String(80), unique=True, nullable=False)
            orders = db.relationship("Order", backref="customer")

        class Order(db.Model):
            __tablename__ = "orders"
            id = db.Column(db.Integer, primary_key=True)
            customer_id = db.Column(db.Integer, db.ForeignKey("customer.id"), nullable=False)

        self.Customer, self.Order = Customer, Order
        app.add_url_rule("/customers", view_func=self.add, methods=["POST"])
        app.add_url_rule("/customers", endpoint="list", view_func=self.names)
        app.add_url_rule("/orders", view_func=self.order, methods=["POST"])
        app.add_url_rule("/counts", view_func=self.counts)

    def add(self) -> tuple[str, int]:
        self.db.session.add(self.Customer(username=request.form.get("username")))
        self.db.session.commit()
        return "added", 201

    def order(self) -> tuple[str, int]:
        self.db.session.add(self.Order(customer_id=int(request.form["customer"])))
        self.db.session.commit()
        return "ordered", 201

    def names(self) -> list[str]:
        return [customer.username for customer in self.Customer.query.order_by("id")]

    def counts(self) -> list[int]:
        return [len(customer.orders) for customer in self.Customer.query.order_by("id")]


@pytest.fixture
def make_shop(database_url: str) -> Iterator[Callable[..., Shop]]:
    """Give a function that makes the app on an empty database of each kind in turn."""
    made: list[Shop] = []

    def make(**config: Any) -> Shop:
        shop = Shop(database_url, **config)
        made.append(shop)
        with shop.app.app_context():
            shop.db.create_all()
        return shop

    yield make
    for shop in made:
        with shop.app.app_context():
            shop.db.engine.dispose()


# Conflicts -----------------------------------------------------------------------------------------------------------------


def test_a_duplicate_is_an_error_until_asked(make_shop: Callable[..., Shop]) -> None:
    """Without a word of the app's, a duplicate is the error that it always was, and the session is clean afterwards."""
    shop = make_shop()
    client = shop.app.test_client()
    assert client.post("/customers", data={"username": "ann"}).status_code == 201
    assert client.post("/customers", data={"username": "ann"}).status_code == 500
    shop.app.testing = True
    with pytest.raises(exc.IntegrityError):
        client.post("/customers", data={"username": "ann"})
    assert client.get("/customers").json == ["ann"]


def test_409_everywhere(make_shop: Callable[..., Shop]) -> None:
    """With the setting, duplicates and orders of nobody are 409; no name is a mistake, so 500. No value leaks."""
    shop = make_shop(SQLALCHEMY_CONFLICT_AS_409=True)
    client = shop.app.test_client()
    assert client.post("/customers", data={"username": "ann@example.com"}).status_code == 201
    response = client.post("/customers", data={"username": "ann@example.com"})
    assert response.status_code == 409
    assert not any(word in response.text for word in ("ann@", "username", "customer", "INSERT", "Duplicate"))
    assert client.post("/orders", data={"customer": "1"}).status_code == 201
    assert client.post("/orders", data={"customer": "99"}).status_code == 409
    assert client.post("/customers").status_code == 500
    assert client.get("/customers").json == ["ann@example.com"]


def test_a_handler_knows_more(make_shop: Callable[..., Shop]) -> None:
    """A handler of the app's sees what kind of conflict it is, and of what; and it can use the session."""
    shop = make_shop(SQLALCHEMY_CONFLICT_AS_409=True)

    @shop.app.errorhandler(DatabaseConflict)
    def conflict(error: DatabaseConflict) -> tuple[dict[str, Any], int]:
        assert isinstance(error.__cause__, exc.IntegrityError)
        there = shop.Customer.query.count()
        return {"kind": error.kind.value, "of": error.constraint or "", "there": there}, 409

    client = shop.app.test_client()
    client.post("/customers", data={"username": "ann"})
    told = client.post("/customers", data={"username": "ann"}).json
    assert (told["kind"], told["there"]) == ("duplicate", 1)
    assert "username" in told["of"]
    assert client.post("/orders", data={"customer": "99"}).json["kind"] == "reference"


def test_409_for_one_view_or_block(make_shop: Callable[..., Shop]) -> None:
    """Views are decorated, sync or async; a block says where a conflict may be, and the view can do without a 409."""
    shop = make_shop()
    db = shop.db

    @shop.app.post("/sync/<name>")
    @db.conflict_as_409
    def add_one(name: str) -> str:
        db.session.add(shop.Customer(username=name))
        db.session.commit()
        return "added"

    @shop.app.post("/async/<name>")
    @db.conflict_as_409
    async def add_async(name: str) -> str:
        return add_one(name)

    @shop.app.post("/block/<name>")
    def add_if_new(name: str) -> str:
        try:
            with db.conflicts():
                db.session.add(shop.Customer(username=name))
                db.session.flush()
        except DatabaseConflict:
            return f"one of {shop.Customer.query.count()}"
        return "new"

    client = shop.app.test_client()
    assert client.post("/sync/ann").text == "added"
    assert client.post("/sync/ann").status_code == 409
    assert client.post("/async/ann").status_code == 409
    assert client.post("/async/bob").text == "added"
    assert client.post("/block/ann").text == "one of 2"
    assert client.post("/block/cid").text == "new"
    assert client.get("/customers").json == ["ann", "bob"]


def test_async_sessions(make_shop: Callable[..., Shop], database_url: str) -> None:
    """Errors of async sessions mean the same."""
    pytest.importorskip({"sqlite": "aiosqlite", "mysql": "aiomysql"}.get(database_url.partition("+")[0], "psycopg"))
    shop = make_shop(SQLALCHEMY_CONFLICT_AS_409=True)

    @shop.app.post("/async/<name>")
    async def add_async(name: str) -> str:
        shop.db.async_session.add(shop.Customer(username=name))
        await shop.db.async_session.commit()
        return "added"

    client = shop.app.test_client()
    assert client.post("/async/ann").text == "added"
    assert client.post("/async/ann").status_code == 409
    assert client.post("/async/bob").text == "added"
    assert client.get("/customers").json == ["ann", "bob"]


# Whose handlers come first ----------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Give the app on an SQLite file whose pool has one connection."""
    options = {"poolclass": sa.QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.01}
    made = Shop(f"sqlite:///{tmp_path / 'a.db'}", SQLALCHEMY_ENGINE_OPTIONS=options)
    with made.app.app_context():
        made.db.create_all()
        made.db.session.add_all([made.Customer(username=name, orders=[made.Order()]) for name in "abcde"])
        made.db.session.commit()
    yield made
    with made.app.app_context():
        made.db.engine.dispose()


def full(shop: Shop) -> Any:
    """Return a block in which somebody else has the only connection."""
    with shop.app.app_context():
        return shop.db.engine.connect()


def test_a_pool_without_a_connection_left(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Who waited in vain for a connection gets 503 with `Retry-After`, the log one line for all; afterwards all is well."""
    shop.app.config["SQLALCHEMY_RETRY_AFTER"] = 3
    client = shop.app.test_client()
    with full(shop):
        responses = [client.get("/customers") for _ in range(5)]
    assert [(response.status_code, response.headers["Retry-After"]) for response in responses] == [(503, "3")] * 5
    assert "QueuePool" not in responses[0].text
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert errors[0].exc_info is None
    assert client.get("/customers").status_code == 200


def test_a_handler_for_503(shop: Shop) -> None:
    """An app's page for 503 is shown, and knows why."""

    @shop.app.errorhandler(503)
    def busy(error: DatabaseUnavailable) -> tuple[str, int]:
        return f"busy: {error.kind.value}", 503

    with full(shop):
        assert shop.app.test_client().get("/customers").text == "busy: pool"


def test_a_handler_for_everything(shop: Shop) -> None:
    """A handler for `Exception` gets the 503 for an outage, and anything else as it is."""
    seen: list[BaseException] = []

    @shop.app.errorhandler(Exception)
    def everything(error: Exception) -> tuple[str, int]:
        seen.append(error)
        return "sorry", 500

    client = shop.app.test_client()
    with full(shop):
        assert client.get("/customers").text == "sorry"
    assert client.post("/customers").text == "sorry"
    assert [type(error) for error in seen] == [DatabaseUnavailable, exc.IntegrityError]
    assert isinstance(seen[0].__cause__, exc.TimeoutError)


@pytest.mark.parametrize("cls", [exc.SQLAlchemyError, exc.TimeoutError])
def test_a_handler_for_errors_of_sqlalchemy(shop: Shop, cls: type[Exception]) -> None:
    """COMPAT: a handler for errors of SQLAlchemy gets all of them as they are, registered before or after."""
    shop.app.register_error_handler(cls, lambda error: (type(error).__name__, 418))
    with full(shop):
        response = shop.app.test_client().get("/customers")
    assert (response.status_code, response.text) == (418, "TimeoutError")


def test_a_handler_that_was_there_before(tmp_path: Path) -> None:
    """A handler for the very class that was registered before `init_app` stays."""
    app = Quaff("before")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'a.db'}"
    app.register_error_handler(exc.DBAPIError, lambda error: ("own", 418))
    db = SQLAlchemy(app)
    app.add_url_rule("/", view_func=lambda: db.session.execute(sa.text("SELECT wrong")))
    assert app.test_client().get("/").text == "own"
    with app.app_context():
        db.engine.dispose()


def test_a_handler_of_a_blueprint(shop: Shop) -> None:
    """A blueprint's own handler comes before all that."""
    pages = Blueprint("pages", __name__)
    pages.add_url_rule("/pages", view_func=shop.names)
    pages.register_error_handler(Exception, lambda error: ("own", 418))
    shop.app.register_blueprint(pages)
    with full(shop):
        assert shop.app.test_client().get("/pages").text == "own"


def test_switched_off(shop: Shop) -> None:
    """Without the setting an outage is SQLAlchemy's error."""
    shop.app.config.update(SQLALCHEMY_UNAVAILABLE_AS_503=False, TESTING=True)
    with full(shop), pytest.raises(exc.TimeoutError):
        shop.app.test_client().get("/customers")


def test_nothing_is_held(shop: Shop) -> None:
    """A request that fails, in whatever way, gives its connection back: there is only one, and it is always there."""
    client = shop.app.test_client()
    for _ in range(20):
        assert client.post("/customers").status_code == 500
        assert client.post("/customers", data={"username": "a"}).status_code == 500
        with full(shop):
            assert client.get("/customers").status_code == 503
    assert client.get("/customers").json == list("abcde")
    with shop.app.app_context():
        pool: Any = shop.db.engine.pool
        assert pool.checkedout() == 0


# Health, and N+1 queries ------------------------------------------------------------------------------------------------


def test_a_readiness_check(make_shop: Callable[..., Shop]) -> None:
    """The example of the documentation."""
    shop = make_shop()

    @shop.app.get("/ready")
    def ready() -> tuple[dict[str, Any], int]:
        health = shop.db.health_check(timeout=30)
        return health.to_dict(), 200 if health.ok else 503

    response = shop.app.test_client().get("/ready")
    assert response.status_code == 200
    assert response.json["ok"] is True
    assert set(response.json["databases"]) == {"default"}
    with shop.app.app_context():
        (bind,) = shop.db.health_check(timeout=30, bind_keys=[None]).binds
    assert bind.backend == shop.db.health_check.__self__._app_engines[shop.app][None].dialect.name


@pytest.mark.parametrize("debug", [True, False])
def test_debug_mode_warns(shop: Shop, debug: bool) -> None:
    """In debug mode N+1 queries are warned of, in each request that has them; elsewhere nobody looks."""
    shop.app.debug = debug
    client = shop.app.test_client()
    if not debug:
        assert client.get("/counts").json == [1] * 5
        return
    for _ in range(2):
        with pytest.warns(
            NPlusOneWarning, match=r"Customer\.orders was loaded 3 times .*test_operations\.py:\d+ \(return \["
        ):
            assert client.get("/counts").json == [1] * 5


def test_the_settings_for_it(shop: Shop) -> None:
    """`raise` makes it an error in any mode, from the number that is set; requests are counted apart."""
    shop.app.config.update(SQLALCHEMY_N_PLUS_ONE="raise", SQLALCHEMY_N_PLUS_ONE_THRESHOLD=5, TESTING=True)
    with pytest.raises(NPlusOneError, match="loaded 5 times"):
        shop.app.test_client().get("/counts")
    shop.app.config["SQLALCHEMY_N_PLUS_ONE_THRESHOLD"] = 6
    for _ in range(3):
        assert shop.app.test_client().get("/counts").json == [1] * 5


def test_off_costs_nothing(shop: Shop) -> None:
    """Once it is known that nobody looks, sessions are made as if there was nothing to look for."""
    registry: Any = shop.db.session.registry
    made_by = registry.createfunc
    shop.app.test_client().get("/customers")
    assert registry.createfunc is not made_by
    assert registry.createfunc is shop.db.session.session_factory


def test_a_word_that_there_is_not() -> None:
    """A setting that cannot be right is told when the app is set up."""
    app = Quaff("wrong")
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SQLALCHEMY_N_PLUS_ONE="loud")
    with pytest.raises(RuntimeError, match="SQLALCHEMY_N_PLUS_ONE is one of 'off', 'warn', 'raise', not 'loud'"):
        SQLAlchemy(app)


def test_a_locked_file(tmp_path: Path) -> None:
    """An SQLite file that somebody else writes to for too long is a 503, and nothing of the request is there."""
    shop = Shop(f"sqlite:///{tmp_path / 'a.db'}", SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"timeout": 0.01}})
    with shop.app.app_context():
        shop.db.create_all()
        with shop.db.engine.connect() as other:
            other.exec_driver_sql("BEGIN IMMEDIATE")
            done = threading.Event()
            client = shop.app.test_client()
            results: list[int] = []

            def write() -> None:
                results.append(client.post("/customers", data={"username": "ann"}).status_code)
                done.set()

            threading.Thread(target=write).start()
            assert done.wait(60)
            assert results == [503]
        assert client.post("/customers", data={"username": "bob"}).status_code == 201
        assert client.get("/customers").json == ["bob"]
        shop.db.session.remove()
        shop.db.engine.dispose()


def test_kinds_are_told_apart() -> None:
    """What is a 503 has a kind, for a page or a log."""
    assert DatabaseUnavailable().kind is Kind.UNREACHABLE
    assert DatabaseConflict().kind is Kind.DUPLICATE
