"""Views as classes: `View` for one function, `MethodView` for one method per HTTP method."""

from __future__ import annotations

from collections.abc import Callable, Collection
from inspect import iscoroutinefunction
from typing import Any, ClassVar

from .globals import current_context
from .typing import ResponseReturnValue, RouteCallable

http_method_funcs = frozenset({"delete", "get", "head", "options", "patch", "post", "put", "trace"})
"""The names of the methods that `MethodView` dispatches to."""


class View:
    """A view as a class: override `dispatch_request` and register what `as_view` returns.

    ::

        class Hello(View):
            init_every_request = False

            def dispatch_request(self, name):
                return f"Hello, {name}!"


        app.add_url_rule("/hello/<name>", view_func=Hello.as_view("hello"))
    """

    methods: ClassVar[Collection[str] | None] = None
    """The HTTP methods that the view answers. None: those that a route has by default."""

    provide_automatic_options: ClassVar[bool | None] = None
    """Whether OPTIONS is answered without the view. None: unless the view answers it."""

    decorators: ClassVar[list[Callable[..., Any]]] = []
    """Decorators for the view function that `as_view` makes, applied in this order: the last is outermost.

    A decorator on the class itself would not reach that function.
    """

    init_every_request: ClassVar[bool] = True
    """Whether each request gets an instance of its own. False saves that, but then `self` belongs to all requests."""

    def dispatch_request(self) -> ResponseReturnValue:
        """Answer the request. The variable parts of the URL come as keyword arguments."""
        raise NotImplementedError

    @classmethod
    def as_view(cls, name: str, *class_args: Any, **class_kwargs: Any) -> RouteCallable:
        """Return a view function that passes each request to an instance of this class.

        The class is its attribute `view_class`, where it may be replaced.

        :param name: the name of the function, and so by default the endpoint.
        :param class_args: passed to the class whenever an instance is made, as is *class_kwargs*.
        """
        function: Any
        if cls.init_every_request:

            def make_instance() -> View:
                # COMPAT: asked of the outermost function, where a replacement of the class is put.
                return function.view_class(*class_args, **class_kwargs)  # type: ignore[no-any-return]

        else:
            instance = cls(*class_args, **class_kwargs)

            def make_instance() -> View:
                return instance

        def view(**kwargs: Any) -> ResponseReturnValue:
            app = current_context.get().app
            return app.ensure_sync(make_instance().dispatch_request)(**kwargs)  # type: ignore[no-any-return]

        function = view
        function._make_instance, function._made_by_class = make_instance, view
        if cls.decorators:
            # Before decorating, too: decorators read these.
            function.__name__ = name
            function.__module__ = cls.__module__
            for decorator in cls.decorators:
                function = decorator(function)
        function.view_class = cls
        function.__name__ = name
        function.__doc__ = cls.__doc__
        function.__module__ = cls.__module__
        function.methods = cls.methods
        function.provide_automatic_options = cls.provide_automatic_options
        return function  # type: ignore[no-any-return]


def _is_as_made(view: Any) -> bool:
    return getattr(view, "_made_by_class", None) is view


def async_view(view: Any, method: str) -> Any:
    """Return the coroutine function behind a class-based view whose class answers *method* with one; else *view* itself.

    A view that was decorated is left as it is: its decorators want to be called.
    """
    if not _is_as_made(view):
        return view
    name = "dispatch_request"
    if view.view_class.dispatch_request is MethodView.dispatch_request:
        name = method.lower()
        if name == "head" and not hasattr(view.view_class, name):
            name = "get"
    if not iscoroutinefunction(getattr(view.view_class, name, None)):
        return view

    async def answer(**kwargs: Any) -> Any:
        return await getattr(view._make_instance(), name)(**kwargs)

    return answer


class MethodView(View):
    """A view whose methods `get`, `post`, ... answer the HTTP methods of these names.

    ::

        class Counter(MethodView):
            def get(self):
                return str(session.get("counter", 0))

            def post(self):
                session["counter"] = session.get("counter", 0) + 1
                return redirect(url_for("counter"))


        app.add_url_rule("/counter", view_func=Counter.as_view("counter"))

    HEAD is answered by `get` when there is no `head`. The class attribute `methods` is filled from what the class and its
    bases define, unless the class sets it.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "methods" in cls.__dict__:
            return
        methods = {name.upper() for name in http_method_funcs if hasattr(cls, name)}
        for base in cls.__bases__:
            methods.update(getattr(base, "methods", None) or ())
        if methods:
            cls.methods = methods

    def dispatch_request(self, **kwargs: Any) -> ResponseReturnValue:
        """Call the method for the HTTP method of the request.

        :raises AssertionError: when there is none, which the route's `methods` should have kept out.
        """
        context = current_context.get()
        http_method: str = context.request.method
        answer = getattr(self, http_method.lower(), None)
        if answer is None and http_method == "HEAD":
            answer = getattr(self, "get", None)
        if answer is None:
            raise AssertionError(f"Unimplemented method {http_method!r}")
        return context.app.ensure_sync(answer)(**kwargs)  # type: ignore[no-any-return]
