"""`python -m quaff.cli`, and `python -m flask.cli` under the alias."""

from __future__ import annotations

from .program import main

main()
