"""The runner for an app's commands in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from ..cli.script import ScriptInfo

if TYPE_CHECKING:
    from ..app import Quaff


class FlaskCliRunner(CliRunner):
    """Click's test runner for the commands of one app. `app.test_cli_runner()` makes it.

    :param kwargs: options of `click.testing.CliRunner`.
    """

    def __init__(self, app: Quaff, **kwargs: Any) -> None:
        self.app = app
        super().__init__(**kwargs)

    def invoke(self, cli: Any = None, args: Any = None, **kwargs: Any) -> Result:  # type: ignore[override]
        """Run a command with its output captured and return the result.

        :param cli: the command, by default the group `app.cli`.
        :param args: its arguments, as a list or as one line of a shell.
        :param kwargs: as for `CliRunner.invoke`. Without `obj` the command gets a `ScriptInfo` of the app.
        """
        if "obj" not in kwargs:
            kwargs["obj"] = ScriptInfo(create_app=lambda: self.app)
        return super().invoke(self.app.cli if cli is None else cli, args, **kwargs)


QuaffCliRunner = FlaskCliRunner
"""The same class under Quaff's name."""
