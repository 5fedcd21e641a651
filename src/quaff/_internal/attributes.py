"""An attribute that is computed when it is first read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 - used like the built-in `property`
    """A method that runs on first read; its result then stands in the instance under the method's name.

    PERF: unlike `werkzeug.utils.cached_property` it has no data-descriptor part, so a second read is a plain attribute, and
    the value can be set from outside like any attribute.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self._name = function.__name__
        self.__doc__ = function.__doc__

    if TYPE_CHECKING:
        # There is none: an assignment goes into the instance, and shadows this.
        def __set__(self, instance: object, value: Any) -> None: ...

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        value = self._function(instance)
        setattr(instance, self._name, value)
        return value
