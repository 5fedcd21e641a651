"""What the decorators of a limiter left behind: limits and exemptions of functions and blueprints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .constants import ExemptionScope
from .rules import Limit


class Limited:
    """A decorated function and its limits; what `mark_view` notes on it.

    :param function: what was decorated.
    :param name: of the function, for logs.
    """

    __slots__ = ("function", "limits", "name", "wrapper")

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function = function
        self.name = name
        self.limits: list[Limit] = []
        self.wrapper: Callable[..., Any] | None = None
        """What is called in its place and counts first; None for generator functions, which are limited as views only."""

    @property
    def overrides_defaults(self) -> bool:
        """Whether the default limits do not apply beside its own."""
        return any(limit.override_defaults for limit in self.limits)


class Exempted:
    """What a function is exempt from; what `mark_view` notes on it."""

    __slots__ = ("scope",)

    def __init__(self, scope: ExemptionScope) -> None:
        self.scope = scope


class Hint:
    """What requests to an endpoint showed: which decorated functions its view calls.

    COMPAT: if one of them overrides the default limits, they no longer apply to the endpoint. It cannot be known before.
    """

    __slots__ = ("callables",)

    def __init__(self) -> None:
        self.callables: dict[str, bool] = {}
        """Name of a function or a place in the code -> whether it overrides the default limits."""

    @property
    def wants_defaults(self) -> bool:
        """Whether there are such functions, and none of them overrides the default limits."""
        return bool(self.callables) and not any(self.callables.values())


class Blueprints:
    """Limits and exemptions of blueprints, by the name that each was made with."""

    def __init__(self) -> None:
        self.limits: dict[str, list[Limit]] = {}
        self.exemptions: dict[str, ExemptionScope] = {}

    def limits_for(self, app: Any, path: str) -> list[Limit]:
        """Return the limits that apply in a blueprint, those of the ones around it included.

        :param path: the dotted name under which it is registered: `parent.child`.
        """
        blueprint = app.blueprints.get(path)
        if blueprint is None:
            return []
        own_scope, inherited = self._exemptions_for(blueprint.name, path)
        if own_scope & ~(ExemptionScope.DEFAULT | ExemptionScope.APPLICATION):
            return []
        own = self.limits.get(blueprint.name, [])
        is_apart = bool(self.exemptions.get(blueprint.name, ExemptionScope.NONE) & ExemptionScope.ANCESTORS)
        if is_apart or (own and all(limit.override_defaults for limit in own)):
            return own
        names = dict.fromkeys((*path.split("."), blueprint.name))
        return [limit for name in names if name not in inherited for limit in self.limits.get(name, ())]

    def exemption_for(self, app: Any, path: str) -> ExemptionScope:
        """Return what a blueprint is exempt from."""
        blueprint = app.blueprints.get(path) if path else None
        if blueprint is None:
            return ExemptionScope.NONE
        scope, inherited = self._exemptions_for(blueprint.name, path)
        for more in inherited.values():
            scope |= more
        return scope

    def _exemptions_for(self, name: str, path: str) -> tuple[ExemptionScope, dict[str, ExemptionScope]]:
        """Return a blueprint's own exemption, and those that it has from the ones around it."""
        own = self.exemptions.get(name, ExemptionScope.NONE) & ~ExemptionScope.ANCESTORS
        around = set(path.split("."))
        inherited = {
            other: scope
            for other, scope in self.exemptions.items()
            if other in around and scope & ExemptionScope.DESCENDENTS
        }
        return own, inherited


def are_static(groups: Iterable[Limit]) -> bool:
    """Tell whether limits are the same for each request."""
    return all(group.is_static for group in groups)
