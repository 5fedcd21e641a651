"""COMPAT: the helpers that Flask-Caching has in `flask_caching.utils`."""

from __future__ import annotations

from .arguments import (
    function_namespace,
    get_arg_default,
    get_arg_names,
    get_function_parameters,
    get_id,
    join_generator,
    null_control,
    wants_args,
    wants_extra_args,
)
from .fragments import TEMPLATE_FRAGMENT_KEY_TEMPLATE, make_template_fragment_key
from .keys import query_pairs as query_args_as_pairs
from .settings import seconds_of as normalize_timeout

__all__ = [
    "TEMPLATE_FRAGMENT_KEY_TEMPLATE",
    "function_namespace",
    "get_arg_default",
    "get_arg_names",
    "get_function_parameters",
    "get_id",
    "join_generator",
    "make_template_fragment_key",
    "normalize_timeout",
    "null_control",
    "query_args_as_pairs",
    "wants_args",
    "wants_extra_args",
]
