"""The file under shared counters: made, recognised, replaced or refused, and held by one at a time."""

from __future__ import annotations

import errno
import fcntl
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from quaff.stores import counter_file
from quaff.stores.counter_file import (
    FIRST_STRIPE,
    HEADER,
    SLOT,
    VERSION,
    CounterFile,
    close_counter_file,
    open_counter_file,
)
from quaff.stores.private_files import SharedMemoryError
from tests.stores.processes import PATIENCE, answer, process


class User:
    """Somebody who counts."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a file in a private directory, which is not there yet."""
    return tmp_path / "private" / "counters"


@pytest.fixture
def open_file() -> Iterator[Callable[[Path], CounterFile]]:
    """Give a function that opens a file of 64 slots until the end of the test."""
    opened = []

    def open_it(path: Path, slots: int = 64) -> CounterFile:
        user = User()
        file = open_counter_file(path, slots, user)
        opened.append((file, user))
        return file

    yield open_it
    for file, user in opened:
        close_counter_file(file, user)


Opener = Callable[..., CounterFile]


@pytest.mark.parametrize("slots, size, stripes", [(64, 64, 1), (100, 128, 1), (4096, 4096, 4), (2**17, 2**17, 16)])
def test_a_new_file_has_its_whole_size_at_once(
    path: Path, open_file: Opener, slots: int, size: int, stripes: int
) -> None:
    """All memory is had when the file is made, rounded up to a power of two, and only its owner may open it."""
    file = open_file(path, slots)
    status = path.stat()
    assert status.st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert status.st_size == FIRST_STRIPE + size * SLOT
    assert status.st_blocks * 512 >= status.st_size
    assert (file.slots, len(file.stripes)) == (size, stripes)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["counters", "counters.lock"]


def test_each_file_has_its_own_secret(path: Path, open_file: Opener) -> None:
    """What is learnt of one file's buckets says nothing about another's."""
    assert open_file(path).secret != open_file(path.with_name("other")).secret


def test_a_file_keeps_its_size(path: Path, open_file: Opener) -> None:
    """Processes with another setting join the counters that are there instead of counting apart."""
    user = User()
    close_counter_file(open_counter_file(path, 128, user), user)
    number = path.stat().st_ino
    assert open_file(path, 4096).slots == 128
    assert path.stat().st_ino == number


def test_one_process_has_one_object_for_a_file(path: Path, open_file: Opener) -> None:
    """Record locks are of the process: two descriptors of one file would not exclude each other."""
    assert open_file(path) is open_file(path)


def test_a_file_without_users_is_closed_by_the_next_opening(path: Path, open_file: Opener) -> None:
    """Programs that make many apps, such as test suites, do not collect descriptors."""
    user = User()
    file = open_counter_file(path, 64, user)
    open_file(path.with_name("other"))
    assert len(file.memory) > 0
    del user
    gc.collect()
    open_file(path.with_name("third"))
    with pytest.raises(ValueError, match="closed"):
        len(file.memory)


@pytest.mark.parametrize("slots", [0, 63, 2**28 + 1])
def test_a_senseless_size_is_refused(path: Path, slots: int) -> None:
    """The message says what is possible."""
    with pytest.raises(ValueError, match=f"from 64 to 268435456 slots, not {slots}"):
        open_counter_file(path, slots, User())


# What is not a good file of this version -----------------------------------------------------------------------------


def _other_version(data: bytearray) -> None:
    data[8:12] = (VERSION + 1).to_bytes(4, sys.byteorder)


def _damaged(data: bytearray) -> None:
    data[HEADER.size - 1] ^= 1


def _truncated(data: bytearray) -> None:
    del data[-1:]


def _cut_in_the_header(data: bytearray) -> None:
    del data[20:]


@pytest.mark.parametrize(
    "change, reason",
    [
        (_other_version, f"has layout {VERSION + 1}, not {VERSION}"),
        (_damaged, "is damaged"),
        (_truncated, "is damaged"),
        (_cut_in_the_header, "is damaged"),
    ],
)
def test_an_unusable_file_of_counters_is_replaced(
    path: Path,
    open_file: Opener,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[bytearray], None],
    reason: str,
) -> None:
    """Another version's, a damaged or a truncated one gives its place to an empty one, and the log says why."""
    user = User()
    close_counter_file(open_counter_file(path, 64, user), user)
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING, "quaff.stores"):
        file = open_file(path)
    assert path.stat().st_size == FIRST_STRIPE + 64 * SLOT
    assert file.is_at(path)
    assert caplog.messages == [f"The counters in {path} are replaced by empty ones: the file {reason}."]


def test_an_empty_file_becomes_one_of_counters(path: Path, open_file: Opener, caplog: pytest.LogCaptureFixture) -> None:
    """`touch` is a way to choose the place; nothing is lost, so nothing is logged."""
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    assert open_file(path).is_at(path)
    assert caplog.messages == []


@pytest.mark.parametrize("content", [b"x", b"SQLite format 3\0" * 100, bytes(8192)], ids=["x", "sqlite", "zeros"])
def test_a_file_of_somebody_else_is_refused_and_kept(path: Path, content: bytes) -> None:
    """A wrong path never costs a database."""
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(SharedMemoryError, match=r"holds something else than counters. Choose another path"):
        open_counter_file(path, 64, User())
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["counters", "counters.lock"])
def test_a_link_in_the_place_of_a_file_is_refused(path: Path, tmp_path: Path, name: str) -> None:
    """Nobody's file is written to through a link."""
    path.parent.mkdir(mode=0o700)
    (path.parent / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SharedMemoryError, match="is a symbolic link"):
        open_counter_file(path, 64, User())
    assert not (tmp_path / "elsewhere").exists()


def test_an_open_directory_is_refused(tmp_path: Path) -> None:
    """Where others may put files, they could put one under the counters."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(SharedMemoryError, match="chmod 700"):
        open_counter_file(tmp_path / "open" / "counters", 64, User())


def test_without_room_nothing_is_left_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error when the file is made, and never the death of a process that writes later."""

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(SharedMemoryError, match=r"with 8192 bytes: No space left on device. Make room"):
        open_counter_file(path, 64, User())
    assert [entry.name for entry in path.parent.iterdir()] == ["counters.lock"]


@pytest.mark.parametrize("has_call", [True, False])
def test_systems_that_cannot_allocate_write_instead(
    path: Path, open_file: Opener, monkeypatch: pytest.MonkeyPatch, has_call: bool
) -> None:
    """MacOS has no such call, and some file systems do not support it."""

    def unsupported(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    if has_call:
        monkeypatch.setattr(os, "posix_fallocate", unsupported)
    else:
        monkeypatch.delattr(os, "posix_fallocate")
    open_file(path, 2**15)
    status = path.stat()
    assert status.st_size == FIRST_STRIPE + 2**15 * SLOT
    assert status.st_blocks * 512 >= status.st_size


def test_what_a_killed_process_left_is_overwritten(path: Path, open_file: Opener) -> None:
    """A process that dies while it makes the file leaves a part of it under another name, and no trace later."""
    path.parent.mkdir(mode=0o700)
    left = path.with_name(".counters.new")
    left.touch(mode=0o600)
    left.write_bytes(b"QUAFF")
    open_file(path)
    assert not left.exists()


def test_windows_is_told_to_use_redis(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without record locks there is an error that names what works there."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SharedMemoryError, match=r"this system \(win32\) does not have. .* redis://"):
        open_counter_file(path, 64, User())


OPEN_AND_TELL = """
    import os, sys
    from pathlib import Path
    from quaff.stores.counter_file import open_counter_file

    class User: pass

    user, path = User(), Path(sys.argv[1])
    sys.stdin.readline()
    file = open_counter_file(path, 64, user)
    print(file.secret.hex(), file.is_at(path))
"""


def test_processes_that_start_together_get_one_file(path: Path) -> None:
    """Six processes that find a damaged file replace it once, and all count in the new one."""
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(b"QUAFFCNT of old")
    with ExitStack() as stack:
        children = [stack.enter_context(process(OPEN_AND_TELL, path)) for _ in range(6)]
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        answers = {answer(child) for child in children}
    assert len(answers) == 1
    assert answers.pop().endswith(" True")


def test_a_file_that_was_removed_is_noticed(path: Path, open_file: Opener) -> None:
    """Who starts later would count elsewhere."""
    file = open_file(path)
    assert file.is_at(path)
    path.unlink()
    assert not file.is_at(path)
    assert open_file(path) is not file


# Locks ---------------------------------------------------------------------------------------------------------------

HOLD = """
    import sys
    from pathlib import Path
    from quaff.stores.counter_file import open_counter_file

    class User: pass

    user = User()
    file = open_counter_file(Path(sys.argv[1]), 64, user)
    with file.stripes[int(sys.argv[2])]:
        print("held", flush=True)
        sys.stdin.readline()
    print("free")
"""


def _is_free(path: Path, number: int = 0) -> bool:
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_a_stripe_is_held_by_one_process_and_freed_by_its_death(path: Path, open_file: Opener) -> None:
    """Others wait while a process holds it; after SIGKILL the next one has it."""
    with process(HOLD, path, 0) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert not _is_free(path)
        assert _is_free(path, 1)
        child.kill()
        file = open_file(path)
        with file.stripes[0]:
            pass


def test_a_stripe_is_held_by_one_thread(path: Path, open_file: Opener) -> None:
    """Record locks do not tell threads apart; the lock beside them does."""
    stripe = open_file(path).stripes[0]
    entered = threading.Event()

    def enter() -> None:
        with stripe:
            entered.set()

    thread = threading.Thread(target=enter)
    with stripe:
        thread.start()
        assert not entered.wait(0.05)
    assert entered.wait(PATIENCE)
    thread.join()


def test_an_error_in_the_block_frees_the_stripe(path: Path, open_file: Opener) -> None:
    """Both locks are given back whatever happens."""
    stripe = open_file(path).stripes[0]
    for _ in range(2):
        with pytest.raises(RuntimeError), stripe:
            raise RuntimeError


def test_a_deadlock_that_is_none_is_waited_out(path: Path, open_file: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes threads of two processes that wait for each other's stripes for a deadlock; they are none."""
    stripe = open_file(path).stripes[0]
    asked = []
    errors = [OSError(errno.EDEADLK, "deadlock"), BlockingIOError(errno.EAGAIN, "held")]

    def lockf(_descriptor: int, operation: int, *_: int) -> None:
        asked.append(operation)
        if errors:
            raise errors.pop(0)

    monkeypatch.setattr(fcntl, "lockf", lockf)
    with stripe:
        pass
    polling = fcntl.LOCK_EX | fcntl.LOCK_NB
    assert asked == [fcntl.LOCK_EX, polling, polling, fcntl.LOCK_UN]


CROSSED = """
    import sys, threading
    from pathlib import Path
    from quaff.stores.counter_file import open_counter_file

    class User: pass

    user = User()
    file = open_counter_file(Path(sys.argv[1]), 2048, user)
    mine, other = (file.stripes[int(number)] for number in sys.argv[2:4])

    def wait_for_other():
        with other:
            pass

    for _ in range(50):
        thread = threading.Thread(target=wait_for_other)
        with mine:
            thread.start()
            print("held", flush=True)
            sys.stdin.readline()
        thread.join()
        print("done", flush=True)
        sys.stdin.readline()
"""


def test_processes_with_crossed_stripes_go_on(path: Path) -> None:
    """In each of two processes a thread holds what a thread of the other waits for; nobody fails and nobody hangs."""
    with process(CROSSED, path, 0, 1) as one, process(CROSSED, path, 1, 0) as two:
        for _ in range(50):
            for expected in ("held\n", "done\n"):
                for child in (one, two):
                    assert child.stdout is not None
                    assert child.stdout.readline() == expected
                for child in (one, two):
                    assert child.stdin is not None
                    child.stdin.write("\n")
                    child.stdin.flush()
        answer(one)
        answer(two)


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "no locks"), KeyboardInterrupt()])
def test_a_lock_that_fails_leaves_the_stripe_free(
    path: Path, open_file: Opener, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """An error of the system, or of a signal's handler, is passed on, and the next one finds the stripe free."""
    stripe = open_file(path).stripes[0]
    with monkeypatch.context() as patch:
        failing = [error]

        def lockf(*arguments: int) -> None:
            if failing:
                raise failing.pop()

        patch.setattr(fcntl, "lockf", lockf)
        with pytest.raises(type(error)), stripe:
            pass
    with stripe:
        assert _held_by_thread(stripe)


def _held_by_thread(stripe: counter_file.Stripe) -> bool:
    return stripe._thread.locked()


def test_a_child_has_its_own_locks(path: Path, open_file: Opener) -> None:
    """After a fork the locks of threads that the child does not have are free again, and opening works."""
    stripe = open_file(path).stripes[0]
    with stripe, counter_file._opening:
        counter_file._renew_after_fork()
        assert not counter_file._opening.locked()
        assert not _held_by_thread(stripe)
        stripe._thread.acquire()
