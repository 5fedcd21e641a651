"""What `quaff db` does with the migrations in this folder: which database, which tables, which options."""

import logging
from logging.config import fileConfig

from alembic import context

from quaff import current_app

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name, disable_existing_loggers=False)
logger = logging.getLogger("flask_migrate")

migrate = current_app.extensions["migrate"]
db = migrate.db
engine = db.engine if hasattr(db, "engine") else db.get_engine()


def leave_out_empty(context, revision, directives):
    """Write no migration when the models and the database are the same."""
    if getattr(config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []
        logger.info("No changes in schema detected.")


def options():
    """Return the options of `Migrate(...)`, with what was not given there."""
    given = migrate.configure_args
    return {**given, "process_revision_directives": given.get("process_revision_directives") or leave_out_empty}


def run_offline():
    """Print the SQL; no connection is made."""
    url = engine.url.render_as_string(hide_password=False)
    context.configure(url=url, target_metadata=db.metadata, literal_binds=True, **options())
    with context.begin_transaction():
        context.run_migrations()


def run_online():
    """Run the migrations in the database."""
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=db.metadata, **options())
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
