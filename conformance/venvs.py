"""The virtual environment of a suite: what its baseline was recorded with, without Flask, with Quaff.

`uv` is used where it is installed, for it takes seconds where pip takes a minute; otherwise `venv` and pip.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from suites import (
    PROJECT,
    Suite,
    Unavailable,
    battery_requirements,
    common_requirements,
    replaced_distributions,
)

_DROPPED = ("PYTEST", "PYTHON", "FLASK", "QUAFF", "VIRTUAL_ENV", "CONFORMANCE", "COV")
"""Variables that start like this would change how a suite behaves."""


def clean_environment() -> dict[str, str]:
    """Return the environment for a suite: this one, without what would change how it behaves."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_DROPPED) and name not in ("CI", "TOX_ENV_NAME")
    }
    return env | {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"}


_IN_CHILDREN = (
    "import quaff.compat.site\nimport os; os.environ.get('CONFORMANCE_COMPAT') and __import__('conformance_old_ways')\n"
)
"""What every interpreter of the environment does first, where the tests start programs: the alias, and old ways."""


class Environment:
    """One virtual environment, made once and kept under the cache."""

    def __init__(self, suite: Suite, python: str, cache: Path, log: Path, *, real: bool = False, fresh: bool = False):
        """Say which one.

        :param real: keep the real Flask and leave Quaff out.
        :param fresh: install the newest versions that the suite's requirements allow, not those of its baseline.
        """
        self.suite, self.python, self.log, self.real = suite, python, log, real
        # With the real Flask the extension is the real one as well, whatever the suite is called.
        with_batteries = suite.replaces_extension and not real
        self.removed = ["flask", *(replaced_distributions() if with_batteries else [])]
        name = suite.slug
        if with_batteries:
            # One for all of them: where there is no uv, making it takes longer than most of the suites.
            name, self.requirements = "batteries", battery_requirements(suite.again)
        elif suite.lock.exists() and not fresh:
            self.requirements = suite.lock.read_text(encoding="utf-8").split()
        else:
            self.requirements = list(dict.fromkeys([*common_requirements(), *suite.requirements]))
        version = self._run([python, "-V"])
        project = "" if real else (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
        key = hashlib.sha256(repr([python, version, real, self.requirements, project]).encode()).hexdigest()[:10]
        self.path = cache / "venv" / f"{name}-{key}"
        self._uv = shutil.which("uv")

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return self.path / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        return next(self.path.glob("lib/python*/site-packages"))

    def make(self) -> None:
        """Make it, unless it is there.

        :raises Unavailable: when something cannot be installed.
        """
        ready = self.path / ".ready"
        if not ready.exists():
            shutil.rmtree(self.path, ignore_errors=True)
            if self._uv:
                self._run([self._uv, "venv", "--quiet", "--no-project", "--python", self.python, str(self.path)])
            else:
                self._run([self.python, "-m", "venv", str(self.path)])
            self._pip("install", *self.requirements)
            if not self.real:
                self._pip("uninstall", *self.removed)
                self._pip("install", "--editable", str(PROJECT))
                self._write_flask_command()
            ready.touch()
        self._set_site()

    def freeze(self) -> str:
        """Return the exact versions of what is installed."""
        return self._pip("freeze")

    def _pip(self, command: str, *arguments: str) -> str:
        if self._uv:
            return self._run([self._uv, "pip", command, "--quiet", "--python", str(self.interpreter), *arguments])
        sure = ["--yes"] if command == "uninstall" else []
        pip = [str(self.interpreter), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        return self._run([*pip, command, *sure, *arguments])

    def _run(self, argv: list[str]) -> str:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=clean_environment())
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(argv)}\n{done.stdout}{done.stderr}")
        if done.returncode:
            raise Unavailable(f"{' '.join(argv)[:80]}...: {' '.join(done.stderr.split())[-300:]} (see {self.log})")
        return done.stdout

    def _set_site(self) -> None:
        # The plugin alone must do where it can: the alias at interpreter start-up is for suites with child processes.
        pth = self.site_packages / "quaff_conformance.pth"
        if self.suite.subprocess and not self.real:
            pth.write_text(_IN_CHILDREN, encoding="utf-8")
        else:
            pth.unlink(missing_ok=True)

    def _write_flask_command(self) -> None:
        script = self.path / "bin" / "flask"
        lines = f"#!{self.interpreter}\nimport sys\nfrom flask.cli import main\nsys.exit(main())\n"
        script.write_text(lines, encoding="utf-8")
        script.chmod(0o755)
