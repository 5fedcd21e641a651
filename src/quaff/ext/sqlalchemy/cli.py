"""What `quaff shell` knows without an import: `db` and the models."""

from __future__ import annotations

from typing import Any

from ...globals import current_context


def add_models_to_shell() -> dict[str, Any]:
    """Return the current app's `SQLAlchemy` object as `db`, and its models by their names."""
    db = current_context.get().app.extensions["sqlalchemy"]
    models = {mapper.class_.__name__: mapper.class_ for mapper in db.Model.registry.mappers}
    return {**models, "db": db}
