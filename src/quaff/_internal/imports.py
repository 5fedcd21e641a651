"""Optional dependencies and deferred packages."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any


def need(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency, or say which extra brings it.

    A dependency that is installed but fails while it is imported shows its own error: hiding that behind "not
    installed" sends people the wrong way.

    :raises ImportError: when *module* is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ImportError(
            f"{purpose} needs {module!r}, which is not installed. Install it with: pip install 'quaff[{extra}]'",
            name=module,
        ) from None


def defer_package(name: str) -> None:
    """Put package *name* into `sys.modules` without running its `__init__`; that runs when a name of it is asked for.

    Submodules import as usual meanwhile. Does nothing when the package is imported already or cannot be found.
    """
    # PERF: `werkzeug/__init__.py` imports the development server and the test client, and with them http.server,
    # socketserver and some forty more modules that a production worker never uses.
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return
    package = importlib.util.module_from_spec(spec)
    loader = spec.loader

    lock = threading.RLock()
    loading = False

    def load_and_get(attribute: str) -> Any:  # Any: whatever the package holds under that name
        nonlocal loading
        if attribute.startswith("__"):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        # `from . import part` inside the package asks here before it imports the part.
        if importlib.util.find_spec(f"{name}.{attribute}") is not None:
            return importlib.import_module(f"{name}.{attribute}")
        with lock:
            # Another thread may have loaded it meanwhile; and while this one does, the package asks for its own names.
            if not loading:
                loading = True
                loader.exec_module(package)
                package.__dict__.pop("__getattr__", None)
        try:
            return package.__dict__[attribute]
        except KeyError:
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}") from None

    package.__dict__["__getattr__"] = load_and_get
    sys.modules[name] = package
