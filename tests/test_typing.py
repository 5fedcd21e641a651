"""The names for annotations."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

from quaff import typing as qt

FLASK_NAMES = (
    "AfterRequestCallable AppOrBlueprintKey BeforeFirstRequestCallable BeforeRequestCallable ErrorHandlerCallable "
    "HeaderValue HeadersValue ResponseClass ResponseReturnValue ResponseValue RouteCallable ShellContextProcessorCallable "
    "TeardownCallable TemplateContextProcessorCallable TemplateFilterCallable TemplateGlobalCallable TemplateTestCallable "
    "URLDefaultCallable URLValuePreprocessorCallable"
).split()


@pytest.mark.parametrize("name", FLASK_NAMES)
def test_every_name_of_flask_is_there(name: str) -> None:
    """Annotations written against flask.typing find their names."""
    assert name in qt.__all__
    assert getattr(qt, name) is not None


def test_nothing_else_is_exported() -> None:
    """The list of exports is that list."""
    assert sorted(qt.__all__) == sorted(FLASK_NAMES)


def test_the_aliases_can_be_combined_at_run_time() -> None:
    """An alias is usable in an expression, such as an annotation that is evaluated."""
    assert Callable[..., qt.ResponseReturnValue]
    assert str in get_args(qt.ResponseValue)
    assert len(get_args(qt.RouteCallable)) == 2


def test_views_annotated_with_them_type_check() -> None:
    """Views, hooks and handlers of every shape fit; the type checker reads this test, too."""

    def text() -> qt.ResponseReturnValue:
        return "text", 200, {"X-A": "1"}

    def data() -> qt.ResponseReturnValue:
        return {"a": 1}, Headers()

    async def later() -> qt.ResponseReturnValue:
        return Response()

    def after(response: Response) -> Response:
        return response

    def handle(error: KeyError) -> qt.ResponseReturnValue:
        return str(error), 500

    routes: list[qt.RouteCallable] = [text, data, later]
    hook: qt.AfterRequestCallable[Response] = after
    handler: qt.ErrorHandlerCallable = handle
    assert len(routes) == 3
    assert hook is after
    assert handler is handle
