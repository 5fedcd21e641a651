"""The battery of an app, and how it and the decorator share the routes between them.

A view that is decorated is the decorator's; all others are the app's. `AppCors` collects what every `CORS` object asked for,
so that there is one order among their resources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.routing import Rule

from ...pipeline.parts import Battery, Part, Target, marks_of
from .parts import parts_for_options, parts_for_view, parts_for_websocket
from .policy import Policy
from .settings import make_settings, merge_options
from .table import NO_POLICY, ByPath, Entry, PolicyTable, snapshot


class Decoration:
    """What one use of `cross_origin` asks for.

    :param options: the keyword arguments.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    def policy(self, app: Any) -> Policy:
        """Return the policy for an app, whose configuration fills in what the decorator leaves open.

        :raises CorsOptionError: for options that cannot be right together.
        """
        merged = merge_options(app.config, self.options)
        merged.pop("resources", None)
        return Policy(make_settings(merged, app.config.get("COMPAT", ()), where="cross_origin"))

    def answers_options(self, app: Any) -> bool:
        """Tell whether OPTIONS is answered without the view."""
        return bool(merge_options(app.config, self.options)["automatic_options"])


def decoration_of(view: Callable[..., Any] | None, method: str) -> Decoration | None:
    """Return what the innermost `cross_origin` of a view asks for, if there is one."""
    return next((mark.options for mark in marks_of(view, method) if isinstance(mark.options, Decoration)), None)


def decoration_for(target: Target) -> Decoration | None:
    """Return the decoration that a route and method belong to; None when they are the app's."""
    decoration = decoration_of(target.view, target.method)
    if decoration is not None and target.is_automatic_options and not decoration.answers_options(target.app):
        # COMPAT: with automatic_options=False, an OPTIONS that no view serves is the app's business alone.
        return None
    return decoration


def chooser(app: Any) -> Callable[[Rule, str], ByPath]:
    """Return the function that gives the policy of any rule and method of an app."""

    def choose(rule: Rule, method: str) -> ByPath:
        target = Target(app=app, rule=rule, method=method, view=app.view_functions.get(rule.endpoint))
        decoration = decoration_for(target)
        if decoration is not None:
            return ByPath.always(decoration.policy(app))
        battery = next((battery for battery in app.batteries if isinstance(battery, AppCors)), None)
        return NO_POLICY if battery is None else battery.choose(target)

    return choose


class AppCors(Battery):
    """All that the `CORS` objects of one app ask for."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._table: PolicyTable | None = None
        self._made_from: tuple[int, dict[str, Any]] | None = None

    @classmethod
    def of(cls, app: Any) -> AppCors:
        """Return the battery of an app, added to it when it is new."""
        found = next((battery for battery in app.batteries if isinstance(battery, cls)), None)
        if found is None:
            found = cls()
            app.add_battery(found)
        return found

    def add(self, entry: Entry) -> None:
        """Take note of what one `CORS` object asks for; once, also when it asks again."""
        if not any(known.scope == entry.scope and known.given == entry.given for known in self._entries):
            self._entries.append(entry)

    def choose(self, target: Target) -> ByPath:
        """Return the policy of a route, as far as resources say."""
        config = target.app.config
        made_from = (len(self._entries), snapshot(config))
        table = self._table
        if table is None or made_from != self._made_from:
            table = self._table = PolicyTable(self._entries, config)
            self._made_from = made_from
        return table.choose(target.rule, target.blueprints)

    def parts_for(self, target: Target) -> Iterable[Part]:
        """Return the parts for a route whose view is not decorated, and for requests that match no rule."""
        if decoration_for(target) is not None:
            return ()
        choice = self.choose(target)
        if target.is_websocket:
            return parts_for_websocket(choice)
        if target.rule is None or target.method == "OPTIONS":
            answers = target.rule is None or target.is_automatic_options
            return parts_for_options(choice, chooser(target.app), answers=answers)
        return parts_for_view(choice)
