"""One more try for a read whose connection was lost.

The connections in a pool die with their server, or when somebody ends them; the first statement on each finds out. If that
is a read, at the start of its transaction, then nothing was done yet that could get lost or be done twice: it is read again,
on a new connection, once.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy.orm as sa_orm
from sqlalchemy import exc
from sqlalchemy.sql import visitors

from ...globals import current_context
from .binding import find_app
from .failures import Kind, judge

RETRY_READS: Final = "SQLALCHEMY_RETRY_READS"


class ReadRetries(sa_orm.Session):
    """A session that reads once more where that is safe.

    All of this has to be so: the statement is a SELECT that changes and locks nothing, and the first of its transaction; the
    session has nothing to write; and the request, if there is one, is a GET or HEAD.
    """

    _db: Any = None

    _is_second_try = False
    """Whether the next statement is the one more try of something that was not one of SQLAlchemy's."""

    def _reads_again(self) -> bool:
        """Tell whether the app wants that reads are tried again: `SQLALCHEMY_RETRY_READS`, which is true by default."""
        return self._db is None or bool(find_app(self._db).config.get(RETRY_READS, True))

    def _execute_internal(self, statement: Any, params: Any = None, **options: Any) -> Any:
        # PERF: all that a statement pays is this frame, and of it, nothing more inside a transaction. The public methods
        # and the ORM's own loads all come through here.
        if self._transaction is not None:
            return super()._execute_internal(statement, params, **options)
        is_second_try, self._is_second_try = self._is_second_try, False
        try:
            return super()._execute_internal(statement, params, **options)
        except exc.DBAPIError as error:
            if not (
                error.connection_invalidated
                and not is_second_try
                and options.get("_parent_execute_state") is None
                and not (self.new or self.dirty or self.deleted)
                and is_plain_read(statement)
                and is_safe_request()
                and self._reads_again()
            ):
                raise
        self.rollback()
        return super()._execute_internal(statement, params, **options)


def is_plain_read(statement: Any) -> bool:
    """Tell whether a statement is a SELECT that changes nothing and locks nothing.

    Of SQL that is written as text nobody can tell, so it is none.
    """
    if not getattr(statement, "is_select", False) or getattr(statement, "is_text", False):
        return False
    if getattr(statement, "_for_update_arg", None) is not None:
        return False
    return not any(getattr(element, "is_dml", False) for element in visitors.iterate(statement))


def is_safe_request() -> bool:
    """Tell whether the current request is one that changes nothing (RFC 9110 section 9.2.1), or there is none."""
    context = current_context.get().request_context
    return context is None or context.request.method in {"GET", "HEAD"}


def close_in_any_case(session: sa_orm.Session) -> None:
    """Close a session, and let go of a connection that turns out to be lost.

    The answer is made by then, and what it speaks of was committed or only read: the rollback that fails had nothing to undo
    but what the server undoes by itself.
    """
    try:
        session.close()
    except exc.DBAPIError as error:
        if judge(error) is not Kind.UNREACHABLE:
            raise
        session.invalidate()
