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


def defer_module(name: str) -> None:
    """Put module *name* into `sys.modules` without running it; it runs when a name of it is asked for.

    Of a package, the submodules import as usual meanwhile. Does nothing when the module is imported already or cannot be
    found.
    """
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    loader = spec.loader
    is_package = spec.submodule_search_locations is not None

    lock = threading.RLock()
    loading = False

    def load_and_get(attribute: str) -> Any:  # Any: whatever the module holds under that name
        nonlocal loading
        # `from module import *` asks for `__all__`; what else probes modules shall not set it off.
        if attribute.startswith("__") and attribute != "__all__":
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        # `from . import part` inside a package asks here before it imports the part.
        if is_package and importlib.util.find_spec(f"{name}.{attribute}") is not None:
            return importlib.import_module(f"{name}.{attribute}")
        with lock:
            # Another thread may have loaded it meanwhile; and while this one does, the module asks for its own names.
            if not loading:
                loading = True
                loader.exec_module(module)
                module.__dict__.pop("__getattr__", None)
        try:
            return module.__dict__[attribute]
        except KeyError:
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}") from None

    module.__dict__["__getattr__"] = load_and_get
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
