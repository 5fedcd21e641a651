"""Falcon's versions of the scenarios, where Falcon has the thing at all.

Written as its tutorial would: resources with `on_get`, `resp.text` and `resp.media`, middleware for hooks. Falcon is
imported inside the builders, because the reports are made where it is not installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

# Falcon's wheel is compiled with Cython and its request and response types are not needed here: `Any` stands for them.
HTML = "text/html; charset=utf-8"


class Hello:
    """Answers the greeting."""

    def on_get(self, req: Any, resp: Any) -> None:
        resp.content_type = HTML
        resp.text = "Hello, World!"


class User:
    """Answers a dict for the number in the path."""

    def on_get(self, req: Any, resp: Any, user_id: int) -> None:
        resp.media = {"id": user_id, "name": "Ada"}


class Search:
    """Answers two values of the query string."""

    def on_get(self, req: Any, resp: Any) -> None:
        resp.content_type = HTML
        resp.text = f"{req.get_param('q', default='')} {req.get_param('page', default='1')}"


class Echo:
    """Answers from a JSON body."""

    def on_post(self, req: Any, resp: Any) -> None:
        data = req.get_media()
        resp.media = {"name": data["name"], "tags": len(data["tags"])}


class Login:
    """Answers from the fields of a form."""

    def on_post(self, req: Any, resp: Any) -> None:
        fields = req.get_media()
        resp.content_type = HTML
        resp.text = f"{fields['user']} {len(fields['password'])}"


class Values:
    """Answers the values of the path, joined by a space."""

    def on_get(self, req: Any, resp: Any, **values: Any) -> None:
        resp.content_type = HTML
        resp.text = " ".join(map(str, values.values())) or "page"


class Sum:
    """Answers the sum of what the three middleware left on the context."""

    def on_get(self, req: Any, resp: Any) -> None:
        resp.content_type = HTML
        resp.text = str(req.context.first + req.context.second + req.context.third)


class Hook:
    """A middleware that leaves a value on the context and sets a header."""

    def __init__(self, name: str, value: int, header: str, text: str) -> None:
        self.name, self.value, self.header, self.text = name, value, header, text

    def process_request(self, req: Any, resp: Any) -> None:
        setattr(req.context, self.name, self.value)

    def process_response(self, req: Any, resp: Any, resource: Any, req_succeeded: bool) -> None:
        resp.set_header(self.header, self.text)


class IdleHook:
    """A middleware that does nothing, before and after."""

    def process_request(self, req: Any, resp: Any) -> None:
        """Do nothing."""

    def process_response(self, req: Any, resp: Any, resource: Any, req_succeeded: bool) -> None:
        """Do nothing."""


def build(routes: dict[str, object], middleware: list[object] | None = None) -> Any:
    """Make a Falcon app of *routes* (URI template to resource)."""
    app = import_module("falcon").App(middleware=middleware)
    for template, resource in routes.items():
        app.add_route(template, resource)
    return app


def hello() -> Any:
    """The first program of every tutorial."""
    return build({"/": Hello()})


def user() -> Any:
    """A path parameter in, a dict out."""
    return build({"/users/{user_id:int}": User()})


def arguments() -> Any:
    """Two values out of the query string."""
    return build({"/search": Search()})


def json_echo() -> Any:
    """A JSON body in, a JSON body out."""
    return build({"/echo": Echo()})


def form() -> Any:
    """Two fields of an urlencoded form."""
    return build({"/login": Login()})


def hooks() -> Any:
    """Three middleware that each leave a value and set a header."""
    return build(
        {"/": Sum()},
        [
            Hook("first", 1, "X-Version", "1"),
            Hook("second", 2, "X-Content-Type-Options", "nosniff"),
            Hook("third", 3, "X-Frame-Options", "DENY"),
        ],
    )


def idle_hooks() -> Any:
    """Three middleware with nothing in them."""
    return build({"/": Hello()}, [IdleHook(), IdleHook(), IdleHook()])


def template_of(rule: str) -> str:
    """Translate a Flask rule: `/items/<int:item>` is `/items/{item:int}` to Falcon."""
    return re.sub(r"<(?:(\w+):)?(\w+)>", lambda found: f"{{{found[2]}{':' + found[1] if found[1] else ''}}}", rule)


def with_rules(*rules: str) -> Callable[[], Any]:
    """Give the builder of an app with these (Flask) rules."""
    return lambda: build({template_of(rule): Values() for rule in rules})
