"""Names for the types that views, hooks and error handlers take and return.

The names are Flask's, so that annotations written against `flask.typing` hold. A view may be annotated as it likes: these
aliases say what the app accepts.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, Union

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from werkzeug.datastructures import Headers
    from werkzeug.sansio.response import Response

__all__ = [
    "AfterRequestCallable",
    "AppOrBlueprintKey",
    "BeforeFirstRequestCallable",
    "BeforeRequestCallable",
    "ErrorHandlerCallable",
    "HeaderValue",
    "HeadersValue",
    "ResponseClass",
    "ResponseReturnValue",
    "ResponseValue",
    "RouteCallable",
    "ShellContextProcessorCallable",
    "TeardownCallable",
    "TemplateContextProcessorCallable",
    "TemplateFilterCallable",
    "TemplateGlobalCallable",
    "TemplateTestCallable",
    "URLDefaultCallable",
    "URLValuePreprocessorCallable",
]

# `Union` with names in quotes instead of `|`: Headers, Response and WSGIApplication exist for type checkers only, and a
# string cannot be combined by `|` at run time.

ResponseValue: TypeAlias = Union[
    "Response",
    str,
    bytes,
    list[Any],
    Mapping[str, Any],
    Iterator[str],
    Iterator[bytes],
    AsyncIterable[str],
    AsyncIterable[bytes],
]
"""What a view may return as the body. Of mappings, the app takes dicts; `Mapping` is there for `TypedDict`."""

HeaderValue: TypeAlias = str | list[str] | tuple[str, ...]
"""One header's value, or several values of a repeated header."""

HeadersValue: TypeAlias = Union["Headers", Mapping[str, HeaderValue], Sequence[tuple[str, HeaderValue]]]
"""Headers as a view may return them."""

ResponseReturnValue: TypeAlias = Union[
    ResponseValue,
    tuple[ResponseValue, HeadersValue],
    tuple[ResponseValue, int],
    tuple[ResponseValue, int, HeadersValue],
    "WSGIApplication",
]
"""Everything that a view may return."""

ResponseClass = TypeVar("ResponseClass", bound="Response")
"""Any Werkzeug response class: an after hook gives back the class that it was given."""

AppOrBlueprintKey: TypeAlias = str | None
"""Key of the registries: a blueprint's name, or None for the app."""

AfterRequestCallable: TypeAlias = (
    Callable[[ResponseClass], ResponseClass] | Callable[[ResponseClass], Awaitable[ResponseClass]]
)
"""A function for `after_request`."""

BeforeFirstRequestCallable: TypeAlias = Callable[[], None] | Callable[[], Awaitable[None]]
"""A function for `before_first_request`."""

BeforeRequestCallable: TypeAlias = (
    Callable[[], ResponseReturnValue | None] | Callable[[], Awaitable[ResponseReturnValue | None]]
)
"""A function for `before_request`; what it returns, unless None, is the answer."""

ShellContextProcessorCallable: TypeAlias = Callable[[], dict[str, Any]]
"""A function for `shell_context_processor`."""

TeardownCallable: TypeAlias = Callable[[BaseException | None], None] | Callable[[BaseException | None], Awaitable[None]]
"""A function for `teardown_request` and `teardown_appcontext`; it gets the error that ended the request, or None."""

TemplateContextProcessorCallable: TypeAlias = Callable[[], dict[str, Any]] | Callable[[], Awaitable[dict[str, Any]]]
"""A function for `context_processor`; it returns variables for templates."""

TemplateFilterCallable: TypeAlias = Callable[..., Any]
"""A function for `template_filter`."""

TemplateGlobalCallable: TypeAlias = Callable[..., Any]
"""A function for `template_global`."""

TemplateTestCallable: TypeAlias = Callable[..., bool]
"""A function for `template_test`."""

URLDefaultCallable: TypeAlias = Callable[[str, dict[str, Any]], None]
"""A function for `url_defaults`: gets the endpoint and the values, and adds to the values."""

URLValuePreprocessorCallable: TypeAlias = Callable[[str | None, dict[str, Any] | None], None]
"""A function for `url_value_preprocessor`: gets the endpoint and the values of the matched rule."""

ErrorHandlerCallable: TypeAlias = Callable[[Any], ResponseReturnValue] | Callable[[Any], Awaitable[ResponseReturnValue]]
"""A function for `errorhandler`. It takes `Any`: a precise exception type would refuse handlers of other exceptions."""

RouteCallable: TypeAlias = Callable[..., ResponseReturnValue] | Callable[..., Awaitable[ResponseReturnValue]]
"""A view function."""
