"""Gives every app the names of `CONFORMANCE_COMPAT` in its `COMPAT`, as a program sets them that needs an old way."""

from __future__ import annotations

import os

from quaff.appbase import AppBase

NAMES = tuple(os.environ.get("CONFORMANCE_COMPAT", "").split(","))

AppBase.default_config = type(AppBase.default_config)({**AppBase.default_config, "COMPAT": NAMES})
