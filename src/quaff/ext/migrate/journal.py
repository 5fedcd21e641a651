"""What a run of migrations has done so far: enough to say, when one fails, where it stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection

_READS: Final = re.compile(
    r"\s*(SELECT|PRAGMA|SHOW|DESCRIBE|EXPLAIN|WITH|VALUES|BEGIN|SAVEPOINT|RELEASE)\b", re.IGNORECASE
)
_DEFINES: Final = re.compile(
    r"\s*(CREATE|ALTER|DROP|RENAME|TRUNCATE|GRANT|REVOKE|ANALYZE|OPTIMIZE|REPAIR|LOCK)\b", re.IGNORECASE
)


def is_read(statement: str) -> bool:
    """Tell whether a statement changes nothing. A `WITH` that writes is taken for one that reads."""
    return _READS.match(statement) is not None


def is_definition(statement: str) -> bool:
    """Tell whether a statement is one that MySQL commits at once, with what came before it."""
    return _DEFINES.match(statement) is not None


@dataclass(slots=True)
class Statement:
    """A statement that a revision ran, or tried to."""

    text: str
    """The SQL."""

    done: bool = False
    """Whether the database took it."""

    committed: bool = False
    """Whether it was committed since, by `autocommit_block()` or at the end of the revision."""


@dataclass(slots=True)
class Attempt:
    """One database's way through its revisions."""

    database: str
    """Its URL without the password."""

    dialect: str
    """`postgresql`, `mysql`, `mariadb`, `sqlite`, ..."""

    heads: tuple[str, ...] = ()
    """Where the database was before; empty for a new one."""

    per_revision: bool = False
    """Whether each revision is committed before the next one begins."""

    transactional: bool = True
    """Whether the database can take back CREATE, ALTER and DROP."""

    finished: list[str] = field(default_factory=list)
    """The ids of the revisions that are through."""

    step: Any = None
    """Alembic's `RevisionStep` that runs, or ran when it failed. Any: a class that Alembic does not publish."""

    saved: int = 0
    """How many of `finished` were committed in the middle of a later revision."""

    statements: list[Statement] = field(default_factory=list)
    """What the revision that runs has done: what changes something, without what Alembic does for itself."""

    @property
    def failed(self) -> Statement | None:
        """The statement that the database did not take, if it was one."""
        return next((each for each in self.statements if not each.done), None)


class Journal:
    """Listens to a connection and writes its statements into an `Attempt`.

    :param version_table: the table of Alembic's own bookkeeping, which is left out.
    """

    def __init__(self, connection: Connection, attempt: Attempt, version_table: str) -> None:
        self.attempt = attempt
        self.connection = connection
        self.executing: list[Callable[[str, Any], None]] = []
        """Called with each statement and its parameters before it runs."""
        # Alembic's own bookkeeping is not the revision's doing.
        self._own = re.compile(
            rf"\s*(INSERT\s+INTO|UPDATE|DELETE\s+FROM|CREATE\s+TABLE)\s+\S*?{re.escape(version_table)}\b", re.IGNORECASE
        )
        # Those whose end has not come: a statement may run others on the same connection while it is prepared.
        self._running: list[Statement | None] = []
        event.listen(connection, "before_cursor_execute", self._before)
        event.listen(connection, "after_cursor_execute", self._after)
        event.listen(connection, "commit", self._commit)

    def close(self) -> None:
        """Stop listening."""
        event.remove(self.connection, "before_cursor_execute", self._before)
        event.remove(self.connection, "after_cursor_execute", self._after)
        event.remove(self.connection, "commit", self._commit)

    # Any: the types of SQLAlchemy's events, of which only the text is used.
    def _before(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        for listener in self.executing:
            listener(statement, parameters)
        noted = None
        if self.attempt.step is not None and not is_read(statement) and not self._own.match(statement):
            noted = Statement(statement)
            self.attempt.statements.append(noted)
        self._running.append(noted)

    def _after(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        noted = self._running.pop()
        if noted is not None:
            noted.done = True
            noted.committed = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"

    def _commit(self, connection: Any) -> None:
        self.attempt.saved = len(self.attempt.finished)
        for statement in self.attempt.statements:
            statement.committed = statement.done


def kept(attempt: Attempt) -> tuple[list[str], list[str]]:
    """Return which statements stay, and which are rolled back, of a revision that failed."""
    done = [each for each in attempt.statements if each.done]
    if attempt.transactional:
        stays = [each.committed for each in done]
    elif attempt.dialect == "sqlite":
        # Python's driver begins a transaction with the first statement that is not a definition, and only then.
        first = next((i for i, each in enumerate(done) if not is_definition(each.text)), len(done))
        stays = [each.committed or i < first for i, each in enumerate(done)]
    else:
        # A definition commits what stands before it, even one that fails itself.
        last = max((i for i, each in enumerate(attempt.statements) if is_definition(each.text)), default=-1)
        before = {id(each) for each in attempt.statements[: last + 1]}
        stays = [each.committed or id(each) in before for each in done]
    texts = [each.text for each in done]
    return (
        [text for text, stay in zip(texts, stays, strict=True) if stay],
        [text for text, stay in zip(texts, stays, strict=True) if not stay],
    )
