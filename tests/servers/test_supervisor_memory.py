"""What the workers of one server share."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from tests.servers.process import ServerProcess, write
from tests.servers.supervised import RUN, serving

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")

SERVICE = """\
import os


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {os.environ.get('QUAFF_SHARED_DIR')}".encode()]
"""


def test_several_workers_have_a_directory(tmp_path: Path) -> None:
    """Each worker is told of the same private directory, and it is gone when the server has stopped."""
    with serving(tmp_path, SERVICE, workers=2) as server:
        seen: dict[str, str] = {}
        while len(seen) < 2:
            pid, path = server.get().text.split()
            seen[pid] = path
        (path,) = set(seen.values())
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o700
        assert server.stop(signal.SIGTERM, group=False) == 0
    assert not Path(path).exists()


def test_a_single_worker_has_none(tmp_path: Path) -> None:
    """One worker has nobody to share with, and its own memory is faster."""
    with serving(tmp_path, SERVICE, workers=1) as server:
        assert server.get().text.split()[1] == "None"


def test_a_directory_of_the_users_own_is_kept(tmp_path: Path) -> None:
    """What `QUAFF_SHARED_DIR` names is used, and still there afterwards."""
    own = tmp_path / "shared"
    own.mkdir(mode=0o700)
    write(tmp_path, "service.py", SERVICE)
    write(tmp_path, "run.py", RUN)
    arguments = ["run.py", '{"bind": "127.0.0.1:0", "workers": 2}']
    with ServerProcess(arguments, tmp_path, {"QUAFF_SHARED_DIR": str(own)}) as server:
        assert server.wait_until_serving().get().text.split()[1] == str(own)
        server.stop(signal.SIGTERM, group=False)
    assert own.is_dir()


def test_a_directory_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    """The server does not start with a directory in which somebody else could change the counters."""
    own = tmp_path / "shared"
    own.mkdir()
    own.chmod(0o755)
    write(tmp_path, "service.py", SERVICE)
    write(tmp_path, "run.py", RUN)
    arguments = ["run.py", '{"bind": "127.0.0.1:0", "workers": 2}']
    with ServerProcess(arguments, tmp_path, {"QUAFF_SHARED_DIR": str(own)}) as server:
        assert server.wait() == 1
    assert "refused: QUAFF_SHARED_DIR" in server.output
