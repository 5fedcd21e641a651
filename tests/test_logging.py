"""The app's logger."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator

import pytest

from quaff import Quaff
from quaff.logging import create_logger, default_handler, has_level_handler, wsgi_errors_stream
from quaff.testing import FlaskClient


@pytest.fixture(autouse=True)
def quiet_logging(pytestconfig: pytest.Config) -> Iterator[None]:
    """Keep pytest's own handlers out, and put everything back afterwards."""
    plugin = pytestconfig.pluginmanager.unregister(name="logging-plugin")
    handlers, level = logging.root.handlers[:], logging.root.level
    logging.root.handlers = []
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    for name in ("tests.conftest", "app", "app.part"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.NOTSET)
    if plugin is not None:
        pytestconfig.pluginmanager.register(plugin, "logging-plugin")


def test_an_app_has_a_logger_of_its_name() -> None:
    """It has no level of its own, and the default handler since nothing else is set up."""
    app = Quaff("an_app_that_no_other_test_logs_for")
    assert app.logger.name == "an_app_that_no_other_test_logs_for"
    assert app.logger.level == logging.NOTSET
    assert app.logger.handlers == [default_handler]
    assert app.logger is app.logger


def test_debug_mode_logs_everything(app: Quaff) -> None:
    """In debug mode the level is DEBUG."""
    app.debug = True
    assert app.logger.level == logging.DEBUG


def test_a_level_of_ones_own_stays(app: Quaff) -> None:
    """A level that was set before counts, in debug mode, too."""
    logging.getLogger("tests.conftest").setLevel(logging.ERROR)
    app.debug = True
    assert app.logger.level == logging.ERROR


def test_configured_logging_is_left_alone(app: Quaff) -> None:
    """With a handler above, the app adds none."""
    logging.root.addHandler(logging.StreamHandler())
    assert app.logger.handlers == []


def test_the_handler_is_added_once(app: Quaff) -> None:
    """Making the logger again changes nothing."""
    assert create_logger(app) is create_logger(app)
    assert create_logger(app).handlers == [default_handler]


def test_records_go_to_the_server(app: Quaff, client: FlaskClient) -> None:
    """During a request records are written to wsgi.errors, in the documented format."""

    @app.get("/")
    def index() -> str:
        app.logger.error("something %s", "odd")
        return ""

    stream = io.StringIO()
    client.get("/", errors_stream=stream)
    text = stream.getvalue()
    assert text.startswith("[")
    assert text.endswith("] ERROR in test_logging: something odd\n")


def test_the_stream_outside_of_requests(app: Quaff, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what sys.stderr is at the moment, and in a request the server's."""
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    assert wsgi_errors_stream._get_current_object() is stderr
    stream = io.StringIO()
    with app.test_request_context(errors_stream=stream):
        assert wsgi_errors_stream._get_current_object() is stream
    with app.app_context():
        assert wsgi_errors_stream._get_current_object() is stderr


def test_a_server_without_an_error_stream(app: Quaff, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that gives no wsgi.errors does not break logging."""
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    with app.test_request_context() as context:
        del context.request.environ["wsgi.errors"]
        app.logger.error("heard")
    assert "heard" in stderr.getvalue()


def test_whether_a_level_is_handled() -> None:
    """Handlers above count as far as records propagate, and only those that take the level."""
    parent, logger = logging.getLogger("app"), logging.getLogger("app.part")
    handler = logging.StreamHandler()
    parent.addHandler(handler)
    assert has_level_handler(logger)
    logger.propagate = False
    assert not has_level_handler(logger)
    logger.propagate = True
    handler.setLevel(logging.ERROR)
    assert not has_level_handler(logger)
    logger.setLevel(logging.ERROR)
    assert has_level_handler(logger)


def test_errors_of_views_are_logged(app: Quaff, client: FlaskClient) -> None:
    """An error that no handler took is logged with method, path and traceback."""
    app.testing = False

    @app.get("/")
    def index() -> str:
        raise ZeroDivisionError

    stream = io.StringIO()
    assert client.get("/", errors_stream=stream).status_code == 500
    assert "Exception on / [GET]" in stream.getvalue()
    assert "ZeroDivisionError" in stream.getvalue()
