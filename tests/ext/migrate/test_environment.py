"""What holds while `env.py` runs, and is undone afterwards."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from quaff import Quaff, install_as_flask
from quaff.compat import flask_alias_installed, uninstall_flask_alias
from quaff.ext.migrate import Migrate
from quaff.ext.migrate.config import make_config
from quaff.ext.migrate.environment import running


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """Give the configuration of a command."""
    return make_config(str(tmp_path))


def test_flask_is_quaff_meanwhile(config: Any) -> None:
    """`import flask` gives Quaff inside; afterwards it gives what it gave before."""
    before = sys.modules.get("flask")
    with running(config):
        import flask

        assert flask.Flask is Quaff  # type: ignore[comparison-overlap]
    assert sys.modules.get("flask") is before
    assert not flask_alias_installed()


def test_the_real_flask_is_given_back(config: Any) -> None:
    """A process that has imported the real Flask gets it back, without a warning, also after an error."""
    import flask as real

    with pytest.raises(ZeroDivisionError), running(config):
        import flask

        assert flask is not real
        raise ZeroDivisionError
    assert sys.modules["flask"] is real


def test_an_alias_that_is_there_stays(config: Any) -> None:
    """Where the program has installed the alias, nothing is done, and nothing taken away."""
    saved = {name: module for name, module in sys.modules.items() if name.partition(".")[0].startswith("flask")}
    for name in saved:
        del sys.modules[name]
    install_as_flask()
    try:
        with running(config):
            assert flask_alias_installed()
        assert flask_alias_installed()
    finally:
        uninstall_flask_alias()
        sys.modules.update(saved)


def test_loggers_stay_enabled(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loggers that `fileConfig` disables are enabled again; one that was disabled before stays so."""
    # As in a program that has not set up logging.
    monkeypatch.setattr(logging.root, "handlers", [])
    mine, silent = logging.getLogger("tests.mine"), logging.getLogger("tests.silent")
    silent.disabled = True
    with running(config):
        mine.disabled = True
        logging.root.addHandler(handler := logging.NullHandler())
    assert not mine.disabled
    assert silent.disabled
    # What a command says after that is still said as alembic.ini has it.
    assert logging.root.handlers == [handler]


def test_the_programs_logging_stays(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers and levels that a program has set up are as before, whatever `alembic.ini` says."""
    handler = logging.NullHandler()
    monkeypatch.setattr(logging.root, "handlers", [handler])
    mine, level = logging.getLogger("tests.mine"), logging.root.level
    mine.handlers, mine.propagate = [handler], False
    with running(config):
        logging.root.handlers, mine.handlers, mine.propagate = [logging.NullHandler()], [], True
        logging.root.setLevel(logging.CRITICAL)
    assert (logging.root.handlers, mine.handlers, mine.propagate) == ([handler], [handler], False)
    assert logging.root.level == level


def test_arguments_are_as_before(config: Any) -> None:
    """What `env.py` puts into the app's arguments is for one command, also when that fails."""
    app = Quaff("a")
    Migrate(app, object(), version_table="seen")
    found = app.extensions["migrate"].configure_args
    before = dict(found)
    with app.app_context(), pytest.raises(ZeroDivisionError), running(config):
        found["process_revision_directives"] = print
        raise ZeroDivisionError
    assert found == before


def test_a_loop_for_old_async_folders(config: Any, tmp_path: Path) -> None:
    """An `env.py` that calls `asyncio.get_event_loop` finds a loop; it is closed afterwards."""
    (tmp_path / "env.py").write_text("asyncio.get_event_loop().run_until_complete(run())", encoding="utf-8")
    with running(config):
        loop = asyncio.get_event_loop()
        assert loop.run_until_complete(asyncio.sleep(0, "done")) == "done"
    assert loop.is_closed()


def test_no_loop_otherwise(config: Any, tmp_path: Path) -> None:
    """Any other `env.py` gets none."""
    (tmp_path / "env.py").write_text("asyncio.run(run())", encoding="utf-8")
    with running(config), pytest.raises(RuntimeError):
        asyncio.get_running_loop()
