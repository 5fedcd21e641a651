"""Statements that are asked again and again: the fast path of `db.session.scalars(select(Model).where(...))`.

Between a statement of SQLAlchemy and the rows, most of the time goes into what is the same for every execution of it: how
the result's columns become instances. Here SQLAlchemy compiles a statement once, under the key by which it remembers
statements itself, and executes it once; from then on the SQL, the places of its parameters and the order of its columns are
known.

Only a SELECT of the instances of one plain model takes this path (`fast_models.py`), without options; what it selects from,
where and in which order is free. Everything else is SQLAlchemy's, and so are the connection, the transaction, the errors and
the class of the result.

PERF: on SQLite twelve rows take 70 µs in SQLAlchemy, here 35 (CPython 3.13).
Read first: `tests/ext/sqlalchemy/test_fast_select.py`.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData

from .fast_get import FastGet
from .fast_models import PASS, PlainModel, find_model, new_run
from .fast_reads import PLAIN_READ, is_plain_select
from .fast_rows import Rows, is_usable

MOST: Final = 200
"""Statements that are remembered for one model on one engine; when there are more, they are forgotten all at once."""

_PLANS: Final = "select"


def find_unique_argument() -> dict[str, Any] | None:
    """Return how a result is told that instances are unique by their identity, or None when it is not known how."""
    known = inspect.signature(SimpleResultMetaData).parameters
    if "_create_unique_filters" in known:
        return {"_create_unique_filters": lambda result: [id]}
    return {"_unique_filters": [id]} if "_unique_filters" in known else None


_unique: Final = find_unique_argument()


class Plan:
    """What is remembered of a statement on an engine.

    :param compiled: what SQLAlchemy made of it.
    :param result: what it executed.
    :param model: whose instances it selects.
    :raises LookupError: when a column of the model is not in the result.
    """

    __slots__ = ("_compiled", "_metadata", "_model", "_processors", "_purpose", "_rows")

    def __init__(self, compiled: Any, result: Any, model: PlainModel) -> None:
        # What SQLAlchemy compiled refers to the engine, which would never be freed: see `Rows`.
        self._compiled = weakref.ref(compiled)
        self._model = model
        self._processors = compiled._bind_processors
        places = [entry.objects for entry in compiled._result_columns]
        indexes = [find_place(column, places) for column in model.columns]
        self._rows = Rows(compiled.dialect, compiled.string, model.columns, indexes)
        self._purpose = PLAIN_READ if is_plain_select(compiled.compile_state.statement) else None
        keys = list(result.keys())
        extra = [result._metadata._keymap[key][2] for key in keys]
        self._metadata = SimpleResultMetaData(keys, extra, **(_unique or {}))

    def fetch(self, connection: sa.Connection, bound: Sequence[Any]) -> Any:
        """Return the rows, or `PASS`, also when SQLAlchemy has forgotten the statement.

        :param bound: the parameters of the statement that is executed.
        """
        compiled = self._compiled()
        if compiled is None:
            return PASS
        return self._rows.fetch(connection, lambda: self._parameters(compiled, bound), self._purpose)

    def is_forgotten(self) -> bool:
        """Tell whether SQLAlchemy has forgotten the statement."""
        return self._compiled() is None

    def _parameters(self, compiled: Any, bound: Sequence[Any]) -> Any:
        processors = self._processors
        given = compiled.construct_params(extracted_parameters=bound, escape_names=False)
        if processors:
            given = {name: processors[name](value) if name in processors else value for name, value in given.items()}
        return tuple(given[name] for name in compiled.positiontup) if compiled.positional else given

    def instances(self, session: Any, rows: Any) -> Any:
        """Return the instances of *rows*, or `PASS` when one that the session has is not complete."""
        model, run = self._model, new_run()
        position, identity, present = model.position, model.identity, session.identity_map.get
        found: list[Any] = []
        for row in rows:
            value = row[position]
            if value is None:
                found.append(None)
                continue
            key = identity(value)
            instance = present(key)
            if instance is None:
                instance = model.make(session, key, row, run)
            elif not model.is_complete(instance):
                return PASS
            found.append(instance)
        return found

    def result(self, instances: Sequence[Any]) -> Any:
        """Return a result of SQLAlchemy with *instances*."""
        result: Any = IteratorResult(self._metadata, iter(instances), _source_supports_scalars=True)
        result._attributes = result._attributes.union({"filtered": True, "is_single_entity": True})
        return result


def find_place(column: Any, places: Sequence[Any]) -> int:
    """Return the first place of a column in the result.

    :raises LookupError: when it is not there.
    """
    for index, objects in enumerate(places):
        if column in objects:
            return index
    raise LookupError(column)


def find_selected(statement: sa.Select[Any]) -> PlainModel | None:
    """Return the model whose instances a statement selects, or None if that is not all that it does."""
    subject: Any = statement._propagate_attrs.get("plugin_subject")
    if (
        _unique is None
        or subject is None
        or statement._with_options
        or statement._execution_options
        or statement._for_update_arg is not None
        or len(statement._raw_columns) != 1
    ):
        return None
    # A column, or an alias of the model, has an entity in its annotations, too; the model's table has its own mapper.
    raw: Any = statement._raw_columns[0]
    entity: Any = raw._annotations.get("parententity")
    if entity is not getattr(subject, "mapper", None) or raw._annotations.get("proxy_key") is not None:
        return None
    return None if entity is None else find_model(entity.class_)


def find_plans(model: PlainModel, engine: sa.Engine) -> dict[Any, Any]:
    """Return the plans for statements on a model: key -> plan, or None for a statement that has none."""
    plans = model.extra.get(_PLANS)
    if plans is None:
        plans = model.extra[_PLANS] = WeakKeyDictionary()
    found: dict[Any, Any] | None = plans.get(engine)
    if found is None:
        found = plans[engine] = {}
    return found


def make_plan(result: Any, model: PlainModel) -> Plan | None:
    """Return a plan after what SQLAlchemy executed, or None when the statement is more than a plan can repeat."""
    raw = getattr(result, "raw", None)
    context = getattr(raw, "context", None)
    compiled = getattr(context, "compiled", None)
    if (
        compiled is None
        or getattr(compiled, "post_compile_params", None)
        or getattr(compiled, "literal_execute_params", None)
        or getattr(compiled, "escaped_bind_names", None)
        or compiled.cache_key is None
    ):
        return None
    try:
        return Plan(compiled, result, model)
    except (AttributeError, KeyError, LookupError, TypeError):
        return None


class FastSelect(FastGet, usual=True):
    """A session that remembers what selecting the instances of one plain model takes."""

    def _execute_internal(self, statement: Any, params: Any = None, **options: Any) -> Any:
        # PERF: the public methods come here with empty options, the ORM's own loads with full ones.
        if type(statement) is sa.Select and not params and self._goes_usual_ways and not any(options.values()):
            model = find_selected(statement)
            if model is not None and not model.is_watched(self):
                key = statement._generate_cache_key()
                # Since SQLAlchemy 2.1, what `params()` was given is beside the parameters of the key.
                if key is not None and not getattr(key, "params", None):
                    return self._execute_remembered(statement, model, key, options)
        return super()._execute_internal(statement, params, **options)

    def _execute_remembered(self, statement: Any, model: PlainModel, key: Any, options: dict[str, Any]) -> Any:
        self._autoflush()
        tried: list[dict[Any, Any]] = []
        used: list[Plan] = []

        def fetch(connection: sa.Connection) -> Any:
            if not is_usable(connection):
                return PASS
            plans = find_plans(model, connection.engine)
            plan = plans.get(key.key, tried)
            if plan is tried or (isinstance(plan, Plan) and plan.is_forgotten()):
                tried.append(plans)
                return PASS
            if not isinstance(plan, Plan):
                return PASS
            used.append(plan)
            return plan.fetch(connection, key.bindparams)

        rows = self.read_rows(model.mapper, statement, fetch)
        if rows is not PASS:
            instances = used[0].instances(self, rows)
            if instances is not PASS:
                return used[0].result(instances)
        result = super()._execute_internal(statement, None, **options)
        return self._remember(result, model, key, tried[0]) if tried else result

    def _remember(self, result: Any, model: PlainModel, key: Any, plans: dict[Any, Any]) -> Any:
        """Keep a plan for a statement that SQLAlchemy has executed for the first time; return its result."""
        plan = make_plan(result, model)
        if plan is None or model.is_learned:
            keep_plan(plans, key, plan)
            return result
        instances = result.scalars().all()
        fresh = next((instance for instance in instances if model.is_complete(instance)), None)
        if fresh is not None:
            model.learn(fresh)
            keep_plan(plans, key, plan)
        return plan.result(instances)


def keep_plan(plans: dict[Any, Any], key: Any, plan: Plan | None) -> None:
    """Remember a plan, or that there is none."""
    if len(plans) >= MOST:
        plans.clear()
    plans[key.key] = plan
