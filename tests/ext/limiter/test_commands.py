"""`quaff limiter`."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import Result

from quaff import Blueprint, Quaff
from quaff.ext.limiter import ExemptionScope, Limiter, MetaLimit
from quaff.ext.limiter.commands import cli, function_name
from quaff.views import View
from tests.ext.limiter.apps import limited_app, make_app, statuses
from tests.ext.servers import Server


def kitchen_app(**options: Any) -> tuple[Quaff, Limiter]:
    """Return an app with limits of every kind."""
    app = make_app()
    limiter = Limiter(
        app=app,
        default_limits=["10/second", "1000/hour"],
        default_limits_exempt_when=lambda: False,
        application_limits=["5000/hour"],
        meta_limits=[MetaLimit("2/day")],
        headers_enabled=True,
        **options,
    )
    app.add_url_rule("/", "root", lambda: "root")
    health = Blueprint("health", __name__, url_prefix="/health")
    health.add_url_rule("/", "health", lambda: "ok")
    app.register_blueprint(health)

    class Resource(View):
        methods = ["GET", "POST"]
        decorators = [limiter.limit("5/second", per_method=True)]

        def dispatch_request(self) -> str:
            return "resource"

    app.add_url_rule("/resource", view_func=Resource.as_view("resource"))
    scope = ExemptionScope.DEFAULT | ExemptionScope.APPLICATION | ExemptionScope.ANCESTORS
    limiter.exempt(health, flags=scope)
    return app, limiter


def run(app: Quaff, *args: str, **options: Any) -> Result:
    """Run a command."""
    result: Result = app.test_cli_runner().invoke(cli, list(args), **options)
    return result


@pytest.mark.parametrize("args", [["config"], ["limits"], ["clear", "--key=x", "-y"]])
def test_without_a_limiter(args: list[str]) -> None:
    """An app without a limiter, or with one that is switched off, is told so."""
    assert "No Flask-Limiter extension installed" in run(make_app(), *args).output
    app, limiter = kitchen_app()
    limiter.enabled = False
    assert "No Flask-Limiter extension installed" in run(app, *args).output


def test_config() -> None:
    """The settings are shown with their keys, and functions by their names."""
    output = run(kitchen_app()[0], "config").output
    for words in (
        ["Enabled", "RATELIMIT_ENABLED", "True"],
        ["Key function", "quaff.ext.limiter.util.get_remote_address()"],
        ["RATELIMIT_DEFAULT ", "10 per 1 second, 1000 per 1 hour"],
        ["RATELIMIT_APPLICATION ", "5000 per 1 hour"],
        ["RATELIMIT_META", "2 per 1 day"],
        ["RATELIMIT_ON_STORE_FAILURE", "local"],
        ["RATELIMIT_DEFAULTS_EXEMPT_WHEN", "<lambda>"],
        ["└── Status", "└── OK"],
    ):
        assert [line for line in output.splitlines() if all(word in line for word in words)], words


def test_no_password_in_the_config() -> None:
    """SECURITY: the URI of the store is shown without its password."""
    app, _ = kitchen_app(storage_uri="redis://user:secret@127.0.0.1:1/0")
    output = run(app, "config").output
    assert "redis://127.0.0.1:1/0" in output
    assert "secret" not in output
    assert "└── Error" in output


def test_limits() -> None:
    """The limits of all routes are shown as trees, one for each blueprint, with what is exempt."""
    lines = run(kitchen_app()[0], "limits").output.splitlines()
    assert lines[:4] == ["Meta Limits", "└── 2 per 1 day", "Application Limits", "└── 5000 per 1 hour"]
    assert "├── root: /" in lines
    assert "├── resource: /resource" in lines or "└── resource: /resource" in lines
    place = lines.index("└── health.health: /health/")
    assert lines[place + 1] == "    └── Exempt"
    assert not any("static" in line for line in lines)


def test_limits_of_one() -> None:
    """One endpoint, or the one that a path leads to, can be asked for."""
    app, _ = kitchen_app()
    for args in (["--endpoint=root"], ["--path=/"]):
        output = run(app, "limits", *args).output
        assert "root: /" in output
        assert "resource" not in output
        assert "Application Limits" not in output


@pytest.mark.parametrize(
    "args, message",
    [
        (["--endpoint=groot"], "groot not found"),
        (["--path=/groot"], "/groot could not be matched"),
        (["--path=/", "--method=POST"], "POST: / could not be matched"),
    ],
)
@pytest.mark.parametrize("command", ["limits", "clear"])
def test_what_is_not_there(command: str, args: list[str], message: str) -> None:
    """An endpoint or a path that there is not is told."""
    extra = ["--key=x", "-y"] if command == "clear" else []
    assert message in run(kitchen_app()[0], command, *args, *extra).output


def test_limits_of_a_key() -> None:
    """With a key it is shown what is left for it."""
    app, _ = kitchen_app()
    assert statuses(app, times=2) == [200, 200]
    assert statuses(app, "/resource", times=6) == [200] * 5 + [429]
    output = run(app, "limits", "--key=127.0.0.1").output
    assert "5000 per 1 hour: Pass (4992 out of 5000 remaining)" in output
    assert "10 per 1 second {exempt_when" in output
    assert "5 per 1 second: Fail (0 out of 5 remaining)" in output


def test_limits_of_a_key_with_a_prefix() -> None:
    """The prefix of keys is taken into account."""
    app, _ = limited_app(True, "5/hour", key_prefix="mine")
    statuses(app, times=2)
    assert "5 per 1 hour: Pass (3 out of 5 remaining)" in run(app, "limits", "--key=127.0.0.1").output


def test_limits_while_the_store_is_down() -> None:
    """A store that does not answer is told, not raised."""
    app, _ = kitchen_app(storage_uri="redis://127.0.0.1:1")
    assert "Storage not available" in run(app, "limits", "--key=127.0.0.1").output


def test_clear() -> None:
    """What a key has used up is given back, of all routes or of one, and the limits of the application."""
    app, _ = kitchen_app()
    statuses(app, "/resource", times=5)
    statuses(app, "/resource", times=5, method="POST")
    assert statuses(app, "/resource") == [429]
    output = run(app, "clear", "--key=127.0.0.1", "-y").output
    assert "5000 per 1 hour: Cleared" in output
    assert "5 per 1 second: Cleared" in output
    assert statuses(app, "/resource") == [200]
    assert statuses(app, "/resource", method="POST") == [200]
    output = run(app, "clear", "--key=127.0.0.1", "--endpoint=root", "-y").output
    assert "10 per 1 second: Cleared" in output
    assert "5000" not in output


@pytest.mark.parametrize("answer, cleared", [("y\n", True), ("n\n", False)])
def test_clear_asks(answer: str, cleared: bool) -> None:
    """Without `-y` it is shown what would be cleared, and asked."""
    app, _ = limited_app(True, "1/hour", key_prefix="mine")
    assert statuses(app, times=2) == [200, 429]
    output = run(app, "clear", "--key=127.0.0.1", input=answer).output
    assert "Fail (0 out of 1 remaining)" in output
    assert "Proceed with resetting limits for key: 127.0.0.1?" in output
    assert statuses(app) == ([200] if cleared else [429])


def test_clear_in_redis(redis_server: Server) -> None:
    """It is cleared in a real store, for the processes that serve."""
    app, _ = limited_app(True, "1/hour", storage_uri=redis_server.uri, config={"RATELIMIT_STORAGE_TIMEOUT": 30})
    assert statuses(app, times=2) == [200, 429]
    assert "Cleared" in run(app, "clear", "--key=127.0.0.1", "-y").output
    assert statuses(app) == [200]


def test_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--watch` it is shown again and again, until Ctrl-C."""
    pauses = iter([None, None])

    def sleep(seconds: float) -> None:
        if next(pauses, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr("quaff.ext.limiter.commands.time.sleep", sleep)
    output = run(kitchen_app()[0], "limits", "--endpoint=root", "--watch").output
    assert output.count("root: /") == 3


def test_under_quaff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands are `quaff limiter ...` for an app with a limiter, and cost other processes nothing."""
    assert "cli" not in vars(kitchen_app()[0])
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    app, _ = kitchen_app()
    assert app.cli.commands["limiter"] is cli
    assert set(cli.commands) == {"config", "limits", "clear"}
    output = app.test_cli_runner().invoke(app.cli, ["limiter", "config"]).output
    assert "RATELIMIT_ENABLED" in output


def test_names_of_functions() -> None:
    """A function is shown by its module and name, a value by itself."""
    assert function_name(test_config).endswith("test_commands.test_config()")
    assert function_name(lambda: 1).startswith("<lambda>(")
    assert function_name(5) == "5"
    assert function_name(None) == "None"
