"""What `quaff db` does with the migrations in this folder: which databases, which tables, which options."""

import logging
import re
from contextlib import ExitStack
from logging.config import fileConfig

from alembic import context
from quaff import current_app
from sqlalchemy import MetaData

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name, disable_existing_loggers=False)
logger = logging.getLogger("flask_migrate")

migrate = current_app.extensions["migrate"]
db = migrate.db

TWO_PHASE = False
"""Whether all databases commit together or not at all: for PostgreSQL and MySQL, where nothing else commits meanwhile."""

binds = sorted(db.engines, key=lambda bind: bind is not None)
"""The bind keys; that of the app's own database is None, and it comes first."""


def name_of(bind):
    """Return what the functions of a migration call a database: `upgrade_NAME`; the app's own has no name."""
    return re.sub(r"\W", "_", bind or "")


def metadata_of(bind):
    """Return the tables of a database."""
    return db.metadatas.get(bind) or MetaData()


def leave_out_empty(context, revision, directives):
    """Write no migration when the models and all databases are the same."""
    if getattr(config.cmd_opts, "autogenerate", False):
        found = directives[0].upgrade_ops_list
        # It is called once for each database, with what was found so far.
        if len(found) == len(binds) and all(operations.is_empty() for operations in found):
            directives[:] = []
            logger.info("No changes in schema detected.")


def options(bind):
    """Return the options of `Migrate(...)`, with what was not given there."""
    given = migrate.configure_args
    return {
        **given,
        "process_revision_directives": given.get("process_revision_directives") or leave_out_empty,
        "target_metadata": metadata_of(bind),
    }


def run_offline():
    """Print the SQL for each database, or for that of `-x database=NAME`; no connection is made."""
    wanted = context.get_x_argument(as_dictionary=True).get("database")
    for bind in binds:
        if wanted in (None, bind or "default"):
            config.print_stdout("-- Database: %s\n", bind or "default")
            url = db.engines[bind].url.render_as_string(hide_password=False)
            context.configure(url=url, literal_binds=True, **options(bind))
            with context.begin_transaction():
                context.run_migrations(engine_name=name_of(bind))


def run_in(connections):
    """Run the migrations in all databases, then commit them all."""
    transactions = [each.begin_twophase() if TWO_PHASE else each.begin() for each in connections.values()]
    try:
        for bind, connection in connections.items():
            logger.info("Migrating database %s", bind or "<default>")
            name = name_of(bind)
            tokens = {"upgrade_token": f"{name}_upgrades", "downgrade_token": f"{name}_downgrades"}
            context.configure(connection=connection, **tokens, **options(bind))
            context.run_migrations(engine_name=name)
        if TWO_PHASE:
            for transaction in transactions:
                transaction.prepare()
        for transaction in transactions:
            transaction.commit()
    except BaseException:
        for transaction in transactions:
            transaction.rollback()
        raise


def run_online():
    """Connect to all databases and run the migrations."""
    with ExitStack() as stack:
        run_in({bind: stack.enter_context(db.engines[bind].connect()) for bind in binds})


if context.is_offline_mode():
    run_offline()
else:
    run_online()
