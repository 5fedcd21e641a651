"""An app that moves money between accounts, and clients that write down what they were told."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from quaff import Quaff, request
from quaff.ext.sqlalchemy import SQLAlchemy

ACCOUNTS = 6
START = 1000


class Ledger:
    """The app and its tables: accounts with balances, and two entries for each transfer.

    :param url: of the database.
    :param config: more of the configuration.
    """

    def __init__(self, url: str, **config: Any) -> None:
        self.app = Quaff("ledger")
        self.app.config.update(SQLALCHEMY_DATABASE_URI=url, **config)
        self.db = db = SQLAlchemy(self.app)

        class Account(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            balance = db.Column(db.Integer, nullable=False)

        class Entry(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            transfer = db.Column(db.String(40), nullable=False)
            account = db.Column(db.Integer, db.ForeignKey("account.id"), nullable=False)
            amount = db.Column(db.Integer, nullable=False)

        self.Account, self.Entry = Account, Entry
        self.between: Any = lambda: None
        """Called between the two halves of each transfer."""

        self.app.add_url_rule("/balances", view_func=self.balances)
        self.app.add_url_rule("/first", view_func=self.first)
        self.app.add_url_rule("/twice", view_func=self.twice, methods=["GET"])
        self.app.add_url_rule("/balances", endpoint="post", view_func=self.balances, methods=["POST"])
        self.app.add_url_rule("/transfer/<key>", view_func=self.transfer, methods=["POST"])

    def make_tables(self) -> None:
        """Make the tables, with money in each account."""
        with self.app.app_context():
            self.db.create_all()
            self.db.session.add_all([self.Account(balance=START) for _ in range(ACCOUNTS)])
            self.db.session.commit()

    def balances(self) -> dict[str, int]:
        """Answer all balances, with one statement."""
        return {str(account.id): account.balance for account in self.Account.query.all()}

    def first(self) -> dict[str, int]:
        """Answer all balances, before something happens."""
        balances = self.balances()
        self.between()
        return balances

    def twice(self) -> dict[str, int]:
        """Answer all balances, read a second time after something happened."""
        self.balances()
        self.between()
        self.db.session.expire_all()
        return self.balances()

    def transfer(self, key: str) -> dict[str, str]:
        """Move money: all of it or nothing."""
        halves = [(int(request.args["from"]), -7), (int(request.args["to"]), 7)]
        # In the order of the accounts, so that two of them cannot wait for each other.
        first, second = sorted(halves)
        self._book(key, *first)
        self.between()
        self._book(key, *second)
        self.db.session.commit()
        return {"done": key}

    def _book(self, key: str, account: int, amount: int) -> None:
        self.db.session.execute(
            sa.update(self.Account)
            .where(self.Account.id == account)
            .values(balance=self.Account.balance + amount)
            .execution_options(synchronize_session=False)
        )
        self.db.session.add(self.Entry(transfer=key, account=account, amount=amount))
        self.db.session.flush()

    def find_faults(self, told: set[str], unknown: set[str]) -> list[str]:
        """Compare the tables with what clients were told.

        :param told: transfers that were answered with success.
        :param unknown: transfers that were answered with an error: they may be there, as a whole.
        """
        with self._engine().connect() as connection:
            entries = connection.execute(sa.select(self.Entry.transfer, self.Entry.account, self.Entry.amount)).all()
            rows = connection.execute(sa.select(self.Account.id, self.Account.balance))
            balances = {row.id: row.balance for row in rows}
        faults = []
        halves: dict[str, list[int]] = {}
        expected = dict.fromkeys(balances, START)
        for transfer, account, amount in entries:
            halves.setdefault(transfer, []).append(amount)
            expected[account] += amount
        faults += [f"{key}: {found}" for key, found in halves.items() if sorted(found) != [-7, 7]]
        faults += [f"{key} was told to be done and is lost" for key in told - set(halves)]
        faults += [f"{key} comes from nowhere" for key in set(halves) - told - unknown]
        if balances != expected or sum(balances.values()) != ACCOUNTS * START:
            faults.append(f"balances {balances}, entries {expected}")
        return faults

    def _engine(self) -> sa.Engine:
        with self.app.app_context():
            return self.db.engine

    @property
    def in_use(self) -> int:
        """How many connections nobody gave back."""
        pool: Any = self._engine().pool
        return int(pool.checkedout())


@dataclass
class Result:
    """What a client was told, and when."""

    status: int
    began: float
    ended: float


@dataclass
class Clients:
    """Clients that read and write until they are told to stop.

    :param ledger: the app.
    :param count: how many.
    """

    ledger: Ledger
    count: int = 8
    results: list[Result] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(self.count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def wait_for(self, status: int, more: int) -> None:
        """Wait until *more* answers with a status have come from now on."""
        begin, deadline = len(self.results), time.monotonic() + 60
        while sum(result.status == status for result in self.results[begin:]) < more:
            assert time.monotonic() < deadline, f"no {more} answers with {status}"
            self._stop.wait(0.005)

    def _work(self, number: int) -> None:
        try:
            client = self.ledger.app.test_client()
            turn = 0
            while not self._stop.is_set():
                turn += 1
                began = time.monotonic()
                status = self._read(client) if turn % 2 else self._write(client, number, turn)
                self.results.append(Result(status, began, time.monotonic()))
                if status != 200:
                    self._stop.wait(0.01)
        except Exception as error:
            self.wrong.append(repr(error))
            raise

    def _read(self, client: Any) -> int:
        response = client.get("/balances")
        if response.status_code == 200 and sum(response.json.values()) != ACCOUNTS * START:
            self.wrong.append(f"a sum of {response.json}")
        return int(response.status_code)

    def _write(self, client: Any, number: int, turn: int) -> int:
        key = f"{number}-{turn}"
        source = 1 + (number + turn) % ACCOUNTS
        self.unknown.add(key)
        response = client.post(f"/transfer/{key}?from={source}&to={1 + source % ACCOUNTS}")
        if response.status_code == 200:
            self.told.add(key)
        return int(response.status_code)
