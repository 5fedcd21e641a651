# Settings of the migrations in this folder: https://alembic.sqlalchemy.org/en/latest/tutorial.html#editing-the-ini-file
# The address of the database is not here: env.py asks the app for it.

[alembic]
path_separator = os

# The names of new files, for instance with the date in front:
# file_template = %%(year)d-%%(month).2d-%%(day).2d_%%(rev)s_%%(slug)s

# What formats new files; "ruff" has to be installed:
# [post_write_hooks]
# hooks = ruff
# ruff.type = exec
# ruff.executable = ruff
# ruff.options = format REVISION_SCRIPT_FILENAME

# What the commands print: see logging.config.fileConfig in Python's documentation.

[loggers]
keys = root,sqlalchemy,alembic,plugins,flask_migrate

[handlers]
keys = console

[formatters]
keys = line

[logger_root]
level = WARNING
handlers = console

[logger_sqlalchemy]
qualname = sqlalchemy.engine
level = WARNING
handlers =

[logger_alembic]
qualname = alembic
level = INFO
handlers =

[logger_plugins]
qualname = alembic.runtime.plugins
level = WARNING
handlers =

[logger_flask_migrate]
qualname = flask_migrate
level = INFO
handlers =

[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = line

[formatter_line]
format = %(levelname)-5.5s [%(name)s] %(message)s
