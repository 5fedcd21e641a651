"""Finding the app that the command line works on: a file or module, and an object or factory in it."""

from __future__ import annotations

import ast
import difflib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Literal, overload

import click

from ..app import Quaff
from .failures import describe_failure
from .namespace import patchable


class NoAppException(click.UsageError):
    """No app could be found or loaded; the message says where it was looked for."""


class AppImportError(NoAppException):
    """An import failed inside the module with the app; the message is about the user's code, not about usage."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message, without the usage of the command that `click.UsageError` puts in front."""
        click.secho(f"Error: {self.format_message()}", file=file, err=file is None, fg="red")


def find_best_app(module: ModuleType) -> Quaff:
    """Return the app in *module*: `app` or `application`, else the only app there is, else what a factory makes.

    The factories are `create_app` and `make_app`; they are called without arguments.

    :raises NoAppException: when there is none, or more than one.
    """
    for name in ("app", "application"):
        candidate = getattr(module, name, None)
        if isinstance(candidate, Quaff):
            return candidate
    # By identity: two names for one app are no reason to ask which.
    apps = {id(value): value for value in module.__dict__.values() if _is_app(value)}
    if len(apps) == 1:
        only: Quaff = apps.popitem()[1]
        return only
    if apps:
        names = ", ".join(repr(name) for name, value in module.__dict__.items() if id(value) in apps)
        raise NoAppException(
            f"Detected multiple Quaff applications in module {module.__name__!r}: {names}. Use '{module.__name__}:name'"
            " to specify the correct one."
        )
    for name in ("create_app", "make_app"):
        app = _call_factory(module, name)
        if app is not None:
            return app
    raise NoAppException(
        f"Failed to find Quaff application or factory in module {module.__name__!r}. Use '{module.__name__}:name' to"
        f" specify one.{_hint_at_real_flask(module)}"
    )


def _is_app(value: object) -> bool:
    # A proxy such as `current_app` passes isinstance() where a context is active; it is not a second app.
    return isinstance(value, Quaff) and not hasattr(type(value), "_get_current_object")


def _call_factory(module: ModuleType, name: str) -> Quaff | None:
    factory = getattr(module, name, None)
    if not inspect.isfunction(factory):
        return None
    try:
        app = factory()
    except TypeError as error:
        if not _called_with_wrong_args(factory):
            raise
        raise NoAppException(
            f"Detected factory {name!r} in module {module.__name__!r}, but could not call it without arguments. Use"
            f" '{module.__name__}:{name}(args)' to specify arguments."
        ) from error
    return app if isinstance(app, Quaff) else None


def _hint_at_real_flask(module: ModuleType) -> str:
    """Return a sentence about an app of the real Flask in *module*, or nothing."""
    for name, value in list(module.__dict__.items()):
        if any(f"{base.__module__}.{base.__qualname__}" == "flask.app.Flask" for base in type(value).__mro__):
            return f" {name!r} there is an app of the installed Flask: without --no-alias, 'import flask' gives Quaff."
    return ""


def _called_with_wrong_args(f: Callable[..., Any]) -> bool:
    """Tell whether the `TypeError` being handled came from calling *f* with wrong arguments, not from its body."""
    code = getattr(f, "__code__", None)
    traceback = sys.exc_info()[2]
    try:
        while traceback is not None:
            if traceback.tb_frame.f_code is code:
                return False
            traceback = traceback.tb_next
        return True
    finally:
        # The frame would keep itself alive through this variable.
        del traceback


def find_app_by_string(module: ModuleType, app_name: str) -> Quaff:
    """Return the app that *app_name* names in *module*: `name`, or `name(literal, key=literal)` for a factory.

    :raises NoAppException: when the text is neither, the name does not exist, or gives no app.
    """
    name, args, kwargs = _parse_reference(app_name)
    try:
        attribute = getattr(module, name)
    except AttributeError as error:
        close = difflib.get_close_matches(name, vars(module), n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise NoAppException(f"Failed to find attribute {name!r} in {module.__name__!r}.{guess}") from error
    app = attribute
    if inspect.isfunction(attribute):
        try:
            app = attribute(*args, **kwargs)
        except TypeError as error:
            if not _called_with_wrong_args(attribute):
                raise
            raise NoAppException(
                f"The factory {app_name!r} in module {module.__name__!r} could not be called with the specified"
                f" arguments: {error}."
            ) from error
    if isinstance(app, Quaff):
        return app
    raise NoAppException(
        f"A valid Quaff application was not obtained from '{module.__name__}:{app_name}': it is {_a(app)}."
    )


def _a(thing: object) -> str:
    name = type(thing).__name__
    return "None" if thing is None else f"an object of type {name!r}"


def _parse_reference(app_name: str) -> tuple[str, list[Any], dict[str, Any]]:  # Any: literals of any type
    """Return the name, positional and keyword arguments in `name` or `name(...)`."""
    wrong = NoAppException(f"Failed to parse {app_name!r} as an attribute name or function call.")
    try:
        expression = ast.parse(app_name.strip(), mode="eval").body
    except SyntaxError:
        raise wrong from None
    if isinstance(expression, ast.Name):
        return expression.id, [], {}
    if not isinstance(expression, ast.Call):
        raise wrong
    if not isinstance(expression.func, ast.Name):
        raise NoAppException(f"Function reference must be a simple name: {app_name!r}.")
    try:
        args = [ast.literal_eval(arg) for arg in expression.args]
        kwargs = {item.arg: ast.literal_eval(item.value) for item in expression.keywords if item.arg is not None}
    except ValueError:
        raise NoAppException(f"Failed to parse arguments as literal values: {app_name!r}.") from None
    return expression.func.id, args, kwargs


def prepare_import(path: str | os.PathLike[str]) -> str:
    """Return the name under which the file or module *path* is imported, and put its folder first on `sys.path`.

    Goes up through packages to the folder that contains the outermost one. The path need not exist: a dotted module
    name is a path in the current folder here.
    """
    real = os.path.realpath(path)
    stem, extension = os.path.splitext(real)
    if extension == ".py":
        real = stem
    if os.path.basename(real) == "__init__":
        real = os.path.dirname(real)
    names: list[str] = []
    while True:
        real, name = os.path.split(real)
        names.append(name)
        if not os.path.exists(os.path.join(real, "__init__.py")):
            break
    if sys.path[0] != real:
        sys.path.insert(0, real)
    return ".".join(reversed(names))


@overload
def locate_app(module_name: str, app_name: str | None, raise_if_not_found: Literal[True] = True) -> Quaff: ...


@overload
def locate_app(module_name: str, app_name: str | None, raise_if_not_found: bool) -> Quaff | None: ...


def locate_app(module_name: str, app_name: str | None, raise_if_not_found: bool = True) -> Quaff | None:
    """Import *module_name* and return its app.

    :param app_name: name or factory call in it; None to look for the best (`find_best_app`).
    :param raise_if_not_found: whether a module that does not exist is an error; otherwise the answer is None. An import
        that fails inside the module always is one.
    :raises NoAppException: when there is no app, or (`AppImportError`) an import fails inside the module.
    """
    try:
        __import__(module_name)
    except ImportError as error:
        # A traceback of more than this frame: the module was found, and something that it imports was not.
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise AppImportError(
                f"While importing {module_name!r}, an ImportError was raised:\n\n{describe_failure(error)}"
            ) from None
        if raise_if_not_found:
            raise NoAppException(f"Could not import {module_name!r}.{_guess_file(module_name)}") from None
        return None
    module = sys.modules[module_name]
    app: Quaff
    if app_name is None:
        app = patchable("find_best_app")(module)
    else:
        app = patchable("find_app_by_string")(module, app_name)
    return app


def _guess_file(module_name: str) -> str:
    """Return a sentence that names the Python file that was probably meant, or nothing."""
    here = [path.stem for path in Path.cwd().glob("*.py")]
    close = difflib.get_close_matches(module_name, here, n=1)
    return f" Did you mean {close[0] + '.py'!r}?" if close else f" There is no such module or file in {Path.cwd()}."
