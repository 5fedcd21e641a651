"""Old names warn once, say what to write in their place, and point at the user's line."""

from __future__ import annotations

import re

import pytest

from quaff import Blueprint, Quaff
from quaff._internal.deprecations import OLD, warn_old


@pytest.mark.parametrize("name", sorted(OLD))
def test_each_row_reads_well(name: str) -> None:
    """A row names the release that removed the name and says what to do instead, as the end of a sentence."""
    row = OLD[name]
    assert re.fullmatch(r"(Flask|Werkzeug) \d\.\d", row.removed_in)
    assert row.instead
    assert row.instead[0].islower()
    assert not row.instead.endswith(".")


def test_the_whole_message() -> None:
    """The warning says what, since when, and what instead."""

    def old_name() -> None:
        warn_old("app.env")

    with pytest.warns(DeprecationWarning, match="app.env") as caught:
        old_name()
    assert str(caught[0].message) == (
        "'app.env' was removed in Flask 2.3 and works in Quaff for old code only:"
        " use app.debug, or a config key of your own."
    )


def test_points_at_the_callers_caller() -> None:
    """The line in the warning is where the old name was used, not where it is kept."""

    def old_name() -> None:
        warn_old("app.env")

    with pytest.warns(DeprecationWarning, match="app.env") as caught:
        old_name()
    assert caught[0].filename == __file__


def test_deeper_helpers_are_skipped() -> None:
    """Helpers between the user and the warning are left out with *depth*."""

    def helper() -> None:
        warn_old("app.env", depth=1)

    def old_name() -> None:
        helper()

    with pytest.warns(DeprecationWarning, match="app.env") as caught:
        old_name()
    assert caught[0].filename == __file__
    assert caught[0].lineno == old_name.__code__.co_firstlineno + 4


def test_an_unknown_name_is_a_mistake() -> None:
    """A name without a row cannot warn: the table is complete or the tests fail."""
    with pytest.raises(KeyError):
        warn_old("app.nothing")


def test_decorators_point_at_the_user() -> None:
    """The two registrations that came back warn at the line of the decorator."""
    app, blueprint = Quaff("deprecations"), Blueprint("bp", "deprecations")
    with pytest.warns(DeprecationWarning, match="app.before_first_request") as caught:
        app.before_first_request(lambda: None)
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="Blueprint.before_app_first_request") as caught:
        blueprint.before_app_first_request(lambda: None)
    assert caught[0].filename == __file__
