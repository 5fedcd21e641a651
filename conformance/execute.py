"""Running a suite: pytest in a process group of its own, with a time limit and, where allowed, a network of its own."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suites import HERE, Suite
from venvs import Environment, clean_environment

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914

_SERVERS = {
    "redis": 'redis-server --bind 127.0.0.1 --port {port} --save "" --appendonly no --dir "$TMPDIR"',
    "memcached": "memcached -l 127.0.0.1 -p {port} -u root",
}

_LAST_FAILED = ("--last-failed", "--last-failed-no-failures", "none")

# From best to worst: a test that passes and then fails in its teardown has failed.
_OUTCOMES = ("xpassed", "passed", "xfailed", "skipped", "failed", "error")


@dataclass(frozen=True)
class Again:
    """Asks for those tests alone that failed in the run before."""

    compat: str = ""
    """Names for every app's `COMPAT`, with commas."""


@dataclass
class Outcome:
    """What came of one run."""

    results: dict[str, str] = field(default_factory=dict)
    """Test id -> one of `_OUTCOMES`."""

    reasons: dict[str, str] = field(default_factory=dict)
    flask: str = ""
    """The file that `flask` was imported from."""

    extension: str = ""
    """The file of the module that the suite's battery can take the place of; "None" when nothing imported it."""

    exit_code: int = 0
    timed_out: bool = False
    seconds: float = 0.0

    @property
    def passing(self) -> set[str]:
        """The ids that passed."""
        return {node for node, result in self.results.items() if result in ("passed", "xpassed")}

    def take_over(self, second: Outcome) -> int:
        """Count what passes in the *second* run as passing; return the number of these tests."""
        better = second.passing - self.passing
        self.results.update({node: second.results[node] for node in better})
        self.seconds += second.seconds
        return len(better)

    def reason(self, node: str) -> str:
        """Say in one line why a test did not pass."""
        why = self.reasons.get(node) or self.reasons.get(node.split("::", maxsplit=1)[0]) or self.reasons.get(".", "")
        return f"{self.results.get(node, 'not run')}: {why}"


def _enter_own_network() -> None:
    """Leave the machine's network for one that has a loopback and nothing else. Needs root; raises OSError without.

    A suite can then reach neither the outside nor another's server on this machine, and may listen on any port.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network of its own")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", 0x49, b""))


def _in_own_network_if_allowed() -> None:
    with contextlib.suppress(OSError, AttributeError):
        _enter_own_network()


def can_have_own_network() -> bool:
    """Tell whether a suite can get a network of its own here."""
    try:
        return subprocess.run(["true"], preexec_fn=_enter_own_network, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def services_of(suite: Suite) -> list[str] | None:
    """Return the shell commands of the suite's servers, or None when it has to do without.

    Without a network of its own the suite gets none: its ports may be those of a server that holds somebody's data.
    """
    wanted = [service.split(":") for service in suite.services]
    commands = [_SERVERS[kind].format(port=port) for kind, port in wanted]
    if commands and not (can_have_own_network() and all(shutil.which(line.split()[0]) for line in commands)):
        return None
    return commands


def run(
    suite: Suite,
    environment: Environment,
    source: Path,
    cache: Path,
    *,
    pipeline: str = "",
    services: list[str] | None = None,
    arguments: list[str] | None = None,
    again: Again | None = None,
) -> Outcome:
    """Run the tests of *suite* that lie in *source*.

    :param pipeline: "compiled" or "reference"; empty for the real Flask.
    :param arguments: more of them for pytest.
    """
    scratch = cache / "tmp" / suite.slug
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    report = scratch / "report.jsonl"
    env = _environment(suite, environment, source, scratch, report)
    if pipeline:
        env["QUAFF_COMPILED"] = "1" if pipeline == "compiled" else "0"
    memory = cache / "tmp" / f"{suite.slug}.pytest_cache"
    if again is None:
        shutil.rmtree(memory, ignore_errors=True)
    argv = [*_pytest(suite, environment, memory), *(arguments or []), *(_LAST_FAILED if again else [])]
    if again and again.compat:
        env["CONFORMANCE_COMPAT"] = again.compat
        argv += ["-p", "conformance_old_ways"]
    started = time.monotonic()
    outcome = _watch(suite, argv, env, source / suite.workdir, services or [], environment.log)
    outcome.seconds = time.monotonic() - started
    _read_report(report, str(source), outcome)
    return outcome


def _environment(suite: Suite, environment: Environment, source: Path, scratch: Path, report: Path) -> dict[str, str]:
    env = clean_environment() | suite.env
    folders = [str(HERE / "plugins"), *(str(source / suite.workdir / path) for path in suite.pythonpath)]
    if not suite.replaces_extension:
        # COMPAT: the extensions stay what they are, so only Flask is replaced.
        env["QUAFF_BATTERIES"] = "0"
    return env | {
        "PATH": f"{environment.path / 'bin'}{os.pathsep}{env.get('PATH', '')}",
        "VIRTUAL_ENV": str(environment.path),
        "CONFORMANCE_REPORT": str(report),
        "CONFORMANCE_MODULE": suite.battery,
        "PYTHONPATH": os.pathsep.join(folders),
        "TMPDIR": str(scratch),
    }


def _pytest(suite: Suite, environment: Environment, memory: Path) -> list[str]:
    argv = [str(environment.interpreter), "-m", "pytest"]
    if not environment.real:
        argv += ["-p", "quaff.compat.pytest_plugin"]
    argv += ["-p", "conformance_report", "--continue-on-collection-errors", "-q", "--tb=short", "-ra"]
    for option in (f"cache_dir={memory}", "addopts=", "xfail_strict=false"):
        argv += ["-o", option]
    # Warnings that are about the age of the suite, the Python or pytest, never about Flask.
    for ignored in (
        "ResourceWarning",
        "pytest.PytestUnraisableExceptionWarning",
        "pytest.PytestAssertRewriteWarning",
    ):
        argv += ["-W", f"ignore::{ignored}"]
    argv += ["-W", "ignore:datetime.datetime.utc:DeprecationWarning", *suite.pytest]
    for node in suite.deselect:
        argv += ["--deselect", node]
    return argv


def _watch(suite: Suite, argv: list[str], env: dict[str, str], folder: Path, services: list[str], log: Path) -> Outcome:
    start = "".join(f"{command} >/dev/null 2>&1 &\n" for command in services) + ("sleep 1\n" if services else "")
    outcome = Outcome()
    with log.open("a", encoding="utf-8") as output:
        output.write(f"$ {' '.join(argv)}   (in {folder})\n")
        output.flush()
        process = subprocess.Popen(
            ["sh", "-c", f'{start}exec "$@"', "sh", *argv],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_in_own_network_if_allowed,  # noqa: PLW1509 - the runner has no threads
        )
        try:
            process.wait(timeout=suite.timeout)
        except subprocess.TimeoutExpired:
            outcome.timed_out = True
        _end_group(process.pid)
        outcome.exit_code = process.wait()
    return outcome


def _end_group(group: int) -> None:
    """End what the suite has left running in its process group, its servers among them."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, kind)
        except ProcessLookupError:
            return
        time.sleep(0.2)


def _read_report(report: Path, source: str, outcome: Outcome) -> None:
    for row in _rows(report):
        if "flask" in row:
            outcome.flask, outcome.extension = row["flask"], row.get("extension", "")
            continue
        result = _result(row)
        if result is None:
            continue
        node = tidy(row["id"], source)
        before = outcome.results.get(node, _OUTCOMES[0])
        if node not in outcome.results or _OUTCOMES.index(result) > _OUTCOMES.index(before):
            outcome.results[node] = result
            outcome.reasons[node] = row.get("why", "")


def _rows(report: Path) -> Iterator[dict[str, Any]]:
    for line in report.read_text(encoding="utf-8").splitlines() if report.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            # The last line of a suite that was ended in the middle of it.
            return


def _result(row: dict[str, Any]) -> str | None:
    got: str = row["outcome"]
    if row["when"] == "collect":
        return "error" if got == "failed" else "skipped"
    if row.get("xfail"):
        return {"skipped": "xfailed", "passed": "xpassed"}.get(got, got)
    if row["when"] == "call":
        return got
    return {"passed": None, "failed": "error"}.get(got, got)


def tidy(node: str, source: str) -> str:
    """Return a test id without what differs from run to run."""
    node = node.replace(source, "SRC")
    return " ".join(re.sub(r"0x[0-9a-fA-F]{6,}", "0xADDR", node).split())
