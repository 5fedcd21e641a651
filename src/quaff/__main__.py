"""`python -m quaff`: run a program as if Quaff were Flask, or the command line.

- `python -m quaff app.py ...` does what `python app.py ...` does, with the Flask alias installed.
- `python -m quaff -m package.module ...` does what `python -m package.module ...` does, with the alias installed.
- `python -m quaff ...` with anything else is the command `quaff ...`.
"""

from __future__ import annotations

import builtins
import importlib.util
import io
import os
import runpy
import sys
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from ._internal.lazy import resolve

_SCRIPT_SUFFIXES = (".py", ".pyw", ".pyc", ".pyz")


def is_program(argument: str) -> bool:
    """Tell whether *argument* names a program to run rather than a command of the command line.

    Whatever ends like a Python file does, so that a missing file is reported as one. A script without such an ending
    needs a folder in front, as `./manage`, for a file `run` must not get in the way of the command `run`.

    >>> is_program("app.py"), is_program("run"), is_program("--app")
    (True, False, False)
    """
    if argument.startswith("-"):
        return False
    if argument.endswith(_SCRIPT_SUFFIXES) or os.path.isfile(os.path.join(argument, "__main__.py")):
        return True
    return os.path.basename(argument) != argument and os.path.isfile(argument)


def run_script(path: str, arguments: list[str]) -> None:
    """Run the file *path* as `python path arguments...` would.

    :raises SystemExit: when there is no such file.
    """
    sys.argv[:] = [path, *arguments]
    if not os.path.exists(path):
        sys.exit(f"python -m quaff: can't open file {path!r}: there is no such file in {os.getcwd()}.")
    folder = os.path.isdir(path) or path.endswith(".pyz")
    if not sys.flags.safe_path:
        # What `python -m` put there is the current folder; `python path` has the one of the script.
        sys.path[0] = path if folder else os.path.dirname(os.path.realpath(path))
    if folder or path.endswith(".pyc"):
        runpy.run_path(path, run_name="__main__")
        return
    filename = os.path.join(os.getcwd(), path)
    with io.open_code(filename) as file:
        code = compile(file.read(), filename, "exec", dont_inherit=True)
    _run_as_main(code, __file__=filename, __loader__=SourceFileLoader("__main__", filename), __cached__=None)


def run_module(name: str, arguments: list[str]) -> None:
    """Run the module or package *name* as `python -m name arguments...` would.

    :raises SystemExit: when there is no such module, or it is a package that cannot be run.
    """
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError as error:
        sys.exit(f"python -m quaff: {error}")
    loader: Any = None if spec is None else spec.loader  # Any: `get_code` is optional in the loader protocol
    code = None if spec is None or loader is None else loader.get_code(spec.name)
    if spec is None or code is None:
        sys.exit(f"python -m quaff: there is no module {name!r} that can be run.")
    sys.argv[:] = [spec.origin or name, *arguments]
    _run_as_main(
        code,
        __file__=spec.origin,
        __loader__=loader,
        __cached__=spec.cached,
        __spec__=spec,
        __package__=spec.parent,
    )


def _run_as_main(code: CodeType, **names: object) -> None:
    # Not with `runpy`: it takes the module away when the code has run, and threads that are left go on using it.
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, **names)
    sys.modules["__main__"] = main
    exec(code, main.__dict__)  # noqa: S102 - the user's own program


def main() -> None:
    """Decide between program, module and command line by the first argument."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["-m"] and len(arguments) > 1:
        resolve("install_as_flask")()
        run_module(arguments[1], arguments[2:])
    elif arguments and is_program(arguments[0]):
        resolve("install_as_flask")()
        run_script(arguments[0], arguments[1:])
    else:
        resolve("cli main")()


if __name__ == "__main__":
    main()
