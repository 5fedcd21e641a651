"""The URL map: Werkzeug's, which additionally tells a revision when it changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import ImmutableDict
from werkzeug.routing import Map as MapBase
from werkzeug.routing import PathConverter, Rule, RuleFactory, ValidationError
from werkzeug.routing.converters import DEFAULT_CONVERTERS, BaseConverter

from .._internal.tracking import Revision

__all__ = ["Map", "Rule", "SafePathConverter"]


class SafePathConverter(PathConverter):
    """A `path` whose segments cannot lead out of a directory: `/files/<safe_path:name>`.

    A value with an empty, `.` or `..` segment, a backslash, a colon or a control character does not match (404).
    """

    part_isolating = False

    def to_python(self, value: str) -> str:
        """Return *value* as it is, or refuse it."""
        # SECURITY: colons and backslashes are drives, streams and separators on Windows.
        unsafe = any(character in "\\:" or ord(character) < 32 or ord(character) == 127 for character in value)
        if unsafe or any(segment in ("", ".", "..") for segment in value.split("/")):
            raise ValidationError
        return value


class Map(MapBase):
    """The rules of an app. `app.url_map.converters` takes converters of the user's own."""

    default_converters: ImmutableDict[str, type[BaseConverter]] = ImmutableDict(
        {**DEFAULT_CONVERTERS, "safe_path": SafePathConverter}
    )

    revision: Revision | None = None
    """Bumped by each change; set by the app."""

    def add(self, rulefactory: RuleFactory) -> None:
        """Add a rule, or what a rule factory makes.

        :raises ValueError: for a malformed rule, from Werkzeug.
        """
        super().add(rulefactory)
        if self.revision is not None:
            self.revision.bump()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # `_remap` is Werkzeug's own note that it has to sort the rules; it changes no answer.
        if self.revision is not None and name != "_remap":
            self.revision.bump()

    def matchable(self) -> bool:
        """Tell whether matching depends on the path and the method only, not on the host or a subdomain."""
        return not self.host_matching and self.default_subdomain == ""

    def rules_of(self, endpoint: str) -> list[Rule]:
        """Return the rules of *endpoint* in the order in which `url_for` tries them."""
        self.update()
        by_endpoint: Mapping[str, list[Rule]] = self._rules_by_endpoint
        return by_endpoint.get(endpoint, [])
