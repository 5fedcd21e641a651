"""The interpreters, and the environments in which the real Flask, Falcon and Quaff live side by side."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.contestants import ROOT, clean_environment, cores

CACHE = ROOT / "benchmarks" / ".cache"
REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
VERSIONS = ("3.13", "3.11")
"""The versions of CPython that the bars are stated for."""

PEERS = ("emmett55", "blacksheep", "litestar", "fastapi", "starlette", "sanic", "robyn", "uvicorn", "uvloop")
"""Who takes part in the protocol measurements, and what serves them besides Granian."""

EXTENSIONS = ("flask-caching", "flask-compress", "flask-cors", "flask-limiter", "flask-sslify", "flask-talisman")
"""What the batteries are held against."""

DATABASES = ("sqlalchemy", "flask-sqlalchemy", "psycopg")
"""What the pages on a database are made with."""

PACKAGES = ("quaff", "flask", "werkzeug", "jinja2", "falcon", "granian", *PEERS, *EXTENSIONS, *DATABASES)

ASK = (
    "import json, platform, importlib.metadata as m\n"
    "def version(name):\n"
    "    try: return m.version(name)\n"
    "    except m.PackageNotFoundError: return None\n"
    "print(json.dumps({'implementation': platform.python_implementation(), 'python': platform.python_version(),"
    " 'packages': {name: version(name) for name in %r}}))"
)


class PreparationError(RuntimeError):
    """An interpreter or an environment for the measurement could not be had."""


def ask(python: str) -> dict[str, Any]:
    """Return the implementation, the version and the installed packages of an interpreter."""
    command = [python, "-c", ASK % (PACKAGES,)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(), cwd=ROOT)
    except OSError as error:
        raise PreparationError(f"{python} cannot be started: {error.strerror}") from None
    if done.returncode:
        raise PreparationError(f"{python} is not a Python that runs:\n{done.stderr.strip()[-1000:]}")
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def candidates(version: str) -> Iterable[str]:
    """Yield where a Python of *version* ("3.13") may be: this one, the PATH, pyenv."""
    if "{}.{}".format(*sys.version_info[:2]) == version:
        yield sys.executable
    found = shutil.which(f"python{version}")
    if found:
        yield found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for path in sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True):
        yield str(path)


def works(python: str, version: str) -> bool:
    """Tell whether *python* runs and is of *version*; a shim on the PATH may be for a version that is not there."""
    try:
        return bool(ask(python)["python"].startswith(f"{version}."))
    except PreparationError:
        return False


def find_pythons() -> list[str]:
    """Return an interpreter for each of `VERSIONS` that the machine has; the running one when it has none of them."""
    found = [next((path for path in candidates(version) if works(path, version)), None) for version in VERSIONS]
    return [path for path in found if path] or [sys.executable]


def stamp_of(facts: dict[str, Any]) -> str:
    """Return what an environment is made of; it is made anew when this changes."""
    # Quaff is installed without its requirements and editable, so a change of its own files needs nothing new.
    content = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    return f"{facts['implementation']} {facts['python']} {content}"


def run(command: list[str]) -> None:
    """Run *command*; raise with the end of what it wrote when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(), cwd=ROOT)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise PreparationError(f"`{' '.join(command)}` failed:\n{said}")


def prepare(python: str) -> str:
    """Make the environment for *python*, unless it is there already, and return its interpreter."""
    facts = ask(python)
    place = CACHE / f"{facts['implementation'].lower()}-{facts['python']}"
    inside, stamp = str(place / "bin" / "python"), place / "made-of"
    if stamp.exists() and stamp.read_text() == stamp_of(facts):
        return inside
    print(f"making the environment for {facts['implementation']} {facts['python']} ...", flush=True)
    run([python, "-m", "venv", "--clear", str(place)])
    pip = [inside, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    # The pins are complete. An older pip would look for more where one distribution asks for an extra of another.
    run([*pip, "--no-deps", "--require-hashes", "-r", str(REQUIREMENTS)])
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    stamp.write_text(stamp_of(facts))
    return inside


def machine_line() -> str:
    """Describe the machine without naming it: processor, cores, system."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    count = len(cores()) or os.cpu_count() or 1
    return f"{model}, {count} core{'s' if count != 1 else ''}, {platform.system()} {platform.machine()}"
