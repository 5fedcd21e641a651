"""The circuit breaker before stores over the network."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaff.errors import QuaffError
from quaff.stores.breaker import Breaker, StoreUnavailable


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Store:
    """A store that is up or down, and counts how often it is asked."""

    def __init__(self) -> None:
        self.is_up = True
        self.asked = 0

    def get(self, key: str, *, times: int = 1) -> str:
        self.asked += 1
        if not self.is_up:
            raise ConnectionRefusedError("nobody listens")
        return key * times


@pytest.fixture
def clock() -> Time:
    """Give a clock."""
    return Time()


@pytest.fixture
def store() -> Store:
    """Give a store that is up."""
    return Store()


def _breaker(clock: Time, **options: Any) -> Breaker:
    return Breaker("The store", clock=clock, **options)


def _fail(breaker: Breaker, store: Store, times: int) -> None:
    store.is_up = False
    for _ in range(times):
        with pytest.raises(StoreUnavailable):
            breaker.call(store.get, "a")


def test_calls_go_through(clock: Time, store: Store) -> None:
    """While the store answers, each call reaches it with its arguments, and its answer comes back."""
    breaker = _breaker(clock)
    assert breaker.call(store.get, "a", times=3) == "aaa"
    assert (store.asked, breaker.is_open) == (1, False)


def test_an_error_has_its_cause(clock: Time, store: Store) -> None:
    """A failure is raised as one kind of error, which is a ConnectionError too, and tells what happened and to whom."""
    store.is_up = False
    with pytest.raises(
        StoreUnavailable, match="The store is unavailable: ConnectionRefusedError: nobody listens"
    ) as caught:
        _breaker(clock).call(store.get, "a")
    assert isinstance(caught.value, QuaffError)
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert caught.value.code == "Q600"


@pytest.mark.parametrize("failures", [1, 3, 10])
def test_it_opens(failures: int, clock: Time, store: Store) -> None:
    """After so many failures in a row the store is not asked any more."""
    breaker = _breaker(clock, failures=failures)
    _fail(breaker, store, failures)
    assert breaker.is_open
    _fail(breaker, store, 20)
    assert store.asked == failures


def test_failures_must_be_in_a_row(clock: Time, store: Store) -> None:
    """An answer in between begins the counting anew."""
    breaker = _breaker(clock, failures=3)
    for _ in range(5):
        _fail(breaker, store, 2)
        store.is_up = True
        breaker.call(store.get, "a")
    assert not breaker.is_open


def test_it_says_when_it_tries_again(clock: Time, store: Store) -> None:
    """While it is open, the message tells how often the store is tried."""
    breaker = _breaker(clock, failures=1, retry_after=2.5)
    _fail(breaker, store, 1)
    with pytest.raises(StoreUnavailable, match=r"every 2\.5 seconds"):
        breaker.call(store.get, "a")


def test_one_call_finds_out(clock: Time, store: Store) -> None:
    """After the pause one call is let through; if it fails, the pause begins anew."""
    breaker = _breaker(clock, failures=1, retry_after=2)
    _fail(breaker, store, 1)
    for asked in range(2, 5):
        clock.now += 1.9
        _fail(breaker, store, 5)
        clock.now += 0.1
        _fail(breaker, store, 5)
        assert store.asked == asked


def test_it_closes(clock: Time, store: Store) -> None:
    """The first answer closes it, and all calls go through again."""
    breaker = _breaker(clock, failures=2, retry_after=1)
    _fail(breaker, store, 2)
    store.is_up = True
    _fail_without_asking(breaker, store)
    clock.now += 1
    assert breaker.call(store.get, "a") == "a"
    assert not breaker.is_open
    assert breaker.call(store.get, "b") == "b"


def _fail_without_asking(breaker: Breaker, store: Store) -> None:
    asked = store.asked
    with pytest.raises(StoreUnavailable):
        breaker.call(store.get, "a")
    assert store.asked == asked


def test_after_it_closed_it_takes_as_many_failures(clock: Time, store: Store) -> None:
    """What happened before it closed is forgotten."""
    breaker = _breaker(clock, failures=3, retry_after=1)
    _fail(breaker, store, 3)
    store.is_up = True
    clock.now += 1
    breaker.call(store.get, "a")
    _fail(breaker, store, 2)
    assert not breaker.is_open


def test_other_errors_pass(clock: Time) -> None:
    """What is not the store's fault comes out as it is, and counts as an answer."""
    breaker = _breaker(clock, failures=1)

    def wrong() -> None:
        raise KeyError("a mistake in the program")

    for _ in range(3):
        with pytest.raises(KeyError):
            breaker.call(wrong)
    assert not breaker.is_open


def test_which_errors_count_can_be_said(clock: Time) -> None:
    """A client may have a family of errors of its own."""
    breaker = _breaker(clock, failures=1, errors=(LookupError,))
    with pytest.raises(StoreUnavailable):
        breaker.call(lambda: {}["a"])
    assert breaker.is_open


def test_an_outage_is_two_lines(clock: Time, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """One line when it opens and one when it closes, however many requests come in between."""
    breaker = _breaker(clock, failures=3, retry_after=1, logger=logging.getLogger("of the test"))
    for _ in range(50):
        _fail(breaker, store, 20)
        clock.now += 1
    store.is_up = True
    for _ in range(10):
        breaker.call(store.get, "a")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "The store is unavailable: ConnectionRefusedError: nobody listens"),
        ("WARNING", "The store is available again"),
    ]
    assert {record.name for record in caplog.records} == {"of the test"}


def test_a_single_failure_is_no_outage(clock: Time, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """A failure that does not open it is not logged: whoever called hears of it."""
    _fail(_breaker(clock), store, 1)
    assert not caplog.records


def test_the_usual_clock_can_be_replaced(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a clock of its own it goes by `time.monotonic` as it is at the time of the call."""
    now = 50.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    breaker = Breaker("The store", failures=1, retry_after=60)
    _fail(breaker, store, 1)
    store.is_up = True
    _fail_without_asking(breaker, store)
    now += 60
    assert breaker.call(store.get, "a") == "a"


def test_many_threads_ask_once(clock: Time) -> None:
    """When it is time to try again, one of many threads asks, and the others do not wait for the answer."""
    asked: list[int] = []
    answered = threading.Event()
    refused: list[bool] = []
    breaker = _breaker(clock, failures=1, retry_after=1)
    with pytest.raises(StoreUnavailable):
        breaker.call(_refuse)
    clock.now += 1
    start = threading.Barrier(8)

    def slow() -> None:
        asked.append(1)
        answered.wait(60)

    def call() -> None:
        start.wait()
        try:
            breaker.call(slow)
        except StoreUnavailable:
            refused.append(True)
            if len(refused) == 7:
                answered.set()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(asked), len(refused)) == (1, 7)
    assert not breaker.is_open


def _refuse() -> None:
    raise ConnectionRefusedError


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.5, 1.0, 3.0])), max_size=60), st.integers(1, 4))
def test_against_a_model(steps: list[tuple[bool, float]], failures: int) -> None:
    """Whatever happens: open after so many failures in a row, one try for each second, closed by the first answer."""
    clock, store = Time(), Store()
    breaker = _breaker(clock, failures=failures, retry_after=1)
    row, is_open, next_try = 0, False, 0.0
    for is_up, pause in steps:
        clock.now += pause
        store.is_up = is_up
        asked = store.asked
        expected_to_ask = not is_open or clock.now >= next_try
        try:
            breaker.call(store.get, "a")
            passed = True
        except StoreUnavailable:
            passed = False
        assert (store.asked > asked) == expected_to_ask
        assert passed == (expected_to_ask and is_up)
        if expected_to_ask:
            row = 0 if is_up else row + 1
            is_open = row >= failures or (is_open and not is_up)
            next_try = clock.now + 1
        assert breaker.is_open == is_open
