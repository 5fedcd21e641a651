"""Jinja2 extensions that became part of the language and were then removed."""

from __future__ import annotations

from jinja2.ext import Extension


class WithExtension(Extension):
    """Does nothing: `{% with %}` is built in since Jinja 2.9."""


class AutoEscapeExtension(Extension):
    """Does nothing: `{% autoescape %}` is built in since Jinja 2.9."""


with_ = WithExtension
autoescape = AutoEscapeExtension
