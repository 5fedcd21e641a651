"""Projects with migrations that are written by hand, run in this process and in others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ext.migrate.projects import Project

PATIENCE = 120
"""Seconds that a process may take. No measure of speed."""

_REVISION = '''"""{message}"""

import os
import select
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''

_APP = """
import os
from quaff import Quaff
from quaff.ext.migrate import Migrate
from quaff.ext.sqlalchemy import SQLAlchemy

app = Quaff(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE"]
app.config["MIGRATE_LOCK"] = "NO_LOCK" not in os.environ
db = SQLAlchemy(app)
Migrate(app, db)
"""


_HERD = """
import os, sys
from program import app
from quaff.ext.migrate import runner, upgrade

number = int(sys.argv[1])
gate, opener = os.pipe()
children = []
for child in range(number):
    process = os.fork()
    if process:
        children.append(process)
        continue
    os.close(opener)
    os.read(gate, 1)
    os.dup2(os.open(f"{child}.txt", os.O_CREAT | os.O_WRONLY), 1)
    status = 1
    try:
        with app.app_context():
            upgrade(tell=lambda line: print(line, flush=True))
        status = 0
    finally:
        os._exit(status)
os.close(opener)
print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""
"""Starts processes that wait for each other: they need not load everything each, and all begin at the same moment."""


def _indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in (body.strip() or "pass").splitlines())


def add_revision(
    project: Project, revision: str, down: str | None, upgrade: str, downgrade: str = "", message: str = ""
) -> Path:
    """Write a migration, with the lines of its two functions; return its file."""
    path = project.folder / "migrations" / "versions" / f"{revision}.py"
    text = _REVISION.format(
        message=message or f"The revision {revision}",
        revision=revision,
        down=down,
        upgrade=_indented(upgrade),
        downgrade=_indented(downgrade),
    )
    path.write_text(text, encoding="utf-8")
    return path


class Others:
    """Processes of their own that work in a project's folder."""

    def __init__(self, project: Project, **environment: str) -> None:
        self.folder = project.folder
        (self.folder / "program.py").write_text(_APP, encoding="utf-8")
        (self.folder / "herd.py").write_text(_HERD, encoding="utf-8")
        self.environment = {**os.environ, "DATABASE": project.uri, **environment}

    def start(self, *args: str, **environment: str) -> subprocess.Popen[str]:
        """Start `quaff db ...`."""
        return subprocess.Popen(
            [sys.executable, "-m", "quaff", "--app", "program", "db", *args],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def upgrade_at_once(self, number: int) -> list[tuple[int, str]]:
        """Have so many processes upgrade at the same moment; return their exit statuses and what each told."""
        done = subprocess.run(
            [sys.executable, "herd.py", str(number)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = [(self.folder / f"{child}.txt").read_text(encoding="utf-8") for child in range(number)]
        return list(zip(map(int, done.stdout.split()), told, strict=True))

    def run(self, *args: str, **environment: str) -> tuple[int, str]:
        """Run `quaff db ...` and return its exit status and what it printed."""
        return finish(self.start(*args, **environment))


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process and return its exit status and what it printed."""
    output, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, output
