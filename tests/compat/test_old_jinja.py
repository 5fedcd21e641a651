"""Jinja2 extensions that became part of the language."""

from __future__ import annotations

from types import ModuleType

import pytest
from jinja2 import Environment

from quaff.compat import old_jinja


@pytest.mark.parametrize("extension", [old_jinja.with_, old_jinja.autoescape, old_jinja.WithExtension])
def test_they_load_and_change_nothing(extension: type) -> None:
    """Templates that use the statements render with and without."""
    source = "{% with a = 1 %}{{ a }}{% endwith %}{% autoescape true %}{{ '<' }}{% endautoescape %}"
    assert Environment(extensions=[extension]).from_string(source).render() == "1&lt;"


def test_by_their_names(flask: ModuleType) -> None:
    """Settings name them as text."""
    with pytest.warns(DeprecationWarning, match="built in since Jinja 2.9"):
        Environment(extensions=["jinja2.ext.with_", "jinja2.ext.autoescape"])
