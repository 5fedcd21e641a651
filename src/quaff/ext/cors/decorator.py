"""The decorator `cross_origin`: CORS for one view, with options of its own.

It marks the view, and the pipeline does the rest. What it returns is a function of its own all the same, for two reasons:
the function that was decorated may be registered elsewhere, without CORS; and error handlers are decorated as well, or views
under decorators that hide the mark. When the function is called there, it adds the headers to the response of the request
that runs. The compiled pipeline calls the view behind it directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import update_wrapper
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import FunctionType
from typing import Any, Final, TypeVar, Unpack, cast

from ...globals import active_request_context
from ...pipeline.parts import Battery, Part, Target, mark_view
from ...pipeline.phases import Stage
from .choice import Decoration, chooser, decoration_for, decoration_of
from .parts import parts_for_options, parts_for_view, parts_for_websocket, put_on_response
from .settings import CrossOriginOptions, check_options
from .table import ByPath

F = TypeVar("F", bound=Callable[..., Any])

_OWN: Final = "_quaff_cors_wrapper"
"""The attribute of a wrapper: itself and what it wraps. Other decorators copy it, which the first of the two tells."""


class DecoratedViews(Battery):
    """The battery of all views that are decorated; it comes with them, and no app needs to be told."""

    def parts_for(self, target: Target) -> Iterable[Part]:
        """Return the parts for a decorated view."""
        decoration = decoration_for(target)
        if decoration is None:
            return ()
        app = target.app
        choice = ByPath.always(decoration.policy(app))
        if target.is_websocket:
            return parts_for_websocket(choice)
        if target.method == "OPTIONS":
            return parts_for_options(choice, chooser(app), answers=decoration.answers_options(app))
        return (Part(stage=Stage.CORS, wrap_view=view_behind), *parts_for_view(choice))


DECORATED: Final = DecoratedViews()


def cross_origin(*args: Any, **options: Unpack[CrossOriginOptions]) -> Callable[[F], F]:
    """Let pages of other sites use one view. Put it below the route decorator.

    ::

        @app.get("/prices")
        @cross_origin(origins="https://shop.example.com")
        def prices():
            return {"tea": 3}

    Its options win over `CORS_*` in the configuration, and what `CORS(app)` says does not count for the view: an origin that
    only the app lets in is kept out. On a class-based view it goes into `decorators`, or on one of its methods. The
    function may be `async`.

    :param args: ignored.
    :param options: as for `CORS`, without `resources`; see `quaff.ext.cors.settings.CorsSettings`.
    :raises CorsOptionError: when an option has a value that cannot be right. What only the app's configuration can tell, a
        request to the view raises.
    """
    given = dict(options)
    check_options({name: value for name, value in given.items() if name != "resources"})
    decoration = Decoration(given)

    def decorate(view: F) -> F:
        decorated: Any = _own_function(view, decoration)
        if given.get("automatic_options", True):
            # COMPAT: routes ask these attributes for the methods of a view, and who answers OPTIONS.
            decorated.required_methods = {*getattr(view, "required_methods", ()), "OPTIONS"}
            decorated.provide_automatic_options = not hasattr(decorated, _OWN)
        return mark_view(cast(F, decorated), DECORATED, decoration)

    return decorate


def _own_function(view: Any, decoration: Decoration) -> Any:
    """Return a function that does what *view* does and can be marked without marking that."""
    if getattr(view, "_made_by_class", None) is view:
        # A class-based view is made anew by each `as_view`.
        return view
    if isinstance(view, FunctionType) and (isgeneratorfunction(view) or isasyncgenfunction(view)):
        # Handlers of WebSockets may be generators, and are asked whether they are.
        copied = FunctionType(view.__code__, view.__globals__, view.__name__, view.__defaults__, view.__closure__)
        copied.__kwdefaults__ = view.__kwdefaults__
        return update_wrapper(copied, view)
    if iscoroutinefunction(view):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            answer = take_part(decoration)
            return await view(*args, **kwargs) if answer is None else answer

        wrapper: Any = update_wrapper(call_async, view)
    else:

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = take_part(decoration)
            return view(*args, **kwargs) if answer is None else answer

        wrapper = update_wrapper(call, view)
    setattr(wrapper, _OWN, (wrapper, view))
    return wrapper


def view_behind(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that the decorator was put on, if *view* is one that it returned; else *view* itself."""
    own: tuple[Any, Any] = getattr(view, _OWN, (None, None))
    while own[0] is view:
        view = own[1]
        own = getattr(view, _OWN, (None, None))
    return view


def take_part(decoration: Decoration) -> Any:
    """Do what is left to do when a decorated function is called: nothing, where the pipeline knows of it.

    :return: the answer to OPTIONS that takes the place of the function's, or None.
    """
    context = active_request_context()
    if context is None or context.made_websocket is not None:
        return None
    app, request = context.app, context.request
    rule = request.url_rule
    view = None if rule is None else app.view_functions.get(rule.endpoint)
    if decoration_of(view, request.method) is None:
        policy = decoration.policy(app)
        context._after_request_functions.append(lambda response: put_on_response(context, policy, response))
    if request.method == "OPTIONS" and decoration.answers_options(app):
        return app.make_default_options_response()
    return None
