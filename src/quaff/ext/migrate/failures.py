"""What went wrong with migrations, said so that somebody can go on: where it stands, what stays, what to do."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import MultipleHeads, ResolutionError
from alembic.util import CommandError
from sqlalchemy.exc import StatementError

from .journal import Attempt, kept
from .progress import shorten

_REPORT: Final = "_quaff_migrate_report"


def note_failure(error: BaseException, attempt: Attempt) -> None:
    """Attach the report of a failed revision to the error; a traceback shows it as a note."""
    report = describe(error, attempt)
    setattr(error, _REPORT, report)
    error.add_note(report)


def report_of(error: BaseException) -> str | None:
    """Return the report that `note_failure` attached, or `None`."""
    report: str | None = getattr(error, _REPORT, None)
    return report


def describe(error: BaseException, attempt: Attempt) -> str:
    """Return the report of a revision that failed: which one, where, why, what of it stays, and how to go on."""
    revision, up = attempt.step.revision, attempt.step.is_upgrade
    name = f"{revision.revision} ({revision.doc})" if revision.doc else revision.revision
    lines = [f"The {'upgrade' if up else 'downgrade'} of revision {name} failed on {attempt.database}", ""]
    lines += _where(error, revision.path)
    lines += ["", *_what_stays(attempt), "", *_how_to_go_on(attempt)]
    return "\n".join(lines)


def _where(error: BaseException, path: str) -> list[str]:
    lines = []
    frames = [each for each in traceback.extract_tb(error.__traceback__) if _same(each.filename, path)]
    if frames:
        lines += [f'  File "{os.path.relpath(path)}", line {frames[-1].lineno}', f"    {frames[-1].line}"]
    else:
        lines += [f'  File "{os.path.relpath(path)}"']
    cause = getattr(error, "orig", None) or error
    lines += [f"  {type(cause).__name__}: {cause}"]
    if isinstance(error, StatementError) and error.statement:
        lines += [f"  in: {shorten(error.statement, 300)}"]
    return lines


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _what_stays(attempt: Attempt) -> list[str]:
    place = f"The database is at {_place(attempt)}."
    stays, goes = kept(attempt)
    if attempt.transactional and not stays:
        if attempt.finished and not (attempt.per_revision or attempt.saved):
            return [
                f"All {len(attempt.finished) + 1} revisions of this run are one transaction; it was rolled back. {place}"
            ]
        return [f"Nothing of this revision stays: it was rolled back. {place}"]
    if attempt.transactional:
        lines = ["What stands before the end of an autocommit_block() is committed."]
    else:
        lines = [f"{_product(attempt.dialect)} commits CREATE, ALTER and DROP at once and cannot take them back."]
    if not stays:
        return [*lines, f"But nothing of this revision stays. {place}"]
    lines.append("These statements of the revision were done and stay:")
    for number, statement in enumerate(stays, 1):
        lines.append(f"  {number}. {shorten(statement)}")
        hint = undo(statement, attempt.dialect)
        if hint:
            lines.append(f"     to undo it: {hint}")
    if goes:
        lines.append("These were done and then rolled back:")
        lines += [f"  - {shorten(statement)}" for statement in goes]
    return [*lines, place]


def _how_to_go_on(attempt: Attempt) -> list[str]:
    revision = attempt.step.revision
    command = "upgrade" if attempt.step.is_upgrade else "downgrade"
    if not kept(attempt)[0]:
        return [
            f"To go on: mend the revision, or what it stumbles over in the database, and run `quaff db {command}` again."
        ]
    target = revision.revision if attempt.step.is_upgrade else (attempt.step.to_revisions or ("base",))[0]
    return [
        "To go on, do one of these:",
        f"  a) Undo the statements that stay, the last one first; mend the revision; run `quaff db {command}` again.",
        f"  b) Do what is missing of the revision by hand; run `quaff db stamp {target}`, then `quaff db {command}` again.",
    ]


def _place(attempt: Attempt) -> str:
    moved = (attempt.per_revision and attempt.finished) or attempt.saved
    # Another branch that this run has not touched is left out: nobody looks for the fault there.
    places = tuple(attempt.step.from_revisions) if moved else attempt.heads
    return " and ".join(f"revision {place}" for place in places) or "no revision (it is new to migrations)"


def _product(dialect: str) -> str:
    names = {"mysql": "MySQL", "mariadb": "MariaDB", "sqlite": "SQLite, as it is set up here,", "oracle": "Oracle"}
    return names.get(dialect, f"This database ({dialect})")


_NAME: Final = r'((?:`[^`]+`|"[^"]+"|[\w$.])+)'
_UNDO: Final[list[tuple[re.Pattern[str], str, str]]] = [
    (re.compile(pattern.replace("{}", _NAME), re.IGNORECASE | re.DOTALL), mysql, other)
    for pattern, mysql, other in (
        (r"\s*CREATE TABLE (?:IF NOT EXISTS )?{}", r"DROP TABLE \1", r"DROP TABLE \1"),
        (r"\s*CREATE (?:\w+ )?INDEX {} ON {}", r"DROP INDEX \1 ON \2", r"DROP INDEX \1"),
        (r"\s*CREATE (?:OR REPLACE )?VIEW {}", r"DROP VIEW \1", r"DROP VIEW \1"),
        (
            r"\s*ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY",
            r"ALTER TABLE \1 DROP FOREIGN KEY \2",
            r"ALTER TABLE \1 DROP CONSTRAINT \2",
        ),
        (
            r"\s*ALTER TABLE {} ADD CONSTRAINT {} UNIQUE",
            r"ALTER TABLE \1 DROP INDEX \2",
            r"ALTER TABLE \1 DROP CONSTRAINT \2",
        ),
        (
            r"\s*ALTER TABLE {} ADD CONSTRAINT {}",
            r"ALTER TABLE \1 DROP CONSTRAINT \2",
            r"ALTER TABLE \1 DROP CONSTRAINT \2",
        ),
        (
            r"\s*ALTER TABLE {} ADD (?:COLUMN )?{}",
            r"ALTER TABLE \1 DROP COLUMN \2",
            r"ALTER TABLE \1 DROP COLUMN \2",
        ),
        (
            r"\s*ALTER TABLE {} RENAME (?:TO )?{}\s*$",
            r"ALTER TABLE \2 RENAME TO \1",
            r"ALTER TABLE \2 RENAME TO \1",
        ),
    )
]


def undo(statement: str, dialect: str) -> str | None:
    """Return the statement that takes *statement* back, or `None` for one that does not say what was there before."""
    for pattern, mysql, other in _UNDO:
        found = pattern.match(statement)
        if found:
            return found.expand(mysql if dialect in ("mysql", "mariadb") else other)
    return None


@contextmanager
def explained(config: Config, asked: str | None = None) -> Iterator[None]:
    """Say what Alembic's errors mean for whoever runs the command.

    :param asked: the revision that was asked for on the command line.
    """
    try:
        yield
    except CommandError as error:
        text = _explanation(error, config, asked)
        if text is None:
            raise
        raise CommandError(text) from error


def _explanation(error: CommandError, config: Config, asked: str | None) -> str | None:
    cause = error.__cause__
    if isinstance(cause, MultipleHeads):
        return _explain_heads(error, config)
    if isinstance(cause, ResolutionError):
        return _explain_unknown(str(cause.argument), config, asked)
    if "not up to date" in str(error):
        return f"{error} Bring it there with `quaff db upgrade` first; `quaff db current` says where it is."
    return None


def _explain_heads(error: CommandError, config: Config) -> str:
    script = ScriptDirectory.from_config(config)
    lines = [f"  - {head}: {script.get_revision(head).doc}" for head in sorted(script.get_heads())]
    return (
        f"There are {len(lines)} heads: migrations that follow the same one, usually written on two branches.\n"
        + "\n".join(lines)
        + "\nJoin them with `quaff db merge heads` and commit the file it writes; or name the one you mean, or say"
        f" `heads` for all of them.\n(Alembic says: {error})"
    )


def _explain_unknown(argument: str, config: Config, asked: str | None) -> str:
    folder = os.path.relpath(ScriptDirectory.from_config(config).versions)
    missing = f"Can't locate revision identified by {argument!r}: no file in {folder} has it."
    if asked is not None and argument in re.split(r"[\s:@+-]", asked):
        return f"{missing} `quaff db history` lists what there is."
    return (
        f"{missing}\nIf the database is at {argument!r}, it is newer than this code: somebody else's code migrated it, or"
        " the file was deleted. Nothing was changed.\nDeploy the code that has this revision, or bring the file back"
        f" (`git log --all -- '*{argument}*'` finds it). Only if the tables are those of this code's models, run"
        " `quaff db stamp --purge head`."
    )


def told(log: Callable[[str], Any], error: BaseException) -> bool:
    """Log the report of a failed revision, and tell whether there was one."""
    report = report_of(error)
    if report is None:
        return False
    log(report)
    return True
