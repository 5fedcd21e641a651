"""`SQLAlchemy`: the class that users know as `db`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Generic, Literal, TypeVar, overload
from weakref import WeakKeyDictionary

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
import sqlalchemy.orm as sa_orm
from typing_extensions import TypeVar as TypeVarWithDefault

from ...errors import SetupError
from ...globals import current_context
from . import record_queries, track_modifications
from .beyond import Beyond
from .binding import find_app
from .defaults import apply_defaults
from .engines import AppEngines, Engines, dispose_all, dispose_with, make_engine
from .model import DeclarativeModel, DefaultMeta, DefaultMetaNoName, Model, _QueryProperty, adopt, declarative_bases
from .names import SQLAlchemyNames
from .operations import Operations
from .pagination import Pagination, SelectPagination
from .query import Query, abort_404
from .session import ScopedSession, Session
from .settings import BINDS, URI, Settings, read_settings
from .table import _Table, make_table_class

T = TypeVar("T")
M = TypeVarWithDefault("M", default=DeclarativeModel)

BindKeys = str | None | list[str | None]


class SQLAlchemy(Operations, Beyond, SQLAlchemyNames, Generic[M]):
    """The databases of an app, with the names of Flask-SQLAlchemy 3.1.

    ::

        db = SQLAlchemy(app)


        class User(db.Model):
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.String(80), unique=True, nullable=False)

    Engines belong to an app; models, tables and metadata to this object, which may serve several apps. Outside of any app
    context, the only app that there is is meant.

    :param app: the app; or call `init_app` later.
    :param metadata: the default metadata, for a naming convention; a declarative base of SQLAlchemy 2 has its own.
    :param session_options: arguments for each session; a `scopefunc` in it returns what a session belongs to.
    :param query_class: the class of `Model.query` and of dynamic relationships.
    :param model_class: a base class for `db.Model`: a declarative base of SQLAlchemy 2, which becomes `db.Model` itself, or
        a subclass of `quaff.ext.sqlalchemy.model.Model`.
    :param engine_options: arguments for each engine, before those of the configuration.
    :param add_models_to_shell: whether `quaff shell` knows `db` and the models.
    :param disable_autonaming: whether each model has to say its `__tablename__`.
    :raises RuntimeError: when the app's configuration has no URL, or the app has such an object already.
    """

    @overload
    def __init__(
        self: SQLAlchemy[DeclarativeModel],
        app: Any = None,
        *,
        metadata: sa.MetaData | None = None,
        session_options: dict[str, Any] | None = None,
        query_class: type[Query[Any]] = Query,
        engine_options: dict[str, Any] | None = None,
        add_models_to_shell: bool = True,
        disable_autonaming: bool = False,
    ) -> None: ...

    @overload
    def __init__(
        self,
        app: Any = None,
        *,
        metadata: sa.MetaData | None = None,
        session_options: dict[str, Any] | None = None,
        query_class: type[Query[Any]] = Query,
        model_class: type[M],
        engine_options: dict[str, Any] | None = None,
        add_models_to_shell: bool = True,
        disable_autonaming: bool = False,
    ) -> None: ...

    def __init__(
        self,
        app: Any = None,
        *,
        metadata: sa.MetaData | None = None,
        session_options: dict[str, Any] | None = None,
        query_class: type[Query[Any]] = Query,
        model_class: Any = Model,
        engine_options: dict[str, Any] | None = None,
        add_models_to_shell: bool = True,
        disable_autonaming: bool = False,
    ) -> None:
        self.Query = query_class
        """The class of `Model.query` and of dynamic relationships."""

        self._session_options = dict(session_options or {})
        self.session: ScopedSession = self._make_scoped_session(dict(self._session_options))
        """The session of the current app context."""

        self.metadatas: dict[str | None, sa.MetaData] = {}
        """Bind key, None for the default -> metadata."""

        if metadata is not None:
            self._take_metadata(metadata, model_class)

        self.Table: type[_Table] = make_table_class(self._make_metadata)
        """A table class that needs no metadata: it goes by a `bind_key`."""

        self.Model: type[M] = self._make_declarative_base(model_class, disable_autonaming=disable_autonaming)
        """The base class of models."""

        self._engine_options = engine_options or {}
        self._app_engines: AppEngines = WeakKeyDictionary()
        self._app_settings: WeakKeyDictionary[Any, Settings] = WeakKeyDictionary()
        self._add_models_to_shell = add_models_to_shell
        if app is not None:
            self.init_app(app)

    def __repr__(self) -> str:
        engines = self._engines_if_any()
        if not engines:
            return f"<{type(self).__name__}>"
        first = engines.get(None) or next(iter(engines.values()))
        more = f" +{len(engines) - 1}" if len(engines) > 1 else ""
        # SECURITY: the password is left out.
        return f"<{type(self).__name__} {first.url.render_as_string()}{more}>"

    def _engines_if_any(self) -> Engines | None:
        try:
            return self._app_engines.get(find_app(self))
        except RuntimeError:
            return None

    def init_app(self, app: Any) -> None:
        """Read an app's settings and make its engines, which connect when they are first used.

        :raises RuntimeError: when the configuration has no URL, or the app has a `SQLAlchemy` object already.
        :raises sqlalchemy.exc.ArgumentError: for a URL that cannot be read.
        :raises ImportError: when the driver of a database is not installed.
        """
        if "sqlalchemy" in app.extensions:
            raise RuntimeError(
                "A 'SQLAlchemy' instance has already been registered on this Flask app."
                " Import and use that instance instead."
            )
        app._check_setup_finished("init_app")
        settings = read_settings(app.config, self._engine_options, stacklevel=2)
        engines: Engines = {}
        for key, options in settings.engine_options.items():
            self._make_metadata(key)
            self._note_options(app, key, options)
            self._apply_driver_defaults(options, app)
            engines[key] = self._make_engine(key, options, app)
            if settings.record_queries:
                record_queries._listen(engines[key])
        dispose_all(self._app_engines.get(app, {}))
        self._app_engines[app] = engines
        self._app_settings[app] = settings
        self._set_up_replicas(app)
        app.extensions["sqlalchemy"] = self
        if settings.track_modifications:
            track_modifications._listen(self.session)
        if self._add_models_to_shell:
            from .cli import add_models_to_shell

            app.shell_context_processor(add_models_to_shell)
        self._init_operations(app, engines)
        self._clean_up(app)

    def _clean_up(self, app: Any) -> None:
        """See to it that sessions and connections end when they should."""
        app.closes_contexts = True
        dispose_with(app, self._app_engines[app])
        if self.session.has_own_scopes:
            # COMPAT: a session of a scope of the user's own is removed after each context, whether that used it or not.
            app.teardown_appcontext(self._teardown_session)
        with suppress(SetupError):
            # Unless this is called by such a function: then the app does not serve yet, and nothing was read outside.
            app.before_serving(self.session.release_main)

    # Made once -----------------------------------------------------------------------------------------------------------

    def _take_metadata(self, metadata: sa.MetaData, model_class: Any) -> None:
        if declarative_bases(model_class):
            warnings.warn(
                "The metadata of a declarative base is an attribute of the class; `metadata` is ignored.",
                DeprecationWarning,
                stacklevel=3,
            )
            return
        metadata.info["bind_key"] = None
        self.metadatas[None] = metadata

    def _make_scoped_session(self, options: dict[str, Any]) -> ScopedSession:
        scopefunc = options.pop("scopefunc", None)
        return ScopedSession(self, self._make_session_factory(options), scopefunc)

    def _make_session_factory(self, options: dict[str, Any]) -> sa_orm.sessionmaker[Session]:
        options.setdefault("class_", Session)
        options.setdefault("query_cls", self.Query)
        return sa_orm.sessionmaker(db=self, **options)

    def _before_session_ends(self, session: Session, error: BaseException | None) -> None:
        """Do what is to be done before the session of a context is closed: nothing, with today's settings."""
        if error is None:
            settings = self._app_settings.get(current_context.get().app)
            if settings is not None and settings.commit_on_teardown:
                session.commit()

    def _teardown_session(self, exc: BaseException | None) -> None:
        try:
            if self.session.registry.has():
                self._before_session_ends(self.session(), exc)
        finally:
            self.session.remove()

    def _make_metadata(self, bind_key: str | None) -> sa.MetaData:
        """Return the metadata of a bind key, making it first if there is none."""
        if bind_key not in self.metadatas:
            # A naming convention is for all of them.
            convention = None if bind_key is None else self._make_metadata(None).naming_convention
            self.metadatas[bind_key] = sa.MetaData(naming_convention=convention, info={"bind_key": bind_key})
        return self.metadatas[bind_key]

    def _make_declarative_base(self, model_class: Any, disable_autonaming: bool = False) -> Any:
        bases = declarative_bases(model_class)
        if len(bases) > 1:
            raise ValueError(f"Only one declarative base can be passed to SQLAlchemy. Got: {model_class.__bases__}")
        if bases:
            model: Any = adopt(model_class, names=not disable_autonaming)
        elif isinstance(model_class, sa_orm.DeclarativeMeta):
            model = model_class
        else:
            model = sa_orm.declarative_base(
                metadata=self._make_metadata(None),
                cls=model_class,
                name="Model",
                metaclass=DefaultMetaNoName if disable_autonaming else DefaultMeta,
            )
        if None in self.metadatas:
            model.metadata = self.metadatas[None]
        else:
            model.metadata.info["bind_key"] = None
            self.metadatas[None] = model.metadata
        model.query_class = self.Query
        model.query = _QueryProperty()
        model.__fsa__ = self
        return model

    def _apply_driver_defaults(self, options: dict[str, Any], app: Any) -> None:
        """Complete the arguments of an engine for its kind of database. A subclass may change what they are."""
        apply_defaults(options, app)

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Any) -> sa.Engine:
        """Make an engine. A subclass may make another."""
        return make_engine(bind_key, options, app)

    # Engines and tables ------------------------------------------------------------------------------------------------

    @property
    def metadata(self) -> sa.MetaData:
        """The default metadata."""
        return self.metadatas[None]

    @property
    def engines(self) -> Mapping[str | None, sa.Engine]:
        """Bind key, None for the default -> engine, of the current app."""
        return self._app_engines[find_app(self)]

    @property
    def engine(self) -> sa.Engine:
        """The default engine of the current app."""
        engines = self.engines
        if None not in engines:
            raise KeyError(f"There is no default engine: '{URI}' is not set. Use db.engines[key].")
        return engines[None]

    def get_engine(self, bind_key: str | None = None, **kwargs: Any) -> sa.Engine:
        """Return the engine of a bind key. COMPAT: older migrations call it; `engines[key]` is the same."""
        warnings.warn(
            "'get_engine' is deprecated. Use 'engine' or 'engines[key]' instead; in the 'env.py' of migrations, too.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.engines[kwargs.get("bind", bind_key)]

    def create_all(self, bind_key: BindKeys = "__all__") -> None:
        """Create the tables that the databases do not have. It changes no table: that is what migrations are for.

        :param bind_key: a bind key, None for the default, or a list of them; all by default.
        """
        self._call_for_binds(bind_key, "create_all")

    def drop_all(self, bind_key: BindKeys = "__all__") -> None:
        """Drop the tables of all models, or of some bind keys."""
        self._call_for_binds(bind_key, "drop_all")

    def reflect(self, bind_key: BindKeys = "__all__") -> None:
        """Read the tables that the databases have into the metadata."""
        self._call_for_binds(bind_key, "reflect")

    def _call_for_binds(self, bind_key: BindKeys, op_name: Literal["create_all", "drop_all", "reflect"]) -> None:
        keys: list[str | None] = list(self.metadatas) if bind_key == "__all__" else [bind_key]  # type: ignore[list-item]
        if isinstance(bind_key, list):
            keys = bind_key
        engines = self.engines
        for key in keys:
            if key not in engines:
                start = f"'{URI}' config is not set. " if key is None else ""
                raise sa_exc.UnboundExecutionError(f"{start}Bind key '{key}' is not in '{BINDS}' config.")
            getattr(self.metadatas[key], op_name)(bind=engines[key])

    # For views -----------------------------------------------------------------------------------------------------------

    def get_or_404(self, entity: type[T], ident: Any, *, description: str | None = None, **kwargs: Any) -> T:
        """Return the row with primary key *ident*, or answer 404.

        :param kwargs: for `session.get`.
        """
        value = self.session.get(entity, ident, **kwargs)
        if value is None:
            abort_404(description)
        return value

    def first_or_404(self, statement: sa.Select[Any], *, description: str | None = None) -> Any:
        """Return the first column of the first row, or answer 404."""
        value = self.session.execute(statement).scalar()
        if value is None:
            abort_404(description)
        return value

    def one_or_404(self, statement: sa.Select[Any], *, description: str | None = None) -> Any:
        """Return the first column of the only row; answer 404 when there is none or several."""
        try:
            return self.session.execute(statement).scalar_one()
        except (sa_exc.NoResultFound, sa_exc.MultipleResultsFound):
            abort_404(description)

    def paginate(
        self,
        select: sa.Select[Any],
        *,
        page: int | None = None,
        per_page: int | None = None,
        max_per_page: int | None = None,
        error_out: bool = True,
        count: bool = True,
    ) -> Pagination:
        """Return one page of the models that a `select` gives.

        :param page: the page, from 1; during a request the `page` of the query string by default.
        :param per_page: the most items on a page; during a request the `per_page` of the query string by default, else 20.
        :param max_per_page: the most that `per_page` may be. None, the default, for no bound.
        :param error_out: answer 404 for a page that is empty, and for numbers that cannot be right.
        :param count: ask how many items there are in all, which is a query more.
        """
        return SelectPagination(
            select=select,
            session=self.session(),
            page=page,
            per_page=per_page,
            max_per_page=max_per_page,
            error_out=error_out,
            count=count,
        )

    # Relationships ---------------------------------------------------------------------------------------------------

    def _set_rel_query(self, kwargs: dict[str, Any]) -> None:
        kwargs.setdefault("query_class", self.Query)
        backref = kwargs.get("backref")
        if backref is not None:
            name, options = (backref, {}) if isinstance(backref, str) else backref
            kwargs["backref"] = (name, {"query_class": self.Query, **options})

    def relationship(self, *args: Any, **kwargs: Any) -> Any:
        """Return SQLAlchemy's relationship; one that is dynamic has this object's query class."""
        self._set_rel_query(kwargs)
        return sa_orm.relationship(*args, **kwargs)

    def dynamic_loader(self, argument: Any, **kwargs: Any) -> Any:
        """Return SQLAlchemy's dynamic relationship, with this object's query class."""
        self._set_rel_query(kwargs)
        return sa_orm.dynamic_loader(argument, **kwargs)
