"""What `python -m flask` runs under the alias."""

from __future__ import annotations

# Run as part of the package `flask`, where a relative import would look for `flask._internal`.
from quaff._internal.lazy import resolve

if __name__ == "__main__":
    resolve("cli main")()
