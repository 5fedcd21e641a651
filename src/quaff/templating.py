"""Jinja templates: the environment, the loader that asks app and blueprints in turn, and rendering.

`import quaff` does not load this module, because it loads Jinja.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jinja2 import BaseLoader, Template, TemplateNotFound
from jinja2 import Environment as BaseEnvironment

from .ctx import _default_template_ctx_processor
from .debughelpers import explain_template_loading_attempts
from .globals import active_request_context, current_context
from .helpers import stream_with_context
from .signals import before_render_template, template_rendered

__all__ = [
    "DispatchingJinjaLoader",
    "Environment",
    "_default_template_ctx_processor",
    "render_template",
    "render_template_string",
    "stream_template",
    "stream_template_string",
]

# `Any` for apps and scaffolds: their classes live in higher layers.

Source = tuple[str, str | None, Callable[[], bool] | None]
Templates = str | Template | list[str | Template]


class Environment(BaseEnvironment):
    """The Jinja environment of an app, kept in its attribute `app`.

    Unless the options name a loader, it is what the app's `create_global_jinja_loader` returns.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        if "loader" not in options:
            options["loader"] = app.create_global_jinja_loader()
        super().__init__(**options)
        self.app = app


class DispatchingJinjaLoader(BaseLoader):
    """Looks for a template in the app's folder, then in those of the blueprints in the order of their registration."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def get_source(self, environment: BaseEnvironment, template: str) -> Source:
        """Return the source of a template, from the first loader that has it.

        With `EXPLAIN_TEMPLATE_LOADING` in the app's configuration all are asked, and the log says what they answered.

        :raises jinja2.TemplateNotFound: when none has it.
        """
        if self.app.config["EXPLAIN_TEMPLATE_LOADING"]:
            return self._get_source_explained(environment, template)
        return self._get_source_fast(environment, template)

    def _get_source_explained(self, environment: BaseEnvironment, template: str) -> Source:
        attempts: list[tuple[BaseLoader, Any, Source | None]] = []
        for scaffold, loader in self._iter_loaders(template):
            try:
                found = loader.get_source(environment, template)
            except TemplateNotFound:
                attempts.append((loader, scaffold, None))
            else:
                attempts.append((loader, scaffold, found))
        explain_template_loading_attempts(self.app, template, attempts)
        for _, _, source in attempts:
            if source is not None:
                return source
        raise TemplateNotFound(template)

    def _get_source_fast(self, environment: BaseEnvironment, template: str) -> Source:
        for _, loader in self._iter_loaders(template):
            try:
                return loader.get_source(environment, template)
            except TemplateNotFound:
                continue
        raise TemplateNotFound(template)

    def _iter_loaders(self, template: str) -> Iterator[tuple[Any, BaseLoader]]:
        for scaffold in (self.app, *self.app.iter_blueprints()):
            loader = scaffold.jinja_loader
            if loader is not None:
                yield scaffold, loader

    def list_templates(self) -> list[str]:
        """Return the names of all templates of the app and its blueprints, each once."""
        names: set[str] = set()
        for _, loader in self._iter_loaders(""):
            names.update(loader.list_templates())
        return list(names)


def _announce_start(app: Any, template: Template, context: dict[str, Any]) -> None:
    app.update_template_context(context)
    if before_render_template.receivers:
        before_render_template.send(app, _async_wrapper=app.ensure_sync, template=template, context=context)


def _announce_end(app: Any, template: Template, context: dict[str, Any]) -> None:
    if template_rendered.receivers:
        template_rendered.send(app, _async_wrapper=app.ensure_sync, template=template, context=context)


def _render(app: Any, template: Template, context: dict[str, Any]) -> str:
    _announce_start(app, template, context)
    text = template.render(context)
    _announce_end(app, template, context)
    return text


def render_template(template_name_or_list: Templates, **context: Any) -> str:
    """Return a template rendered with the given variables.

    :param template_name_or_list: its name, or several names of which the first that exists is taken.
    :param context: the variables; those of context processors do not replace them.
    :raises jinja2.TemplateNotFound: when there is no such template.
    """
    app = current_context.get().app
    return _render(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def render_template_string(source: str, **context: Any) -> str:
    """Return a template that is given as text, rendered with the given variables.

    The text is code: what users enter belongs into the variables, never into *source*.
    """
    app = current_context.get().app
    return _render(app, app.jinja_env.from_string(source), context)


def _stream(app: Any, template: Template, context: dict[str, Any]) -> Iterator[str]:
    _announce_start(app, template, context)

    def generate() -> Iterator[str]:
        yield from template.generate(context)
        _announce_end(app, template, context)

    pieces = generate()
    return pieces if active_request_context() is None else stream_with_context(pieces)


def stream_template(template_name_or_list: Templates, **context: Any) -> Iterator[str]:
    """Return the pieces of a template as they are rendered, to be used as a streamed response.

    A request context that is current stays so until the last piece.

    :param template_name_or_list: its name, or several names of which the first that exists is taken.
    :param context: the variables.
    :raises jinja2.TemplateNotFound: when there is no such template.
    """
    app = current_context.get().app
    return _stream(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def stream_template_string(source: str, **context: Any) -> Iterator[str]:
    """Return the pieces of a template that is given as text, as they are rendered.

    The text is code: what users enter belongs into the variables, never into *source*.
    """
    app = current_context.get().app
    return _stream(app, app.jinja_env.from_string(source), context)
