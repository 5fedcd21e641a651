"""`db.Table`."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from quaff.ext.sqlalchemy import SQLAlchemy


def test_metadata_of_a_table() -> None:
    """A table has the default metadata, or that of its bind key, or the one that it is given."""
    db = SQLAlchemy()
    column = db.Column("id", db.Integer)
    assert db.Table("a", column).metadata is db.metadata
    assert db.Table("b", bind_key="other").metadata is db.metadatas["other"]
    own = sa.MetaData()
    assert db.Table("c", own).metadata is own
    assert isinstance(db.Table("d"), sa.Table)
    with pytest.raises(TypeError):
        db.Table()
