"""Request and response classes put together the old way."""

from __future__ import annotations

import pytest
from werkzeug.wrappers import Request, Response

import quaff
from quaff.compat import old_wrappers

MIXINS = [value for name, value in vars(old_wrappers).items() if name.endswith("Mixin")]


def test_isinstance_of_the_bases(app: quaff.Quaff) -> None:
    """Extensions ask `isinstance(rv, BaseResponse)`: it holds for every response, and for requests likewise."""
    with app.test_request_context():
        assert isinstance(app.make_response("x"), old_wrappers.BaseResponse)
        assert isinstance(quaff.request._get_current_object(), old_wrappers.BaseRequest)
    assert old_wrappers.BaseResponse is Response
    assert old_wrappers.BaseRequest is old_wrappers.PlainRequest is Request


@pytest.mark.parametrize("mixin", MIXINS, ids=lambda mixin: mixin.__name__)
def test_mixins_mix(mixin: type) -> None:
    """A class of a base and mixins, in either order, is a whole response."""
    first = type("First", (old_wrappers.BaseResponse, mixin), {})
    second = type("Second", (mixin, old_wrappers.BaseResponse), {})
    for response in (first("x"), second("x")):
        response.add_etag()
        assert response.get_etag()[0]
        assert response.data == b"x"
