"""What `quaff db` does with the migrations in this folder: which database, which tables, which options."""

import asyncio
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
    url = db.engine.url.render_as_string(hide_password=False)
    context.configure(url=url, target_metadata=db.metadata, literal_binds=True, **options())
    with context.begin_transaction():
        context.run_migrations()


def run_in(connection):
    """Run the migrations in the database; *connection* is the sync face of an async one."""
    context.configure(connection=connection, target_metadata=db.metadata, **options())
    with context.begin_transaction():
        context.run_migrations()


async def run_online():
    """Connect, run the migrations, and leave no connection behind on a loop that ends."""
    engine = db.async_engine
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run_in)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    run_offline()
else:
    asyncio.run(run_online())
