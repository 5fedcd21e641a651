"""quaff.ext.sqlalchemy.fast_models: which models are plain."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

sa = pytest.importorskip("sqlalchemy")

import sqlalchemy.orm as sa_orm  # noqa: E402

from quaff.ext.sqlalchemy import fast_models  # noqa: E402


def make(**parts: Any) -> Any:
    """Return a model with these attributes."""
    base = sa_orm.declarative_base()
    key = {} if "id" in parts else {"id": sa.Column(sa.Integer, primary_key=True)}
    return type("Thing", (base,), {"__tablename__": "thing", **key, **parts})


class Upper(sa.types.TypeDecorator[str]):
    """A type of a program's own."""

    impl = sa.String
    cache_ok = True


class Wrapped(sa.types.UserDefinedType[str]):
    """A type with SQL around its columns."""

    cache_ok = True

    def get_col_spec(self) -> str:
        return "TEXT"

    def column_expression(self, column: Any) -> Any:
        return sa.func.lower(column)


@pytest.mark.parametrize(
    "parts, is_plain",
    [
        ({"name": sa.Column(sa.String(10))}, True),
        ({"name": sa.Column("other", Upper())}, True),
        ({"id": sa.Column(sa.String(10), primary_key=True)}, True),
        ({"id": sa.Column(sa.Uuid, primary_key=True)}, True),
        ({"id": sa.Column(Upper(), primary_key=True)}, False),
        ({"id": sa.Column(sa.Float, primary_key=True)}, False),
        ({"other": sa.Column(sa.Integer, primary_key=True)}, False),
        ({"name": sa.Column(Wrapped())}, False),
        ({"name": sa_orm.deferred(sa.Column(sa.String(10)))}, False),
        ({"name": sa_orm.column_property(sa.literal_column("1"))}, False),
        ({"kind": sa.Column(sa.String(10)), "__mapper_args__": {"polymorphic_on": "kind"}}, False),
        ({"__mapper_args__": {"always_refresh": True}}, False),
    ],
)
def test_plain_models(parts: dict[str, Any], is_plain: bool) -> None:
    """One table, one key that is what it was, columns that are loaded as they are."""
    assert (fast_models.find_model(make(**parts)) is not None) is is_plain


@pytest.mark.parametrize("lazy", ["select", "dynamic", "write_only", "joined", "selectin", "subquery", "immediate"])
def test_relationships(lazy: str) -> None:
    """Those that are loaded along make a model that is not plain."""
    base: Any = sa_orm.declarative_base()
    part = type(
        "Part",
        (base,),
        {
            "__tablename__": "part",
            "id": sa.Column(sa.Integer, primary_key=True),
            "whole": sa.Column(sa.ForeignKey("whole.id")),
        },
    )
    whole = type(
        "Whole",
        (base,),
        {
            "__tablename__": "whole",
            "id": sa.Column(sa.Integer, primary_key=True),
            "parts": sa_orm.relationship(part, lazy=lazy),
        },
    )
    assert (fast_models.find_model(whole) is not None) is (lazy in {"select", "dynamic", "write_only"})


def test_what_is_no_model() -> None:
    """Classes, mappers and aliases are none."""
    model = make()
    for entity in (int, object(), sa.inspect(model), sa_orm.aliased(model), model.__table__):
        assert fast_models.find_model(entity) is None


def test_a_model_that_gets_a_column_later() -> None:
    """It is looked at anew."""
    model = make()
    before = fast_models.find_model(model)
    model.name = sa.Column(sa.String(10))
    after = fast_models.find_model(model)
    assert before is not None
    assert after is not None
    assert (len(before.columns), len(after.columns)) == (1, 2)


def test_models_are_not_kept_alive() -> None:
    """What is known of one goes with it."""
    model = make()
    assert fast_models.find_model(model) is not None
    gone = weakref.ref(model)
    model.registry.dispose()
    del model
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "owner, name",
    [
        (sa_orm.Session, "_autoflush"),
        (sa.Connection, "_handle_dbapi_exception"),
        (sa.types.TypeEngine, "_cached_result_processor"),
        (sa_orm.loading, "_new_runid"),
    ],
)
def test_a_name_that_is_gone(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """In such a version no model is plain."""
    monkeypatch.delattr(owner, name)
    counter = fast_models.find_run_counter()
    assert counter is None
    monkeypatch.setattr(fast_models, "_new_run", counter)
    assert fast_models.find_model(make()) is None
