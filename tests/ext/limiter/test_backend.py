"""Counting in a store that may be down."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from limits import parse
from limits.errors import ConfigurationError

from quaff.ext.limiter.backend import Backend, Guarded
from quaff.ext.limiter.memory import MemoryStorage
from quaff.ext.limiter.settings import Settings, read_settings
from quaff.ext.limiter.util import get_remote_address
from quaff.stores.breaker import StoreUnavailable
from quaff.stores.shared_counters import SharedCounters
from tests.ext.limiter.apps import Clock
from tests.ext.servers import Server

ITEM = parse("3/minute")
ARGS = ("someone", "somewhere")
KEY = ITEM.key_for(*ARGS)
LOGGER = logging.getLogger("of the backend's tests")


class Owner:
    """What settings ask of a limiter."""

    key_func = staticmethod(get_remote_address)


def settings_of(**config: Any) -> Settings:
    """Return settings from config keys without their prefix."""
    return read_settings(Owner(), {}, {f"RATELIMIT_{key}": value for key, value in config.items()})


def backend_of(**config: Any) -> Backend:
    """Return a backend from config keys without their prefix."""
    return Backend(settings_of(**config), LOGGER, "test")


def test_memory() -> None:
    """Memory is neither remote nor shared; it is counted in one step, and there is nothing to fall back from."""
    backend = backend_of(MAX_KEYS=7)
    assert isinstance(backend.counting.storage, MemoryStorage)
    assert backend.counting.storage.max_keys == 7
    assert (backend.is_remote, backend.is_plain_memory, backend.counts_fixed_in_one_step) == (False, True, True)
    assert not backend_of(STRATEGY="moving-window").counts_fixed_in_one_step


def test_shared(tmp_path: Path) -> None:
    """Shared memory is not remote either, and no process counts for itself."""
    tmp_path.chmod(0o700)
    backend = backend_of(STORAGE_URI=f"shared://{tmp_path / 'limits'}")
    assert isinstance(backend.counting.storage, SharedCounters)
    assert (backend.is_remote, backend.is_plain_memory, backend.counts_fixed_in_one_step) == (False, False, True)
    assert backend.multiprocess_warning({"wsgi.multiprocess": True}) is None


def test_a_store_that_is_down_at_the_start() -> None:
    """A store that does not answer is no error when the app is set up, only when it is asked."""
    backend = backend_of(STORAGE_URI="redis://127.0.0.1:1")
    assert (backend.is_remote, backend.counts_fixed_in_one_step) == (True, False)
    with pytest.raises(StoreUnavailable, match=r"redis://127\.0\.0\.1:1"):
        Guarded(backend).hit(ITEM, KEY, ARGS, 1)


def test_a_cluster_that_is_down_at_the_start() -> None:
    """Nor is a store that would be asked for its nodes when it is made: it is made with the first request that it serves."""
    backend = backend_of(STORAGE_URI="redis+cluster://127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        Guarded(backend).hit(ITEM, KEY, ARGS, 1)
    assert backend.local.hit(ITEM, KEY, ARGS, 1).allowed
    backend.refresh()


@pytest.mark.parametrize(
    "config",
    [
        {"STORAGE_URI": "fubar://"},
        {"STORAGE_URI": "memcached://127.0.0.1:1", "STRATEGY": "moving-window"},
        {"STORAGE_URI": "shared://"},
    ],
)
def test_settings_that_cannot_be_right(config: dict[str, Any]) -> None:
    """What will never work is an error at once."""
    with pytest.raises(ConfigurationError):
        backend_of(**config)


def test_it_opens_and_closes(redis_server: Server, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A store that is killed and started again is two lines in the log, without its password."""
    backend = backend_of(STORAGE_URI=redis_server.uri.replace("//", "//:secret@"), STORAGE_TIMEOUT=60)
    redis_server.run("CONFIG", "SET", "requirepass", "secret")  # type: ignore[attr-defined]  # it is a Redis
    assert Guarded(backend).hit(ITEM, KEY, ARGS, 1).allowed
    redis_server.kill()
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            Guarded(backend).hit(ITEM, KEY, ARGS, 1)
    assert backend.breaker.is_open
    redis_server.start()
    redis_server.run("CONFIG", "SET", "requirepass", "secret")  # type: ignore[attr-defined]  # it is a Redis
    clock.forward(1)
    assert Guarded(backend).hit(ITEM, KEY, ARGS, 1).allowed
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "secret" not in caplog.text


def test_the_limits_of_a_request_share_one_deadline(redis_server: Server, clock: Clock) -> None:
    """A request whose limits have taken the time that there is goes on without the store; the next one asks it again."""
    backend = backend_of(STORAGE_URI=redis_server.uri, STORAGE_TIMEOUT=0.1)
    # The clock of the sockets is the system's: this store is slow by this clock only.
    for _ in range(5):
        guarded = Guarded(backend)
        assert guarded.hit(ITEM, KEY, ARGS, 0).allowed
        clock.forward(0.2)
        with pytest.raises(StoreUnavailable, match=r"the limits of one request took 0\.1 seconds"):
            guarded.hit(ITEM, KEY, ARGS, 1)
    assert not backend.breaker.is_open
    assert Guarded(backend).look(ITEM, ARGS).remaining == 3


def test_what_guarded_does(redis_server: Server) -> None:
    """Behind the guard is what there is without it."""
    guarded = Guarded(backend_of(STORAGE_URI=redis_server.uri, STORAGE_TIMEOUT=60))
    assert guarded.test(ITEM, ARGS, 3).allowed
    assert guarded.hit(ITEM, KEY, ARGS, 2).allowed
    assert guarded.look(ITEM, ARGS).remaining == 1
    assert guarded.windows == 0


def test_local_is_made_once() -> None:
    """Memory beside the store is made when it is needed, and stays."""
    backend = backend_of(STORAGE_URI="redis://127.0.0.1:1", STRATEGY="moving-window", MAX_KEYS=9)
    assert backend.local is backend.local
    assert isinstance(backend.local.storage, MemoryStorage)
    assert (backend.local.storage.max_keys, backend.local.windows) == (9, 1)


@pytest.mark.parametrize(
    "environ, config, warns",
    [
        ({"wsgi.multiprocess": True}, {}, True),
        ({"wsgi.multiprocess": True}, {"STORAGE_URI": "memory://"}, True),
        ({"wsgi.multiprocess": False}, {}, False),
        ({}, {}, False),
        ({"wsgi.multiprocess": True}, {"STORAGE_URI": "redis://127.0.0.1:1"}, False),
    ],
)
def test_warning_about_processes(environ: dict[str, Any], config: dict[str, Any], warns: bool) -> None:
    """Where each of several processes counts for itself, the warning names the setting that helps."""
    warning = backend_of(**config).multiprocess_warning(environ)
    assert (warning is not None) == warns
    if warning is not None:
        assert "RATELIMIT_STORAGE_URI" in warning
        assert "shared://" in warning


def test_threads_at_a_store_that_is_frozen(redis_server: Server) -> None:
    """SECURITY: threads that meet a store which hangs all come back, and afterwards none asks it."""
    backend = backend_of(STORAGE_URI=redis_server.uri)
    assert Guarded(backend).hit(ITEM, KEY, ARGS, 1) or True
    redis_server.freeze()
    failed: list[bool] = []

    def hit() -> None:
        for _ in range(3):
            try:
                Guarded(backend).hit(ITEM, KEY, ARGS, 1)
            except StoreUnavailable:
                failed.append(True)

    threads = [threading.Thread(target=hit, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(failed) == 24
    assert backend.breaker.is_open
    redis_server.thaw()
    backend.counting.storage.storage.close()
