"""Signals of what a commit changes; for `SQLALCHEMY_TRACK_MODIFICATIONS`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
import sqlalchemy.event as sa_event
from blinker import Namespace

from ...globals import NO_CONTEXT, current_context

_signals = Namespace()

models_committed = _signals.signal("models-committed")
"""Sent by the app after a commit, with `changes`: pairs of a model's instance and `"insert"`, `"update"` or `"delete"`."""

before_models_committed = _signals.signal("before-models-committed")
"""Sent by the app before a commit, with the same `changes`."""


def _listen(session: Any) -> None:
    """Track what the sessions of a scoped session, a factory or a class change."""
    sa_event.listen(session, "before_flush", _record_ops, named=True)
    sa_event.listen(session, "before_commit", _record_ops, named=True)
    sa_event.listen(session, "before_commit", _before_commit)
    sa_event.listen(session, "after_commit", _after_commit)
    sa_event.listen(session, "after_rollback", _after_rollback)


def _tracking_app() -> Any:
    """Return the current app if it tracks modifications, else None."""
    bound = current_context.get()
    if bound is NO_CONTEXT or not bound.app.config["SQLALCHEMY_TRACK_MODIFICATIONS"]:
        return None
    return bound.app


def _record_ops(session: Any, **kwargs: Any) -> None:
    if _tracking_app() is None:
        return
    for targets, operation in ((session.new, "insert"), (session.dirty, "update"), (session.deleted, "delete")):
        for target in targets:
            state: Any = sa.inspect(target)
            key = state.identity_key if state.has_identity else id(target)
            session._model_changes[key] = (target, operation)


def _before_commit(session: Any) -> None:
    app = _tracking_app()
    if app is not None and session._model_changes:
        before_models_committed.send(app, changes=list(session._model_changes.values()))


def _after_commit(session: Any) -> None:
    app = _tracking_app()
    if app is not None and session._model_changes:
        changes = list(session._model_changes.values())
        session._model_changes.clear()
        models_committed.send(app, changes=changes)


def _after_rollback(session: Any) -> None:
    session._model_changes.clear()
