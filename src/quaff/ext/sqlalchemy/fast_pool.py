"""A pool that looks whether a connection is alive only when it has been idle, and lets nobody wait for longer than others.

`pool_pre_ping` sends a statement to the server before each use of a connection, which doubles the round trips of a request
that reads one row. A connection that was used a moment ago is hardly ever dead; and when it is, a read is tried once more
(`retries.py`) and anything else fails as it would have failed had the server died a moment later.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, Final

import sqlalchemy.pool as sa_pool

from .fair_queue import FairQueue

IDLE: Final = 1.0
"""Seconds after its last use from which on a connection is looked at before it is used again."""

_USED: Final = "quaff.used"


class IdlePingPool(sa_pool.QueuePool):
    """`QueuePool`, whose `pool_pre_ping` spares connections that were used within the last second.

    Threads that wait for a connection are served in their order (`fair_queue.py`).
    """

    # Any: a private class of SQLAlchemy's. Where the name is no longer known, the pool has SQLAlchemy's own.
    _queue_class: Any = FairQueue

    def _do_return_conn(self, record: Any) -> None:  # Any: SQLAlchemy's record of a connection, a private class
        record.record_info[_USED] = monotonic()
        super()._do_return_conn(record)

    def _do_get(self) -> Any:
        record: Any = super()._do_get()
        # SQLAlchemy does not ping a connection that has just been made, and this is how it tells.
        if self._pre_ping and monotonic() - record.record_info.get(_USED, 0.0) < IDLE:
            record.fresh = True
        return record
