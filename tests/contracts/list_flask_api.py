"""Writes flask_api.txt: the public names and parameter names of the real Flask, one a line.

Run it with an interpreter that has Flask 3.1.3 and no alias: `python tests/contracts/list_flask_api.py > flask_api.txt`.
The lines are facts about an interface, nothing of the code behind it:

    flask.app Flask.add_url_rule (rule endpoint=? view_func=? ... **options)
    flask.app Flask.debug

`=?` marks a parameter that may be left out, `*` the start of keyword-only ones. Members are listed for each class that
Flask itself defines, the inherited ones included as far as they come from Flask.
"""

from __future__ import annotations

import inspect
import pkgutil
import sys
import types
from collections.abc import Iterator
from importlib import import_module

SKIPPED_MODULES = {"flask.__main__"}
SANSIO = ("flask.sansio.app", "flask.sansio.blueprints", "flask.sansio.scaffold")
ACCIDENTS = {"annotations", "default_exceptions", "t", "urlsplit"}
HOMES = {"werkzeug.local": "flask.globals", "blinker.base": "flask.signals"}
"""Where the proxies and the signals are at home: elsewhere they are only imported."""

KINDS = inspect.Parameter


def _parameters(value: object) -> str:
    try:
        signature = inspect.signature(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    words: list[str] = []
    keyword_only = False
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls") and not words:
            continue
        if parameter.kind is KINDS.VAR_POSITIONAL:
            words.append(f"*{parameter.name}")
            keyword_only = True
        elif parameter.kind is KINDS.VAR_KEYWORD:
            words.append(f"**{parameter.name}")
        else:
            if parameter.kind is KINDS.KEYWORD_ONLY and not keyword_only:
                words.append("*")
                keyword_only = True
            words.append(parameter.name + ("" if parameter.default is KINDS.empty else "=?"))
    return f" ({' '.join(words)})"


def _describe(value: object) -> str:
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    return _parameters(value) if inspect.isfunction(value) else ""


def _members(cls: type) -> Iterator[str]:
    seen: set[str] = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("flask"):
            continue
        for name, value in [*vars(base).items(), *((n, None) for n in vars(base).get("__annotations__", {}))]:
            if name in seen or (name.startswith("_") and name != "__init__"):
                continue
            seen.add(name)
            yield f"{cls.__name__}.{name}{_describe(value)}"


def _belongs(module: types.ModuleType, name: str, value: object) -> bool:
    if name.startswith("_") or name in ACCIDENTS or isinstance(value, types.ModuleType):
        return False
    if type(value).__module__ in HOMES:
        return HOMES[type(value).__module__] == module.__name__
    home = getattr(value, "__module__", None)
    if inspect.isclass(value) or inspect.isfunction(value):
        # What a module only imports for its own use is an accident, except at the front door and in packages.
        return home == module.__name__ or (hasattr(module, "__path__") and str(home).startswith("flask"))
    return str(type(value).__module__) not in ("typing", "__future__") or str(module.__name__).endswith("typing")


def lines() -> Iterator[str]:
    """Yield the lines of the list, unsorted."""
    package = import_module("flask")
    names = ["flask", *(info.name for info in pkgutil.walk_packages(package.__path__, "flask.")), *SANSIO]
    for module_name in names:
        if module_name in SKIPPED_MODULES:
            continue
        module = import_module(module_name)
        for name, value in vars(module).items():
            if module_name == "flask" and not name.startswith("_") and name not in ACCIDENTS:
                yield f"{module_name} {name}"
            elif _belongs(module, name, value):
                yield f"{module_name} {name}{_describe(value)}"
                if inspect.isclass(value) and value.__module__ == module_name:
                    yield from (f"{module_name} {member}" for member in _members(value))


if __name__ == "__main__":
    sys.stdout.write("\n".join(sorted(set(lines()))) + "\n")
