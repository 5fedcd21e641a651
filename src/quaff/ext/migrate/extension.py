"""`Migrate`: the class that users know."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from ...globals import active_app_context

if TYPE_CHECKING:
    from .config import Config

F = TypeVar("F", bound=Callable[..., Any])


class MigrateConfig:
    """What `app.extensions["migrate"]` is: the settings of one app, which `env.py` reads.

    :param migrate: the extension.
    :param db: the object with the models, such as `SQLAlchemy`.
    :param kwargs: arguments for Alembic's `context.configure`.
    """

    def __init__(self, migrate: Migrate, db: Any, **kwargs: Any) -> None:
        # Any: `env.py` uses whatever it has, of Quaff, Flask-SQLAlchemy, Alchemical or the program's own.
        self.migrate = migrate
        self.db = db
        self.directory = migrate.directory
        self.configure_args: dict[str, Any] = kwargs

    @property
    def metadata(self) -> Any:
        """The metadata of `db`. COMPAT: folders of Flask-Migrate 1 read it here."""
        return self.db.metadata


class Migrate:
    """Database migrations for an app, with the names of Flask-Migrate 4.1.

    ::

        db = SQLAlchemy(app)
        migrate = Migrate(app, db)

    Then `quaff db init`, `quaff db migrate`, `quaff db upgrade`.

    :param app: the app; or call `init_app` later, for as many apps as there are.
    :param db: the object with the models; by default the `SQLAlchemy` object of the app.
    :param directory: the folder of the migrations, relative to the current one.
    :param command: the name of the command.
    :param compare_type: whether a changed type of a column is noticed.
    :param render_as_batch: whether changes are written so that SQLite can do them too, by copying the table.
    :param kwargs: further arguments for Alembic's `context.configure`, such as `include_object`.
    """

    def __init__(
        self,
        app: Any = None,
        db: Any = None,
        directory: str | os.PathLike[str] = "migrations",
        command: str = "db",
        compare_type: Any = True,
        render_as_batch: bool = True,
        **kwargs: Any,
    ) -> None:
        self.configure_callbacks: list[Callable[[Config], Config]] = []
        self.db = db
        self.command = command
        self.directory = os.fspath(directory)
        self.alembic_ctx_kwargs: dict[str, Any] = {
            **kwargs,
            "compare_type": compare_type,
            "render_as_batch": render_as_batch,
        }
        if app is not None and (db is not None or "sqlalchemy" in app.extensions):
            self.init_app(app, db, directory)

    def init_app(
        self,
        app: Any,
        db: Any = None,
        directory: str | os.PathLike[str] | None = None,
        command: str | None = None,
        compare_type: Any = None,
        render_as_batch: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Give an app the migrations and the command; what is None here is as it was given to the class."""
        self.db = db or self.db or app.extensions.get("sqlalchemy")
        self.command = command or self.command
        self.directory = os.fspath(directory or self.directory)
        self.alembic_ctx_kwargs.update(kwargs)
        if compare_type is not None:
            self.alembic_ctx_kwargs["compare_type"] = compare_type
        if render_as_batch is not None:
            self.alembic_ctx_kwargs["render_as_batch"] = render_as_batch
        app.extensions["migrate"] = MigrateConfig(self, self.db, **self.alembic_ctx_kwargs)
        app.add_cli_commands(_CommandAdder(self.command))

    def configure(self, f: F) -> F:
        """Call a function with the `Config` of each command; it returns the one to use.

        ::

            @migrate.configure
            def configure(config):
                config.set_main_option("file_template", "%%(year)d_%%(slug)s")
                return config
        """
        self.configure_callbacks.append(f)
        return f

    def call_configure_callbacks(self, config: Config) -> Config:
        """Return the configuration after all functions of `configure` have had their turn."""
        for callback in self.configure_callbacks:
            config = callback(config)
        return config

    def get_config(
        self,
        directory: str | os.PathLike[str] | None = None,
        x_arg: str | Iterable[str] | None = None,
        opts: Iterable[str] | None = None,
    ) -> Config:
        """Return Alembic's configuration for this app's migrations. Imports Alembic.

        :param directory: the folder of the migrations, by default this extension's.
        :param x_arg: what `env.py` gets from `context.get_x_argument()`: one text, or several.
        :param opts: names of flags that `env.py` finds set in `config.cmd_opts`.
        """
        from .config import make_config

        context = active_app_context()
        # COMPAT: options that stand before the command are found in `g`.
        given = list(getattr(None if context is None else context.g, "x_arg", ()))
        if x_arg is not None:
            given += [x_arg] if isinstance(x_arg, str) else [x for x in x_arg if x not in given]
        return self.call_configure_callbacks(make_config(os.fspath(directory or self.directory), given, opts or ()))


class _CommandAdder:
    """Adds the command group to an app's commands.

    PERF: an app that serves requests has no command line: neither Click nor the group is imported there.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, group: Any) -> None:  # Any: Click's group, which is not imported here
        from .cli import db

        group.add_command(db, name=self.name)
