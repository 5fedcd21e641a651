"""The errors that Quaff raises on its own account."""

from __future__ import annotations

import inspect
import re

import pytest

from quaff import Quaff, current_app, errors, request
from quaff.errors import ContextError, HeaderError, QuaffError, SetupError

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, QuaffError)]


@pytest.mark.parametrize(
    "cls, built_in", [(SetupError, AssertionError), (ContextError, RuntimeError), (HeaderError, ValueError)]
)
def test_each_error_is_the_one_that_flask_users_catch(cls: type[QuaffError], built_in: type[Exception]) -> None:
    """`except RuntimeError` and the like in old code catch Quaff's errors."""
    with pytest.raises(built_in, match="why"):
        raise cls("why")


@pytest.mark.parametrize("cls", CLASSES)
def test_each_error_is_caught_as_a_quaff_error(cls: type[QuaffError]) -> None:
    """One `except QuaffError` catches all of them, and none catches something else."""
    with pytest.raises(QuaffError):
        raise cls("why")
    assert not isinstance(ValueError("other"), cls)


def test_the_codes_are_distinct() -> None:
    """Each error but the base has a code of its own, of the form Q and three digits."""
    codes = [cls.code for cls in CLASSES if cls is not QuaffError]
    assert len(set(codes)) == len(codes) == 4
    assert all(re.fullmatch(r"Q\d{3}", code) for code in codes)
    assert QuaffError.code == ""


def test_the_tree_in_the_docstring_is_complete() -> None:
    """The drawing at the top of the module names each class, its built-in base and its code."""
    drawing = errors.__doc__ or ""
    for cls in CLASSES:
        assert cls.__name__ in drawing
        assert cls.code in drawing
        if cls is not QuaffError:
            assert f"({cls.__bases__[1].__name__})" in drawing


@pytest.mark.parametrize("use", [lambda: request.path, lambda: current_app.name], ids=["request", "app"])
def test_working_outside_of_a_context_raises_the_context_error(use) -> None:  # type: ignore[no-untyped-def]
    """The error for an unbound proxy carries the code that the documentation explains."""
    with pytest.raises(ContextError) as caught:
        use()
    assert caught.value.code == "Q300"


def test_the_subclass_relation_survives_a_context() -> None:
    """Within a context the same reads work: the error is about the missing context, not about the names."""
    app = Quaff("shop")
    with app.test_request_context("/here"):
        assert (request.path, current_app.name) == ("/here", "shop")
