"""Batteries for random programs: parts that note that they ran, answer, raise, and change the response."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import TooManyRequests

from quaff.pipeline.parts import Battery, Part, Target
from quaff.pipeline.phases import Stage
from quaff.pipeline.results import Answer


class Random(Battery):
    """A battery that gives the parts of some names."""

    def __init__(self, built: Any, names: Iterable[str]) -> None:
        self._parts = [PARTS[name](built) for name in names]

    def parts_for(self, target: Target) -> Iterable[Part]:
        return [] if target.endpoint == "nested" else self._parts


def _path(context: Any) -> str:
    path: str = context.environ["PATH_INFO"]
    return path


def _passing(built: Any) -> Part:
    return Part(stage=Stage.LIMIT, guard=lambda context: built.note("guard", _path(context)))


def _answering(built: Any) -> Part:
    def guard(context: Any) -> Any:
        built.note("answering guard")
        return ("answered", 418, {"X-Answered": "1"}) if len(_path(context)) % 2 else None

    return Part(stage=Stage.CORS, guard=guard)


def _finished(built: Any) -> Part:
    answer = Answer.of("403 FORBIDDEN", b"finished", [("Content-Type", "text/plain"), ("X-Finished-Answer", "1")])

    def guard(context: Any) -> Any:
        built.note("guard with a finished answer")
        return answer if len(_path(context)) % 2 == 0 else None

    return Part(stage=Stage.HTTPS, guard=guard)


def _raising(built: Any) -> Part:
    def guard(context: Any) -> None:
        built.note("raising guard")
        if len(_path(context)) % 3 == 0:
            raise TooManyRequests
        if len(_path(context)) % 3 == 1:
            raise ValueError("a guard failed")

    return Part(stage=Stage.LOGIN, guard=guard)


def _reading(built: Any) -> Part:
    def guard(context: Any) -> None:
        built.note("reading guard", context.request.endpoint, dict(context.session))

    return Part(stage=Stage.CSRF, guard=guard, blocking=True)


def _constant(built: Any) -> Part:
    return Part(stage=Stage.HEADERS, headers=(("X-Constant", "1"), ("Vary", "Origin")))


def _adding(built: Any) -> Part:
    def add(context: Any, code: int, headers: Any) -> None:
        built.note("add headers", code)
        headers["X-Code"] = str(code)

    return Part(stage=Stage.LIMIT, add_headers=add)


def _finishing(built: Any) -> Part:
    def finish(context: Any, response: Any) -> Any:
        built.note("finish", response.status_code)
        response.headers["X-Finished"] = str(response.status_code)
        return response

    return Part(stage=Stage.CACHE, finish=finish, blocking=True)


def _spared(built: Any) -> Part:
    """A finisher that has nothing to do for short bodies."""

    def finish(context: Any, response: Any) -> Any:
        if not response.is_streamed and len(response.get_data()) > 10:
            response.headers["X-Long"] = "1"
        return response

    return Part(stage=Stage.COMPRESS, finish=finish, acts_on=lambda context, body: len(body) > 10)


def _changing(built: Any) -> Part:
    """A finisher that changes longer bodies, with and without a response object."""

    def finish_body(context: Any, code: int, body: bytes, headers: Any) -> bytes:
        headers["X-Was"] = f"{code} {len(body)}"
        headers["Content-Length"] = str(len(body) + 1)
        return body + b"!"

    def finish(context: Any, response: Any) -> Any:
        if not response.is_streamed and not response.direct_passthrough and len(response.get_data()) >= 6:
            body = finish_body(context, response.status_code, response.get_data(), response.headers)
            response.set_data(body)
        return response

    return Part(stage=Stage.COMPRESS, finish=finish, finish_body=finish_body, min_size=6)


def _noted(built: Any) -> Part:
    """A guard, and what finishes only the requests on which it left a note."""

    def guard(context: Any) -> None:
        if len(_path(context)) % 2:
            context.note("differential", _path(context))

    def finish(context: Any, response: Any) -> Any:
        built.note("finish noted", context.noted("differential"))
        response.headers["X-Noted"] = "1"
        return response

    def add(context: Any, code: int, headers: Any) -> None:
        built.note("add to noted", context.noted("differential"), code)
        headers["X-Noted-Code"] = str(code)

    return Part(stage=Stage.HTTPS, guard=guard, finish=finish, add_headers=add, noted="differential")


def _replacing(built: Any) -> Part:
    """A finisher that sends another response."""

    def finish(context: Any, response: Any) -> Any:
        if len(_path(context)) % 3:
            return response
        return context.app.response_class("replaced", response.status_code)

    return Part(stage=Stage.LOGIN, finish=finish, headers=(("X-Replaced", "0"), ("Vary", "Cookie")))


def _failing(built: Any) -> Part:
    def finish(context: Any, response: Any) -> Any:
        built.note("failing finisher")
        if len(_path(context)) % 4 == 0:
            raise ValueError("a finisher failed")
        return response

    return Part(stage=Stage.HEADERS, finish=finish)


PARTS: dict[str, Callable[[Any], Part]] = {
    "passing guard": _passing,
    "answering guard": _answering,
    "finished answer": _finished,
    "raising guard": _raising,
    "reading guard": _reading,
    "constant headers": _constant,
    "added headers": _adding,
    "finisher": _finishing,
    "spared finisher": _spared,
    "changing finisher": _changing,
    "noted finisher": _noted,
    "replacing finisher": _replacing,
    "failing finisher": _failing,
}
"""Name -> what makes the part."""
